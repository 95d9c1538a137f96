"""Paths over declared routes and switches."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from toolkit.errors import SiteError
from toolkit.paths import Hop, PathFinder
from toolkit.topology import Interface, Kind, Node, Route, Topology


def node(name, kind, interfaces, routes=()):
    made = {
        key: Interface(
            name,
            key,
            tuple(IPv4Interface(a) for a in value if "/" in a),
            next((b for b in value if "/" not in b), None),
        )
        for key, value in interfaces.items()
    }
    return Node(name, kind, made, tuple(Route(IPv4Network(p), IPv4Address(v)) for p, v in routes))


def test_the_way_of_a_node_to_the_other_subnet(reference):
    (path,) = PathFinder(reference.topology).paths("node1", "node3")
    assert path.hops == (Hop("leaf1", "eth1", "eth3"), Hop("fw1", "eth1", "eth3"), Hop("leaf2", "eth3", "eth1"))
    assert not path.same_segment


def test_neighbours_on_one_switch_cross_that_switch_only(reference):
    (path,) = PathFinder(reference.topology).paths("node1", "node2")
    assert path.hops == (Hop("leaf1", "eth1", "eth2"),)
    assert path.same_segment


def test_an_administrator_crosses_the_first_leaf_twice(reference):
    (path,) = PathFinder(reference.topology).paths("jump1", "node1")
    assert [hop.device for hop in path.hops] == ["leaf1", "fw1", "leaf1"]


def test_clients_cross_both_firewalls(reference):
    (path,) = PathFinder(reference.topology).paths("client1", "lb1", IPv4Address("10.10.2.20"))
    assert path.hops == (Hop("fw2", "eth2", "eth1"), Hop("fw1", "eth5", "eth3"), Hop("leaf2", "eth3", "eth2"))


def two_ways():
    """a - r1 =(two equal-cost next hops, x and y)= r2 - b."""
    return [
        node("a", Kind.HOST, {"eth1": ["10.0.1.10/24"]}, [("0.0.0.0/0", "10.0.1.1")]),
        node("b", Kind.HOST, {"eth1": ["10.0.9.10/24"]}, [("0.0.0.0/0", "10.0.9.1")]),
        node(
            "r1",
            Kind.ROUTER,
            {"eth1": ["10.0.1.1/24"], "eth2": ["10.0.2.1/24"], "eth3": ["10.0.3.1/24"]},
            [("10.0.9.0/24", "10.0.2.2"), ("10.0.9.0/24", "10.0.3.2")],
        ),
        node(
            "x",
            Kind.FIREWALL,
            {"eth1": ["10.0.2.2/24"], "eth2": ["10.0.4.1/24"]},
            [("10.0.9.0/24", "10.0.4.2"), ("0.0.0.0/0", "10.0.2.1")],
        ),
        node(
            "y",
            Kind.FIREWALL,
            {"eth1": ["10.0.3.2/24"], "eth2": ["10.0.5.1/24"]},
            [("10.0.9.0/24", "10.0.5.2"), ("0.0.0.0/0", "10.0.3.1")],
        ),
        node(
            "r2",
            Kind.ROUTER,
            {"eth1": ["10.0.9.1/24"], "eth2": ["10.0.4.2/24"], "eth3": ["10.0.5.2/24"]},
            [("10.0.1.0/24", "10.0.4.1")],
        ),
    ]


LINKS = [
    (("a", "eth1"), ("r1", "eth1")), (("r1", "eth2"), ("x", "eth1")), (("r1", "eth3"), ("y", "eth1")),
    (("x", "eth2"), ("r2", "eth2")), (("y", "eth2"), ("r2", "eth3")), (("r2", "eth1"), ("b", "eth1")),
]  # fmt: skip


def test_all_equal_cost_paths_are_found_and_the_way_back_is_its_own():
    finder = PathFinder(Topology(two_ways(), LINKS))
    there = finder.paths("a", "b")
    assert [[hop.device for hop in path.hops] for path in there] == [["r1", "x", "r2"], ["r1", "y", "r2"]]
    assert there[1].hops[0] == Hop("r1", "eth1", "eth3")
    back = finder.paths("b", "a")
    assert [[hop.device for hop in path.hops] for path in back] == [["r2", "x", "r1"]]


def test_a_routing_loop_is_an_error_and_not_a_hang():
    nodes = two_ways()
    nodes[-1] = node(
        "r2", Kind.ROUTER,
        {"eth1": ["10.0.9.1/24"], "eth2": ["10.0.4.2/24"], "eth3": ["10.0.5.2/24"]},
        [("10.0.1.0/24", "10.0.4.1")],
    )  # fmt: skip
    nodes[3] = node(
        "x", Kind.FIREWALL, {"eth1": ["10.0.2.2/24"], "eth2": ["10.0.4.1/24"]}, [("10.0.9.0/24", "10.0.2.1")]
    )
    with pytest.raises(SiteError, match=r"routing loop from a to 10\.0\.9\.10"):
        PathFinder(Topology(nodes, LINKS)).paths("a", "b")


def test_destinations_behind_each_interface_follow_the_longest_prefix(reference):
    domains = PathFinder(reference.topology).domains["fw1"]
    assert domains["eth1"] == (IPv4Network("10.10.1.0/24"),)
    assert not any(IPv4Network("10.10.1.0/24").overlaps(prefix) for prefix in domains["eth5"])
    assert any(IPv4Address("203.0.113.10") in prefix for prefix in domains["eth5"])
