"""When a push to IOS may count on the device's own timer, and when not: asked for the plan, and again before a push."""

from __future__ import annotations

import pytest

from tests.deploy.twin_platform import NEW, OLD
from toolkit.errors import DeployError, DeviceError

TIMED = "configure terminal revert timer 5"
WHY = "with a timer of 5 minutes: it keeps an archive, and nobody else changed anything"


def typed(fleet, word):
    return [line for line in fleet.devices["sw1"].typed if word in line and not line.startswith("show")]


def somebody_changes(fleet, *, saved):
    """A change that has nothing to do with filters, by somebody else at the console."""
    twin = fleet.devices["sw1"]
    twin.running.sections["interface Loopback9"] = ["description theirs"]
    if saved:
        twin.startup = twin.running.copy()


def test_with_an_archive_and_nobody_else_at_work_the_timer_is_used_and_confirmed(build):
    fleet, target = build("cisco_ios")
    plan = fleet.plan(target)
    assert (plan.changes[0].note, plan.changes[0].confirm) == (WHY, "configure confirm\n")
    fleet.apply(target, plan)
    assert (typed(fleet, "revert"), typed(fleet, "confirm")) == ([TIMED], ["configure confirm"])
    assert fleet.seen("sw1") == [OLD, NEW]


def test_what_somebody_changed_and_saved_before_the_plan_is_in_nobodys_way(build):
    fleet, target = build("cisco_ios")
    somebody_changes(fleet, saved=True)
    assert fleet.plan(target).changes[0].note == WHY


def test_what_somebody_has_not_saved_is_not_put_at_risk(build):
    fleet, target = build("cisco_ios")
    somebody_changes(fleet, saved=False)
    plan = fleet.plan(target)
    assert plan.changes[0].note == (
        "without a timer: somebody's change is not saved ('+interface Loopback9' and 1 more), and would go with it"
    )
    assert (plan.changes[0].apply.splitlines()[0], plan.changes[0].confirm) == ("configure terminal", "")
    fleet.apply(target, plan)
    assert (typed(fleet, "revert"), typed(fleet, "confirm")) == ([], [])
    assert fleet.seen("sw1") == [OLD, NEW]
    assert fleet.devices["sw1"].running.sections["interface Loopback9"] == ["description theirs"]
    assert fleet.devices["sw1"].saves == 0, "nor is theirs saved with ours"


def test_without_an_archive_there_is_no_timer(build):
    fleet, target = build("cisco_ios")
    twin = fleet.devices["sw1"]
    fleet.server.do(lambda: [tree.sections.pop("archive") for tree in (twin.running, twin.startup)])
    fleet.platform = Untimed(fleet)
    plan = fleet.plan(target)
    assert plan.changes[0].note == "without a timer: the device keeps no archive"
    fleet.apply(target, plan)
    assert (typed(fleet, "revert"), fleet.seen("sw1")[-1]) == ([], NEW)


def test_while_somebody_elses_timer_runs_nothing_is_planned_or_sent(build):
    fleet, target = build("cisco_ios")
    plan = fleet.plan(target)
    twin = fleet.devices["sw1"]
    fleet.server.do(lambda: twin.start_timer(5, twin.running.copy()))
    words = "sw1 will go back by itself: somebody else has configured it with a revert timer"
    with pytest.raises(DeployError, match=words):
        fleet.plan(target)
    with pytest.raises(DeployError, match=words):
        fleet.apply(target, plan)
    assert (typed(fleet, "configure"), twin.timed, fleet.seen("sw1")) == ([], True, [OLD])
    assert fleet.steps(plan, "sw1") == []
    fleet.server.do(twin.confirm)
    fleet.apply(target, plan)
    assert fleet.opens("sw1") == NEW


def test_a_change_of_somebody_between_plan_and_push_stops_the_push_until_it_is_settled(build):
    fleet, target = build("cisco_ios")
    plan = fleet.plan(target)
    somebody_changes(fleet, saved=False)
    words = r"the plan counts on 'configure terminal revert timer', but somebody's change is not saved \('\+interface"
    with pytest.raises(DeployError, match=words):
        fleet.apply(target, plan)
    assert (typed(fleet, "configure"), fleet.seen("sw1"), fleet.steps(plan, "sw1")) == ([], [OLD], [])
    somebody_changes(fleet, saved=True)
    fleet.apply(target, plan)
    assert (fleet.opens("sw1"), typed(fleet, "revert")) == (NEW, [TIMED])


def test_a_device_that_does_not_know_the_questions_is_changed_without_a_timer(build):
    fleet, target = build("cisco_ios")
    fleet.fault("sw1", reject="show archive")
    plan = fleet.plan(target)
    assert plan.changes[0].note.startswith("without a timer: it does not answer 'show archive config rollback timer'")
    fleet.apply(target, plan)
    assert (typed(fleet, "revert"), fleet.opens("sw1")) == ([], NEW)


@pytest.mark.parametrize("os", ["arista_eos", "juniper_junos", "cisco_asa", "cisco_nxos"])
def test_other_systems_are_not_asked(build, os):
    fleet, target = build(os)
    plan = fleet.plan(target)
    fleet.apply(target, plan)
    assert plan.changes[0].note == ""
    assert not [line for line in fleet.devices["sw1"].typed if "archive" in line]


def test_a_timer_that_the_device_refuses_after_all_changes_nothing(build):
    """The archive is gone when the push begins: the device says so in its own words, and stays as it was."""
    fleet, target = build("cisco_ios")
    plan = fleet.plan(target)
    twin = fleet.devices["sw1"]
    fleet.server.do(lambda: [tree.sections.pop("archive") for tree in (twin.running, twin.startup)])
    with pytest.raises(DeviceError, match="Archive configuration is not enabled"):
        fleet.apply(target, plan)
    assert fleet.seen("sw1") == [OLD]


class Untimed:
    """The platform of the fleet as the real one is where a device keeps no archive."""

    def __init__(self, fleet):
        from dataclasses import replace

        from tests.deploy.twin_platform import PLATFORMS

        def change(candidate, running):
            found = PLATFORMS[fleet.os].change(candidate, running)
            return replace(found, apply=found.apply.replace(TIMED, "configure terminal"), confirm="")

        self.change = change
