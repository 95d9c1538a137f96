"""What a running configuration does with a packet, by the twin's own reading of its text.

It shares no code with `toolkit.platforms` or `toolkit.packets`: a misreading on either side shows as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from toolkit.lab.twins import levels
from toolkit.lab.twins.ace import ALL, TCP, Ace, Address, Ports, RejectedError, Words, dotted, read_ace, read_operator
from toolkit.lab.twins.routes import lookup
from toolkit.lab.twins.words import ICMP, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolkit.lab.twins.tree import Tree
    from toolkit.net import Packet

GROUP_HEADERS: Final = {
    "object-group network": "network",
    "object-group ip address": "network",
    "object-group service": "service",
    "object-group ip port": "service",
    "object network": "network",
    "object service": "service",
}


@dataclass(frozen=True, slots=True)
class Service:
    """One member of a service group: a protocol, or ports of tcp, udp or (None) whatever the entry says."""

    protocol: int | None
    source: Ports = field(default_factory=Ports)
    destination: Ports = field(default_factory=Ports)
    icmp: tuple[int, int | None] | None = None


@dataclass(frozen=True)
class Groups:
    """Address and service groups by name, members as addresses (value, care) or ranges and services."""

    networks: Mapping[str, tuple[Address | tuple[int, int] | str, ...]]
    services: Mapping[str, tuple[Service | str, ...]]

    @property
    def kinds(self) -> dict[str, str]:
        """Name -> network or service."""
        return dict.fromkeys(self.networks, "network") | dict.fromkeys(self.services, "service")

    def holds(self, name: str, address: int) -> bool:
        """Whether an address is in a group; one that does not exist holds nothing."""
        for member in self.networks.get(name, ()):
            match member:
                case str():
                    if self.holds(member, address):
                        return True
                case Address():
                    if address & member.care == member.value:
                        return True
                case low, high:
                    if low <= address <= high:
                        return True
        return False

    def serves(self, name: str, packet: Packet) -> bool:
        """Whether a group of services that stands for the protocol covers a packet."""
        for member in self.services.get(name, ()):
            if isinstance(member, str):
                if self.serves(member, packet):
                    return True
            elif (
                member.protocol in (None, packet.protocol)
                and packet.sport in member.source
                and packet.dport in member.destination
                and _icmp(member.icmp, packet)
            ):
                return True
        return False

    def port(self, name: str, port: int) -> bool:
        """Whether a port is in a group of ports."""
        return any(
            self.port(member, port) if isinstance(member, str) else port in member.destination
            for member in self.services.get(name, ())
        )


def read_groups(tree: Tree, os: str) -> Groups:
    """The groups of a running configuration.

    Raises:
        RejectedError: a member that the OS would not take.
    """
    networks: dict[str, tuple[Address | tuple[int, int] | str, ...]] = {}
    services: dict[str, tuple[Service | str, ...]] = {}
    for header, children in tree.sections.items():
        for start, kind in GROUP_HEADERS.items():
            if header.startswith(f"{start} "):
                name, *rest = header[len(start) :].split()
                if kind == "network":
                    networks[name] = tuple(one for line in children if (one := network_member(line)) is not None)
                else:
                    inherited = rest[0] if rest else ""
                    found = (service_member(line, os, inherited) for line in children)
                    services[name] = tuple(one for one in found if one is not None)
    return Groups(networks, services)


def network_member(line: str) -> Address | tuple[int, int] | str | None:
    """One line of an address group: an address, a range, another group; None for a description."""
    words = Words(line)
    if words.next == "description":
        return None
    if words.next.isdecimal():  # NX-OS numbers them
        words.take()
    if words.next in ("network-object", "subnet"):
        words.take()
    word = words.take()
    if word in ("group-object", "object"):
        return words.take()
    if word == "range":
        return words.convert(dotted), words.convert(dotted)
    if word == "host":
        found = Address(words.convert(dotted), ALL)
    elif "/" in word:
        base, _, length = word.partition("/")
        value, care = dotted(base), (ALL << (32 - int(length or 0))) & ALL
        if value is None:
            raise words.reject()
        found = Address(value & care, care)
    else:
        value = dotted(word)
        if value is None:
            raise words.reject()
        care = words.convert(dotted)
        found = Address(value & care, care)
    words.end()
    return found


def service_member(line: str, os: str, inherited: str = "") -> Service | str | None:
    """One line of a service or port group; `inherited` is the protocol in the group's own header on an ASA."""
    words = Words(line)
    if words.next == "description":
        return None
    if words.next.isdecimal():
        words.take()
    if words.next == "group-object":
        words.take()
        return words.take()
    number = PROTOCOLS.get(inherited)
    if words.next in ("port-object", "eq", "range", "gt", "lt", "neq"):
        if words.next == "port-object":
            words.take()
        found = Service(number, destination=read_operator(words, os, number))
    else:
        if words.next in ("service-object", "service"):
            words.take()
        found = _protocol_member(words, os)
    words.end()
    return found


def _protocol_member(words: Words, os: str) -> Service:
    word = words.take()
    if word in ("tcp-udp", "ip"):
        number = None
    elif word in PROTOCOLS:
        number = PROTOCOLS[word]
    elif word.isdecimal():
        number = int(word)
    else:
        raise words.reject()
    if number == 1 and words.next:
        kind = words.take()
        if kind not in ICMP and not kind.isdecimal():
            raise words.reject()
        return Service(1, icmp=ICMP.get(kind) or (int(kind), None))
    source = destination = Ports()
    if words.next == "source":
        words.take()
        source = read_operator(words, os, number)
    if words.next == "destination":
        words.take()
    if words.next:
        destination = read_operator(words, os, number)
    return Service(number, source, destination)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What decided: permit or deny, and the line; empty where no line did."""

    permit: bool
    line: str


def judge_lines(lines: Iterable[str], os: str, packet: Packet, groups: Groups) -> Ruling:
    """Walk an access list in the order of its lines; what no line matches is denied."""
    empty = True
    kinds = frozenset(groups.kinds.items())
    for line in lines:
        ace = _parsed(line, os, kinds)
        if ace is None:
            continue
        empty = False
        # An ASA puts fragments together first: one that comes alone passes no entry that looks at ports.
        if matches(ace, packet, groups) and not (os == "asa" and packet.fragment and ace.looks_at_ports):
            return Ruling(ace.permit, line)
    # An access list without any entry filters nothing on IOS, and everything where it is a list of hardware.
    return Ruling(empty and os in ("ios", "asa"), "")


@lru_cache(maxsize=1 << 14)
def _parsed(line: str, os: str, kinds: frozenset[tuple[str, str]]) -> Ace | None:
    """A line of a list, None for a remark and the like."""
    words = Words(line)
    if words.next.isdecimal():
        words.take()
    return read_ace(words, os, dict(kinds)) if words.next in ("permit", "deny") else None


def matches(ace: Ace, packet: Packet, groups: Groups) -> bool:  # noqa: PLR0911 - one test after the other
    """Whether an entry covers a packet, as Cisco documents it for later fragments too."""
    if ace.inactive or (ace.protocol is not None and ace.protocol != packet.protocol):
        return False
    if ace.fragments and not packet.fragment:
        return False
    for address, value in ((ace.source, int(packet.src)), (ace.destination, int(packet.dst))):
        if address.group:
            if not groups.holds(address.group.split()[-1], value):
                return False
        elif value & address.care != address.value:
            return False
    if packet.fragment:
        # No ports are there to look at: a permit lets it through, a deny leaves it to the entries below.
        return ace.permit or not ace.looks_at_ports
    if ace.service and not groups.serves(ace.service.split()[-1], packet):
        return False
    if ace.established and not (packet.protocol == TCP and packet.established):
        return False
    return (
        _port(ace.source_ports, packet.sport, groups)
        and _port(ace.destination_ports, packet.dport, groups)
        and _icmp(ace.icmp, packet)
    )


def _port(ports: Ports, port: int, groups: Groups) -> bool:
    return groups.port(ports.group, port) if ports.group else port in ports


def _icmp(wanted: tuple[int, int | None] | None, packet: Packet) -> bool:
    if wanted is None:
        return True
    kind = packet.icmp
    return kind is not None and kind.type == wanted[0] and wanted[1] in (None, kind.code)


def judge(tree: Tree, os: str, interface: str, packet: Packet) -> Ruling:
    """What a running configuration does with a packet that enters by an interface.

    An ASA also asks by which interface it would leave; where no route says so, its list alone decides.

    Raises:
        RejectedError: a line of it is not understood; the twin would not have taken it.
    """
    names = bound(tree, os, interface)
    groups = read_groups(tree, os)
    # On an ASA the global list goes on where the interface's own list ends.
    lines = [line for name in names for line in acl_lines(tree, os, name)]
    ruling = judge_lines(lines, os, packet, groups) if names else Ruling(permit=True, line="")
    if os != "asa" or not ruling.permit:
        return ruling
    mine = levels.name_of(tree, interface)
    for other in (leg.interface for leg in lookup(tree, str(packet.dst))):
        if not levels.passes(tree, mine, other, listed=bool(names)):
            return Ruling(permit=False, line=f"security levels: {mine} to {other}")
        name = levels.outbound(tree, other)
        last = (
            Ruling(permit=True, line="") if name is None else judge_lines(acl_lines(tree, os, name), os, packet, groups)
        )
        if not last.permit:
            return last
    return ruling


def bound(tree: Tree, os: str, interface: str) -> list[str]:
    """Names of the access lists that judge what enters by an interface."""
    if os == "asa":
        name = levels.name_of(tree, interface)
        lines = [line.split() for line in tree.sections if line.startswith("access-group ")]
        own = [words[1] for words in lines if words[2:] == ["in", "interface", name]]
        return own + [words[1] for words in lines if words[2:] == ["global"]]
    for child in tree.sections.get(f"interface {interface}", ()):
        words = child.split()
        if words[:2] in (["ip", "access-group"], ["ip", "port"]) and words[-1] == "in":
            return [words[-2]]
    return []


def acl_lines(tree: Tree, os: str, name: str) -> list[str]:
    """Entries of an access list by its name, in order; none where it does not exist."""
    if os == "asa":
        start = f"access-list {name} extended "
        return [line[len(start) :] for line in tree.sections if line.startswith(start)]
    headers = (f"ip access-list extended {name}", f"ip access-list {name}")
    return next((list(tree.sections[one]) for one in headers if one in tree.sections), [])


__all__ = ["Groups", "RejectedError", "Ruling", "judge", "judge_lines", "matches", "read_groups"]
