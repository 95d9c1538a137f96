"""What breaks in a lab on purpose, and what mends it: links, nodes, devices, ports, tracked connections.

Only the calls of the `Lab` protocol are used, so every backend breaks in the same way. Nothing here goes through the
toolkit's own push: a fault is what somebody else, or nobody, does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import LabError
from toolkit.lab.services import flush_connections
from toolkit.paths import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.lab.backends.base import Lab
    from toolkit.lab.failover import Failover
    from toolkit.lab.plan import LabNode
    from toolkit.lab.scenario import Block, Fault
    from toolkit.lab.services import Services

# A table of nobody's, in front of every filter of the device; one for each block, so that each can be taken back.
BLOCK: Final = """\
table {family} beside {{
	chain forward {{
		type filter hook forward priority -250; policy accept;
	}}
}}
"""


CABLES: Final = frozenset({"link_down", "link_up", "stop", "start", "reboot"})  # faults that darken or light links


class Faults:
    """The faults of one lab; virtual gateways follow what has failed."""

    def __init__(self, lab: Lab, services: Services, failover: Failover) -> None:
        self.lab = lab
        self.services = services
        self.failover = failover
        self._dark: set[str] = set()  # ends of links
        self._stopped: set[str] = set()

    def apply(self, fault: Fault) -> str:
        """Do what a scenario declares; returns what was done, where there is more to say than it declares.

        Raises:
            LabError: a node refuses.
        """
        handler: Any = getattr(self, fault.key)
        said = handler(fault.value)
        moved = self.failover.settle(self.failure) if fault.key in CABLES else ()
        return "; ".join(filter(None, (said, *moved)))

    @property
    def failure(self) -> Failure:
        """What is down now."""
        links = tuple(ends for ends in self.lab.plan.links if {f"{node}:{port}" for node, port in ends} & self._dark)
        return Failure(tuple(sorted(self._stopped)), links)

    # ---- links and nodes --------------------------------------------------------------------

    def link_down(self, end: str) -> None:
        """Cut a link at one end; the other end sees its carrier go."""
        node, _, interface = end.partition(":")
        self._ip(node, [f"link set dev {interface} down"])
        self._dark.add(end)

    def link_up(self, end: str) -> None:
        """Mend a link, with the routes of that end, which the kernel forgets with the interface."""
        node, _, interface = end.partition(":")
        self._ip(node, [f"link set dev {interface} up", *_routes(self.lab.plan.node(node))])
        self._dark.discard(end)

    def stop(self, name: str) -> None:
        """A node loses power: its services are gone and its links are dark."""
        node = self.lab.plan.node(name)
        self.services.stop(name)
        self._ip(name, [f"link set dev {interface} down" for interface in self._interfaces(node)])
        self._stopped.add(name)

    def start(self, name: str) -> None:
        """A node has power again: a device boots from its own files, a host starts its services with its old data."""
        node = self.lab.plan.node(name)
        if node.is_device:
            self.lab.reboot(name)
            flush_connections(self.lab, name)
        up = [port for port in self._interfaces(node) if f"{name}:{port}" not in self._dark]
        self._ip(name, [f"link set dev {interface} up" for interface in up])
        self._stopped.discard(name)
        self._ip(name, _routes(node))
        self.services.resume(name)

    def reboot(self, device: str) -> None:
        """A device restarts: its links are dark meanwhile, and it comes back with what its own files say."""
        self.stop(device)
        self.start(device)

    # ---- filters and connections ------------------------------------------------------------

    def block(self, what: Block) -> None:
        """A device drops a port, in a table that is not the toolkit's, until `unblock`."""
        family = self._family(what.device)
        match = "th dport", "th sport"
        rules = []
        for direction, end in zip(match, ("daddr", "saddr"), strict=True):
            hosts = ", ".join(self.lab.plan.node(name).address for name in what.to)
            only = f"ip {end} {{ {hosts} }} " if what.to else ""
            ethertype = "ether type ip " if family == "bridge" else ""
            rules.append(
                f"add rule {family} beside forward {ethertype}meta l4proto {what.protocol} {only}"
                f"{direction} {what.port} counter drop\n"
            )
        self._nft(what.device, BLOCK.format(family=family) + "".join(rules))

    def unblock(self, device: str) -> None:
        """Take back every block of a device."""
        self._nft(device, f"delete table {self._family(device)} beside\n")

    def flush(self, device: str) -> None:
        """A device forgets its connections."""
        flush_connections(self.lab, device)

    # ---- helpers ----------------------------------------------------------------------------

    def _family(self, device: str) -> str:
        return "bridge" if self.lab.plan.node(device).bridges else "inet"

    def _interfaces(self, node: LabNode) -> list[str]:
        """Data interfaces of a node, those of its links."""
        return [port for ends in self.lab.plan.links for name, port in ends if name == node.name]

    def _ip(self, node: str, lines: Sequence[str]) -> None:
        if lines:
            self._must(node, [self.lab.program("ip"), "-batch", "-"], "\n".join(lines) + "\n")

    def _nft(self, device: str, text: str) -> None:
        self._must(device, [self.lab.program("nft"), "-f", "-"], text)

    def _must(self, node: str, argv: Sequence[str], text: str) -> None:
        done = self.lab.run(node, argv, text)
        if done.returncode != 0:
            raise LabError(f"{node}: {done.stderr.strip()}")


def _routes(node: LabNode) -> list[str]:
    return [f"route replace {prefix} via {via}" for prefix, via in node.routes]
