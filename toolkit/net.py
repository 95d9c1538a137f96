"""Network values that every room shares: protocols, port ranges, services, packets, verdicts.

IPv4 only, and on purpose: the vendor's page speaks of IPv4 node networks, and a filter that
half-understands IPv6 would prove less than it claims. What nobody filters is reported per device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from toolkit.errors import InputError

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
SCTP: Final = 132
ECHO_REQUEST: Final = 8

# IANA protocol numbers, the ones that network teams name in ACLs.
PROTOCOL_NUMBERS: Final[dict[str, int]] = {
    "icmp": ICMP,
    "igmp": 2,
    "tcp": TCP,
    "udp": UDP,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "sctp": SCTP,
}
PROTOCOL_NAMES: Final[dict[int, str]] = {number: name for name, number in PROTOCOL_NUMBERS.items()}
WITH_PORTS: Final = frozenset({TCP, UDP, SCTP})
ANY: Final = "any"
MAX_PORT: Final = 65535
MAX_OCTET: Final = 255
ANYWHERE: Final = IPv4Network("0.0.0.0/0")


def protocol_number(name: str) -> int | None:
    """Number of a protocol name or decimal text; None for `any`.

    Raises:
        InputError: the name is unknown or the number does not fit in a byte.
    """
    text = name.strip().lower()
    if text in (ANY, "ip"):
        return None
    if text in PROTOCOL_NUMBERS:
        return PROTOCOL_NUMBERS[text]
    if text.isdecimal() and int(text) <= MAX_OCTET:
        return int(text)
    raise InputError(f"unknown protocol {name!r}; choose one of: any, {', '.join(PROTOCOL_NUMBERS)}, 0-255")


def protocol_name(number: int | None) -> str:
    """Name of a protocol number, decimal where it has none, `any` for None."""
    return ANY if number is None else PROTOCOL_NAMES.get(number, str(number))


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Inclusive range of TCP, UDP or SCTP ports, 0 to 65535."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= MAX_PORT:
            one = self.first == self.last
            what = f"{self.first} is no port" if one else f"{self.first}-{self.last} is no port range"
            raise InputError(f"{what}; ports go from 0 to {MAX_PORT}")

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """Read `443`, `2379-2380` or `any`.

        Raises:
            InputError: not a number, out of range, or first above last.
        """
        if text.strip().lower() == ANY:
            return ANY_PORT
        first, dash, last = text.strip().partition("-")
        if not first.strip().isdecimal() or (dash and not last.strip().isdecimal()):
            raise InputError(f"{text!r} is no port; write 443, 2379-2380 or any")
        return cls(int(first), int(last) if dash else int(first))

    def __str__(self) -> str:
        if self == ANY_PORT:
            return ANY
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


ANY_PORT: Final = PortRange(0, MAX_PORT)
EPHEMERAL: Final = PortRange(1024, MAX_PORT)


@dataclass(frozen=True, slots=True, order=True)
class IcmpKind:
    """ICMP type and code; code None means every code of the type."""

    type: int
    code: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.type <= MAX_OCTET or not 0 <= (self.code or 0) <= MAX_OCTET:
            raise InputError(f"{self} is no ICMP type/code; both go from 0 to {MAX_OCTET}")

    @classmethod
    def parse(cls, text: str) -> IcmpKind:
        """Read `8`, `8/0` or `3/*`.

        Raises:
            InputError: not numbers, or out of range.
        """
        kind, _, code = text.strip().partition("/")
        if not kind.isdecimal() or not (code in ("", "*") or code.isdecimal()):
            raise InputError(f"{text!r} is no ICMP type/code; write 8, 8/0 or 3/*")
        return cls(int(kind), int(code) if code.isdecimal() else None)

    def __str__(self) -> str:
        return f"{self.type}/{'*' if self.code is None else self.code}"


@dataclass(frozen=True, slots=True)
class Service:
    """What is asked of a destination: a protocol, with its port range or its ICMP kind.

    `protocol` is None for every IP protocol. `ports` is `ANY_PORT` for protocols without ports.
    """

    protocol: int | None
    ports: PortRange = ANY_PORT
    icmp: IcmpKind | None = None

    def __post_init__(self) -> None:
        if self.ports != ANY_PORT and self.protocol not in WITH_PORTS:
            raise InputError(f"{protocol_name(self.protocol)} has no ports, but port {self.ports} was given")
        if self.icmp is not None and self.protocol != ICMP:
            raise InputError(f"an ICMP type was given for {protocol_name(self.protocol)}")

    @property
    def port_text(self) -> str | None:
        """Ports as text (`443`, `2379-2380`, `any`), the ICMP kind for ICMP, None where there is neither."""
        if self.protocol == ICMP:
            return None if self.icmp is None else str(self.icmp)
        return str(self.ports) if self.protocol in WITH_PORTS else None

    def sort_key(self) -> tuple[int, int, int, int, int]:
        """Order: protocol, first port, last port, ICMP type, ICMP code (-1 where absent)."""
        icmp = (-1, -1) if self.icmp is None else (self.icmp.type, -1 if self.icmp.code is None else self.icmp.code)
        return (-1 if self.protocol is None else self.protocol, self.ports.first, self.ports.last, *icmp)

    def __str__(self) -> str:
        text = self.port_text
        return protocol_name(self.protocol) if text is None else f"{protocol_name(self.protocol)}/{text}"


ANY_SERVICE: Final = Service(None)


@dataclass(frozen=True, slots=True)
class Packet:
    """One concrete IPv4 packet, as far as an ACL can see it.

    `sport` and `dport` are 0 for protocols without ports. `established` is true when a TCP packet
    has ACK or RST set, which is all that a stateless filter can know of a connection. `icmp` has
    type and code (both set) for ICMP. A `fragment` is a non-initial one: it carries no ports.
    """

    src: IPv4Address
    dst: IPv4Address
    protocol: int
    sport: int = 0
    dport: int = 0
    established: bool = False
    icmp: IcmpKind | None = None
    fragment: bool = False

    def reply(self) -> Packet:
        """The answer to this packet: ends swapped; ACK set for TCP, echo reply for an ICMP echo."""
        icmp = IcmpKind(0, 0) if self.icmp is not None and self.icmp.type == ECHO_REQUEST else self.icmp
        return Packet(
            self.dst,
            self.src,
            self.protocol,
            self.dport,
            self.sport,
            established=self.protocol == TCP,
            icmp=icmp,
        )

    def __str__(self) -> str:
        ends = f"{self.src} -> {self.dst}"
        if self.protocol in WITH_PORTS and not self.fragment:
            ends = f"{self.src}:{self.sport} -> {self.dst}:{self.dport}"
        marks = [f"type {self.icmp}"] * (self.icmp is not None)
        marks += ["ACK"] * self.established + ["fragment"] * self.fragment
        return " ".join([protocol_name(self.protocol), ends, *marks])


class Verdict(StrEnum):
    """What happened, or would happen, to a packet."""

    PERMITTED = "permitted"
    DENIED = "denied"
    INCONCLUSIVE = "inconclusive"


class Action(StrEnum):
    """What an ACL entry does with a packet that it matches."""

    PERMIT = "permit"
    DENY = "deny"

    @property
    def verdict(self) -> Verdict:
        """The verdict that this action gives."""
        return Verdict.PERMITTED if self is Action.PERMIT else Verdict.DENIED


class Direction(StrEnum):
    """Side of an interface that an ACL is bound to, seen from the device."""

    IN = "in"
    OUT = "out"
