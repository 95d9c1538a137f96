"""A site of many racks whose routers carry a long access list of another team each; a sibling of `scale_site.py`.

::

    five nodes -- switch -- rack router (IOS or NX-OS; somebody's list inwards from the core) --\
    (one such column for each rack)                                                             core -- edge -- ...
             lb1, smtp1, sql1, dns1, jump1, install1 -- svc ------------------------------------/

Each list is another one: hosts, prefixes and ports of that team's servers, a few entries that meet ours, a few denies
that do not, and `deny ip any any` at its end. The toolkit extends it.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.benchmarks.scale_site import Build, address, finish, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODES = 5  # of a rack
UPLINK = 2
PORTS = {"cisco_ios": "GigabitEthernet0/{}", "cisco_nxos": "Ethernet1/{}"}
SERVICES = (22, 25, 53, 80, 88, 123, 135, 139, 161, 389, 443, 445, 514, 636, 1433, 1521, 3268, 3306, 3389, 5432, 8080)


def write_brownfield(folder: Path, racks: int, lines: int, *, platforms: tuple[str, ...] = tuple(PORTS)) -> Path:
    """Write the inventory folder of a site with so many racks, and lists of so many lines; returns the folder."""
    configs = folder / "configs"
    configs.mkdir(parents=True, exist_ok=True)
    build = Build()
    names = [f"node{number + 1}" for number in range(racks * NODES)]
    for number in range(1, racks + 1):
        platform = platforms[number % len(platforms)]
        router = f"router{number}"
        _rack(build, number, names[(number - 1) * NODES : number * NODES], router, platform)
        text = "\n".join(_config(number, lines, platform)) + "\n"
        (configs / f"{router}.cfg").write_text(text, encoding="ascii")
    build.around(racks)
    finish(folder, build, names)
    return folder


def _rack(build: Build, number: int, nodes: list[str], router: str, platform: str) -> None:
    """Nodes behind a switch that filters nothing, a router with somebody's list, and the core behind it."""
    inside, uplink = (PORTS[platform].format(number) for number in (1, UPLINK))
    top, network = f"top{number}", f"10.100.{number}"
    for at, node in enumerate(nodes, 1):
        build.host(node, network, [7 + at])
        build.links.append([f"{node}:eth1", f"{top}:eth{at}"])
    build.switch(top, {f"eth{at}": "nodes" for at in range(1, len(nodes) + 2)})
    build.hosts[top]["data"]["filter"] = {"mode": "none"}
    build.links.append([f"{top}:eth{len(nodes) + 1}", f"{router}:{inside}"])
    interfaces = {inside: address(f"{network}.1/24"), uplink: address(f"10.102.{number}.2/30")}
    data = {
        "kind": "router",
        "interfaces": interfaces,
        "routes": [route("0.0.0.0/0", f"10.102.{number}.1")],
        "filter": {"mode": "extend", "running": f"configs/{router}.cfg"},
    }
    build.hosts[router] = {
        "hostname": f"172.31.{250 + number // 250}.{number % 250 + 1}",
        "platform": platform,
        "username": "netops",
        "data": data,
    }
    build.core[f"eth{number}"] = address(f"10.102.{number}.1/30")
    build.core_routes.append(route(f"10.100.{number}.0/24", f"10.102.{number}.2"))
    build.links.append([f"{router}:{uplink}", f"core:eth{number}"])


def _config(number: int, lines: int, platform: str) -> Iterator[str]:
    """The running configuration of a router, as far as it filters."""
    entries = [*_entries(random.Random(number), number, lines - 1), "deny ip any any log"]
    yield "ip access-list extended CORP-IN" if platform == "cisco_ios" else "ip access-list CORP-IN"
    numbered = platform != "cisco_ios"
    for at, entry in enumerate(entries):
        text = entry if platform == "cisco_ios" else _prefixes(entry)
        yield f" {(at + 1) * 10} {text}" if numbered else f" {text}"
    yield f"interface {PORTS[platform].format(UPLINK)}"
    yield " ip access-group CORP-IN in"
    if platform == "cisco_ios":
        yield "end"


def _entries(dice: random.Random, number: int, count: int) -> Iterator[str]:
    """Different entries, in the words of IOS."""
    seen: set[str] = set()
    while len(seen) < count:
        entry = _entry(dice, number)
        if entry not in seen:
            seen.add(entry)
            yield entry


def _entry(dice: random.Random, number: int) -> str:
    kind = dice.random()
    protocol = dice.choice(("tcp", "tcp", "tcp", "udp"))
    # Mostly servers of theirs beside our nodes; one in twenty meets a node.
    ours = dice.random() < 0.05
    host = f"host 10.{100 if ours else 200}.{number}.{dice.randrange(2, 40 if ours else 254)}"
    source = f"host 172.{dice.randrange(16, 32)}.{dice.randrange(256)}.{dice.randrange(256)}"
    port = dice.choice(SERVICES)
    if kind < 0.65:
        return f"permit {protocol} {source} {host} eq {port}"
    network = IPv4Network((int.from_bytes(dice.randbytes(2)) << 8 | 0xAC10 << 16 & 0xFFF00000, 24), strict=False)
    wide = f"{network.network_address} 0.0.0.255"
    if kind < 0.8:
        return f"permit {protocol} {wide} {host} eq {port}"
    if kind < 0.9:
        low = dice.randrange(1024, 60000)
        return f"permit {protocol} {wide} {host} range {low} {low + dice.randrange(1, 2000)}"
    if kind < 0.95:
        return f"deny {protocol} {wide} host 10.200.{number}.{dice.randrange(2, 254)} eq {port}"
    # Not to our nodes: later fragments of some ICMP there, and not of all, would be for its owner to settle first.
    theirs = f"host 10.200.{number}.{dice.randrange(2, 254)}"
    return f"permit icmp {wide} {theirs} {dice.choice(('echo', 'echo-reply', 'unreachable'))}"


def _prefixes(entry: str) -> str:
    """The same entry with prefixes in the place of wildcard masks of whole octets."""
    return entry.replace(" 0.0.0.255", "/24")
