"""A candidate as a whole configuration: what the inventory declares of the device, and what of it filters.

So a program that knows nothing of the toolkit can read it, and see the lists at their interfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.net import Direction
from toolkit.platforms._cisco_dialect import write_config
from toolkit.platforms._cisco_model import Config
from toolkit.platforms._cisco_names import interface_key
from toolkit.platforms._cisco_render import remark_text
from toolkit.platforms._vlans import numbers, parent, svi, tag, vlan_name
from toolkit.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms.base import DeviceContext
    from toolkit.topology import Interface

LOGICAL: Final = ("Vlan", "Loopback", "Tunnel", "BDI", "BVI", "mgmt", "Management")
DEFAULT_VLAN: Final = 1  # is there, and keeps its name


def whole_config(dialect: Dialect, config: Config, context: DeviceContext) -> str:
    """The text: groups and lists first, then every interface with its addresses and its list, then routes."""
    lists = write_config(dialect, Config(config.acls, config.groups), {})
    lines = [f"!RANCID-CONTENT-TYPE: {dialect.vendor}", "!", f"hostname {context.device}", "!"]
    vlans = numbers(context.node)
    lines += _vlans(dialect, context, vlans)
    ending = [*_interfaces(dialect, config, context, vlans), *_routes(dialect, context)]
    if dialect.ends:
        ending.append("end")
    return "".join(f"{line}\n" for line in lines) + lists + "".join(f"{line}\n" for line in ending)


def _vlans(dialect: Dialect, context: DeviceContext, vlans: Mapping[str, int]) -> Iterator[str]:
    """The VLANs of the bridges, and those that have a routed interface."""
    if vlans and dialect.port_default:
        yield from (dialect.port_default, "!")
    routed = [number for name in context.interfaces if (number := svi(interface_key(name))) is not None]
    if routed and dialect.svi_feature:
        yield from (dialect.svi_feature, "!")
    named = {number: bridge for bridge, number in vlans.items()}
    for number in sorted({*named, *routed} - {DEFAULT_VLAN}):
        yield f"vlan {number}"
        if number in named:
            yield f"{dialect.indent}name {vlan_name(named[number])}"
        yield "!"


def _interfaces(dialect: Dialect, config: Config, context: DeviceContext, vlans: Mapping[str, int]) -> Iterator[str]:
    shown = set(map(interface_key, context.interfaces))
    for name, interface in context.node.interfaces.items():
        above = parent(interface_key(name))
        if above is not None and above not in shown:
            shown.add(above)
            yield f"interface {_spelled(dialect, above)}"
            yield from (f"{dialect.indent}{line}" for line in (*_unswitched(dialect, context, above), "no shutdown"))
            yield "!"
        yield f"interface {_spelled(dialect, name)}"
        for line in _body(dialect, context, interface, vlans):
            yield f"{dialect.indent}{line}"
        for direction in Direction:
            bound = config.bindings.get((interface_key(name), direction))
            if bound is not None:
                yield f"{dialect.indent}{dialect.bind_line(bound, direction)}"
        yield "!"


def _spelled(dialect: Dialect, name: str) -> str:
    """An interface as a running configuration shows it; the inventory may abbreviate it (`Gi0/1`, `Po9`)."""
    key = interface_key(name)
    for common, own in dialect.kinds:
        if key.startswith(common):
            return own + key.removeprefix(common)
    return key


def _body(dialect: Dialect, context: DeviceContext, interface: Interface, vlans: Mapping[str, int]) -> Iterator[str]:
    number = tag(interface_key(interface.name))
    if interface.trunk:
        yield "switchport"
        yield "switchport mode trunk"
        yield f"switchport trunk allowed vlan {','.join(str(vlan) for vlan, _ in interface.trunk)}"
    elif interface.bridge is not None:
        yield f"description port of {remark_text(interface.bridge)}"
        yield "switchport"
        yield "switchport mode access"
        yield f"switchport access vlan {vlans[interface.bridge]}"
    elif number is not None:
        yield f"{dialect.tagging} {number}"
    else:
        yield from _unswitched(dialect, context, interface.name)
    for position, address in enumerate(interface.addresses):
        text = str(address) if dialect.prefixes else f"{address.ip} {address.network.netmask}"
        yield f"ip address {text}{' secondary' if position else ''}"
    yield "no shutdown"


def _unswitched(dialect: Dialect, context: DeviceContext, name: str) -> Iterator[str]:
    """What makes a port of a switch a routed one; a router's are so, and logical interfaces cannot be anything else."""
    if (dialect.prefixes or context.node.kind is Kind.SWITCH) and not interface_key(name).startswith(LOGICAL):
        yield "no switchport"


def _routes(dialect: Dialect, context: DeviceContext) -> Iterator[str]:
    """Static routes; a metric becomes a distance, of which only the order counts."""
    routes = context.node.routes
    order = {metric: number for number, metric in enumerate(sorted({route.metric for route in routes}), 1)}
    if routes and dialect.routing:
        yield dialect.routing
    for route in routes:
        prefix = route.prefix
        text = str(prefix) if dialect.prefixes else f"{prefix.network_address} {prefix.netmask}"
        distance = f" {order[route.metric]}" if len(order) > 1 else ""
        yield f"ip route {text} {route.via}{distance}"
    if routes:
        yield "!"
