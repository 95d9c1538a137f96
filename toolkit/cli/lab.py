"""`toolkit lab`: rehearse a site in network namespaces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, note, print_json
from toolkit.cli._evidence import write_evidence
from toolkit.cli._scenario import print_timeline
from toolkit.cli._story import Story
from toolkit.lab.backends import DEFAULT, backend_names, load_backend

if TYPE_CHECKING:
    from toolkit.lab.matrix import Matrix
    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.scenario import Scenario

LABS = Path("labs")
RUNS = Path("runs")
PROOF_FAILED = 4
SHOWN = 20


backend_option = click.option("--backend", type=click.Choice(backend_names()), default=DEFAULT, show_default=True)


@click.group()
def lab() -> None:
    """Rehearse a change: real sshd, real nftables, real services, the production addresses."""


@lab.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the topology file."
)
@click.option("--by-hand", is_flag=True, help="Add exec lines with addresses and routes, to deploy it without toolkit.")
@inventory_option
@json_option
def build(inventory: Path, output: Path | None, by_hand: bool, as_json: bool) -> None:
    """Write the topology file (.clab.yml) of a site."""
    from toolkit.lab.by_hand import write_by_hand
    from toolkit.lab.topology_file import write

    work = Work(inventory)
    path = output or LABS / work.site.name / f"{work.site.name}.clab.yml"
    (write_by_hand if by_hand else write)(work.site, path)
    if as_json:
        print_json({"file": str(path), "nodes": len(work.site.topology.nodes), "links": len(work.site.topology.links)})
    else:
        note(f"{path}: {len(work.site.topology.nodes)} nodes, {len(work.site.topology.links)} links")


@lab.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the picture.")
@inventory_option
def picture(inventory: Path, name: str | None, output: Path | None) -> None:
    """Draw the topology of a lab as SVG, beside its README."""
    from toolkit.report.pictures import topology_picture

    work = Work(lab_folder(inventory, name))
    folders = (LABS / (name or work.site.name), work.folder)
    path = output or next(folder for folder in folders if folder.is_dir()) / "topology.svg"
    path.write_text(topology_picture(work.site).svg, encoding="utf-8")
    note(str(path))


@lab.command()
@click.argument("name", required=False)
@click.option("--plan", "plan_id", help="Rehearse this plan's candidates and issue its certificate.")
@backend_option
@click.option(
    "--break", "sabotage", type=click.Choice(["permit-any", "deny-any"]), help="Break the devices on purpose."
)
@inventory_option
@json_option
def run(
    inventory: Path, name: str | None, plan_id: str | None, backend: str, sabotage: str | None, as_json: bool
) -> int:
    """Lab up, push over SSH, probe the whole matrix, lab down; exit 4 when anything is wrong or inconclusive.

    A lab that declares a scenario plays that instead; with --plan or --break the change itself is rehearsed.
    """
    place = load_backend(backend)
    work = Work(lab_folder(inventory, name))
    expectations = expectations_of(work, name)
    place.check()
    result_file = RUNS / "last-lab.json"
    RUNS.mkdir(exist_ok=True)
    result_file.unlink(missing_ok=True)
    scenario = None if plan_id or sabotage else scenario_of(work)
    _ = work.rendered  # a site that cannot be rendered is refused before anything is built

    def inside() -> int:
        from toolkit.cli._scenario import new_run, play
        from toolkit.lab.rehearsal import Rehearsal

        rehearsal = Rehearsal(work, new_run(RUNS, work.folder.resolve().name) if scenario else RUNS, backend=backend)
        with rehearsal:
            if scenario is not None:
                outcome = play(rehearsal, scenario, work.folder)
            else:
                outcome = _rehearse(rehearsal, expectations, sabotage, plan_id)
        outcome["timings"] = rehearsal.timings.seconds
        result_file.write_text(json.dumps({"backend": backend, **outcome}), encoding="utf-8")
        return 0

    code = place.run(inside)
    if code != 0 or not result_file.exists():
        return code or 1
    outcome = json.loads(result_file.read_text(encoding="utf-8"))
    cells = outcome.pop("cells", [])
    if as_json:
        print_json(outcome)
    else:
        print_outcome(outcome, cells)
    return 0 if outcome["ok"] else PROOF_FAILED


def scenario_of(work: Work) -> Scenario | None:
    """The scenario that a lab's folder declares, checked against its site.

    Raises:
        InputError: with file and line of the first mistake, and the valid choices.
    """
    from toolkit.lab.scenario import load_scenario

    return load_scenario(work.folder, work.site)


def lab_folder(inventory: Path, name: str | None) -> Path:
    """The site of a lab, by the lab's name or path; the inventory where none is named.

    Raises:
        LabError: there is no such lab; the message lists those that exist.
    """
    from toolkit.errors import LabError

    if name is None or name == "reference":
        return inventory
    folder = Path(name) if Path(name).is_dir() else LABS / name
    if not is_lab(folder):
        known = sorted(path.name for path in LABS.iterdir() if is_lab(path)) if LABS.is_dir() else []
        raise LabError(f"no lab {name!r} (labs: {', '.join(known) or 'none'})")
    return folder


def is_lab(folder: Path) -> bool:
    """Whether a folder holds a site, or points to one."""
    return (folder / "site.yaml").is_file() or (folder / "site").exists()


def expectations_of(work: Work, name: str | None) -> Path | None:
    """The hand-written expectations of a lab, where it has some."""
    for folder in (work.folder, LABS / (name or work.site.name)):
        if (folder / "expectations.csv").is_file():
            return folder / "expectations.csv"
    return None


def _rehearse(
    rehearsal: Rehearsal, expectations: Path | None, sabotage: str | None, plan_id: str | None
) -> dict[str, Any]:
    """The work of one run; returns what `lab run --json` prints, and the cells that are wrong."""
    from toolkit.errors import LabError

    story = Story(quiet=True)
    with story.step("plan"):
        planned = rehearsal.make_plan()
    if plan_id is not None and planned.plan.id != plan_id:
        raise LabError(
            f"the lab starts from the recorded filters and gives plan {planned.plan.id}, not {plan_id}: the devices "
            "have something else than filter.running says; record their filters first"
        )
    with story.step("push over SSH, read back, prove") as chapter:
        chapter.say(f"changed: {', '.join(rehearsal.push(planned).changed)}")
    if sabotage is not None:
        with story.step(f"break on purpose: {sabotage}") as chapter:
            chapter.say(", ".join(rehearsal.sabotage(sabotage)))
    services = rehearsal.wait_healthy(1.0 if sabotage else 15.0)
    states = {device: one.after for device, one in rehearsal.work.rendered.items()}
    with story.step("matrix") as chapter:
        matrix = rehearsal.matrix(states, expectations)
        chapter.say(", ".join(f"{name}: {value}" for name, value in matrix.counts.items()))
    ok = matrix.ok and all(one.healthy for one in services)
    certificate = rehearsal.certify(planned) if ok and sabotage is None else None
    write_evidence(story, rehearsal.work, rehearsal, planned, matrix, services, certificate)
    return {
        "ok": ok,
        "run": planned.plan.id,
        "matrix": matrix.counts,
        "services": {one.name: {"healthy": one.healthy, "detail": one.detail} for one in services},
        "certificate": certificate,
        **({"twins": rehearsal.twins} if rehearsal.twins else {}),
        **({"monitored": rehearsal.monitored(matrix)} if rehearsal.monitors else {}),
        "cells": wrong_cells(matrix),
    }


def wrong_cells(matrix: Matrix) -> list[dict[str, str]]:
    """Cells that are wrong or inconclusive."""
    return [
        {
            "cell": f"{cell.source} -> {cell.destination} {cell.protocol}/{cell.port}",
            "wrong": cell.wrong or "inconclusive",
            "detail": f"intent {cell.intent}, model {cell.model}, expectation {cell.expectation}, live {cell.live}",
            "evidence": cell.evidence,
        }
        for cell in matrix.cells
        if cell.wrong or cell.live == "inconclusive"
    ]


def print_outcome(outcome: dict[str, Any], cells: list[dict[str, str]]) -> None:
    """The outcome of a run for people."""
    if "timeline" in outcome:
        print_timeline(outcome["timeline"])
        print(f"did not hold: {outcome['problem']}" if outcome["problem"] else "every expectation held")
    counts = outcome["matrix"]
    print(", ".join(f"{name}: {value}" for name, value in counts.items()))
    for cell in cells[:SHOWN]:
        print(f"  {cell['cell']}: {cell['wrong']} ({cell['detail']}; {cell['evidence']})")
    if len(cells) > SHOWN:
        print(f"  and {len(cells) - SHOWN} more, in runs/{outcome['run']}/matrix.csv")
    if "monitored" in outcome:
        print(
            f"enforcement: monitor permits {outcome['monitored']} of these, which nothing asks for; "
            "enforcement: enforce in site.yaml would deny them"
        )
    for name, one in outcome["services"].items():
        print(f"{name}: {'healthy' if one['healthy'] else 'NOT HEALTHY'}, {one['detail']}")
    if outcome.get("twins"):
        names = ", ".join(f"{device} ({system})" for device, system in outcome["twins"].items())
        print(f"twins, which are this project's reading of the vendors' manuals and not their OSes: {names}")
    total = sum(outcome["timings"].values())
    print(", ".join(f"{name} {value:.1f} s" for name, value in outcome["timings"].items()) + f"; in all {total:.1f} s")


@lab.command()
@backend_option
@inventory_option
def up(inventory: Path, backend: str) -> None:
    """Start the lab of a site in the background, with the filters that the site has today."""
    from toolkit.lab import running

    load_backend(backend).check()
    work = Work(inventory)
    found = running.start(work, RUNS, _answer, backend)
    note(f"the lab of {found.name} is up (process {found.pid})")
    note("toolkit lab exec -- toolkit plan     plans against its devices; so do apply, verify, rollback, check --live")
    note("toolkit lab test                     probes the whole matrix; toolkit lab down ends it")


@lab.command()
@inventory_option
@json_option
def test(inventory: Path, as_json: bool) -> int:
    """Probe the whole matrix of the lab that is up, against its running filters; exit 4 when anything is wrong."""
    from toolkit.lab import running

    work = Work(inventory)
    expectations = expectations_of(work, None)
    question = {"do": "test", "expectations": str(expectations.resolve()) if expectations else None}
    outcome = running.ask(running.must_find(RUNS, work.site.name), question)
    cells = outcome.pop("cells")
    if as_json:
        print_json(outcome)
    else:
        print_outcome(outcome, cells)
    return 0 if outcome["ok"] else PROOF_FAILED


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@inventory_option
def exec(inventory: Path, command: tuple[str, ...]) -> int:  # noqa: A001 - the verb's name
    """Run a command inside the lab that is up, logged in to its devices: toolkit lab exec -- toolkit verify."""
    from toolkit.lab import running

    return running.execute(running.must_find(RUNS, Work(inventory).site.name), command)


@lab.command()
@inventory_option
def down(inventory: Path) -> None:
    """End the lab that is up; nothing of it stays."""
    from toolkit.lab import running

    found = running.must_find(RUNS, Work(inventory).site.name)
    running.stop(found)
    note(f"the lab of {found.name} is down")


def _answer(rehearsal: Rehearsal, question: dict[str, Any]) -> dict[str, Any]:
    """What a running lab does when it is asked."""
    from toolkit.errors import LabError

    if question.get("do") != "test":
        raise LabError(f"the lab does not know how to {question.get('do')!r}")
    services = rehearsal.wait_healthy(1.0)
    expectations = Path(question["expectations"]) if question.get("expectations") else None
    matrix = rehearsal.matrix(rehearsal.read(), expectations)
    rehearsal.target.close()
    return {
        "ok": matrix.ok and all(one.healthy for one in services),
        "backend": rehearsal.backend,
        "run": "",
        "matrix": matrix.counts,
        "services": {one.name: {"healthy": one.healthy, "detail": one.detail} for one in services},
        "timings": dict(rehearsal.timings.seconds),
        "certificate": None,
        "cells": wrong_cells(matrix),
    }


@lab.command()
@backend_option
def check(backend: str) -> None:
    """Say whether this machine can run a lab: programs, and the right to use them (exit 1 with the remedy)."""
    load_backend(backend).check()
    note("a lab can run here")
