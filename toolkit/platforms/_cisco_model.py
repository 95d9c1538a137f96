"""Filters of Cisco-like systems as values: access lists, object groups and where lists are bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import ConfigError
from toolkit.net import MAX_PORT, Action, Direction
from toolkit.packets import FULL, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


ALL_ADDRESSES: Final[tuple[Interval, ...]] = (FULL[1],)
ALL_PORTS: Final[tuple[Interval, ...]] = ((0, MAX_PORT),)
HOST_LENGTH: Final = 32
MAX_ADDRESS: Final = 2**32 - 1


class Side(NamedTuple):
    """One end of an entry: its normal form, with its intervals of addresses or the name of their group."""

    text: str
    intervals: tuple[Interval, ...] = ()
    group: str = ""


class Match(NamedTuple):
    """What an entry asks of a packet beside its addresses; for ICMP, `dports` holds type * 256 + code.

    `inside` tells whether it looks at something that only the first fragment carries: ports or an ICMP kind.
    """

    protocol: int | None
    sports: tuple[Interval, ...] = ALL_PORTS
    dports: tuple[Interval, ...] = ALL_PORTS
    inside: bool = False
    established: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment line of a list; `seq` 0 where the system gives it no number."""

    text: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list. `text` is its normal form without the sequence number: equal texts mean the same.

    `service` names a service group in the place of the protocol, `ports` the groups of source and destination ports;
    `match` is then what stands beside them.
    """

    seq: int
    action: Action
    match: Match
    source: Side
    destination: Side
    text: str
    fragments: bool = False
    service: str = ""
    port_groups: tuple[str, str] = ("", "")

    def groups(self) -> Iterator[tuple[str, str]]:
        """(kind, name) of the groups that it uses."""
        for side in (self.source, self.destination):
            if side.group:
                yield "network", side.group
        if self.service:
            yield "service", self.service
        for name in self.port_groups:
            if name:
                yield "port", name


@dataclass(frozen=True, slots=True)
class AccessList:
    """A list; `numbered` tells whether its sequence numbers are the device's own, or only counted by the reader.

    `fault` is the first line that is not understood: such a list may not be bound where packets are judged.
    """

    name: str
    lines: tuple[Entry | Remark, ...] = ()
    standard: bool = False
    numbered: bool = False
    options: tuple[str, ...] = ()
    fault: ConfigError | None = field(default=None, compare=False)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its lines without the remarks."""
        return tuple(line for line in self.lines if isinstance(line, Entry))


@dataclass(frozen=True, slots=True)
class Group:
    """An object group. `lines` are its members in their normal form.

    A network group has `intervals`, a group of ports too; a service group has `matches`. `uses` names the groups
    that it holds. `fault` is the first member that is not understood.
    """

    kind: str  # network, service, port
    name: str
    lines: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    matches: tuple[Match, ...] = ()
    uses: tuple[str, ...] = ()
    fault: ConfigError | None = field(default=None, compare=False)


class Bound(NamedTuple):
    """A list on an interface; `port` tells whether it is bound as a port list (NX-OS names the two differently)."""

    acl: str
    port: bool = False


Place = tuple[str, Direction]  # (interface spelled out, direction)


@dataclass(frozen=True, slots=True)
class Config:
    """All of a device's configuration that filters, and whether IOS keeps an archive to revert to."""

    acls: Mapping[str, AccessList] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    bindings: Mapping[Place, Bound] = field(default_factory=dict)
    archive: bool = False

    def addresses(self, side: Side) -> tuple[Interval, ...]:
        """The addresses of a side, groups followed."""
        return self.members(side.group) if side.group else side.intervals

    def members(self, name: str) -> tuple[Interval, ...]:
        """Intervals of a network or port group and of those in it."""
        group = self.groups[name]
        inner = [one for other in group.uses for one in self.members(other)]
        return (*group.intervals, *inner)

    def services(self, name: str) -> tuple[Match, ...]:
        """Members of a service group and of those in it."""
        group = self.groups[name]
        return (*group.matches, *(one for other in group.uses for one in self.services(other)))

    def matches(self, entry: Entry) -> tuple[Match, ...]:
        """What an entry asks beside the addresses, groups followed; it matches what any of them does."""
        if entry.service:
            return self.services(entry.service)
        one = entry.match
        source, destination = entry.port_groups
        if source:
            one = one._replace(sports=self.members(source), inside=True)
        if destination:
            one = one._replace(dports=self.members(destination), inside=True)
        return (one,)

    def used(self, acl: AccessList) -> dict[str, Group]:
        """The groups that a list uses, those inside others first."""
        found: dict[str, Group] = {}
        for entry in acl.entries:
            for _, name in entry.groups():
                self._gather(name, found)
        return found

    def fault_of_groups(self, acl: AccessList) -> ConfigError | None:
        """Why a list cannot be read although its lines are understood: a group that is missing, empty or faulty."""
        wanted = [(kind, name) for entry in acl.entries for kind, name in entry.groups()]
        wanted += [(group.kind, inner) for group in self.used(acl).values() for inner in group.uses]
        for kind, name in dict.fromkeys(wanted):
            group = self.groups.get(name)
            if group is None or group.kind != kind:
                return ConfigError(f"list {acl.name}: the {kind} group {name} is not there")
            if group.fault is not None:
                return group.fault
            if not group.lines:
                return ConfigError(f"list {acl.name}: the {kind} group {name} is empty")
        return None

    def _gather(self, name: str, found: dict[str, Group]) -> None:
        if name in found or name not in self.groups:
            return
        for inner in self.groups[name].uses:
            self._gather(inner, found)
        found[name] = self.groups[name]


def address_text(value: int) -> str:
    """A number as an address."""
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def address_number(text: str) -> int | None:
    """An address in dotted form as a number, None where it is none."""
    parts = text.split(".")
    if len(parts) != 4:  # noqa: PLR2004 - four octets
        return None
    value = 0
    for part in parts:
        if not (part.isdecimal() and part.isascii() and len(part) <= 3 and int(part) <= 255):  # noqa: PLR2004
            return None
        value = value << 8 | int(part)
    return value


def prefix_of(low: int, high: int) -> int | None:
    """Length of the prefix that is exactly this interval, None where there is none."""
    size = high - low + 1
    if size & (size - 1) or low & (size - 1):
        return None
    return HOST_LENGTH - size.bit_length() + 1


def wildcard_intervals(address: int, wildcard: int, bound: int) -> tuple[Interval, ...] | None:
    """Addresses that match under a wildcard mask, bits set in it being free; None where that is over `bound` pieces.

    A mask such as 0.0.255.0 is no prefix: it stands for as many intervals as its upper free bits have values.
    """
    base = address & ~wildcard & MAX_ADDRESS
    tail = 0
    while tail < HOST_LENGTH and wildcard >> tail & 1:
        tail += 1
    low_part = (1 << tail) - 1
    free = [bit for bit in range(tail, HOST_LENGTH) if wildcard >> bit & 1]
    if 1 << len(free) > bound:
        return None
    starts = [base]
    for bit in free:
        starts += [start | 1 << bit for start in starts]
    return tuple((start, start | low_part) for start in starts)
