"""Entries of an ordered list that decide nothing, found exactly: unions of other entries count.

`survey.py` says in one pass which entries are reached and which would be missed. What is said about a single entry (who
decides its packets instead, which packets would be missed without it) is worked out among the entries that meet it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.net import Action
from toolkit.packets.box import Block, Box
from toolkit.packets.decide import Decider
from toolkit.packets.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolkit.net import Packet
    from toolkit.packets.box import Interval
    from toolkit.packets.sets import PacketSet, Space

Match = Box | Block | tuple[Box | Block, ...]  # what an entry matches; several boxes are their union
Entry = tuple[Action, Match]


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
    budget: int | None = None,
) -> list[Dead]:
    """Every entry whose removal changes nothing, in the order of the list.

    Raises:
        BudgetError: the entries overlap so much that `budget` steps do not suffice.
    """
    return Audit(space, entries, default, budget).dead()


class Audit:
    """Questions about the entries of one ordered list; `default` decides what none of them matches.

    Every answer is exact or a `BudgetError`: each question may take `budget` steps, those of the space where none are
    given.
    """

    def __init__(
        self,
        space: Space,
        entries: Sequence[Entry],
        default: Action = Action.DENY,
        budget: int | None = None,
    ) -> None:
        self.space = space
        self.default = default
        self.budget = space.budget if budget is None else budget
        self.actions = tuple(action for action, _ in entries)
        self.parts = tuple(_apart(space, match) for _, match in entries)
        self._survey = Survey(space.diagram)

    def dead(self) -> list[Dead]:
        """Every entry whose removal changes nothing, in the order of the list.

        Raises:
            BudgetError: the entries overlap too much.
        """
        with self.space.diagram.budget(self.budget):
            last = self._last_like_default()
            reached, matter = self._owners(((index, self.parts[index]) for index in range(last)), self.default)
            if last < len(self.parts) and self._union(range(last)) != self.space.full:
                reached.add(last)
            deciding = _Meeting(self.parts, sorted(reached - {-1}))  # which stands for the default
            return [
                self._explain(index, deciding, reached=index in reached)
                for index in range(len(self.parts))
                if index not in reached or index not in matter
            ]

    def decides(self, index: int) -> PacketSet:
        """The packets that an entry decides: those that it matches and no earlier one does; empty where none.

        Raises:
            BudgetError: the entries overlap too much.
        """
        with self.space.diagram.budget(self.budget):
            return self.space.union(self.parts[index]) - self._union(self._neighbours(index, earlier_only=True))

    def missed(self, index: int) -> PacketSet:
        """The packets whose verdict would change if an entry were removed; empty exactly where it is dead.

        Raises:
            BudgetError: the entries overlap too much.
        """
        with self.space.diagram.budget(self.budget):
            later = [one for one in self._neighbours(index, earlier_only=False) if one > index]
            without = self.space.acl(
                ((self.actions[one], part) for one in later for part in self.parts[one]), self.default
            )
            same = without if self.actions[index] is Action.PERMIT else ~without
            return self.decides(index) - same

    def overruled(self, index: int) -> PacketSet:
        """The packets of an entry that earlier entries decide, and otherwise than it would.

        Raises:
            BudgetError: the entries overlap too much.
        """
        with self.space.diagram.budget(self.budget):
            earlier = self._neighbours(index, earlier_only=True)
            permitted = self.space.acl((self.actions[one], part) for one in earlier for part in self.parts[one])
            mine = self.space.union(self.parts[index])
            if self.actions[index] is Action.DENY:
                return mine & permitted
            return (mine & self._union(earlier)) - permitted

    def decider(self, packet: Packet) -> int | None:
        """The position of the entry that decides a packet, None where the default does."""
        return self._decider.of(packet)

    @cached_property
    def _decider(self) -> Decider:
        return Decider(self.parts, self.space.diagram.maxima)

    def _union(self, indices: Iterable[int]) -> PacketSet:
        return self.space.union(part for index in indices for part in self.parts[index])

    def _last_like_default(self) -> int:
        """Position of a last entry that says what the default says, the length of the list where there is none.

        It is so common (`deny ip any any`), and lies in every piece without ever mattering, that it is kept out
        of the survey.
        """
        end = len(self.parts)
        if end and self.actions[-1] is self.default and self._union([end - 1]) == self.space.full:
            return end - 1
        return end

    def _owners(
        self, numbered: Iterable[tuple[int, Sequence[Box | Block]]], default: Action
    ) -> tuple[set[int], set[int]]:
        """Indices of the entries that are reached, and of those that matter."""
        items: list[int] = []
        owners: list[int] = []
        for index, parts in numbered:
            mine = self.space.items((self.actions[index], part) for part in parts)
            items += mine
            owners += [index] * len(mine)
        items += self.space.items((), default)
        owners += [-1] * (len(items) - len(owners))
        reached, matter = self._survey.of(0, tuple(items))
        return {owners[one] for one in reached}, {owners[one] for one in matter}

    def _explain(self, index: int, deciding: _Meeting, *, reached: bool) -> Dead:
        """Which entries decide the packets of a dead one instead; `deciding` are those that decide any at all."""
        rivals = []
        mine = list(self.parts[index])
        for other in self._meeting.of(index) if reached else deciding.of(index):
            if other == index or (other > index and not reached):
                continue
            common = list(_common(self.parts[index], self.parts[other]))
            if common:
                rivals.append((other, common))
            if common == mine:
                break  # it matches all that this one does, and nothing behind it is asked
        deciders = sorted(self._owners(rivals, Action.DENY)[0])
        by = tuple(one for one in deciders if one > index) if reached else tuple(deciders)
        overruled = not reached and any(self.actions[one] is not self.actions[index] for one in by)
        return Dead(index, DeadKind.SHADOWED if overruled else DeadKind.REDUNDANT, by, reached)

    def _neighbours(self, index: int, *, earlier_only: bool) -> list[int]:
        """Other entries that may meet an entry, in the order of the list."""
        return [one for one in self._meeting.of(index) if one < index or (one > index and not earlier_only)]

    @cached_property
    def _meeting(self) -> _Meeting:
        return _Meeting(self.parts, range(len(self.parts)))


class _Meeting:
    """Some of the entries, to find those that may meet another one."""

    def __init__(self, parts: Sequence[Sequence[Box | Block]], chosen: Iterable[int]) -> None:
        self.parts = parts
        numbered = [(number, part) for number in chosen for part in parts[number]]
        self.by_dst = _Index((number, _dst(part)) for number, part in numbered)
        self.by_src = _Index((number, _src(part)) for number, part in numbered)

    def of(self, index: int) -> list[int]:
        """Entries whose addresses may meet those of an entry (itself among them), in the order of the list."""
        found: set[int] = set()
        for part in self.parts[index]:
            found |= self.by_dst.meeting(_dst(part)) & self.by_src.meeting(_src(part))
        return sorted(found)


class _Index:
    """Intervals by size and start, to find those that may meet another one without looking at all of them.

    An interval of fewer than 2**n values meets one that starts at `low` only if it starts above low - 2**n.
    """

    def __init__(self, numbered: Iterable[tuple[int, Sequence[Interval]]]) -> None:
        self.sizes: dict[int, list[tuple[int, int]]] = {}
        for number, intervals in numbered:
            for low, high in intervals:
                self.sizes.setdefault((high - low + 1).bit_length(), []).append((low, number))
        for starts in self.sizes.values():
            starts.sort()

    def meeting(self, intervals: Sequence[Interval]) -> set[int]:
        """Numbers of all intervals that meet one of these, and of a few that do not."""
        found: set[int] = set()
        for low, high in intervals:
            for bits, starts in self.sizes.items():
                begin = bisect_right(starts, (low - (1 << bits), -1))
                end = bisect_left(starts, (high + 1, -1))
                found.update([number for _, number in starts[begin:end]])
        return found


def _dst(part: Box | Block) -> tuple[Interval, ...]:
    return part.dst if isinstance(part, Block) else (part.dst,)


def _src(part: Box | Block) -> tuple[Interval, ...]:
    return part.src if isinstance(part, Block) else (part.src,)


def _apart(space: Space, match: Match) -> tuple[Box | Block, ...]:
    """What an entry matches, in parts of which no two hold the same packet: it never decides instead of itself."""
    if not isinstance(match, tuple):
        return (match,)
    if len(match) > 1:
        both = space.union(match)
        if sum(space.union([part]).points() for part in match) != both.points():
            return tuple(both.boxes())
    return match


def _common(some: Sequence[Box | Block], others: Sequence[Box | Block]) -> Iterator[Box | Block]:
    """What parts of two entries have in common."""
    for one in some:
        (low, high), (first, last) = one.protocol, one.dport
        for other in others:
            if (
                other.protocol[0] > high or other.protocol[1] < low or other.dport[0] > last or other.dport[1] < first
            ):  # most often; the addresses meet already
                continue
            if isinstance(one, Box) and isinstance(other, Box):
                both: Box | Block | None = one.intersect(other)
            else:
                both = _block(one).intersect(_block(other))
            if both is not None:
                yield both


def _block(part: Box | Block) -> Block:
    if isinstance(part, Block):
        return part
    return Block(part.protocol, (part.dst,), (part.src,), part.dport, part.sport, part.flags)
