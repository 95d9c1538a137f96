"""Dead entries: known cases, and every answer against the definition on every point of a small universe."""

from __future__ import annotations

import random
from ipaddress import IPv4Network

import pytest

from tests.packets.oracle import DENY, FUZZ, PERMIT, SMALL_MAXIMA, first_match, matches, permits, points, small_entries
from toolkit.errors import BudgetError, ToolkitError
from toolkit.net import EPHEMERAL, TCP, UDP, PortRange, Service
from toolkit.packets import Box, Dead, DeadKind, Space, dead_entries

SHADOWED, REDUNDANT = DeadKind.SHADOWED, DeadKind.REDUNDANT


def net(text, ports=None, *, established=False):
    service = Service(TCP, PortRange.parse(ports)) if ports else Service(TCP)
    return Box.of(service, dst=IPv4Network(text), established=established)


ANY = Box()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        ([(PERMIT, net("10.0.0.0/24", "443"))], []),
        # the author's deny never happens
        ([(PERMIT, net("10.0.0.0/24")), (DENY, net("10.0.0.7/32", "22"))], [Dead(1, SHADOWED, (0,))]),
        # said before
        ([(PERMIT, net("10.0.0.0/24")), (PERMIT, net("10.0.0.7/32", "22"))], [Dead(1, REDUNDANT, (0,))]),
        # covered by a union only
        (
            [(PERMIT, net("10.0.0.0/25")), (DENY, net("10.0.0.128/25")), (PERMIT, net("10.0.0.0/24", "22"))],
            [Dead(2, SHADOWED, (0, 1))],
        ),
        (
            [
                (PERMIT, net("10.0.0.0/24", "0-79")),
                (PERMIT, net("10.0.0.0/24", "80-99")),
                (PERMIT, net("10.0.0.1/32", "70-90")),
            ],
            [Dead(2, REDUNDANT, (0, 1))],
        ),
        # said again, wider
        ([(PERMIT, net("10.0.0.7/32")), (PERMIT, net("10.0.0.0/24"))], [Dead(0, REDUNDANT, (1,), reached=True)]),
        # wider, but somebody in between says no
        ([(PERMIT, net("10.0.0.7/32")), (DENY, net("10.0.0.0/28")), (PERMIT, net("10.0.0.0/24"))], []),
        # the usual last line says what the default says
        ([(PERMIT, net("10.0.0.0/24")), (DENY, ANY)], [Dead(1, REDUNDANT, (), reached=True)]),
        # and here nothing gets there
        ([(PERMIT, ANY), (DENY, ANY)], [Dead(1, SHADOWED, (0,))]),
        # an exact repeat: either may go, not both
        (
            [(PERMIT, net("10.0.0.0/24")), (PERMIT, net("10.0.0.0/24"))],
            [Dead(0, REDUNDANT, (1,), reached=True), Dead(1, REDUNDANT, (0,))],
        ),
        # established is a part of all TCP
        (
            [(PERMIT, net("10.0.0.0/24", established=True)), (PERMIT, net("10.0.0.0/24"))],
            [Dead(0, REDUNDANT, (1,), reached=True)],
        ),
        # all ports together leave the fragments, which only the deny decides
        (
            [
                (PERMIT, net("10.0.0.0/24", "0-1023")),
                (PERMIT, net("10.0.0.0/24", "1024-65535")),
                (DENY, ANY),
                (PERMIT, net("10.0.0.0/24")),
            ],
            [Dead(3, SHADOWED, (0, 1, 2))],
        ),
        # matches no packet at all
        ([(PERMIT, Box(protocol=(17, 17), flags=(1, 1)))], [Dead(0, REDUNDANT, ())]),
    ],
)
def test_known_cases(entries, expected):
    assert dead_entries(Space(), entries) == expected


def test_the_default_matters():
    entries = [(DENY, net("10.0.0.0/24")), (PERMIT, ANY)]
    assert dead_entries(Space(), entries) == []
    assert dead_entries(Space(), entries, default=PERMIT) == [Dead(1, REDUNDANT, (), reached=True)]
    assert dead_entries(Space(), entries[:1], default=PERMIT) == []
    assert dead_entries(Space(), entries[:1]) == [Dead(0, REDUNDANT, (), reached=True)]


def deciders(entries, index, truth_points):
    """First matches of an entry's packets, and first matches without it (None is the default)."""
    mine = [point for point in truth_points if matches(entries[index][1], point, SMALL_MAXIMA)]
    firsts = {first_match(entries, point, SMALL_MAXIMA) for point in mine}
    return firsts, {first_match(entries, point, SMALL_MAXIMA, skip=index) for point in mine}


@pytest.mark.parametrize("seed", range(4))
def test_against_the_definition_on_every_point(seed):
    rng = random.Random(seed)
    universe = points(SMALL_MAXIMA)
    space = Space(SMALL_MAXIMA)
    for _ in range(8 * FUZZ):
        entries = small_entries(rng)
        if rng.random() < 0.3:
            entries.append((rng.choice((PERMIT, DENY)), ANY))
        default = rng.choice((PERMIT, DENY))
        found = {one.index: one for one in dead_entries(space, entries, default=default)}
        verdicts = [permits(entries, point, SMALL_MAXIMA, default) for point in universe]
        for index, (action, _) in enumerate(entries):
            same = verdicts == [permits(entries, point, SMALL_MAXIMA, default, skip=index) for point in universe]
            assert same == (index in found), (entries, index)
            if not same:
                continue
            firsts, without = deciders(entries, index, universe)
            dead = found[index]
            assert dead.reached == (index in firsts)
            if dead.reached:
                assert dead.by == tuple(sorted(one for one in without if one is not None and one > index))
                assert dead.kind is REDUNDANT
            else:
                assert dead.by == tuple(sorted(firsts))
                assert (dead.kind is SHADOWED) == any(entries[one][0] is not action for one in firsts)


@pytest.mark.parametrize("seed", range(4))
def test_entries_that_are_not_reached_may_go_together(seed):
    rng = random.Random(seed)
    space = Space(SMALL_MAXIMA)
    for _ in range(30 * FUZZ):
        entries = small_entries(rng, 12)
        unreached = {one.index for one in dead_entries(space, entries) if not one.reached}
        kept = [entry for index, entry in enumerate(entries) if index not in unreached]
        assert space.acl(kept) == space.acl(entries)


def tangled(how_many):
    """Boxes that all overlap and never contain one another."""
    rng = random.Random(0)
    return [
        (
            rng.choice((PERMIT, DENY)),
            Box(
                protocol=(UDP, UDP),
                dst=(one, 2**31 + rng.randrange(2**30)),
                src=(rng.randrange(2**30), 2**31 + one),
                dport=(rng.randrange(30000), rng.randrange(30001, 65536)),
            ),
        )
        for one in range(how_many)
    ]


def test_a_budget_that_is_too_small_is_said_and_harms_nothing():
    space = Space()
    entries = tangled(40)
    with pytest.raises(BudgetError) as caught:
        dead_entries(space, entries, budget=1000)
    assert str(caught.value) == (
        "the entries overlap too much: an exact answer takes more than 1000 steps, and none is guessed; "
        "ask about fewer entries at a time, or allow more with the variable TOOLKIT_BUDGET"
    )
    assert isinstance(caught.value, ToolkitError)
    assert caught.value.exit_code == 1
    assert space.acl(entries) == space.acl(entries[:1] + entries)  # the space goes on working
    assert dead_entries(space, entries) == dead_entries(Space(), entries)


def test_source_ports_count():
    web, high = Service(TCP, PortRange(443, 443)), Service(TCP)
    entries = [(PERMIT, Box.of(high, sport=EPHEMERAL)), (PERMIT, Box.of(web, sport=PortRange(2000, 3000)))]
    assert dead_entries(Space(), entries) == [Dead(1, REDUNDANT, (0,))]
    entries[0] = (PERMIT, Box.of(high, sport=PortRange(2001, 3000)))
    assert dead_entries(Space(), entries) == []
