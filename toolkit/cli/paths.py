"""`toolkit paths`: the devices that each flow crosses, what no device can filter, and what single failures do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import (
    Work,
    inventory_option,
    json_option,
    note,
    packet_row,
    print_findings,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from toolkit.flows import Flow
    from toolkit.verify.failures import FailureReport, Fate

PROOF_FAILED = 4
SHOWN = 20


@click.command()
@click.option("--failures", is_flag=True, help="Fail every node and link alone and judge all flows; exit 4 on a loss.")
@click.option(
    "--configs",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --failures: judge the files of this folder instead of what would be rendered.",
)
@inventory_option
@json_option
def paths(inventory: Path, failures: bool, configs: Path | None, as_json: bool) -> int:
    """Print every equal-cost path of each flow, device by device, or what single failures do to the flows."""
    if configs is not None and not failures:
        raise click.UsageError("--configs goes with --failures")
    work = Work(inventory)
    if failures:
        return _failures(work, configs, as_json)
    rows = [row for flow in work.graph.flows for row in _rows(work, flow)]
    if as_json:
        findings = [one.model_dump(mode="json") for one in (*work.graph.findings, *work.policy_findings)]
        print_json({"paths": rows, "findings": findings})
        return 0
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
    return 0


def _rows(work: Work, flow: Flow) -> list[dict[str, Any]]:
    from toolkit.policy import goal_address

    found = []
    if flow.source.at is None or flow.destination.at is None:
        return []  # from or to everywhere: it has as many paths as there are hosts
    goal = goal_address(work.site.topology, flow.destination.at, flow.destination)
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


def _failures(work: Work, configs: Path | None, as_json: bool) -> int:
    from toolkit.verify.configs import read_configs
    from toolkit.verify.failures import FailureAnalysis, single_points

    before = {device: one.before for device, one in work.rendered.items()}
    if configs is None:
        states = {device: one.after for device, one in work.rendered.items()}
    else:
        states = read_configs(work.site, work.finder, work.policies, configs)
    reports = tuple(FailureAnalysis(work.graph, work.finder, work.policies, states, before, work.space).reports())
    ok = all(report.ok for report in reports)
    findings = (*work.policy_findings, *single_points(reports, [node.name for node in work.site.topology.hosts]))
    if as_json:
        print_json(
            {
                "ok": ok,
                "failures": [_report(report) for report in reports],
                "findings": [one.model_dump(mode="json") for one in findings],
            }
        )
        return 0 if ok else PROOF_FAILED
    _print_reports(reports)
    print_findings(one for one in findings if one.code in FAILURE_FINDINGS)
    note("every flow passes that cables allow, and nothing else in scope" if ok else "NOT every failure is survived")
    return 0 if ok else PROOF_FAILED


FAILURE_FINDINGS = ("asymmetric_stateful_path", "failover_ends_connections", "single_point_of_failure")


def _print_reports(reports: tuple[FailureReport, ...]) -> None:
    print_table(
        ("failed", "forwarding", "flows", "rerouted", "isolated", "lost", "exposed"),
        [
            (
                str(report.failure),
                ", ".join("+".join(members) or "nobody" for members in report.forwarding.values()) or "-",
                report.judged,
                len(report.rerouted),
                len(report.isolated),
                len(report.lost),
                len(report.exposures),
            )
            for report in reports
        ],
    )
    for report in reports:
        lines = [f"lost: {fate.leg}: {fate.reason}" for fate in report.lost]
        lines += [f"exposed: {one.source} -> {one.destination}: {one.packet}" for one in report.exposures]
        for line in lines[:SHOWN]:
            print(f"  {report.failure}: {line}")
        if len(lines) > SHOWN:
            print(f"  {report.failure}: and {len(lines) - SHOWN} more (see --json)")


def _report(report: FailureReport) -> dict[str, Any]:
    failed = report.failure
    changed = len(report.rerouted) + len(report.isolated) + len(report.lost)
    return {
        "failure": str(failed),
        "nodes": list(failed.nodes),
        "links": [[f"{node}:{interface}" for node, interface in link] for link in failed.links],
        "ok": report.ok,
        "forwarding": {name: list(members) for name, members in report.forwarding.items()},
        "flows": report.judged,
        "unchanged": report.judged - changed,
        "rerouted": [_fate(one) for one in report.rerouted],
        "isolated": [_fate(one) for one in report.isolated],
        "lost": [_fate(one) for one in report.lost],
        "exposure": [
            {"source": one.source, "destination": one.destination, "packet": packet_row(one.packet)}
            for one in report.exposures
        ],
    }


def _fate(fate: Fate) -> dict[str, Any]:
    from toolkit.net import protocol_name

    service = fate.leg.flow.service
    return {
        "source": fate.leg.source,
        "destination": fate.leg.destination,
        "protocol": protocol_name(service.protocol),
        "port": service.port_text,
        "requirements": list(fate.leg.flow.requirements),
        "reason": fate.reason,
    }
