"""Devices change one after the other: in between, nothing opens that neither the state before nor the one after lets pass."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import DeployError
from toolkit.net import TCP, PortRange, Service
from toolkit.packets import Box, Space
from toolkit.verify.ordering import Ordering, check_order

DEVICES = ("d1", "d2", "d3")
PORTS = (1, 2, 3)


class Filter:
    """Permits some TCP ports."""

    def __init__(self, ports):
        self.ports = frozenset(ports)

    def permitted(self, space, interface, state):
        return space.union(Box.of(Service(TCP, PortRange(port, port))) for port in self.ports)


class Line:
    """a - d1 - d2 - d3 - b, the same devices in both directions."""

    topology = SimpleNamespace(hosts=[SimpleNamespace(name=name, addresses=("x",)) for name in "ab"])

    def paths(self, source, destination):
        hops = tuple(SimpleNamespace(device=device, in_interface="eth1") for device in DEVICES)
        return (SimpleNamespace(source=source, destination=destination, hops=hops if source == "a" else hops[::-1]),)


def ordering(before, after):
    space = Space()
    states = [{device: Filter(one) for device, one in zip(DEVICES, some, strict=True)} for some in (before, after)]
    return Ordering(Line(), *states, lambda host: space.full, space)


def moments(before, after, waves):
    """Ports that pass in every mixture that the waves can lead to, by plain counting."""
    done = set()
    for wave in waves:
        for some in chain.from_iterable(combinations(wave, size) for size in range(len(wave) + 1)):
            new = done | set(some)
            yield {p for p in PORTS if all(p in (after if d in new else before)[n] for n, d in enumerate(DEVICES))}
        done |= set(wave)


def opens(before, after, waves):
    ends = {p for p in PORTS if all(p in one for one in before)} | {p for p in PORTS if all(p in one for one in after)}
    return any(found - ends for found in moments(before, after, waves))


PERMITS = st.tuples(*[st.frozensets(st.sampled_from(PORTS)) for _ in DEVICES])
WAVES = st.permutations(DEVICES).flatmap(
    lambda order: st.integers(1, 3).map(lambda size: tuple(tuple(order[n : n + size]) for n in range(0, 3, size)))
)


@settings(deadline=None)
@given(PERMITS, PERMITS, WAVES)
def test_it_refuses_exactly_the_waves_in_which_something_opens(before, after, waves):
    found = ordering(before, after).first_opening(waves)
    assert (found is not None) == opens(before, after, waves)
    if found is not None:
        number, opening = found
        assert opens(before, after, waves[:number])
        assert not opens(before, after, waves[: number - 1])
        assert opening.packet.dport in PORTS


@settings(deadline=None)
@given(PERMITS, PERMITS)
def test_an_order_that_it_offers_is_safe_and_closings_come_first(before, after):
    order = ordering(before, after).safe_order(DEVICES)
    if order is not None:
        assert not opens(before, after, tuple((device,) for device in order))
    elif not any(opens(before, after, tuple((d,) for d in one)) is False for one in permutations(DEVICES)):
        assert order is None


def test_the_message_names_wave_packet_and_a_safe_order():
    one = ordering(({1}, {2}, {1, 2}), ({1, 2}, {1}, {1, 2}))  # d1 opens 2, which d2 closes
    with pytest.raises(
        DeployError,
        match=r"wave 1 is not safe: while d1 already .*:2 passes .* deploy\.waves: \[\[d2\], \[d1\], \[d3\]\]",
    ):
        check_order(one, (("d1",), ("d2",), ("d3",)))
    check_order(one, (("d2",), ("d1",), ("d3",)))


def test_where_every_order_opens_something_it_says_so():
    one = ordering(({1}, {2}, {1, 2}), ({2}, {1}, {1, 2}))  # each opens what the other closes
    with pytest.raises(DeployError, match="no order is safe"):
        check_order(one, (("d1",), ("d2",), ("d3",)))


def test_two_devices_of_one_wave_may_come_in_any_order():
    one = ordering(({1}, {2}, {1, 2}), ({1, 2}, {1}, {1, 2}))
    with pytest.raises(DeployError, match="wave 1 is not safe"):
        check_order(one, (("d1", "d2"), ("d3",)))
