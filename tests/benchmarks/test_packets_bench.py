"""How fast packet sets are, side by side with the plain way of doing the same; run by `make benchmark`."""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import random
from ipaddress import IPv4Address
from time import perf_counter

import pytest

from toolkit.net import TCP, UDP, Action, Packet
from toolkit.packets import NOT_FRAGMENT, Box, Space, dead_entries, point

pytestmark = pytest.mark.benchmark

LINES = 10_000
PERMIT, DENY = Action.PERMIT, Action.DENY
LAST = [(DENY, Box())]


def expanded(seed=1):
    """What object groups expand to: single hosts and ports, mostly permits, sorted by nothing."""
    rng = random.Random(seed)
    hosts = [[base << 24 | rng.randrange(1 << 16) for _ in range(300)] for base in (10, 11)]
    ports = [rng.randrange(1, 30_000) for _ in range(40)]
    return [
        _entry(rng, *((one, one) for one in map(rng.choice, (*hosts, ports))), 0.9) for _ in range(LINES - 1)
    ] + LAST


def overlapping(seed=1):
    """Prefixes nested in two /18, ports from one to all, specific entries before wide ones."""
    rng = random.Random(seed)

    def prefix(base):
        length = rng.choices((18, 20, 22, 24, 26, 28, 30, 32), (1, 1, 2, 8, 8, 10, 10, 60))[0]
        low = (base << 24 | rng.randrange(1 << 14)) >> (32 - length) << (32 - length)
        return low, low + (1 << (32 - length)) - 1

    def ports():
        one = rng.randrange(65_000)
        return rng.choices(((one, one), (0, 65535), (1024, 65535), (80, 443)), (8, 2, 1, 1))[0]

    entries = [_entry(rng, prefix(10), prefix(11), ports(), 0.5) for _ in range(LINES)]
    return sorted(entries, key=lambda entry: _size(entry[1]))


def _entry(rng, dst, src, dport, permits):
    protocol = rng.choice((TCP, TCP, TCP, UDP))
    action = PERMIT if rng.random() < permits else DENY
    return action, Box((protocol, protocol), dst, src, dport, flags=NOT_FRAGMENT)


def _size(box):
    sizes = [high - low + 1 for low, high in (box.dst, box.src, box.dport)]
    return sizes[0] * sizes[1] * sizes[2]


def timed(work, *args, **kwargs):
    """(seconds, result)."""
    start = perf_counter()
    result = work(*args, **kwargs)
    return perf_counter() - start, result


def first_match(entries, at):
    """The plain way to answer a point query."""
    for action, box in entries:
        if all(low <= value <= high for (low, high), value in zip(box.intervals, at, strict=True)):
            return action is PERMIT
    return False


def same_meaning(entries):
    """Another text for the same list: neighbours of one action change places, and some entries stand twice."""
    other = list(entries)
    for number in range(0, len(other) - 1, 2):
        if other[number][0] is other[number + 1][0]:
            other[number], other[number + 1] = other[number + 1], other[number]
    return other[:-1] + other[: LINES // 100] + other[-1:]


def one_line_changed(entries):
    """The list with one action flipped, and a set in which the change shows."""
    changed = list(entries)
    number = len(entries) // 3
    action, box = changed[number]
    changed[number] = (DENY if action is PERMIT else PERMIT, box)
    return changed


LISTS = pytest.mark.parametrize("make", [expanded, overlapping])


@LISTS
def test_equality_and_one_line_change(make):
    entries = make()
    other = same_meaning(entries)
    space = Space()
    cold, (one, two) = timed(lambda: (space.acl(entries), space.acl(other)))
    assert one == two
    changed = one_line_changed(entries)
    again, three = timed(space.acl, changed)
    search, witness = timed(lambda: (one - three).witness() or (three - one).witness())
    print(
        f"\n{make.__name__}: equality of 2 x {LINES} lines, cold: {cold:.3f} s; one line changed: {again:.3f} s, "
        f"1/{cold / again:.0f} of it; witness of the change: {search * 1000:.1f} ms ({witness})"
    )
    assert (witness is None) == (one == three)


@LISTS
def test_point_query(make):
    entries = make()
    packets = Space().acl(entries)
    rng = random.Random(2)
    asked = []
    for _, box in rng.sample(entries[:-1], 200):
        dst, src, dport = (rng.randint(*interval) for interval in (box.dst, box.src, box.dport))
        asked.append(Packet(IPv4Address(src), IPv4Address(dst), box.protocol[0], 40_000, dport))
    plain, expected = timed(lambda: [first_match(entries, point(packet)) for packet in asked])
    ours, found = timed(lambda: [packet in packets for packet in asked])
    assert found == expected
    print(
        f"\n{make.__name__}: point query: {ours / len(asked) * 1e6:.1f} us, line by line is {plain / ours:.0f} times that"
    )


@LISTS
def test_dead_entries(make):
    entries = make()
    building, _ = timed(Space().acl, entries)
    finding, dead = timed(dead_entries, Space(), entries)
    unreached = {one.index for one in dead if not one.reached}
    space = Space()
    assert space.acl(entry for number, entry in enumerate(entries) if number not in unreached) == space.acl(entries)
    print(
        f"\n{make.__name__}: {len(dead)} dead of {len(entries)} lines, {len(unreached)} never reached: {finding:.2f} s, "
        f"{finding / building:.1f} times building the set"
    )
