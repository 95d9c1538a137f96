"""A plain Nornir inventory -> the topology; mistakes are answered with file, line and the valid choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import Place, SiteError
from toolkit.files import Document, validate
from toolkit.topology.network import Topology
from toolkit.topology.nodes import Interface, InterfaceData, Kind, Node, NodeData, Port, Route

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toolkit.redundancy import RedundancyGroup


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
        if (one.bridge is not None or one.trunk) and data.kind is Kind.HOST:
            raise SiteError(f"{name} is a host, so {interface} cannot be in a bridge", place=place)
        if one.trunk and (one.bridge is not None or one.addresses):
            raise SiteError(
                f"{name}:{interface} is a trunk, so it has no bridge and no addresses of its own; "
                "give a VLAN its routed interface by name, such as Vlan10",
                place=document.place(name, "data", "interfaces", interface),
            )
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
        groups=tuple(group.name for group in host.extended_groups()),
    )


def _interface(node: str, name: str, data: InterfaceData) -> Interface:
    if data.bridge is not None and data.addresses:
        return Interface(node, name, data.addresses, routes_for=data.bridge)
    return Interface(node, name, data.addresses, data.bridge, trunk=tuple(data.trunk.items()))


def _check_svi(node: str, interface: str, data: NodeData, place: Place) -> None:
    """A bridge is routed by one interface, has ports, and is not called like another one's."""
    bridge = data.interfaces[interface].bridge
    inside = {
        name: one
        for name, one in data.interfaces.items()
        if name != interface and (one.bridge == bridge or bridge in one.trunk.values())
    }
    others = [name for name, one in inside.items() if one.addresses]
    if others:
        raise SiteError(f"{node}: {interface} and {others[0]} both route for bridge {bridge!r}; one can", place=place)
    if not inside:
        raise SiteError(
            f"{node}:{interface} routes for bridge {bridge!r}, which has no port; give it one, or leave the bridge out",
            place=place,
        )
