"""Who decides a packet: the same entry as by walking the list, also where the list is longer than a slice."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.packets.oracle import DENY, FULL_MAXIMA, PERMIT, edge_points, first_match
from tests.packets.test_fuzz import random_ordinary_box
from toolkit.net import TCP, UDP, Packet, PortRange, Service
from toolkit.packets import Audit, Box, Space, decide


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_the_first_match_whatever_the_size_of_a_slice(monkeypatch, size):
    monkeypatch.setattr(decide, "SLICE", size)
    rng = random.Random(size)
    decided = 0
    for _ in range(20):
        entries = [(rng.choice((PERMIT, DENY)), random_ordinary_box(rng)) for _ in range(rng.randint(0, 15))]
        decider = decide.Decider([(box,) for _, box in entries], FULL_MAXIMA)
        for at in edge_points(rng, [box for _, box in entries], 60):
            expected = first_match(entries, at, FULL_MAXIMA)
            assert decider.at(at) == expected, (entries, at)
            decided += expected is not None
    assert decided > 100


def test_a_list_of_ten_thousand_lines():
    hosts = [(number, number) for number in range(10 << 24, (10 << 24) + 10_000)]
    web = Box.of(Service(TCP, PortRange(443, 443)))
    entries = [(PERMIT, Box(web.protocol, dst, dport=web.dport, flags=web.flags)) for dst in hosts] + [(DENY, Box())]
    audit = Audit(Space(), entries)
    source = IPv4Address("192.0.2.1")
    for number in (0, 4095, 4096, 9999):
        there = IPv4Address(hosts[number][0])
        assert audit.decider(Packet(source, there, TCP, 1024, 443)) == number
        assert audit.decider(Packet(source, there, TCP, 1024, 80)) == 10_000
    assert Audit(Space(), entries[:-1]).decider(Packet(source, IPv4Address("10.0.0.1"), UDP, 1024, 443)) is None
    assert Audit(Space(), []).decider(Packet(source, source, UDP)) is None


def test_an_entry_of_several_boxes_decides_as_one():
    net = IPv4Network("10.0.0.0/24")
    overlapping = (Box.of(Service(TCP), dst=net), Box.of(Service(TCP), src=net), Box.of(Service(UDP), dst=net))
    entries = [(PERMIT, overlapping), (DENY, Box.of(Service(TCP), src=net, dst=net)), (DENY, ())]
    audit = Audit(Space(), entries)
    both = Packet(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), TCP, 1024, 22)
    assert audit.decider(both) == 0
    assert [(one.index, one.by, one.reached) for one in audit.dead()] == [(1, (0,), False), (2, (), False)]
    assert audit.missed(0) == audit.decides(0) == audit.space.union(overlapping)
    assert audit.overruled(1) == audit.space.union([entries[1][1]])
    assert audit.overruled(0).is_empty
