"""What a whole ASA configuration says beside the filters: the device as the inventory and its own file declare it."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Final

from toolkit.platforms._vlans import parent, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.platforms._asa_state import AsaState

HEAD: Final = "! BATFISH_FORMAT: cisco_asa"  # the language does not show at once
HARDWARE: Final = re.compile(r"[A-Za-z-]+ ?[0-9][0-9/]*(\.[0-9]+)?", re.ASCII)  # a port, and not a name for it


def device_lines(running: AsaState) -> Iterator[str]:
    """What the inventory and the device's own configuration declare beside the filter."""
    yield f"hostname {running.context.device}"
    hardware = {name: running.level(name).hardware for name in running.context.interfaces}
    shown = set(hardware.values())
    for interface in running.context.interfaces:
        level = running.level(interface)
        above = parent(hardware[interface])
        if above is not None and above not in shown:
            shown.add(above)
            yield from (f"interface {above}", " no nameif", " no security-level", " no ip address")
        if HARDWARE.fullmatch(level.hardware):
            yield f"interface {level.hardware}"
        else:
            spare = next(name for number in count() if (name := f"GigabitEthernet0/{number}") not in shown)
            shown.add(spare)
            yield from (
                f"! the port of {interface} is not recorded, this one stands in its place",
                f"interface {spare}",
            )
        number = tag(level.hardware)
        yield from (f" vlan {number}",) * (number is not None)
        yield f" nameif {running.names[interface]}"
        yield f" security-level {level.level}"
        for address in running.context.node.interfaces[interface].addresses[:1]:
            yield f" ip address {address.ip} {address.network.netmask}"
    for word, on in (("inter-interface", running.config.inter), ("intra-interface", running.config.intra)):
        yield from (f"same-security-traffic permit {word}",) * on
    if running.config.icmp:
        yield from ("class-map inspection_default", " match default-inspection-traffic")
        yield from ("policy-map global_policy", " class inspection_default", "  inspect icmp")
        yield "service-policy global_policy global"


def route_lines(running: AsaState) -> Iterator[str]:
    node = running.context.node
    order = {metric: number for number, metric in enumerate(sorted({route.metric for route in node.routes}), 1)}
    for route in node.routes:
        through = node.connected(route.via)
        if through is not None:
            where = f"{running.names[through.name]} {route.prefix.network_address} {route.prefix.netmask}"
            yield f"route {where} {route.via} {order[route.metric]}"
