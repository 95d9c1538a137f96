"""Policies of the reference site, and what they say about themselves."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path as FilePath

import pytest

from toolkit.flows import build
from toolkit.net import UDP, Action, Packet
from toolkit.packets import Space
from toolkit.paths import Hop, Path, PathFinder
from toolkit.policy import build_policies
from toolkit.policy.build import protected_scope
from toolkit.policy.findings import asymmetric, split_state
from toolkit.site import load_site

SITES = FilePath(__file__).parents[1] / "sites"


@pytest.fixture(scope="module")
def built(reference):
    return build_policies(build(reference), PathFinder(reference.topology))


def test_every_linked_interface_has_one_inbound_acl(reference, built):
    policies, _ = built
    for node in reference.topology.devices:
        assert [acl.interface for acl in policies[node.name].acls] == list(node.interfaces)


def test_every_permit_cites_a_requirement_and_every_default_is_logged(built):
    policies, _ = built
    for policy in policies.values():
        for acl in policy.acls:
            for ace in acl.entries:
                assert ace.comment
                assert bool(ace.requirements) == (ace.action is Action.PERMIT)
                assert ace.log == (ace.action is Action.DENY)


def test_only_own_acls_end_with_a_deny(built):
    policies, _ = built
    denies = {name: any(e.action is Action.DENY for a in p.acls for e in a.entries) for name, p in policies.items()}
    assert denies == {"leaf1": True, "leaf2": True, "fw1": False, "fw2": True}


def test_monitor_permits_and_counts_what_enforce_denies(spoiled):
    folder = spoiled("site.yaml", "enforcement: enforce", "enforcement: monitor")
    site = load_site(folder)
    policies, _ = build_policies(build(site), PathFinder(site.topology))
    entries = [ace for policy in policies.values() for acl in policy.acls for ace in acl.entries]
    assert {ace.action for ace in entries} == {Action.PERMIT}
    assert any(ace.log and not ace.requirements for ace in entries)


def test_the_scope_is_the_cluster_its_balancer_and_listed_ports_only(built):
    space = Space()
    scope = space.union(built[0]["fw2"].scope)
    client, smtp, node = (IPv4Address(text) for text in ("10.20.0.10", "10.10.40.25", "10.10.1.11"))
    assert Packet(client, node, 6, 50000, 9999) in scope
    assert Packet(node, client, UDP, 50000, 53) in scope
    assert Packet(client, smtp, 6, 50000, 587) in scope
    assert Packet(client, smtp, 6, 50000, 25) not in scope


def test_vxlan_expects_nothing_back_and_dns_does(built):
    (acl,) = [acl for acl in built[0]["leaf1"].acls if acl.interface == "eth1"]
    sports = {(ace.service.protocol, ace.sport.first) for ace in acl.entries if ace.action is Action.PERMIT}
    assert (UDP, 8472) not in sports
    back = [acl for acl in built[0]["leaf1"].acls if acl.interface == "eth3"]
    assert (UDP, 53) in {(ace.service.protocol, ace.sport.first) for ace in back[0].entries}


def test_what_cannot_be_judged_is_said(built):
    codes = {finding.code for finding in built[1]}
    assert {"ipv6_unfiltered", "established_exposure", "fragments_denied", "tunnel_not_policed"} <= codes
    assert "asymmetric_stateful_path" not in codes


def test_where_we_only_add_no_fragments_are_denied_and_nothing_says_so():
    site = load_site(SITES / "extend")
    policies, findings = build_policies(build(site), PathFinder(site.topology))
    codes = {finding.code for finding in findings}
    assert "established_exposure" in codes
    assert "fragments_denied" not in codes
    assert all(ace.action is Action.PERMIT for one in policies.values() for acl in one.acls for ace in acl.entries)


def test_firewalls_on_different_paths_are_pointed_at(reference):
    one = Path("a", "b", (Hop("fw1", "eth1", "eth2"),))
    other = Path("a", "b", (Hop("fw2", "eth1", "eth2"),))
    back = Path("b", "a", (Hop("fw1", "eth2", "eth1"),))
    assert not split_state([one], [back], reference.topology)
    finding = asymmetric("a", "b", split_state([one, other], [back], reference.topology))
    assert (finding.code, finding.severity) == ("asymmetric_stateful_path", "warning")
    assert "fw1, fw2" in finding.message


def test_a_spec_that_answers_the_baseline_protects_what_its_other_requirements_list(reference):
    """Only answers to the baseline protect nothing, whatever file they stand in."""
    both = dict(reference.specs)
    vendor, baseline = both["uipath-automation-suite"], both["site-baseline"]
    joined = vendor.model_copy(update={"baseline": baseline.baseline})
    site = replace(reference, specs={**both, "uipath-automation-suite": joined})
    assert protected_scope(build(site)) == protected_scope(build(reference))


def test_a_site_that_protects_nothing_says_so(reference):
    (dns,) = [one for _, one in reference.requirements() if one.id == "dns-udp"]
    only = reference.specs["site-baseline"].model_copy(
        update={"requirements": (dns.model_copy(update={"sources": ("client",)}),)}
    )
    file = reference.file.model_copy(
        update={
            "bindings": {name: reference.file.bindings[name] for name in ("client", "dns_server")},
            "load_balancers": {},
        }
    )
    site = replace(reference, file=file, specs={"site-baseline": only})
    graph = build(site)
    _, findings = build_policies(graph, PathFinder(site.topology))
    assert [one.severity.value for one in findings if one.code == "nothing_protected"] == ["warning"]
    _, usual = build_policies(build(reference), PathFinder(reference.topology))
    assert "nothing_protected" not in {one.code for one in usual}
