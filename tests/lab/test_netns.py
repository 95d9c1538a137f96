"""The namespace lab: cables, routes, devices that boot from their own files, logins, and no trace afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab.reference_lab import INVENTORY, connects, holds, host_state, in_lab, ssh
from toolkit.errors import LabError
from toolkit.lab.namespaces import STATE, program

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
DEVICES = ("leaf1", "leaf2", "fw1", "fw2")
NFT = "/usr/sbin/nft"
OURS = 'table inet ours {\n  chain forward {\n    type filter hook forward priority 0; policy accept;\n    counter comment "ours"\n  }\n}\n'


def tables(lab, device):
    done = lab.inside(device, [NFT, "list", "tables"])
    assert done.returncode == 0, done.stderr
    return sorted(line.removeprefix("table ") for line in done.stdout.splitlines())


def processes():
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}


@pytest.fixture(autouse=True)
def _no_trace():
    before = host_state()
    yield
    assert host_state() == before, "the lab left links or namespaces on the host"


def test_up_and_down():
    def body(lab):
        names = [node.name for node in lab.plan.nodes]
        assert sorted(lab.namespaces) == sorted(names) == sorted(path.name for path in Path("/run/netns").iterdir())
        assert len({os.fstat(fd).st_ino for fd in lab.namespaces.values()}) == 15
        lab.down()
        deadline = time.monotonic() + 5  # the kernel takes interfaces away in its own time
        while (host_state() != (["lo"], []) or processes() != {1, 2}) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert host_state() == (["lo"], [])
        assert processes() == {1, 2}
        lab.down()  # a second time does nothing

    holds(body)


def test_cables_addresses_and_routes_are_those_of_the_file():
    def body(lab):
        for node in lab.plan.nodes:
            shown = lab.run(node.name, [program("ip"), "-br", "-4", "addr"]).stdout.split()
            assert [f"{a}" for _, a in node.addresses if a not in shown] == [], node.name
            routes = lab.run(node.name, [program("ip"), "route"]).stdout
            for prefix, via in node.routes:
                assert f"{'default' if prefix == '0.0.0.0/0' else prefix} via {via}" in routes, node.name
            assert "eth0" not in routes, "the main table knows no way into management"
            forwards = lab.run(node.name, ["/bin/cat", "/proc/sys/net/ipv4/ip_forward"]).stdout.strip()
            assert forwards == ("1" if node.kind == "firewall" else "0"), node.name
        for (a, port_a), (b, port_b) in lab.plan.links:
            ends = [lab.run(n, [program("ip"), "-o", "link", "show", p]).stdout for n, p in ((a, port_a), (b, port_b))]
            assert all("mtu 1500" in end and "LOWER_UP" in end for end in ends)

    holds(body)


def test_packets_cross_switches_and_firewalls_at_once_and_only_where_filters_let_them():
    def body(lab):
        # A port without a listener answers with a reset: the packet went there and back.
        start = time.monotonic()
        assert connects(lab, "node1", "10.10.1.12", 9) == "refused"  # over leaf1
        assert time.monotonic() - start < 0.9, "the switch was blind at first"
        assert connects(lab, "client1", "203.0.113.10", 9) == "refused"  # over fw2
        assert connects(lab, "node1", "10.10.2.13", 9, 0.3) == "silence"  # the other team's default drop on fw1
        assert lab.inside("fw1", [NFT, "flush", "ruleset"]).returncode == 0
        assert connects(lab, "node1", "10.10.2.13", 9) == "refused"
        # Two subnets on one switch stay apart.
        neighbours = lab.run("node1", [program("ip"), "neigh"]).stdout
        assert "10.10.1.12" in neighbours
        assert "10.10.30." not in neighbours

    holds(body)


def test_everybody_logs_in_with_the_key_and_nobody_else():
    def body(lab):
        for device in DEVICES:
            done = ssh(lab, device, "nft", "list", "tables")  # found, although it lies in /usr/sbin
            assert done.returncode == 0, done.stderr
            assert sorted(line.removeprefix("table ") for line in done.stdout.splitlines()) == tables(lab, device)
            assert ssh(lab, device, "cat", "/etc/hostname").stdout == f"{device}\n"
            assert ssh(lab, device, "echo", "$HOME").stdout.strip() == str(STATE / "home")
        stranger = ssh(lab, "fw1", "true", user="root")
        assert (stranger.returncode, "Permission denied" in stranger.stderr) == (255, True)
        wrong = STATE / "wrong_hosts"
        lines = lab.known_hosts.read_text(encoding="ascii").split("\n")
        wrong.write_text(lines[0].split()[0] + " " + " ".join(lines[1].split()[1:]) + "\n", encoding="ascii")
        refused = ssh(lab, "leaf1", "true", known_hosts=wrong)
        assert (refused.returncode, "Host key verification failed" in refused.stderr) == (255, True)
        assert ssh(lab, "leaf1", "true").returncode == 0

    holds(body)


def test_a_device_writes_to_its_own_etc():
    def body(lab):
        assert ssh(lab, "leaf1", "echo one > /etc/nftables.d/one.nft").returncode == 0
        assert ssh(lab, "leaf2", "ls /etc/nftables.d").stdout == ""
        assert not Path("/etc/nftables.d/one.nft").exists()
        assert (lab.root("leaf1") / "etc/nftables.d/one.nft").read_text(encoding="ascii") == "one\n"

    holds(body)


def test_management_is_a_network_of_its_own():
    def body(lab):
        for host in ("internet1", "client1", "node1", "jump1"):
            for device in DEVICES:
                assert connects(lab, host, lab.plan.node(device).management, 22, 0.1) == "silence", (host, device)
        # sshd listens there only, and the way from management into the data networks is shut.
        assert connects(lab, "client1", "10.20.0.1", 22) == "refused"
        lab.run("fw1", [NFT, "flush", "ruleset"])
        for device in DEVICES:
            management = lab.plan.node(device).management
            subprocess.run([program("ip"), "route", "replace", "10.10.1.0/24", "via", management], check=True)
            assert _from_here("10.10.1.11", 9) == "silence"
            assert ssh(lab, device, "true").returncode == 0
        for device in ("fw1", "fw2"):  # they forward, but not what comes in there
            way = [program("ip"), "route", "get", "10.10.1.11", "from", "172.31.250.1", "iif"]
            assert lab.run(device, [*way, "eth0"]).returncode != 0
            data = ["from", "10.10.40.25", "iif", "eth4"] if device == "fw1" else ["from", "10.20.0.10", "iif", "eth2"]
            assert lab.run(device, [*way[:4], *data]).returncode == 0

    def _from_here(address, port):
        import socket

        try:
            socket.create_connection((address, port), 0.2).close()
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "silence"
        return "open"

    holds(body)


def test_boot_loads_what_the_site_recorded():
    def body(lab):
        assert tables(lab, "leaf1") == tables(lab, "leaf2") == []
        assert "inet corp" in tables(lab, "fw1")
        assert tables(lab, "fw2") != []

    holds(body)


def test_a_reboot_keeps_what_was_saved_and_forgets_what_was_only_loaded():
    def body(lab):
        first = tables(lab, "fw1")
        (lab.root("fw1") / "etc/nftables.d/ours.nft").write_text(OURS, encoding="ascii")
        lab.inside("fw1", [NFT, "-f", "-"], "table inet passing {}\n")
        assert tables(lab, "fw1") == sorted([*first, "inet passing"])
        login = subprocess.Popen(
            ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={lab.known_hosts}", "-i", str(lab.key_file),
             f"{lab.user}@172.31.250.21", "echo in; sleep 60"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        with login:
            assert login.stdout.readline() == "in\n"
            other = tables(lab, "fw2")
            lab.reboot("fw1")
            assert login.wait(timeout=5) == 255, "a login outlived the reboot"
        assert tables(lab, "fw1") == sorted([*first, "inet ours"])
        assert tables(lab, "fw2") == other
        assert ssh(lab, "fw1", "true").returncode == 0  # with the same host key

    holds(body)


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(INVENTORY, folder)
    return folder


def test_a_ruleset_that_does_not_load_stops_the_lab(site, capfd):
    (site / "configs/fw1.nft").write_text(
        "table inet corp { chain x { tcp dport nonsense accept; }; }\n", encoding="ascii"
    )
    assert in_lab(lambda _: None, site) == LabError.exit_code
    error = capfd.readouterr().err
    assert error.startswith("toolkit: fw1 does not boot: ")
    assert "nonsense" in error


def test_an_address_that_the_kernel_refuses_stops_the_lab(monkeypatch, capfd):
    from toolkit.lab.backends import netns

    monkeypatch.setattr(netns, "interface_lines", lambda *_: ["addr add 300.1.1.1/24 dev eth1"])
    assert in_lab(lambda _: None) == LabError.exit_code
    assert "300.1.1.1/24" in capfd.readouterr().err


def test_an_error_in_the_lab_takes_it_down(capfd):
    def body(lab):
        lab.spawn("node1", ["/bin/sleep", "1000"])
        raise LabError(f"something else, with {len(lab.namespaces)} nodes up")

    assert in_lab(body) == LabError.exit_code
    assert capfd.readouterr().err == "toolkit: something else, with 15 nodes up\n"


def test_programs_run_in_the_network_of_their_node():
    def body(lab):
        done = lab.run("node1", ["/bin/sh", "-c", "cat; exit 3"], "words")
        assert (done.returncode, done.stdout) == (3, "words")
        process = lab.spawn("node2", ["/bin/sh", "-c", "echo said; echo complained >&2; exec sleep 1000"])
        deadline = time.monotonic() + 5
        while "complained" not in lab.logs("node2") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lab.logs("node2") == "said\ncomplained"
        inside = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
        assert inside == os.fstat(lab.namespaces["node2"]).st_ino
        lab.down()
        assert process.returncode is not None
        assert process.returncode < 0

    holds(body)
