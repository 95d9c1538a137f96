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
from toolkit.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms.base import DeviceContext
    from toolkit.topology import Interface

LOGICAL: Final = ("Vlan", "Loopback", "Tunnel", "Port-channel", "BDI", "BVI", "mgmt", "Management")


def whole_config(dialect: Dialect, config: Config, context: DeviceContext) -> str:
    """The text: groups and lists first, then every interface with its addresses and its list, then routes."""
    lists = write_config(dialect, Config(config.acls, config.groups), {})
    lines = [f"!RANCID-CONTENT-TYPE: {dialect.vendor}", "!", f"hostname {context.device}", "!"]
    vlans = sorted(context.node.vlans.values())
    if vlans:
        lines += [dialect.svi_feature, "!"] if dialect.svi_feature else []
        lines += [line for number in vlans for line in (f"vlan {number}", "!")]
    ending = [*_interfaces(dialect, config, context), *_routes(dialect, context)]
    if dialect.ends:
        ending.append("end")
    return "".join(f"{line}\n" for line in lines) + lists + "".join(f"{line}\n" for line in ending)


def _interfaces(dialect: Dialect, config: Config, context: DeviceContext) -> Iterator[str]:
    for name, interface in context.node.interfaces.items():
        yield f"interface {name}"
        for line in _body(dialect, context, interface):
            yield f"{dialect.indent}{line}"
        for direction in Direction:
            bound = config.bindings.get((interface_key(name), direction))
            if bound is not None:
                yield f"{dialect.indent}{dialect.bind_line(bound, direction)}"
        yield "!"


def _body(dialect: Dialect, context: DeviceContext, interface: Interface) -> Iterator[str]:
    if interface.bridge is not None:
        yield f"description port of {remark_text(interface.bridge)}"
        yield "switchport"
        if interface.bridge in context.node.vlans:
            yield f"switchport access vlan {context.node.vlans[interface.bridge]}"
    elif (dialect.prefixes or context.node.kind is Kind.SWITCH) and not interface_key(interface.name).startswith(
        LOGICAL
    ):
        yield "no switchport"
    for number, address in enumerate(interface.addresses):
        text = str(address) if dialect.prefixes else f"{address.ip} {address.network.netmask}"
        yield f"ip address {text}{' secondary' if number else ''}"
    yield "no shutdown"


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
