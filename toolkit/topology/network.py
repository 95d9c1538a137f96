"""Nodes and the cables between them: segments, owners of addresses, what is redundant."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from toolkit.errors import SiteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.redundancy import RedundancyGroup
    from toolkit.topology.nodes import Interface, Node, Port


class Topology:
    """Nodes and the links between their interfaces.

    `links` holds pairs of (node, interface), each end once; `groups` the devices that stand in for each other.
    """

    def __init__(
        self, nodes: Iterable[Node], links: Iterable[tuple[Port, Port]], groups: Iterable[RedundancyGroup] = ()
    ) -> None:
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.links: tuple[tuple[Port, Port], ...] = tuple(links)
        self.groups: tuple[RedundancyGroup, ...] = tuple(groups)
        self.ends: dict[Port, Interface] = {port: one for node in self.nodes.values() for port, one in _ends(node)}
        self.peer: dict[Port, Port] = {}
        for one, other in self.links:
            self._connect(one, other)
            self._connect(other, one)
        self._check_addresses()

    @property
    def hosts(self) -> tuple[Node, ...]:
        """Nodes that only send and receive, in the order of the inventory."""
        return tuple(node for node in self.nodes.values() if not node.is_device)

    @property
    def devices(self) -> tuple[Node, ...]:
        """Nodes that forward, in the order of the inventory."""
        return tuple(node for node in self.nodes.values() if node.is_device)

    @property
    def enforcers(self) -> tuple[Node, ...]:
        """Devices that the policy is enforced on, in the order of the inventory."""
        return tuple(node for node in self.nodes.values() if node.enforces)

    def called(self, name: str) -> tuple[str, ...]:
        """The enforcing device of this name, or those of a Nornir group; none where it is neither."""
        names = [node.name for node in self.enforcers]
        return (name,) if name in names else tuple(node.name for node in self.enforcers if name in node.groups)

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            SiteError: there is none; the message lists those that exist.
        """
        if name not in self.nodes:
            raise SiteError(f"unknown host or device {name!r} (known: {', '.join(self.nodes)})")
        return self.nodes[name]

    def interface(self, port: Port) -> Interface:
        """The interface of a (node, interface) pair; of one VLAN of a trunk, the trunk as a port of its bridge."""
        return self.ends[port] if port in self.ends else self.nodes[port[0]].interfaces[port[1]]

    def ends_of(self, node: str) -> tuple[tuple[Port, Interface], ...]:
        """What cables of a node may end at."""
        return self._ends_of.get(node, ())

    @cached_property
    def _ends_of(self) -> dict[str, tuple[tuple[Port, Interface], ...]]:
        found: dict[str, list[tuple[Port, Interface]]] = defaultdict(list)
        for port, interface in self.ends.items():
            found[port[0]].append((port, interface))
        return {node: tuple(ends) for node, ends in found.items()}

    def interfaces(self) -> Iterator[Interface]:
        """Every interface of every node."""
        for node in self.nodes.values():
            yield from node.interfaces.values()

    @cached_property
    def segment_of(self) -> dict[Port, int]:
        """Broadcast domain of each interface, as a number: cables join two ends, a bridge joins its ports."""
        number: dict[Port, int] = {}
        for port in self.ends:
            if port in number:
                continue
            queue = [port]
            number[port] = mine = len(set(number.values()))
            while queue:
                for neighbour in self._same_segment(queue.pop()):
                    if neighbour not in number:
                        number[neighbour] = mine
                        queue.append(neighbour)
        return number

    @cached_property
    def owners(self) -> dict[IPv4Address, Interface]:
        """The interface that owns each address."""
        return {a.ip: interface for interface in self.interfaces() for a in interface.addresses}

    @cached_property
    def virtual(self) -> dict[IPv4Address, RedundancyGroup]:
        """The group that each virtual gateway address belongs to."""
        return {address: group for group in self.groups for address in group.virtual}

    @cached_property
    def redundant(self) -> bool:
        """Whether a second way is declared: a redundancy group, a backup route, or a ring of switches."""
        return bool(self.groups) or self._backup_routes() or self._rings()

    def _backup_routes(self) -> bool:
        metrics: dict[tuple[str, IPv4Network], set[int]] = defaultdict(set)
        for node in self.nodes.values():
            for route in node.routes:
                metrics[node.name, route.prefix].add(route.metric)
        return any(len(found) > 1 for found in metrics.values())

    def _rings(self) -> bool:
        """A segment whose bridges have as many cables between them as there are bridges is no tree."""
        excess: dict[int, int] = defaultdict(int)
        for ports in self._bridges.values():
            excess[self.segment_of[ports[0]]] -= 1
        for one, other in self.links:
            if self.interface(one).bridge is not None and self.interface(other).bridge is not None:
                excess[self.segment_of[one]] += 1
        return any(count >= 0 for count in excess.values())

    def ports_of_bridge(self, device: str, bridge: str) -> tuple[Port, ...]:
        """Ports of a bridge, in the order of the inventory."""
        return self._bridges[device, bridge]

    @cached_property
    def _bridges(self) -> dict[tuple[str, str], tuple[Port, ...]]:
        ports: dict[tuple[str, str], list[Port]] = defaultdict(list)
        for port, interface in self.ends.items():
            if interface.bridge is not None:
                ports[interface.node, interface.bridge].append(port)
        return {key: tuple(value) for key, value in ports.items()}

    def svi_of(self, device: str, bridge: str) -> Port | None:
        """The routed interface of a bridge, None where the device only switches there."""
        return self._svis.get((device, bridge))

    @cached_property
    def _svis(self) -> dict[tuple[str, str], Port]:
        return {(one.node, one.routes_for): one.port for one in self.interfaces() if one.routes_for is not None}

    def _same_segment(self, port: Port) -> Iterator[Port]:
        if port in self.peer:
            yield self.peer[port]
        interface = self.interface(port)
        bridge = interface.bridge or interface.routes_for
        if bridge is not None:
            yield from self.ports_of_bridge(port[0], bridge)
            svi = self.svi_of(port[0], bridge)
            if svi is not None:
                yield svi

    def _connect(self, end: Port, other: Port) -> None:
        if end[0] not in self.nodes:
            raise SiteError(f"link {_link(end, other)}: unknown node {end[0]!r} (known: {', '.join(self.nodes)})")
        if end not in self.ends:
            names = ", ".join(port[1] for port, _ in self.ends_of(end[0])) or "none"
            raise SiteError(f"link {_link(end, other)}: {end[0]} has no interface {end[1]!r} (its interfaces: {names})")
        if self.interface(end).routes_for is not None:
            raise SiteError(
                f"link {_link(end, other)}: {_name(end)} is the routed interface of bridge "
                f"{self.interface(end).routes_for!r} and takes no cable; link a port of the bridge"
            )
        if end in self.peer:
            raise SiteError(f"link {_link(end, other)}: {end[0]}:{end[1]} is already linked to {_name(self.peer[end])}")
        self.peer[end] = other

    def _check_addresses(self) -> None:
        """Each address once, and no two segments with overlapping subnets: routing would be a guess."""
        seen: dict[IPv4Address, Interface] = {}
        subnets: dict[IPv4Network, tuple[int, Port]] = {}
        for interface in self.interfaces():
            for address in interface.addresses:
                if address.ip in seen:
                    other = seen[address.ip]
                    raise SiteError(
                        f"address {address.ip} stands twice: on {_name(other.port)} and on {_name(interface.port)}"
                    )
                seen[address.ip] = interface
                segment = self.segment_of[interface.port]
                known = subnets.setdefault(address.network, (segment, interface.port))
                if known[0] != segment:
                    raise SiteError(
                        f"subnet {address.network} overlaps itself: {_name(known[1])} and {_name(interface.port)} "
                        "are on different segments"
                    )
        ordered = sorted(subnets)
        for lower, upper in pairwise(ordered):
            if lower.overlaps(upper):
                raise SiteError(
                    f"subnets overlap: {lower} ({_name(subnets[lower][1])}) and {upper} ({_name(subnets[upper][1])})"
                )


def _ends(node: Node) -> Iterator[tuple[Port, Interface]]:
    """What cables may end at: interfaces, and each VLAN of a trunk by itself."""
    for one in node.interfaces.values():
        if not one.trunk:
            yield one.port, one
        for vlan, bridge in one.trunk:
            yield (node.name, f"{one.name}.{vlan}"), replace(one, bridge=bridge, trunk=())


def _name(port: Port) -> str:
    return f"{port[0]}:{port[1]}"


def _link(one: Port, other: Port) -> str:
    return f"{_name(one)} -- {_name(other)}"
