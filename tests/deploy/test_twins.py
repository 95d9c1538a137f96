"""Plans pushed to twins of vendors' command lines over real SSH: in order, and with everything that can go wrong."""

from __future__ import annotations

import contextlib

import pytest

from tests.deploy.twin_fleet import NEW, OLD, enter_fleet, make_fleet
from toolkit.errors import DeployError, DeviceError
from toolkit.site import DeploySettings

SYSTEMS = ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"]
WHOLE = ["arista_eos", "cisco_nxos", "juniper_junos"]  # a change is one commit; the others rebind under a new name
TIMED = ["cisco_ios", "arista_eos", "juniper_junos"]


@pytest.fixture
def stack():
    with contextlib.ExitStack() as one:
        yield one


@pytest.fixture
def build(stack, tmp_path, monkeypatch):
    """A fleet of some twins of an OS, with a target whose sessions end with the test."""

    monkeypatch.delenv("TOOLKIT_ENABLE_PASSWORD", raising=False)

    def make(os, count=1, waves=(), **login):
        settings = DeploySettings(max_devices=50, waves=waves)
        server, key = make_fleet(os, count, tmp_path, monkeypatch, settings, **login)
        stack.enter_context(server)
        fleet = enter_fleet(os, server, key, tmp_path, monkeypatch, settings)
        target = fleet.target()
        stack.callback(target.close)
        return fleet, target

    return make


def failing(fleet, target, plan, kind=DeployError, **options):
    """The words of an apply that fails."""
    with pytest.raises(kind) as caught:
        fleet.apply(target, plan, **options)
    return str(caught.value)


# ---- in order --------------------------------------------------------------------------------


@pytest.mark.parametrize("os", SYSTEMS)
def test_a_push_is_confirmed_proved_saved_and_undone(build, os):
    fleet, target = build(os, 2, waves=(("sw1",), ("sw2",)))
    plan = fleet.plan(target)
    assert fleet.seen("sw1") == [OLD]
    asked = []
    fleet.on_verify = lambda device, _state: asked.append((device, fleet.devices[device].timed))
    outcome = fleet.apply(target, plan)
    assert outcome.changed == ["sw1", "sw2"]
    assert fleet.opens("sw1") == fleet.opens("sw2") == NEW
    assert fleet.seen("sw1") == [OLD, NEW], "no moment without a filter, none with half of one"
    assert asked == [("sw1", os in TIMED), ("sw2", os in TIMED)], "the timer runs until the proof is there"
    assert not any(device.timed for device in fleet.devices.values())
    confirming = ["confirming"] * (os in TIMED)
    assert fleet.steps(plan, "sw1") == ["sending", "sent", *confirming, "verified", "saving", "saved"]
    assert fleet.devices["sw1"].startup.text() == fleet.devices["sw1"].running.text()
    again = fleet.apply(target, plan)
    assert (again.changed, again.unchanged) == ([], ["sw1", "sw2"])
    assert fleet.rollback(target, plan).rolled_back == ["sw2", "sw1"]
    assert fleet.seen("sw1") == [OLD, NEW, OLD]
    assert fleet.devices["sw1"].startup.text() == fleet.devices["sw1"].running.text() == fleet.devices["sw1"].states[0]


@pytest.mark.parametrize("os", [os for os in SYSTEMS if os != "juniper_junos"])
def test_startup_that_differed_before_is_not_saved_unless_asked(build, os):
    fleet, target = build(os)
    twin = fleet.devices["sw1"]
    twin.startup.sections["interface Loopback9"] = ["description only at boot"]
    plan = fleet.plan(target)
    assert fleet.apply(target, plan).notes == ["sw1: startup differed from running before, so it was not saved"]
    assert (fleet.opens("sw1"), twin.saves) == (NEW, 0)
    fleet.rollback(target, plan)
    assert (fleet.opens("sw1"), twin.saves) == (OLD, 0)
    fleet.apply(target, plan, save_anyway=True)
    assert (fleet.opens("sw1"), twin.saves) == (NEW, 1)


def test_an_enable_password_is_given_where_it_is_asked_for(build, monkeypatch):
    monkeypatch.setenv("TOOLKIT_ENABLE_PASSWORD", "open sesame")
    fleet, target = build("cisco_ios", enable="open sesame", privileged=False)
    fleet.apply(target, fleet.plan(target))
    assert fleet.opens("sw1") == NEW


def test_without_the_enable_password_the_remedy_is_named(build):
    _, target = build("cisco_ios", enable="open sesame", privileged=False)
    with pytest.raises(DeviceError, match="sw1 does not let 'netops' become privileged; set TOOLKIT_ENABLE_PASSWORD"):
        target.read(["sw1"])
