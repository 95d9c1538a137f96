"""Sessions that a tightened policy denies: found among what a firewall tracks, and ended, and only those."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.net import ICMP, PROTOCOL_NUMBERS, WITH_PORTS, IcmpKind, Packet, protocol_name

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST_COMMAND: Final = "/usr/sbin/conntrack -L"
FIRST_WORD: Final = re.compile(r"^(?:ipv4\s+2\s+)?(?P<protocol>[a-z]+)\s+\d+\s")
PAIR: Final = re.compile(r"\b(src|dst|sport|dport|type|code)=(\S+)")


def read_sessions(listing: str) -> Iterator[Packet]:
    """The first packet of each IPv4 session that `conntrack -L` lists, with ports or with an ICMP type.

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
            source, destination = IPv4Address(fields["src"]), IPv4Address(fields["dst"])
            if number in WITH_PORTS:
                yield Packet(source, destination, number, int(fields["sport"]), int(fields["dport"]))
            elif number == ICMP:
                yield Packet(source, destination, ICMP, icmp=IcmpKind(int(fields["type"]), int(fields["code"])))
        except (KeyError, AddressValueError):
            continue


def end_command(packet: Packet) -> str:
    """The command that ends one session (all sessions of an ICMP type between two hosts); gone already is as good.

    conntrack exits 1 both where there is no such session and where it may not end any: only its words differ.
    """
    which = f"-p {protocol_name(packet.protocol)} -s {packet.src} -d {packet.dst}"
    if packet.icmp is None:
        which += f" --sport {packet.sport} --dport {packet.dport}"
    else:
        which += f" --icmp-type {packet.icmp.type} --icmp-code {packet.icmp.code}"
    return (
        f"words=$(/usr/sbin/conntrack -D {which} 2>&1) || case $words in "
        '*" 0 flow entries have been deleted"*) ;; *) echo "$words" >&2; exit 1;; esac'
    )
