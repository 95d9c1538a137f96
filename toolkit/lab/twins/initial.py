"""What a twin boots from the first time: its name, and its interfaces with their addresses or bridges.

A configuration that the inventory records for the device (`filter.running`) is taken as it stands instead.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolkit.lab.plan import LabNode

VLANS: Final = 10  # bridges of a switch become VLANs from this number on


def initial_config(node: LabNode) -> str:
    """The text, in the language of the node's network OS (`system`)."""
    names = dict(node.names)
    addresses = {name: [a for cable, a in node.addresses if cable == names[name]] for name in names}
    inside = dict(node.bridges)
    bridges = {name: [inside[c] for one, c in node.names if one == name and c in inside] for name in names}
    vlans = {bridge: VLANS * number for number, bridge in enumerate(dict.fromkeys(b for _, b in node.bridges), 1)}
    svis = {name: cable for name, cable in node.names if cable in vlans}  # the lab's bridge is the routed interface
    vlans |= {bridge: number for name, bridge in svis.items() if (number := _number(name)) is not None}
    if node.system == "juniper_junos":
        return "\n".join((*_junos(node, addresses, bridges, vlans), *_l3_interfaces(svis))) + "\n"
    lines = [f"hostname {node.name}"]
    for name in names:
        lines.append(f"interface {name}")
        if node.system == "cisco_asa":
            lines += [f" nameif {_asa_name(name)}", " security-level 0"]
        elif len(bridges[name]) > 1:  # a trunk, each of whose VLANs has a cable of its own in the lab
            allowed = ",".join(str(vlans[bridge]) for bridge in bridges[name])
            lines += [" switchport mode trunk", f" switchport trunk allowed vlan {allowed}"]
        elif bridges[name]:
            lines.append(f" switchport access vlan {vlans[bridges[name][0]]}")
        elif name not in svis and node.system in ("arista_eos", "cisco_nxos"):
            lines.append(" no switchport")
        lines += [f" ip address {_masked(node, IPv4Interface(address))}" for address in addresses[name]]
    if node.system == "cisco_asa":  # nothing is recorded that would tell one interface's level from another's
        lines += ["same-security-traffic permit inter-interface", "same-security-traffic permit intra-interface"]
        lines += ["class-map inspection_default", " match default-inspection-traffic", "policy-map global_policy"]
        lines += [" class inspection_default", "  inspect icmp", "service-policy global_policy global"]
    routes = [(IPv4Interface(prefix), IPv4Address(via.split()[0])) for prefix, via in node.routes]
    if node.system == "cisco_asa":
        subnets = [(IPv4Interface(a).network, _asa_name(name)) for name, some in addresses.items() for a in some]
        towards = {via: next((name for subnet, name in subnets if via in subnet), "") for _, via in routes}
        lines += [f"route {towards[via]} {_masked(node, prefix)} {via} 1" for prefix, via in routes]
    else:
        lines += [f"ip route {_masked(node, prefix)} {via}" for prefix, via in routes]
    return "\n".join([*lines, ""])


def _masked(node: LabNode, one: IPv4Interface) -> str:
    """An address or a prefix with its length, or with its mask."""
    return str(one) if node.system in ("arista_eos", "cisco_nxos") else f"{one.ip} {one.netmask}"


def _number(interface: str) -> int | None:
    """The number of the VLAN that an interface routes for: `Vlan10`, `irb.10`."""
    digits = interface[len(interface.rstrip("0123456789")) :]
    return int(digits) if digits else None


def _l3_interfaces(svis: Mapping[str, str]) -> Iterable[str]:
    return (f"set vlans {bridge} l3-interface {name}" for name, bridge in svis.items())


def _asa_name(interface: str) -> str:
    """An ASA calls its interfaces by names of their own."""
    return interface.replace("/", "-")


def _junos(
    node: LabNode,
    addresses: Mapping[str, Iterable[str]],
    bridges: Mapping[str, Iterable[str]],
    vlans: Mapping[str, int],
) -> Iterable[str]:
    yield f"set system host-name {node.name}"
    for name, carried in bridges.items():
        base, _, unit = name.partition(".")
        start = f"set interfaces {base} unit {unit or '0'} family"
        yield from (f"{start} ethernet-switching vlan members {bridge}" for bridge in carried)
        for address in addresses[name]:
            yield f"{start} inet address {address}"
    for prefix, via in node.routes:
        yield f"set routing-options static route {prefix} next-hop {via.split()[0]}"
    for bridge, vlan in vlans.items():
        yield f"set vlans {bridge} vlan-id {vlan}"
