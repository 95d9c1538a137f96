"""Hosts, devices, interfaces, links and declared routes of a site, read from a plain Nornir inventory.

What Nornir knows of a host stays Nornir's (`hostname`, `platform`, groups, connection options); the toolkit
reads the keys `kind`, `interfaces`, `routes` and `filter` from its data. Cables are the `links` of `site.yaml`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from toolkit.errors import Place, SiteError
from toolkit.files import Document, FileModel, validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from toolkit.redundancy import RedundancyGroup

Port = tuple[str, str]  # (node, interface)
MAX_METRIC = 2**32 - 1  # what Linux takes


class Kind(StrEnum):
    """What a node of the topology is; only devices can enforce a policy."""

    HOST = "host"
    SWITCH = "switch"
    ROUTER = "router"
    FIREWALL = "firewall"


class Ownership(StrEnum):
    """Whose filter a device has, and so how the toolkit may change it (DESIGN, "Three ways to own")."""

    OWN = "own"
    EXTEND = "extend"
    JUMP = "jump"
    NONE = "none"  # nothing is filtered there by anybody: an access switch out of reach, a hypervisor's virtual switch


def _no_ipv6(text: Any) -> Any:
    if isinstance(text, str) and ":" in text:
        raise ValueError(
            "IPv6 is not supported: the vendor's page asks for IPv4 flows only, and a filter that "
            "half-understands IPv6 would prove less than it claims; give the IPv4 address"
        )
    return text


def _host_address(value: IPv4Interface) -> IPv4Interface:
    network = value.network
    if network.prefixlen < 31 and value.ip in (network.network_address, network.broadcast_address):  # noqa: PLR2004
        raise ValueError(f"{value} is the network or broadcast address of its subnet")
    return value


Address = Annotated[IPv4Address, BeforeValidator(_no_ipv6)]
InterfaceAddress = Annotated[IPv4Interface, BeforeValidator(_no_ipv6), AfterValidator(_host_address)]
Prefix = Annotated[IPv4Network, BeforeValidator(_no_ipv6)]


class InterfaceData(FileModel):
    """One interface in the inventory: routed with addresses, or a switch port in a named bridge.

    With both it is the routed interface of that bridge (an SVI, `Vlan10`, `irb.10`): where the switch itself routes.
    """

    addresses: tuple[InterfaceAddress, ...] = ()
    bridge: str | None = None
    description: str = ""


class RouteData(FileModel):
    """A declared route. Of several with the same prefix the lowest metric counts; equal ones are equal-cost.

    A route whose next hop cannot be reached is taken as withdrawn: declare only next hops that are tracked.
    """

    prefix: Prefix
    via: Address
    metric: Annotated[int, Field(ge=0, le=MAX_METRIC)] = 0


class FilterData(FileModel):
    """Whose filter the device has. `table` and `chain` say where *extend* and *jump* enter a foreign nftables ruleset.

    `fragments` says whether later fragments of permitted
    addresses follow the rule of an OS that sees no ports in them, or are denied by entries of their own.
    `override` names explicit denies of others that required flows may come before. `plain` asks for entries without
    object groups. `capacity` is the number of entries that the device's hardware holds, old and new together.
    """

    mode: Ownership = Ownership.OWN
    family: Literal["inet", "ip", "bridge", "netdev"] = "inet"
    table: str | None = None
    chain: str | None = None
    running: str | None = None  # file, relative to the inventory: the filter the device has today
    override: tuple[str, ...] = ()
    plain: bool = False
    fragments: Literal["follow", "deny"] = "follow"
    capacity: Annotated[int, Field(gt=0)] | None = None


NO_FILTER = FilterData()


class NodeData(FileModel):
    """The toolkit's keys in the data of a Nornir host."""

    kind: Kind
    interfaces: dict[str, InterfaceData] = Field(default_factory=dict)
    routes: tuple[RouteData, ...] = ()
    filter: FilterData = NO_FILTER


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a node: `bridge` names what a switch port is in, `routes_for` what an SVI routes for."""

    node: str
    name: str
    addresses: tuple[IPv4Interface, ...] = ()
    bridge: str | None = None
    routes_for: str | None = None

    @property
    def vlan(self) -> int | None:
        """The number at the end of an SVI's name (`Vlan10`, `irb.10`), None where it has none or is no SVI."""
        found = re.search(r"\d+$", self.name) if self.routes_for is not None else None
        return int(found[0]) if found else None

    @property
    def port(self) -> Port:
        """(node, interface)."""
        return self.node, self.name


@dataclass(frozen=True, slots=True)
class Route:
    """A declared route."""

    prefix: IPv4Network
    via: IPv4Address
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A host or a device."""

    name: str
    kind: Kind
    interfaces: Mapping[str, Interface]
    routes: tuple[Route, ...] = ()
    platform: str | None = None
    management: str | None = None
    filter: FilterData = NO_FILTER

    @property
    def is_device(self) -> bool:
        """Whether it forwards traffic of others, and so can enforce a policy."""
        return self.kind is not Kind.HOST

    @property
    def enforces(self) -> bool:
        """Whether the policy is enforced on it; a device with `filter.mode: none` only forwards."""
        return self.is_device and self.filter.mode is not Ownership.NONE

    @property
    def vlans(self) -> dict[str, int]:
        """VLAN number of each bridge that an SVI with a number routes for."""
        return {one.routes_for or "": one.vlan for one in self.interfaces.values() if one.vlan is not None}

    @property
    def stateful(self) -> bool:
        """Whether it tracks connections: firewalls do, switches and routers do not."""
        return self.kind is Kind.FIREWALL

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All addresses of its interfaces, in the order of the inventory."""
        return tuple(a.ip for interface in self.interfaces.values() for a in interface.addresses)

    def connected(self, address: IPv4Address) -> Interface | None:
        """The interface whose subnet holds an address, None where the address is behind a router."""
        found = (i for i in self.interfaces.values() if any(address in a.network for a in i.addresses))
        return next(found, None)


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

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            SiteError: there is none; the message lists those that exist.
        """
        if name not in self.nodes:
            raise SiteError(f"unknown host or device {name!r} (known: {', '.join(self.nodes)})")
        return self.nodes[name]

    def interface(self, port: Port) -> Interface:
        """The interface of a (node, interface) pair."""
        return self.nodes[port[0]].interfaces[port[1]]

    def interfaces(self) -> Iterator[Interface]:
        """Every interface of every node."""
        for node in self.nodes.values():
            yield from node.interfaces.values()

    @cached_property
    def segment_of(self) -> dict[Port, int]:
        """Broadcast domain of each interface, as a number: cables join two ends, a bridge joins its ports."""
        number: dict[Port, int] = {}
        for interface in self.interfaces():
            if interface.port in number:
                continue
            queue = [interface.port]
            number[interface.port] = mine = len(set(number.values()))
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
        for interface in self.interfaces():
            if interface.bridge is not None:
                ports[interface.node, interface.bridge].append(interface.port)
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
        if end[1] not in self.nodes[end[0]].interfaces:
            names = ", ".join(self.nodes[end[0]].interfaces) or "none"
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


def read_topology(folder: Path, links: Iterable[tuple[Port, Port]], groups: Iterable[RedundancyGroup] = ()) -> Topology:
    """Read `hosts.yaml`, `groups.yaml` and `defaults.yaml` of a Nornir SimpleInventory.

    Nornir resolves the inheritance of groups and defaults; the toolkit's own keys are then validated
    with the file and line of the host that has them.

    Raises:
        SiteError: with file, line and the valid choices.
    """
    from toolkit.files import read_document

    for name in ("hosts.yaml", "groups.yaml", "defaults.yaml"):
        if name == "hosts.yaml" or (folder / name).exists():
            read_document(folder / name, error=SiteError)  # Nornir would fail on these without a line
    document = read_document(folder / "hosts.yaml", error=SiteError)
    if not isinstance(document.data, dict) or not document.data:
        raise SiteError("holds no hosts", place=Place(document.file))
    return Topology([_node(name, host, document) for name, host in _nornir_hosts(folder).items()], links, groups)


def _nornir_hosts(folder: Path) -> dict[str, Any]:
    from nornir.plugins.inventory.simple import SimpleInventory

    try:
        inventory = SimpleInventory(
            host_file=str(folder / "hosts.yaml"),
            group_file=str(folder / "groups.yaml"),
            defaults_file=str(folder / "defaults.yaml"),
        ).load()
    except KeyError as caught:
        raise SiteError(f"unknown group {caught} (see groups.yaml)", place=Place(str(folder / "hosts.yaml"))) from None
    except (TypeError, AttributeError, ValueError) as caught:
        raise SiteError(f"no Nornir inventory: {caught}", place=Place(str(folder / "hosts.yaml"))) from None
    return dict(inventory.hosts)


def _node(name: str, host: Any, document: Document) -> Node:
    keys = tuple(NodeData.model_fields)
    merged = {key: host[key] for key in host if key in keys}
    own = document.data[name].get("data") or {} if isinstance(document.data[name], dict) else {}
    unknown = {key: value for key, value in own.items() if key not in keys and not key.startswith("x-")}
    data = validate(document, NodeData, {**unknown, **merged}, (name, "data"), error=SiteError)
    place = document.place(name, "data", "interfaces")
    if data.kind is not Kind.HOST and not data.interfaces:
        raise SiteError(f"device {name} has no interfaces, so nothing can be enforced on it", place=place)
    for interface, one in data.interfaces.items():
        if one.bridge is not None and data.kind is Kind.HOST:
            raise SiteError(f"{name} is a host, so {interface} cannot be in a bridge", place=place)
        if one.bridge is not None and one.addresses:
            _check_svi(name, interface, data, document.place(name, "data", "interfaces", interface))
    return Node(
        name=name,
        kind=data.kind,
        interfaces={key: _interface(name, key, value) for key, value in data.interfaces.items()},
        routes=tuple(Route(route.prefix, route.via, route.metric) for route in data.routes),
        platform=host.platform,
        management=host.hostname,
        filter=data.filter,
    )


def _interface(node: str, name: str, data: InterfaceData) -> Interface:
    if data.bridge is not None and data.addresses:
        return Interface(node, name, data.addresses, routes_for=data.bridge)
    return Interface(node, name, data.addresses, data.bridge)


def _check_svi(node: str, interface: str, data: NodeData, place: Place) -> None:
    """A bridge is routed by one interface, has ports, and is not called like another one's."""
    bridge = data.interfaces[interface].bridge
    inside = {name: one for name, one in data.interfaces.items() if one.bridge == bridge and name != interface}
    others = [name for name, one in inside.items() if one.addresses]
    if others:
        raise SiteError(f"{node}: {interface} and {others[0]} both route for bridge {bridge!r}; one can", place=place)
    if not inside:
        raise SiteError(
            f"{node}:{interface} routes for bridge {bridge!r}, which has no port; give it one, or leave the bridge out",
            place=place,
        )


def _name(port: Port) -> str:
    return f"{port[0]}:{port[1]}"


def _link(one: Port, other: Port) -> str:
    return f"{_name(one)} -- {_name(other)}"
