"""Which entries of an ordered list some packet reaches, and which of them it would miss.

The list is cut like in `Diagram.build`, but sublists keep their order, and each result names positions: those that some
packet reaches first, and those of them whose removal some packet would notice. To know both, a sublist needs no entry
beyond the second one that matches everything: a packet's verdict is the first match, its verdict without that entry
the second.

Addresses are where long lists are cut into the most pieces, so both are cut at once (`_plane`): destinations in order,
and at each of them only those sources again for which an entry came or went. What stays as it was has been looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.packets.diagram import CHEAP, WHOLE
from toolkit.packets.sweep import pieces, stretches, turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.packets.box import Interval
    from toolkit.packets.diagram import Diagram, Items

Seen = tuple[tuple[int, ...], tuple[int, ...]]  # positions reached, positions that matter

DST: Final = 1  # the first level of addresses; the one behind it holds the other address
TWICE: Final = 2


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
        suffixes, every = self.diagram.suffixes[level], self.diagram.every
        times: dict[int, int] = {}
        once = twice = 0  # flags with which entries that match everything else decide every packet, and a second time
        kept = []
        for position, item in enumerate(items):
            number = item >> 1
            _, _, _, _, wide, mask = suffixes[number]
            if twice and not mask & ~twice:
                continue
            times[number] = times.get(number, 0) + 1
            if times[number] > TWICE:
                continue
            kept.append(position)
            if wide:
                twice |= once & mask
                once |= mask
                if twice == every:
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
        _, found = self.diagram.cut(level, items, range(len(items)))
        if len({suffixes[item >> 1][2] for item in items}) == 1:
            return self._by_turns(items, found)
        for piece in found:
            if matter.issuperset(piece):
                continue  # nothing new can be learnt here
            rest = tuple([suffixes[items[one] >> 1][2] << 1 | items[one] & 1 for one in piece])
            first, noticed = self.of(level + 1, rest)
            reached.update([piece[one] for one in first])
            matter.update([piece[one] for one in noticed])
        return tuple(sorted(reached)), tuple(sorted(matter))

    @staticmethod
    def _by_turns(items: Items, found: list[list[int]]) -> Seen:
        """The answer where all items are alike but for this dimension: in each piece the first one decides alone."""
        reached: set[int] = set()
        matter: set[int] = set()
        for piece in filter(None, found):
            first = piece[0]
            reached.add(first)
            without = items[piece[1]] & 1 if len(piece) > 1 else 0
            if without != items[first] & 1:
                matter.add(first)
        return tuple(sorted(reached)), tuple(sorted(matter))


class _Plane:
    """A list over both addresses: one pass over the destinations that keeps in mind what it has seen of the sources."""

    def __init__(self, survey: Survey, items: Items) -> None:
        self.survey = survey
        diagram = survey.diagram
        following = [diagram.suffixes[DST][item >> 1][2] for item in items]
        self.destinations = [diagram.intervals(DST, item >> 1) for item in items]
        self.sources = [diagram.intervals(DST + 1, number) for number in following]
        # Each item without its addresses.
        self.rest = [
            diagram.suffixes[DST + 1][number][2] << 1 | item & 1 for number, item in zip(following, items, strict=True)
        ]
        self.reached: set[int] = set()
        self.matter: set[int] = set()
        # Lists of entries that were looked at: those of a destination at all sources, and those of a source there.
        self.lists: set[tuple[int, ...]] = set()
        self.cells: set[tuple[int, ...]] = set()

    def seen(self) -> Seen:
        """The answer for the whole list."""
        for turn in turns(self.destinations, self.rest):
            state = tuple(turn.active)
            if state in self.lists:
                continue  # sets of addresses come and go in turn
            self.lists.add(state)
            for stretch in stretches(turn.changed, self.sources):
                self._look(turn.active, stretch)
        return tuple(sorted(self.reached)), tuple(sorted(self.matter))

    def _look(self, active: Sequence[int], stretch: Interval) -> None:
        """Survey every list of entries that sources of a stretch meet."""
        _, found = pieces(active, self.sources, stretch)
        self.survey.diagram.spend(len(active) // CHEAP + sum(map(len, found)))
        for cell in map(tuple, found):
            if not cell or cell in self.cells or self.matter.issuperset(cell):
                continue
            self.cells.add(cell)
            first, noticed = self.survey.of(DST + 2, tuple([self.rest[one] for one in cell]))
            self.reached.update([cell[one] for one in first])
            self.matter.update([cell[one] for one in noticed])
