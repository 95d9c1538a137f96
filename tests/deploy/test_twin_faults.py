"""The fault table: what goes wrong during a push to a vendor's command line, on real SSH sessions to twins.

After each fault the toolkit dies on the spot, so that nobody tidies up. Then: the device lets through what it did before
or what it shall, and never anything between; the journal tells which; and both ways out end it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.deploy.fleet import CrashError, apply_module
from tests.deploy.twin_platform import NEW, OLD
from toolkit import deploy
from toolkit.deploy import cli_session
from toolkit.deploy.journal import Journal, Step
from toolkit.errors import DeployError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEMS = ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"]
# Lines of a push to each of them.
COUNTS = {"cisco_ios": 11, "arista_eos": 11, "cisco_nxos": 12, "juniper_junos": 12, "cisco_asa": 7}
TIMED = ("cisco_ios", "arista_eos", "juniper_junos")
# How one keeps others out, and how one lets them in again; others may configure beside each other.
LOCKS = {
    "cisco_ios": ("configure terminal lock", "end"),
    "arista_eos": ("configure lock", "configure unlock"),
    "juniper_junos": ("configure exclusive", "exit"),
    "cisco_nxos": ("configure terminal", "end"),
    "cisco_asa": ("configure terminal", "end"),
}
EXCLUSIVE = ("cisco_ios", "arista_eos", "juniper_junos")


@dataclass
class Push:
    """A push to one device that something happens to; `after` is what brings the world in order again."""

    fleet: object
    target: object
    plan: object
    patch: pytest.MonkeyPatch
    after: list[Callable[[], object]] = field(default_factory=list)

    @property
    def twin(self):
        return self.fleet.devices["sw1"]

    @property
    def lines(self):
        return self.plan.changes[0].apply.splitlines()

    def fault(self, **settings):
        """Set faults of the twin, and take them away afterwards."""
        usual = {name: getattr(self.twin.faults, name) for name in settings}
        self.fleet.fault("sw1", **settings)
        self.after.append(lambda: self.fleet.fault("sw1", **usual))

    def impatient(self):
        """Do not wait long for a device that will not say anything any more."""
        self.patch.setattr(cli_session, "SILENCE", 2.0)
        self.patch.setattr(cli_session, "QUIET", 0.1)

    def no_keys(self):
        """Take the toolkit's key away from the device."""
        keys, self.twin.login.keys = self.twin.login.keys, ()
        self.after.append(lambda: setattr(self.twin.login, "keys", keys))


# ---- the faults ------------------------------------------------------------------------------


def cut_in_the_middle(push):
    push.fault(cut_after=len(push.lines) // 2)


def rejected_line(push):
    push.fault(reject="8003")


def reload_before_the_confirmation(push):
    push.fault(reload_after=len(push.lines))


def full_terminal_buffer(push):
    push.impatient()
    push.fault(input_limit=60)


def slow_device(push):
    push.fault(delay=0.02)


def wrong_credentials(push):
    push.target.close()
    push.no_keys()


def wrong_credentials_after_the_push(push):
    """The session that is open stays; a new one, which the proof wants, is refused."""
    push.target.read(["sw1"])
    push.no_keys()


def banner(push):
    push.target.close()
    push.fault(banner="#### authorised use only > 24x7 ####\nsite> #1\n")


def message_to_all_users(push):
    push.fault(notice_after=3)


def prompt_change(push):
    push.impatient()
    push.fault(rename_after=2)

    def named_again():
        tree = push.twin.running.copy()
        tree.replace_flat("hostname ", "hostname sw1")
        push.twin.install(tree)

    push.after.append(lambda: push.fleet.server.do(named_again))


def somebody_else_is_configuring(push):
    enter, leave = LOCKS[push.fleet.os]
    nornir = push.fleet.nornir()
    other = nornir.inventory.hosts["sw1"].get_connection("netmiko", nornir.config)

    def typed(line):
        other.send_command(line, expect_string=r"[#>] ?$", read_timeout=20)

    typed(enter)
    push.after += [lambda: typed(leave), other.paramiko_cleanup]


def killed_at(step):
    def fault(push):
        write = Journal.write

        def killed(journal, device, now, **detail):
            write(journal, device, now, **detail)
            if (device, now) == ("sw1", step):
                raise CrashError

        push.patch.setattr(Journal, "write", killed)

    return fault


FAULTS = {
    one.__name__: one
    for one in (
        cut_in_the_middle, rejected_line, reload_before_the_confirmation, full_terminal_buffer, slow_device,
        wrong_credentials, wrong_credentials_after_the_push, banner, message_to_all_users, prompt_change,
        somebody_else_is_configuring,
    )
}  # fmt: skip
FAULTS |= {
    f"killed_at_{step}": killed_at(step)
    for step in (Step.SENDING, Step.SENT, Step.CONFIRMING, Step.VERIFIED, Step.SAVING, Step.SAVED)
}
HARMLESS = ("slow_device", "banner", "message_to_all_users")


def harmless(os, fault):
    """Whether a push goes on to its end all the same."""
    beside = fault == "somebody_else_is_configuring" and os not in EXCLUSIVE
    never = fault == "killed_at_confirming" and os not in TIMED
    return fault in HARMLESS or beside or never


# ---- what holds after each of them -----------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("os", SYSTEMS)
def test_old_or_new_the_journal_tells_which_and_both_ways_end_it(build, os, fault, monkeypatch):
    fleet, target = build(os)
    plan = fleet.plan(target)
    for end in ("rollback", "resume"):
        went_on = pushed(Push(fleet, target, plan, monkeypatch), fault)
        assert went_on == harmless(os, fault)
        now, told = fleet.opens("sw1"), said(fleet, plan)
        assert now in told, f"{fleet.steps(plan, 'sw1')}: {now}"
        unfinished = deploy.Journal(fleet.runs / plan.id).unfinished
        assert unfinished or went_on or fault == "wrong_credentials"
        if unfinished:
            with pytest.raises(DeployError, match=r"did not finish; run: toolkit apply .* --resume, or: toolkit roll"):
                fleet.apply(target, plan)
        if end == "rollback":
            fleet.rollback(target, plan)
        else:
            fleet.apply(target, plan, resume=True)
        assert fleet.opens("sw1") == (OLD if end == "rollback" else NEW)
        assert said(fleet, plan) == {fleet.opens("sw1")}
        assert not deploy.Journal(fleet.runs / plan.id).unfinished
        twin = fleet.devices["sw1"]
        assert (twin.sessions, twin.lock, twin.timed) == ({}, None, False), "nothing is left open"
        assert twin.startup.text() == twin.running.text(), "what boots is what runs"
    assert set(fleet.seen("sw1")) <= {OLD, NEW}, "never between, and never without"


def pushed(push, fault) -> bool:
    """Apply with a fault, and without anybody who tidies up; then the world is in order again. Whether it went on."""
    push.fleet.reset_count()
    with push.patch.context() as patch, contextlib.ExitStack() as after:
        push.patch = patch
        patch.setattr(apply_module._Pusher, "undo", die)
        FAULTS[fault](push)
        for one in reversed(push.after):
            after.callback(one)
        try:
            push.fleet.apply(push.target, push.plan)
        except (CrashError, DeployError):
            return False
    return True


def said(fleet, plan) -> set[tuple[int, ...]]:
    """In which states the journal says that the device can be: one, but for lines on their way."""
    steps = fleet.steps(plan, "sw1")
    if not steps or steps[-1] == "rolled_back":
        return {OLD}
    return {OLD, NEW} if steps[-1] in ("sending", "rolling_back") else {NEW}


def die(*_, **__):
    raise CrashError


# ---- in more detail --------------------------------------------------------------------------


def failing(fleet, target, plan, kind=DeployError, **options):
    """The words of an apply that fails."""
    with pytest.raises(kind) as caught:
        fleet.apply(target, plan, **options)
    return str(caught.value)


def lines_of(plan) -> list[str]:
    return plan.changes[0].apply.splitlines()


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
