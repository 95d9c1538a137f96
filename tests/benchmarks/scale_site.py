"""A site of any size in the shape of `inventory/`, for benchmarks and for tests of how cost grows.

::

    nodes -- leaf switches -- rack switch -- rack firewall --\
    (one such column for each rack)                           core -- edge -- client1, internet1
             lb1, smtp1, sql1, dns1, jump1, install1 -- svc --/

Fifty nodes, eight leaf switches, a rack switch and a rack firewall make a rack: 1,000 nodes have 20 racks and 200
devices in them, with the three around the core.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
PER_RACK = 50
LEAVES = 8
SERVERS = 3
SERVICES = {"lb1": (10, 20), "smtp1": (25,), "sql1": (30,), "dns1": (53,)}  # host -> last octets in 10.101.0.0/24
ADMIN = {"jump1": (10,), "install1": (20,)}  # the same in 10.101.1.0/24


def write_site(folder: Path, nodes: int, *, per_rack: int = PER_RACK, leaves: int = LEAVES) -> Path:
    """Write the inventory folder of a site with so many cluster nodes; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    build = Build()
    names = [f"node{number + 1}" for number in range(nodes)]
    racks = [names[first : first + per_rack] for first in range(0, nodes, per_rack)]
    for number, rack in enumerate(racks, 1):
        build.rack(number, rack, min(leaves, len(rack)))
    build.around(len(racks))
    finish(folder, build, names)
    return folder


def finish(folder: Path, build: Build, nodes: list[str]) -> None:
    """Write the files of a site whose hosts and links are there."""
    for file in ("groups.yaml", "defaults.yaml"):
        shutil.copy(INVENTORY / file, folder)
    shutil.copytree(INVENTORY / "specs", folder / "specs", dirs_exist_ok=True)
    _write(folder / "hosts.yaml", build.hosts)
    _write(folder / "site.yaml", _site_file(nodes, build.links))


class Build:
    """Hosts and links, as they are added."""

    def __init__(self) -> None:
        self.hosts: dict[str, Any] = {}
        self.links: list[list[str]] = []
        self.core: dict[str, Any] = {}
        self.core_routes: list[dict[str, str]] = []
        self.managed = 0

    def rack(self, number: int, nodes: list[str], leaves: int) -> None:
        """A subnet of nodes behind leaf switches, a rack switch and a rack firewall."""
        top, firewall = f"rack{number}", f"rfw{number}"
        shares = [nodes[leaf * len(nodes) // leaves : (leaf + 1) * len(nodes) // leaves] for leaf in range(leaves)]
        for leaf, share in enumerate(shares, 1):
            name = f"leaf{number}-{leaf}"
            for port, node in enumerate(share, 1):
                at = nodes.index(node)
                self.host(node, f"10.100.{number}", [11 + at])
                self.links.append([f"{node}:eth1", f"{name}:eth{port}"])
            self.switch(name, {f"eth{port}": "nodes" for port in range(1, len(share) + 2)})
            self.links.append([f"{name}:eth{len(share) + 1}", f"{top}:eth{leaf}"])
        self.switch(top, {f"eth{port}": "nodes" for port in range(1, leaves + 2)})
        self.links.append([f"{top}:eth{leaves + 1}", f"{firewall}:eth1"])
        transit = f"10.102.{number}"
        self.firewall(
            firewall,
            {"eth1": address(f"10.100.{number}.1/24"), "eth2": address(f"{transit}.2/30")},
            [route("0.0.0.0/0", f"{transit}.1")],
        )
        self.core[f"eth{number}"] = address(f"{transit}.1/30")
        self.core_routes.append(route(f"10.100.{number}.0/24", f"{transit}.2"))
        self.links.append([f"{firewall}:eth2", f"core:eth{number}"])

    def around(self, racks: int) -> None:
        """The services, the core, and the edge with what is outside."""
        ports: dict[str, str] = {}
        for network, bridge, hosts in (("10.101.0", "services", SERVICES), ("10.101.1", "admin", ADMIN)):
            for name, octets in hosts.items():
                port = f"eth{len(ports) + 1}"
                ports[port] = bridge
                self.host(name, network, octets)
                self.links.append([f"{name}:eth1", f"svc:{port}"])
            uplink, core_port = f"eth{len(ports) + 1}", f"eth{racks + len(self.core) + 1}"
            ports[uplink] = bridge
            self.core[core_port] = address(f"{network}.1/24")
            self.links.append([f"svc:{uplink}", f"core:{core_port}"])
        self.switch("svc", ports)
        self.core["transit"] = address("10.102.0.1/30")
        self.firewall("core", self.core, [*self.core_routes, route("0.0.0.0/0", "10.102.0.2")])
        edge = {"eth1": "10.102.0.2/30", "eth2": "10.110.0.1/24", "eth3": "203.0.113.1/24"}
        self.firewall(
            "edge",
            {name: address(one) for name, one in edge.items()},
            [route("10.96.0.0/13", "10.102.0.1")],
        )
        self.host("client1", "10.110.0", [10])
        self.host("internet1", "203.0.113", [10])
        self.links += [
            ["core:transit", "edge:eth1"],
            ["client1:eth1", "edge:eth2"],
            ["internet1:eth1", "edge:eth3"],
        ]

    def host(self, name: str, network: str, octets: Iterable[int]) -> None:
        """A host with one interface; its gateway is the first address of the network."""
        interfaces = {"eth1": {"addresses": [f"{network}.{octet}/24" for octet in octets]}}
        routes = [route("0.0.0.0/0", f"{network}.1")]
        self.hosts[name] = {"groups": ["hosts"], "data": {"interfaces": interfaces, "routes": routes}}

    def switch(self, name: str, ports: dict[str, str]) -> None:
        """A switch; `ports` gives the bridge of each."""
        data = {"interfaces": {port: {"bridge": bridge} for port, bridge in ports.items()}}
        self._device(name, "leaf_switches", data)

    def firewall(self, name: str, interfaces: dict[str, Any], routes: list[dict[str, str]]) -> None:
        """A firewall with routed interfaces."""
        self._device(name, "firewalls", {"interfaces": interfaces, "routes": routes})

    def _device(self, name: str, group: str, data: dict[str, Any]) -> None:
        self.managed += 1
        management = f"172.31.{240 + self.managed // 250}.{self.managed % 250 + 1}"
        self.hosts[name] = {"hostname": management, "groups": [group], "data": data}


def address(text: str) -> dict[str, list[str]]:
    """The data of an interface with one address."""
    return {"addresses": [text]}


def route(prefix: str, via: str) -> dict[str, str]:
    """The data of a declared route."""
    return {"prefix": prefix, "via": via}


def _site_file(nodes: list[str], links: list[list[str]]) -> dict[str, Any]:
    document = yaml.safe_load((INVENTORY / "site.yaml").read_text(encoding="utf-8"))
    balancer = {"mode": "snat", "virtual": ["10.101.0.20"], "source": ["10.101.0.10"], "health_check": ["10.101.0.10"]}
    bindings = {
        "node": {"hosts": nodes},
        "server": {"hosts": nodes[:SERVERS]},
        "agent": {"hosts": nodes[SERVERS:]},
        "load_balancer": {"hosts": ["lb1"]},
        "jump_server": {"hosts": ["jump1"]},
        "smtp_server": {"hosts": ["smtp1"]},
        "sql_server": {"hosts": ["sql1"]},
        "install_machine": {"hosts": ["install1"]},
        "temporary_registry": {"hosts": ["install1"]},
        "dns_server": {"hosts": ["dns1"]},
        "client": {"prefixes": ["10.110.0.0/24"], "at": "client1"},
        "internet": {"prefixes": ["0.0.0.0/0"], "at": "internet1"},
    }
    return {
        **document,
        "name": "scale",
        "bindings": bindings,
        "load_balancers": {"lb1": balancer},
        "links": links,
        "deploy": {"max_devices": 1000},
        "lab": {"management": "172.31.240.0/20", "seed": 9},
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")
