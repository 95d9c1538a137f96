"""Three hosts around one firewall, in namespaces that end with the test.

::

    a 10.1.0.10 --- eth1 fw eth2 --- b 10.2.0.10, virtual 10.2.0.20
                         eth3
                          |
                     c 10.3.0.10
"""

from __future__ import annotations

import os
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.lab.namespaces import check_permission, check_programs, enter_network, program, run_inside
from toolkit.lab.wire import network

ADDRESS = {"a": IPv4Address("10.1.0.10"), "b": IPv4Address("10.2.0.10"), "c": IPv4Address("10.3.0.10")}
VIRTUAL = IPv4Address("10.2.0.20")
SYSCTLS = {
    "ip_forward": "1",
    "icmp_ratelimit": "0",
    "icmp_msgs_per_sec": "100000",
    "icmp_msgs_burst": "100000",
}


def inside(test):
    """Run the test's body with a fresh SmallNetwork in a forked child; a failure there fails the test here."""
    try:
        check_programs(("ip", "nft"))
        check_permission()
    except ToolkitError as caught:
        pytest.skip(str(caught))

    def body():
        test(SmallNetwork())
        return 0

    assert run_inside(body) == 0, "the traceback of the child stands in the captured output"


class SmallNetwork:
    def __init__(self):
        batch = [f"netns add {name}" for name in (*ADDRESS, "fw")]
        batch += [
            f"link add eth{n} netns fw type veth peer name eth1 netns {host}" for n, host in enumerate(ADDRESS, 1)
        ]
        self.ip(None, batch)
        up = ["link set lo up"]
        self.ip("fw", up + [f"addr add 10.{n}.0.1/24 dev eth{n}" for n in (1, 2, 3)])
        self.ip("fw", [f"link set eth{n} up" for n in (1, 2, 3)])
        for n, (host, address) in enumerate(ADDRESS.items(), 1):
            extra = [f"addr add {VIRTUAL}/24 dev eth1"] if host == "b" else []
            setup = [f"addr add {address}/24 dev eth1", *extra, "link set eth1 up", f"route add default via 10.{n}.0.1"]
            self.ip(host, up + setup)
        self.fds = {name: os.open(f"/run/netns/{name}", os.O_RDONLY) for name in (*ADDRESS, "fw")}
        self.hosts = {name: self.fds[name] for name in ADDRESS}
        self.devices = {"fw": self.fds["fw"]}
        with network(self.fds["fw"]):
            for name, value in SYSCTLS.items():
                Path(f"/proc/sys/net/ipv4/{name}").write_text(value, encoding="ascii")

    @staticmethod
    def ip(namespace, lines):
        where = ["-n", namespace] if namespace else []
        text = "\n".join(lines) + "\n"
        subprocess.run([program("ip"), *where, "-batch", "-"], input=text, text=True, check=True)

    def load(self, rules, chain="type filter hook forward priority 0; policy accept;"):
        """Replace the firewall's ruleset by one forward chain with these rules."""
        text = f"flush ruleset\ntable inet f {{\nchain forward {{\n{chain}\n" + "\n".join(rules) + "\n}\n}\n"
        subprocess.run(
            [program("nft"), "-f", "-"],
            input=text,
            text=True,
            check=True,
            preexec_fn=lambda: enter_network(self.fds["fw"]),
        )
