"""How fast packet sets are, side by side with the plain way of doing the same; run by `make benchmark`."""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import random
from ipaddress import IPv4Address
from time import perf_counter

import pytest

from tests.benchmarks.acls import expanded, one_line_changed, overlapping, same_meaning
from toolkit.net import Action, Packet
from toolkit.packets import Space, dead_entries, point

pytestmark = pytest.mark.benchmark

LINES = 10_000
PERMIT = Action.PERMIT


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


LISTS = pytest.mark.parametrize("make", [expanded, overlapping])


@LISTS
def test_equality_and_one_line_change(make):
    entries = make(LINES)
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
    entries = make(LINES)
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
    entries = make(LINES)
    building, _ = timed(Space().acl, entries)
    finding, dead = timed(dead_entries, Space(), entries)
    unreached = {one.index for one in dead if not one.reached}
    space = Space()
    assert space.acl(entry for number, entry in enumerate(entries) if number not in unreached) == space.acl(entries)
    print(
        f"\n{make.__name__}: {len(dead)} dead of {len(entries)} lines, {len(unreached)} never reached: {finding:.2f} s, "
        f"{finding / building:.1f} times building the set"
    )
