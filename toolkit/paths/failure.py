"""A failure: nodes and cables that are down, and what of a topology still works then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Address

    from toolkit.redundancy import RedundancyGroup
    from toolkit.topology import Interface, Port, Topology


Part = tuple[str, str | None]  # a bridge of a node, or all its routed interfaces


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """What is down: nodes by name, links by their two ends as `Topology.links` has them."""

    nodes: tuple[str, ...] = ()
    links: tuple[tuple[Port, Port], ...] = ()

    def __str__(self) -> str:
        ends = [" -- ".join(f"{node}:{interface}" for node, interface in link) for link in self.links]
        return ", ".join((*self.nodes, *ends)) or "nothing"


HEALTHY = Failure()


def single_failures(topology: Topology) -> tuple[Failure, ...]:
    """Every node, then every link, each failed alone, in the order of the site."""
    nodes = [Failure(nodes=(name,)) for name in topology.nodes]
    cables: dict[frozenset[Port], list[tuple[Port, Port]]] = {}
    for link in topology.links:
        cables.setdefault(frozenset(_physical(topology, link)), []).append(link)
    return (*nodes, *(Failure(links=tuple(links)) for links in cables.values()))


def _physical(topology: Topology, link: tuple[Port, Port]) -> tuple[Port, Port]:
    """The cable's own ends: VLANs of one trunk share a cable, and so do the subinterfaces that they lead to."""
    tagged = any(topology.interface(port).name != port[1] for port in link)
    one, other = ((node, name.rpartition(".")[0] or name) if tagged else (node, name) for node, name in link)
    return one, other


class Remaining:
    """What still works of a topology under a failure."""

    def __init__(self, topology: Topology, failure: Failure) -> None:
        self.topology = topology
        self.failure = failure
        self._dead = frozenset(failure.nodes)
        self._joined_to: dict[str, frozenset[str]] = {}
        self._cut = frozenset(port for link in failure.links for port in link)

    def node(self, name: str) -> bool:
        """Whether a node is up."""
        return name not in self._dead

    def port(self, port: Port) -> bool:
        """Whether an interface has its link: it, its cable and the node at the other end are up."""
        if port[0] in self._dead or port in self._cut:
            return False
        bridge = self.topology.interface(port).routes_for
        if bridge is not None:  # it is up while a port of its bridge is
            return any(map(self.port, self.topology.ports_of_bridge(port[0], bridge)))
        peer = self.topology.peer.get(port)
        return peer is None or peer[0] not in self._dead

    @cached_property
    def forwarding(self) -> Mapping[str, tuple[str, ...]]:
        """Members of each redundancy group that answer for its virtual addresses, by the group's name."""
        return {group.name: group.forwarding(partial(self._count, group)) for group in self.topology.groups}

    def _count(self, group: RedundancyGroup, member: str) -> int:
        ports = {i.port for a in group.virtual if (i := self.topology.nodes[member].connected(a)) is not None}
        return sum(self.port(port) for port in ports) if self.node(member) else 0

    def takers(self, address: IPv4Address) -> tuple[Interface, ...]:
        """Interfaces that answer for an address now: its owner's, or those of a group's forwarding members."""
        group = self.topology.virtual.get(address)
        if group is None:
            owner = self.topology.owners.get(address)
            return (owner,) if owner is not None else ()
        members = self.forwarding[group.name]
        found = (self.topology.nodes[member].connected(address) for member in members)
        return tuple(interface for interface in found if interface is not None)

    def cabled(self, source: str) -> frozenset[str]:
        """Nodes that cables and devices still join to a node, whatever the routes say.

        Hosts carry nothing for others, and the bridges of one switch are strangers to each other.
        """
        if source not in self._joined_to:
            self._joined_to[source] = self._search(source) if self.node(source) else frozenset()
        return self._joined_to[source]

    def _search(self, source: str) -> frozenset[str]:
        queue = list(self._parts(source))
        seen = set(queue)
        while queue:
            part = queue.pop()
            if part[0] != source and not self.topology.nodes[part[0]].is_device:
                continue
            for other in self._joined(part):
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        return frozenset(name for name, _ in seen)

    def _parts(self, name: str) -> Iterator[Part]:
        for _, interface in self.topology.ends_of(name):
            yield name, interface.bridge

    def _joined(self, part: Part) -> Iterator[Part]:
        for port, interface in self.topology.ends_of(part[0]):
            if interface.routes_for is not None and part[1] in (None, interface.routes_for):
                yield part[0], interface.routes_for if part[1] is None else None
            peer = self.topology.peer.get(port)
            if interface.bridge == part[1] and peer is not None and self.port(port):
                yield peer[0], self.topology.interface(peer).bridge
