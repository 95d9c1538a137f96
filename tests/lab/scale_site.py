"""A site of any size in the shape of `inventory/`: racks of nodes behind leaf switches, a core and an edge firewall.

::

    racks of nodes -- leaf1 ... leafN -- fw1 (core) -- fw2 (edge) -- client1, internet1
                                          |
                       lb1, jump1, install1, smtp1, sql1
"""

from __future__ import annotations

import shutil

import yaml

from tests.conftest import INVENTORY

SERVERS = 3
AROUND = {"lb1": 1, "jump1": 2, "install1": 3, "smtp1": 4, "sql1": 5}  # host -> third octet of 10.101.x.0/24


def write_site(folder, *, nodes=50, leaves=10, sample=None):
    """Write the inventory folder: `nodes` cluster nodes on `leaves` switches, and two firewalls; returns the folder.

    `sample` bounds the cells of the matrix, which grows with the square of the nodes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    racks = [[f"node{n + 1}" for n in range(nodes) if n % leaves == rack] for rack in range(leaves)]
    hosts, links = {}, []
    core = {}
    for number, rack in enumerate(racks, 1):
        leaf = f"leaf{number}"
        ports = {f"eth{n}": {"bridge": "rack"} for n in range(1, len(rack) + 2)}
        hosts[leaf] = {
            "hostname": f"172.31.248.{number + 10}",
            "groups": ["leaf_switches"],
            "data": {"interfaces": ports},
        }
        for port, node in enumerate(rack, 1):
            hosts[node] = _host(f"10.100.{number}.{port + 10}/24", f"10.100.{number}.1")
            links.append([f"{node}:eth1", f"{leaf}:eth{port}"])
        core[f"eth{number}"] = {"addresses": [f"10.100.{number}.1/24"]}
        links.append([f"{leaf}:eth{len(rack) + 1}", f"fw1:eth{number}"])
    for name, octet in AROUND.items():
        more = (f"10.101.{octet}.20/24",) if name == "lb1" else ()
        hosts[name] = _host(f"10.101.{octet}.10/24", f"10.101.{octet}.1", *more)
        core[f"eth{leaves + octet}"] = {"addresses": [f"10.101.{octet}.1/24"]}
        links.append([f"{name}:eth1", f"fw1:eth{leaves + octet}"])
    core["eth99"] = {"addresses": ["10.102.0.1/30"]}
    edge = {
        name: {"addresses": [a]}
        for name, a in zip(EDGE, ("10.102.0.2/30", "10.110.0.1/24", "203.0.113.1/24"), strict=True)
    }
    hosts["fw1"] = _firewall("172.31.248.201", core, {"prefix": "0.0.0.0/0", "via": "10.102.0.2"})
    hosts["fw2"] = _firewall("172.31.248.202", edge, {"prefix": "10.96.0.0/12", "via": "10.102.0.1"})
    hosts["client1"] = _host("10.110.0.10/24", "10.110.0.1")
    hosts["internet1"] = _host("203.0.113.10/24", "203.0.113.1")
    links += [["fw1:eth99", "fw2:eth1"], ["client1:eth1", "fw2:eth2"], ["internet1:eth1", "fw2:eth3"]]
    names = [node for rack in racks for node in rack]
    _write(folder / "hosts.yaml", hosts)
    _write(folder / "site.yaml", _site(names, leaves, links, sample))
    for file in ("groups.yaml", "defaults.yaml"):
        shutil.copy(INVENTORY / file, folder)
    shutil.copytree(INVENTORY / "specs", folder / "specs", dirs_exist_ok=True)
    shutil.copy(INVENTORY.parent / "labs" / "failures" / "baseline.yaml", folder / "specs")
    return folder


EDGE = ("eth1", "eth2", "eth3")


def _host(address, via, *more):
    interfaces = {"eth1": {"addresses": [address, *more]}}
    return {"groups": ["hosts"], "data": {"interfaces": interfaces, "routes": [{"prefix": "0.0.0.0/0", "via": via}]}}


def _firewall(management, interfaces, route):
    data = {"interfaces": interfaces, "routes": [route]}
    return {"hostname": management, "groups": ["firewalls"], "data": data}


def _site(nodes, leaves, links, sample):
    document = yaml.safe_load((INVENTORY / "site.yaml").read_text(encoding="utf-8"))
    servers = sorted(nodes, key=lambda name: int(name.removeprefix("node")))[:SERVERS]
    balancer = {"mode": "snat", "virtual": ["10.101.1.20"], "source": ["10.101.1.10"], "health_check": ["10.101.1.10"]}
    bindings = {
        "node": {"hosts": nodes},
        "server": {"hosts": servers},
        "agent": {"hosts": [name for name in nodes if name not in servers]},
        "load_balancer": {"hosts": ["lb1"]},
        "jump_server": {"hosts": ["jump1"]},
        "smtp_server": {"hosts": ["smtp1"]},
        "sql_server": {"hosts": ["sql1"]},
        "install_machine": {"hosts": ["install1"]},
        "temporary_registry": {"hosts": ["install1"]},
        "client": {"prefixes": ["10.110.0.0/24"], "at": "client1"},
        "internet": {"prefixes": ["0.0.0.0/0"], "at": "internet1"},
    }
    waves = [[f"leaf{number}" for number in range(2, leaves + 1)], ["fw1", "fw2"]]
    return {
        **document,
        "name": "scale",
        "specs": ["specs/uipath-automation-suite.yaml", "specs/baseline.yaml"],
        "bindings": bindings,
        "load_balancers": {"lb1": balancer},
        "links": links,
        "deploy": {"max_devices": leaves + 2, "canary": ["leaf1"], "waves": waves},
        "lab": {
            "management": "172.31.248.0/24",
            "seed": 9,
            "extra_ports": ["tcp/25", "udp/53"],
            **({"sample": sample} if sample else {}),
        },
    }


def _write(path, document):
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")
