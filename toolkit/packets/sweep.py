"""One pass over a dimension: where entries begin or end, which are there then, and what changes in the next dimension.

Between two turns all values meet the same entries. At a turn, only those values of the next dimension meet others than
before that an entry covers which came or went; everything else stays as it was. So a long list is never cut anew.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.addresses import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolkit.packets.box import Interval

FEW: Final = 8  # stretches that are looked at one by one; where there are more, everything between them is


class Turn(NamedTuple):
    """A value from which on other entries are met: all that are met, in order, and those that came or went.

    `labels` are those of the active entries. `active` and `labels` are lists that change with every turn.
    """

    value: int
    active: list[int]
    labels: list[int]
    changed: list[int]


def turns(intervals: Iterable[Iterable[Interval]], labels: Sequence[int]) -> Iterator[Turn]:
    """The turns of entries that cover these intervals, each entry named by its position, with a label for each."""
    toggled: dict[int, list[int]] = {}
    for position, mine in enumerate(intervals):
        for low, high in mine:
            toggled.setdefault(low, []).append(position)
            toggled.setdefault(high + 1, []).append(position)
    active: list[int] = []
    here: list[int] = []
    for value in sorted(toggled):
        changed = toggled[value]
        for one in changed:
            at = bisect_left(active, one)
            if at < len(active) and active[at] == one:
                del active[at], here[at]
            else:
                active.insert(at, one)
                here.insert(at, labels[one])
        yield Turn(value, active, here, changed)


def stretches(changed: Iterable[int], intervals: Sequence[Sequence[Interval]]) -> list[Interval]:
    """Where the next dimension has to be looked at again: disjoint intervals in order that hold all of `changed`."""
    found = list(joined(one for entry in changed for one in intervals[entry]))
    return found if len(found) <= FEW else [(found[0][0], found[-1][1])]


def pieces(
    active: Iterable[int], intervals: Sequence[Sequence[Interval]], stretch: Interval
) -> tuple[list[int], list[list[int]]]:
    """Cut a stretch where an active entry begins or ends: last values, and the entries of each piece in order."""
    low, high = stretch
    end = high + 1
    spans = [
        (max(first, low), min(last + 1, end), one)
        for one in active
        for first, last in intervals[one]
        if first <= high and last >= low
    ]
    stops = sorted({end, *[first for first, _, _ in spans], *[stop for _, stop, _ in spans]} - {low})
    index = {stop: number + 1 for number, stop in enumerate(stops)}
    index[low] = 0
    found: list[list[int]] = [[] for _ in stops]
    for first, stop, one in spans:
        for piece in found[index[first] : index[stop]]:
            piece.append(one)
    return [stop - 1 for stop in stops], found


def spliced(
    lasts: Sequence[int], children: Sequence[int], stretch: Interval, ends: Sequence[int], inside: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Pieces (last values, and what each holds) with other ones in a stretch, which `ends` and `inside` fill."""
    low, high = stretch
    first, last = bisect_left(lasts, low), bisect_left(lasts, high)
    before = [low - 1] if low > (lasts[first - 1] + 1 if first else 0) else []  # what is left of a piece cut in two
    behind = last if high < lasts[last] else last + 1
    return (
        [*lasts[:first], *before, *ends, *lasts[behind:]],
        [*children[:first], *children[first : first + len(before)], *inside, *children[behind:]],
    )


def pieces_alike(
    intervals: Iterable[tuple[Interval, ...]], labels: Sequence[int], top: int
) -> tuple[list[int], list[list[int]]]:
    """Cut a dimension from 0 to `top`, as `pieces` does, where many entries have the same several intervals.

    Such entries are placed together; `labels` are what the pieces hold instead of positions.
    """
    alike: dict[tuple[Interval, ...], list[int]] = {}
    for position, mine in enumerate(intervals):
        alike.setdefault(mine, []).append(position)
    edges = {one for mine in alike for low, high in mine for one in (low, high + 1)}
    stops = sorted({top + 1, *edges} - {0})
    index = {0: 0, **{stop: number + 1 for number, stop in enumerate(stops)}}
    over: list[list[int]] = [[] for _ in stops]
    for group, mine in enumerate(alike):
        for low, high in mine:
            for one in over[index[low] : index[high + 1]]:
                one.append(group)
    positions = list(alike.values())
    known: dict[tuple[int, ...], list[int]] = {}
    found = []
    for groups in map(tuple, over):
        if groups not in known:
            known[groups] = [labels[one] for one in sorted(one for group in groups for one in positions[group])]
        found.append(known[groups])
    return [stop - 1 for stop in stops], found
