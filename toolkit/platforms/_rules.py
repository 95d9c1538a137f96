"""First-match rules as packets see them: boxes for a set, intervals for a walk; shared by readers of vendors' ACLs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from toolkit.addresses import joined
from toolkit.packets import ESTABLISHED, FULL, Block, Interval, point
from toolkit.platforms._sizes import all_masked
from toolkit.platforms.base import ListedEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolkit.net import Action, Packet
    from toolkit.packets import PacketSet, Space

Intervals = tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an entry matches: a product of interval lists, one list per dimension of a box.

    `text` and `place` are those of the entry; several rules may come from one.
    """

    action: Action
    protocol: Intervals = (FULL[0],)
    dst: Intervals = (FULL[1],)
    src: Intervals = (FULL[2],)
    dport: Intervals = (FULL[3],)
    sport: Intervals = (FULL[4],)
    flags: Intervals = (FULL[5],)
    text: str = ""
    place: str = ""

    def boxes(self) -> Iterator[Block]:
        """The packets that it matches."""
        dst, src = merged(self.dst), merged(self.src)
        for protocol in self.protocol:
            for dport in self.dport:
                for sport in self.sport:
                    for flags in self.flags:
                        yield Block(protocol, dst, src, dport, sport, flags)

    def combinations(self) -> tuple[int, int]:
        """Entries that it takes where hardware writes every combination out: ranges of ports as one, and expanded."""
        ends = all_masked(self.dst) * all_masked(self.src)
        rest = len(self.protocol) * len(self.flags) * ends
        flags = 2 if ESTABLISHED in self.flags else 1  # two bits of which one must be set
        return (
            rest * len(self.dport) * len(self.sport),
            rest * all_masked(self.dport) * all_masked(self.sport) * flags,
        )

    def matches(self, packet: Packet) -> bool:
        """Whether a packet is one of them, field by field."""
        fields = (self.protocol, self.dst, self.src, self.dport, self.sport, self.flags)
        return all(
            any(low <= value <= high for low, high in field) for field, value in zip(fields, point(packet), strict=True)
        )


def permitted(space: Space, rules: Sequence[Rule], default: Action) -> PacketSet:
    """What a first-match list permits."""
    return space.acl(((rule.action, box) for rule in rules for box in rule.boxes()), default)


def listed(rules: Iterable[Rule]) -> tuple[ListedEntry, ...]:
    """The entries that rules come from: neighbours with one text and place are one."""
    return tuple(
        ListedEntry(action, text, place, tuple(part for rule in some for part in rule.boxes()))
        for (action, text, place), some in groupby(rules, lambda rule: (rule.action, rule.text, rule.place))
    )


def first(rules: Iterable[Rule], packet: Packet) -> Rule | None:
    """The rule that decides a packet, None where none matches."""
    return next((rule for rule in rules if rule.matches(packet)), None)


def merged(intervals: Iterable[Interval]) -> Intervals:
    """The same values in the fewest intervals, in order."""
    return tuple(joined(intervals))


def without(intervals: Iterable[Interval], full: Interval) -> Intervals:
    """All values of a dimension but these."""
    found: list[Interval] = []
    low = full[0]
    for start, end in merged(intervals):
        if low < start:
            found.append((low, start - 1))
        low = end + 1
    if low <= full[1]:
        found.append((low, full[1]))
    return tuple(found)
