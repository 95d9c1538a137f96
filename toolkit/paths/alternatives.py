"""The ways of a flow under every single failure, found once for all hosts that are attached alike.

A failure matters to a pair of hosts in two cases only: something on one of their paths is down, or a redundancy
group lets another member forward. Everything else leaves their paths as they are.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.errors import NoPathError
from toolkit.paths.attachment import moved
from toolkit.paths.failure import Failure, Remaining, single_failures

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from ipaddress import IPv4Address

    from toolkit.paths.attachment import Attached
    from toolkit.paths.finder import Path, PathFinder
    from toolkit.topology import Port


class Alternatives:
    """All paths that a pair of hosts may use, whatever single thing fails."""

    def __init__(self, finder: PathFinder) -> None:
        self.finder = finder
        self.topology = finder.topology
        self._found: dict[Hashable, tuple[tuple[Path, ...], Attached]] = {}
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
        wanted = self.finder.attachments.pair(source, destination, address)
        if wanted is None:
            return self._search(source, destination, address)
        if wanted.alike not in self._found:
            self._found[wanted.alike] = (self._search(source, destination, address), wanted)
        paths, found = self._found[wanted.alike]
        return moved(paths, found, wanted, source, destination)

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
        return tuple(dict.fromkeys((*touched, *self._unseen, *self.elections)))

    def _on(self, path: Path) -> Iterator[Failure]:
        for hop in path.hops:
            yield Failure(nodes=(hop.device,))
            for interface in (hop.in_interface, hop.out_interface):
                yield from self._cables_at.get((hop.device, interface), ())

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
    def _cables_at(self) -> dict[Port, tuple[Failure, ...]]:
        """Cables that a hop may use by an interface: a trunk's own, and those of all ports that an SVI sends out of."""
        found: dict[Port, dict[Failure, None]] = defaultdict(dict)
        for failure in single_failures(self.topology):
            for port in (port for link in failure.links for port in link):
                found[self.topology.interface(port).port][failure] = None
        for one in self.topology.interfaces():
            if one.routes_for is not None:
                for port in self.topology.ports_of_bridge(one.node, one.routes_for):
                    found[one.port] |= found[self.topology.interface(port).port]
        return {port: tuple(failures) for port, failures in found.items()}

    @cached_property
    def _unseen(self) -> tuple[Failure, ...]:
        """Failures of devices that enforce nothing, and of their cables: no hop of a path tells if it uses them."""
        names = {node.name for node in self.topology.devices if not node.enforces}
        return tuple(
            failure
            for failure in single_failures(self.topology)
            if names & {*failure.nodes, *(node for link in failure.links for node, _ in link)}
        )
