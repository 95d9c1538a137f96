"""juniper_junos and cisco_asa against the twins, which read the same text with code of their own."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest

from tests.platforms import asa_cases, junos_cases
from toolkit.lab.twins import Login, judge, make_twin
from toolkit.net import ICMP, TCP, UDP, Action, IcmpKind, Packet
from toolkit.platforms.base import ConnState
from toolkit.topology import Kind

PACKETS = 1500
ADDRESSES = (
    "10.0.1.11", "10.0.1.12", "10.0.1.99", "10.0.2.7", "10.0.2.8", "10.0.2.25", "10.0.3.1", "198.51.100.1", "224.0.0.18",
)  # fmt: skip
PORTS = (22, 23, 53, 587, 2000, 2379, 2380, 8472, 1024)


def packets(seed):
    rng = random.Random(seed)
    for _ in range(PACKETS):
        protocol = rng.choice((TCP, TCP, UDP, ICMP, 112))
        ends = IPv4Address(rng.choice(ADDRESSES)), IPv4Address(rng.choice(ADDRESSES))
        if rng.random() < 0.1:
            yield Packet(*ends, protocol, fragment=True)
            continue
        kind = IcmpKind(rng.choice((0, 3, 8, 11)), rng.choice((0, 4))) if protocol == ICMP else None
        known = protocol == TCP and rng.random() < 0.4
        ports = (rng.choice(PORTS), rng.choice(PORTS)) if protocol in (TCP, UDP) else (0, 0)
        yield Packet(*ends, protocol, *ports, established=known, icmp=kind)


@pytest.mark.parametrize(
    ("cases", "kind"), [(junos_cases, Kind.ROUTER), (junos_cases, Kind.SWITCH), (asa_cases, Kind.FIREWALL)]
)
def test_a_twin_takes_the_text_and_decides_the_same(cases, kind):
    context = cases.make_context(kind)
    candidate, _, after = cases.rendered(context)
    twin = make_twin("dev1", candidate.platform, candidate.text, Login())
    verdicts = set()
    # An ASA judges what it has reassembled, so a later fragment alone means nothing there.
    for one in (one for one in packets(seed=7) if not (one.fragment and context.stateful)):
        for interface in context.interfaces:
            if any(one.dst in prefix for prefix in context.domains.get(interface, ())):
                continue  # back out of where it came in: the twin of an ASA does not look at that
            ours = after.decide(interface, one, ConnState.NEW)
            theirs = judge(twin, interface, one)
            verdicts.add(theirs.permit)
            assert theirs.permit == (ours.action is Action.PERMIT), f"{one} at {interface}: {ours} or {theirs}"
    assert verdicts == {True, False}
