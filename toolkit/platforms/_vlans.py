"""VLAN numbers for a whole configuration: the inventory names bridges, and a switch wants numbers as well.

No change ever sends them: a device keeps its own. They stand in a rendered file so that an analyser of configurations
sees which ports are in one segment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.topology import Node

LAST: Final = 4094
STEP: Final = 10
NAME_LIMIT: Final = 32  # characters of a VLAN's name
_SAYS: Final = re.compile(r"(?:v|vlan)?[-_ ]?0*([1-9][0-9]{0,3})", re.ASCII | re.IGNORECASE)
_UNIT: Final = re.compile(r"(.+)\.([0-9]+)", re.ASCII)
_SVI: Final = re.compile(r"(?:vl(?:an)?|irb\.|vlan\.)\s*([0-9]+)", re.ASCII | re.IGNORECASE)


def numbers(node: Node) -> Mapping[str, int]:
    """The VLAN of each bridge: that of its routed interface, or the one that its name says (`vlan20`, `VLAN0020`).

    The others are counted: 10, 20, ... in order.
    """
    bridges = list(dict.fromkeys(bridge for one in node.interfaces.values() for bridge in one.bridges))
    found = {bridge: number for bridge, number in node.vlans.items() if 0 < number <= LAST}
    for bridge in bridges:
        said = _said(bridge)
        if said is not None and said not in found.values():
            found.setdefault(bridge, said)
    taken = {*found.values(), *(number for name in node.interfaces if (number := tag(name) or svi(name)))}
    free = (number for step in range(STEP) for number in range(STEP + step, LAST + 1, STEP) if number not in taken)
    return {bridge: found[bridge] if bridge in found else next(free) for bridge in bridges}


def svi(interface: str) -> int | None:
    """The VLAN whose routed interface this is (`Vlan10`, `irb.10`), None for another kind."""
    said = _SVI.fullmatch(interface)
    return _valid(said[1]) if said else None


def parent(interface: str) -> str | None:
    """The interface that a subinterface is part of (`Ethernet1/1` of `Ethernet1/1.20`), None for another kind."""
    unit = _UNIT.fullmatch(interface)
    return unit[1] if unit else None


def tag(interface: str) -> int | None:
    """The VLAN tag of a subinterface: the inventory says no other than its number, which by convention is the tag."""
    unit = _UNIT.fullmatch(interface)
    return _valid(unit[2]) if unit else None


def vlan_name(bridge: str) -> str:
    """A bridge's name as a VLAN's name."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", bridge)[:NAME_LIMIT]


def _said(bridge: str) -> int | None:
    said = _SAYS.fullmatch(bridge)
    return _valid(said[1]) if said else None


def _valid(text: str) -> int | None:
    return int(text) if 0 < int(text) <= LAST else None
