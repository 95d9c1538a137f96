"""Plans pushed to twins of vendors' command lines over real SSH: in order, and with everything that can go wrong."""

from __future__ import annotations

import pytest

from tests.deploy.fleet import CrashError, keygen
from tests.deploy.twin_platform import NEW, OLD, boot_config, entries_for, list_name
from toolkit import deploy
from toolkit.errors import DeployError, DeviceError, ProofError

SYSTEMS = ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"]
# Lines of a push to each of them.
COUNTS = {"cisco_ios": 11, "arista_eos": 11, "cisco_nxos": 12, "juniper_junos": 12, "cisco_asa": 7}
TIMED = ["cisco_ios", "arista_eos", "juniper_junos"]


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


@pytest.mark.parametrize("os", ["cisco_nxos", "cisco_asa"])
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


# ---- what goes wrong -------------------------------------------------------------------------


def lines_of(plan) -> list[str]:
    return plan.changes[0].apply.splitlines()


def die(*_, **__):
    raise CrashError


def test_a_timer_of_somebody_else_is_not_confirmed_by_undoing_what_was_never_committed(build):
    fleet, target = build("juniper_junos")
    plan = fleet.plan(target)
    twin = fleet.devices["sw1"]
    fleet.server.do(lambda: twin.start_timer(5, twin.running.copy()))
    fleet.reset_count()
    fleet.fault("sw1", cut_after=2)
    assert "sw1: the session broke" in failing(fleet, target, plan, DeviceError)
    assert (fleet.seen("sw1"), twin.timed) == ([OLD], True)
    fleet.reset_count()
    fleet.fault("sw1", cut_after=len(lines_of(plan)) - 1)  # after ours was committed it is ours
    assert "(rolled back: sw1)" in failing(fleet, target, plan, DeviceError)
    assert (fleet.seen("sw1"), twin.timed) == ([OLD, NEW, OLD], False)


def test_a_failed_proof_is_taken_back_and_never_confirmed(build):
    fleet, target = build("arista_eos")
    plan = fleet.plan(target)
    fleet.problems = {"sw1": ["extra_permitted: tcp"]}
    assert "sw1 does not do what its policy asks" in failing(fleet, target, plan, ProofError)
    assert fleet.seen("sw1") == [OLD, NEW, OLD]
    assert "configure session tk-apply commit" not in fleet.devices["sw1"].typed


def test_a_key_that_the_device_does_not_take_is_told_and_nothing_is_sent(build, tmp_path):
    fleet, _ = build("cisco_ios")
    keygen(tmp_path / "other")
    nornir = fleet.nornir(key_file=tmp_path / "other")
    with pytest.raises(DeviceError, match=r"sw1: 127.0.0.1 port .* refuses the login of 'netops'"):
        deploy.results(nornir.run(task=deploy.read_filter))
    assert fleet.devices["sw1"].typed == []


def test_the_public_tasks_are_the_same_on_a_command_line(build):
    fleet, target = build("arista_eos")
    nornir = target.nornir
    dry = fleet.nornir()
    dry.data.dry_run = True
    text = fleet.plan(target).changes[0].apply
    shown = dry.run(task=deploy.load_filter, text=text)["sw1"][0]
    assert (shown.changed, shown.diff) == (False, text)
    assert fleet.seen("sw1") == [OLD]
    config = fleet.nornir().run(task=deploy.load_filter, text="! a configuration\nip access-list L\n")["sw1"]
    assert "the text for sw1 does not enter configuration mode" in str(config[0].exception)
    assert nornir.run(task=deploy.load_filter, text=text)["sw1"][0].changed is True
    assert nornir.run(task=deploy.confirm_change, lines="configure session tk-apply commit")["sw1"][0].changed is True
    assert nornir.run(task=deploy.confirm_change, lines="")["sw1"][0].changed is False
    assert nornir.run(task=deploy.save_startup, files={}, lines="write memory")["sw1"][0].changed is True
    assert nornir.run(task=deploy.check_login)["sw1"].failed is False
    assert (fleet.opens("sw1"), fleet.devices["sw1"].saves) == (NEW, 1)


def test_a_long_host_name_that_ios_cuts_short_in_configuration_mode(build):
    text = entries_for("cisco_ios", *OLD)
    boot = boot_config("cisco_ios", "core-switch-of-building-forty-two", text, list_name(text))
    fleet, target = build("cisco_ios", boots={"sw1": boot})
    fleet.apply(target, fleet.plan(target))
    assert fleet.seen("sw1") == [OLD, NEW]
