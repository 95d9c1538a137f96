"""Arbitrary packets through the lab: does a proof's witness really get the verdict that was claimed?

The prober speaks like a client; this sends what no client would: a bare ACK, a SYN from a service port, a
fragment, a source address that is not the sender's own. (A device with strict reverse-path filtering drops
the last kind before any ACL sees it; the evidence then names the device all the same.)
"""

from __future__ import annotations

import itertools
import secrets
import select
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.taps import UNTAPPED, packet_socket
from toolkit.lab.wire import build, network
from toolkit.net import Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from toolkit.net import Packet

_identifications = itertools.count(secrets.randbelow(1 << 16))
HEADER: Final = 20


@dataclass(frozen=True, slots=True)
class Sighting:
    """A packet seen by a tap: the node, its interface, and whether it was leaving."""

    node: str
    interface: str
    leaving: bool


@dataclass(frozen=True, slots=True)
class Injected:
    """What became of an injected packet: `path` lists the sightings on devices, in order of time within each."""

    verdict: Verdict
    evidence: str
    path: tuple[Sighting, ...]


def send_packet(packet: Packet, source_fd: int, *, identification: int | None = None) -> int:
    """Send one packet from the namespace `source_fd`; returns the IP identification that it carries (1 to 65535).

    Raises:
        LabError: the namespace has no route, or raw sockets are refused.
    """
    number = identification or next(_identifications) % 65535 + 1
    try:
        with network(source_fd), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(build(packet, number), (str(packet.dst), 0))
    except OSError as caught:
        raise LabError(f"cannot send {packet}: {caught.strerror}") from caught
    return number


def observe(
    packet: Packet,
    source_fd: int,
    destination_fd: int,
    *,
    devices: Mapping[str, int] | None = None,
    switches: Collection[str] = (),
    timeout: float = 0.3,
) -> Injected:
    """Send one packet and watch: permitted when it reaches an interface of the destination's namespace.

    With taps on `devices` (name -> namespace), a packet that entered one and never left it is denied there;
    without, what does not arrive is inconclusive. `timeout` is in seconds. A packet to an address that nobody
    has leaves the last device only when its neighbour entry is known, so it is inconclusive or misjudged:
    choose witnesses among addresses of the lab.

    Raises:
        LabError: the packet cannot be sent.
    """
    with ExitStack() as stack:
        here = stack.enter_context(packet_socket(destination_fd, everything=True))
        taps = {name: stack.enter_context(packet_socket(fd, everything=True)) for name, fd in (devices or {}).items()}
        number = send_packet(packet, source_fd)
        arrived = _wait(here, packet, number, timeout)
        path = tuple(
            sighting
            for name, sock in taps.items()
            for sighting in _sightings(name, sock, packet, number, switch=name in switches)
        )
    if arrived:
        return Injected(Verdict.PERMITTED, "arrived", path)
    left = {one.node for one in path if one.leaving}
    stuck = next((one for one in path if not one.leaving and one.node not in left), None)
    if stuck is None:
        return Injected(Verdict.INCONCLUSIVE, "silence", path)
    return Injected(Verdict.DENIED, f"{stuck.node}: entered on {stuck.interface} and never left", path)


def _wait(sock: socket.socket, packet: Packet, number: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0] and any(
            not one.leaving for one in _sightings("", sock, packet, number, switch=False)
        ):
            return True
    return False


def _sightings(node: str, sock: socket.socket, packet: Packet, number: int, *, switch: bool) -> Sequence[Sighting]:
    """Sightings of the packet that are queued on a tap; addresses and IP identification tell it from all others."""
    mark = number.to_bytes(2, "big")
    found: list[Sighting] = []
    while True:
        try:
            data, (interface, _, kind, *_) = sock.recvfrom(64)
        except BlockingIOError:
            return found
        if interface in UNTAPPED or (kind == socket.PACKET_OTHERHOST and not switch) or len(data) < HEADER:
            continue
        if data[4:6] == mark and data[9] == packet.protocol and data[12:20] == packet.src.packed + packet.dst.packed:
            found.append(Sighting(node, interface, kind == socket.PACKET_OUTGOING))
