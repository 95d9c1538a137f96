"""Which entries of an ordered list some packet reaches, and which of them it would miss.

The list is cut like in `Diagram.build`, but sublists keep their order, and each result names positions: those that some
packet reaches first, and those of them whose removal some packet would notice. To know both, a sublist needs no entry
beyond the second one that matches everything: a packet's verdict is the first match, its verdict without that entry
the second.

Addresses are where long lists are cut into the most pieces, so both are cut at once (`_plane`): destinations in order,
and at each of them only those sources again for which an entry came or went. What stays as it was has been looked at.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

from toolkit.addresses import joined
from toolkit.packets.diagram import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.packets.box import Interval
    from toolkit.packets.diagram import Diagram, Items

Seen = tuple[tuple[int, ...], tuple[int, ...]]  # positions reached, positions that matter

DST: Final = 1  # the first level of addresses; the one behind it holds the other address
TWICE: Final = 2
FEW: Final = 8  # stretches of sources that are looked at one by one; where there are more, all between them is


class Survey:
    """Which positions of a list are reached, and which matter; equal lists are surveyed once."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self._known: list[dict[Items, Seen]] = [{} for _ in range(diagram.depth + 1)]
        self._known_as_given: list[dict[Items, Seen]] = [{} for _ in range(diagram.depth + 1)]

    def of(self, level: int, items: Items) -> Seen:
        """(positions reached, positions that matter) of a first-match list over the dimensions from `level` on."""
        seen = self._known_as_given[level].get(items)
        if seen is None:
            kept = self._needed(level, items)
            short = tuple([items[position] for position in kept])
            seen = self._known[level].get(short)
            if seen is None:
                seen = self._known[level][short] = self._survey(level, short)
            if len(kept) < len(items):
                seen = tuple([kept[one] for one in seen[0]]), tuple([kept[one] for one in seen[1]])
            self._known_as_given[level][items] = seen
        return seen

    def _needed(self, level: int, items: Items) -> list[int]:
        """Positions that can be first or second match of a packet."""
        suffixes = self.diagram.suffixes[level]
        times: dict[int, int] = {}
        wholes = 0
        kept = []
        for position, item in enumerate(items):
            number = item >> 1
            times[number] = times.get(number, 0) + 1
            if times[number] > TWICE:
                continue
            kept.append(position)
            wholes += suffixes[number][WHOLE]
            if wholes == TWICE:
                break
        return kept

    def _survey(self, level: int, items: Items) -> Seen:
        if not items:
            return (), ()
        suffixes = self.diagram.suffixes[level]
        if suffixes[items[0] >> 1][WHOLE]:
            without = self.diagram.build(level, items[1:])
            return (0,), (0,) if without != items[0] & 1 else ()
        if level == DST:
            return _Plane(self, items).seen()
        reached: set[int] = set()
        matter: set[int] = set()
        _, pieces = self.diagram.cut(level, items, range(len(items)))
        for piece in pieces:
            if matter.issuperset(piece):
                continue  # nothing new can be learnt here
            rest = tuple([suffixes[items[one] >> 1][2] << 1 | items[one] & 1 for one in piece])
            first, noticed = self.of(level + 1, rest)
            reached.update([piece[one] for one in first])
            matter.update([piece[one] for one in noticed])
        return tuple(sorted(reached)), tuple(sorted(matter))


class _Plane:
    """A list over both addresses: one pass over the destinations, which keeps in mind what it has seen of the sources.

    Between two destinations where nothing begins or ends, all packets meet the same entries. Where something does, the
    sources of those entries are the only ones at which the entries met are others than before.
    """

    def __init__(self, survey: Survey, items: Items) -> None:
        self.survey = survey
        diagram = survey.diagram
        self.sources: list[tuple[Interval, ...]] = []  # of each item
        self.rest: list[int] = []  # each item without its addresses
        self.toggled: dict[int, list[int]] = {}  # destination -> items that begin or end there
        for position, item in enumerate(items):
            following = diagram.suffixes[DST][item >> 1][2]
            self.sources.append(diagram.intervals(DST + 1, following))
            self.rest.append(diagram.suffixes[DST + 1][following][2] << 1 | item & 1)
            for low, high in diagram.intervals(DST, item >> 1):
                self.toggled.setdefault(low, []).append(position)
                self.toggled.setdefault(high + 1, []).append(position)
        self.reached: set[int] = set()
        self.matter: set[int] = set()
        # Lists of entries that were looked at: at one destination with all sources, and at one source and destination.
        self.lists: set[tuple[int, ...]] = set()
        self.cells: set[tuple[int, ...]] = set()

    def seen(self) -> Seen:
        """The answer for the whole list."""
        active: list[int] = []
        there = bytearray(len(self.rest))
        for destination in sorted(self.toggled):
            changed = self.toggled[destination]
            for one in changed:
                there[one] ^= 1
                if there[one]:
                    insort(active, one)
                else:
                    del active[bisect_left(active, one)]
            state = tuple(active)
            if state in self.lists:
                continue  # sets of addresses come and go in turn
            self.lists.add(state)
            spans = list(joined(span for one in changed for span in self.sources[one]))
            if len(spans) > FEW:
                spans = [(spans[0][0], spans[-1][1])]
            for low, high in spans:
                self._look(active, low, high)
        return tuple(sorted(self.reached)), tuple(sorted(self.matter))

    def _look(self, active: Sequence[int], low: int, high: int) -> None:
        """Survey every list of entries that sources of an interval meet."""
        for cell in self._cells(active, low, high):
            if cell in self.cells or self.matter.issuperset(cell):
                continue
            self.cells.add(cell)
            first, noticed = self.survey.of(DST + 2, tuple([self.rest[one] for one in cell]))
            self.reached.update([cell[one] for one in first])
            self.matter.update([cell[one] for one in noticed])

    def _cells(self, active: Sequence[int], low: int, high: int) -> Iterator[tuple[int, ...]]:
        spans = []
        for one in active:
            for first, last in self.sources[one]:
                if first <= high and last >= low:
                    spans.append((max(first, low), min(last, high) + 1, one))
        self.survey.diagram.spend(len(active) // 8 + len(spans))
        starts = sorted({low, *(first for first, _, _ in spans), *(stop for _, stop, _ in spans)} - {high + 1})
        index = {start: number for number, start in enumerate(starts)}
        index[high + 1] = len(starts)
        cells: list[list[int]] = [[] for _ in starts]
        for first, stop, one in spans:
            for cell in cells[index[first] : index[stop]]:
                cell.append(one)
        self.survey.diagram.spend(sum(map(len, cells)))
        return (tuple(cell) for cell in cells if cell)
