"""Boxes: what one ACL entry matches, and how a packet becomes a point.

Dimensions, from the root of a diagram to its leaves: protocol (0-255), dst, src (0 to 2**32-1), dport, sport
(0-65535), flags (0-3: bit 0 is ACK-or-RST of TCP, bit 1 marks a non-initial fragment). For ICMP, dport holds
type * 256 + code.

Some points are no packet: UDP with ACK, GRE with a port, a fragment with a port. They must not make two sets differ
that agree on every packet, so a box never becomes part of a set as it stands: `meaning` reads it as a list of
conditions on fields. A condition on a field that a packet lacks does not hold (UDP and GRE have no ACK; a fragment has
neither ports nor ICMP type), no condition always does, and what a packet lacks is then free in the result. So every
set holds either all points of a packet or none of them, and set operations keep that.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError
from toolkit.net import ANY_PORT, ICMP, MAX_OCTET, MAX_PORT, TCP, WITH_PORTS, IcmpKind, Packet, PortRange, protocol_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network

    from toolkit.net import Service

Interval = tuple[int, int]
Point = tuple[int, int, int, int, int, int]
Shape = tuple[Interval, Interval, Interval, Interval]  # protocol, dport, sport, flags: all but the addresses

NAMES: Final = ("protocol", "dst", "src", "dport", "sport", "flags")
MAX_ADDRESS: Final = 2**32 - 1
MAXIMA: Final[Point] = (MAX_OCTET, MAX_ADDRESS, MAX_ADDRESS, MAX_PORT, MAX_PORT, 3)
FULL: Final[tuple[Interval, ...]] = tuple((0, top) for top in MAXIMA)

ACK: Final = 1
FRAGMENT: Final = 2
NOT_FRAGMENT: Final[Interval] = (0, ACK)
ESTABLISHED: Final[Interval] = (ACK, ACK)
FRAGMENTS: Final[Interval] = (FRAGMENT, FRAGMENT | ACK)

_SPECIAL: Final = tuple(sorted({ICMP, *WITH_PORTS}))


@dataclass(frozen=True, slots=True)
class Box:
    """A product of inclusive intervals, one per dimension; every dimension is full by default.

    Raises:
        InputError: an interval is empty or leaves its dimension.
    """

    protocol: Interval = FULL[0]
    dst: Interval = FULL[1]
    src: Interval = FULL[2]
    dport: Interval = FULL[3]
    sport: Interval = FULL[4]
    flags: Interval = FULL[5]

    def __post_init__(self) -> None:
        for name, (low, high), top in zip(NAMES, self.intervals, MAXIMA, strict=True):
            if not 0 <= low <= high <= top:
                raise InputError(f"{low}-{high} is no interval of {name}, which goes from 0 to {top}")

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
        """The box of an ACL entry; None and `ANY_PORT` mean any.

        An entry that looks at ports, ICMP kinds or TCP flags never matches a non-initial fragment, which carries
        none of them. `established` alone asks for TCP.

        Raises:
            InputError: source ports or `established` for a protocol that has none.
        """
        number = None if service is None else service.protocol
        if established and number is None:
            number = TCP
        _check_fields(number, sport, established=established)
        dport = FULL[3]
        if service is not None and service.icmp is not None:
            first = service.icmp.type * 256
            code = service.icmp.code
            dport = (first, first + MAX_OCTET) if code is None else (first + code, first + code)
        elif service is not None:
            dport = (service.ports.first, service.ports.last)
        looks_inside = dport != FULL[3] or sport != ANY_PORT
        flags = ESTABLISHED if established else NOT_FRAGMENT if looks_inside else FULL[5]
        protocol = FULL[0] if number is None else (number, number)
        return cls(protocol, _interval(dst), _interval(src), dport, (sport.first, sport.last), flags)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Its intervals in the order of the dimensions."""
        return (self.protocol, self.dst, self.src, self.dport, self.sport, self.flags)

    def intersect(self, other: Box) -> Box | None:
        """What both hold, None where that is nothing."""
        parts: list[Interval] = []
        for mine, theirs in zip(self.intervals, other.intervals, strict=True):
            low = max(mine[0], theirs[0])
            high = min(mine[1], theirs[1])
            if low > high:
                return None
            parts.append((low, high))
        return Box(*parts)


@dataclass(frozen=True, slots=True)
class Block:
    """A product whose addresses are lists of intervals: what an entry with address sets matches, not written out.

    `dst` and `src` hold disjoint intervals in order; an empty list makes an empty block. Sets are built from blocks
    as from boxes, and the cost grows with the intervals of both sides, never with their product.

    Raises:
        InputError: intervals overlap, are out of order, or leave their dimension.
    """

    protocol: Interval = FULL[0]
    dst: tuple[Interval, ...] = (FULL[1],)
    src: tuple[Interval, ...] = (FULL[2],)
    dport: Interval = FULL[3]
    sport: Interval = FULL[4]
    flags: Interval = FULL[5]

    def __post_init__(self) -> None:
        for name, intervals in (("dst", self.dst), ("src", self.src)):
            before = -1
            for low, high in intervals:
                if not before < low <= high <= MAX_ADDRESS:
                    raise InputError(f"{low}-{high} of {name} is empty, out of range, or not behind {before}")
                before = high
        Box(self.protocol, FULL[1], FULL[2], self.dport, self.sport, self.flags)  # checks the others

    @classmethod
    def of(
        cls,
        service: Service,
        src: tuple[Interval, ...],
        dst: tuple[Interval, ...],
        sport: PortRange = ANY_PORT,
        *,
        established: bool = False,
    ) -> Block:
        """The block of an ACL entry, read as `Box.of` reads it.

        Raises:
            InputError: source ports or `established` for a protocol that has none.
        """
        one = Box.of(service, sport=sport, established=established)
        return cls(one.protocol, dst, src, one.dport, one.sport, one.flags)

    def intersect(self, other: Block) -> Block | None:
        """What both hold, None where that is nothing."""
        dst, src = _both(self.dst, other.dst), _both(self.src, other.src)
        rest = [
            (max(mine[0], theirs[0]), min(mine[1], theirs[1]))
            for mine, theirs in (
                (self.protocol, other.protocol),
                (self.dport, other.dport),
                (self.sport, other.sport),
                (self.flags, other.flags),
            )
        ]
        if not dst or not src or any(low > high for low, high in rest):
            return None
        return Block(rest[0], dst, src, *rest[1:])

    def boxes(self) -> Iterator[Box]:
        """The same, written out."""
        for dst in self.dst:
            for src in self.src:
                yield Box(self.protocol, dst, src, self.dport, self.sport, self.flags)


def _both(some: Sequence[Interval], others: Sequence[Interval]) -> tuple[Interval, ...]:
    """What two lists of intervals in order have in common."""
    found: list[Interval] = []
    i = j = 0
    while i < len(some) and j < len(others):
        low, high = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if low <= high:
            found.append((low, high))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def point(packet: Packet) -> Point:
    """A packet as coordinates. What its protocol lacks is 0, whatever the packet claims."""
    protocol = packet.protocol
    sport = dport = 0
    if packet.fragment:
        flags = FRAGMENT
    else:
        flags = ACK if packet.established and protocol == TCP else 0
        if protocol in WITH_PORTS:
            sport, dport = packet.sport, packet.dport
        elif protocol == ICMP and packet.icmp is not None:
            dport = packet.icmp.type * 256 + (packet.icmp.code or 0)
    return (protocol, int(packet.dst), int(packet.src), dport, sport, flags)


def packet_of(at: Point) -> Packet:
    """Coordinates as a packet; what its protocol lacks is left out."""
    protocol, dst, src, dport, sport, flags = at
    fragment = flags >= FRAGMENT
    ports = protocol in WITH_PORTS and not fragment
    return Packet(
        IPv4Address(src),
        IPv4Address(dst),
        protocol,
        sport if ports else 0,
        dport if ports else 0,
        established=protocol == TCP and flags == ACK,
        icmp=IcmpKind(dport >> 8, dport & MAX_OCTET) if protocol == ICMP and not fragment else None,
        fragment=fragment,
    )


def meaning(shape: Shape, top_ports: Sequence[int]) -> tuple[Shape, ...]:
    """Disjoint shapes with all points of exactly those packets that a box of this shape matches.

    `top_ports` holds the maxima of dport and sport: a condition that reaches them from 0 is none. An ordinary
    box (any that `Box.of` makes) is returned as it is.
    """
    protocol, dport, sport, flags = shape
    free = (dport[0] == 0 and dport[1] >= top_ports[0], sport[0] == 0 and sport[1] >= top_ports[1])
    found: list[Shape] = []
    for low, high in _same_fields(protocol):
        matched = _matched_flags(low, flags, free)
        if matched is None:
            continue
        if found and found[-1][0][1] == low - 1 and found[-1][3] == matched:
            low = found.pop()[0][0]  # noqa: PLW2901 - grows to the left
        found.append(((low, high), dport, sport, matched))
    return tuple(found)


def _matched_flags(protocol: int, flags: Interval, free: tuple[bool, bool]) -> Interval | None:
    """Flags with which packets of a protocol match; `free` tells whether dport and sport are unconditional."""
    all_free = free[0] and free[1]
    has_fields = protocol in WITH_PORTS or all_free or (protocol == ICMP and free[1])
    if not has_fields:
        return None
    low, high = flags
    fragments = all_free and low <= FRAGMENT <= high
    # A packet without an ACK bit counts as one whose bit is 0; a fragment has none to look at either.
    initial = low <= ACK if protocol == TCP else low == 0
    if not initial:
        return FRAGMENTS if fragments else None
    first = low if protocol == TCP else 0
    if fragments:
        return (first, FRAGMENTS[1])
    return (first, min(high, ACK) if protocol == TCP else ACK)


def _same_fields(protocol: Interval) -> Iterator[Interval]:
    """Cut a range of protocols where one begins or ends that has ports or an ICMP kind."""
    low, high = protocol
    for number in _SPECIAL:
        if low <= number <= high:
            if low < number:
                yield (low, number - 1)
            yield (number, number)
            low = number + 1
    if low <= high:
        yield (low, high)


def _check_fields(protocol: int | None, sport: PortRange, *, established: bool) -> None:
    if established and protocol != TCP:
        raise InputError(f"established looks at TCP's ACK and RST, which {protocol_name(protocol)} does not have")
    if sport != ANY_PORT and protocol not in WITH_PORTS:
        raise InputError(f"{protocol_name(protocol)} has no ports, but source port {sport} was given")


def _interval(prefix: IPv4Network | None) -> Interval:
    return FULL[1] if prefix is None else (int(prefix.network_address), int(prefix.broadcast_address))
