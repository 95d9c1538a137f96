"""What a whole Junos configuration says beside the filters: the device as the inventory declares it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.platforms._junos_state import unit_of
from toolkit.platforms._vlans import numbers, svi, vlan_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from toolkit.platforms._junos_heads import Words
    from toolkit.topology import Node

STATIC_PREFERENCE: Final = 5  # what Junos gives a static route
# Interfaces whose units are no VLANs on a wire.
UNTAGGED: Final = re.compile(r"(irb|vlan|lo0|fxp0|me0|em[0-9]|vme|st0|gr-|ip-|lt-|lsq-|si-|vt-|fti)", re.ASCII)


def device_statements(node: Node) -> Iterator[Words]:
    """Name, addresses, ports and routes as the inventory declares them: a change never sends them."""
    vlans = numbers(node)
    yield ("system", "host-name", node.name)
    tagged: set[str] = set()
    for interface in node.interfaces.values():
        name, _, unit = unit_of(interface.name).rpartition(".")
        head = ("interfaces", name, "unit", unit, "family")
        if unit != "0" and not UNTAGGED.match(name):
            if name not in tagged:
                yield ("interfaces", name, "flexible-vlan-tagging")
                if interface.bridge is not None:
                    yield ("interfaces", name, "encapsulation", "extended-vlan-bridge")
            tagged.add(name)
            yield ("interfaces", name, "unit", unit, "vlan-id", unit)
        elif interface.switched:
            yield (*head, "ethernet-switching", "interface-mode", "trunk" if interface.trunk else "access")
            for bridge in interface.bridges:
                yield (*head, "ethernet-switching", "vlan", "members", _vlan(bridge))
        yield from ((*head, "inet", "address", str(address)) for address in interface.addresses)
    yield from _vlans(node, vlans, tagged)
    yield from _routes(node)


def _vlans(node: Node, vlans: Mapping[str, int], tagged: Container[str]) -> Iterator[Words]:
    """The VLANs of the bridges, and those that have a routed interface."""
    names = {number: _vlan(bridge) for bridge, number in vlans.items()}
    for bridge, number in vlans.items():
        yield ("vlans", _vlan(bridge), "description", f"bridge {bridge} of the inventory")
        yield ("vlans", _vlan(bridge), "vlan-id", str(number))
    for interface in node.interfaces.values():
        routed, unit = svi(interface.name), unit_of(interface.name)
        if interface.routes_for is not None:
            yield ("vlans", _vlan(interface.routes_for), "l3-interface", unit)
        elif routed is not None:
            if routed not in names:
                names[routed] = f"vlan{routed}"
                yield ("vlans", names[routed], "vlan-id", str(routed))
            yield ("vlans", names[routed], "l3-interface", unit)
        elif interface.bridge is not None and unit.rpartition(".")[0] in tagged:
            yield ("vlans", _vlan(interface.bridge), "interface", unit)


def _vlan(bridge: str) -> str:
    """A bridge's name as that of a VLAN, which is no number."""
    name = vlan_name(bridge)
    return f"vlan{name}" if name[:1].isdigit() else name


def _routes(node: Node) -> Iterator[Words]:
    """Static routes; a metric becomes a preference, of which only the order counts."""
    order = {metric: number for number, metric in enumerate(sorted({route.metric for route in node.routes}))}
    for route in node.routes:
        static = ("routing-options", "static", "route", str(route.prefix))
        if order[route.metric] == 0:
            yield (*static, "next-hop", str(route.via))
        else:
            preference = str(STATIC_PREFERENCE + order[route.metric])
            yield (*static, "qualified-next-hop", str(route.via), "preference", preference)
