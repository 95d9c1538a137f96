"""What passes end to end although nothing asks for it: one packet for each pair of hosts that shows some."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.errors import SiteError
from toolkit.render.proof import later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from toolkit.flows import Flow, FlowGraph
    from toolkit.net import Packet
    from toolkit.packets import PacketSet
    from toolkit.paths import Alternatives, Failure, Path, PathFinder
    from toolkit.verify.ways import Routing, Ways

ByEnds = dict[tuple[str | None, str | None], list["Flow"]]  # by (from, to); None is everywhere
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Exposure:
    """A packet in scope that passes from a host to another although nothing asks for it."""

    source: str
    destination: str
    packet: Packet


class Exposures:
    """The exposures of one site; `packets` gives what a flow sends and what answers it."""

    def __init__(
        self,
        graph: FlowGraph,
        ways: Ways,
        scope: PacketSet,
        packets: Callable[[Flow], tuple[PacketSet, PacketSet | None]],
    ) -> None:
        self.graph = graph
        self.ways = ways
        self.topology = ways.topology
        self.scope = scope
        self.empty = scope & ~scope
        self.packets = packets
        self._known: dict[tuple[Path, Routing], Packet | None] = {}
        self._asked_for: dict[tuple[str, str, bool], PacketSet] = {}
        self._targets: dict[str, PacketSet] = {}

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every host with every other."""
        hosts = [node.name for node in self.topology.hosts if node.addresses]
        return tuple((source, destination) for source in hosts for destination in hosts if source != destination)

    def touched(self, alternatives: Alternatives) -> Mapping[Failure, list[Pair]]:
        """The pairs that each single failure sends another way; all others are as in the healthy state."""
        found: dict[Failure, list[Pair]] = defaultdict(list)
        for pair in self.pairs:
            for failure in alternatives.failures(self._paths(alternatives.finder, pair)):
                found[failure].append(pair)
        return found

    def under(self, finder: PathFinder, pairs: Iterable[Pair]) -> Iterator[Exposure]:
        """The exposures of some pairs, at most one for each."""
        for source, destination in pairs:
            if destination in finder.remaining.cabled(source):
                packets = (self._excess(finder, path) for path in self._paths(finder, (source, destination)))
                packet = next(filter(None, packets), None)
                if packet is not None:
                    yield Exposure(source, destination, packet)

    @staticmethod
    def _paths(finder: PathFinder, pair: Pair) -> tuple[Path, ...]:
        try:
            return finder.paths(*pair)
        except SiteError:
            return ()  # no way, or one that ends at a host, a transparent balancer for example

    def _excess(self, finder: PathFinder, path: Path) -> Packet | None:
        """A packet in scope that passes a path and that nothing asks for; whoever's address it carries."""
        if not path.hops:
            return None  # no device could deny it, and the policy's findings say so
        key = (path, self.ways.routing(finder, path))
        if key not in self._known:
            passing = self.ways.passing(finder, path) & self.scope & self._towards(path.destination)
            self._known[key] = (passing - self._allowed(finder, path)).witness() if passing else None
        return self._known[key]

    def _allowed(self, finder: PathFinder, path: Path) -> PacketSet:
        """What is asked for between two hosts, and what passed before where no device on the path closes anything.

        On a path without connection tracking the answers are first packets too.
        """
        allowed = self._asked(path.source, path.destination, answers=False)
        if not any(self.topology.nodes[hop.device].stateful for hop in path.hops):
            allowed |= self._asked(path.source, path.destination, answers=True)
        if path.hops and all(self.ways.follows_fragments(hop.device) for hop in path.hops):
            # Systems that see no ports in later fragments let those of what is asked for pass, and the policy knows.
            allowed |= self.ways.space.union(later(box) for box in allowed.boxes())
        return allowed | self.ways.tolerated(finder, path)

    def _asked(self, source: str, destination: str, *, answers: bool) -> PacketSet:
        """What flows ask for from a host to another: their first packets, or the answers to flows the other way."""
        key = (source, destination, answers)
        if key not in self._asked_for:
            found = self.empty
            for ends in ((source, destination), (None, destination), (source, None)):
                for flow in self._by_ends[answers].get(ends, ()):
                    one = self.packets(flow)[answers]
                    found = found | one if one is not None else found
            self._asked_for[key] = found
        return self._asked_for[key]

    @cached_property
    def _by_ends(self) -> tuple[ByEnds, ByEnds]:
        """Flows by the hosts that send their first packets and get them; by those that answer and get the answer."""
        first: ByEnds = defaultdict(list)
        answers: ByEnds = defaultdict(list)
        for flow in self.graph.flows:
            first[flow.source.at, flow.destination.at].append(flow)
            for host in answerers(flow, flow.destination.at):
                answers[host, flow.source.at].append(flow)
        return first, answers

    def _towards(self, host: str) -> PacketSet:
        """Packets that are routed to a host: to its addresses, and to the prefixes behind it that are no other's."""
        if host not in self._targets:
            self._targets[host] = self.ways.towards(self.graph.site, host)
        return self._targets[host]


def answerers(flow: Flow, destination: str | None) -> tuple[str | None, ...]:
    """Hosts that answer a flow to a destination; None is everywhere."""
    return (destination,) if flow.answerers is None else tuple(one.at for one in flow.answerers)
