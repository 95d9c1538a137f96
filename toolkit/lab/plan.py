"""A lab to be built, as values: what its topology file says, and nothing asked of the site any more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from toolkit.errors import LabError, Place
from toolkit.flows import SNAT
from toolkit.kinds import LINUX

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.topology import Port


@dataclass(frozen=True, slots=True)
class LabNode:
    """A node of the lab. `addresses` are (interface, address/length), `bridges` (interface, bridge)."""

    name: str
    kind: str
    management: str | None
    addresses: tuple[tuple[str, str], ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    bridges: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ports: tuple[tuple[str, tuple[int, ...]], ...] = ()  # (service, its TCP ports)
    running: str | None = None
    image: str = ""
    os: str = LINUX  # kind of containerlab node
    sysctls: tuple[tuple[str, str], ...] = ()
    health: str | None = None  # a shell command that succeeds once the node is ready
    system: str | None = None  # the network OS whose twin stands here
    names: tuple[tuple[str, str], ...] = ()  # (interface in that OS's configuration, cable in the lab)

    @property
    def is_device(self) -> bool:
        """Whether it forwards."""
        return self.kind != "host"

    @property
    def address(self) -> str:
        """Its first address, without the length."""
        return self.addresses[0][1].partition("/")[0]


@dataclass(frozen=True, slots=True)
class LabBalancer:
    """A load balancer: its virtual address, the one that it speaks from, and how it passes connections on.

    `snat_clients` are addresses and prefixes that it replaces by its own although it is transparent.
    """

    name: str
    virtual: str
    source: str
    mode: str = "snat"
    snat_clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabPlan:
    """A lab to be built. `balanced` maps a port of the load balancer to the nodes behind it."""

    name: str
    management: IPv4Network
    nodes: tuple[LabNode, ...]
    links: tuple[tuple[Port, Port], ...]
    balanced: tuple[tuple[int, tuple[str, ...]], ...] = ()
    balancers: tuple[LabBalancer, ...] = ()

    @property
    def hosts(self) -> tuple[LabNode, ...]:
        """Nodes that only send and receive."""
        return tuple(node for node in self.nodes if not node.is_device)

    @property
    def devices(self) -> tuple[LabNode, ...]:
        """Nodes that forward."""
        return tuple(node for node in self.nodes if node.is_device)

    def node(self, name: str) -> LabNode:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def with_service(self, service: str) -> tuple[LabNode, ...]:
        """Nodes that run a service."""
        return tuple(node for node in self.nodes if service in node.services)


def read(path: Path) -> LabPlan:
    """Read a topology file.

    Raises:
        LabError: it is not one that `write` made.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        topology = document["topology"]
        labels = topology["defaults"]["labels"]
        balanced = json.loads(labels["toolkit.balanced"])
        modes = json.loads(labels.get("toolkit.modes", "{}"))
        return LabPlan(
            name=document["name"],
            management=IPv4Network(document["mgmt"]["ipv4-subnet"]),
            nodes=tuple(_read_node(name, body, topology) for name, body in topology["nodes"].items()),
            links=tuple((_end(link["endpoints"][0]), _end(link["endpoints"][1])) for link in topology["links"]),
            balanced=tuple((int(port), tuple(pool)) for port, pool in balanced.items()),
            balancers=tuple(
                _read_balancer(ends, modes.get(ends[0], [SNAT])) for ends in json.loads(labels["toolkit.virtual"])
            ),
        )
    except (OSError, KeyError, IndexError, AttributeError, TypeError, ValueError, yaml.YAMLError) as caught:
        raise LabError(f"no topology file of the toolkit: {caught}", place=Place(str(path))) from None


def _read_balancer(ends: list[str], mode: list[str]) -> LabBalancer:
    name, virtual, source = ends
    return LabBalancer(name, virtual, source, mode[0], tuple(mode[1:]))


def _read_node(name: str, body: dict[str, Any], topology: dict[str, Any]) -> LabNode:
    labels: dict[str, str] = body.get("labels", {})
    kind = body.get("kind", topology["defaults"]["kind"])
    sysctls = {**topology.get("kinds", {}).get(kind, {}).get("sysctls", {}), **body.get("sysctls", {})}

    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        found = []
        for text in filter(None, labels.get(key, "").split(",")):
            left, _, right = text.partition("=")
            found.append((left, right))
        return tuple(found)

    management = body.get("mgmt-ipv4")
    if management is not None:
        IPv4Address(management)
    return LabNode(
        name=name,
        kind=labels["toolkit.kind"],
        management=management,
        addresses=pairs("toolkit.addresses"),
        routes=pairs("toolkit.routes"),
        bridges=pairs("toolkit.bridges"),
        roles=tuple(filter(None, labels.get("toolkit.roles", "").split(","))),
        services=tuple(filter(None, labels.get("toolkit.services", "").split(","))),
        ports=tuple((name, tuple(map(int, filter(None, text.split("+"))))) for name, text in pairs("toolkit.ports")),
        running=labels.get("toolkit.running"),
        image=body["image"],
        os=kind,
        sysctls=tuple((key, str(value)) for key, value in sysctls.items()),
        health=body["healthcheck"]["test"][1] if "healthcheck" in body else None,
        system=labels.get("toolkit.system"),
        names=pairs("toolkit.names"),
    )


def _end(text: str) -> Port:
    node, _, interface = text.partition(":")
    return node, interface
