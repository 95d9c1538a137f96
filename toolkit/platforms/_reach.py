"""Which entries of a long list can decide packets that matter, told by their addresses before any set is built."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from toolkit.packets import Box

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolkit.packets import Block, Interval

Intervals = tuple["Interval", ...]


class Reach:
    """The addresses of some boxes, as pairs of sets: destinations with sources."""

    def __init__(self, boxes: Iterable[Box | Block]) -> None:
        pairs = dict.fromkeys(((one.dst,), (one.src,)) if isinstance(one, Box) else (one.dst, one.src) for one in boxes)
        kept: list[tuple[Intervals, Intervals]] = []
        # The widest first: most pairs of what is required lie within one of the scope.
        for pair in sorted(pairs, key=lambda one: -_size(one[0]) - _size(one[1])):
            if not any(_within(pair[0], dst) and _within(pair[1], src) for dst, src in kept):
                kept.append(pair)
        self.pairs = tuple(kept)

    def meets(self, dst: Iterable[Interval], src: Iterable[Interval]) -> bool:
        """Whether a packet between two of these addresses may be in one of the boxes."""
        dst, src = tuple(dst), tuple(src)
        return any(_meet(dst, theirs) and _meet(src, others) for theirs, others in self.pairs)


def _size(intervals: Intervals) -> int:
    return sum(high - low + 1 for low, high in intervals)


def _meet(some: Intervals, sorted_ones: Intervals) -> bool:
    """Whether any interval overlaps one of those that are in order and apart."""
    for low, high in some:
        at = bisect_left(sorted_ones, low, key=_high)
        if at < len(sorted_ones) and sorted_ones[at][0] <= high:
            return True
    return False


def _within(some: Intervals, sorted_ones: Intervals) -> bool:
    """Whether each interval lies in one of those that are in order and apart."""
    for low, high in some:
        at = bisect_left(sorted_ones, low, key=_high)
        if at == len(sorted_ones) or not sorted_ones[at][0] <= low <= high <= sorted_ones[at][1]:
            return False
    return True


def _high(interval: Interval) -> int:
    return interval[1]
