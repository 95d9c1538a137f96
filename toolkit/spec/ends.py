"""Who is source and who is destination of a row: its cells, its direction, the heading above it, its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.spec.columns import Kind
from toolkit.spec.context import BOTH, IN, OUT, arrow_sides, direction_in, ends_in, speaker_in
from toolkit.spec.statements import among_nodes, between, both_ways, both_ways_from, forwarded_to
from toolkit.spec.vocabulary import LOOPBACK, SELF, Party, mentions, parties

if TYPE_CHECKING:
    from toolkit.spec.rows import Record

_NODE: Final = (Party("node"),)
_CLUSTER: Final = frozenset({"node", "server", "agent"})


@dataclass(frozen=True, slots=True)
class End:
    """One end of a row; `reason` says how it was derived, None where a cell states it."""

    parties: tuple[Party, ...]
    reason: str | None = None
    lines: tuple[int, ...] = ()
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a row; `local` when the row never leaves its host."""

    source: End
    destination: End
    bidirectional: bool = False
    local: bool = False


def resolve(record: Record, title: str) -> Ends:
    """Ends of a row."""
    resolver = _Resolver(record, title)
    ends = resolver.resolve()
    local = any(
        all(one.name == LOOPBACK for one in end.parties) and end.parties for end in (ends.source, ends.destination)
    )
    return Ends(resolver.settle(ends.source), resolver.settle(ends.destination), ends.bidirectional, local)


class _Resolver:
    """Resolves one row; `subject` is whose ports the row is about."""

    def __init__(self, record: Record, title: str) -> None:
        self._record = record
        self._title = title
        self._words = record.text(Kind.NOTES, Kind.PURPOSE)
        context = record.context
        cell = record.cell(Kind.SUBJECT)
        own = parties(cell.text, title) if cell else ()
        if own and cell:
            self.subject = End(own, None, () if cell.line == record.line else (cell.line,))
        elif context.subject:
            named = ", ".join(one.name for one in context.subject.value)
            self.subject = End(
                context.subject.value, f"line {context.subject.line} is about {named}", (context.subject.line,)
            )
        else:
            self.subject = End(_NODE, "nothing on the page says whose ports these are; taken as every node")

    def resolve(self) -> Ends:
        """Source and destination before `self` is replaced."""
        record, context = self._record, self._record.context
        source, destination, peer = (self._stated(kind) for kind in (Kind.SOURCE, Kind.DESTINATION, Kind.PEER))
        cell = record.cell(Kind.DIRECTION)
        direction = direction_in(cell.flat) if cell else None
        lines: tuple[int, ...] = ()
        if direction is None and context.direction:
            direction, lines = context.direction, (context.direction_line,) if context.direction_line else ()
        both = direction == BOTH
        if not (source or destination or peer) and direction in (IN, OUT):
            # Under "Outbound" an address is where the traffic goes, under "Inbound" where it comes from.
            peer = self._stated(Kind.ADDRESS)
        if source and destination:
            return Ends(source, destination, both)
        if source:
            return Ends(source, self._destination_of(source, direction, lines), both)
        if destination:
            return Ends(self._source_of(destination, direction, lines), destination, both)
        return self._drawn_or_shared(both=both) or (
            self._with_peer(peer, direction, lines) if peer else self._unstated(direction, lines)
        )

    def _drawn_or_shared(self, *, both: bool) -> Ends | None:
        """Ends of a row that draws them, or that has one cell for both."""
        drawn = self._drawn()
        if drawn:
            return Ends(drawn[0], drawn[1], drawn[2] or both)
        among = self._stated(Kind.BETWEEN)
        return Ends(among, among) if among else None

    def _drawn(self) -> tuple[End, End, bool] | None:
        """Ends that a cell draws as `A -> B`, in whatever words; `A <-> B` runs both ways."""
        for kind in (Kind.PEER, Kind.BETWEEN, Kind.PURPOSE, Kind.DIRECTION, Kind.OTHER, Kind.NOTES):
            for cell in self._record.cells.get(kind, ()):
                sides = arrow_sides(cell.flat)
                if sides:
                    one, other = parties(sides[0], self._title), parties(sides[1], self._title)
                    if one and other:
                        return End(one), End(other), sides[2]
        return None

    def _stated(self, kind: Kind) -> End | None:
        cell = self._record.cell(kind)
        found = parties(cell.text, self._title) if cell else ()
        return End(found) if found else None

    def _with_peer(self, peer: End, direction: str | None, lines: tuple[int, ...]) -> Ends:
        subject = self._derived(self.subject, lines)
        if direction == OUT:
            return Ends(subject, peer)
        return Ends(peer, subject, direction == BOTH)

    def _derived(self, end: End, lines: tuple[int, ...]) -> End:
        return End(end.parties, end.reason, tuple(dict.fromkeys((*end.lines, *lines))), end.doubtful)

    def _destination_of(self, source: End, direction: str | None, lines: tuple[int, ...]) -> End:
        """Destination of a row that names its source only."""
        names = {one.name for one in source.parties}
        said = self._destination_said(source, names)
        if said:
            return said
        context = self._record.context
        if context.destinations:
            return End(
                context.destinations.value, f"line {context.destinations.line} says so", (context.destinations.line,)
            )
        if direction == OUT and {one.name for one in self.subject.parties} <= names:
            return self._destination_in_words()
        return self._derived(self.subject, lines)

    def _destination_said(self, source: End, names: set[str]) -> End | None:
        """Destination that the remarks of a row name."""
        to = forwarded_to(self._words)
        if to:
            found = parties(to, self._title)
            if found:
                return End(found, "the row says where its traffic is forwarded to")
        everywhere = both_ways_from(self._words)
        if everywhere:
            found = tuple(one for one in parties(everywhere, self._title) if one.known)
            if found:
                return End(found, "the row asks for inbound and outbound connectivity of these")
        if both_ways(self._words) and {one.name for one in self.subject.parties} <= names and len(names) > 1:
            return End(source.parties, "the row speaks of both directions between these")
        pair = between(self._words)
        if pair:
            found = tuple(one for text in pair for one in parties(text, self._title) if one.known)
            other = tuple(one for one in found if one.name not in names)
            if found:
                return End(tuple(dict.fromkeys(other or found)), "the row speaks of the traffic between these")
        return None

    def _destination_in_words(self) -> End:
        ends = ends_in(self._record.text(Kind.PURPOSE), self._title)
        if ends:
            return End(ends[1], "the purpose says so")
        others = tuple(
            Party(role) for role in mentions(self._words) if role not in {one.name for one in self.subject.parties}
        )
        if len(others) == 1:
            return End(others, "the row mentions nobody else")
        return End((Party("any"),), "the page does not say where this traffic goes", doubtful=True)

    def _source_of(self, destination: End, direction: str | None, lines: tuple[int, ...]) -> End:
        """Source of a row that names its destination only."""
        context = self._record.context
        if context.sources:
            return End(context.sources.value, f"line {context.sources.line} says so", (context.sources.line,))
        own = {one.name for one in self.subject.parties} == {one.name for one in destination.parties}
        if direction == IN or (own and direction is None):
            return self._source_in_words(destination)
        return self._derived(self.subject, lines)

    def _source_in_words(self, destination: End) -> End:
        words = self._record.text(Kind.PURPOSE, Kind.NOTES)
        ends = ends_in(words, self._title)
        if ends:
            return End(ends[0], "the words of the row say so")
        if among_nodes(words):
            return End(_NODE, "the row speaks of traffic between nodes")
        names = {one.name for one in destination.parties}
        spoken = speaker_in(words)
        if spoken and spoken not in names:
            return End((Party(spoken),), f"the row speaks of {spoken}")
        if names <= _CLUSTER:
            return End(_NODE, "the page does not say who connects; taken as every node")
        if names == {"load_balancer"}:
            return End((Party("client"),), "the page does not say who connects to the load balancer; taken as clients")
        return End(_NODE, "the page does not say who connects; taken as every node")

    def _unstated(self, direction: str | None, lines: tuple[int, ...]) -> Ends:
        """A row that names neither end."""
        context = self._record.context
        if context.sources and context.destinations:
            reason = f"line {context.sources.line} names both ends"
            at = (context.sources.line,)
            same = context.sources.value == context.destinations.value and len(context.sources.value) > 1
            return Ends(
                End(context.sources.value, reason, at),
                End(context.destinations.value, reason, at),
                direction == BOTH or same,
            )
        subject = self._derived(self.subject, lines)
        pair = between(self._words) if direction in (None, BOTH) else None
        if pair:
            found = tuple(dict.fromkeys(one for text in pair for one in parties(text, self._title)))
            if found and all(one.known for one in found):
                end = End(found, "the row speaks of the traffic between these")
                return Ends(end, end, direction == BOTH)
        if direction == OUT:
            return Ends(subject, self._destination_in_words())
        if direction == BOTH:
            return Ends(subject, subject, bidirectional=True)
        ends = ends_in(self._words, self._title) if not both_ways(self._words) else None
        if ends and direction is None and not context.subject:
            return Ends(End(ends[0], "the words of the row say so"), End(ends[1], "the words of the row say so"))
        return Ends(self._source_in_words(subject), subject)

    def settle(self, end: End) -> End:
        """An end with `self` replaced by whose ports the row is about, and loopback left out where others stand."""
        found: list[Party] = []
        lines = end.lines
        for one in end.parties:
            if one.name == SELF and one.known:
                found += self.subject.parties
                lines = (*lines, *self.subject.lines)
            elif one.name != LOOPBACK or not one.known or len(end.parties) == 1:
                found.append(one)
        return End(tuple(dict.fromkeys(found)), end.reason, tuple(dict.fromkeys(lines)), end.doubtful)
