"""Plans pushed to twins of vendors' command lines over real SSH: in order, and with everything that can go wrong."""

from __future__ import annotations

import time

import pytest

from tests.deploy.fleet import CrashError, apply_module, keygen
from tests.deploy.twin_platform import NEW, OLD, boot_config, entries_for, list_name
from toolkit import deploy
from toolkit.deploy import cli_session
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


@pytest.mark.parametrize("os", SYSTEMS)
def test_a_session_cut_after_each_line_leaves_old_or_new_and_can_be_ended_both_ways(build, os, monkeypatch):
    fleet, target = build(os, COUNTS[os])
    plan = fleet.plan(target)
    assert len(lines_of(plan)) == COUNTS[os], "one device for each line of the push"
    whole = (OLD, NEW)

    def cut_each():
        fleet.reset_count()
        for number, device in enumerate(fleet.devices, 1):
            fleet.fault(device, cut_after=number)
        with monkeypatch.context() as patch:
            patch.setattr(apply_module._Pusher, "undo", die)
            with pytest.raises(CrashError):
                fleet.apply(target, plan)
        for device in fleet.devices:
            assert fleet.devices[device].faults.cut_after is None, "every session was cut"
            assert fleet.steps(plan, device)[-1] == "sending"
            assert fleet.opens(device) in whole

    cut_each()
    assert {fleet.opens(device) for device in fleet.devices} == set(whole), "some were cut before, some after"
    with pytest.raises(DeployError, match=r"did not finish; run: toolkit apply .* --resume, or: toolkit rollback"):
        fleet.apply(target, plan)
    assert sorted(fleet.rollback(target, plan).rolled_back) == sorted(fleet.devices)
    assert {fleet.opens(device) for device in fleet.devices} == {OLD}
    cut_each()
    fleet.apply(target, plan, resume=True)
    assert {fleet.opens(device) for device in fleet.devices} == {NEW}
    for name, device in fleet.devices.items():
        assert set(fleet.seen(name)) <= set(whole), "never between, and never without"
        assert (device.sessions, device.lock, device.timed) == ({}, None, False), "nothing is left open"


@pytest.mark.parametrize("os", SYSTEMS)
def test_a_rejected_line_in_the_middle_is_named_and_nothing_is_left_open(build, os):
    fleet, target = build(os)
    plan = fleet.plan(target)
    fleet.fault("sw1", reject="8003")
    number, line = next((n, one) for n, one in enumerate(lines_of(plan), 1) if "8003" in one)
    words = failing(fleet, target, plan, DeviceError)
    assert words.startswith(f"sw1 rejected line {number} of {len(lines_of(plan))}, {line!r}: ")
    assert words.endswith("(rolled back: sw1)")
    twin = fleet.devices["sw1"]
    assert fleet.seen("sw1") == [OLD]
    assert twin.running.text() == twin.states[0], "not even a list that nobody uses is left"
    assert (twin.sessions, twin.lock, twin.timed) == ({}, None, False)
    assert fleet.steps(plan, "sw1") == ["sending", "rolling_back", "rolled_back"]
    fleet.fault("sw1", reject=None)
    fleet.apply(target, plan)
    assert fleet.opens("sw1") == NEW


@pytest.mark.parametrize("os", SYSTEMS)
def test_a_device_that_reloads_right_after_the_push_is_in_its_old_state(build, os):
    fleet, target = build(os)
    plan = fleet.plan(target)
    fleet.reset_count()
    fleet.fault("sw1", reload_after=len(lines_of(plan)))
    assert "sw1: the session broke" in failing(fleet, target, plan, DeviceError)
    assert fleet.seen("sw1") == [OLD, NEW, OLD]
    assert fleet.steps(plan, "sw1")[-1] == "rolled_back"
    fleet.apply(target, plan)
    assert fleet.opens("sw1") == NEW


@pytest.mark.parametrize("os", TIMED)
def test_a_timer_that_runs_out_during_the_proof_is_seen(build, os):
    fleet, target = build(os, minute=0.06)
    plan = fleet.plan(target)

    def wait(*_):
        while fleet.devices["sw1"].timed:
            time.sleep(0.01)

    fleet.on_verify = wait
    words = failing(fleet, target, plan, DeviceError)
    assert "(rolled back: sw1)" in words
    assert fleet.seen("sw1") in ([OLD, NEW, OLD], [OLD])
    assert fleet.devices["sw1"].saves == 0


@pytest.mark.parametrize("os", ["arista_eos", "juniper_junos"])
def test_a_device_that_nobody_can_reach_any_more_goes_back_by_itself(build, os):
    fleet, target = build(os, minute=0.3)
    plan = fleet.plan(target)
    twin = fleet.devices["sw1"]
    keys, twin.login.keys = twin.login.keys, ()  # the session that is open stays, a new one is refused
    words = failing(fleet, target, plan, DeployError)
    assert "refuses the login" in words
    assert f"not everything could be rolled back: sw1: 127.0.0.1 port {fleet.server.ports['sw1']}" in words
    deadline = time.monotonic() + 20
    while fleet.opens("sw1") != OLD:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert fleet.steps(plan, "sw1")[-1] == "failed"
    twin.login.keys = keys
    assert fleet.rollback(target, plan).rolled_back == ["sw1"]
    assert set(fleet.seen("sw1")) <= {OLD, NEW}


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


@pytest.mark.parametrize("os", ["cisco_ios", "arista_eos", "juniper_junos"])
def test_messages_banners_and_a_slow_device_do_no_harm(build, os, monkeypatch):
    monkeypatch.setattr(cli_session, "QUIET", 0.02)
    fleet, target = build(os)
    fleet.fault("sw1", banner="#### authorised use only > 24x7 ####\nsite> #1\n", delay=0.04, notice_after=3)
    plan = fleet.plan(target)
    fleet.apply(target, plan)
    assert fleet.seen("sw1") == [OLD, NEW]
    assert fleet.devices["sw1"].faults.notice_after is None


@pytest.mark.parametrize("os", ["arista_eos", "juniper_junos"])
def test_a_prompt_that_changes_in_the_middle_stops_the_push(build, os, monkeypatch):
    monkeypatch.setattr(cli_session, "QUIET", 0.1)
    fleet, target = build(os)
    plan = fleet.plan(target)
    fleet.fault("sw1", rename_after=2)
    words = failing(fleet, target, plan, DeviceError)
    assert "its prompt is now" in words
    assert "'sw1'" in words or "'netops@sw1'" in words
    assert fleet.seen("sw1") == [OLD]
    assert fleet.steps(plan, "sw1")[-1] == "rolled_back"


@pytest.mark.parametrize("os", ["cisco_ios", "juniper_junos"])
def test_input_that_a_full_buffer_lost_is_missed(build, os, monkeypatch):
    monkeypatch.setattr(cli_session, "SILENCE", 2.0)
    monkeypatch.setattr(cli_session, "QUIET", 0.1)
    fleet, target = build(os)
    plan = fleet.plan(target)
    fleet.fault("sw1", input_limit=60)
    assert "sw1: the session broke: no prompt within 2 s" in failing(fleet, target, plan, DeviceError)
    assert fleet.devices["sw1"].faults.input_limit is None
    assert fleet.seen("sw1") == [OLD]
    assert (fleet.devices["sw1"].sessions, fleet.devices["sw1"].timed) == ({}, False)


@pytest.mark.parametrize(
    ("os", "command", "release"),
    [
        ("cisco_ios", "configure terminal lock", "end"),
        ("arista_eos", "configure lock", "configure unlock"),
        ("juniper_junos", "configure exclusive", "exit"),
    ],
)
def test_a_device_that_somebody_else_is_configuring_is_refused_before_any_line(build, os, command, release):
    fleet, target = build(os)
    plan = fleet.plan(target)
    twin = fleet.devices["sw1"]
    other = fleet.nornir().inventory.hosts["sw1"].get_connection("netmiko", fleet.nornir().config)
    other.send_command(command, expect_string=r"[#>] ?$", read_timeout=20)
    before = len(twin.typed)
    words = failing(fleet, target, plan, DeviceError)
    assert "sw1 does not let us configure: " in words
    assert "nothing was sent; wait until nobody else does (rolled back: nothing had been changed)" in words
    typed = [line for line in twin.typed[before:] if not line.startswith(("show", "terminal", "set cli"))]
    assert typed == [lines_of(plan)[0]], "only the question whether we may"
    assert fleet.seen("sw1") == [OLD]
    assert fleet.steps(plan, "sw1") == ["sending", "rolled_back"]
    other.send_command(release, expect_string=r"[#>] ?$", read_timeout=20)
    other.paramiko_cleanup()
    fleet.apply(target, plan)
    assert fleet.opens("sw1") == NEW


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
