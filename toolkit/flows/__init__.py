"""Spec + bindings -> the flow graph: who must reach whom, on what, and because of which requirement.

Flows are derived at role level first (`RoleFlow`), then between groups of endpoints (`Bundle`), and expanded to single
endpoints when something needs hosts, so that the cost of a large cluster stays with those who ask for hosts. A load
balancer splits a flow into two legs: to its virtual address, and on to the pool behind it. What the second leg looks
like on the wire is the balancer's mode:

- `snat`: from the balancer's source addresses to the server's address; the answer comes back to the balancer;
- `transparent`: from the client's own address to the server's; the server must send its answer through the balancer;
- `dsr` (direct server return): from the client's own address to the virtual address, handed over inside one segment;
  the server answers the client directly, from the virtual address.
"""

from toolkit.flows.build import build
from toolkit.flows.expand import endpoints, expand
from toolkit.flows.graph import FlowGraph
from toolkit.flows.model import (
    ANY_ROLE,
    DSR,
    LOAD_BALANCER,
    SNAT,
    TRANSPARENT,
    Bundle,
    Endpoint,
    Flow,
    RoleFlow,
    is_error_message,
)

__all__ = [
    "ANY_ROLE",
    "DSR",
    "LOAD_BALANCER",
    "SNAT",
    "TRANSPARENT",
    "Bundle",
    "Endpoint",
    "Flow",
    "FlowGraph",
    "RoleFlow",
    "build",
    "endpoints",
    "expand",
    "is_error_message",
]
