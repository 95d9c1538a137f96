"""The ways of a flow under every single failure, found once for all hosts that are attached alike.

A failure matters to a pair of hosts in two cases only: something on one of their paths is down, or a redundancy
group lets another member forward. Everything else leaves their paths as they are. Hosts on the same bridge with
the same routes differ in nothing but the switch port, so what is found for two of them serves all.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.errors import NoPathError
from toolkit.paths.failure import Failure, Remaining, single_failures

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.paths.finder import Hop, Path, PathFinder
    from toolkit.topology import Port

Class = tuple["Hashable", ...]
Found = tuple[tuple["Path", ...], "Port", "Port"]  # paths, and the switch ports of the hosts they were found for


class Alternatives:
    """All paths that a pair of hosts may use, whatever single thing fails."""

    def __init__(self, finder: PathFinder) -> None:
        self.finder = finder
        self.topology = finder.topology
        self._found: dict[tuple[Class, Class], Found] = {}
        self._known: dict[IPv4Address, tuple[int, ...]] = {}
        self._pairs: dict[tuple[str, str, IPv4Address], tuple[Path, ...]] = {}

    def paths(self, source: str, destination: str, address: IPv4Address) -> tuple[Path, ...]:
        """Paths of the healthy state first, then those that a single failure adds, each once.

        Raises:
            NoPathError, SiteError: as `PathFinder.paths` in the healthy state.
        """
        if not self.topology.redundant:
            return self.finder.paths(source, destination, address)
        key = (source, destination, address)
        if key not in self._pairs:
            self._pairs[key] = self._of_class(source, destination, address)
        return self._pairs[key]

    def _of_class(self, source: str, destination: str, address: IPv4Address) -> tuple[Path, ...]:
        start, end = self._attachment(source), self._attachment(destination)
        if start is None or end is None:
            return self._search(source, destination, address)
        key = (self._class(source, start), (*self._class(destination, end), self._seen_as(address)))
        if key not in self._found:
            self._found[key] = (self._search(source, destination, address), start, end)
        paths, first, last = self._found[key]
        return tuple(
            replace(path, source=source, destination=destination, hops=_moved(path.hops, (first, start), (last, end)))
            for path in paths
        )

    def _search(self, source: str, destination: str, address: IPv4Address) -> tuple[Path, ...]:
        found = dict.fromkeys(self.finder.paths(source, destination, address))
        for failure in self.failures(tuple(found)):
            try:
                found.update(dict.fromkeys(self.finder.under(failure).paths(source, destination, address)))
            except NoPathError:
                continue  # nothing passes then, so nothing needs a permit
        return tuple(found)

    def failures(self, paths: Iterable[Path]) -> tuple[Failure, ...]:
        """The single failures that can move a packet away from these paths."""
        touched = (failure for path in paths for failure in self._on(path))
        return tuple(dict.fromkeys((*touched, *self.elections)))

    def _on(self, path: Path) -> Iterator[Failure]:
        for hop in path.hops:
            yield Failure(nodes=(hop.device,))
            for interface in (hop.in_interface, hop.out_interface):
                link = self._link_at.get((hop.device, interface))
                if link is not None:
                    yield Failure(links=(link,))

    @cached_property
    def elections(self) -> tuple[Failure, ...]:
        """Single failures after which a redundancy group lets another member forward."""
        usual = self.finder.remaining.forwarding
        if not usual:
            return ()
        return tuple(
            failure
            for failure in single_failures(self.topology)
            if Remaining(self.topology, failure).forwarding != usual
        )

    @cached_property
    def _link_at(self) -> dict[Port, tuple[Port, Port]]:
        return {port: link for link in self.topology.links for port in link}

    def _attachment(self, host: str) -> Port | None:
        """The switch port of a host that has one cable, to a bridge; None for any other."""
        interfaces = list(self.topology.nodes[host].interfaces.values())
        peer = self.topology.peer.get(interfaces[0].port) if len(interfaces) == 1 else None
        return peer if peer is not None and self.topology.interface(peer).bridge is not None else None

    def _class(self, host: str, port: Port) -> Class:
        node = self.topology.nodes[host]
        networks = frozenset(address.network for one in node.interfaces.values() for address in one.addresses)
        return port[0], self.topology.interface(port).bridge, node.routes, networks

    def _seen_as(self, address: IPv4Address) -> tuple[int, ...]:
        """Which of the known prefixes hold an address: routers tell two destinations apart by nothing else."""
        if address not in self._known:
            self._known[address] = tuple(n for n, prefix in enumerate(self._prefixes) if address in prefix)
        return self._known[address]

    @cached_property
    def _prefixes(self) -> tuple[IPv4Network, ...]:
        routes = [route.prefix for node in self.topology.nodes.values() for route in node.routes]
        subnets = [address.network for one in self.topology.interfaces() for address in one.addresses]
        return tuple(dict.fromkeys((*routes, *subnets)))


def _moved(hops: tuple[Hop, ...], source: tuple[Port, Port], destination: tuple[Port, Port]) -> tuple[Hop, ...]:
    """The same way with another switch port at each end: pairs of (the port found, the port wanted)."""
    moved = list(hops)
    if moved and (moved[0].device, moved[0].in_interface) == source[0]:
        moved[0] = replace(moved[0], in_interface=source[1][1])
    if moved and (moved[-1].device, moved[-1].out_interface) == destination[0]:
        moved[-1] = replace(moved[-1], out_interface=destination[1][1])
    return tuple(moved)
