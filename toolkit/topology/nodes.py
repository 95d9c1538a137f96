"""What the inventory may say of a host or device, and the values that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from toolkit.files import FileModel

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    `trunk` maps the VLAN numbers of a tagged switch port to bridges; links name its VLANs as `interface.number`.
    """

    addresses: tuple[InterfaceAddress, ...] = ()
    bridge: str | None = None
    trunk: dict[Annotated[int, Field(ge=1, le=4094)], str] = Field(default_factory=dict)
    description: str = ""


class RouteData(FileModel):
    """A declared route. Of several with the same prefix the lowest metric counts; equal ones are equal-cost.

    A route whose next hop cannot be reached is taken as withdrawn: declare only next hops that are tracked.
    """

    prefix: Prefix
    via: Address
    metric: Annotated[int, Field(ge=0, le=MAX_METRIC)] = 0


Count = Annotated[int, Field(gt=0)]
Capacity = Count | dict[Literal["in", "out"], Count]


class FilterData(FileModel):
    """Whose filter the device has. `table` and `chain` say where *extend* and *jump* enter a foreign nftables ruleset.

    `fragments` says whether later fragments of permitted
    addresses follow the rule of an OS that sees no ports in them, or are denied by entries of their own.
    `override` names explicit denies of others that required flows may come before. `plain` asks for entries without
    object groups. `capacity` is the number of entries that the device's hardware holds, old and new together;
    `{in: 1536, out: 1024}` where each direction has its own. `port_ranges: expanded` counts every range of ports as the
    values under masks that it takes where the hardware compares none; see `toolkit.platforms._sizes`.
    """

    mode: Ownership = Ownership.OWN
    family: Literal["inet", "ip", "bridge", "netdev"] = "inet"
    table: str | None = None
    chain: str | None = None
    running: str | None = None  # file, relative to the inventory: the filter the device has today
    override: tuple[str, ...] = ()
    plain: bool = False
    fragments: Literal["follow", "deny"] = "follow"
    capacity: Capacity | None = None
    port_ranges: Literal["compared", "expanded"] = "compared"


NO_FILTER = FilterData()


class NodeData(FileModel):
    """The toolkit's keys in the data of a Nornir host."""

    kind: Kind
    interfaces: dict[str, InterfaceData] = Field(default_factory=dict)
    routes: tuple[RouteData, ...] = ()
    filter: FilterData = NO_FILTER


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a node: `bridge` names what a switch port is in, `routes_for` what an SVI routes for.

    `trunk` has the (VLAN number, bridge) pairs of a tagged switch port.
    """

    node: str
    name: str
    addresses: tuple[IPv4Interface, ...] = ()
    bridge: str | None = None
    routes_for: str | None = None
    trunk: tuple[tuple[int, str], ...] = ()

    @property
    def switched(self) -> bool:
        """Whether it is a layer-2 port."""
        return bool(self.bridges)

    @property
    def bridges(self) -> tuple[str, ...]:
        """Bridges that it is a port of: one, or those of a trunk's VLANs."""
        return (self.bridge,) if self.bridge is not None else tuple(bridge for _, bridge in self.trunk)

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
    groups: tuple[str, ...] = ()  # of Nornir's inventory, those that its groups belong to included

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
        """VLAN number of each bridge, as far as the number of an SVI or a trunk tells it."""
        tagged = {bridge: vlan for one in self.interfaces.values() for vlan, bridge in one.trunk}
        return tagged | {one.routes_for or "": one.vlan for one in self.interfaces.values() if one.vlan is not None}

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
