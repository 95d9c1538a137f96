"""Both backends give the same matrix, cell by cell: as it was recorded, and live where containerlab can be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.clab_recording import AGAIN, ROOT, lab_run, pack, recorded_cells, recorded_hash, topology_hash
from tests.lab.reference_lab import need_containerlab
from toolkit.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def differences(one, other):
    """Cells that are not the same in both, at most twenty; a cell that only one has is a difference."""
    return [(cell, one.get(cell), other.get(cell)) for cell in one | other if one.get(cell) != other.get(cell)][:20]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    return lab_run(tmp_path_factory.mktemp("netns"), "netns")


def test_the_recording_belongs_to_the_topology_file_of_today():
    assert recorded_hash() == topology_hash(), f"the recording is stale: the topology file has changed; {AGAIN}"


def test_the_embedded_lab_agrees_with_the_recorded_containers(embedded):
    outcome, cells = embedded
    assert outcome["ok"]
    assert len(cells) == outcome["matrix"]["probes"] >= 2000
    assert differences(cells, recorded_cells()) == [], f"where the change is meant, {AGAIN}"


def test_a_single_other_cell_would_be_noticed(embedded):
    _, cells = embedded
    cell = next(cell for cell, live in cells.items() if live == "denied")
    other = {**cells, cell: "permitted"}
    assert differences(cells, other) == [(cell, "denied", "permitted")]
    assert pack(other) != pack(cells)
    del other[cell]
    assert differences(cells, other) == [(cell, "denied", None)]


def test_the_containers_of_today_agree_with_the_embedded_lab(embedded, tmp_path):
    need_containerlab()
    outcome, cells = lab_run(tmp_path, "containerlab")
    assert outcome["backend"] == "containerlab"
    assert outcome["ok"]
    assert all(service["healthy"] for service in outcome["services"].values())
    assert differences(cells, embedded[1]) == []
    assert outcome["matrix"] == embedded[0]["matrix"]
    assert Engine().containers("toolkit-reference") == []
    assert Engine().network("toolkit-reference") is None
    assert not os.path.lexists("/run/toolkit-lab/toolkit-reference")


def test_a_lab_of_containers_that_stays(tmp_path):
    need_containerlab()
    (tmp_path / "inventory").symlink_to(ROOT / "inventory")

    def toolkit(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "toolkit", *arguments],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    try:
        assert toolkit("lab", "up", "--backend", "containerlab").returncode == 0
        inside = toolkit("lab", "exec", "--", sys.executable, "-m", "toolkit", "check", "client1", "lb1", "tcp", "443", "--live", "--json")  # fmt: skip
        assert '"verdict": "denied"' in inside.stdout, inside.stderr
        tested = toolkit("lab", "test", "--json")
        assert '"backend": "containerlab"' in tested.stdout, tested.stderr
        assert tested.returncode == 4  # nothing was pushed: what is asked for does not pass
    finally:
        ended = toolkit("lab", "down")
    assert ended.returncode == 0, ended.stderr
    assert Engine().containers("toolkit-reference") == []
    assert not os.path.lexists("/run/toolkit-lab/toolkit-reference")


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("who", ["the command", "its worker"])
def test_a_kill_while_containers_come_up_leaves_nothing(tmp_path, who):
    need_containerlab()
    (tmp_path / "inventory").symlink_to(ROOT / "inventory")
    running = subprocess.Popen(
        [sys.executable, "-m", "toolkit", "lab", "run", "--backend", "containerlab"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(Engine().containers("toolkit-reference")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    (worker,) = children(running.pid)
    os.kill(running.pid if who == "the command" else worker, signal.SIGKILL)
    assert running.wait(timeout=60) != 0
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)
    assert Engine().containers("toolkit-reference") == []
    assert Engine().network("toolkit-reference") is None
    assert not os.path.lexists("/run/toolkit-lab/toolkit-reference")
    assert "toolkit-reference" not in Path("/etc/hosts").read_text(encoding="utf-8")
