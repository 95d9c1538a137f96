"""Sessions that a tightened policy denies: found among what a firewall tracks, and ended, and only those.

A list is asked about first packets only: what is known already lives on until somebody ends it, on nftables
(`conntrack`) and on an ASA (`clear conn`) alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.deploy.cli_session import terminal
from toolkit.deploy.session import clear_sessions, run_command
from toolkit.net import ICMP, PROTOCOL_NUMBERS, WITH_PORTS, IcmpKind, Packet, protocol_name
from toolkit.platforms import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nornir.core.task import Result, Task

    from toolkit.deploy.target import Target
    from toolkit.platforms.base import FilterState, Platform

LIST_COMMAND: Final = "/usr/sbin/conntrack -L"
FIRST_WORD: Final = re.compile(r"^(?:ipv4\s+2\s+)?(?P<protocol>[a-z]+)\s+\d+\s")
PAIR: Final = re.compile(r"\b(src|dst|sport|dport|type|code)=(\S+)")
# TCP inside: 10.1.1.5/42098 (10.1.1.5/42098) dmz: 10.2.2.8/443 (10.2.2.8/443), flags UIOB , idle 3s, ...
CONNECTION: Final = re.compile(
    r"^(?P<protocol>TCP|UDP) \S+: (?P<one>[\d.]+)/(?P<first>\d+)(?: \(\S+\))? "
    r"\S+: (?P<other>[\d.]+)/(?P<second>\d+)(?: \(\S+\))?,"
)
INITIATOR: Final = re.compile(r"^\s+Initiator: (?P<address>[\d.]+), Responder: ")


class Session(NamedTuple):
    """A tracked session: the packets that may have begun it, two where the device does not say which end did."""

    first: tuple[Packet, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """How the sessions of a kind of device are listed, read, and ended one by one; `check` asks for little."""

    check: str
    listing: str
    read: Callable[[str], Iterator[Session]]
    end: Callable[[Session], str]


def table_of(platform: Platform) -> Table | None:
    """How a platform's sessions are handled, None where it tracks none or nobody has written it down."""
    if platform.transport == "exec":
        return CONNTRACK
    return ASA if platform.netmiko_driver == "cisco_asa" else None


# ---- on devices ------------------------------------------------------------------------------


def tracking(target: Target, platforms: Mapping[str, str]) -> list[str]:
    """Devices (of device -> platform) that track sessions and can be asked about them."""
    nodes = target.site.topology
    return [
        device
        for device, platform in platforms.items()
        if nodes.node(device).stateful and table_of(get(platform)) is not None
    ]


def check_tracking(target: Target, platforms: Mapping[str, str]) -> None:
    """Ask stateful devices about their sessions: one that does not answer could not end the denied ones either.

    Raises:
        DeviceError: one does not.
    """
    target.run(tracking(target, platforms), _ask)


def end_denied(target: Target, platforms: Mapping[str, str], states: Mapping[str, FilterState]) -> int:
    """End what is tracked but denied now, and only that; returns how many sessions were.

    A session is denied where no packet that may have begun it would be let through today.

    Raises:
        DeviceError: a device does not list or end its sessions.
    """

    def end(task: Task) -> Result:
        device = str(task.host.name)
        platform = get(str(task.host.platform))
        table = _table(platform)
        denied = [
            one
            for one in table.read(_typed(task, platform, table.listing))
            if all(target.stale(device, packet, states[device]) for packet in one.first)
        ]
        return clear_sessions(task, [table.end(one) for one in denied])

    return sum(target.run(tracking(target, platforms), end).values())


def _ask(task: Task) -> Result:
    from nornir.core.task import Result

    platform = get(str(task.host.platform))
    return Result(host=task.host, result=_typed(task, platform, _table(platform).check))


def _table(platform: Platform) -> Table:
    table = table_of(platform)
    assert table is not None  # noqa: S101 - `tracking` has looked
    return table


def _typed(task: Task, platform: Platform, command: str) -> str:
    if platform.transport == "exec":
        return run_command(task, command)
    with terminal(task, platform) as prompt:
        return prompt.show(command)


# ---- nftables --------------------------------------------------------------------------------


def read_sessions(listing: str) -> Iterator[Session]:
    """Each IPv4 session that `conntrack -L` lists, with ports or with an ICMP type.

    Lines of `-o extended` are read too. Sessions of other protocols and of IPv6 are not ours to judge: the policy
    speaks of neither. Addresses are the initiator's, before any translation.
    """
    for line in listing.splitlines():
        word = FIRST_WORD.match(line)
        number = PROTOCOL_NUMBERS.get(word["protocol"]) if word else None
        if number is None:
            continue
        fields: dict[str, str] = {}
        for name, value in PAIR.findall(line):
            fields.setdefault(name, value)  # the first of each is the initiator's direction
        try:
            ends = IPv4Address(fields["src"]), IPv4Address(fields["dst"])
            if number in WITH_PORTS:
                yield Session((Packet(*ends, number, int(fields["sport"]), int(fields["dport"])),))
            elif number == ICMP:
                yield Session((Packet(*ends, ICMP, icmp=IcmpKind(int(fields["type"]), int(fields["code"]))),))
        except (KeyError, AddressValueError):
            continue


def end_command(session: Session) -> str:
    """The command that ends one session (all sessions of an ICMP type between two hosts); gone already is as good.

    conntrack exits 1 both where there is no such session and where it may not end any: only its words differ.
    """
    packet = session.first[0]
    which = f"-p {protocol_name(packet.protocol)} -s {packet.src} -d {packet.dst}"
    if packet.icmp is None:
        which += f" --sport {packet.sport} --dport {packet.dport}"
    else:
        which += f" --icmp-type {packet.icmp.type} --icmp-code {packet.icmp.code}"
    return (
        f"words=$(/usr/sbin/conntrack -D {which} 2>&1) || case $words in "
        '*" 0 flow entries have been deleted"*) ;; *) echo "$words" >&2; exit 1;; esac'
    )


CONNTRACK: Final = Table(LIST_COMMAND, LIST_COMMAND, read_sessions, end_command)


# ---- ASA -------------------------------------------------------------------------------------


def read_connections(listing: str) -> Iterator[Session]:
    """Each IPv4 connection through an ASA that `show conn long` lists, by its real addresses.

    Newer versions name the initiator of TCP connections. Elsewhere both directions are kept: the flags tell who began
    only to those who know which interface counts as the outside one. Connections to the ASA itself are not listed, and
    ICMP is forgotten two seconds after an answer.
    """
    lines = listing.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        found = CONNECTION.match(line)
        if found is None:
            continue
        number = PROTOCOL_NUMBERS[found["protocol"].lower()]
        try:
            one, other = IPv4Address(found["one"]), IPv4Address(found["other"])
        except AddressValueError:
            continue
        there = Packet(one, other, number, int(found["first"]), int(found["second"]))
        back = Packet(other, one, number, int(found["second"]), int(found["first"]))
        began = INITIATOR.match(after)
        yield Session(tuple(p for p in (there, back) if began is None or str(p.src) == began["address"]))


def clear_command(session: Session) -> str:
    """`clear conn` for one connection: both addresses, both ports."""
    packet = session.first[0]
    return (
        f"clear conn protocol {protocol_name(packet.protocol)} "
        f"address {packet.src} port {packet.sport} address {packet.dst} port {packet.dport}"
    )


ASA: Final = Table("show conn count", "show conn long", read_connections, clear_command)
