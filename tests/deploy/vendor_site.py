"""The reference site on vendors' devices: EOS and NX-OS leaves, an ASA inside, IOS at the edge, and twins of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from toolkit.lab.twins import Login, make_twin

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv4Network

ROOT = Path(__file__).resolve().parents[2]
# device -> (platform, kind, what `eth` becomes)
DEVICES = {
    "leaf1": ("arista_eos", "switch", "Ethernet"),
    "leaf2": ("cisco_nxos", "switch", "Ethernet1/"),
    "fw1": ("cisco_asa", "firewall", "port"),
    "fw2": ("cisco_ios", "router", "GigabitEthernet0/"),
}


def write_site(folder: Path) -> Path:
    """A copy of the reference inventory with other devices."""
    shutil.copytree(ROOT / "inventory", folder)
    hosts = yaml.safe_load((folder / "hosts.yaml").read_text(encoding="utf-8"))
    for device, (platform, kind, port) in DEVICES.items():
        data = hosts[device]["data"]
        data["kind"] = kind
        data["interfaces"] = {name.replace("eth", port): one for name, one in data["interfaces"].items()}
        data.pop("filter", None)
        hosts[device] |= {"platform": platform, "groups": []}
    (folder / "hosts.yaml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    site = yaml.safe_load((folder / "site.yaml").read_text(encoding="utf-8"))
    site["links"] = [[_renamed(end) for end in link] for link in site["links"]]
    site["deploy"]["min_level"] = {}
    (folder / "site.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    return folder


def _renamed(end: str) -> str:
    node, _, interface = end.partition(":")
    return f"{node}:{interface.replace('eth', DEVICES[node][2])}" if node in DEVICES else end


def twins_of(site, public_key: str):
    """A twin for each device, with its addresses and routes and no access list."""
    return [
        make_twin(device, DEVICES[device][0], _config(site.topology.node(device)), Login("netops", None, (public_key,)))
        for device in DEVICES
    ]


def _config(node) -> str:
    lines = [f"hostname {node.name}"]
    for number, (name, one) in enumerate(node.interfaces.items()):
        lines.append(f"interface {name if node.platform != 'cisco_asa' else f'GigabitEthernet0/{number}'}")
        if node.platform == "cisco_asa":
            lines += [f" nameif {name}", " security-level 50"]
        if one.bridge is not None:
            lines.append(" switchport")
        lines += [f" ip address {_address(node.platform, address)}" for address in one.addresses]
    if node.platform == "cisco_asa":
        lines += ["same-security-traffic permit inter-interface", "same-security-traffic permit intra-interface"]
        lines += ["policy-map global_policy", " class inspection_default", "  inspect icmp"]
        lines.append("service-policy global_policy global")
    lines += [f"{_route(node, one.prefix)} {one.via}" for one in node.routes]
    return "\n".join(lines) + "\n"


def _address(platform: str, address: IPv4Interface) -> str:
    return str(address) if platform in ("arista_eos", "cisco_nxos") else f"{address.ip} {address.netmask}"


def _route(node, prefix: IPv4Network) -> str:
    if node.platform == "cisco_asa":
        return f"route {list(node.interfaces)[-1]} {prefix.network_address} {prefix.netmask}"
    return f"ip route {prefix.network_address} {prefix.netmask}"
