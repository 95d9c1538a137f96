"""Addresses, routes, bridges and kernel settings of a node: the same lines in a namespace and in a container."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.namespaces import program
from toolkit.lab.wire import network

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.lab.plan import LabNode, LabPlan

# Denials by REJECT are many at once. Only newer kernels keep these per network; elsewhere they are not there.
ICMP_SYSCTLS: Final = {"net.ipv4.icmp_msgs_per_sec": "100000", "net.ipv4.icmp_msgs_burst": "100000"}
# Management is a network of its own: its route stands in a table that only eth0 and the device itself ask, so
# that nothing is forwarded there, and no host reaches a device's login through a data interface.
MANAGEMENT_TABLE: Final = 100
MANAGEMENT_RULES: Final = (
    "rule add pref 10 from all lookup local",
    "rule add pref 1 to {network} iif eth0 lookup local",
    "rule add pref 2 to {network} iif lo lookup local",
    "rule add pref 3 to {network} iif lo lookup {table}",
    "rule add pref 4 to {network} blackhole",
    "rule add pref 5 iif eth0 blackhole",
    "rule del pref 0",
)


def interface_lines(node: LabNode, plan: LabPlan) -> Iterator[str]:
    """Lines for `ip -batch` that give a node its bridges, addresses and routes."""
    yield "link set lo up"
    for bridge in dict.fromkeys(name for _, name in node.bridges):
        yield f"link add name {bridge} type bridge stp_state 0 forward_delay 0"
        yield f"link set dev {bridge} up"
    for interface, bridge in node.bridges:
        yield f"link set dev {interface} master {bridge}"
        yield f"link set dev {interface} up"
    for interface, address in node.addresses:
        yield f"addr add {address} dev {interface}"
    for interface in dict.fromkeys(name for name, _ in node.addresses):
        yield f"link set dev {interface} up"
    if node.management is not None:
        management = plan.management
        yield f"addr add {node.management}/{management.prefixlen} dev eth0 noprefixroute"
        yield "link set eth0 up"
        yield f"route add {management} dev eth0 src {node.management} table {MANAGEMENT_TABLE}"
        yield from (rule.format(network=management, table=MANAGEMENT_TABLE) for rule in MANAGEMENT_RULES)
    for prefix, via in node.routes:
        yield f"route add {prefix} via {via}"


def switches_first(nodes: Sequence[LabNode]) -> list[LabNode]:
    """Nodes in the order in which they come up: an endpoint that is up before its switch is blind for a second."""
    return sorted(nodes, key=lambda one: not one.bridges)


def set_sysctls(node: LabNode, namespace: int) -> None:
    """Set what the topology file says of a node's kernel, in its network namespace."""
    with network(namespace):
        for name, value in {**dict(node.sysctls), **ICMP_SYSCTLS}.items():
            # `sysctl -w` reports an error and exits 0; a file that cannot be written says so.
            path = Path("/proc/sys") / name.replace(".", "/")
            if path.exists():
                path.write_text(value, encoding="ascii")


def ip_batch(lines: Sequence[str], enter: Sequence[str] = (), where: str = "") -> None:
    """Run `ip -batch`, which is an order of magnitude faster than one call per line; `enter` comes before it.

    Raises:
        LabError: a line was refused.
    """
    done = subprocess.run(
        [*enter, program("ip"), "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"ip{' -n ' + where if where else ''}: {done.stderr.strip()}")
