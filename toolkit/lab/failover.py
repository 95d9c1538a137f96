"""Virtual gateway addresses in a lab: they move when something fails, as VRRP would move them.

The protocol itself is not simulated: which member forwards is known from the failure, by the same rule that the paths
go by. The address leaves the old member, comes up on the new one, and a gratuitous ARP tells the segment.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.topology_file import virtual_address
from toolkit.lab.wire import network
from toolkit.paths.failure import HEALTHY, Failure, Remaining

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from toolkit.lab.backends.base import Lab
    from toolkit.redundancy import RedundancyGroup
    from toolkit.topology import Topology

PATIENCE: Final = 15.0  # seconds
BROADCAST: Final = b"\xff" * 6
ETHERTYPE_ARP: Final = 0x0806
# Ethernet, IPv4, six and four bytes of address, a request (RFC 5227, 3: announcements are requests).
ARP_REQUEST: Final = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)


class Failover:
    """Who holds the virtual addresses of one lab."""

    def __init__(self, lab: Lab, topology: Topology) -> None:
        self.lab = lab
        self.topology = topology
        self.failure = HEALTHY
        # As the topology file has it: the first member of each group starts with its addresses.
        self.holders: dict[str, tuple[str, ...]] = {group.name: group.members[:1] for group in topology.groups}

    def settle(self, failure: Failure) -> tuple[str, ...]:
        """Wait until links are as the failure says, then put the virtual addresses where they belong.

        Returns each group that moved, in words. Of an active/active group one member holds the addresses: the lab has
        no switch that shares out load.

        Raises:
            LabError: a link is not as the failure says, or a member refuses.
        """
        self._wait_for_links(failure)
        self.failure = failure
        forwarding = Remaining(self.topology, failure).forwarding
        moved = []
        for group in self.topology.groups:
            old, new = self.holders[group.name], forwarding[group.name][:1]
            if new and new != old:
                self._move(group, old, new)
                self.holders[group.name] = new
                moved.append(f"{group.name}: {', '.join(old)} to {', '.join(new)}")
        return tuple(moved)

    def seen(self, name: str) -> tuple[str, ...]:
        """Members that have all virtual addresses of a group, as they say themselves.

        Raises:
            LabError: a member does not answer.
        """
        (group,) = (one for one in self.topology.groups if one.name == name)
        return tuple(member for member in group.members if self._holds(group, member))

    def _holds(self, group: RedundancyGroup, member: str) -> bool:
        done = self.lab.run(member, [self.lab.program("ip"), "-j", "addr", "show"])
        if done.returncode != 0:
            raise LabError(f"{member}: {done.stderr.strip()}")
        found = {
            (link["ifname"], f"{one['local']}/{one['prefixlen']}")
            for link in json.loads(done.stdout)
            for one in link["addr_info"]
        }
        return found.issuperset(self._addresses(group, member))

    def _wait_for_links(self, failure: Failure) -> None:
        """The kernel tells the other end of a link up to a second later, and drops what is sent there meanwhile."""
        remaining = Remaining(self.topology, failure)
        touched = {end[0] for one in (self.failure, failure) for link in one.links for end in link}
        for node in (*self.failure.nodes, *failure.nodes):
            touched |= {node, *(peer[0] for port, peer in self.topology.peer.items() if port[0] == node)}
        deadline = time.monotonic() + PATIENCE
        for name in sorted(touched):
            while wrong := self._not_as(name, remaining):
                if time.monotonic() > deadline:
                    raise LabError(f"links of {name} are not as the failure ({failure}) says: {', '.join(wrong)}")
                time.sleep(0.02)

    def _not_as(self, name: str, remaining: Remaining) -> list[str]:
        done = self.lab.run(name, [self.lab.program("ip"), "-j", "link", "show"])
        if done.returncode != 0:
            raise LabError(f"{name}: {done.stderr.strip()}")
        is_up = {one["ifname"]: one["operstate"] == "UP" for one in json.loads(done.stdout)}
        ports = [port for port in self.topology.peer if port[0] == name]
        return [
            f"{interface} is {'up' if is_up.get(interface) else 'down'}"
            for node, interface in ports
            if is_up.get(interface, False) != remaining.port((node, interface))
        ]

    def _move(self, group: RedundancyGroup, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        for member in old:
            self._ip(member, [f"addr del {a} dev {i}" for i, a in self._addresses(group, member)])
        for member in new:
            self._ip(member, [f"addr add {a} dev {i}" for i, a in self._addresses(group, member)])
            for virtual, (interface, _) in zip(group.virtual, self._addresses(group, member), strict=True):
                announce(self.lab.namespaces[member], interface, virtual)

    def _addresses(self, group: RedundancyGroup, member: str) -> list[tuple[str, str]]:
        node = self.topology.node(member)
        return [virtual_address(node, virtual) for virtual in group.virtual]

    def _ip(self, node: str, lines: list[str]) -> None:
        done = self.lab.run(node, [self.lab.program("ip"), "-batch", "-"], "\n".join(lines) + "\n")
        if done.returncode != 0:
            raise LabError(f"{node}: {done.stderr.strip()}")


def announce(namespace: int, interface: str, address: IPv4Address) -> None:
    """Send a gratuitous ARP: whoever knows the address learns where it is now; switches learn the port.

    Raises:
        LabError: the interface refuses; one without a carrier takes the frame and loses it.
    """
    try:
        with network(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((interface, ETHERTYPE_ARP))
            mac: bytes = sock.getsockname()[4]
            ends = mac + address.packed + bytes(6) + address.packed
            sock.send(BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP) + ARP_REQUEST + ends)
    except OSError as caught:
        raise LabError(f"cannot announce {address} on {interface}: {caught.strerror}") from caught
