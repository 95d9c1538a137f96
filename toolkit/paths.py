"""Every equal-cost path of a flow over the declared topology, and so its enforcement points.

A path is found as the packet would find it: connected subnets first, then the longest declared prefix, all
next hops of the same prefix in parallel; between two routed interfaces it takes every shortest way over
the switches of their segment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.errors import SiteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.topology import Interface, Node, Port, Topology

MAX_PATHS = 64


@dataclass(frozen=True, slots=True, order=True)
class Hop:
    """A device on a path, with the interfaces that the packet enters and leaves by."""

    device: str
    in_interface: str
    out_interface: str


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """One way from a host to another, over devices."""

    source: str
    destination: str
    hops: tuple[Hop, ...]
    same_segment: bool = False


class PathFinder:
    """Finds paths; what it has found for a pair of hosts is kept."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._found: dict[tuple[str, str, IPv4Address], tuple[Path, ...]] = {}

    def paths(self, source: str, destination: str, address: IPv4Address | None = None) -> tuple[Path, ...]:
        """Every equal-cost path from a host to an address of another (its first one by default).

        Raises:
            SiteError: no route leads there, routing loops, or the far end is another host.
        """
        far = self.topology.node(destination)
        goal = address or (far.addresses[0] if far.addresses else None)
        if goal is None:
            raise SiteError(f"{destination} has no address, so nothing can reach it")
        key = (source, destination, goal)
        if key not in self._found:
            walks = sorted({hops for _, hops in self._walk(self.topology.node(source), goal, source, destination, ())})
            same = len({self.topology.segment_of[port] for port in self._ends(source, destination)}) == 1
            self._found[key] = tuple(Path(source, destination, hops, same) for hops in walks)
        return self._found[key]

    def _ends(self, source: str, destination: str) -> Iterator[Port]:
        for name in (source, destination):
            for interface in self.topology.nodes[name].interfaces.values():
                yield interface.port

    def _walk(
        self, node: Node, goal: IPv4Address, source: str, destination: str, passed: tuple[str, ...]
    ) -> Iterator[tuple[str, tuple[Hop, ...]]]:
        """(interface it leaves by, hops after it) of a routed node, for every equal-cost way."""
        if node.name in passed:
            raise SiteError(f"routing loop from {source} to {goal}: {' -> '.join((*passed, node.name))}")
        for outgoing, incoming in self._next(node, goal, source):
            for switches in self._switched(outgoing.port, incoming.port):
                if incoming.node == destination:
                    yield outgoing.name, switches
                    continue
                far = self.topology.nodes[incoming.node]
                if not far.is_device:
                    raise SiteError(
                        f"the route from {source} to {goal} ends at {far.name}, a host that does not forward"
                    )
                for leaves_by, rest in self._walk(far, goal, source, destination, (*passed, node.name)):
                    yield outgoing.name, (*switches, Hop(far.name, incoming.name, leaves_by), *rest)

    def _next(self, node: Node, goal: IPv4Address, source: str) -> list[tuple[Interface, Interface]]:
        """(outgoing, next routed interface) pairs for a destination, all equal-cost ones."""
        owner = self.topology.owners.get(goal)
        for interface in node.interfaces.values():
            for address in interface.addresses:
                if goal in address.network:
                    if owner is None:
                        raise SiteError(f"nobody owns {goal} (asked for by {source})")
                    return [(interface, owner)]
        best = max((r.prefix.prefixlen for r in node.routes if goal in r.prefix), default=None)
        if best is None:
            raise SiteError(f"unreachable: {node.name} has no route to {goal} (asked for by {source})")
        return [self._via(node, r.via) for r in node.routes if goal in r.prefix and r.prefix.prefixlen == best]

    def _via(self, node: Node, via: IPv4Address) -> tuple[Interface, Interface]:
        owner = self.topology.owners.get(via)
        for interface in node.interfaces.values():
            if any(via in address.network for address in interface.addresses):
                if owner is None:
                    raise SiteError(f"the next hop {via} of {node.name} is no address of the inventory")
                return interface, owner
        raise SiteError(f"the next hop {via} of {node.name} is in none of its connected subnets")

    def _switched(self, start: Port, goal: Port) -> list[tuple[Hop, ...]]:
        """Every shortest way over switches between two routed interfaces of one segment."""
        if self.topology.segment_of[start] != self.topology.segment_of[goal]:
            raise SiteError(f"{start[0]}:{start[1]} and {goal[0]}:{goal[1]} share a subnet but no segment")
        if self.topology.peer.get(start) == goal:
            return [()]
        ways: list[tuple[Port, tuple[Hop, ...]]] = (
            [(self.topology.peer[start], ())] if start in self.topology.peer else []
        )
        seen: set[str] = set()
        while ways:
            done = [hops for port, hops in ways if port == goal]
            if done:
                return done[:MAX_PATHS]
            seen |= {port[0] for port, _ in ways}
            ways = [step for port, hops in ways for step in self._over(port, hops, seen)]
        raise SiteError(f"no way over the switches from {start[0]}:{start[1]} to {goal[0]}:{goal[1]}")

    def _over(self, port: Port, hops: tuple[Hop, ...], seen: set[str]) -> Iterator[tuple[Port, tuple[Hop, ...]]]:
        bridge = self.topology.interface(port).bridge
        if bridge is None:
            return
        for other in self.topology.ports_of_bridge(port[0], bridge):
            peer = self.topology.peer.get(other)
            if other != port and peer is not None and peer[0] not in seen:
                yield peer, (*hops, Hop(port[0], port[1], other[1]))

    @cached_property
    def domains(self) -> Mapping[str, Mapping[str, tuple[IPv4Network, ...]]]:
        """Per device, the destinations that leave by each interface, under the declared routes.

        For a switch: the addresses of the hosts and routers behind each port, as far as they are declared.
        """
        return {node.name: self._domains(node) for node in self.topology.devices}

    def _domains(self, node: Node) -> dict[str, tuple[IPv4Network, ...]]:
        table: list[tuple[IPv4Network, str]] = []
        for interface in node.interfaces.values():
            table += [(address.network, interface.name) for address in interface.addresses]
        table += [(route.prefix, self._via(node, route.via)[0].name) for route in node.routes]
        found: dict[str, set[IPv4Network]] = defaultdict(set)
        for prefix, name in table:
            pieces = [prefix]
            for other, _ in table:
                if other != prefix and other.subnet_of(prefix):
                    pieces = [rest for piece in pieces for rest in _without(piece, other)]
            found[name].update(pieces)
        return {name: tuple(sorted(pieces)) for name, pieces in found.items()}


def _without(prefix: IPv4Network, hole: IPv4Network) -> list[IPv4Network]:
    if not prefix.overlaps(hole):
        return [prefix]
    return list(prefix.address_exclude(hole)) if hole.subnet_of(prefix) else []
