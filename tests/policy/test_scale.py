"""Policies that are made group by group, against the plain way (one flow and one pair of hosts after the other)."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import pytest

from tests.benchmarks.scale_site import write_site
from tests.conftest import INVENTORY, ROOT
from tests.flows.balanced_site import make_site
from toolkit.flows import build, is_error_message
from toolkit.packets import Space
from toolkit.paths import Alternatives, PathFinder
from toolkit.policy import build_policies, goal_address
from toolkit.policy.build import entry_of, flow_ends
from toolkit.policy.collector import Collector, answer_of
from toolkit.render.work import Work
from toolkit.site import load_site


def pair_by_pair(graph):
    """(interface, whether for known connections, requirement) -> boxes, from every pair of hosts alone."""
    topology, site = graph.site.topology, graph.site
    finder = PathFinder(topology)
    alternatives = Alternatives(finder)
    found = defaultdict(list)

    def place(source, destination, end, entry, *, known, first):
        goal = goal_address(topology, destination, end)
        hops = {hop for path in alternatives.paths(source, destination, goal) for hop in path.hops}
        for device, interface in {(hop.device, hop.in_interface) for hop in hops}:
            stateful = topology.nodes[device].stateful
            kinds = [True] * (stateful and known) + [False] * (not stateful or (known and first))
            for kind, ids in product(kinds, entry.requirements):
                found[device, interface, kind, ids] += entry.boxes()

    for flow in graph.flows:
        forward = entry_of(flow)
        back = answer_of(forward, flow, site.client_ports)
        known = not is_error_message(flow.service)
        for source, destination in flow_ends(topology, flow):
            place(source, destination, flow.destination, forward, known=known, first=True)
            for answerer in [destination] if flow.answerers is None else [one.at for one in flow.answerers]:
                if back is not None and answerer != source:
                    place(answerer, source, flow.source, back, known=known, first=False)
    return found


def asked(policies):
    found = defaultdict(list)
    for device, policy in policies.items():
        for interface, required in policy.required.items():
            for known, items in ((False, required.initiating), (True, required.established)):
                for block, ids in items:
                    for one in ids:
                        found[device, interface, known, one].append(block)
    return found


def compare(site):
    graph = build(site)
    space = Space()
    plain = {key: space.union(boxes) for key, boxes in pair_by_pair(graph).items()}
    policies, _ = build_policies(graph, PathFinder(site.topology))
    grouped = {key: space.union(blocks) for key, blocks in asked(policies).items()}
    assert plain, "nothing was compared"
    assert grouped == plain


@pytest.mark.parametrize("nodes", [7, 13])
def test_groups_ask_for_what_every_pair_asks_for(tmp_path, nodes):
    compare(load_site(write_site(tmp_path / "site", nodes, per_rack=5, leaves=2)))


@pytest.mark.parametrize("folder", [INVENTORY, ROOT / "labs" / "failures", ROOT / "labs" / "multi-node-ha"])
def test_sites_of_the_repository_are_asked_the_same(folder):
    compare(load_site(folder))


@pytest.mark.parametrize(
    ("mode", "choices"), [("transparent", {"snat_roles": ["node"]}), ("dsr", {"through_balancer": ()}), ("snat", {})]
)
def test_balancers_are_asked_the_same_in_every_mode(tmp_path, mode, choices):
    compare(Work(make_site(tmp_path / "site", mode, **choices)).site)


def between(site):
    """(source, goal) of every pair of hosts that a flow or its answers need a path for."""
    graph, topology = build(site), site.topology
    for flow in graph.flows:
        answered = answer_of(entry_of(flow), flow, site.client_ports) is not None
        for source, destination in flow_ends(topology, flow):
            yield source, goal_address(topology, destination, flow.destination)
            if answered and flow.answerers is None:
                yield destination, goal_address(topology, source, flow.source)


@pytest.mark.parametrize("folder", [INVENTORY, ROOT / "labs" / "failures"])
def test_the_paths_of_every_pair_are_still_known_for_comparing_routes(folder):
    site = load_site(folder)
    finder = PathFinder(site.topology)
    build_policies(build(site), finder)
    found = {(source, goal): paths for source, goal, paths in finder.found()}
    plain = PathFinder(site.topology)
    for source, goal in set(between(site)):
        assert found[source, goal] == plain._search(source, site.topology.owners[goal].node, goal)


def test_on_a_large_site_every_host_is_a_source_and_a_destination(tmp_path):
    site = load_site(write_site(tmp_path / "site", 80, per_rack=40, leaves=2))
    finder = PathFinder(site.topology)
    build_policies(build(site), finder)
    found = {(source, goal) for source, goal, _ in finder.found()}
    asked = set(between(site))
    assert {source for source, _ in asked} <= {source for source, _ in found}
    assert {goal for _, goal in asked} <= {goal for _, goal in found}
    assert len(found) < len(asked) / 2


def test_a_pair_left_out_would_show(tmp_path):
    site = load_site(write_site(tmp_path / "site", 5, per_rack=5, leaves=2))
    graph = build(site)
    space = Space()
    policies, _ = build_policies(graph, PathFinder(site.topology))
    blocks = asked(policies)
    plain = {key: space.union(boxes) for key, boxes in pair_by_pair(graph).items()}
    key = next(one for one in plain if one[:2] == ("leaf1-1", "eth1"))
    assert space.union(blocks[key]) == plain[key]
    (one, *_) = pair_by_pair(graph)[key]
    assert plain[key] - space.union([one]) != plain[key]


def measure(tmp_path, nodes):
    site = load_site(write_site(tmp_path / str(nodes), nodes, per_rack=nodes, leaves=4))
    collector = Collector(build(site), PathFinder(site.topology))
    policies, _ = build_policies(collector.graph, collector.finder)
    entries = sum(len(acl.entries) for one in policies.values() for acl in one.acls)
    return collector.placement.searches, collector.placed, entries


def test_work_does_not_grow_with_the_pairs_of_nodes(tmp_path):
    """Four times the nodes behind the same devices: the same path searches, and entries with the switch ports."""
    small, large = measure(tmp_path, 12), measure(tmp_path, 48)
    assert large[0] == small[0]
    assert large[1] < 4.5 * small[1]
    assert large[2] < 4.5 * small[2]


def test_a_set_of_many_nodes_is_written_in_few_prefixes(tmp_path):
    work = Work(write_site(tmp_path / "site", 64, per_rack=64, leaves=1))
    nodes = {ip for name in work.site.file.bindings["node"].hosts for ip in work.site.topology.nodes[name].addresses}
    (acl,) = [one for one in work.policies["core"].acls if one.interface == "eth1"]
    wide = [ace for ace in acl.entries if ace.requirements and len(ace.sources) > 1]
    assert wide
    for ace in wide:
        held = {ip for prefix in ace.sources for ip in prefix}
        assert held <= nodes, "never widened"
        assert len(ace.sources) < len(held) / 4
