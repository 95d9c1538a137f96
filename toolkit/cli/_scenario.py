"""Running a lab's scenario for `toolkit lab run`, with its evidence."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from toolkit.cli._evidence import write_run
from toolkit.cli._story import Story
from toolkit.errors import ProofError, ToolkitError

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.lab.director import Director
    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.scenario import Scenario

EMPTY = {"probes": 0, "permitted": 0, "denied": 0, "wrong": 0, "inconclusive": 0}


def new_run(runs: Path, name: str) -> Path:
    """A folder of its own for a run of a scenario: several plans may be made in it."""
    start = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while True:
        folder = runs / (f"{name}-{start}" + (f"-{number}" if number else ""))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def play(rehearsal: Rehearsal, scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Play a scenario in a lab that is up, up to the first thing that does not hold; what `lab run --json` prints.

    `folder` is the lab's, with the expectations beside the scenario; evidence goes to the rehearsal's `runs`.
    """
    from toolkit.lab.director import Director

    story = Story(quiet=True)
    problem = ""
    with Director(rehearsal, scenario, folder) as director:
        try:
            for step in scenario.steps:
                with story.step(step.at) as chapter:
                    begun = len(director.events)
                    held = director.step(step)
                    missed = [one for one in director.events[begun:] if not one.ok]
                    chapter.lines += [f"{one.what}: {one.seen}" for one in missed]
                    if not held:
                        raise ProofError(f"{step.at}: {'; '.join(chapter.lines)}")
        except ToolkitError as caught:
            problem = str(caught)
        outcome = _outcome(rehearsal, director, problem)
        _write(rehearsal, director, story)
    return outcome


def _outcome(rehearsal: Rehearsal, director: Director, problem: str) -> dict[str, Any]:
    services = rehearsal.services.status()
    return {
        "ok": not problem,
        "run": rehearsal.runs.name,
        "matrix": director.matrix.counts if director.matrix else EMPTY,
        "services": {one.name: {"healthy": one.healthy, "detail": one.detail} for one in services},
        "certificate": None,
        "timeline": director.rows(),
        "problem": problem,
    }


def _write(rehearsal: Rehearsal, director: Director, story: Story) -> None:
    (rehearsal.runs / "timeline.json").write_text(
        json.dumps(director.rows(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    planned = director.plans[-1] if director.plans else None
    write_run(
        rehearsal.runs,
        f"Scenario {director.folder.name}: {director.scenario.about}",
        story,
        rehearsal.work,
        diffs={c.device: c.diff for c in planned.plan.changes} if planned else {},
        matrix=director.matrix,
        services=rehearsal.services.status(),
        timings=rehearsal.timings.seconds,
        timeline=tuple(director.events),
    )


def print_timeline(events: list[dict[str, Any]]) -> None:
    """The time line for people."""
    at = ""
    for one in events:
        if one["at"] != at:
            at = one["at"]
            print(at)
        mark = "NO" if not one["ok"] else "ok" if one["kind"] == "expect" else "  "
        print(
            f"{one['second']:8.2f} s  {mark} {one['kind']} {one['what']}" + (f": {one['seen']}" if one["seen"] else "")
        )
