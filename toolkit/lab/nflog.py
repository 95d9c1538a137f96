"""NFLOG: the device's own record of each packet that it dropped, with the prefix of the deciding entry.

A rule `log group 7 prefix "fw1:default-deny" counter drop` hands each packet to a netlink socket in the
device's namespace (linux/netfilter/nfnetlink_log.h). One reader per group and namespace.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from toolkit.errors import LabError
from toolkit.lab.wire import FlowKey, enlarge_buffer, network, read_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP: Final = 7
NETLINK_NETFILTER: Final = 12
SUBSYSTEM_ULOG: Final = 4 << 8
MESSAGE_PACKET: Final = SUBSYSTEM_ULOG | 0
MESSAGE_CONFIG: Final = SUBSYSTEM_ULOG | 1
MESSAGE_ERROR: Final = 2  # also the acknowledgement, with error 0
REQUEST_ACK: Final = 0x1 | 0x4
CONFIG_COMMAND: Final = 1
CONFIG_MODE: Final = 2
CONFIG_TIMEOUT: Final = 4  # unit: 10 ms
BIND: Final = 1
COPY_PACKET: Final = 2
COPIED_BYTES: Final = 128
ATTRIBUTE_PAYLOAD: Final = 9
ATTRIBUTE_PREFIX: Final = 10
HEADER: Final = 16


@dataclass(slots=True)
class NflogReader:
    """Drops recorded by one device: the prefix of the first record of each flow.

    `overruns` counts how often the kernel had to throw records away; a lost record loses a confirmation
    and never makes one.
    """

    device: str
    sock: socket.socket
    drops: dict[FlowKey, str] = field(default_factory=dict)
    overruns: int = 0

    def fileno(self) -> int:
        """File descriptor to wait on."""
        return self.sock.fileno()

    def drain(self) -> None:
        """Read all records that have been queued."""
        while True:
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError as caught:
                if caught.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            for prefix, key in parse(data):
                self.drops.setdefault(key, prefix)


class Nflog:
    """One reader per device, on the same group everywhere."""

    def __init__(self, namespaces: Mapping[str, int], *, group: int = GROUP) -> None:
        self.readers: list[NflogReader] = []
        try:
            for device, fd in namespaces.items():
                self.readers.append(NflogReader(device, _open(device, fd, group)))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[NflogReader]:
        return iter(self.readers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drain(self) -> None:
        """Read all readers."""
        for reader in self.readers:
            reader.drain()

    def clear(self) -> None:
        """Forget all records, also those not read yet."""
        for reader in self.readers:
            reader.drain()
            reader.drops.clear()

    def dropped(self, key: FlowKey) -> tuple[str, str] | None:
        """Device and log prefix of the drop of this flow; None when no device recorded one."""
        for reader in self.readers:
            if key in reader.drops:
                return reader.device, reader.drops[key]
        return None

    def close(self) -> None:
        """Close all sockets; the kernel then unbinds the groups."""
        for reader in self.readers:
            reader.sock.close()


def parse(data: bytes) -> Iterator[tuple[str, FlowKey]]:
    """Prefix and flow of each packet record in one netlink datagram; records without an IPv4 packet are passed over."""
    offset = 0
    while offset + HEADER <= len(data):
        length, kind = struct.unpack_from("IH", data, offset)
        if length < HEADER:
            return
        if kind == MESSAGE_PACKET:
            found = _record(data[offset + HEADER + 4 : offset + length])
            if found is not None:
                yield found
        offset += _aligned(length)


def _record(attributes: bytes) -> tuple[str, FlowKey] | None:
    prefix, key = "", None
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("HH", attributes, offset)
        if length < 4:  # noqa: PLR2004 - an attribute's own header
            break
        value = attributes[offset + 4 : offset + length]
        if kind & 0x7FFF == ATTRIBUTE_PREFIX:
            prefix = value.rstrip(b"\0").decode(errors="replace").strip()
        elif kind & 0x7FFF == ATTRIBUTE_PAYLOAD:
            key = read_key(value)
        offset += _aligned(length)
    return None if key is None else (prefix, key)


def _open(device: str, fd: int, group: int) -> socket.socket:
    with network(fd):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    try:
        sock.bind((0, 0))
        enlarge_buffer(sock)
        _configure(sock, group, _attribute(CONFIG_COMMAND, bytes([BIND])))
        _configure(sock, group, _attribute(CONFIG_MODE, struct.pack("!IBB", COPIED_BYTES, COPY_PACKET, 0)))
        _configure(sock, group, _attribute(CONFIG_TIMEOUT, struct.pack("!I", 1)))
        sock.setblocking(False)  # noqa: FBT003 - its only argument
    except OSError as caught:
        sock.close()
        reason = "somebody reads it already" if caught.errno == errno.EBUSY else caught.strerror
        raise LabError(f"cannot read the log group {group} of {device}: {reason}") from caught
    return sock


def _configure(sock: socket.socket, group: int, attribute: bytes) -> None:
    body = struct.pack("!BBH", 0, 0, group) + attribute
    sock.send(struct.pack("IHHII", HEADER + len(body), MESSAGE_CONFIG, REQUEST_ACK, 1, 0) + body)
    while True:  # records may come between, once the group is bound
        answer = sock.recv(1 << 16)
        if struct.unpack_from("H", answer, 4)[0] == MESSAGE_ERROR:
            break
    number: int = struct.unpack_from("i", answer, HEADER)[0]
    if number:
        raise OSError(-number, os.strerror(-number))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
