"""Headers, log records and sightings without a network: what is read, and what is not taken for evidence."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

import pytest

from toolkit.lab.nflog import MESSAGE_PACKET, parse
from toolkit.lab.taps import Tap, Taps
from toolkit.lab.wire import FlowKey, build, checksum, read_key
from toolkit.net import ICMP, TCP, UDP, IcmpKind, Packet

A, B = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
SYN = Packet(A, B, TCP, 40000, 443)
KEY = FlowKey("10.0.0.1", "10.0.0.2", TCP, 40000, 443)


@pytest.mark.parametrize(
    ("packet", "key"),
    [
        (SYN, KEY),
        (Packet(A, B, UDP, 53, 5353), FlowKey("10.0.0.1", "10.0.0.2", UDP, 53, 5353)),
        (Packet(A, B, ICMP, icmp=IcmpKind(8, 0)), FlowKey("10.0.0.1", "10.0.0.2", ICMP, 1, 0)),
        (Packet(A, B, ICMP, icmp=IcmpKind(3, 4)), FlowKey("10.0.0.1", "10.0.0.2", ICMP, 0, 0)),
        (Packet(A, B, TCP, fragment=True), FlowKey("10.0.0.1", "10.0.0.2", TCP, 0, 0)),
        (Packet(A, B, 47), FlowKey("10.0.0.1", "10.0.0.2", 47, 0, 0)),
    ],
)
def test_what_is_built_is_read_back_with_and_without_ethernet(packet, key):
    data = build(packet, 7)
    assert read_key(data) == key
    assert read_key(b"\x02" * 12 + b"\x08\x00" + data) == key


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x60" + b"\0" * 40, b"\x02" * 12 + b"\x08\x06" + b"\0" * 28])
def test_what_is_no_ipv4_packet_has_no_key(data):
    assert read_key(data) is None


def test_checksums_verify():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071, section 3: the complement of ddf2
    for packet in (SYN, Packet(A, B, UDP, 53, 5353)):
        body = build(packet, 7)[20:]
        pseudo = A.packed + B.packed + struct.pack("!BBH", 0, packet.protocol, len(body))
        assert checksum(pseudo + body) == 0
    assert checksum(build(Packet(A, B, ICMP, icmp=IcmpKind(8, 0)), 7)[20:]) == 0


def test_the_answer_has_the_reversed_key():
    assert KEY.reverse() == FlowKey("10.0.0.2", "10.0.0.1", TCP, 443, 40000)
    assert FlowKey("a", "b", ICMP, 5, 0).reverse() == FlowKey("b", "a", ICMP, 5, 0)


def _attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _record(*attributes, kind=MESSAGE_PACKET):
    body = b"\0\0\0\7" + b"".join(attributes)
    return struct.pack("IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_every_record_of_a_datagram_is_read_and_broken_ones_are_passed_over():
    payload = _attribute(9, build(SYN, 7))
    data = (
        _record(_attribute(10, b"fw:one\0"), payload)
        + _record(_attribute(10, b"not a packet\0"), payload, kind=3)
        + _record(_attribute(10, b"no payload\0"))
        + _record(payload, _attribute(10, b"fw:two \0"))
        + _record(payload)
    )
    assert list(parse(data)) == [("fw:one", KEY), ("fw:two", KEY), ("", KEY)]
    assert list(parse(data[:20])) == []
    assert list(parse(struct.pack("IHHII", 4, MESSAGE_PACKET, 0, 0, 0))) == []


class FakeSocket:
    """Hands out (interface, packet type) sightings of the SYN, then blocks; `lost` packets did not fit."""

    def __init__(self, *seen, lost=0):
        self.seen = list(seen)
        self.lost = lost

    def recvfrom(self, _size):
        if not self.seen:
            raise BlockingIOError
        interface, kind = self.seen.pop(0)
        return build(SYN, 7), (interface, 0x0800, kind, 1, b"")

    def getsockopt(self, *_):
        lost, self.lost = self.lost, 0
        return struct.pack("II", 9, lost)


def _taps(*taps):
    found = Taps({})
    found.taps = list(taps)
    found.drain()
    return found


HOST, OTHER, OUT = 0, socket.PACKET_OTHERHOST, socket.PACKET_OUTGOING


def test_the_device_that_a_packet_entered_and_never_left_dropped_it():
    first = Tap("leaf1", FakeSocket(("eth1", OTHER), ("eth3", OUT)), switch=True)
    second = Tap("fw1", FakeSocket(("eth1", HOST)))
    taps = _taps(first, second)
    assert taps.dropped(KEY) == ("fw1", "eth1")
    assert taps.left("leaf1", KEY)
    assert not taps.left("fw1", KEY)
    assert taps.dropped(KEY.reverse()) is None


def test_a_frame_flooded_to_a_router_has_not_entered_it_and_management_is_not_watched():
    assert _taps(Tap("fw1", FakeSocket(("eth1", OTHER)))).dropped(KEY) is None
    assert _taps(Tap("leaf1", FakeSocket(("eth1", OTHER)), switch=True)).dropped(KEY) == ("leaf1", "eth1")
    assert _taps(Tap("fw1", FakeSocket(("eth0", HOST)))).dropped(KEY) is None


def test_a_tap_that_lost_packets_is_no_evidence():
    taps = _taps(Tap("fw1", FakeSocket(("eth1", HOST), lost=1)))
    assert taps.lost() == {"fw1": 1}
    assert taps.dropped(KEY) is None
    assert taps.lost() == {"fw1": 1}  # reading the kernel's counter clears it there, not here
