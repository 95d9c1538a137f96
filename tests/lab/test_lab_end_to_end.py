"""The lab as its users run it: through the command line, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path):
    """A working folder with the site and the labs of the project, so that runs stay out of the checkout."""
    for name in ("inventory", "labs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def toolkit(place, *arguments, timeout=120):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=place, env=environment, text=True, capture_output=True, timeout=timeout, check=False,
    )  # fmt: skip


def left_over(marker):
    """Processes that carry a marker in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


def test_the_whole_matrix_is_as_the_page_asks(place):
    done = toolkit(place, "lab", "run", "--json")
    outcome = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert outcome["ok"]
    assert outcome["backend"] == "netns"
    assert outcome["matrix"]["probes"] >= 2000
    assert outcome["matrix"]["wrong"] == outcome["matrix"]["inconclusive"] == 0
    assert outcome["matrix"]["permitted"] + outcome["matrix"]["denied"] == outcome["matrix"]["probes"]
    assert all(service["healthy"] for service in outcome["services"].values())
    assert set(outcome["certificate"]["levels"]) == {"leaf1", "leaf2", "fw1", "fw2"}
    folder = place / "runs" / outcome["run"]
    for name in (
        "plan.json",
        "rehearsal.jsonl",
        "matrix.csv",
        "report.html",
        "junit.xml",
        "before/fw1.cfg",
        "after/fw1.cfg",
    ):
        assert (folder / name).stat().st_size, name
    assert toolkit(place, "report").returncode == 0


@pytest.mark.parametrize("kind", ["permit-any", "deny-any"])
def test_a_lab_that_is_broken_on_purpose_says_so(place, kind):
    done = toolkit(place, "lab", "run", "--break", kind, "--json")
    outcome = json.loads(done.stdout)
    assert done.returncode == 4
    assert not outcome["ok"]
    assert outcome["certificate"] is None
    assert outcome["matrix"]["wrong"] > 100


def test_the_demo_holds_every_step(place):
    done = toolkit(place, "demo", timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step held" in done.stdout
    assert "wrong: 0, inconclusive: 0" in done.stdout
    assert "asked for by: " in done.stdout
    assert "0 lost" in done.stdout


def test_a_lab_that_stays_takes_every_verb_and_goes_without_a_trace(place):
    assert toolkit(place, "lab", "up").returncode == 0
    try:
        assert toolkit(place, "lab", "up").returncode == 1  # it is up already
        assert toolkit(place, "lab", "test", "--json").returncode == 4  # today's filters block the application
        inside = ("lab", "exec", "--", sys.executable, "-m", "toolkit")
        plan = toolkit(place, *inside, "plan", "--json")
        assert plan.returncode == 3, plan.stderr
        identifier = json.loads(plan.stdout)["id"]
        refused = toolkit(place, *inside, "apply", identifier)
        assert refused.returncode == 1
        assert "has no lab certificate" in refused.stderr
        applied = toolkit(place, *inside, "apply", identifier, "--without-lab", "--json")
        assert applied.returncode == 0, applied.stderr
        assert sorted(json.loads(applied.stdout)["changed"]) == ["fw1", "fw2", "leaf1", "leaf2"]
        again = toolkit(place, *inside, "apply", identifier, "--without-lab", "--json")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["changed"] == []
        assert toolkit(place, *inside, "plan").returncode == 0
        assert toolkit(place, *inside, "verify").returncode == 0
        assert toolkit(place, "lab", "test", "--json").returncode == 0
        back = toolkit(place, *inside, "rollback", identifier, "--json")
        assert back.returncode == 0, back.stderr
        assert toolkit(place, *inside, "plan", "--json").returncode == 3
    finally:
        assert toolkit(place, "lab", "down").returncode == 0
    assert toolkit(place, "lab", "test").returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_behind(place, number):
    marker = f"TOOLKIT_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    name, _, value = marker.partition("=")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), name: value}
    running = subprocess.Popen(
        [sys.executable, "-m", "toolkit", "demo"],
        cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with running:
        for line in running.stdout:
            if line.startswith("[4]"):
                break
        assert len(left_over(marker)) > 10
        running.send_signal(number)
        running.stdout.close()
        assert running.wait(timeout=30) != 0
    deadline = time.monotonic() + 10
    while left_over(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_over(marker) == []


def test_an_unknown_lab_and_a_backend_that_is_not_there(place):
    unknown = toolkit(place, "lab", "run", "nowhere")
    assert (unknown.returncode, "no lab 'nowhere' (labs: " in unknown.stderr) == (1, True)
    backend = toolkit(place, "lab", "run", "--backend", "vmware")
    assert (backend.returncode, "'containerlab', 'netns'" in backend.stderr) == (2, True)
