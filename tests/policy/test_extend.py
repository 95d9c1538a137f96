"""The planner against brute force: every subset of the permits, at every place of the list."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import PolicyError
from toolkit.net import TCP, Action
from toolkit.packets import Box, Space
from toolkit.policy.extend import SEARCHED, Entry, Permit, Standing, check_overrides, plan_extension

PERMIT, DENY = Action.PERMIT, Action.DENY
DSTS, SRCS = 3, 2
POINTS = [(dst, src) for dst in range(DSTS) for src in range(SRCS)]
SPACE = Space((255, DSTS - 1, SRCS - 1, 3, 3, 3))
EVERYTHING = frozenset(POINTS)


def packets(points):
    return SPACE.union(Box((TCP, TCP), (dst, dst), (src, src)) for dst, src in points)


def entry(points, action, slot, name="", **extra):
    return Entry(packets(points), action, (name or f"e{slot}",), slot, **extra)


def permit(points, name="r"):
    return Permit(packets(points), name, (name,))


def verdicts(lines, default):
    """Points that pass a first-match list of (points, action), walked one by one."""
    passed = set()
    for point in POINTS:
        action = next((action for points, action in lines if action is not None and point in points), default)
        if action is PERMIT:
            passed.add(point)
    return passed


def inserted(lines, permits, insertions):
    """The list with some permits inserted before the lines that their slots name."""
    result = []
    for number in range(len(lines) + 1):
        result += [(permits[one], PERMIT) for slot, one in insertions if slot == number]
        result += lines[number : number + 1]
    return result


def planned(lines, permits, default=DENY, overrides=(), scope=EVERYTHING):
    entries = [entry(points, action, slot) for slot, (points, action) in enumerate(lines)]
    end = Entry(SPACE.full, default, ("the end",), len(lines), default=True)
    return plan_extension(entries, end, [permit(points) for points in permits], packets(scope), overrides)


SOME = st.sets(st.sampled_from(POINTS), min_size=1).map(frozenset)
LINES = st.lists(st.tuples(SOME, st.sampled_from([PERMIT, DENY, None])), max_size=4)
PERMITS = st.lists(SOME, max_size=3)
DEFAULTS = st.sampled_from([DENY, DENY, PERMIT])
MANY = settings(max_examples=400, deadline=None)


@MANY
@given(LINES, PERMITS, DEFAULTS)
def test_after_is_before_and_required_exactly_or_the_plan_names_a_deny(lines, permits, default):
    before = verdicts(lines, default)
    required = set().union(*permits)
    decided_by_deny = {
        point
        for point in required
        if next((action for points, action in lines if action and point in points), None) is DENY
    }
    try:
        extension = planned(lines, permits, default)
    except PolicyError:
        assert decided_by_deny
        return
    assert not decided_by_deny
    assert verdicts(inserted(lines, permits, extension.insertions), default) == before | required


@MANY
@given(LINES, PERMITS, DEFAULTS)
def test_with_every_deny_overridden_it_is_exact_and_no_smaller_number_does(lines, permits, default):
    names = [f"e{slot}" for slot in range(len(lines))]
    extension = planned(lines, permits, default, names)
    wanted = verdicts(lines, default) | set().union(*permits)
    assert verdicts(inserted(lines, permits, extension.insertions), default) == wanted
    choices = [None, *range(len(lines) + 1)]
    fewest = min(
        sum(slot is not None for slot in slots)
        for slots in product(choices, repeat=len(permits))
        if verdicts(
            inserted(lines, permits, [(slot, n) for n, slot in enumerate(slots) if slot is not None]), default
        ) == wanted
    )  # fmt: skip
    assert len(extension.insertions) == fewest


@MANY
@given(LINES, PERMITS)
def test_an_insertion_stands_as_far_down_as_it_may(lines, permits):
    extension = planned(lines, permits, DENY, [f"e{slot}" for slot in range(len(lines))])
    before = verdicts(lines, DENY)
    for slot, number in extension.insertions:
        later = next((n for n in range(slot, len(lines)) if lines[n][1] is not None), len(lines)) + 1
        if later <= len(lines):
            moved = verdicts(inserted(lines, permits, [(later, number)]), DENY)
            assert not permits[number] <= moved | before


@MANY
@given(LINES, PERMITS, DEFAULTS)
def test_what_is_said_of_each_permit_is_true(lines, permits, default):
    extension = planned(lines, permits, default, [f"e{slot}" for slot in range(len(lines))])
    before = verdicts(lines, default)
    for one, points in zip(extension.wanted, permits, strict=True):
        passing = points & before
        expected = Standing.PERMITTED if passing == points else Standing.PARTLY if passing else Standing.MISSING
        assert one.standing is expected
        assert bool(one.by) == bool(passing)
        assert bool(one.against) == (passing != points)
        assert one.slot is None or passing != points
    excess = {one.entry for one in extension.excess}
    required = set().union(*permits)
    left = set(EVERYTHING)
    for slot, (points, action) in enumerate(lines):
        decides = (left & points) - required
        assert (f"e{slot}" in excess) == (action is PERMIT and bool(decides))
        left -= points if action else set()
    assert ("the end" in excess) == (default is PERMIT and bool(left - required))


# ---- by hand ---------------------------------------------------------------------------------

A, B, C, D = POINTS[:4]


def test_the_end_is_a_default_and_a_deny_before_it_is_not():
    entries = [entry({A}, DENY, 0, "quarantine", place="line 4"), entry(EVERYTHING, DENY, 1, "last", default=True)]
    end = Entry(SPACE.full, DENY, ("policy drop",), 2, default=True)
    extension = plan_extension(entries, end, [permit({B}, "r1")], packets(EVERYTHING))
    assert extension.insertions == ((1, 0),)
    assert extension.wanted[0].against == ("last",)
    with pytest.raises(PolicyError, match=r"quarantine \(line 4\) denies tcp .*, which r1 requires.*filter\.override"):
        plan_extension(entries, end, [permit({A, B}, "r1")], packets(EVERYTHING))
    extension = plan_extension(entries, end, [permit({A, B}, "r1")], packets(EVERYTHING), ["quarantine"])
    assert extension.insertions == ((0, 0),)
    assert extension.overtaken == ("quarantine (line 4)",)


def test_every_deny_in_the_way_is_named_at_once():
    entries = [entry({A}, DENY, 0, "one"), entry({B}, DENY, 1, "two")]
    end = Entry(SPACE.full, DENY, ("the end",), 2, default=True)
    with pytest.raises(PolicyError, match=r"one denies .*; two denies "):
        plan_extension(entries, end, [permit({A, B}, "r1")], packets(EVERYTHING))
    with pytest.raises(PolicyError) as caught:
        plan_extension(entries, end, [permit({A, B}, "r1")], packets(EVERYTHING), ["one"])
    assert "one denies" not in str(caught.value)


def test_a_deny_that_an_earlier_permit_covers_decides_nothing():
    lines = [({A}, PERMIT), ({A, B}, DENY)]
    assert planned(lines, [{A}]).insertions == ()
    with pytest.raises(PolicyError):
        planned(lines, [{A, B}])


def test_what_is_permitted_already_is_not_inserted_and_a_permit_for_both_replaces_two():
    lines = [({A}, PERMIT)]
    extension = planned(lines, [{A}, {B}, {C}, {B, C}])
    assert extension.insertions == ((1, 3),)
    standings = [one.standing for one in extension.wanted]
    assert standings == [Standing.PERMITTED, Standing.MISSING, Standing.MISSING, Standing.MISSING]
    assert planned(lines, [{A, B}]).wanted[0].standing is Standing.PARTLY


def test_a_log_before_the_deny_stays_with_it():
    lines = [({A}, PERMIT), (EVERYTHING, None), (EVERYTHING, None), (EVERYTHING, DENY)]
    assert planned(lines, [{B}], overrides=["e3"]).insertions == ((1, 0),)
    assert planned([(EVERYTHING, None)], [{B}]).insertions == ((0, 0),)


def test_beyond_the_search_the_choice_is_still_exact():
    space = Space((255, 63, 0, 3, 3, 3))

    def some(*values):
        return space.union(Box((TCP, TCP), (value, value)) for value in values)

    count = SEARCHED + 4
    permits = [Permit(some(n, (n + 1) % count, (n + 2) % count), f"r{n}") for n in range(count)]
    end = Entry(space.full, DENY, ("the end",), 0, default=True)
    extension = plan_extension([], end, permits, space.empty)
    covered = space.empty
    for _, number in extension.insertions:
        covered = covered | permits[number].packets
    assert covered == some(*range(count))
    assert len(extension.insertions) < count


def test_an_override_must_name_a_deny_and_the_choices_are_given():
    known = [("CORP-10", "CORP-10 quarantine"), ("handle 7",)]
    check_overrides(["CORP-10 quarantine", "handle 7"], known, "fw1")
    with pytest.raises(PolicyError, match=r"fw1: override 'CORP-11' names no explicit deny .*'CORP-10', 'handle 7'\)"):
        check_overrides(["CORP-11"], known, "fw1")
    with pytest.raises(PolicyError, match=r"valid choices: none"):
        check_overrides(["x"], [], "fw1")
