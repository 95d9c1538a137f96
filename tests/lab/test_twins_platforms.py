"""What the platforms render, typed into twins: taken line by line, read back equal, and meaning the same packets.

Twins read access lists with code of their own, so a difference is a misreading on one side.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest

from tests.lab.twin_typing import Keyboard
from tests.platforms import asa_cases, junos_cases
from tests.platforms.cisco import make_context, make_policy
from tests.platforms.test_cisco_render import hand_made
from toolkit.lab.twins import judge
from toolkit.net import ICMP, TCP, UDP, Action, IcmpKind, Packet
from toolkit.platforms import get
from toolkit.platforms.base import ConnState
from toolkit.topology import Kind

HOSTS = (
    "10.0.1.11", "10.0.1.12", "10.0.1.13", "10.0.1.14", "10.0.2.7", "10.0.2.11", "10.0.2.12", "10.0.2.16", "10.0.2.31",
    "10.0.2.32", "10.0.3.1", "10.0.3.25", "10.0.4.9", "224.0.0.18", "192.0.2.1",
)  # fmt: skip
PORTS = (22, 23, 80, 442, 443, 587, 1023, 1024, 2378, 2379, 2380, 2381, 8472, 40000, 65535)
KINDS = (IcmpKind(8, 0), IcmpKind(0, 0), IcmpKind(3, 4), IcmpKind(3, 3), IcmpKind(11, 0), IcmpKind(11, 1))


def packets(count, seed=9):
    """Packets around everything that the policies of these tests speak of."""
    rng = random.Random(seed)
    for _ in range(count):
        protocol = rng.choice((TCP, TCP, TCP, UDP, ICMP, 112))
        with_ports = protocol in (TCP, UDP)
        sport, dport = (rng.choice(PORTS), rng.choice(PORTS)) if with_ports else (0, 0)
        yield Packet(
            IPv4Address(rng.choice(HOSTS)),
            IPv4Address(rng.choice(HOSTS)),
            protocol,
            sport,
            dport,
            established=protocol == TCP and rng.random() < 0.5,
            icmp=rng.choice(KINDS) if protocol == ICMP else None,
            fragment=rng.random() < 0.15,
        )


def cisco_device(context, foreign=""):
    """A configuration with the interfaces of a context, and perhaps somebody's list on the first."""
    lines = ["hostname dev1"]
    for number, name in enumerate(context.interfaces, 1):
        lines.append(f"interface {name}")
        switched = context.node.interfaces[name].bridge is not None
        lines += [" switchport"] if switched else [" no switchport", f" ip address 10.0.{number}.1 255.255.255.0"]
    return "\n".join(lines) + "\n" + foreign


def cases():
    for name in ("cisco_ios", "arista_eos", "cisco_nxos"):
        for switched in (False, True):
            context = make_context(name, switched=switched)
            yield pytest.param(
                name, context, cisco_device(context), make_policy(context, hand_made(context)),
                make_policy(context, dict(list(hand_made(context).items())[:1])), id=f"{name}-{'l2' if switched else 'l3'}",
            )  # fmt: skip
    for kind in (Kind.ROUTER, Kind.SWITCH):
        context = junos_cases.make_context(kind)
        family = "ethernet-switching" if kind is Kind.SWITCH else "inet"
        boot = junos_cases.VERSION.replace("set version 21.4R3.15\n", "") + "".join(
            f"set interfaces {name.partition('.')[0]} unit {name.partition('.')[2] or 0} family {family}\n"
            for name in context.interfaces
        )
        few = {"ge-0/0/0": junos_cases.ENTRIES["ge-0/0/0"]}
        yield pytest.param(
            "juniper_junos", context, boot, junos_cases.make_policy(context, junos_cases.ENTRIES),
            junos_cases.make_policy(context, few), id=f"juniper_junos-{kind}",
        )  # fmt: skip

    context = asa_cases.make_context()
    few = {"inside": asa_cases.ENTRIES["inside"]}
    yield pytest.param(
        "cisco_asa", context, asa_cases.HEAD + asa_cases.INSPECT, asa_cases.make_policy(context, asa_cases.ENTRIES),
        asa_cases.make_policy(context, few), id="cisco_asa",
    )  # fmt: skip


def read(keyboard, platform, context):
    return platform.parse_running({one: keyboard.show(one) for one in platform.show_commands}, context)


def agree(keyboard, state, context, count):
    """The twin and the platform decide alike."""
    wrong = []
    for packet in packets(count):
        for interface in context.interfaces:
            if context.stateful and any(packet.dst in one for one in context.domains[interface]):
                continue  # a firewall sends nothing back where it came from, and a twin knows no routes
            ours = state.decide(interface, packet, ConnState.NEW).action is Action.PERMIT
            theirs = judge(keyboard.device, interface, packet)
            if ours != theirs.permit:
                wrong.append(f"{interface} {packet}: platform {ours}, twin {theirs}")
    assert wrong == []


@pytest.mark.parametrize(("os", "context", "boot", "policy", "other"), list(cases()))
def test_what_is_rendered_is_taken_read_back_and_means_the_same(os, context, boot, policy, other):
    platform = get(os)
    keyboard = Keyboard(os, boot)
    before = read(keyboard, platform, context)
    assert before.owned() is None
    first = before
    for wanted in (policy, other):
        candidate = platform.render(wanted, before.without_owned())
        change = platform.change(candidate, before)
        said = keyboard.type(change.apply)
        assert not [mark for mark in platform.failure_indicators if mark in said], said
        if change.confirm:
            said = keyboard.type(change.confirm)
            assert not [mark for mark in platform.failure_indicators if mark in said], said
        after = read(keyboard, platform, context)
        assert platform.change(candidate, after).is_empty, "a second apply changes nothing"
        agree(keyboard, after, context, 300)
        before = after
    back = platform.restore(first, before)
    said = keyboard.type(back)
    assert not [mark for mark in platform.failure_indicators if mark in said], said
    assert read(keyboard, platform, context).fingerprint() == first.fingerprint()
    assert read(keyboard, platform, context).owned() is None
    assert keyboard.shell.device.sessions == {}


@pytest.mark.parametrize(("os", "context", "boot", "policy", "other"), list(cases()))
def test_no_moment_of_a_change_opens_or_closes_more_than_before_and_after(os, context, boot, policy, other):
    platform = get(os)
    keyboard = Keyboard(os, boot)
    for wanted in (policy, other):
        before = read(keyboard, platform, context)
        candidate = platform.render(wanted, before.without_owned())
        start = len(keyboard.device.states) - 1
        keyboard.type(platform.change(candidate, before).apply)
        moments = keyboard.device.states[start:]
        assert len(moments) > 1
        for packet in packets(60, seed=4):
            for interface in context.interfaces:
                verdicts = [judge(keyboard.device, interface, packet, moment).permit for moment in moments]
                assert set(verdicts) <= {verdicts[0], verdicts[-1]}, f"{interface} {packet}: {verdicts}"
        if keyboard.minutes is not None:
            keyboard.minutes = None


def test_a_misreading_would_show():
    """The comparison can fail: a list that says something else than the platform's state is told."""
    context = make_context("cisco_ios")
    platform = get("cisco_ios")
    keyboard = Keyboard("cisco_ios", cisco_device(context))
    policy = make_policy(context, hand_made(context))
    candidate = platform.render(policy, read(keyboard, platform, context))
    keyboard.type(platform.change(candidate, read(keyboard, platform, context)).apply)
    state = read(keyboard, platform, context)
    for header, children in keyboard.device.running.sections.items():
        if header.startswith("ip access-list"):
            children[:] = [line.replace("eq 443", "eq 442") for line in children]
    with pytest.raises(AssertionError, match=r"443.*: platform True, twin Ruling"):
        agree(keyboard, state, context, 600)
