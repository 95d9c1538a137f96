"""Hosts, devices, interfaces, links and declared routes of a site, read from a plain Nornir inventory.

What Nornir knows of a host stays Nornir's (`hostname`, `platform`, groups, connection options); the toolkit
reads the keys `kind`, `interfaces`, `routes` and `filter` from its data. Cables are the `links` of `site.yaml`.
"""

from __future__ import annotations

from toolkit.topology.inventory import read_topology
from toolkit.topology.network import Topology
from toolkit.topology.nodes import (
    NO_FILTER,
    Address,
    Capacity,
    FilterData,
    Interface,
    Kind,
    Node,
    Ownership,
    Port,
    Prefix,
    Route,
)

__all__ = [
    "NO_FILTER",
    "Address",
    "Capacity",
    "FilterData",
    "Interface",
    "Kind",
    "Node",
    "Ownership",
    "Port",
    "Prefix",
    "Route",
    "Topology",
    "read_topology",
]
