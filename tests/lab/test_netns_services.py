"""Real services: they work over the lab's network, their status tells the truth, and the ports they take are known."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.reference_lab import connects, holds, reference_plan
from toolkit.errors import LabError
from toolkit.lab.namespaces import program
from toolkit.lab.services import Services, flush_connections

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
NFT = "/usr/sbin/nft"
PORTS = {
    "node1": {22, 2379, 2380},
    "node2": {22, 2379, 2380},
    "node3": {22, 2379, 2380},
    "lb1": {443, 9345},
    "smtp1": {80, 587},
    "install1": {30070},
}


def opened(lab):
    """Services in a lab whose firewalls let everything through."""
    for device in ("fw1", "fw2"):
        assert lab.inside(device, [NFT, "flush", "ruleset"]).returncode == 0
    services = Services(lab)
    services.start()
    return services


def names(statuses):
    return {one.name: one.healthy for one in statuses}


def eventually(question, wanted, seconds=10):
    deadline = time.monotonic() + seconds
    while (answer := question()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer == wanted


def block(lab, *rules):
    """Drop on fw1, also what is under way."""
    text = "flush ruleset\ntable inet block { chain forward { type filter hook forward priority 0; policy accept;\n"
    done = lab.inside("fw1", [NFT, "-f", "-"], text + "\n".join(rules) + "\n}\n}\n")
    assert done.returncode == 0, done.stderr
    flush_connections(lab, "fw1")


def listening(lab, node):
    """TCP ports that somebody listens on for other machines."""
    shown = lab.run(node, [program("ss"), "-Hltn"]).stdout.splitlines()
    ends = [line.split()[3].rpartition(":") for line in shown]
    return {int(port) for address, _, port in ends if not address.startswith("127.")}


def listener(lab, node, port):
    """Something that takes connections, for the ports that the balancer checks."""
    address = lab.plan.node(node).address
    script = "import socket,sys,time; s=socket.create_server((sys.argv[1],int(sys.argv[2]))); time.sleep(1000)"
    lab.spawn(node, [sys.executable, "-I", "-S", "-c", script, address, str(port)])


def test_all_become_healthy_and_take_the_ports_they_say():
    def body(lab):
        services = opened(lab)
        for node in ("node1", "node2", "node3"):
            for port in (443, 9345):
                listener(lab, node, port)
        statuses = services.wait_healthy()
        assert names(statuses) == {"etcd": True, "haproxy": True, "registry": True, "smtp": True}, statuses
        assert {host: ports for host, ports in services.occupied().items() if ports} == PORTS
        for node in lab.plan.hosts:
            extra = {443, 9345} if "etcd" in node.services else set()
            assert listening(lab, node.name) == PORTS.get(node.name, set()) | extra, node.name
        assert connects(lab, "client1", "10.10.2.20", 443) == "open"
        assert connects(lab, "jump1", "10.10.1.11", 22) == "open"
        assert list((lab.root("smtp1") / "mail").glob("*.eml")) != []

    holds(body)


def test_a_balancer_speaks_from_its_source_address():
    # With the virtual address first on the interface, the kernel's own choice would be another.
    plan = reference_plan()
    swapped = replace(plan.node("lb1"), addresses=plan.node("lb1").addresses[::-1])
    plan = replace(plan, nodes=tuple(swapped if node.name == "lb1" else node for node in plan.nodes))

    def body(lab):
        opened(lab)
        script = "import socket,sys\ns=socket.create_server((sys.argv[1],443)); c,a=s.accept(); print(a[0],flush=True)"
        process = lab.spawn("node1", [sys.executable, "-I", "-S", "-c", script, "10.10.1.11"])
        # The balancer breaks off its own checks before a program sees them, so a client has to come.
        eventually(lambda: connects(lab, "client1", "10.10.2.20", 443) and process.poll(), 0)
        said = lab.root("node1") / f"{Path(sys.executable).name}.log"
        assert said.read_text(encoding="ascii") == "10.10.2.21\n"

    holds(body, plan=plan)


def test_blocking_a_service_shows_in_its_status_and_healing_too():
    def body(lab):
        services = opened(lab)
        for node in ("node1", "node2", "node3"):
            for port in (443, 9345):
                listener(lab, node, port)
        assert all(one.healthy for one in services.wait_healthy())
        # node3 stands on another subnet: without 2380 it loses the other two, which keep a leader.
        block(lab, "tcp dport 2380 drop", "tcp sport 2380 drop")
        eventually(lambda: services.etcd().detail, "2 of 3 members know a leader")
        # The nodes behind the other switch are out of the balancer's reach, node3 is beside it.
        block(lab, "tcp dport { 443, 9345, 587, 30070 } drop")
        eventually(lambda: services.haproxy().detail, "2 of 6 servers up on 443, 9345")
        assert services.mail().detail == "mail delivered on 80"
        assert services.registry().detail == "/v2/ answers nothing"
        assert lab.inside("fw1", [NFT, "flush", "ruleset"]).returncode == 0
        assert all(one.healthy for one in services.wait_healthy())

    holds(body)


def test_waiting_ends_when_the_time_is_over():
    def body(lab):
        services = Services(lab)  # nothing was started
        start = time.monotonic()
        statuses = services.wait_healthy(0.2)
        assert time.monotonic() - start < 5
        assert names(statuses) == {"etcd": False, "haproxy": False, "registry": False, "smtp": False}

    holds(body)


def test_a_device_that_refuses_to_flush_is_an_error(monkeypatch):
    def body(lab):
        real = lab.run
        monkeypatch.setattr(lab, "run", lambda node, argv: real(node, [argv[0], "--no-such-option"]))
        with pytest.raises(LabError, match="fw1: "):
            flush_connections(lab, "fw1")

    holds(body)
