"""What a stateful twin knows of connections through it, and how an ASA shows and ends them.

In a lab they are those of the kernel under the twin; a twin on its own has a list that tests fill.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.levels import level
from toolkit.lab.twins.routes import lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.lab.twins.tree import Tree

TRACKED: Final = re.compile(
    r"^(tcp|udp)\s+\d+ \d+ (?:[A-Z_]+ )?src=([\d.]+) dst=([\d.]+) sport=(\d+) dport=(\d+) ", re.MULTILINE
)
PORTS: Final = 1 << 16
Span = tuple[int, int]


class End(NamedTuple):
    """One end of a connection."""

    address: IPv4Address
    port: int


class Connection(NamedTuple):
    """A connection: `tcp` or `udp`, who began it, and with whom."""

    protocol: str
    initiator: End
    responder: End


@dataclass
class Connections:
    """A list of connections."""

    known: list[Connection] = field(default_factory=list)

    def listed(self) -> list[Connection]:
        """All of them."""
        return list(self.known)

    def end(self, one: Connection) -> bool:
        """Forget a connection; False where it is gone already."""
        if one not in self.known:
            return False
        self.known.remove(one)
        return True


@dataclass
class KernelConnections(Connections):
    """Those of the network that this process lives in; `program` is conntrack."""

    program: str = "/usr/sbin/conntrack"

    def listed(self) -> list[Connection]:
        """TCP and UDP over IPv4, before any translation."""
        done = subprocess.run([self.program, "-L", "-f", "ipv4"], capture_output=True, text=True, check=False)
        return [
            Connection(protocol, End(IPv4Address(src), int(sport)), End(IPv4Address(dst), int(dport)))
            for protocol, src, dst, sport, dport in TRACKED.findall(done.stdout)
        ]

    def end(self, one: Connection) -> bool:
        """Delete it from the kernel's table."""
        ends = ["-s", str(one.initiator.address), "-d", str(one.responder.address)]
        ports = ["--sport", str(one.initiator.port), "--dport", str(one.responder.port)]
        done = subprocess.run([self.program, "-D", "-p", one.protocol, *ends, *ports], capture_output=True, check=False)
        return done.returncode == 0


# ---- as an ASA shows and ends them -----------------------------------------------------------


def long_listing(tree: Tree, connections: Connections) -> str:
    """`show conn long`: the end on the lower security level first, with B in the flags where that end began."""
    found = connections.listed()
    lines = [f"{len(found)} in use, {max(len(found), 1)} most used", *LEGEND]
    for one in found:
        ends = sorted((one.initiator, one.responder), key=lambda end: level(tree, _interface(tree, end)))
        written = " ".join(
            f"{_interface(tree, end)}: {end.address}/{end.port} ({end.address}/{end.port})" for end in ends
        )
        flags = "-" if one.protocol == "udp" else f"UIO{'B' * (ends[0] == one.initiator)}"
        lines.append(f"{one.protocol.upper()} {written}, flags {flags} , idle 3s, uptime 6s, timeout 1h0m, bytes 1024")
        if one.protocol == "tcp":
            lines.append(f"  Initiator: {one.initiator.address}, Responder: {one.responder.address}")
        lines.append("")
    return "\n".join(lines)


LEGEND: Final = (
    "Flags: A - awaiting responder ACK to SYN, a - awaiting initiator ACK to SYN,",
    "       B - initial SYN from outside, I - initiator data, O - responder data, U - up",
    "",
)


def _interface(tree: Tree, end: End) -> str:
    return next((leg.interface for leg in lookup(tree, str(end.address))), "outside")


def clear(text: str, connections: Connections) -> str:
    """`clear conn`: ends what all that is given fits, the first address and port on one end, the second on the other.

    Raises:
        RejectedError: not understood; its column is where.
    """
    wanted = Wanted.read(text)
    ended = sum(connections.end(one) for one in connections.listed() if wanted.fits(one))
    return f"{ended} connection(s) deleted."


@dataclass(frozen=True)
class Wanted:
    """What a `clear conn` names: a protocol, and for up to two ends a span of addresses and one of ports."""

    protocol: str | None
    addresses: tuple[Span, ...]
    ports: tuple[Span, ...]

    @classmethod
    def read(cls, text: str) -> Wanted:
        """Of `clear conn [all] [protocol tcp|udp] [address A[-B] [netmask M]] [port P[-Q]] [address ...] [port ...]`.

        Raises:
            RejectedError: not understood; an ASA wants at least one word that names what to end.
        """
        words = _Reader(text, len("clear conn"))
        protocol: str | None = None
        addresses: list[Span] = []
        ports: list[Span] = []
        every = False
        for word in words:
            if word == "all" and not (every or protocol or addresses or ports):
                every = True
            elif word == "protocol" and protocol is None and not (addresses or ports):
                protocol = words.among("tcp", "udp")
            elif word == "address" and len(addresses) < 2:  # noqa: PLR2004 - a connection has two ends
                addresses.append(words.addresses())
            elif word == "port" and len(ports) < 2:  # noqa: PLR2004
                ports.append(words.ports())
            else:
                raise RejectedError(words.column)
        if not (every or protocol or addresses or ports):
            raise RejectedError(len(text), incomplete=True)
        return cls(protocol, tuple(addresses), tuple(ports))

    def fits(self, one: Connection) -> bool:
        """Whether a connection is meant, whichever of its ends is named first."""
        if self.protocol not in (None, one.protocol):
            return False
        return any(self._in_order(*ends) for ends in ((one.initiator, one.responder), (one.responder, one.initiator)))

    def _in_order(self, *ends: End) -> bool:
        addresses = zip(self.addresses, ends, strict=False)
        ports = zip(self.ports, ends, strict=False)
        return all(low <= int(end.address) <= high for (low, high), end in addresses) and all(
            low <= end.port <= high for (low, high), end in ports
        )


class _Reader:
    """The words of a line, one after the other, with where each begins."""

    def __init__(self, text: str, start: int) -> None:
        self.words = [(match[0], match.start()) for match in re.finditer(r"\S+", text) if match.start() >= start]
        self.end = len(text)
        self.at = 0

    @property
    def column(self) -> int:
        """Where the word that was taken last begins."""
        return self.words[self.at - 1][1]

    def __iter__(self) -> Iterator[str]:
        while self.at < len(self.words):
            yield self.take()

    def take(self) -> str:
        """The next word."""
        if self.at >= len(self.words):
            raise RejectedError(self.end, incomplete=True)
        self.at += 1
        return self.words[self.at - 1][0]

    def among(self, *choices: str) -> str:
        """The next word, which must be one of these."""
        word = self.take()
        if word not in choices:
            raise RejectedError(self.column)
        return word

    def addresses(self) -> Span:
        """An address, two with a dash between them, or one with a netmask behind it."""
        low, dash, high = self.take().partition("-")
        try:
            span = int(IPv4Address(low)), int(IPv4Address(high if dash else low))
            if self.at < len(self.words) and self.words[self.at][0] == "netmask":
                self.at += 1
                care = int(IPv4Address(self.take()))
                span = span[0] & care, span[0] & care | ~care & 0xFFFFFFFF
        except AddressValueError:
            raise RejectedError(self.column) from None
        return span

    def ports(self) -> Span:
        """A port, or two with a dash between them."""
        low, dash, high = self.take().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or int(high or low) >= PORTS:
            raise RejectedError(self.column)
        return int(low), int(high or low)
