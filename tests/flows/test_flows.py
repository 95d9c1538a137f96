"""Flows of the reference site: every requirement has its flows, and every permit its deny twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.flows import build
from toolkit.site import load_site


@pytest.fixture(scope="module")
def flows(reference):
    return {(f.source.name, f.destination.name, str(f.service)) for f in build(reference).flows}


PERMITS_AND_TWINS = [
    (("jump1", "node1", "tcp/22"), ("client1", "node1", "tcp/22")),
    (("jump1", "node3", "tcp/22"), ("node1", "node3", "tcp/22")),
    (("client1", "lb1", "tcp/443"), ("client1", "node1", "tcp/443")),
    (("node1", "lb1", "tcp/443"), ("jump1", "lb1", "tcp/443")),
    (("lb1", "node2", "tcp/443"), ("lb1", "smtp1", "tcp/443")),
    (("node1", "node3", "tcp/2379"), ("lb1", "node3", "tcp/2379")),
    (("node1", "node3", "tcp/2380"), ("jump1", "node3", "tcp/2380")),
    (("node2", "node1", "tcp/6443"), ("lb1", "node1", "tcp/6443")),
    (("node3", "node1", "udp/8472"), ("node3", "node1", "tcp/8472")),
    (("node1", "node2", "tcp/9090"), ("client1", "node2", "tcp/9090")),
    (("node1", "lb1", "tcp/9345"), ("client1", "lb1", "tcp/9345")),
    (("lb1", "node1", "tcp/9345"), ("lb1", "node1", "tcp/9090")),
    (("node1", "node2", "tcp/10250"), ("install1", "node2", "tcp/10250")),
    (("node1", "node3", "tcp/30071"), ("node1", "node3", "tcp/30070")),
    (("node1", "smtp1", "tcp/587"), ("smtp1", "node1", "tcp/587")),
    (("node1", "smtp1", "tcp/80"), ("lb1", "smtp1", "tcp/80")),
    (("node2", "sql1", "tcp/1433"), ("jump1", "sql1", "tcp/1433")),
    (("node2", "install1", "tcp/30070"), ("jump1", "install1", "tcp/30070")),
    (("node1", "dns1", "udp/53"), ("node1", "dns1", "udp/5353")),
]


@pytest.mark.parametrize(("permit", "twin"), PERMITS_AND_TWINS, ids="-".join)
def test_a_required_flow_is_there_and_its_twin_is_not(flows, permit, twin):
    assert permit in flows
    assert twin not in flows


def test_nothing_comes_from_or_goes_to_the_internet(flows):
    assert not [flow for flow in flows if "internet" in flow[0] or "internet" in flow[1]]


def test_the_registry_closes_after_the_installation(spoiled):
    folder = spoiled("site.yaml", "  phase: install", "  phase: steady")
    assert not [f for f in build(load_site(folder)).flows if str(f.service) == "tcp/30070"]


def test_the_kube_api_goes_through_the_balancer_only_where_the_site_says_so(spoiled):
    folder = spoiled("site.yaml", "  kube_api_through_load_balancer: false", "  kube_api_through_load_balancer: true")
    flows = {(f.source.name, f.destination.name, str(f.service)) for f in build(load_site(folder)).flows}
    assert {("node1", "lb1", "tcp/6443"), ("lb1", "node1", "tcp/6443")} <= flows


def test_the_balancer_is_reached_at_its_virtual_address_and_speaks_from_its_own(reference):
    for flow in build(reference).flows:
        if flow.destination.name == "lb1":
            assert [str(p) for p in flow.destination.prefixes] == ["10.10.2.20/32"]
        if flow.source.name == "lb1":
            assert [str(p) for p in flow.source.prefixes] == ["10.10.2.21/32"]


def test_every_flow_cites_a_requirement_with_its_page_line(reference):
    for flow in build(reference).flows:
        assert flow.requirements
        for identifier in flow.requirements:
            assert identifier in reference.citation(identifier)


def test_a_bidirectional_requirement_is_asked_for_from_both_ends(spoiled):
    old = "    destinations: [dns_server]\n    constraints: [private_only]\n    reply: request_reply\n    purpose: Time"
    new = old.replace("[private_only]", "[private_only, bidirectional]")
    folder = spoiled("specs/site-baseline.yaml", old, new)
    flows = {(f.source.name, f.destination.name, str(f.service)) for f in build(load_site(folder)).flows}
    assert {("node1", "dns1", "udp/123"), ("dns1", "node1", "udp/123")} <= flows
    assert ("dns1", "node1", "udp/53") not in flows


def test_a_balancer_serves_from_where_the_page_sends_it():
    """Port 8500 goes through the balancer to the servers, so no agent gets it although agents are nodes too."""
    site = load_site(Path(__file__).parents[1] / "sites" / "another-page")
    flows = {
        (flow.source.name, flow.destination.name) for flow in build(site).flows if flow.service.ports.first == 8500
    }
    assert flows == {("pc", "lb"), ("lb", "s1"), ("lb", "s2")}
