"""Every equal-cost path of a flow over the declared topology, and so its enforcement points.

A path is found as the packet would find it: connected subnets first, then the longest declared prefix with the
lowest metric, all next hops of it in parallel; between two routed interfaces it takes every shortest way over the
switches of their segment. Under a failure, routes whose next hop cannot be reached are withdrawn, and virtual
addresses are where the redundancy groups put them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.errors import NoPathError, SiteError
from toolkit.paths.attachment import Attachments, moved
from toolkit.paths.failure import HEALTHY, Failure, Remaining

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.paths.attachment import Attached
    from toolkit.topology import Interface, Node, Port, Route, Topology

MAX_PATHS = 64
EVERY_PAIR = 64  # hosts up to which each pair of them is looked at


End = tuple[str, "IPv4Address"]  # a host, and the address that leads there


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
    """Finds paths under a failure (by default, none); what it has found for a pair of hosts is kept."""

    def __init__(self, topology: Topology, failure: Failure = HEALTHY) -> None:
        self.topology = topology
        self.failure = failure
        self.remaining = Remaining(topology, failure)
        self._found: dict[tuple[str, str, IPv4Address], tuple[Path, ...]] = {}
        self._ways_found: dict[tuple[Port, Port], list[tuple[Hop, ...]]] = {}
        self._next_found: dict[tuple[str, IPv4Address], list[tuple[Interface, Interface]]] = {}
        self._alike: dict[Hashable, tuple[tuple[Path, ...], Attached]] = {}
        self._under: dict[Failure, PathFinder] = {failure: self}
        self._classes: list[tuple[tuple[End, ...], tuple[End, ...]]] = []
        self.attachments = Attachments(topology)

    def under(self, failure: Failure) -> PathFinder:
        """The finder of the same topology under a failure; kept, so that its paths are found once."""
        if failure not in self._under:
            self._under[failure] = PathFinder(self.topology, failure)
            self._under[failure].attachments = self.attachments
        return self._under[failure]

    def paths(self, source: str, destination: str, address: IPv4Address | None = None) -> tuple[Path, ...]:
        """Every equal-cost path from a host to an address of another (its first one by default).

        Raises:
            NoPathError: no route leads there, or not on every equal-cost way, or routing loops.
            SiteError: the far end is another host, or the inventory contradicts itself.
        """
        far = self.topology.node(destination)
        goal = address or (far.addresses[0] if far.addresses else None)
        if goal is None:
            raise SiteError(f"{destination} has no address, so nothing can reach it")
        key = (source, destination, goal)
        if key not in self._found:
            self._found[key] = self._like_others(source, destination, goal)
        return self._found[key]

    def _like_others(self, source: str, destination: str, goal: IPv4Address) -> tuple[Path, ...]:
        """As `_search`, found once for all pairs that are attached alike and whose own cables are whole."""
        wanted = self.attachments.pair(source, destination, goal)
        whole = all(map(self.remaining.port, self._ends(source, destination)))
        if wanted is None or not whole:
            return self._search(source, destination, goal)
        if wanted.alike not in self._alike:
            self._alike[wanted.alike] = (self._search(source, destination, goal), wanted)
        paths, found = self._alike[wanted.alike]
        return moved(paths, found, wanted, source, destination)

    def stands_for(self, sources: tuple[End, ...], destinations: tuple[End, ...]) -> None:
        """Note that a path was asked for in the name of all pairs of two classes of hosts that are attached alike."""
        self._classes.append((sources, destinations))

    def found(self) -> Iterator[tuple[str, IPv4Address, tuple[Path, ...]]]:
        """(source host, destination address, paths) of everything that was asked for so far.

        What was asked for in the name of two classes comes pair by pair; on a site of more than `EVERY_PAIR` hosts
        every one of them comes as a source and as a destination at least once.
        """
        classes, self._classes = self._classes, []
        every = len(self.topology.hosts) <= EVERY_PAIR
        senders: set[End] = set()
        goals: set[End] = set()
        for sources, destinations in classes:
            for number, one in enumerate(sources):
                others = [end for end in destinations if end[0] != one[0]]
                if not every:  # the first pair, and whoever was in no pair before
                    others = [end for end in others if number == 0 and end not in goals] or others[:1]
                    if number and one in senders:
                        continue
                senders.add(one)
                goals.update(others)
                for destination, goal in others:
                    self.paths(one[0], destination, goal)
        for (source, _, goal), paths in self._found.items():
            yield source, goal, paths

    def failing(self) -> tuple[PathFinder, ...]:
        """This finder, and those of all failures that were asked for so far."""
        return tuple(self._under.values())

    def next_hops(self, device: str, goal: IPv4Address) -> frozenset[tuple[str, IPv4Address | None]]:
        """(outgoing interface, next router) of a device for a destination; None as the router in a connected subnet.

        Raises:
            NoPathError: no route leads there.
        """
        node = self.topology.node(device)
        near = node.connected(goal)
        if near is not None and self.remaining.port(near.port):
            return frozenset({(near.name, None)})
        routes = self._routes(node, goal, device)
        return frozenset((outgoing.name, route.via) for route, ways in routes.items() for outgoing, _ in ways)

    def _search(self, source: str, destination: str, goal: IPv4Address) -> tuple[Path, ...]:
        for name in (source, destination):
            if not self.remaining.node(name):
                raise NoPathError(f"{name} is down")
        ways = self._walk(self.topology.node(source), goal, source, destination, ())
        walks = sorted({tuple(hop for hop in hops if self.topology.nodes[hop.device].enforces) for _, hops in ways})
        same = len({self.topology.segment_of[port] for port in self._ends(source, destination)}) == 1
        return tuple(Path(source, destination, hops, same) for hops in walks)

    def _ends(self, source: str, destination: str) -> Iterator[Port]:
        for name in (source, destination):
            for interface in self.topology.nodes[name].interfaces.values():
                yield interface.port

    def _walk(
        self, node: Node, goal: IPv4Address, source: str, destination: str, passed: tuple[str, ...]
    ) -> Iterator[tuple[str, tuple[Hop, ...]]]:
        """(interface it leaves by, hops after it) of a routed node, for every equal-cost way."""
        if node.name in passed:
            raise NoPathError(f"routing loop from {source} to {goal}: {' -> '.join((*passed, node.name))}")
        for outgoing, incoming in self._next(node, goal, source):
            for switches in self._switched(outgoing.port, incoming.port):
                if incoming.node == destination:
                    yield outgoing.name, switches
                    continue
                far = self.topology.nodes[incoming.node]
                if not far.is_device:
                    raise NoPathError(
                        f"the route from {source} to {goal} ends at {far.name}, a host that does not forward"
                    )
                for leaves_by, rest in self._walk(far, goal, source, destination, (*passed, node.name)):
                    yield outgoing.name, (*switches, Hop(far.name, incoming.name, leaves_by), *rest)

    def _next(self, node: Node, goal: IPv4Address, source: str) -> list[tuple[Interface, Interface]]:
        """(outgoing, next routed interface) pairs for a destination, all equal-cost ones."""
        key = (node.name, goal)
        if key not in self._next_found:
            self._next_found[key] = self._decide(node, goal, source)
        return self._next_found[key]

    def _decide(self, node: Node, goal: IPv4Address, source: str) -> list[tuple[Interface, Interface]]:
        near = node.connected(goal)
        if near is not None and self.remaining.port(near.port):
            owner = self.topology.owners.get(goal)
            if owner is None:
                raise SiteError(f"nobody owns {goal} (asked for by {source})")
            return [(near, owner)]
        return [way for ways in self._routes(node, goal, source).values() for way in ways]

    def _routes(self, node: Node, goal: IPv4Address, source: str) -> dict[Route, list[tuple[Interface, Interface]]]:
        """The routes that a node uses for a destination, each with the ways of its next hop."""
        usable = {route: ways for route in node.routes if goal in route.prefix and (ways := self._via(node, route.via))}
        if not usable:
            raise NoPathError(f"unreachable: {node.name} has no route to {goal} (asked for by {source})")
        return {route: usable[route] for route in _best(usable)}

    def _via(self, node: Node, via: IPv4Address) -> list[tuple[Interface, Interface]]:
        """(outgoing, incoming) interfaces for a next hop that answers; none where the route must be withdrawn."""
        outgoing = node.connected(via)
        if outgoing is None:
            raise SiteError(f"the next hop {via} of {node.name} is in none of its connected subnets")
        takers = self.remaining.takers(via)
        if not takers and via not in self.topology.virtual:
            raise SiteError(f"the next hop {via} of {node.name} is no address of the inventory")
        return [(outgoing, taker) for taker in takers if self._reaches(outgoing.port, taker.port)]

    def _reaches(self, start: Port, goal: Port) -> bool:
        """Whether a next hop answers; without a failure a wrong inventory is an error, and never a withdrawn route."""
        if self.failure == HEALTHY:
            return True
        if not (self.remaining.port(start) and self.remaining.port(goal)):
            return False
        return bool(self._ways(start, goal))

    def _switched(self, start: Port, goal: Port) -> list[tuple[Hop, ...]]:
        """Every shortest way over switches between two routed interfaces of one segment."""
        if self.topology.segment_of[start] != self.topology.segment_of[goal]:
            raise SiteError(f"{start[0]}:{start[1]} and {goal[0]}:{goal[1]} share a subnet but no segment")
        found = self._ways(start, goal)
        if not found:
            raise NoPathError(f"no way over the switches from {start[0]}:{start[1]} to {goal[0]}:{goal[1]}")
        return found

    def _ways(self, start: Port, goal: Port) -> list[tuple[Hop, ...]]:
        if (start, goal) not in self._ways_found:
            self._ways_found[start, goal] = self._find_ways(start, goal)
        return self._ways_found[start, goal]

    def _find_ways(self, start: Port, goal: Port) -> list[tuple[Hop, ...]]:
        if not self.remaining.port(start) or not self.remaining.port(goal):
            return []
        ways: list[tuple[Port, tuple[Hop, ...]]] = [(port, ()) for port in self._cabled(start)]
        seen: set[str] = {start[0]} if self.topology.interface(start).routes_for is not None else set()
        while ways:
            done = [hops for port, hops in ways if port == goal]
            if done:
                return done[:MAX_PATHS]
            seen |= {port[0] for port, _ in ways}
            ways = [step for port, hops in ways for step in self._over(port, hops, seen)]
        return []

    def _cabled(self, start: Port) -> Iterator[Port]:
        """Where a packet that leaves by an interface may arrive next: an SVI sends it out of its bridge's ports."""
        bridge = self.topology.interface(start).routes_for
        ports = [start] if bridge is None else self.topology.ports_of_bridge(start[0], bridge)
        for port in ports:
            if port in self.topology.peer and self.remaining.port(port):
                yield self.topology.peer[port]

    def _over(self, port: Port, hops: tuple[Hop, ...], seen: set[str]) -> Iterator[tuple[Port, tuple[Hop, ...]]]:
        bridge = self.topology.interface(port).bridge
        if bridge is None:
            return
        svi = self.topology.svi_of(port[0], bridge)
        if svi is not None:
            yield svi, (*hops, Hop(port[0], self.topology.interface(port).name, svi[1]))
        for other in self.topology.ports_of_bridge(port[0], bridge):
            peer = self.topology.peer.get(other)
            if other != port and peer is not None and peer[0] not in seen and self.remaining.port(other):
                names = (self.topology.interface(one).name for one in (port, other))  # a trunk has one for all VLANs
                yield peer, (*hops, Hop(port[0], *names))

    @cached_property
    def domains(self) -> Mapping[str, Mapping[str, tuple[IPv4Network, ...]]]:
        """Per device, the destinations that leave by each interface, under the declared routes.

        For a switch: the addresses of the hosts and routers behind each port, as far as they are declared.
        """
        return {node.name: self._domains(node) for node in self.topology.devices}

    def _domains(self, node: Node) -> dict[str, tuple[IPv4Network, ...]]:
        table: list[tuple[IPv4Network, str]] = []
        for interface in node.interfaces.values():
            if self.remaining.port(interface.port):
                table += [(address.network, interface.name) for address in interface.addresses]
        ways = {route: self._via(node, route.via) for route in node.routes}
        for route in _in_use([route for route, found in ways.items() if found]):
            table += [(route.prefix, outgoing.name) for outgoing, _ in ways[route]]
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


def _best(routes: Iterable[Route]) -> list[Route]:
    """Of the routes that hold a destination: the longest prefix, then the lowest metric."""
    ranks = {route: (-route.prefix.prefixlen, route.metric) for route in routes}
    return [route for route, rank in ranks.items() if rank == min(ranks.values())]


def _in_use(routes: Sequence[Route]) -> list[Route]:
    """Routes that no other of the same prefix stands in front of."""
    lowest: dict[IPv4Network, int] = {}
    for route in routes:
        lowest[route.prefix] = min(route.metric, lowest.get(route.prefix, route.metric))
    return [route for route in routes if route.metric == lowest[route.prefix]]
