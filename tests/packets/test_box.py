"""What an entry matches, and how points that are no packet are kept from mattering."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from toolkit.errors import InputError
from toolkit.net import ANY_PORT, EPHEMERAL, ICMP, TCP, UDP, IcmpKind, Packet, PortRange, Service
from toolkit.packets import ESTABLISHED, FULL, NOT_FRAGMENT, Box, Space, packet_of, point

A, B = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
GRE = 47


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box.of(), Box()),
        (Box.of(Service(None)), Box()),
        (Box.of(Service(TCP)), Box(protocol=(6, 6))),
        (Box.of(Service(TCP, PortRange(443, 443))), Box(protocol=(6, 6), dport=(443, 443), flags=NOT_FRAGMENT)),
        (Box.of(Service(UDP), sport=EPHEMERAL), Box(protocol=(17, 17), sport=(1024, 65535), flags=NOT_FRAGMENT)),
        (Box.of(Service(TCP), established=True), Box(protocol=(6, 6), flags=ESTABLISHED)),
        (Box.of(established=True), Box(protocol=(6, 6), flags=ESTABLISHED)),
        (Box.of(Service(ICMP)), Box(protocol=(1, 1))),
        (Box.of(Service(ICMP, icmp=IcmpKind(8, 0))), Box(protocol=(1, 1), dport=(2048, 2048), flags=NOT_FRAGMENT)),
        (Box.of(Service(ICMP, icmp=IcmpKind(3))), Box(protocol=(1, 1), dport=(768, 1023), flags=NOT_FRAGMENT)),
        (Box.of(src=IPv4Network("10.0.0.0/24")), Box(src=(10 << 24, (10 << 24) + 255))),
        (Box.of(dst=IPv4Network("0.0.0.0/0")), Box()),
        (Box.of(dst=IPv4Network("255.255.255.255/32")), Box(dst=(2**32 - 1, 2**32 - 1))),
    ],
)
def test_box_of_an_entry(box, expected):
    assert box == expected


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Box.of(Service(UDP), established=True),
            "established looks at TCP's ACK and RST, which udp does not have",
        ),
        (lambda: Box.of(sport=EPHEMERAL), "any has no ports, but source port 1024-65535 was given"),
        (lambda: Box.of(Service(ICMP), sport=EPHEMERAL), "icmp has no ports, but source port 1024-65535 was given"),
        (lambda: Box(dport=(5, 4)), "5-4 is no interval of dport, which goes from 0 to 65535"),
        (lambda: Box(sport=(0, 65536)), "0-65536 is no interval of sport, which goes from 0 to 65535"),
        (lambda: Box(dst=(-1, 4)), "-1-4 is no interval of dst, which goes from 0 to 4294967295"),
        (lambda: Box(flags=(0, 4)), "0-4 is no interval of flags, which goes from 0 to 3"),
    ],
)
def test_impossible_boxes(build, message):
    with pytest.raises(InputError) as caught:
        build()
    assert str(caught.value) == message


def test_intersect():
    web = Box.of(Service(TCP, PortRange(80, 443)), dst=IPv4Network("10.0.0.0/24"))
    assert web.intersect(Box()) == web
    assert web.intersect(Box.of(Service(UDP))) is None
    common = web.intersect(Box.of(Service(TCP, PortRange(443, 500)), dst=IPv4Network("10.0.0.128/25")))
    assert common == Box.of(Service(TCP, PortRange(443, 443)), dst=IPv4Network("10.0.0.128/25"))


@pytest.mark.parametrize(
    "packet",
    [
        Packet(A, B, TCP, 1024, 443),
        Packet(A, B, TCP, 443, 1024, established=True),
        Packet(A, B, TCP, fragment=True),
        Packet(A, B, UDP, 53, 53),
        Packet(A, B, ICMP, icmp=IcmpKind(3, 4)),
        Packet(A, B, ICMP, fragment=True),
        Packet(A, B, GRE),
    ],
)
def test_packets_are_points_and_back(packet):
    assert packet_of(point(packet)) == packet


@pytest.mark.parametrize(
    ("claims", "plain"),
    [
        (Packet(A, B, UDP, 53, 53, established=True), Packet(A, B, UDP, 53, 53)),
        (Packet(A, B, GRE, 5, 6), Packet(A, B, GRE)),
        (Packet(A, B, TCP, 5, 6, established=True, fragment=True), Packet(A, B, TCP, fragment=True)),
        (Packet(A, B, ICMP, 5, 6, icmp=IcmpKind(8, 0)), Packet(A, B, ICMP, icmp=IcmpKind(8, 0))),
    ],
)
def test_claims_that_no_packet_can_make_are_dropped(claims, plain):
    assert point(claims) == point(plain)


UDP_53 = Box.of(Service(UDP, PortRange(53, 53)))
FRAGMENT = Packet(A, B, TCP, fragment=True)


@pytest.mark.parametrize(
    ("odd", "same_as"),
    [
        # UDP has no ACK: a box without it holds all of UDP, a box with it none.
        ([Box(protocol=(17, 17), dport=(53, 53), flags=(0, 0))], [UDP_53]),
        ([Box(protocol=(17, 17), flags=(1, 1))], []),
        # A rule that looks at ports never matches a fragment, whether or not it says so.
        ([Box(protocol=(17, 17), dport=(53, 53))], [UDP_53]),
        ([Box(protocol=(6, 6), dport=(0, 100), flags=(2, 3))], []),
        # Only one of the two fragment points means a packet.
        ([Box(protocol=(6, 6), flags=(2, 2))], [Box(protocol=(6, 6), flags=(2, 3))]),
        ([Box(flags=(3, 3))], []),
        # Only TCP has ACK, whatever protocols a box spans.
        ([Box(flags=(1, 1))], [Box.of(established=True)]),
        ([Box(flags=(0, 0)), Box.of(established=True)], [Box(flags=NOT_FRAGMENT)]),
        # GRE has no ports, ICMP no source port.
        ([Box(protocol=(47, 47), dport=(5, 5))], []),
        ([Box(protocol=(1, 1), sport=(5, 5))], []),
        (
            [Box(sport=(1024, 65535))],
            [Box.of(Service(number), sport=EPHEMERAL) for number in (TCP, UDP, 132)],
        ),
    ],
)
def test_odd_boxes_mean_the_packets_that_they_match(odd, same_as):
    space = Space()
    assert space.union(odd) == space.union(same_as)


def test_entries_without_conditions_hold_fragments_and_others_do_not():
    space = Space()
    for box, holds in (
        (Box.of(), True),
        (Box.of(Service(TCP)), True),
        (Box.of(Service(TCP), sport=ANY_PORT), True),
        (Box.of(Service(TCP, PortRange(443, 443))), False),
        (Box.of(Service(TCP), sport=EPHEMERAL), False),
        (Box.of(established=True), False),
    ):
        assert (FRAGMENT in space.union([box])) == holds, box


def test_an_ordinary_box_stays_one_box():
    space = Space()
    for box in (Box(), UDP_53, Box.of(established=True), Box.of(Service(ICMP, icmp=IcmpKind(8, 0))), Box(flags=(0, 1))):
        assert list(space.union([box]).boxes()) == [box]
    assert Box().intervals == FULL
