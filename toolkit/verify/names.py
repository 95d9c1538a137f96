"""Packets in the words of a site: hosts instead of addresses, lines instead of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.net import protocol_name
from toolkit.packets import FULL

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from toolkit.net import Packet
    from toolkit.packets import Interval, PacketSet
    from toolkit.site import Site


class Names:
    """Names of a site's addresses, for people: the host, or the role whose prefix holds the address."""

    def __init__(self, site: Site) -> None:
        self.hosts = {address: node.name for node in site.topology.nodes.values() for address in node.addresses}
        self.prefixes = sorted(
            ((prefix, role) for role, binding in site.file.bindings.items() for prefix in binding.prefixes),
            key=lambda one: -one[0].prefixlen,
        )

    def of(self, address: IPv4Address) -> str:
        """The name of an address; empty where the site has none for it."""
        if address in self.hosts:
            return self.hosts[address]
        return next((role for prefix, role in self.prefixes if address in prefix), "")

    def packet(self, packet: Packet) -> str:
        """A packet with the names of its ends."""
        ends = " -> ".join(self.of(address) or "unknown" for address in (packet.src, packet.dst))
        return f"{packet} ({ends})"

    def summary(self, packets: PacketSet) -> list[str]:
        """Packets between hosts of the site as lines such as `node1, node2 -> smtp1: tcp 80, 587`."""
        found: dict[tuple[str, str], dict[str, list[Interval]]] = {}
        for box in packets.boxes():
            ends = (self._within(box.src), self._within(box.dst))
            for protocol in range(box.protocol[0], box.protocol[1] + 1):
                found.setdefault(ends, {}).setdefault(protocol_name(protocol), []).append(box.dport)
        rows: dict[tuple[str, str], list[str]] = {}  # (destination, services) -> sources
        for (source, destination), services in found.items():
            text = ", ".join(f"{name} {ports_text(name, spans)}".strip() for name, spans in services.items())
            rows.setdefault((destination, text), []).append(source)
        return [f"{', '.join(dict.fromkeys(sources))} -> {there}: {text}" for (there, text), sources in rows.items()]

    def _within(self, interval: Interval) -> str:
        names = [name for address, name in self.hosts.items() if interval[0] <= int(address) <= interval[1]]
        return ", ".join(dict.fromkeys(names)) or "other addresses"


def ports_text(protocol: str, spans: list[Interval]) -> str:
    """Ports of one protocol, joined where they touch; ICMP as type/code; nothing where they are all."""
    joined: list[Interval] = []
    for low, high in sorted(set(spans)):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    if joined == [FULL[3]]:
        return ""
    if protocol == "icmp":
        return ", ".join(
            f"{low >> 8}/{low & 255}" + ("" if low == high else f" to {high >> 8}/{high & 255}") for low, high in joined
        )
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in joined)
