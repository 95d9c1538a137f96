"""Taps: what entered a device and what left it, seen by one packet socket in the device's namespace.

A packet that entered a device and never left it was denied there, whether or not the device logs its drops.
An unbound AF_PACKET socket sees every interface in both directions; ingress is seen before the first netfilter
hook, egress after the last. A tap that lost packets gives no evidence: silence would look like a drop.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from toolkit.errors import LabError
from toolkit.lab.wire import FlowKey, enlarge_buffer, network, read_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ETH_P_ALL: Final = 3
SOL_PACKET: Final = 263
PACKET_STATISTICS: Final = 6
SO_ATTACH_FILTER: Final = 26
SNAPSHOT: Final = 96  # bytes: IPv4 header with options, and ports
UNTAPPED: Final = frozenset({"lo", "eth0"})  # eth0 is the management interface of every device

# Classic BPF on a cooked socket, so offset 0 is the IPv4 header. (code, jump if true, jump if false, k)
_ACCEPT: Final = (0x06, 0, 0, SNAPSHOT)
_IGNORE: Final = (0x06, 0, 0, 0)
_FIRST_PACKETS: Final = (
    (0x28, 0, 0, 0xFFFFF000),  # ldh the skb's protocol
    (0x15, 0, 11, 0x0800),  # not IPv4: ignore
    (0x30, 0, 0, 9),  # ldb protocol
    (0x15, 8, 0, 17),  # UDP: accept
    (0x15, 7, 0, 1),  # ICMP: accept
    (0x15, 0, 7, 6),  # not TCP: ignore
    (0x28, 0, 0, 6),  # ldh flags and fragment offset
    (0x45, 5, 0, 0x1FFF),  # non-initial fragment: ignore
    (0xB1, 0, 0, 0),  # ldx header length
    (0x50, 0, 0, 13),  # ldb TCP flags
    (0x54, 0, 0, 0x12),  # and SYN|ACK
    (0x15, 0, 1, 0x02),  # SYN alone: accept, else ignore
)
_EVERY_IPV4: Final = ((0x28, 0, 0, 0xFFFFF000), (0x15, 0, 1, 0x0800))


def _assembled(program: tuple[tuple[int, int, int, int], ...]) -> bytes:
    return b"".join(struct.pack("HBBI", *one) for one in (*program, _ACCEPT, _IGNORE))


def packet_socket(fd: int, *, everything: bool = False) -> socket.socket:
    """A tap socket in the namespace `fd`: first packets of flows only, or every IPv4 packet.

    Raises:
        LabError: the kernel refuses packet sockets.
    """
    with network(fd):
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
        except PermissionError:
            raise LabError("packet sockets are refused; run as root or inside the lab's own user namespace") from None
        try:
            program = _assembled(_EVERY_IPV4 if everything else _FIRST_PACKETS)
            buffer = ctypes.create_string_buffer(program)
            header = struct.pack("HL", len(program) // 8, ctypes.addressof(buffer))
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
            enlarge_buffer(sock)
            _discard(sock)  # what came before the filter was in place
        except BaseException:
            sock.close()
            raise
        return sock


def _discard(sock: socket.socket) -> None:
    while True:
        try:
            sock.recv(1)
        except BlockingIOError:
            return


@dataclass(slots=True)
class Tap:
    """Sightings of one device: the interface on which each flow entered, and on which it left.

    `switch` says that the device bridges: on a routed interface a frame for somebody else's MAC address
    was only flooded there, and has not entered.
    """

    device: str
    sock: socket.socket
    switch: bool = False
    entered: dict[FlowKey, str] = field(default_factory=dict)
    left: dict[FlowKey, str] = field(default_factory=dict)
    lost: int = 0  # packets that did not fit in the socket's buffer

    def fileno(self) -> int:
        """File descriptor to wait on."""
        return self.sock.fileno()

    def drain(self) -> None:
        """Read all sightings that have been queued."""
        while True:
            try:
                data, (interface, _, kind, *_) = self.sock.recvfrom(SNAPSHOT)
            except BlockingIOError:
                break
            if interface in UNTAPPED or (kind == socket.PACKET_OTHERHOST and not self.switch):
                continue
            key = read_key(data)
            if key is not None:
                (self.left if kind == socket.PACKET_OUTGOING else self.entered).setdefault(key, interface)

    def count_lost(self) -> int:
        """Packets lost since the tap was opened; reading the kernel's counter resets it, so it is added up here."""
        statistics = self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.lost += struct.unpack("II", statistics)[1]
        return self.lost


class Taps:
    """One tap per device. `switches` names the devices that bridge."""

    def __init__(self, namespaces: Mapping[str, int], *, switches: Collection[str] = ()) -> None:
        self.taps: list[Tap] = []
        try:
            for device, fd in namespaces.items():
                self.taps.append(Tap(device, packet_socket(fd), device in switches))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Tap]:
        return iter(self.taps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drain(self) -> None:
        """Read all taps."""
        for tap in self.taps:
            tap.drain()

    def clear(self) -> None:
        """Forget all sightings, also those not read yet."""
        for tap in self.taps:
            tap.drain()
            tap.entered.clear()
            tap.left.clear()

    def lost(self) -> dict[str, int]:
        """Packets lost per device, devices without loss left out."""
        return {tap.device: lost for tap in self.taps if (lost := tap.count_lost())}

    def dropped(self, key: FlowKey) -> tuple[str, str] | None:
        """Device and interface where the flow entered and out of which it never came; None without such proof.

        A destination that is the device's own address is delivered, not dropped: do not ask for those.
        """
        for tap in self.taps:
            if key in tap.entered and key not in tap.left and not tap.count_lost():
                return tap.device, tap.entered[key]
        return None

    def left(self, device: str, key: FlowKey) -> bool:
        """Whether the flow was seen leaving this device."""
        return any(key in tap.left for tap in self.taps if tap.device == device)

    def close(self) -> None:
        """Close all sockets."""
        for tap in self.taps:
            tap.sock.close()
