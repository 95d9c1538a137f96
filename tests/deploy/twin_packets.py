"""Packets for the twins to judge."""

from __future__ import annotations

from ipaddress import IPv4Address

from toolkit.net import TCP, Packet


def tcp(port: int, src: str = "10.9.9.9", dst: str = "10.0.0.5", **rest) -> Packet:
    """A first TCP packet to a server's port."""
    return Packet(IPv4Address(src), IPv4Address(dst), TCP, 40000, port, **rest)
