"""A report of the reference site, with a matrix in which one cell is wrong and one is inconclusive."""

from __future__ import annotations

import pytest

from toolkit.flows import build
from toolkit.paths import PathFinder
from toolkit.policy import build_policies
from toolkit.report import collect
from toolkit.report.model import RunReport, Step
from toolkit.report.pictures import hosts_picture, path_picture, roles_picture

GOOD = {"intent": "permitted", "model": "permitted", "expectation": "permitted", "live": "permitted"}
SHUT = {"intent": "denied", "model": "denied", "expectation": "", "live": "denied"}


def cell(source, destination, protocol, port, said, **changes):
    row = {"source": source, "destination": destination, "protocol": protocol, "port": port, **said}
    return {**row, "verdict": said["live"], "wrong": "", "evidence": "", "requirements": "", **changes}


CELLS = (
    cell("client1", "lb1", "tcp", "443", GOOD, requirements="client-https"),
    cell("client1", "node1", "tcp", "443", SHUT, evidence="fw1: tk_eth1_in"),
    cell("jump1", "node1", "tcp", "22", GOOD, requirements="tcp-22"),
    cell("node1", "node2", "icmp", "0", SHUT),
    cell("node1", "smtp1", "tcp", "25", SHUT, live="inconclusive", evidence="silence"),
    cell("node2", "smtp1", "tcp", "587", GOOD, live="denied", wrong="live", requirements="tcp-587"),
)


@pytest.fixture(scope="session")
def graph(reference):
    return build(reference)


@pytest.fixture(scope="session")
def finder(reference):
    return PathFinder(reference.topology)


@pytest.fixture(scope="session")
def report(reference, graph, finder):
    policies, findings = build_policies(graph, finder)
    pictures = (roles_picture(graph), hosts_picture(graph), path_picture(finder, "node1", "smtp1"))
    return RunReport(
        title="Rehearsal of the reference site",
        site=reference.name,
        date="Monday, noon",
        steps=(Step("lab up", ok=True, detail="11 hosts", seconds=1.25), Step("matrix", ok=False, detail="1 wrong")),
        findings=collect.finding_rows(reference, graph.findings, findings),
        requirements=collect.requirement_rows(reference),
        pictures=tuple((one.title, one.svg) for one in pictures),
        devices=collect.device_rows(reference, policies, {"fw1": "+ jump"}),
        limits=collect.limits(graph, policies, findings),
        matrix=CELLS,
        roles=collect.host_roles(reference),
        services={"etcd": {"leader": "node1", "members": 3}},
        timings={"up": 1.25},
        certificate={"levels": {"fw1": "os"}},
    )
