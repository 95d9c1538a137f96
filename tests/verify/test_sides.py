"""Waves by path side: openings from the far end, closings from the near end, and nothing unsafe for their sake."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings

from tests.verify.test_ordering import DEVICES, PERMITS, opens
from toolkit.errors import DeployError, NoPathError
from toolkit.net import TCP, UDP, PortRange, Service
from toolkit.packets import Box, Space
from toolkit.verify.ordering import Ordering, check_order
from toolkit.verify.sides import initiations, path_sides

NOTHING, ONE = ((),) * 3, ({1},) * 3
CLIENTS = PortRange(1024, 65535)


class Filter:
    """Permits some ports, whole or only answers from there."""

    def __init__(self, ports, protocol=TCP, *, established=False):
        self.ports, self.protocol, self.established = frozenset(ports), protocol, established

    def permitted(self, space, interface, state):
        one = [Service(self.protocol, PortRange(port, port)) for port in self.ports]
        return space.union(Box.of(service, established=self.established) for service in one)


class Line:
    """Hosts on both ends of d1 - d2 - d3; `ways` are the pairs of hosts that there is a way between."""

    def __init__(self, *ways):
        self.ways = ways
        names = dict.fromkeys(name for way in ways for name in way)
        self.topology = SimpleNamespace(hosts=[SimpleNamespace(name=name, addresses=("x",)) for name in names])

    def paths(self, source, destination):
        if (source, destination) not in self.ways:
            raise NoPathError("no way")
        hops = tuple(SimpleNamespace(device=device, in_interface="eth1") for device in DEVICES)
        hops = hops if source.startswith("left") else hops[::-1]
        return (SimpleNamespace(source=source, destination=destination, hops=hops),)


THERE = (("left", "right"),)
BOTH = (("left", "right"), ("right", "left"))


def ordered(before, after, ways=THERE, clients=CLIENTS, **how):
    space = Space()
    states = [
        {device: Filter(one, **how) for device, one in zip(DEVICES, some, strict=True)} for some in (before, after)
    ]
    ordering = Ordering(Line(*ways), *states, lambda host: space.full, space)
    return ordering, path_sides(ordering, DEVICES, initiations(space, clients))


def waves(*arguments, **how):
    return ordered(*arguments, **how)[1].waves


def test_what_opens_opens_at_the_far_end_first():
    assert waves(NOTHING, ONE) == (("d3",), ("d2",), ("d1",))
    assert waves(NOTHING, ONE, (("right", "left"),)) == (("d1",), ("d2",), ("d3",))


def test_what_closes_closes_at_the_near_end_first():
    assert waves(ONE, NOTHING) == (("d1",), ("d2",), ("d3",))
    assert waves(ONE, NOTHING, (("right", "left"),)) == (("d3",), ("d2",), ("d1",))


def test_what_goes_both_ways_alike_has_no_side_and_changes_together():
    _, sides = ordered(NOTHING, ONE, BOTH)
    assert (sides.waves, sides.reasons) == ((DEVICES,), ())
    assert waves(ONE, NOTHING, BOTH) == (DEVICES,)


def test_the_side_with_more_ways_decides():
    more = (("left", "right"), ("right", "left"), ("right", "left2"))
    assert waves(NOTHING, ONE, more) == (("d1",), ("d2",), ("d3",))


def test_answers_have_no_side():
    assert waves(NOTHING, ONE, established=True) == (DEVICES,)
    # UDP carries no sign of it: what goes to a port that clients listen on is an answer
    assert waves(NOTHING, ({53},) * 3, protocol=UDP) == (("d3",), ("d2",), ("d1",))
    assert waves(NOTHING, ({40000},) * 3, protocol=UDP) == (DEVICES,)
    assert waves(NOTHING, ({65000},) * 3, protocol=UDP, clients=PortRange(0, 60000)) == (("d3",), ("d2",), ("d1",))


def test_only_devices_that_open_or_close_the_same_wait_for_each_other():
    assert waves((set(), {1}, set()), ONE) == (("d2", "d3"), ("d1",)), "d2 let it through before"
    assert waves((set(), {1}, {1}), ONE) == (DEVICES,), "a single device opens it"


def test_the_reasons_are_said():
    _, sides = ordered(NOTHING, ONE)
    assert sides.reasons == (
        "d2 waits for d3: a way opens, and that is its far end",
        "d1 waits for d2: a way opens, and that is its far end",
    )
    _, sides = ordered(ONE, NOTHING)
    assert sides.reasons[0] == "d2 waits for d1: a way closes, and that is its near end"


def test_safety_stands_above_sides():
    """d1 opens 2, which d2 closes: by its side d1 closes 3 first, which would let 2 through for a while."""
    before, after = ({1, 3}, {1, 2, 3}, {1, 2, 3}), ({1, 2}, {1}, {1, 2})
    ordering, sides = ordered(before, after)
    assert sides.waves.index(("d2",)) < next(n for n, wave in enumerate(sides.waves) if "d1" in wave)
    assert any(one.startswith("d1 waits for d2: it opens what that closes") for one in sides.reasons)
    check_order(ordering, sides.waves)
    with pytest.raises(DeployError):
        check_order(ordering, (("d1",), ("d2",), ("d3",)))


def test_where_every_order_opens_something_it_says_so():
    with pytest.raises(DeployError, match=r"no order of the devices is safe \(deploy.by: path_side\)"):
        ordered(({1}, {2}, {1, 2}), ({2}, {1}, {1, 2}))


@settings(deadline=None)
@given(PERMITS, PERMITS)
def test_its_waves_are_safe_and_hold_each_device_once(before, after):
    try:
        ordering, sides = ordered(before, after, BOTH[:1])
    except DeployError:
        return
    assert sorted(device for wave in sides.waves for device in wave) == sorted(DEVICES)
    assert not opens(before, after, sides.waves)
    check_order(ordering, sides.waves)
