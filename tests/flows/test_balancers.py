"""What the second leg through a load balancer looks like on the wire, mode by mode, and who answers whom."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.flows.balanced_site import make_site
from toolkit.errors import PolicyError, SiteError
from toolkit.flows import build
from toolkit.net import TCP, Packet, Verdict
from toolkit.paths import PathFinder
from toolkit.policy import build_policies, handed_to
from toolkit.render.work import Work
from toolkit.site import load_site
from toolkit.verify import trace, verify_states

CLIENT, VIRTUAL, BALANCER = (IPv4Address(a) for a in ("10.20.0.10", "10.10.2.20", "10.10.2.21"))
NODES = {f"node{n}": IPv4Address(f"10.10.2.1{n}") for n in (1, 2, 3)}


def first(source, destination, port=443):
    return Packet(source, destination, TCP, 50000, port)


def permits(work, device, interface, packet):
    """Whether the policy of a device asks for a packet entering by an interface."""
    asked = work.policies[device].required[interface].initiating
    return any(packet in work.space.union([box]) for box, _ in asked)


@pytest.fixture(scope="module")
def transparent(tmp_path_factory):
    return Work(make_site(tmp_path_factory.mktemp("t") / "site", "transparent", snat_roles=["node"]))


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    return Work(make_site(tmp_path_factory.mktemp("d") / "site", "dsr", through_balancer=()))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Work(make_site(tmp_path_factory.mktemp("s") / "site", "snat", through_balancer=()))


@pytest.mark.parametrize("mode", ["transparent", "direct", "plain"])
def test_every_device_is_rendered_and_proved(mode, request):
    work = request.getfixturevalue(mode)
    states = {device: one.after for device, one in work.rendered.items()}
    assert all(p.equivalent for p in verify_states(work.site, work.finder, work.policies, states, work.space))


def test_a_transparent_balancer_passes_on_the_address_of_its_clients(transparent, plain):
    node1 = NODES["node1"]
    assert permits(transparent, "leaf2", "eth2", first(CLIENT, node1))
    assert not permits(plain, "leaf2", "eth2", first(CLIENT, node1))
    # Only where the balancer sends it: a client that goes to a node directly is denied at every other port.
    for device, interface in (("leaf2", "eth3"), ("fw1", "eth5"), ("fw2", "eth2")):
        assert not permits(transparent, device, interface, first(CLIENT, node1))
        assert permits(transparent, device, interface, first(CLIENT, VIRTUAL))
    # The answer goes back to the balancer's port, and nowhere else.
    answer = first(CLIENT, node1).reply()
    assert permits(transparent, "leaf1", "eth1", answer)
    assert permits(transparent, "leaf2", "eth8", answer)
    assert not permits(transparent, "fw1", "eth3", answer)


def test_roles_beside_the_servers_get_the_balancers_own_address(transparent):
    assert permits(transparent, "leaf2", "eth2", first(BALANCER, NODES["node2"]))
    assert not permits(transparent, "leaf2", "eth2", first(NODES["node1"], NODES["node2"]))


def test_answers_that_would_go_past_a_transparent_balancer_are_an_error_with_its_place(tmp_path):
    site = load_site(make_site(tmp_path / "a", "transparent", snat_roles=["node"], through_balancer=("node1", "node2")))
    with pytest.raises(
        PolicyError, match=r"site\.yaml:\d+: lb1 is transparent, but the answers of node3 to client1 .* snat_roles"
    ):
        build_policies(build(site), PathFinder(site.topology))
    site = load_site(make_site(tmp_path / "b", "transparent"))  # nodes use it too, and answer each other directly
    with pytest.raises(PolicyError, match=r"lb1 is transparent, but the answers of node\d to node\d"):
        build_policies(build(site), PathFinder(site.topology))


def test_direct_return_hands_on_the_virtual_address_and_the_server_answers_from_it(direct):
    packet = first(CLIENT, VIRTUAL)
    assert permits(direct, "leaf2", "eth3", packet)  # from the clients
    assert permits(direct, "leaf2", "eth2", packet)  # from the balancer
    assert permits(direct, "leaf1", "eth7", packet)  # on to node1 and node2
    for device, interface in (("leaf1", "eth1"), ("leaf2", "eth1"), ("leaf2", "eth8")):
        assert permits(direct, device, interface, packet.reply())
    # The balancer itself answers nobody, and no server opens a connection from the virtual address.
    assert not permits(direct, "leaf2", "eth2", packet.reply())
    assert not permits(direct, "leaf1", "eth1", Packet(VIRTUAL, CLIENT, TCP, 443, 50000))
    # A server never asks for the client's own address, and health checks keep the balancer's.
    assert not permits(direct, "leaf2", "eth2", first(CLIENT, NODES["node1"]))
    assert permits(direct, "leaf2", "eth2", first(BALANCER, NODES["node1"], 9345))


def test_a_node_reaches_the_virtual_address_on_itself_when_it_is_a_server_of_the_pool(direct, plain):
    assert permits(plain, "leaf1", "eth1", first(NODES["node1"], VIRTUAL))
    assert not permits(direct, "leaf1", "eth1", first(NODES["node1"], VIRTUAL))


def test_the_trace_follows_the_packet_to_the_server_and_the_answer_home(direct):
    packet = first(CLIENT, VIRTUAL)
    servers = handed_to(direct.graph, packet, "lb1")
    assert servers == NODES
    states = {device: one.after for device, one in direct.rendered.items()}
    found = trace(packet, "client1", "lb1", direct.finder, states, servers=servers)
    assert found.verdict is Verdict.PERMITTED
    way = next(path for path in found.paths if ("leaf1", "eth7") in [(s.device, s.interface) for s in path.forward])
    assert [(s.device, s.interface) for s in way.forward] == [
        ("fw2", "eth2"), ("fw1", "eth5"), ("leaf2", "eth3"), ("leaf2", "eth2"), ("leaf1", "eth7"),
    ]  # fmt: skip
    assert way.back[0].device == "leaf1"
    closed = first(CLIENT, VIRTUAL, 444)
    assert handed_to(direct.graph, closed, "lb1") == {}
    assert trace(closed, "client1", "lb1", direct.finder, states).verdict is Verdict.DENIED


def test_direct_return_over_a_router_is_an_error_with_its_place(tmp_path):
    site = load_site(make_site(tmp_path / "site", "dsr", stretched=False))
    with pytest.raises(
        SiteError, match=r"site\.yaml:\d+: lb1 hands connections over by dsr, but node1 of its pool is in another"
    ):
        build(site).flows  # noqa: B018 - endpoints are asked for here


def test_what_a_balancer_passes_on_is_not_asked_for_by_its_clients(transparent):
    assert transparent.asked_for(first(CLIENT, VIRTUAL)) == ("client-https",)
    assert transparent.asked_for(first(CLIENT, NODES["node1"])) == ()
