"""Sessions that a tightened policy denies: found among what a firewall tracks, and ended, and only those."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.net import PROTOCOL_NUMBERS, WITH_PORTS, Packet, protocol_name

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST_COMMAND: Final = "/usr/sbin/conntrack -L"
FIRST_WORD: Final = re.compile(r"^(?P<protocol>[a-z]+)\s+(?P<number>\d+)\s")
PAIR: Final = re.compile(r"(src|dst|sport|dport)=(\S+)")


def read_sessions(listing: str) -> Iterator[Packet]:
    """The first packet of each IPv4 session with ports that `conntrack -L` lists; others are not ours to judge."""
    for line in listing.splitlines():
        word = FIRST_WORD.match(line)
        if word is None or PROTOCOL_NUMBERS.get(word["protocol"]) not in WITH_PORTS:
            continue
        fields: dict[str, str] = {}
        for name, value in PAIR.findall(line):
            fields.setdefault(name, value)  # the first of each is the initiator's direction
        try:
            yield Packet(
                IPv4Address(fields["src"]),
                IPv4Address(fields["dst"]),
                int(word["number"]),
                int(fields["sport"]),
                int(fields["dport"]),
            )
        except (KeyError, AddressValueError):
            continue


def end_command(packet: Packet) -> str:
    """The command that ends one session; gone already is as good."""
    return (
        f"/usr/sbin/conntrack -D -p {protocol_name(packet.protocol)} -s {packet.src} -d {packet.dst} "
        f"--sport {packet.sport} --dport {packet.dport} || test $? = 1"
    )
