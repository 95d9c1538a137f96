"""After a crash, and backwards: resume and rollback know from the journal exactly what was sent."""

from __future__ import annotations

import pytest

from tests.deploy.fleet import DEVICES, DONE, NEW, OLD, UNTOUCHED, CrashError
from toolkit.errors import DeployError


@pytest.fixture
def crash(fleet):
    """Let an apply die inside the verification of a device; returns the plan."""

    def after_sending(device: str):
        def die(name):
            if name == device:
                raise CrashError

        plan = fleet.plan()
        fleet.on_verify = die
        with pytest.raises(CrashError):
            fleet.apply(plan)
        fleet.on_verify = None
        fleet.close()
        return plan

    return after_sending


# ---- crashes ---------------------------------------------------------------------------------


def test_after_a_crash_a_plain_apply_is_refused_and_resume_goes_on(fleet, crash):
    plan = crash("leaf1")
    assert fleet.filters() == UNTOUCHED | {"leaf2": NEW, "leaf1": NEW}
    assert fleet.startups() == UNTOUCHED, "nothing is saved before all is verified"
    with pytest.raises(DeployError, match=f"did not finish; run: toolkit apply {plan.id} --resume"):
        fleet.apply(plan)
    outcome = fleet.apply(plan, resume=True)
    assert sorted(outcome.changed) == ["fw1", "fw2"], "what was sent before is not sent again"
    assert (fleet.filters(), fleet.startups()) == (DONE, DONE)
    assert {device: fleet.loads(device) for device in DEVICES} == dict.fromkeys(DEVICES, 1)


def test_after_a_crash_rollback_restores_what_was_sent(fleet, crash):
    plan = crash("fw1")
    assert fleet.running("fw2") == NEW
    outcome = fleet.rollback(plan)
    assert sorted(outcome.rolled_back) == sorted(DEVICES)
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)


@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_while_sending_leaves_two_possible_states_and_resume_takes_both(fleet, crash, arrived):
    plan = crash("leaf2")
    journal = fleet.runs / plan.id / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]), encoding="utf-8")
    assert fleet.steps(plan, "leaf2") == ["sending"]
    if not arrived:
        (fleet.folder("leaf2") / "running").write_text(OLD, encoding="utf-8")
    assert ("leaf2" in fleet.apply(plan, resume=True).changed) is not arrived
    assert fleet.filters() == DONE
    fleet.rollback(plan)
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)


def test_a_resume_refuses_a_device_that_somebody_else_has_changed_meanwhile(fleet, crash):
    plan = crash("leaf1")
    (fleet.folder("leaf2") / "running").write_text("somebody else's rule\n", encoding="utf-8")
    with pytest.raises(DeployError, match="leaf2 has changed since"):
        fleet.apply(plan, resume=True)
    assert fleet.running("fw1") == OLD


def test_ctrl_c_rolls_back(fleet):
    def interrupt(_):
        raise KeyboardInterrupt

    plan = fleet.plan()
    fleet.on_verify = interrupt
    with pytest.raises(KeyboardInterrupt):
        fleet.apply(plan)
    assert fleet.filters() == UNTOUCHED


# ---- backwards -------------------------------------------------------------------------------


def test_rollback_restores_the_first_state_and_startup_exactly(fleet):
    (fleet.folder("fw1") / "boot").unlink()
    (fleet.folder("fw1") / "running").write_text("", encoding="utf-8")
    plan = fleet.plan()
    fleet.apply(plan)
    assert fleet.boot("fw1") == NEW
    outcome = fleet.rollback(plan)
    assert (sorted(outcome.rolled_back[:2]), outcome.rolled_back[2:]) == (["fw1", "fw2"], ["leaf1", "leaf2"])
    assert fleet.filters() == UNTOUCHED | {"fw1": ""}
    assert fleet.startups() == UNTOUCHED | {"fw1": None}


def test_a_rollback_of_what_was_rolled_back_does_nothing_and_the_plan_can_be_applied_again(fleet):
    plan = fleet.plan()
    fleet.apply(plan)
    fleet.apply(plan)  # an apply without a change must not hide the one before it
    fleet.rollback(plan)
    assert fleet.rollback(plan).rolled_back == []
    assert len(fleet.apply(plan).changed) == 4
    fleet.rollback(plan)
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)


def test_a_device_that_cannot_be_rolled_back_does_not_stop_the_others(fleet):
    plan = fleet.plan()
    fleet.apply(plan)
    (fleet.folder("fw1") / "readonly").touch()
    with pytest.raises(DeployError, match=r"not everything could be rolled back: fw1 is read-only .*toolkit rollback"):
        fleet.rollback(plan)
    assert fleet.filters() == UNTOUCHED | {"fw1": NEW}
    (fleet.folder("fw1") / "readonly").unlink()
    assert fleet.rollback(plan).rolled_back == ["fw1"]
    assert fleet.filters() == UNTOUCHED
