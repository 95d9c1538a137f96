"""Packet sets: what an ordered ACL permits, as a value that can be compared, combined and asked for a witness.

A set is a canonical interval decision diagram: at each level one dimension is split into intervals, and
equal subdiagrams are one node. So equality is identity, and a difference yields a packet by walking.

Dimensions, from the root: protocol (0-255), dst, src (0 to 2**32-1), dport, sport (0-65535), flags (0-3:
bit 0 is ACK-or-RST of TCP, bit 1 marks a non-initial fragment). For ICMP, dport holds type * 256 + code.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.net import ANY_PORT, ICMP, MAX_OCTET, MAX_PORT, TCP, UDP, Action, IcmpKind, Packet, PortRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Network

    from toolkit.net import Service

Interval = tuple[int, int]
Point = tuple[int, int, int, int, int, int]

MAX_ADDRESS: Final = 2**32 - 1
MAXIMA: Final[Point] = (255, MAX_ADDRESS, MAX_ADDRESS, MAX_PORT, MAX_PORT, 3)
FULL: Final[tuple[Interval, ...]] = tuple((0, top) for top in MAXIMA)
LEVELS: Final = len(MAXIMA)
NOT_FRAGMENT: Final[Interval] = (0, 1)
ESTABLISHED: Final[Interval] = (1, 1)

# Terminal nodes.
NONE: Final = 0
ALL: Final = 1


@dataclass(frozen=True, slots=True)
class Box:
    """A product of inclusive intervals, one per dimension; every dimension is full by default."""

    protocol: Interval = FULL[0]
    dst: Interval = FULL[1]
    src: Interval = FULL[2]
    dport: Interval = FULL[3]
    sport: Interval = FULL[4]
    flags: Interval = FULL[5]

    @classmethod
    def of(
        cls,
        service: Service | None = None,
        src: IPv4Network | None = None,
        dst: IPv4Network | None = None,
        sport: PortRange = ANY_PORT,
        *,
        established: bool = False,
    ) -> Box:
        """The box of an ACL entry.

        An entry that looks at ports, ICMP kinds or TCP flags never matches a non-initial fragment,
        which carries none of them.
        """
        protocol = FULL[0] if service is None or service.protocol is None else (service.protocol, service.protocol)
        dport = FULL[3]
        looks_inside = established or sport != ANY_PORT
        if service is not None and service.icmp is not None:
            kind = service.icmp
            first = kind.type * 256
            dport = (first, first + MAX_OCTET) if kind.code is None else (first + kind.code, first + kind.code)
            looks_inside = True
        elif service is not None and service.ports != ANY_PORT:
            dport = (service.ports.first, service.ports.last)
            looks_inside = True
        flags = ESTABLISHED if established else NOT_FRAGMENT if looks_inside else FULL[5]
        return cls(protocol, _interval(dst), _interval(src), dport, (sport.first, sport.last), flags)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Its intervals in the order of the dimensions."""
        return (self.protocol, self.dst, self.src, self.dport, self.sport, self.flags)

    def intersect(self, other: Box) -> Box | None:
        """What both hold, None where that is nothing."""
        parts = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(self.intervals, other.intervals, strict=True)]
        return Box(*parts) if all(low <= high for low, high in parts) else None


def point(packet: Packet) -> Point:
    """A packet as coordinates."""
    dport = packet.dport
    if packet.protocol == ICMP and packet.icmp is not None:
        dport = packet.icmp.type * 256 + (packet.icmp.code or 0)
    flags = int(packet.established) + 2 * packet.fragment
    return (packet.protocol, int(packet.dst), int(packet.src), dport, packet.sport, flags)


def packet_of(at: Point) -> Packet:
    """Coordinates as a packet; what a protocol does not have is left out."""
    protocol, dst, src, dport, sport, flags = at
    fragment = flags >= 2  # noqa: PLR2004 - bit 1
    icmp = IcmpKind(dport >> 8, dport & MAX_OCTET) if protocol == ICMP else None
    ports = icmp is None and not fragment
    return Packet(
        IPv4Address(src),
        IPv4Address(dst),
        protocol,
        sport if ports else 0,
        dport if ports else 0,
        established=protocol == TCP and bool(flags & 1),
        icmp=icmp,
        fragment=fragment,
    )


class Space:
    """A universe of packets; sets of one space share nodes and results. `maxima` shrinks it for tests."""

    def __init__(self, maxima: Sequence[int] = MAXIMA) -> None:
        self.maxima = tuple(maxima)
        # A node is (level, ((last value, child), ...)); neighbours have different children.
        self._nodes: list[tuple[int, tuple[tuple[int, int], ...]]] = [(LEVELS, ()), (LEVELS, ())]
        self._unique: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
        self._built: list[dict[tuple[int, ...], int]] = [{} for _ in range(LEVELS + 1)]
        self._suffix: list[dict[tuple[int, int, int], int]] = [{} for _ in range(LEVELS + 1)]
        self._parts: list[list[tuple[int, int, int, bool]]] = [[] for _ in range(LEVELS + 1)]
        self._parts[LEVELS].append((0, 0, 0, True))
        self._combined: dict[tuple[str, int, int], int] = {}
        self.empty = PacketSet(self, NONE)
        self.full = PacketSet(self, ALL)
        self._preferences: tuple[PacketSet, ...] | None = None

    def acl(self, entries: Iterable[tuple[Action, Box]], default: Action = Action.DENY) -> PacketSet:
        """What a first-match list of entries permits."""
        items = [self._intern(box) << 1 | (action is Action.PERMIT) for action, box in entries]
        items.append(self._intern(Box()) << 1 | (default is Action.PERMIT))
        return PacketSet(self, self._build(0, self._normal(0, items)))

    def union(self, boxes: Iterable[Box]) -> PacketSet:
        """What any of the boxes holds."""
        return self.acl((Action.PERMIT, box) for box in boxes)

    def preferences(self) -> tuple[PacketSet, ...]:
        """Packets that a host could really send, the most ordinary ones first."""
        if self._preferences is None:
            unicast = (1 << 24, (224 << 24) - 1)
            plain = {"src": unicast, "dst": unicast, "sport": (1024, MAX_PORT)}
            tcp = Box(protocol=(TCP, TCP), flags=(0, 0), **plain)
            udp = Box(protocol=(UDP, UDP), flags=(0, 0), **plain)
            icmp = Box(protocol=(ICMP, ICMP), src=unicast, dst=unicast, sport=(0, 0), flags=(0, 0))
            rest = Box(src=unicast, dst=unicast, flags=(0, 1))
            self._preferences = tuple(self.union([box]) for box in (tcp, udp, icmp, rest))
        return self._preferences

    # ---- building -------------------------------------------------------------------------

    def _intern(self, box: Box) -> int:
        """Number of a box: boxes that agree from a level on share their suffix there."""
        following = 0
        for level in range(LEVELS - 1, -1, -1):
            low, high = box.intervals[level]
            high = min(high, self.maxima[level])
            key = (low, high, following)
            known = self._suffix[level].get(key)
            if known is None:
                known = self._suffix[level][key] = len(self._parts[level])
                whole = low == 0 and high == self.maxima[level] and self._parts[level + 1][following][3]
                self._parts[level].append((low, high, following, whole))
            following = known
        return following

    def _normal(self, level: int, items: Iterable[int]) -> tuple[int, ...]:
        """Shorten a first-match list without changing its meaning, so that equal lists meet in the memo.

        An item is (suffix number * 2 + permit). Repeats and everything after an entry that matches all are
        dead; trailing denies are the default; neighbours of the same action may change places.
        """
        parts = self._parts[level]
        seen: set[int] = set()
        kept: list[int] = []
        for item in items:
            part = item >> 1
            if part in seen:
                continue
            seen.add(part)
            kept.append(item)
            if parts[part][3]:
                break
        while kept and not kept[-1] & 1:
            kept.pop()
        ordered: list[int] = []
        run: list[int] = []
        for item in kept:
            if run and (item ^ run[-1]) & 1:
                ordered += sorted(run)
                run = []
            run.append(item)
        if run and run[-1] & 1 and any(parts[item >> 1][3] for item in run):
            run = [item for item in run if parts[item >> 1][3]]
        return tuple(ordered + sorted(run))

    def _build(self, level: int, items: tuple[int, ...]) -> int:
        if not items:
            return NONE
        if self._parts[level][items[0] >> 1][3]:
            return items[0] & 1
        known = self._built[level].get(items)
        if known is None:
            known = self._built[level][items] = self._split(level, items)
        return known

    def _split(self, level: int, items: tuple[int, ...]) -> int:
        """Cut this dimension where any entry begins or ends, and build what remains in each piece."""
        parts = self._parts[level]
        top = self.maxima[level]
        entries = [(*parts[item >> 1][:2], parts[item >> 1][2] << 1 | item & 1) for item in items]
        starts = sorted({0, *(low for low, _, _ in entries), *(high + 1 for _, high, _ in entries if high < top)})
        index = {start: number for number, start in enumerate(starts)}
        index[top + 1] = len(starts)
        pieces: list[list[int]] = [[] for _ in starts]
        for low, high, rest in entries:
            for number in range(index[low], index[high + 1]):
                pieces[number].append(rest)
        arcs = []
        for number, piece in enumerate(pieces):
            last = starts[number + 1] - 1 if number + 1 < len(starts) else top
            arcs.append((last, self._build(level + 1, self._normal(level + 1, piece))))
        return self._node(level, arcs)

    def _node(self, level: int, arcs: Iterable[tuple[int, int]]) -> int:
        merged: list[tuple[int, int]] = []
        for last, child in arcs:
            if merged and merged[-1][1] == child:
                merged[-1] = (last, child)
            else:
                merged.append((last, child))
        if len(merged) == 1:
            return merged[0][1]
        key = (level, tuple(merged))
        known = self._unique.get(key)
        if known is None:
            known = self._unique[key] = len(self._nodes)
            self._nodes.append(key)
        return known

    # ---- combining ------------------------------------------------------------------------

    def combine(self, operation: str, one: int, other: int) -> int:
        """Node of `and`, `or` or `minus` of two nodes."""
        shortcut = _shortcut(operation, one, other)
        if shortcut is not None:
            return shortcut
        key = (operation, one, other)
        known = self._combined.get(key)
        if known is None:
            level = min(self._nodes[one][0], self._nodes[other][0])
            arcs = [(last, self.combine(operation, left, right)) for last, left, right in self._zip(level, one, other)]
            known = self._combined[key] = self._node(level, arcs)
        return known

    def _arcs(self, level: int, node: int) -> tuple[tuple[int, int], ...]:
        return self._nodes[node][1] if self._nodes[node][0] == level else ((self.maxima[level], node),)

    def _zip(self, level: int, one: int, other: int) -> Iterator[tuple[int, int, int]]:
        """(last value, child of one, child of other) for the common pieces of two nodes."""
        left, right = self._arcs(level, one), self._arcs(level, other)
        i = j = 0
        while i < len(left):
            last = min(left[i][0], right[j][0])
            yield last, left[i][1], right[j][1]
            i += left[i][0] == last
            j += right[j][0] == last

    # ---- asking ---------------------------------------------------------------------------

    def holds(self, node: int, at: Point) -> bool:
        """Whether a node holds a point."""
        while node > ALL:
            level, arcs = self._nodes[node]
            node = arcs[bisect_left(arcs, (at[level], -1))][1]
        return node == ALL

    def first(self, node: int) -> Point | None:
        """The smallest point of a node, None for the empty one."""
        if node == NONE:
            return None
        at = [0] * LEVELS
        while node > ALL:
            level, arcs = self._nodes[node]
            low = 0
            for last, child in arcs:
                if child != NONE:
                    at[level], node = low, child
                    break
                low = last + 1
        return (at[0], at[1], at[2], at[3], at[4], at[5])

    def walk(self, node: int, level: int = 0) -> Iterator[tuple[Interval, ...]]:
        """Disjoint products of intervals that together are the node."""
        if node == NONE:
            return
        if level == LEVELS:
            yield ()
            return
        low = 0
        for last, child in self._arcs(level, node):
            for rest in self.walk(child, level + 1):
                yield ((low, last), *rest)
            low = last + 1


@dataclass(frozen=True, slots=True, eq=True)
class PacketSet:
    """A set of packets of one space. Two sets of a space are equal when they hold the same packets."""

    space: Space
    node: int

    def __and__(self, other: PacketSet) -> PacketSet:
        return self._with("and", other)

    def __or__(self, other: PacketSet) -> PacketSet:
        return self._with("or", other)

    def __sub__(self, other: PacketSet) -> PacketSet:
        return self._with("minus", other)

    def __invert__(self) -> PacketSet:
        return self.space.full - self

    def __le__(self, other: PacketSet) -> bool:
        return (self - other).is_empty

    def __bool__(self) -> bool:
        return not self.is_empty

    def __contains__(self, packet: Packet) -> bool:
        return self.space.holds(self.node, point(packet))

    @property
    def is_empty(self) -> bool:
        """Whether it holds no packet."""
        return self.node == NONE

    def witness(self, prefer: Sequence[PacketSet] = ()) -> Packet | None:
        """A packet of the set, None where it is empty.

        The preferred sets are tried first, then packets that a host could really send.
        """
        for wish in (*prefer, *self.space.preferences()):
            at = self.space.first((self & wish).node)
            if at is not None:
                return packet_of(at)
        at = self.space.first(self.node)
        return None if at is None else packet_of(at)

    def boxes(self) -> Iterator[Box]:
        """Disjoint boxes that together are the set."""
        for intervals in self.space.walk(self.node):
            yield Box(*intervals)

    def count(self) -> int:
        """Number of points."""
        total = 0
        for intervals in self.space.walk(self.node):
            product = 1
            for low, high in intervals:
                product *= high - low + 1
            total += product
        return total

    def _with(self, operation: str, other: PacketSet) -> PacketSet:
        if other.space is not self.space:
            raise ValueError("packet sets of different spaces cannot be combined")
        return PacketSet(self.space, self.space.combine(operation, self.node, other.node))


def _interval(prefix: IPv4Network | None) -> Interval:
    return FULL[1] if prefix is None else (int(prefix.network_address), int(prefix.broadcast_address))


def _shortcut(operation: str, one: int, other: int) -> int | None:  # noqa: PLR0911 - a truth table
    if operation == "and":
        if NONE in (one, other):
            return NONE
        if one in (ALL, other):
            return other
        return one if other == ALL else None
    if operation == "or":
        if ALL in (one, other):
            return ALL
        if one in (NONE, other):
            return other
        return one if other == NONE else None
    if one in (NONE, other) or other == ALL:
        return NONE
    return one if other == NONE else None
