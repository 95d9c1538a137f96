"""The reference site with all nodes in the balancer's segment, which now spans both leafs, and its balancer in a mode."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
CLIENTS = {"prefix": "10.20.0.0/24", "via": "10.10.2.21"}


def make_site(folder, mode, *, snat_roles=(), through_balancer=("node1", "node2", "node3"), stretched=True):
    """Write the site to `folder`; `through_balancer` are the nodes that route to clients over the balancer."""
    shutil.copytree(INVENTORY, folder)
    hosts = yaml.safe_load((folder / "hosts.yaml").read_text())
    site = yaml.safe_load((folder / "site.yaml").read_text())
    site["load_balancers"]["lb1"]["mode"] = mode
    if snat_roles:
        site["load_balancers"]["lb1"]["snat_roles"] = list(snat_roles)
    if stretched:
        for name, last in (("node1", 11), ("node2", 12)):
            hosts[name]["data"]["interfaces"]["eth1"]["addresses"] = [f"10.10.2.{last}/24"]
            hosts[name]["data"]["routes"] = [{"prefix": "0.0.0.0/0", "via": "10.10.2.1"}]
        for name in through_balancer:
            hosts[name]["data"]["routes"].append(CLIENTS)
        for port in ("eth1", "eth2", "eth7"):
            hosts["leaf1"]["data"]["interfaces"][port] = {"bridge": "nodes_b"}
        hosts["leaf2"]["data"]["interfaces"]["eth8"] = {"bridge": "nodes_b"}
        site["links"].append(["leaf1:eth7", "leaf2:eth8"])
    (folder / "hosts.yaml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    (folder / "site.yaml").write_text(yaml.safe_dump(site, sort_keys=False))
    return folder
