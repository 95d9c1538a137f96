"""Tables of flows with the page line of each, as HTML for Jupyter and as rows for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.report.choice import EVERYTHING, Choice, choose_flows, choose_role_flows
from toolkit.report.templating import render

if TYPE_CHECKING:
    from toolkit.flows import FlowGraph
    from toolkit.net import Service
    from toolkit.site import Site


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow with one of the requirements that ask for it; `lines` count in `document`."""

    source: str
    destination: str
    service: str
    requirement: str
    document: str
    lines: tuple[int, ...]
    purpose: str
    condition: str


@dataclass(frozen=True, slots=True)
class FlowTable:
    """Flows, one row per flow and requirement."""

    title: str
    rows: tuple[FlowRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        return render("flow_table.html.j2", table=self)


def roles_table(graph: FlowGraph, choice: Choice = EVERYTHING) -> FlowTable:
    """Flows between roles.

    Raises:
        InputError: a choice that the site does not have.
    """
    found = [
        _row(graph.site, flow.source, flow.destination, flow.service, flow.requirement)
        for flow in choose_role_flows(graph, choice)
    ]
    return FlowTable(f"Flows between roles ({choice})", tuple(dict.fromkeys(found)))


def hosts_table(graph: FlowGraph, choice: Choice = EVERYTHING) -> FlowTable:
    """Flows between hosts.

    Raises:
        InputError: a choice that the site does not have.
    """
    found = [
        _row(graph.site, flow.source.name, flow.destination.name, flow.service, requirement)
        for flow in choose_flows(graph, choice)
        for requirement in flow.requirements
    ]
    return FlowTable(f"Flows between hosts ({choice})", tuple(dict.fromkeys(found)))


def _row(site: Site, source: str, destination: str, service: Service, requirement: str) -> FlowRow:
    spec, one = next((spec, one) for spec, one in site.requirements() if one.id == requirement)
    return FlowRow(
        source, destination, str(service), requirement, spec.name, one.lines, one.purpose, one.condition or "always"
    )
