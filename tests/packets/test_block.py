"""Blocks (entries with sets of addresses) against the same entries written out, and against every point."""

from __future__ import annotations

import random
from ipaddress import IPv4Network

import pytest

from tests.packets.oracle import DENY, FULL_MAXIMA, FUZZ, PERMIT, edge_points, permits, points, protocol, small_box
from toolkit.errors import InputError
from toolkit.net import TCP, PortRange, Service
from toolkit.packets import Block, Box, Space

MAXIMA = (7, 6, 5, 1, 1, 3)  # addresses with room for several intervals


def intervals(rng, top):
    """Disjoint intervals in order, none at all and touching ones now and then."""
    ends = sorted(rng.sample(range(top + 2), rng.choice((0, 2, 2, 4, 4, 6))))
    found = [(low, high - 1) for low, high in zip(ends[::2], ends[1::2], strict=True)]
    if found and found[-1][1] < top and rng.random() < 0.3:
        found.append((found[-1][1] + 1, top))
    return tuple(found)


def block(rng, maxima=MAXIMA):
    other = small_box(rng, maxima)
    addresses = [intervals(rng, top) for top in maxima[1:3]]
    return Block(protocol(rng, maxima[0]), *addresses, other.dport, other.sport, other.flags)


def entries_of(rng, maxima=MAXIMA):
    make = (lambda: block(rng, maxima), lambda: small_box(rng, maxima))
    return [(rng.choice((PERMIT, DENY)), rng.choice(make)()) for _ in range(rng.randint(0, 6))]


def written_out(entries):
    return [(action, box) for action, one in entries for box in (one.boxes() if isinstance(one, Block) else (one,))]


@pytest.mark.parametrize("seed", range(4))
def test_a_block_is_what_it_writes_out(seed):
    rng = random.Random(seed)
    universe = points(MAXIMA)
    space = Space(MAXIMA)
    for _ in range(20 * FUZZ):
        entries, default = entries_of(rng), rng.choice((PERMIT, DENY))
        built, plain = space.acl(entries, default), written_out(entries)
        assert built == space.acl(plain, default), entries
        for point in rng.sample(universe, 300):
            assert space.diagram.holds(built.node, point) == permits(plain, point, MAXIMA, default), (entries, point)


@pytest.mark.parametrize("seed", range(2))
def test_over_the_whole_packet_space(seed):
    rng = random.Random(seed)
    space = Space()
    for _ in range(10 * FUZZ):
        hosts = [sorted(rng.sample(range(10 << 24, (10 << 24) + 60), 8)) for _ in range(2)]
        one = Block((TCP, TCP), *(tuple((low, low) for low in some) for some in hosts), (443, 443), flags=(0, 1))
        entries = [(DENY, Box(src=(0, hosts[1][3]))), (PERMIT, one)]
        built, plain = space.acl(entries), written_out(entries)
        assert built == space.acl(plain)
        boxes = [box for _, box in plain]
        for point in edge_points(rng, boxes, 300):
            assert space.diagram.holds(built.node, point) == permits(plain, point, FULL_MAXIMA)


def test_a_service_is_read_as_in_a_box():
    sources, destinations = IPv4Network("10.0.0.0/30"), IPv4Network("10.1.0.0/16")
    ends = [((int(one.network_address), int(one.broadcast_address)),) for one in (sources, destinations)]
    for service, sport, established in (
        (Service(TCP, PortRange(443, 443)), PortRange(0, 65535), False),
        (Service(TCP, PortRange(1024, 65535)), PortRange(443, 443), True),
        (Service(None), PortRange(0, 65535), False),
    ):
        box = Box.of(service, sources, destinations, sport, established=established)
        assert list(Block.of(service, *ends, sport, established=established).boxes()) == [box]


@pytest.mark.parametrize("wrong", [((5, 3),), ((0, 4), (4, 6)), ((6, 7), (0, 1)), ((0, 2**32),), ((-1, 0),)])
def test_intervals_out_of_order_are_refused(wrong):
    for side in ("src", "dst"):
        with pytest.raises(InputError, match=side):
            Block(**{side: wrong})


def test_an_empty_side_matches_nothing():
    space = Space()
    assert space.union([Block(src=())]).is_empty
    assert space.union([Block()]) == space.full


def test_the_cost_does_not_grow_with_the_product():
    """Steps of the cut: ten times the hosts on both sides is about ten times the work, not a hundred times."""

    def steps(hosts):
        space = Space()
        ends = tuple((4 * n, 4 * n) for n in range(1, hosts + 1))
        space.union(Block((TCP, TCP), ends, ends, (port, port), flags=(0, 1)) for port in range(20, 30))
        return space.diagram._steps

    assert steps(1000) < 20 * steps(100)
