"""Diagrams against the slow truth: every point of small universes, boundary points of the full one."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.packets.oracle import (
    DENY,
    FULL_MAXIMA,
    FUZZ,
    PERMIT,
    SMALL_MAXIMA,
    TCP,
    TINY_MAXIMA,
    UDP,
    edge_points,
    permits,
    points,
    small_entries,
)
from toolkit.net import ICMP, IcmpKind, Packet, PortRange, Service
from toolkit.packets import Box, Space

SEEDS = range(4)


def held(packet_set, where):
    return [packet_set.space.diagram.holds(packet_set.node, point) for point in where]


@pytest.mark.parametrize("seed", SEEDS)
def test_acl_is_first_match_on_every_point(seed):
    rng = random.Random(seed)
    universe = points(SMALL_MAXIMA)
    space = Space(SMALL_MAXIMA)  # shared, so that results of one list are reused by the next
    for _ in range(20 * FUZZ):
        entries = small_entries(rng)
        default = rng.choice((PERMIT, DENY))
        truth = [permits(entries, point, SMALL_MAXIMA, default) for point in universe]
        assert held(space.acl(entries, default), universe) == truth, (entries, default)


@pytest.mark.parametrize("seed", SEEDS)
def test_operations_on_every_point(seed):
    rng = random.Random(seed)
    universe = points(SMALL_MAXIMA)
    space = Space(SMALL_MAXIMA)
    for _ in range(10 * FUZZ):
        one, other = space.acl(small_entries(rng)), space.acl(small_entries(rng))
        left, right = held(one, universe), held(other, universe)
        pairs = list(zip(left, right, strict=True))
        assert held(one & other, universe) == [a and b for a, b in pairs]
        assert held(one | other, universe) == [a or b for a, b in pairs]
        assert held(one - other, universe) == [a and not b for a, b in pairs]
        assert held(~one, universe) == [not a for a in left]
        assert (one <= other) == all(b or not a for a, b in pairs)
        assert bool(one) == any(left)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_packets_are_the_same_node(seed):
    """Canonicity: over thousands of lists that often mean the same, truth tables and nodes match one to one."""
    rng = random.Random(seed)
    universe = points(TINY_MAXIMA)
    space = Space(TINY_MAXIMA)
    node_of, truth_of = {}, {}
    seen = 0
    for _ in range(300 * FUZZ):
        built = space.acl(small_entries(rng, 4, TINY_MAXIMA), rng.choice((PERMIT, DENY)))
        for one in (built, ~built, built & space.acl(small_entries(rng, 2, TINY_MAXIMA))):
            truth = bytes(held(one, universe))
            seen += 1
            assert node_of.setdefault(truth, one.node) == one.node
            assert truth_of.setdefault(one.node, truth) == truth
    assert len(node_of) < seen, "no two lists meant the same, so nothing was tested"


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_are_disjoint_and_cover_the_set(seed):
    rng = random.Random(seed)
    universe = points(SMALL_MAXIMA)
    space = Space(SMALL_MAXIMA)
    for _ in range(10 * FUZZ):
        packets = space.acl(small_entries(rng))
        boxes = [box.intervals for box in packets.boxes()]
        times = [
            sum(all(low <= value <= high for (low, high), value in zip(box, point, strict=True)) for box in boxes)
            for point in universe
        ]
        assert times == held(packets, universe)
        assert space.union(packets.boxes()) == packets


@pytest.mark.parametrize("seed", SEEDS)
def test_count_is_the_number_of_five_tuples(seed):
    rng = random.Random(seed)
    universe = points(SMALL_MAXIMA)
    space = Space(SMALL_MAXIMA)
    for _ in range(10 * FUZZ):
        packets = space.acl(small_entries(rng))
        inside = held(packets, universe)
        assert packets.count() == len({point[:5] for point, held_ in zip(universe, inside, strict=True) if held_})


def random_network(rng):
    length = rng.choice((0, 1, 8, 24, 31, 32))
    base = rng.choice((0, 2**32 - 1, 10 << 24, (10 << 24) + 255, rng.getrandbits(32)))
    return IPv4Network((base >> (32 - length) << (32 - length) if length else 0, length))


def random_ordinary_box(rng):
    ports = rng.choice((PortRange(0, 0), PortRange(65535, 65535), PortRange(0, 65535), PortRange(443, 445)))
    sport = rng.choice((PortRange(0, 65535), PortRange(1024, 65535), PortRange(0, 1023)))
    service = rng.choice(
        (
            None,
            Service(None),
            Service(rng.choice((TCP, UDP)), ports),
            Service(ICMP),
            Service(ICMP, icmp=IcmpKind(rng.choice((0, 8, 255)), rng.choice((None, 0, 255)))),
            Service(rng.choice((0, 47, 255))),
        )
    )
    number = None if service is None else service.protocol
    return Box.of(
        service,
        random_network(rng),
        random_network(rng),
        sport if number in (TCP, UDP) else PortRange(0, 65535),
        established=number == TCP and rng.random() < 0.3,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_full_domains_on_boundary_points(seed):
    rng = random.Random(seed)
    space = Space()
    for _ in range(25 * FUZZ):
        entries = [(rng.choice((PERMIT, DENY)), random_ordinary_box(rng)) for _ in range(rng.randint(1, 12))]
        default = rng.choice((PERMIT, DENY))
        where = edge_points(rng, [box for _, box in entries], 200)
        truth = [permits(entries, point, FULL_MAXIMA, default) for point in where]
        assert held(space.acl(entries, default), where) == truth, entries


@pytest.mark.parametrize("name", ["dst", "src", "dport", "sport"])
@pytest.mark.parametrize("where", ["lowest", "highest", "all but lowest", "all but highest"])
def test_clipping_at_zero_and_at_the_maximum(name, where):
    top = 2**32 - 1 if name in ("dst", "src") else 65535
    low, high = {"lowest": (0, 0), "highest": (top, top), "all but lowest": (1, top), "all but highest": (0, top - 1)}[
        where
    ]
    space = Space()
    packets = space.union([Box(protocol=(TCP, TCP), **{name: (low, high)})])
    default = {"dst": 9, "src": 9, "dport": 9, "sport": 9}

    def packet(value):
        at = {**default, name: value}
        return Packet(IPv4Address(at["src"]), IPv4Address(at["dst"]), TCP, at["sport"], at["dport"])

    assert {value for value in (0, 1, 2, top - 2, top - 1, top) if packet(value) in packets} == {
        value for value in (0, 1, 2, top - 2, top - 1, top) if low <= value <= high
    }
    rest = space.union([Box(protocol=(TCP, TCP))]) - packets
    assert all((packet(value) in rest) != (packet(value) in packets) for value in (0, 1, top - 1, top))


def test_boxes_beyond_a_small_universe_are_clipped_or_empty():
    space = Space(SMALL_MAXIMA)
    assert space.union([Box()]) == space.full
    assert space.union([Box(dst=(1, 500))]) == space.union([Box(dst=(1, 1))])
    assert space.union([Box(dst=(2, 500))]).is_empty
