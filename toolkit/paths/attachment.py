"""Hosts that are attached alike: their paths differ in nothing but the switch port, and are found once for all.

Two hosts are alike when each has one cable, to the same bridge, in the same subnets and with the same routes, and when
no declared prefix tells their addresses apart.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.paths.finder import Hop, Path
    from toolkit.topology import Port, Topology


class Attached(NamedTuple):
    """A pair of hosts: `alike` is equal for all pairs that are attached alike; their switch ports."""

    alike: Hashable
    source: Port
    destination: Port


class Attachments:
    """How the hosts of a topology are attached."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._hosts: dict[str, tuple[int, Port] | None] = {}
        self._classes: dict[Hashable, int] = {}
        self._known: dict[IPv4Address, int] = {}

    def pair(self, source: str, destination: str, goal: IPv4Address) -> Attached | None:
        """A pair and its goal, None where the pair is like no other.

        A goal that is not the destination's own is where its routes go through the destination: that is nobody else's.
        """
        start, end = self._host(source), self._host(destination)
        if start is None or end is None:
            return None
        owner = self.topology.owners.get(goal)
        if owner is None or owner.node != destination:
            return None
        return Attached((start[0], end[0], self._seen_as(goal)), start[1], end[1])

    def place(self, host: str, goal: IPv4Address) -> tuple[Hashable, Port | None]:
        """What is equal for all hosts that are attached like this one and reached in the same way, and its switch port.

        A host that is like no other has a value of its own, and no switch port.
        """
        attached, owner = self._host(host), self.topology.owners.get(goal)
        if attached is None or owner is None or owner.node != host:
            return (host, goal), None
        return (attached[0], self._seen_as(goal)), attached[1]

    def _host(self, name: str) -> tuple[int, Port] | None:
        if name not in self._hosts:
            self._hosts[name] = self._attach(name)
        return self._hosts[name]

    def _attach(self, name: str) -> tuple[int, Port] | None:
        node = self.topology.nodes[name]
        interfaces = list(node.interfaces.values())
        port = self.topology.peer.get(interfaces[0].port) if len(interfaces) == 1 else None
        if port is None or self.topology.interface(port).bridge is None:
            return None
        networks = frozenset(address.network for address in interfaces[0].addresses)
        found = self.topology.interface(port)
        return self._number((port[0], found.bridge, node.routes, networks)), found.port

    def _seen_as(self, address: IPv4Address) -> int:
        """A number for the known prefixes that hold an address: routers tell destinations apart by nothing else."""
        if address not in self._known:
            held = tuple(n for n, prefix in enumerate(self._prefixes) if address in prefix)
            self._known[address] = self._number(held)
        return self._known[address]

    def _number(self, what: Hashable) -> int:
        return self._classes.setdefault(what, len(self._classes))

    @cached_property
    def _prefixes(self) -> tuple[IPv4Network, ...]:
        routes = [route.prefix for node in self.topology.nodes.values() for route in node.routes]
        subnets = [address.network for one in self.topology.interfaces() for address in one.addresses]
        return tuple(dict.fromkeys((*routes, *subnets)))


def moved(
    paths: tuple[Path, ...], found: Attached, wanted: Attached, source: str, destination: str
) -> tuple[Path, ...]:
    """The paths of one pair for another that is attached alike."""
    return tuple(
        replace(path, source=source, destination=destination, hops=_moved(path.hops, found, wanted)) for path in paths
    )


def _moved(hops: tuple[Hop, ...], found: Attached, wanted: Attached) -> tuple[Hop, ...]:
    new = list(hops)
    if new and (new[0].device, new[0].in_interface) == found.source:
        new[0] = replace(new[0], in_interface=wanted.source[1])
    if new and (new[-1].device, new[-1].out_interface) == found.destination:
        new[-1] = replace(new[-1], out_interface=wanted.destination[1])
    return tuple(new)
