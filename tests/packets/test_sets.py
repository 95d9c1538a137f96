"""Laws of packet sets over the full domains, and witnesses that can be sent."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packets.oracle import DENY, FULL_MAXIMA, FUZZ, PERMIT, PORTED, cells, full_entries, permits
from toolkit.net import EPHEMERAL, ICMP, TCP, UDP, IcmpKind, Packet, PortRange, Service
from toolkit.packets import Box, Space

SPACE = Space()
sets = full_entries.map(SPACE.acl)
many = settings(max_examples=60 * FUZZ, deadline=None)
few = settings(max_examples=15 * FUZZ, deadline=None)


@many
@given(sets, sets, sets)
def test_laws(a, b, c):
    assert ~(a & b) == ~a | ~b
    assert ~(a | b) == ~a & ~b
    assert a & (b | c) == (a & b) | (a & c)
    assert a | (b & c) == (a | b) & (a | c)
    assert ~~a == a
    assert a - b == a & ~b
    assert (a - b) | (a & b) == a
    assert (a & b).count() + (a | b).count() >= a.count()
    assert a & ~a == SPACE.empty
    assert a | ~a == SPACE.full
    assert (a <= b) == (a | b == b)
    assert a & b == b & a
    assert hash(a) == hash(a | a)


@few
@given(full_entries, full_entries)
def test_equal_exactly_when_no_cell_differs(one, other):
    differ = any(permits(one, at, FULL_MAXIMA) != permits(other, at, FULL_MAXIMA) for at in cells(one, other))
    assert (SPACE.acl(one) == SPACE.acl(other)) == (not differ)


@many
@given(full_entries, st.data())
def test_a_list_split_and_reordered_without_change_of_meaning_is_equal(entries, data):
    """Boxes are split in two, and neighbours of the same action change places."""
    changed = []
    for action, box in entries:
        low, high = box.dst
        if low < high:
            middle = data.draw(st.integers(low, high - 1))
            rest = (box.protocol, box.src, box.dport, box.sport, box.flags)
            halves = [(action, Box(rest[0], part, *rest[1:])) for part in ((low, middle), (middle + 1, high))]
            changed += halves if data.draw(st.booleans()) else halves[::-1]
        else:
            changed.append((action, box))
    for number in range(len(changed) - 1):
        if changed[number][0] is changed[number + 1][0]:
            changed[number], changed[number + 1] = changed[number + 1], changed[number]
    assert SPACE.acl(changed) == SPACE.acl(entries)


@many
@given(full_entries, sets)
def test_a_witness_is_in_the_set_and_makes_no_false_claim(entries, wish):
    packets = SPACE.acl(entries)
    packet = packets.witness()
    assert (packet is None) == packets.is_empty == (not packets)
    if packet is None:
        return
    assert packet in packets
    assert packet not in ~packets
    assert packet.protocol == TCP or not packet.established
    assert (packet.icmp is not None) == (packet.protocol == ICMP and not packet.fragment)
    if packet.fragment or packet.protocol not in PORTED:
        assert (packet.sport, packet.dport) == (0, 0)
    preferred = packets.witness([wish])
    assert preferred in packets
    assert (preferred in wish) == bool(packets & wish)


@many
@given(full_entries)
def test_boxes_cover_the_set_once(entries):
    packets = SPACE.acl(entries)
    boxes = list(packets.boxes())
    assert SPACE.union(boxes) == packets
    assert all(one.intersect(other) is None for i, one in enumerate(boxes) for other in boxes[:i])


def of(*args, **kwargs):
    return SPACE.union([Box.of(*args, **kwargs)])


NET = IPv4Network("10.1.2.0/24")
HOST = IPv4Address("10.1.2.1")


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        (SPACE.full, "tcp 1.0.0.1:1024 -> 1.0.0.1:1"),
        (of(src=NET, dst=NET), "tcp 10.1.2.1:1024 -> 10.1.2.1:1"),
        (of(Service(TCP, PortRange(443, 443)), src=NET, dst=NET), "tcp 10.1.2.1:1024 -> 10.1.2.1:443"),
        (of(Service(UDP, PortRange(53, 53)), src=NET, dst=NET), "udp 10.1.2.1:1024 -> 10.1.2.1:53"),
        (of(Service(ICMP), src=NET, dst=NET), "icmp 10.1.2.1 -> 10.1.2.1 type 8/0"),
        (of(Service(ICMP, icmp=IcmpKind(3)), src=NET, dst=NET), "icmp 10.1.2.1 -> 10.1.2.1 type 3/0"),
        (of(established=True, src=NET, dst=NET), "tcp 10.1.2.1:1024 -> 10.1.2.1:1 ACK"),
        (of(Service(TCP), sport=PortRange(22, 22), src=NET, dst=NET), "tcp 10.1.2.1:22 -> 10.1.2.1:1"),
        (of(Service(47), src=NET, dst=NET), "gre 10.1.2.1 -> 10.1.2.1"),
        (SPACE.union([Box(protocol=(TCP, TCP), flags=(2, 3))]), "tcp 1.0.0.1 -> 1.0.0.1 fragment"),
        (of(Service(UDP), dst=IPv4Network("224.0.0.18/32")), "udp 1.0.0.1:1024 -> 224.0.0.18:1"),
        (of(dst=IPv4Network("255.255.255.255/32")), "tcp 1.0.0.1:1024 -> 255.255.255.255:1"),
        (of(src=IPv4Network("0.0.0.0/32")), "tcp 0.0.0.0:1024 -> 1.0.0.1:1"),
        (of(src=IPv4Network("126.0.0.0/7")), "tcp 126.0.0.1:1024 -> 1.0.0.1:1"),
    ],
)
def test_witnesses_are_packets_that_a_host_can_send(packets, expected):
    packet = packets.witness()
    assert packet in packets
    assert str(packet) == expected


def test_preferences_are_tried_in_order():
    everything = of(src=NET, dst=NET)
    nowhere = of(src=IPv4Network("192.0.2.0/24"))
    udp, high = of(Service(UDP)), of(Service(TCP, PortRange(9000, 9999)))
    assert everything.witness([nowhere, udp, high]) == Packet(HOST, HOST, UDP, 1024, 1)
    assert everything.witness([high, udp]) == Packet(HOST, HOST, TCP, 1024, 9000)
    assert everything.witness([nowhere]) == everything.witness()
    assert SPACE.empty.witness([udp]) is None


def test_counts():
    assert SPACE.empty.count() == 0
    assert SPACE.full.count() == 2**104
    host = IPv4Network("10.0.0.1/32")
    assert of(Service(TCP, PortRange(443, 444)), src=host, dst=host, sport=EPHEMERAL).count() == 2 * (65536 - 1024)
    assert of(Service(TCP, PortRange(443, 443)), src=host, dst=host, established=True).count() == 65536


def test_the_default_decides_what_no_entry_matches():
    deny_web = [(DENY, Box.of(Service(TCP, PortRange(80, 80))))]
    assert SPACE.acl(deny_web, PERMIT) == ~of(Service(TCP, PortRange(80, 80)))
    assert SPACE.acl([]) == SPACE.empty
    assert SPACE.acl([], PERMIT) == SPACE.full


def test_sets_of_different_spaces_do_not_mix():
    with pytest.raises(ValueError, match="different spaces"):
        SPACE.full & Space().full
    assert SPACE.full != Space().full


def test_sets_are_immutable_and_readable():
    with pytest.raises(AttributeError):
        SPACE.full.node = 0
    assert repr(of(Service(TCP, PortRange(443, 443)), src=NET, dst=NET, sport=PortRange(9, 9))).endswith(
        "65536 five-tuples>"
    )
