"""A whole site of vendors' devices over SSH: plan with its routes, apply with its proof, and back."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

import pytest

from tests.deploy.fleet import keygen
from tests.deploy.vendor_site import DEVICES, twins_of, write_site
from toolkit import deploy
from toolkit.deploy import Options
from toolkit.errors import DeployError
from toolkit.lab.expectations import read_expectations
from toolkit.lab.twins import judge
from toolkit.lab.twins.connections import Connection, End
from toolkit.lab.twins.server import TwinServer
from toolkit.net import TCP, UDP, Packet
from toolkit.render.work import Work
from toolkit.verify.live import make_target, plan_change

EXPECTATIONS = Path(__file__).resolve().parents[2] / "labs" / "reference" / "expectations.csv"
TCP_PORTS = (22, 53, 80, 443, 587, 1433, 2379, 2380, 2381, 6443, 9090, 9345, 9999, 10250, 30070, 30071)
ONE_WAY = 8472  # a tunnel: nothing comes back to the port that it came from
EXCHANGES = [*((TCP, port) for port in TCP_PORTS), *((UDP, port) for port in (53, 123, 8472, 9999))]


@pytest.fixture
def place(tmp_path):
    """The site's work, its twins behind SSH, and a target for them."""
    with contextlib.ExitStack() as stack:
        work = Work(write_site(tmp_path / "inventory"))
        public = keygen(tmp_path / "id")
        server = stack.enter_context(TwinServer(twins_of(work.site, public)))
        (tmp_path / "known_hosts").write_text(server.known_hosts(), encoding="ascii")
        connection = deploy.Connection(
            "netops", tmp_path / "id", tmp_path / "known_hosts", 10.0,
            {name: ("127.0.0.1", port) for name, port in server.ports.items()},
        )  # fmt: skip
        target = make_target(work, connection)
        stack.callback(target.close)
        yield work, server, target


def push(work, target, planned):
    candidates = {device: one.candidate for device, one in planned.rendered.items()}
    return deploy.apply(planned.plan, planned.folder, target, candidates, Options(without_lab=True))


def test_a_site_of_four_vendors_is_planned_pushed_proved_and_undone(place, tmp_path):
    work, server, target = place
    planned = plan_change(work, target, tmp_path / "runs")
    assert sorted(planned.plan.changed) == sorted(DEVICES)
    outcome = push(work, target, planned)
    assert sorted(outcome.changed) == sorted(DEVICES)
    assert outcome.notes == []
    assert all(device.saves == 1 for device in server.devices.values())
    assert not any(device.timed or device.sessions or device.lock for device in server.devices.values())
    assert plan_change(work, target, tmp_path / "again").plan.changed == ()
    assert deploy.rollback(planned.plan, planned.folder, target).rolled_back
    for device in server.devices.values():
        assert not [line for line in device.running.text().splitlines() if "uipath" in line]
        assert device.startup.text() == device.running.text()


def test_connections_that_the_new_policy_denies_are_ended_on_an_asa_and_only_those(place, tmp_path):
    work, server, target = place
    node1, node3, dns = (IPv4Address(one) for one in ("10.10.1.11", "10.10.2.13", "10.10.40.53"))
    required = Connection("tcp", End(node1, 40000), End(node3, 2379))
    backwards = Connection("tcp", End(node1, 2379), End(node3, 40000))
    denied = Connection("tcp", End(node1, 40001), End(node3, 23))
    denied_udp = Connection("udp", End(node3, 40002), End(node1, 9999))
    other = Connection("tcp", End(dns, 40000), End(IPv4Address("203.0.113.10"), 23))
    known = server.devices["fw1"].connections.known
    known += [required, denied, backwards, other, denied_udp]
    outcome = push(work, target, plan_change(work, target, tmp_path / "runs"))
    assert known == [required, other]
    assert outcome.ended_sessions == 3
    typed = [line for line in server.devices["fw1"].typed if line.startswith("clear conn")]
    assert typed == [
        "clear conn protocol tcp address 10.10.1.11 port 40001 address 10.10.2.13 port 23",
        "clear conn protocol tcp address 10.10.1.11 port 2379 address 10.10.2.13 port 40000",
        "clear conn protocol udp address 10.10.2.13 port 40002 address 10.10.1.11 port 9999",
    ]
    again = push(work, target, plan_change(work, target, tmp_path / "again"))
    assert (again.ended_sessions, known) == (0, [required, other])


def test_the_twins_do_what_the_page_asks_by_a_table_written_by_hand(place, tmp_path):
    """`labs/reference/expectations.csv` was written from the page; what concerns the cluster in it holds here too."""
    work, server, target = place
    push(work, target, plan_change(work, target, tmp_path / "runs"))
    topology = work.site.topology
    hosts = [node.name for node in topology.nodes.values() if not node.is_device]
    table = read_expectations(EXPECTATIONS, {host: work.site.roles_of(host) for host in hosts})
    cluster = {"node1", "node2", "node3", "lb1"}
    counted = {"permitted": 0, "denied": 0}
    for source, goal in product(hosts, hosts):
        if source == goal or not {source, goal} & cluster:
            continue
        src = topology.nodes[source].addresses[0]
        dst = IPv4Address("10.10.2.20") if goal == "lb1" else topology.nodes[goal].addresses[0]
        for protocol, port in EXCHANGES:
            expected = table.find(source, goal, "tcp" if protocol == TCP else "udp", port)
            passes = exchange(work, server, source, goal, Packet(src, dst, protocol, 40000, port))
            assert passes == (expected.verdict == "permitted"), (
                f"{source} -> {goal} {protocol}/{port}: {expected.place}"
            )
            counted[expected.verdict] += 1
    assert counted["permitted"] > 60
    assert counted["denied"] > 500


def exchange(work, server, source, goal, packet) -> bool:
    """Whether a packet passes all twins on all its ways, and its answer those that keep no state."""
    there = [hop for path in work.finder.paths(source, goal, packet.dst) for hop in path.hops]
    back = [hop for path in work.finder.paths(goal, source, packet.src) for hop in path.hops]
    stateless = [hop for hop in back if not work.site.topology.node(hop.device).stateful]
    asked = [(hop, packet) for hop in there]
    if packet.dport != ONE_WAY:
        asked += [(hop, packet.reply()) for hop in stateless]
    return all(judge(server.devices[hop.device], hop.in_interface, one).permit for hop, one in asked)


def test_a_route_that_is_not_as_declared_stops_the_plan(place, tmp_path):
    work, server, target = place
    sections = server.devices["fw2"].running.sections
    wrong = next(header for header in sections if header.startswith("ip route 10.10.0.0"))
    del sections[wrong]
    with pytest.raises(DeployError, match=r"fw2 sends .* nowhere, the inventory says out by GigabitEthernet0/1"):
        plan_change(work, target, tmp_path / "runs")
