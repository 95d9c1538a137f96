"""The entry of an ordered list that decides one packet, without walking the list.

In each dimension the edges of all entries cut the values into pieces, and each piece has an integer with a bit for
every entry that matches there. A packet lies in one piece of each dimension; the lowest bit that all of these integers
have is the first match. Integers grow with the entries, and pieces too, so a long list is cut into slices.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from operator import xor
from typing import TYPE_CHECKING, Final

from toolkit.packets.box import Box, Interval, meaning, point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.net import Packet
    from toolkit.packets.box import Block, Point

# Rows of one slice. Memory of a slice grows with the square of it: at most 4 MiB for each dimension at this size.
SLICE: Final = 4096

Row = tuple[tuple[Interval, ...], ...]  # for each dimension the intervals that match


class Decider:
    """First matches of single packets; `entries` are what each entry matches, in order."""

    def __init__(self, entries: Sequence[Sequence[Box | Block]], maxima: Sequence[int]) -> None:
        rows: list[Row] = []
        self.owners: list[int] = []
        for index, parts in enumerate(entries):
            for part in parts:
                mine = _rows(part, maxima)
                rows += mine
                self.owners += [index] * len(mine)
        self.slices = [_Slice(rows[start : start + SLICE]) for start in range(0, len(rows), SLICE)]

    def of(self, packet: Packet) -> int | None:
        """Position of the entry that decides a packet, None where no entry matches it."""
        return self.at(point(packet))

    def at(self, where: Point) -> int | None:
        """As `of`, for a packet as coordinates."""
        for number, one in enumerate(self.slices):
            row = one.first(where)
            if row is not None:
                return self.owners[number * SLICE + row]
        return None


class _Slice:
    def __init__(self, rows: Sequence[Row]) -> None:
        self.dimensions = [_pieces([row[level] for row in rows]) for level in range(len(rows[0]))]

    def first(self, where: Point) -> int | None:
        """Number of the first row that matches."""
        matching = -1
        for (starts, masks), value in zip(self.dimensions, where, strict=True):
            matching &= masks[bisect_right(starts, value)]
            if not matching:
                return None
        return (matching & -matching).bit_length() - 1


def _pieces(intervals: Sequence[tuple[Interval, ...]]) -> tuple[list[int], list[int]]:
    """(first values of the pieces, for each piece and the one before the first a bit for every row that covers it)."""
    changes: dict[int, int] = {}
    for row, mine in enumerate(intervals):
        for low, high in mine:
            changes[low] = changes.get(low, 0) ^ 1 << row
            changes[high + 1] = changes.get(high + 1, 0) ^ 1 << row
    starts = sorted(changes)
    return starts, list(accumulate((changes[start] for start in starts), xor, initial=0))


def _rows(part: Box | Block, maxima: Sequence[int]) -> list[Row]:
    dst, src = ((part.dst,), (part.src,)) if isinstance(part, Box) else (part.dst, part.src)
    shapes = meaning((part.protocol, part.dport, part.sport, part.flags), maxima[3:5])
    return [((protocol,), dst, src, (dport,), (sport,), (flags,)) for protocol, dport, sport, flags in shapes]
