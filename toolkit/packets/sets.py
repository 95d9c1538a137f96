"""Sets of packets as values: built from ordered entries, combined, compared, and asked for a witness."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError
from toolkit.net import ICMP, MAX_OCTET, MAX_PORT, TCP, UDP, Action
from toolkit.packets.box import (
    ACK,
    FRAGMENTS,
    FULL,
    MAXIMA,
    NOT_FRAGMENT,
    Block,
    Box,
    Interval,
    meaning,
    packet_of,
    point,
)
from toolkit.packets.diagram import ALL, BUDGET_VARIABLE, NONE, Diagram, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolkit.net import Packet
    from toolkit.packets.box import Shape

# Levels of the diagram; those before the flags are the five-tuple.
PROTOCOL: Final = 0
DST: Final = 1
SRC: Final = 2
DPORT: Final = 3
SPORT: Final = 4
FLAGS: Final = 5

# Unicast without 0.0.0.0/8 and loopback: addresses that an ordinary host sends from and to.
HOSTS: Final[tuple[Interval, ...]] = ((1 << 24, (127 << 24) - 1), (128 << 24, (224 << 24) - 1))
ANY_TARGET: Final[tuple[Interval, ...]] = ((1 << 24, (127 << 24) - 1), (128 << 24, MAXIMA[DST] - 1))
ANYWHERE: Final[tuple[Interval, ...]] = (FULL[DST],)
HIGH_PORTS: Final[Interval] = (1024, MAX_PORT)
REAL_PORTS: Final[Interval] = (1, MAX_PORT)
ECHO: Final[Interval] = (8 << 8, 8 << 8)

# Packets that are easy to send, the easiest first.
EASY: Final[tuple[Box, ...]] = (
    Box(protocol=(TCP, TCP), dport=REAL_PORTS, sport=HIGH_PORTS, flags=(0, 0)),
    Box(protocol=(UDP, UDP), dport=REAL_PORTS, sport=HIGH_PORTS, flags=NOT_FRAGMENT),
    Box(protocol=(ICMP, ICMP), dport=ECHO, flags=NOT_FRAGMENT),
    Box(protocol=(TCP, TCP), dport=REAL_PORTS, sport=HIGH_PORTS, flags=(ACK, ACK)),
    Box(protocol=(ICMP, ICMP), flags=NOT_FRAGMENT),
    Box(protocol=(TCP, TCP), flags=(0, 0)),
    Box(protocol=(UDP, UDP), flags=NOT_FRAGMENT),
    Box(flags=NOT_FRAGMENT),
    Box(),
)


# Steps for one list or one operation: 20 times what 10,000 lines that overlap very much take. At the worst that is half
# a minute of one processor and 2 GiB of memory.
DEFAULT_BUDGET: Final = 10_000_000


class Space:
    """A universe of packets. Sets of one space share nodes and results, so comparing them again costs little.

    Every list that is built and every operation may take `budget` steps (`DEFAULT_BUDGET`, or what the environment
    variable TOOLKIT_BUDGET says); where that does not suffice, a `BudgetError` says so, and the space goes on working.

    Args:
        maxima: last value of each dimension; tests shrink them. Boxes are clipped to them.

    Raises:
        InputError: the variable is no number.
    """

    def __init__(self, maxima: Sequence[int] = MAXIMA, budget: int | None = None) -> None:
        self.diagram = Diagram(maxima)
        self.budget = _budget() if budget is None else budget
        self.empty = PacketSet(self, NONE)
        self.full = PacketSet(self, ALL)
        self._numbers: dict[Box | Block, tuple[int, ...]] = {}
        self._shapes: dict[Shape, list[tuple[Interval, int | None]]] = {}

    def acl(self, entries: Iterable[tuple[Action, Box | Block]], default: Action = Action.DENY) -> PacketSet:
        """What a first-match list of entries permits; `default` decides what no entry matches."""
        with self.diagram.budget(self.budget):
            return PacketSet(self, self.diagram.build(0, tuple(self.items(entries, default))))

    def union(self, boxes: Iterable[Box | Block]) -> PacketSet:
        """What any of the boxes holds."""
        return self.acl((Action.PERMIT, box) for box in boxes)

    def items(self, entries: Iterable[tuple[Action, Box | Block]], default: Action = Action.DENY) -> list[int]:
        """The entries as the diagram reads them; a permit as default becomes an entry."""
        items = [number << 1 | (action is Action.PERMIT) for action, box in entries for number in self.numbers(box)]
        if default is Action.PERMIT:
            items += [number << 1 | 1 for number in self.numbers(Box())]
        return items

    def numbers(self, box: Box | Block) -> tuple[int, ...]:
        """Suffix numbers of the packets that a box matches; mostly one, none where there is no such packet."""
        known = self._numbers.get(box)
        if known is None:
            prefixed, several = self.diagram.prefixed, self.diagram.prefixed_all
            found = [
                prefixed(
                    PROTOCOL,
                    protocol,
                    prefixed(DST, box.dst, prefixed(SRC, box.src, ports))
                    if isinstance(box, Box)
                    else several(DST, box.dst, several(SRC, box.src, ports)),
                )
                for protocol, ports in self._ports((box.protocol, box.dport, box.sport, box.flags))
            ]
            known = self._numbers[box] = tuple([number for number in found if number is not None])
        return known

    def _ports(self, shape: Shape) -> list[tuple[Interval, int | None]]:
        """What a shape means: protocols, each with the suffix of its ports and flags. Lists repeat few shapes."""
        known = self._shapes.get(shape)
        if known is None:
            prefixed = self.diagram.prefixed
            known = self._shapes[shape] = [
                (protocol, prefixed(DPORT, dport, prefixed(SPORT, sport, prefixed(FLAGS, flags, 0))))
                for protocol, dport, sport, flags in meaning(shape, self.diagram.maxima[DPORT:FLAGS])
            ]
        return known

    def forget(self) -> None:
        """Let go of everything at once; no set of the space can be used any more.

        A space and its sets hold each other, so that their memory would wait for the garbage collector otherwise.
        """
        vars(self).clear()

    @cached_property
    def fragments(self) -> PacketSet:
        """All non-initial fragments."""
        return self.union([Box(flags=FRAGMENTS)])

    @cached_property
    def easy(self) -> tuple[PacketSet, ...]:
        """Sets to look for a witness in, the easiest packets to send first."""
        return tuple(
            self.union(
                Box(kind.protocol, dst, src, kind.dport, kind.sport, kind.flags)
                for dst, src in product(targets, sources)
            )
            for targets, sources in (
                (HOSTS, HOSTS),
                (ANY_TARGET, HOSTS),
                (ANYWHERE, HOSTS),
                (HOSTS, ANYWHERE),
                (ANYWHERE, ANYWHERE),
            )
            for kind in EASY
        )


@dataclass(frozen=True, slots=True)
class PacketSet:
    """A set of packets of one space; two sets of a space are equal exactly when they hold the same packets."""

    space: Space
    node: int

    def __and__(self, other: PacketSet) -> PacketSet:
        return self._with(Operation.AND, other)

    def __or__(self, other: PacketSet) -> PacketSet:
        return self._with(Operation.OR, other)

    def __sub__(self, other: PacketSet) -> PacketSet:
        return self._with(Operation.MINUS, other)

    def __invert__(self) -> PacketSet:
        return self.space.full - self

    def __le__(self, other: PacketSet) -> bool:
        return (self - other).is_empty

    def __bool__(self) -> bool:
        return not self.is_empty

    def __contains__(self, packet: Packet) -> bool:
        return self.space.diagram.holds(self.node, point(packet))

    def __repr__(self) -> str:
        return f"<PacketSet {self.node}: {self.count()} five-tuples>"

    @property
    def is_empty(self) -> bool:
        """Whether it holds no packet."""
        return self.node == NONE

    def witness(self, prefer: Sequence[PacketSet] = ()) -> Packet | None:
        """A packet of the set, None where it is empty.

        The sets in `prefer` are tried in order, then the whole set. In each, packets that a host can really send come
        first: unicast addresses, a TCP SYN, UDP or ICMP echo, source port 1024 or above. The packet claims nothing
        that its protocol lacks (no ACK on UDP, no port on a fragment).
        """
        if self.is_empty:
            return None
        chosen = next((both for both in (self & wish for wish in prefer) if both), self)
        diagram = self.space.diagram
        regions = (diagram.common(chosen.node, easy.node) for easy in self.space.easy)
        region = next(found for found in regions if found is not None)  # the last of `easy` is the full set
        protocol, dst, src, dport, sport, flags = (
            _ordinary(level, low, high) for level, (low, high) in enumerate(region)
        )
        return packet_of((protocol, dst, src, dport, sport, flags))

    def boxes(self) -> Iterator[Box]:
        """Disjoint boxes that together are the set, also when they are read as entries again.

        Fragments get boxes of their own, without ports, unless other packets fill the very same box.
        """
        diagram = self.space.diagram
        fragments = {found[:DPORT]: found for found in diagram.boxes((self & self.space.fragments).node)}
        any_ports = tuple((0, top) for top in diagram.maxima[DPORT:FLAGS])
        for found in diagram.boxes((self - self.space.fragments).node):
            protocol, dst, src, dport, sport, flags = found
            if (dport, sport, flags) == (*any_ports, NOT_FRAGMENT) and found[:DPORT] in fragments:
                del fragments[found[:DPORT]]
                flags = FULL[FLAGS]
            yield Box(protocol, dst, src, dport, sport, flags)
        for found in fragments.values():
            yield Box(*found)

    def count(self) -> int:
        """Number of five-tuples (protocol, addresses, ports) that some packet of the set has.

        A protocol without ports counts every pair of them: `ip any any` is 2**104.
        """
        return self.space.diagram.count(self.node, FLAGS)

    def points(self) -> int:
        """Number of points, flags included: two sets have none in common exactly when these numbers add up."""
        return self.space.diagram.count(self.node, self.space.diagram.depth)

    def _with(self, operation: Operation, other: PacketSet) -> PacketSet:
        if other.space is not self.space:
            raise ValueError("packet sets of different spaces cannot be combined")
        diagram = self.space.diagram
        node = diagram.known(operation, self.node, other.node)
        if node is None:
            with diagram.budget(self.space.budget):
                node = diagram.combine(operation, self.node, other.node)
        return PacketSet(self.space, node)


def _budget() -> int:
    """Steps that the environment allows."""
    text = os.environ.get(BUDGET_VARIABLE, "")
    if text and not (text.isdecimal() and int(text)):
        raise InputError(f"{BUDGET_VARIABLE} is {text!r}; give a number of steps such as {DEFAULT_BUDGET}")
    return int(text) if text else DEFAULT_BUDGET


def _ordinary(level: int, low: int, high: int) -> int:
    """A value of an interval: the lowest, but no address ending in .0 or .255 and no port 0 where there is a choice."""
    if level in (DST, SRC):
        return next((one for one in range(low, min(high, low + 2) + 1) if one & MAX_OCTET not in (0, MAX_OCTET)), low)
    return 1 if level == DPORT and low == 0 < high else low
