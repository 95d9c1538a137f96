"""What differs between the command lines of IOS, EOS and NX-OS, as data, and how each writes its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from toolkit.net import MAX_PORT, TCP, UDP, Direction
from toolkit.platforms._cisco_model import (
    ALL_ADDRESSES,
    HOST_LENGTH,
    MAX_ADDRESS,
    Bound,
    Remark,
    Side,
    address_text,
    prefix_of,
)
from toolkit.platforms._cisco_names import WRITTEN, WRITTEN_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.net import Action
    from toolkit.packets import Interval
    from toolkit.platforms._cisco_model import AccessList, Config, Group

ANY: Final = Side("any", ALL_ADDRESSES)
NUMBERED_LISTS: Final = ((1, 99), (100, 199), (1300, 1999), (2000, 2699))  # standard, extended, and both again


@dataclass(frozen=True, slots=True)
class Dialect:
    """One command line.

    `prefixes`: addresses as 10.0.0.0/24, not only with wildcard masks. `numbered`: every line of a list has a
    sequence number, remarks too. `groups`: the syntax of object groups, empty where there are none. `standard`: there
    are lists that look at sources only. `many_ports`: how many ports `eq` takes. `fragments_by_address`: an entry
    that looks at ports meets later fragments by their addresses, to permit but never to deny them; else never (for a
    system whose manual says so)
    """

    name: str
    vendor: str  # of the first line that tells other programs what the text is
    prefixes: bool
    numbered: bool
    groups: Literal["ios", "nxos", ""]
    standard: bool
    many_ports: int
    fragments_by_address: bool
    tcp_ports: Mapping[str, int]
    udp_ports: Mapping[str, int]
    with_ports: tuple[int, ...] = (TCP, UDP)  # protocols whose ports it looks at
    options: tuple[str, ...] = ()  # lines of a list that count and decide nothing
    indent: str = " "
    port_lists: bool = False  # layer-2 ports are bound with `ip port access-group`
    routing: str = ""  # the line that turns routing on, where it is off by default
    svi_feature: str = ""  # the line that allows routed interfaces of VLANs, where one is needed
    port_default: str = ""  # the line that says what a port is that says nothing, where models of it differ
    ends: bool = True  # whether a configuration ends with `end`
    tagging: str = "encapsulation dot1q"  # what precedes the VLAN of a subinterface
    kinds: tuple[tuple[str, str], ...] = ()  # kinds of interfaces that it spells in its own way

    # ---- addresses and ports --------------------------------------------------------------

    def side(self, low: int, high: int) -> Side:
        """An interval of addresses that is a prefix."""
        intervals = ((low, high),)
        length = prefix_of(low, high)
        if length is None:
            raise ValueError(f"{address_text(low)}-{address_text(high)} is no prefix")
        if length == HOST_LENGTH:
            return Side(f"host {address_text(low)}", intervals)
        if length == 0:
            return ANY
        if self.prefixes:
            return Side(f"{address_text(low)}/{length}", intervals)
        return Side(f"{address_text(low)} {address_text(high - low)}", intervals)

    def group_side(self, name: str) -> Side:
        """A network group in the place of an address."""
        return Side(f"{'addrgroup' if self.groups == 'nxos' else 'object-group'} {name}", (), name)

    def member(self, low: int, high: int) -> str:
        """A prefix as a member of a network group; IOS wants a netmask there, not a wildcard."""
        length = prefix_of(low, high)
        if length == HOST_LENGTH:
            return f"host {address_text(low)}"
        if self.groups == "ios":
            return f"{address_text(low)} {address_text(MAX_ADDRESS ^ (high - low))}"
        return f"{address_text(low)}/{length}"

    # ---- lines ----------------------------------------------------------------------------

    def list_head(self, acl: AccessList) -> str:
        """The line that opens a list."""
        if not self.standard:
            return f"ip access-list {acl.name}"
        if self.groups:  # IOS
            return f"ip access-list {'standard' if acl.standard else 'extended'} {acl.name}"
        return f"ip access-list {'standard ' if acl.standard else ''}{acl.name}"

    def list_lines(self, acl: AccessList, *, numbers: bool | None = None) -> Iterator[str]:
        """The lines of a list; with sequence numbers where the system always has them, or where it is asked."""
        show = (self.numbered or acl.numbered) if numbers is None else numbers
        yield from acl.options
        for line in acl.lines:
            text = f"remark {line.text}" if isinstance(line, Remark) else line.text
            yield f"{line.seq} {text}" if show and line.seq else text

    def resequence(self, name: str, start: int, step: int) -> tuple[list[str], list[str]]:
        """(lines outside the list, lines inside it) that number a list anew."""
        if self.name == "arista_eos":
            return [], [f"resequence {start} {step}"]
        words = "resequence ip access-list" if self.groups == "nxos" else "ip access-list resequence"
        return [f"{words} {name} {start} {step}"], []

    def group_head(self, group: Group) -> str:
        """The line that opens an object group."""
        kinds = {"network": "network", "service": "service", "port": "port"}
        if self.groups == "nxos":
            kinds = {"network": "ip address", "port": "ip port"}
        return f"object-group {kinds[group.kind]} {group.name}"

    def group_lines(self, group: Group) -> Iterator[str]:
        """The members of a group as they are typed."""
        yield from group.lines

    def bind_line(self, bound: Bound, direction: Direction) -> str:
        """The line of an interface that binds a list."""
        return f"ip {'port ' if bound.port else ''}access-group {bound.acl} {direction.value}"


def port_text(intervals: tuple[Interval, ...]) -> str:
    """Ports in their normal form. All of them are a condition too: a later fragment has none."""
    if len(intervals) == 1:
        low, high = intervals[0]
        return f"eq {low}" if low == high else f"range {low} {high}"
    if all(low == high for low, high in intervals):
        return "eq " + " ".join(str(low) for low, _ in intervals)
    return "neq " + " ".join(str(port) for port in _gaps(intervals))


def _gaps(intervals: tuple[Interval, ...]) -> Iterator[int]:
    """The ports that are missing in what `neq` left."""
    at = 0
    for low, high in sorted(intervals):
        yield from range(at, low)
        at = high + 1
    yield from range(at, MAX_PORT + 1)


def icmp_text(intervals: tuple[Interval, ...]) -> str:
    """An ICMP kind in its normal form."""
    kind = intervals[0]
    if kind in WRITTEN_KINDS:
        return WRITTEN_KINDS[kind]
    return f"{kind[0] >> 8}" if kind[0] != kind[1] else f"{kind[0] >> 8} {kind[0] & 255}"


def protocol_text(number: int | None) -> str:
    """A protocol by its name where all systems have it, by number otherwise."""
    return WRITTEN.get(number) or str(number)


def entry_text(action: Action, words: tuple[str, ...]) -> str:
    """An entry from its words, the empty ones left out."""
    return " ".join([action.value, *(word for word in words if word)])


def write_config(dialect: Dialect, config: Config, names: Mapping[str, str]) -> str:
    """The filters of a device: groups, lists, bindings. `names` gives the inventory's spelling of an interface."""
    found: list[str] = []
    for group in _inner_first(config):
        found += [dialect.group_head(group), *(f"{dialect.indent}{one}" for one in dialect.group_lines(group)), "!"]
    for acl in config.acls.values():
        found += [dialect.list_head(acl), *(f"{dialect.indent}{line}" for line in dialect.list_lines(acl)), "!"]
    for interface in dict.fromkeys(place for place, _ in config.bindings):
        found.append(f"interface {names.get(interface, interface)}")
        for direction in Direction:
            bound = config.bindings.get((interface, direction))
            if bound is not None:
                found.append(f"{dialect.indent}{dialect.bind_line(bound, direction)}")
        found.append("!")
    return "".join(f"{line}\n" for line in found)


def _inner_first(config: Config) -> list[Group]:
    """Groups in an order in which each one stands behind those that it uses."""
    found: dict[str, Group] = {}
    for group in config.groups.values():
        _add(config, group, found)
    return list(found.values())


def _add(config: Config, group: Group, found: dict[str, Group]) -> None:
    for name in group.uses:
        if name in config.groups and name not in found:
            _add(config, config.groups[name], found)
    found.setdefault(group.name, group)
