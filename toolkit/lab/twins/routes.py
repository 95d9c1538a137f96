"""Where a twin would send packets: connected subnets and static routes of its configuration, in each OS's own words."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, NamedTuple

from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.lab.twins.statements import Statements


class Leg(NamedTuple):
    """One way of a route: out by an interface, to the next router or (None) into a connected subnet."""

    prefix: IPv4Network
    interface: str
    via: IPv4Address | None


def connected(tree: Tree | Statements) -> dict[str, IPv4Interface]:
    """Interface (on an ASA its name) -> address."""
    return dict(_addresses(tree) if isinstance(tree, Tree) else _junos_addresses(tree))


def _addresses(tree: Tree) -> Iterator[tuple[str, IPv4Interface]]:
    for header, children in tree.sections.items():
        if header.startswith("interface "):
            name = next((one.split()[1] for one in children if one.startswith("nameif ")), header.split()[1])
            for child in children:
                words = child.split()
                if words[:2] == ["ip", "address"]:
                    yield name, IPv4Interface("/".join(words[2:4]))


def _junos_addresses(tree: Statements) -> Iterator[tuple[str, IPv4Interface]]:
    for words in tree.active():
        if words[0] == "interfaces" and words[4:7:2] == ("family", "address"):
            yield f"{words[1]}.{words[3]}", IPv4Interface(words[7])


def _static(tree: Tree | Statements) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    if not isinstance(tree, Tree):
        for words in tree.active():
            if words[:3] == ("routing-options", "static", "route") and words[4:5] == ("next-hop",):
                yield IPv4Network(words[3]), IPv4Address(words[5])
        return
    for header in tree.sections:
        words = tuple(header.split())
        if words[:2] == ("ip", "route") or words[:1] == ("route",):
            rest = words[2:]
            prefix, via = (rest[0], rest[1]) if "/" in rest[0] else ("/".join(rest[:2]), rest[2])
            yield IPv4Network(prefix), IPv4Address(via)


def lookup(tree: Tree | Statements, address: str) -> list[Leg]:
    """All ways of the longest prefix that holds an address; none where there is no route.

    Raises:
        RejectedError: it is no address.
    """
    try:
        goal = IPv4Address(address)
    except ValueError:
        raise RejectedError(0) from None
    interfaces = connected(tree)
    legs = [Leg(one.network, name, None) for name, one in interfaces.items()]
    for prefix, via in _static(tree):
        legs += [Leg(prefix, name, via) for name, one in interfaces.items() if via in one.network]
    best = max((leg.prefix.prefixlen for leg in legs if goal in leg.prefix), default=None)
    return [leg for leg in legs if goal in leg.prefix and leg.prefix.prefixlen == best]


def ios(tree: Tree, address: str) -> str:
    """`show ip cef ADDRESS`."""
    legs = lookup(tree, address)
    if not legs:
        return "0.0.0.0/0\n  no route"
    hops = [f"  nexthop {one.via} {one.interface}" if one.via else f"  attached to {one.interface}" for one in legs]
    return "\n".join([str(legs[0].prefix), *hops])


def eos(tree: Tree, address: str) -> str:
    """`show ip route ADDRESS`."""
    head = "\nVRF: default\nCodes: C - connected, S - static, K - kernel,\n       O - OSPF, IA - OSPF inter area\n\n"
    lines = []
    for number, one in enumerate(lookup(tree, address)):
        way = f"via {one.via}, {one.interface}" if one.via else f"is directly connected, {one.interface}"
        kind = f" S        {one.prefix} [1/0] " if one.via else f" C        {one.prefix} "
        lines.append((" " * len(kind) if number else kind) + way)
    return head + "\n".join(lines) + "\n"


def nxos(tree: Tree, address: str) -> str:
    """`show ip route ADDRESS`, or with the word `direct` all connected subnets."""
    head = "IP Route Table for VRF \"default\"\n'*' denotes best ucast next-hop\n'**' denotes best mcast next-hop\n"
    if address == "direct":
        legs = [Leg(one.network, name, None) for name, one in connected(tree).items()]
        return head + "".join(f"\n{_nx_head([one])}\n{_nx_leg(one, tree)}" for one in legs)
    legs = lookup(tree, address)
    if not legs:
        return f"{head}\nRoute not found"
    return "\n".join([head, _nx_head(legs), *(_nx_leg(one, tree) for one in legs)])


def _nx_head(legs: list[Leg]) -> str:
    return f"{legs[0].prefix}, ubest/mbest: {len(legs)}/0{', attached' if legs[0].via is None else ''}"


def _nx_leg(leg: Leg, tree: Tree) -> str:
    own = connected(tree)[leg.interface].ip
    kind = "static" if leg.via else "direct"
    return f"    *via {leg.via or own}, {leg.interface}, [{1 if leg.via else 0}/0], 00:01:02, {kind}"


def asa(tree: Tree, address: str) -> str:
    """`show route ADDRESS`."""
    legs = lookup(tree, address)
    if not legs:
        return "% Network not in table"
    prefix = legs[0].prefix
    known = '"static", distance 1, metric 0' if legs[0].via else '"connected", distance 0, metric 0 (connected)'
    ways = [f"  * {one.via or 'directly connected'}, via {one.interface}" for one in legs]
    head = f"\nRouting entry for {prefix.network_address} {prefix.netmask}\n  Known via {known}"
    return "\n".join([head, "  Routing Descriptor Blocks:", *ways, "      Route metric is 0, traffic share count is 1"])


def asa_names(tree: Tree) -> str:
    """`show nameif`."""
    rows = ["Interface                Name                     Security"]
    for header, children in tree.sections.items():
        words = dict(one.split()[:2] for one in children if one.startswith(("nameif ", "security-level ")))
        if header.startswith("interface ") and "nameif" in words:
            rows.append(f"{header.split()[1]:24} {words['nameif']:24} {words.get('security-level', '0'):>8}")
    return "\n".join(rows)


def junos(tree: Statements, address: str) -> str:
    """`show route table inet.0 ADDRESS active-path`."""
    legs = lookup(tree, address)
    if not legs:
        return ""
    head = (
        "\ninet.0: 9 destinations, 9 routes (9 active, 0 holddown, 0 hidden)\n"
        "+ = Active Route, - = Last Active, * = Both\n"
    )
    kind = "Static/5" if legs[0].via else "Direct/0"
    first = f"{legs[0].prefix!s:18} *[{kind}] 00:01:02"
    ways = [f"                    > {f'to {one.via} ' if one.via else ''}via {one.interface}" for one in legs]
    return "\n".join([head, first, *ways, ""])
