"""The flow graph of a site: flows between roles first, between bundles and single endpoints when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.flows.expand import bundles_of
from toolkit.flows.model import Bundle, Flow, RoleFlow

if TYPE_CHECKING:
    import networkx as nx

    from toolkit.site import Site
    from toolkit.spec.model import Finding


@dataclass(frozen=True)
class FlowGraph:
    """All required flows of a site, at every level.

    Whatever must stay cheap on a large site asks for `role_flows` or `bundles`: their number depends on roles and
    services. `flows` has one for each pair of hosts and service.
    """

    site: Site
    role_flows: tuple[RoleFlow, ...]
    findings: tuple[Finding, ...] = field(default=())

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Flows between groups of endpoints; no flow is in two of them."""
        return bundles_of(self.site, self.role_flows)

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Flows between endpoints, each once, sorted; a flow of a host to itself is local and left out."""
        found = [flow for bundle in sorted(self.bundles, key=lambda one: one.rank) for flow in bundle.flows()]
        return tuple(sorted(found, key=Flow.sort_key))

    @cached_property
    def handed_over(self) -> tuple[Flow, ...]:
        """Flows to a `dsr` balancer, which others answer than whom they are sent to."""
        found = [flow for bundle in self.bundles if bundle.answerers for flow in bundle.flows()]
        return tuple(sorted(found, key=Flow.sort_key))

    @cached_property
    def graph(self) -> nx.MultiDiGraph[str]:
        """Endpoints as nodes (attributes `roles`, `prefixes`), flows as edges (attribute `flow`)."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.site.name)
        for flow in self.flows:
            for end in (flow.source, flow.destination):
                if end.name not in graph or end.towards is None:  # a host's own addresses, not what is passed on
                    graph.add_node(end.name, roles=self.site.roles_of(end.at or end.name), prefixes=end.prefixes)
            graph.add_edge(flow.source.name, flow.destination.name, flow=flow)
        return graph

    @cached_property
    def role_graph(self) -> nx.MultiDiGraph[str]:
        """Roles as nodes, role flows as edges (attribute `flow`)."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.site.name)
        for flow in self.role_flows:
            graph.add_edge(flow.source, flow.destination, flow=flow)
        return graph
