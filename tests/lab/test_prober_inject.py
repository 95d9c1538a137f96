"""Packets that no client would send, and what a stateful and a stateless firewall do with them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.lab.small_network import ADDRESS, inside
from toolkit.errors import LabError
from toolkit.lab.inject import observe, send_packet
from toolkit.net import ICMP, TCP, UDP, IcmpKind, Packet, Verdict

pytestmark = pytest.mark.lab
A, B = ADDRESS["a"], ADDRESS["b"]
YES, NO = Verdict.PERMITTED, Verdict.DENIED


def test_each_kind_of_packet_gets_the_verdict_of_the_rule():
    inside(_kinds)


def _kinds(lab):
    lab.load(
        [
            "ip frag-off & 0x1fff != 0 drop",
            "tcp dport 443 accept",
            "tcp sport 443 tcp flags & (ack | rst) != 0 accept",
            "udp sport 53 accept",
            "icmp type destination-unreachable icmp code 4 accept",
            "meta l4proto 47 accept",
            "ip saddr 10.77.0.1 udp dport 9 accept",
            "drop",
        ]
    )
    for packet, verdict in (
        (Packet(A, B, TCP, 40000, 443), YES),
        (Packet(A, B, TCP, 40000, 444), NO),
        (Packet(A, B, TCP, 443, 40000), NO),  # a SYN from the service port
        (Packet(A, B, TCP, 443, 40000, established=True), YES),  # a bare ACK
        (Packet(A, B, UDP, 53, 40000), YES),
        (Packet(A, B, UDP, 54, 40000), NO),
        (Packet(A, B, ICMP, icmp=IcmpKind(3, 4)), YES),
        (Packet(A, B, ICMP, icmp=IcmpKind(3, 3)), NO),
        (Packet(A, B, 47), YES),
        (Packet(A, B, 50), NO),
        (Packet(IPv4Address("10.77.0.1"), B, UDP, 1, 9), YES),  # not the sender's own address
        (Packet(A, B, UDP, 1, 9), NO),
    ):
        seen = observe(packet, lab.fds["a"], lab.fds["b"], devices=lab.devices)
        assert seen.verdict is verdict, str(packet)
        assert (seen.evidence == "fw: entered on eth1 and never left") == (verdict is NO)


def test_connection_tracking_takes_the_checksums_and_refuses_a_bare_ack_from_nowhere():
    inside(_tracked)


def _tracked(lab):
    lab.load(
        [
            "ct state invalid drop",
            "ct state new tcp flags & (fin | syn | rst | ack) == syn accept",
            "udp dport 9 accept",
            "drop",
        ]
    )
    for packet, verdict in (
        (Packet(A, B, TCP, 40001, 443), YES),
        (Packet(A, B, TCP, 40002, 443, established=True), NO),
        (Packet(A, B, UDP, 40003, 9), YES),
    ):
        assert observe(packet, lab.fds["a"], lab.fds["b"], devices=lab.devices).verdict is verdict, str(packet)


def test_without_taps_silence_is_inconclusive_and_no_route_is_an_error():
    inside(_silence)


def _silence(lab):
    lab.load(["drop"])
    assert observe(Packet(A, B, UDP, 1, 9), lab.fds["a"], lab.fds["b"], timeout=0.1).verdict is Verdict.INCONCLUSIVE
    lab.ip("a", ["route del default"])
    with pytest.raises(LabError, match=r"cannot send udp 10\.1\.0\.10:1 -> 10\.2\.0\.10:9: Network is unreachable"):
        send_packet(Packet(A, B, UDP, 1, 9), lab.fds["a"])
