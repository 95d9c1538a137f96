"""Two operators push to one device at once, each from a machine of their own, where no file can hold one of them back."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from tests.deploy.fleet import CrashError, apply_module
from tests.deploy.real_fleet import real_fleet
from tests.deploy.twin_platform import NEW, OLD
from toolkit import deploy
from toolkit.deploy.journal import lock
from toolkit.errors import DeployError, LockedError

SYSTEMS = ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"]
THEIRS = (8001, 8003)
# At which step of ours they begin, and whether it is they who win: what was read before is no reason to send.
MOMENTS = {"": True, "sending": True, "sent": False, "verified": False, "saving": False}


@pytest.fixture
def both(request, tmp_path, monkeypatch):
    """Two operators with the same device before them; the second one's journals lie elsewhere."""
    with real_fleet(request.param, 1, tmp_path, monkeypatch) as fleet, contextlib.ExitStack() as stack:
        target = fleet.target()
        stack.callback(target.close)
        fleet.apply(target, fleet.plan(target, OLD))
        fleet.devices["sw1"].states = fleet.devices["sw1"].states[-1:]
        other = replace(fleet, runs=tmp_path / "their runs")
        others = other.target()
        stack.callback(others.close)
        yield fleet, target, other, others


def tried(work):
    """The words of what goes wrong, None where nothing does."""
    try:
        work()
    except DeployError as caught:
        return str(caught)
    return None


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("both", SYSTEMS, indirect=True)
def test_one_of_them_wins_and_the_other_one_is_told(both, moment):
    fleet, target, other, others = both
    ours, theirs = fleet.plan(target, NEW), other.plan(others, THEIRS)
    words = {}

    def told(device, step):
        if (device, step) == ("sw1" if moment else "", moment or "started") and "they" not in words:
            words["they"] = tried(lambda: other.apply(others, theirs))

    words["we"] = tried(lambda: fleet.apply(target, ours, told=told))
    loser, winner = ("we", "they") if MOMENTS[moment] else ("they", "we")
    assert words[winner] is None
    assert "sw1 has changed" in words[loser] or "does not let us configure" in words[loser]
    assert fleet.opens("sw1") == (THEIRS if winner == "they" else NEW)
    assert set(fleet.seen("sw1")) == {OLD, fleet.opens("sw1")}, "nothing of the other one was ever there"
    twin = fleet.devices["sw1"]
    assert (twin.sessions, twin.lock, twin.timed) == ({}, None, False)
    assert twin.startup.text() == twin.running.text()
    assert fleet.steps(ours, "sw1")[-1:] in (["saved"], ["rolled_back"], [])
    again = other if loser == "they" else fleet
    reader = others if loser == "they" else target
    assert again.plan(reader, NEW if loser == "we" else THEIRS).changed == ("sw1",), "who lost plans again, and may"


@pytest.mark.parametrize("both", SYSTEMS, indirect=True)
def test_on_one_machine_the_second_one_is_told_who_is_there(both):
    fleet, target, _, _ = both
    plan = fleet.plan(target, NEW)
    with (
        lock(fleet.runs, "apply abc123"),
        pytest.raises(LockedError, match="another change is under way: apply abc123"),
    ):
        fleet.apply(target, plan)
    assert fleet.seen("sw1") == [OLD]
    fleet.apply(target, plan)
    assert fleet.opens("sw1") == NEW


@pytest.mark.parametrize("both", SYSTEMS, indirect=True)
def test_after_a_crash_nothing_is_resumed_over_what_somebody_else_has_done_meanwhile(both, monkeypatch):
    fleet, target, other, others = both
    plan = fleet.plan(target, NEW)

    def die(*_):
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(apply_module, "load_filter", die)
        patch.setattr(apply_module._Pusher, "undo", die)
        with pytest.raises(CrashError):
            fleet.apply(target, plan)
    assert deploy.Journal(fleet.runs / plan.id).unfinished
    other.apply(others, other.plan(others, THEIRS))
    assert fleet.opens("sw1") == THEIRS
    with pytest.raises(DeployError, match="sw1 has changed since the plan was made"):
        fleet.apply(target, plan, resume=True)
    assert fleet.opens("sw1") == THEIRS
    assert set(fleet.seen("sw1")) == {OLD, THEIRS}
