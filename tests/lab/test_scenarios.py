"""Every lab with a scenario, played through the command line; and scenarios that must not hold, or are killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.reference_lab import ROOT, need_containerlab, need_namespaces, processes_with
from toolkit.errors import LabError
from toolkit.lab import director
from toolkit.lab.namespaces import run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.scenario import load_scenario
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("scenarios")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
TOOLKIT = (sys.executable, "-m", "toolkit")
LABS = sorted(path.parent.name for path in (ROOT / "labs").glob("*/scenario.yaml"))


def working_folder(folder):
    """The site and copies of the labs, so that runs stay out of the checkout."""
    need_namespaces()
    (folder / "inventory").symlink_to(ROOT / "inventory")
    shutil.copytree(ROOT / "labs", folder / "labs")
    return folder


@pytest.fixture
def place(tmp_path):
    return working_folder(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def playing(tmp_path_factory):
    """Every scenario at once, from the first test on: they wait more than they work, and none knows of the others."""
    started = {}
    try:
        for name in LABS:
            folder = working_folder(tmp_path_factory.mktemp(name))
            started[name] = folder, subprocess.Popen(
                [*TOOLKIT, "lab", "run", f"labs/{name}", "--json"],
                cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        yield started
    finally:
        for _, running in started.values():
            running.kill()
            running.communicate()


def toolkit(place, *arguments):
    return subprocess.run(
        [*TOOLKIT, *arguments], cwd=place, env=ENVIRONMENT, text=True, capture_output=True, timeout=120, check=False
    )


def play(place, name):
    done = toolkit(place, "lab", "run", name, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_does_not_hold_is_exit_4_and_says_where(place):
    file = place / "labs" / "failures" / "scenario.yaml"
    now = "{at: now, expect: [denied: [client1 node1 tcp/443], permitted: [client1 node1 tcp/22]]}"
    file.write_text(f"---\nabout: it cannot hold\nsteps:\n  - {now}\n  - {{at: later, expect: [push: applied]}}\n")
    code, outcome = play(place, "failures")
    assert (code, outcome["ok"]) == (4, False)
    assert [(event["at"], event["ok"]) for event in outcome["timeline"]] == [("now", False), ("now", True)]
    assert outcome["problem"].startswith("now: denied client1 node1 tcp/443: client1 node1 tcp/443: permitted")
    folder = place / "runs" / outcome["run"]
    assert "Not everything held" in (folder / "report.html").read_text(encoding="utf-8")
    assert "<failure" in (folder / "junit.xml").read_text(encoding="utf-8")


def test_every_expectation_can_fail(tmp_path, monkeypatch):
    """One lab, in which each kind of expectation is asked for what is not so."""
    monkeypatch.setattr(director, "PATIENCE", 0.2)
    folder = ROOT / "labs" / "failures"
    cases = (
        ("{at: case 1, do: [watch, block: {device: fw1, port: 53, protocol: udp}], expect: [losses: 0]}", " lost; jump1 -> sql1 udp/53: "),
        ("{at: case 2, do: [unblock: fw1, push], expect: [push: rolled back]}", "applied"),
        ("{at: case 3, expect: [filters: {leaf1: old}]}", "leaf1 new"),
        ("{at: case 4, expect: [journal: {leaf1: sent}]}", "leaf1 saved"),
        ("{at: case 5, expect: [permitted: [client1 node1 tcp/443]]}", "client1 node1 tcp/443: denied, fw1: fw1:uipath_eth5_in"),
        ("{at: case 6, expect: [permitted: [node1 lb1 tcp/60]]}", "the matrix has no cell node1 lb1 tcp/60"),
        ("{at: case 7, do: [open: {name: a, source: node1, destination: node3, port: 2379, path: /version}], expect: [session_cut: a]}", "open: HTTP status 200"),
        ("{at: case 8, expect: [tracked: {device: fw1, port: 2379, sessions: none}]}", "established sessions to 2379"),
        ("{at: case 9, do: [block: {device: leaf1, port: 2379}], expect: [session_open: a]}", "cut: no answer within"),
        ("{at: case 9a, expect: [foreign: untouched]}", "as before: leaf2, fw1; changed: leaf1"),
        ("{at: case 9b, expect: [proof: holds]}", "not: leaf1"),
        ("{at: case 10, expect: [matrix: expectations.csv]}", "; node1 -> node2 tcp/2379 denied, leaf1: entered on eth1"),
        ("{at: case 11, do: [reboot: leaf1, link_down: 'leaf1:eth1'], expect: [permitted: [node1 sql1 tcp/1433]]}", "silence"),
        ("{at: case 11a, expect: [services: healthy]}", "haproxy: 4 of 6 servers up"),
        ("{at: case 11b, expect: [etcd: healthy]}", "degraded: 2 of 3 members know a leader"),
        ("{at: case 11c, expect: [server: {name: node1, port: 443, state: UP}]}", "node1 on 443 is DOWN"),
        ("{at: case 12, do: [push: {faults: [{at: {device: fw1, step: failed}, do: [flush: fw1]}]}], expect: [losses: 0]}", "could not be done: the push never came to: fw1 failed"),
    )  # fmt: skip
    text = "".join(f"  - {step}\n" for step, _ in cases)
    lab = tmp_path / "lab"
    lab.mkdir()
    shutil.copy(folder / "expectations.csv", lab)
    (lab / "scenario.yaml").write_text(f"---\nabout: nothing holds\nsteps:\n{text}", encoding="utf-8")
    work = Work(folder)
    scenario = load_scenario(lab, work.site)

    def inside():
        with Rehearsal(work, tmp_path / "runs") as rehearsal, director.Director(rehearsal, scenario, lab) as playing:
            for step, (_, seen) in zip(scenario.steps, cases, strict=True):
                with contextlib.suppress(LabError):  # what cannot be done stands in the time line too
                    assert not playing.step(step), step.at
                assert seen in playing.events[-1].seen, playing.events[-1]
                assert not playing.events[-1].ok
        return 0

    need_namespaces()
    assert run_inside(inside) == 0, "the traceback of the child stands in the captured output"


def test_a_mistake_in_a_scenario_is_bad_input(place):
    file = place / "labs" / "failures" / "scenario.yaml"
    file.write_text("---\nabout: x\nsteps:\n  - {at: now, do: [rebot: leaf1]}\n")
    done = toolkit(place, "lab", "run", "failures")
    assert (done.returncode, done.stdout) == (2, "")
    assert "labs/failures/scenario.yaml:4: unknown key 'rebot'; did you mean 'reboot'?" in done.stderr
    assert not (place / "runs").exists() or not list((place / "runs").glob("failures-*"))


@pytest.mark.parametrize(("number", "moment"), [(signal.SIGTERM, "a push"), (signal.SIGKILL, "a fault")])
def test_killing_it_leaves_nothing_behind(place, number, moment):
    fault = "block: {device: leaf1, port: 2380}, watch" if moment == "a fault" else "push"
    file = place / "labs" / "failures" / "scenario.yaml"
    file.write_text(f"---\nabout: killed\nsteps:\n  - {{at: now, do: [push, {fault}], expect: [etcd: broken]}}\n")
    marker = f"{os.getpid()}-{time.monotonic_ns()}"
    said = place / "said"
    with said.open("w", encoding="utf-8") as sink, subprocess.Popen(
        [*TOOLKIT, "lab", "run", "failures"],
        cwd=place, env={**ENVIRONMENT, "TOOLKIT_TEST_MARK": marker},
        stdout=sink, stderr=sink,
    ) as running:  # fmt: skip
        deadline = time.monotonic() + 240
        while running.poll() is None and time.monotonic() < deadline and not _reached(place, moment):
            time.sleep(0.01)
        assert _reached(place, moment), (running.poll(), said.read_text(encoding="utf-8"))
        assert len(processes_with(marker)) > 5
        running.send_signal(number)
        assert running.wait(timeout=30) != 0
    deadline = time.monotonic() + 10
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(marker) == []


def _reached(place, moment):
    """The journal says where the push is; once it has finished, what follows is under way."""
    texts = [path.read_text(encoding="utf-8") for path in Path(place, "runs").glob("failures-*/*/rehearsal.jsonl")]
    wanted = '"finished"' if moment == "a fault" else '"sending"'
    return any(wanted in text for text in texts)


@pytest.mark.parametrize("name", LABS)
def test_a_scenario_holds(playing, name):
    place, running = playing[name]
    output, errors = running.communicate(timeout=240)
    assert output, errors
    code, outcome = running.returncode, json.loads(output)
    missed = [event for event in outcome["timeline"] if not event["ok"]]
    assert (code, missed, outcome["problem"]) == (0, [], "")
    assert outcome["ok"]
    assert outcome["matrix"]["probes"] > 500
    assert outcome["matrix"]["wrong"] == outcome["matrix"]["inconclusive"] == 0
    assert [event["second"] for event in outcome["timeline"]] == sorted(
        event["second"] for event in outcome["timeline"]
    )
    folder = place / "runs" / outcome["run"]
    assert json.loads((folder / "timeline.json").read_text(encoding="utf-8")) == outcome["timeline"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Time line" in page
    assert outcome["timeline"][-1]["at"] in page
    assert list(folder.glob("*/rehearsal.jsonl"))  # every plan that was pushed left its journal
    assert "timeline" in (folder / "junit.xml").read_text(encoding="utf-8")
    assert toolkit(place, "report", outcome["run"]).returncode == 0  # written again from what the run left behind


def test_the_other_backend_breaks_in_the_same_way(place):
    need_containerlab()
    embedded = json.loads(toolkit(place, "lab", "run", "failures", "--json").stdout)
    done = toolkit(place, "lab", "run", "failures", "--backend", "containerlab", "--json")
    assert done.stdout, done.stderr
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["problem"], outcome["backend"]) == (0, "", "containerlab")
    assert outcome["matrix"] == embedded["matrix"]
    told = [[(one["at"], one["what"], one["ok"]) for one in run["timeline"]] for run in (embedded, outcome)]
    assert told[0] == told[1]
