"""`toolkit flows`: who must reach whom, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, print_findings, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.flows import FlowGraph

TOO_MANY_NODES = 100


@click.command()
@click.option("--roles/--hosts", "roles", default=None, help="Role names instead of hosts (default above 100 hosts).")
@inventory_option
@json_option
def flows(inventory: Path, roles: bool | None, as_json: bool) -> None:
    """Print the required flows with the requirement of each."""
    work = Work(inventory)
    graph = work.graph
    by_role = len(work.site.topology.hosts) > TOO_MANY_NODES if roles is None else roles
    rows = _role_rows(graph) if by_role else _host_rows(graph)
    if as_json:
        print_json({"flows": rows, "findings": [one.model_dump(mode="json") for one in graph.findings]})
        return
    print_table(
        ("source", "destination", "protocol", "port", "requirement"),
        [
            (
                r["source"],
                r["destination"],
                r["protocol"],
                r["port"] or "",
                ", ".join(map(work.site.citation, r["requirements"])),
            )
            for r in rows
        ],
    )
    print_findings(graph.findings)


def _host_rows(graph: FlowGraph) -> list[dict[str, Any]]:
    return [
        {
            "source": flow.source.name,
            "destination": flow.destination.name,
            "protocol": _protocol(flow.service.protocol),
            "port": flow.service.port_text,
            "requirements": list(flow.requirements),
        }
        for flow in graph.flows
    ]


def _role_rows(graph: FlowGraph) -> list[dict[str, Any]]:
    return [
        {
            "source": flow.source,
            "destination": flow.destination,
            "protocol": _protocol(flow.service.protocol),
            "port": flow.service.port_text,
            "requirements": [flow.requirement],
        }
        for flow in graph.role_flows
    ]


def _protocol(number: int | None) -> str:
    from toolkit.net import protocol_name

    return protocol_name(number)
