"""What the measuring parts of a lab share: flow keys, IPv4 headers read and written, visits to a namespace."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from toolkit.lab.namespaces import enter_network
from toolkit.net import ICMP, TCP, UDP, WITH_PORTS, IcmpKind, Packet

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_HEADER: Final = 20
ETHERNET_HEADER: Final = 14
ETHERTYPE_IPV4: Final = b"\x08\x00"
IPV4: Final = 4
FRAGMENT_OFFSET: Final = 0x1FFF
ECHO_REPLY: Final = 0
ECHO_REQUEST: Final = 8
SYN: Final = 0x02
ACK: Final = 0x10
TTL: Final = 64
SO_RCVBUFFORCE: Final = 33  # linux/asm-generic/socket.h; Python does not name it
PAYLOAD: Final = b"probe"
IP_PKTINFO: Final = 8  # linux/in.h; Python before 3.14 does not name it
PACKET_INFO: Final = struct.Struct("=I4s4s")  # struct in_pktinfo: interface, local address, address in the header
IP_RECVERR: Final = 11
FROM_ICMP: Final = 2  # SO_EE_ORIGIN_ICMP
EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")  # struct sock_extended_err; the offender's sockaddr follows


class FlowKey(NamedTuple):
    """What tells one probe from all others: addresses as dotted text, protocol number, ports.

    An ICMP echo has its identifier as `sport` and 0 as `dport`; other ICMP has 0 and 0, as has a
    non-initial fragment.
    """

    src: str
    dst: str
    protocol: int
    sport: int
    dport: int

    def reverse(self) -> FlowKey:
        """The key of the answer."""
        if self.protocol == ICMP:
            return FlowKey(self.dst, self.src, ICMP, self.sport, self.dport)
        return FlowKey(self.dst, self.src, self.protocol, self.dport, self.sport)


class Watcher(Protocol):
    """Something with a file descriptor that must be read while probes fly, so that its buffer does not overflow."""

    def fileno(self) -> int:
        """File descriptor to wait on."""

    def drain(self) -> None:
        """Read all that is there, without blocking."""


@contextmanager
def network(fd: int | None = None) -> Iterator[None]:
    """Visit a network namespace and come back, whatever happens; with None only the coming back.

    Only the calling thread moves.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if fd is not None:
            enter_network(fd)
        yield
    finally:
        try:
            enter_network(home)
        finally:
            os.close(home)


def enlarge_buffer(sock: socket.socket, size: int = 32 << 20) -> None:
    """Ask for a receive buffer of `size` bytes; without the permission for that much, the most that is allowed."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def read_key(data: bytes) -> FlowKey | None:
    """Key of the IPv4 packet that starts at `data[0]`, or behind an Ethernet header; None when there is none.

    `data` may be cut off anywhere behind the first eight bytes of the transport header.
    """
    if len(data) > ETHERNET_HEADER + MIN_HEADER and data[12:14] == ETHERTYPE_IPV4 and not _is_ipv4(data):
        data = data[ETHERNET_HEADER:]
    if not _is_ipv4(data):
        return None
    protocol = data[9]
    start = (data[0] & 15) * 4
    sport = dport = 0
    whole = len(data) >= start + 8 and not int.from_bytes(data[6:8], "big") & FRAGMENT_OFFSET
    if whole and protocol in WITH_PORTS:
        sport, dport = struct.unpack_from("!HH", data, start)
    elif whole and protocol == ICMP and data[start] in (ECHO_REPLY, ECHO_REQUEST):
        sport = int.from_bytes(data[start + 4 : start + 6], "big")
    return FlowKey(socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), protocol, sport, dport)


def _is_ipv4(data: bytes) -> bool:
    return len(data) >= MIN_HEADER and data[0] >> 4 == IPV4 and data[0] & 15 >= MIN_HEADER // 4


def icmp_error(sock: socket.socket) -> tuple[str, int, int] | None:
    """Sender, type and code of the ICMP error that a socket with IP_RECVERR met; None when it met none."""
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR) and len(data) >= EXTENDED_ERROR.size + 8:
            _, origin, icmp_type, icmp_code, *_ = EXTENDED_ERROR.unpack_from(data)
            if origin == FROM_ICMP:
                sender = socket.inet_ntoa(data[EXTENDED_ERROR.size + 4 : EXTENDED_ERROR.size + 8])
                return sender, icmp_type, icmp_code
    return None


def echo_request(identifier: int) -> bytes:
    """An ICMP echo request without IP header."""
    return _icmp(IcmpKind(ECHO_REQUEST, 0), identifier)


def build(packet: Packet, identification: int) -> bytes:
    """The bytes of a packet, header and right checksums included; `identification` is the IP header's, 1 to 65535.

    TCP has ACK set when the packet is `established`, SYN otherwise. A non-initial fragment starts at byte 8.
    """
    body = PAYLOAD.ljust(8, b"\0") if packet.fragment else _transport(packet)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        MIN_HEADER + len(body),
        identification,
        int(packet.fragment),
        TTL,
        packet.protocol,
        0,  # the kernel fills in the header's checksum
        packet.src.packed,
        packet.dst.packed,
    )
    return header + body


def _transport(packet: Packet) -> bytes:
    if packet.protocol == TCP:
        flags = ACK if packet.established else SYN
        acknowledged = 1 if packet.established else 0
        text = struct.pack("!HHIIBBHHH", packet.sport, packet.dport, 1, acknowledged, 0x50, flags, 8192, 0, 0)
        return _summed(packet, text, 16)
    if packet.protocol == UDP:
        text = struct.pack("!HHHH", packet.sport, packet.dport, 8 + len(PAYLOAD), 0) + PAYLOAD
        return _summed(packet, text, 6)
    if packet.protocol == ICMP:
        return _icmp(packet.icmp or IcmpKind(ECHO_REQUEST, 0), 1)
    if packet.protocol in WITH_PORTS:
        return struct.pack("!HHII", packet.sport, packet.dport, 0, 0)
    return PAYLOAD.ljust(8, b"\0")


def _icmp(kind: IcmpKind, identifier: int) -> bytes:
    text = struct.pack("!BBHHH", kind.type, kind.code or 0, 0, identifier, 1) + PAYLOAD
    return text[:2] + struct.pack("!H", checksum(text)) + text[4:]


def _summed(packet: Packet, text: bytes, at: int) -> bytes:
    """The segment with its checksum over the pseudo header; with a wrong one connection tracking calls it invalid."""
    pseudo = packet.src.packed + packet.dst.packed + struct.pack("!BBH", 0, packet.protocol, len(text))
    return text[:at] + struct.pack("!H", checksum(pseudo + text) or 0xFFFF) + text[at + 2 :]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
