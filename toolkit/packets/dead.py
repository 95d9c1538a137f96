"""Entries of an ordered list that decide nothing, found exactly: unions of other entries count.

The list is cut like in `Diagram.build`, but sublists keep their order, and each result names the positions that some
packet reaches first, and those of them whose removal some packet would notice. To know both, a sublist needs no
entry beyond the second one that matches everything: a packet's verdict is the first match, its verdict without that
entry the second.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from toolkit.net import Action
from toolkit.packets.diagram import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toolkit.packets.box import Box, Interval
    from toolkit.packets.diagram import Diagram, Items
    from toolkit.packets.sets import Space

Entry = tuple[Action, "Box"]
Seen = tuple[tuple[int, ...], tuple[int, ...]]  # positions reached, positions that matter

DEFAULT_BUDGET: Final = 20_000_000
TWICE: Final = 2


class DeadKind(StrEnum):
    """Why an entry decides nothing."""

    SHADOWED = "shadowed"
    REDUNDANT = "redundant"


@dataclass(frozen=True, slots=True)
class Dead:
    """An entry whose removal, alone, changes no verdict.

    `shadowed`: every packet that it matches is decided by earlier entries, at least one of them with the other
    action: what its author wanted does not happen. `redundant`: the same verdicts come from the entries in `by`, or
    from the default where `by` does not decide them all. `by` holds positions, from 0: those earlier entries that
    decide packets of this one; for a `reached` entry, the later ones that would. Entries that are not `reached` may be
    removed together; after the removal of a `reached` one, ask again.
    """

    index: int
    kind: DeadKind
    by: tuple[int, ...]
    reached: bool = False


def dead_entries(
    space: Space,
    entries: Sequence[Entry],
    *,
    default: Action = Action.DENY,
    budget: int = DEFAULT_BUDGET,
) -> list[Dead]:
    """Every entry whose removal changes nothing, in the order of the list.

    Raises:
        BudgetError: the entries overlap so much that `budget` steps (about a million a second) do not suffice.
    """
    with space.diagram.budget(budget):
        return _Analysis(space, entries, default).dead()


class _Analysis:
    def __init__(self, space: Space, entries: Sequence[Entry], default: Action) -> None:
        self.space = space
        self.entries = entries
        self.default = default
        self.survey = _Survey(space.diagram)
        self.by_dst = _Index(box.dst for _, box in entries)
        self.by_src = _Index(box.src for _, box in entries)

    def dead(self) -> list[Dead]:
        """All dead entries."""
        last = self._last_like_default()
        reached, matter = self._owners(list(enumerate(self.entries[:last])), self.default)
        if last < len(self.entries) and self.space.union(box for _, box in self.entries[:last]) != self.space.full:
            reached.add(last)
        return [
            self._explain(index, reached=index in reached)
            for index in range(len(self.entries))
            if index not in reached or index not in matter
        ]

    def _last_like_default(self) -> int:
        """Position of a last entry that says what the default says, the length of the list where there is none.

        It is so common (`deny ip any any`), and lies in every piece without ever mattering, that it is kept out
        of the survey.
        """
        end = len(self.entries)
        if end and self.entries[-1][0] is self.default and self.space.union([self.entries[-1][1]]) == self.space.full:
            return end - 1
        return end

    def _owners(self, numbered: Iterable[tuple[int, Entry]], default: Action) -> tuple[set[int], set[int]]:
        """Indices of the entries that are reached, and of those that matter."""
        items: list[int] = []
        owners: list[int] = []
        for index, entry in numbered:
            mine = self.space.items([entry])
            items += mine
            owners += [index] * len(mine)
        items += self.space.items((), default)
        owners += [-1] * (len(items) - len(owners))
        reached, matter = self.survey.of(0, tuple(items))
        return {owners[one] for one in reached}, {owners[one] for one in matter}

    def _explain(self, index: int, *, reached: bool) -> Dead:
        """Which entries decide the packets of a dead one instead."""
        action, box = self.entries[index]
        rivals = []
        for other in self._neighbours(index, earlier_only=not reached):
            common = box.intersect(self.entries[other][1])
            if common is not None:
                rivals.append((other, (self.entries[other][0], common)))
        deciders = sorted(self._owners(rivals, Action.DENY)[0])
        by = tuple(one for one in deciders if one > index) if reached else tuple(deciders)
        overruled = not reached and any(self.entries[one][0] is not action for one in by)
        return Dead(index, DeadKind.SHADOWED if overruled else DeadKind.REDUNDANT, by, reached)

    def _neighbours(self, index: int, *, earlier_only: bool) -> list[int]:
        """Other entries that may meet an entry, in the order of the list."""
        box = self.entries[index][1]
        found = set(self.by_dst.meeting(box.dst)).intersection(self.by_src.meeting(box.src))
        return sorted(one for one in found if one < index or (one > index and not earlier_only))


class _Index:
    """Intervals by size and start, to find those that may meet another one without looking at all of them.

    An interval of fewer than 2**n values meets one that starts at `low` only if it starts above low - 2**n.
    """

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self.sizes: dict[int, list[tuple[int, int]]] = {}
        for number, (low, high) in enumerate(intervals):
            self.sizes.setdefault((high - low + 1).bit_length(), []).append((low, number))
        for starts in self.sizes.values():
            starts.sort()

    def meeting(self, interval: Interval) -> list[int]:
        """Numbers of all intervals that meet this one, and of a few that do not."""
        low, high = interval
        found: list[int] = []
        for bits, starts in self.sizes.items():
            begin = bisect_right(starts, (low - (1 << bits), len(starts)))
            end = bisect_left(starts, (high + 1, -1))
            found += [number for _, number in starts[begin:end]]
        return found


class _Survey:
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
