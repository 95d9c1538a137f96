"""Paths when something fails: backup routes, virtual gateways, rings of switches."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from toolkit.errors import NoPathError
from toolkit.paths import HEALTHY, Alternatives, Failure, Hop, PathFinder, single_failures
from toolkit.redundancy import RedundancyGroup, RedundancyMode
from toolkit.site import load_site
from toolkit.topology import Interface, Kind, Node, Route, Topology

LAB = Path(__file__).resolve().parents[2] / "labs" / "multi-node-ha"
GATEWAYS = [IPv4Address("10.0.1.1"), IPv4Address("10.0.2.1")]


def node(name, kind, interfaces, routes=()):
    made = {
        key: Interface(name, key, (IPv4Interface(value),) if "/" in value else (), None if "/" in value else value)
        for key, value in interfaces.items()
    }
    return Node(name, kind, made, tuple(Route(IPv4Network(p), IPv4Address(v), m) for p, v, m in routes))


def pair(mode=RedundancyMode.ACTIVE_STANDBY, virtual=GATEWAYS, **how):
    """a, c - sw1 =(fw1, fw2)= sw2 - b; the gateways are virtual."""
    nodes = [
        node("a", Kind.HOST, {"eth1": "10.0.1.10/24"}, [("0.0.0.0/0", "10.0.1.1", 0)]),
        node("c", Kind.HOST, {"eth1": "10.0.1.11/24"}, [("0.0.0.0/0", "10.0.1.1", 0)]),
        node("b", Kind.HOST, {"eth1": "10.0.2.10/24"}, [("0.0.0.0/0", "10.0.2.1", 0)]),
        node("sw1", Kind.SWITCH, {"p1": "left", "p2": "left", "p3": "left", "p4": "left"}),
        node("sw2", Kind.SWITCH, {"p1": "right", "p2": "right", "p3": "right"}),
        node("fw1", Kind.FIREWALL, {"eth1": "10.0.1.2/24", "eth2": "10.0.2.2/24"}),
        node("fw2", Kind.FIREWALL, {"eth1": "10.0.1.3/24", "eth2": "10.0.2.3/24"}),
    ]
    links = [
        (("a", "eth1"), ("sw1", "p1")), (("c", "eth1"), ("sw1", "p2")), (("b", "eth1"), ("sw2", "p1")),
        (("sw1", "p3"), ("fw1", "eth1")), (("sw1", "p4"), ("fw2", "eth1")),
        (("sw2", "p2"), ("fw1", "eth2")), (("sw2", "p3"), ("fw2", "eth2")),
    ]  # fmt: skip
    group = RedundancyGroup("gw", mode, ("fw1", "fw2"), tuple(virtual), **how)
    return Topology(nodes, links, [group])


def link(topology, device, interface):
    return Failure(links=tuple(one for one in topology.links if (device, interface) in one))


def firewalls(paths):
    return [[hop.device for hop in path.hops if hop.device.startswith("fw")] for path in paths]


def test_the_active_member_has_the_virtual_addresses_and_the_standby_takes_them():
    finder = PathFinder(pair())
    assert firewalls(finder.paths("a", "b")) == [["fw1"]]
    moved = finder.under(Failure(nodes=("fw1",)))
    assert moved.paths("a", "b")[0].hops == (Hop("sw1", "p1", "p4"), Hop("fw2", "eth1", "eth2"), Hop("sw2", "p3", "p1"))
    assert firewalls(finder.under(Failure(nodes=("fw2",))).paths("a", "b")) == [["fw1"]]


@pytest.mark.parametrize("interface", ["eth1", "eth2"])
def test_one_lost_link_moves_all_addresses_so_that_both_directions_keep_one_firewall(interface):
    topology = pair()
    finder = PathFinder(topology).under(link(topology, "fw1", interface))
    assert firewalls(finder.paths("a", "b")) == firewalls(finder.paths("b", "a")) == [["fw2"]]
    untouched = PathFinder(topology).under(link(topology, "fw2", interface))
    assert firewalls(untouched.paths("a", "b")) == firewalls(untouched.paths("b", "a")) == [["fw1"]]


def test_a_switch_that_both_lose_moves_nothing():
    topology = pair()
    finder = PathFinder(topology).under(Failure(nodes=("sw2",)))
    assert finder.remaining.forwarding == {"gw": ("fw1",)}
    with pytest.raises(NoPathError):
        finder.paths("a", "b")
    assert [hop.device for hop in finder.paths("a", "c")[0].hops] == ["sw1"]


def test_active_active_members_are_equal_cost_until_one_fails():
    finder = PathFinder(pair(RedundancyMode.ACTIVE_ACTIVE))
    assert firewalls(finder.paths("a", "b")) == [["fw1"], ["fw2"]]
    assert firewalls(finder.under(Failure(nodes=("fw1",))).paths("a", "b")) == [["fw2"]]


def test_a_host_that_is_down_has_no_path():
    finder = PathFinder(pair())
    with pytest.raises(NoPathError, match="a is down"):
        finder.under(Failure(nodes=("a",))).paths("a", "b")


def two_routes(metric):
    """r - (x or y) - b, with the way over y declared at a metric."""
    nodes = [
        node("a", Kind.HOST, {"eth1": "10.0.1.10/24"}, [("0.0.0.0/0", "10.0.1.1", 0)]),
        node("b", Kind.HOST, {"eth1": "10.0.9.10/24"}, [("0.0.0.0/0", "10.0.9.1", 0), ("10.0.1.0/24", "10.0.9.2", metric)]),
        node(
            "r",
            Kind.ROUTER,
            {"eth1": "10.0.1.1/24", "eth2": "10.0.2.1/24", "eth3": "10.0.3.1/24"},
            [("10.0.9.0/24", "10.0.2.2", 10), ("10.0.9.0/24", "10.0.3.2", metric)],
        ),
        node("x", Kind.ROUTER, {"eth1": "10.0.2.2/24", "eth2": "10.0.9.1/24"}, [("10.0.1.0/24", "10.0.2.1", 0)]),
        node("y", Kind.ROUTER, {"eth1": "10.0.3.2/24", "eth2": "10.0.9.2/24"}, [("10.0.1.0/24", "10.0.3.1", 0)]),
        node("sw", Kind.SWITCH, {"p1": "l", "p2": "l", "p3": "l"}),
    ]  # fmt: skip
    links = [
        (("a", "eth1"), ("r", "eth1")), (("r", "eth2"), ("x", "eth1")), (("r", "eth3"), ("y", "eth1")),
        (("x", "eth2"), ("sw", "p1")), (("y", "eth2"), ("sw", "p2")), (("b", "eth1"), ("sw", "p3")),
    ]  # fmt: skip
    return Topology(nodes, links)


def routers(paths):
    return [[hop.device for hop in path.hops if hop.device in ("x", "y")] for path in paths]


def test_a_backup_route_is_used_when_the_first_next_hop_is_gone_and_only_then():
    topology = two_routes(20)
    finder = PathFinder(topology)
    assert topology.redundant
    assert routers(finder.paths("a", "b")) == [["x"]]
    for failure in (Failure(nodes=("x",)), link(topology, "r", "eth2")):
        assert routers(finder.under(failure).paths("a", "b")) == [["y"]]
    # Static routes see their next hop and no further: behind it, the packet is lost.
    with pytest.raises(NoPathError, match="x has no route"):
        finder.under(link(topology, "x", "eth2")).paths("a", "b")


def test_routes_of_one_metric_are_equal_cost():
    topology = two_routes(10)
    assert routers(PathFinder(topology).paths("a", "b")) == [["x"], ["y"]]


def test_destinations_behind_an_interface_follow_the_route_in_use():
    topology = two_routes(20)
    prefix = IPv4Network("10.0.9.0/24")
    healthy = PathFinder(topology)
    assert prefix in healthy.domains["r"]["eth2"]
    assert prefix not in healthy.domains["r"].get("eth3", ())
    assert prefix in healthy.under(Failure(nodes=("x",))).domains["r"]["eth3"]


def ring():
    """a - sw1, b - sw2; sw1 - sw2 directly and over sw3."""
    nodes = [
        node("a", Kind.HOST, {"eth1": "10.0.1.10/24"}),
        node("b", Kind.HOST, {"eth1": "10.0.1.11/24"}),
        *(node(name, Kind.SWITCH, {"p1": "l", "p2": "l", "p3": "l"}) for name in ("sw1", "sw2", "sw3")),
    ]
    links = [
        (("a", "eth1"), ("sw1", "p1")), (("b", "eth1"), ("sw2", "p1")), (("sw1", "p2"), ("sw2", "p2")),
        (("sw1", "p3"), ("sw3", "p1")), (("sw2", "p3"), ("sw3", "p2")),
    ]  # fmt: skip
    return Topology(nodes, links)


def test_a_ring_of_switches_goes_the_long_way_round():
    topology = ring()
    assert topology.redundant
    finder = PathFinder(topology)
    assert [hop.device for hop in finder.paths("a", "b")[0].hops] == ["sw1", "sw2"]
    around = finder.under(link(topology, "sw1", "p2")).paths("a", "b")
    assert [hop.device for hop in around[0].hops] == ["sw1", "sw3", "sw2"]
    assert len(Alternatives(finder).paths("a", "b", IPv4Address("10.0.1.11"))) == 2


def test_a_site_without_a_second_way_has_no_alternatives(reference):
    assert not reference.topology.redundant
    finder = PathFinder(reference.topology)
    goal = IPv4Address("10.10.2.13")
    assert Alternatives(finder).paths("node1", "node3", goal) is finder.paths("node1", "node3", goal)


def every_way(finder, source, destination, goal):
    """All paths under all single failures, one failure after the other."""
    found = set()
    for failure in (HEALTHY, *single_failures(finder.topology)):
        try:
            found |= set(finder.under(failure).paths(source, destination, goal))
        except NoPathError:
            continue
    return found


@pytest.mark.parametrize(
    "topology", [pair(), pair(RedundancyMode.ACTIVE_ACTIVE), pair(virtual=GATEWAYS[:1]), two_routes(20), ring()]
)
def test_alternatives_are_exactly_the_paths_of_all_single_failures(topology):
    if topology.groups and len(topology.groups[0].virtual) == 1:
        # b's gateway is fw1 itself.
        nodes = [*topology.nodes.values()]
        nodes[2] = node("b", Kind.HOST, {"eth1": "10.0.2.10/24"}, [("0.0.0.0/0", "10.0.2.2", 0)])
        topology = Topology(nodes, topology.links, topology.groups)
    compare(topology)


def test_alternatives_of_the_lab_too():
    compare(load_site(LAB).topology)


def compare(topology):
    finder = PathFinder(topology)
    alternatives = Alternatives(finder)
    for source in topology.hosts:
        for destination in topology.hosts:
            for goal in destination.addresses if source != destination else ():
                found = alternatives.paths(source.name, destination.name, goal)
                assert set(found) == every_way(finder, source.name, destination.name, goal)
                assert len(set(found)) == len(found)


def test_what_cables_still_join_knows_bridges_and_hosts():
    topology = pair()
    remaining = PathFinder(topology).under(Failure(nodes=("fw1",))).remaining
    assert remaining.cabled("a") == {"a", "c", "b", "sw1", "sw2", "fw2"}
    both = PathFinder(topology).under(Failure(nodes=("fw1", "fw2"))).remaining
    assert both.cabled("a") == {"a", "c", "sw1"}
    assert PathFinder(topology).under(Failure(nodes=("a",))).remaining.cabled("a") == frozenset()


def test_a_failure_names_what_is_down():
    topology = pair()
    assert str(Failure(nodes=("fw1",))) == "fw1"
    assert str(link(topology, "fw1", "eth1")) == "sw1:p3 -- fw1:eth1"
    assert str(HEALTHY) == "nothing"
    assert len(single_failures(topology)) == len(topology.nodes) + len(topology.links)


def found_alone(finder, source, destination, goal, how):
    try:
        return set(how(finder)(source, destination, goal))
    except NoPathError:
        return None


def test_hosts_that_are_attached_alike_share_what_each_would_find_alone():
    topology = load_site(LAB).topology
    finder = PathFinder(topology)
    for failure in (HEALTHY, *single_failures(topology)):
        one = finder.under(failure)
        for source in topology.hosts:
            for destination in topology.hosts:
                for goal in destination.addresses if source != destination else ():
                    ends = (source.name, destination.name, goal)
                    shared = found_alone(one, *ends, lambda f: f.paths)
                    assert shared == found_alone(one, *ends, lambda f: f._search)


def test_what_goes_through_a_host_is_shared_with_nobody():
    attachments = PathFinder(load_site(LAB).topology).attachments
    own, other = IPv4Address("10.30.1.12"), IPv4Address("10.31.0.10")
    assert attachments.pair("agent1", "server2", own) is not None
    assert attachments.pair("agent1", "server2", other) is None
    one, two = (
        attachments.pair("agent1", name, goal)
        for name, goal in (("server2", own), ("server1", IPv4Address("10.30.1.11")))
    )
    assert one.alike == two.alike
    assert attachments.pair("jump1", "server2", own).alike != one.alike


def wide(hosts):
    """As `pair`, with as many hosts on each side."""
    topology = pair()
    nodes = [one for one in topology.nodes.values() if one.kind is Kind.FIREWALL]
    links = [one for one in topology.links if {"fw1", "fw2"} & {one[0][0], one[1][0]}]
    for side, (switch, bridge, uplinks) in enumerate(
        (("sw1", "left", ("p3", "p4")), ("sw2", "right", ("p2", "p3"))), 1
    ):
        nodes.append(
            node(switch, Kind.SWITCH, {**dict.fromkeys(uplinks, bridge), **{f"h{n}": bridge for n in range(hosts)}})
        )
        for n in range(hosts):
            name = f"{bridge}{n}"
            nodes.append(
                node(name, Kind.HOST, {"eth1": f"10.0.{side}.{10 + n}/24"}, [("0.0.0.0/0", f"10.0.{side}.1", 0)])
            )
            links.append(((name, "eth1"), (switch, f"h{n}")))
    return Topology(nodes, links, topology.groups)


def searches(topology, monkeypatch):
    """How often a path is searched for while the alternatives of all pairs are found."""
    count = 0
    search = PathFinder._search

    def counted(self, *ends):
        nonlocal count
        count += 1
        return search(self, *ends)

    with monkeypatch.context() as patched:
        patched.setattr(PathFinder, "_search", counted)
        alternatives = Alternatives(PathFinder(topology))
        for source in topology.hosts:
            for destination in topology.hosts:
                if source is not destination:
                    assert alternatives.paths(source.name, destination.name, destination.addresses[0])
    return count


def test_the_cost_grows_with_devices_and_not_with_hosts(monkeypatch):
    few, many = searches(wide(3), monkeypatch), searches(wide(30), monkeypatch)
    assert few == many > 0
    compare(wide(3))
