"""`toolkit paths`: the devices that each flow crosses, and what no device can filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, print_findings, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.flows import Flow


@click.command()
@inventory_option
@json_option
def paths(inventory: Path, as_json: bool) -> None:
    """Print every equal-cost path of each flow, device by device."""
    work = Work(inventory)
    rows = [row for flow in work.graph.flows for row in _rows(work, flow)]
    if as_json:
        findings = [one.model_dump(mode="json") for one in (*work.graph.findings, *work.policy_findings)]
        print_json({"paths": rows, "findings": findings})
        return
    print_table(
        ("source", "destination", "service", "devices (interface in > interface out)"),
        [
            (
                r["source"],
                r["destination"],
                r["service"],
                "  ".join(f"{h['device']}({h['in']}>{h['out']})" for h in r["hops"]) or "(none)",
            )
            for r in rows
        ],
    )
    print_findings((*work.graph.findings, *work.policy_findings))


def _rows(work: Work, flow: Flow) -> list[dict[str, Any]]:
    found = []
    if flow.source.at is None or flow.destination.at is None:
        return []  # from or to everywhere: it has as many paths as there are hosts
    own = work.site.topology.nodes[flow.destination.at].addresses
    goal = next((p.network_address for p in flow.destination.prefixes if p.network_address in own), None)
    for path in work.finder.paths(flow.source.at, flow.destination.at, goal):
        hops = [{"device": h.device, "in": h.in_interface, "out": h.out_interface} for h in path.hops]
        found.append(
            {
                "source": flow.source.name,
                "destination": flow.destination.name,
                "service": str(flow.service),
                "requirements": list(flow.requirements),
                "same_segment": path.same_segment,
                "hops": hops,
            }
        )
    return found
