"""What must pass each interface inwards: bundles of flows, placed group by group and joined into entries.

Entries come in the order in which the flows would ask for them one by one: by the names of source and destination,
then the service. So a policy reads the same whether it was made of three hosts or of a thousand.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from toolkit.addresses import Universe, bits
from toolkit.errors import PolicyError
from toolkit.flows import is_error_message
from toolkit.net import ANY_PORT, ECHO_REQUEST, ICMP, TCP, WITH_PORTS, Action, IcmpKind, PortRange, Service
from toolkit.policy.findings import asymmetric, not_enforceable
from toolkit.policy.model import Ace, Requiredness
from toolkit.policy.placement import Placement, Side
from toolkit.spec.model import Finding, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.flows import Bundle, Endpoint, Flow, FlowGraph
    from toolkit.paths import PathFinder
    from toolkit.policy.placement import Area, Place, Spread
    from toolkit.topology import Port

Key = tuple[str, str, tuple[int, ...], int, bool]  # source, destination, service, rank, whether it is an answer


class _Rectangle(NamedTuple):
    """Sources and destinations of an entry, as sets of the universe; `key` is that of the first flow that asks."""

    sources: int
    destinations: int
    key: Key
    side: Side
    senders: int

    def first(self, some: int) -> Key:
        """The key of the first flow that has one of some of its sources."""
        name = self.side.name_of_prefixes(self.senders, some)
        return (self.key[0], name, *self.key[2:]) if self.key[-1] else (name, *self.key[1:])


@dataclass(frozen=True, slots=True)
class _Group:
    """Two groups of endpoints, and the bundles between them."""

    sources: Side
    destinations: Side
    bundles: tuple[Bundle, ...]


class Collector:
    """What must pass each interface inwards, gathered group by group."""

    def __init__(self, graph: FlowGraph, finder: PathFinder) -> None:
        self.graph = graph
        self.finder = finder
        self.topology = graph.site.topology
        self.placement = Placement(graph.site, finder)
        ends = {end for bundle in graph.bundles for end in (*bundle.sources, *bundle.destinations)}
        self.universe = Universe(prefix for end in ends for prefix in end.prefixes)
        self._shapes: dict[Ace, int] = {}
        self._aces: dict[Port, dict[int, list[_Rectangle]]] = defaultdict(lambda: defaultdict(list))
        self._established: dict[Port, dict[int, list[_Rectangle]]] = defaultdict(lambda: defaultdict(list))
        self._findings: list[tuple[Key, Finding]] = []
        self._sides: dict[int, Side] = {}
        self._handing: list[Side] = []  # those of balancers that hand over
        self._comments: dict[Ace, str] = {}
        for group in self._groups():
            self._add(group)
        self.placement.note([*self._sides.values(), *self._handing])

    @property
    def findings(self) -> list[Finding]:
        """What cannot be enforced, or not proved, in the order of the flows."""
        return [finding for _, finding in sorted(self._findings, key=lambda one: one[0])]

    @property
    def placed(self) -> int:
        """How many areas were placed on interfaces, for all services together."""
        return sum(
            len(found) for by in (self._aces, self._established) for one in by.values() for found in one.values()
        )

    def permits(self, device: str, interface: str) -> tuple[Ace, ...]:
        """Entries for an interface, inwards."""
        return tuple(self._entries(self._aces.get((device, interface), {})))

    def required(self, device: str, interface: str, permits: Sequence[Ace]) -> Requiredness:
        """What must pass an interface inwards, as blocks with their requirement ids; `permits` are its entries."""
        known = self._entries(self._established.get((device, interface), {}))
        return Requiredness(
            tuple((block, ace.requirements) for ace in permits for block in ace.boxes()),
            tuple((block, ace.requirements) for ace in known for block in ace.boxes()),
        )

    # ---- placing --------------------------------------------------------------------------

    def _groups(self) -> Iterator[_Group]:
        between: dict[tuple[int, int, object], list[Bundle]] = defaultdict(list)
        for bundle in self.graph.bundles:
            between[id(bundle.sources), id(bundle.destinations), bundle.answerers].append(bundle)
        for bundles in between.values():
            if not _is_supported(bundles[0]):
                first = next(iter(bundles[0].requirements))
                raise PolicyError(f"{first}: a flow from any to any cannot be placed on the network")
            yield _Group(self._side(bundles[0].sources), self._side(bundles[0].destinations), tuple(bundles))

    def _side(self, ends: tuple[Endpoint, ...]) -> Side:
        if id(ends) not in self._sides:  # bundles of the same group share the tuple, which the graph keeps
            self._sides[id(ends)] = Side(self.finder, self.universe, ends)
        return self._sides[id(ends)]

    def _add(self, group: _Group) -> None:
        there = self.placement.there(group.sources, group.destinations)
        self._place(there, group.sources, group.destinations, group.bundles, is_answer=False)
        for bundle in group.bundles:
            self._say_apart(bundle, group.sources, group.destinations, there.apart)
        answered = tuple(bundle for bundle in group.bundles if self._answer(bundle) is not None)
        if not answered or answered[0].answerers == ():
            return
        sources, answering = group.sources, group.destinations
        if answered[0].answerers is not None:  # a balancer that hands over: its servers answer, with its address
            (balancer,) = answered[0].destinations
            hosts = tuple(str(one.at) for one in answered[0].answerers)
            ends = [one for one in answered[0].sources if one.name != balancer.name]
            sources = Side(self.finder, self.universe, ends, without=balancer.at)
            answering = Side(self.finder, self.universe, [balancer], hosts=hosts)
            self._handing += [sources, answering]
        for area, devices in self.placement.split(sources, group.destinations, answering):
            for bundle in answered:
                self._say_split(bundle, sources, answering, area, devices)
        self._place(self.placement.back(sources, answering), answering, sources, answered, is_answer=True)

    def _place(
        self, spread: Spread, senders: Side, receivers: Side, bundles: Sequence[Bundle], *, is_answer: bool
    ) -> None:
        """Stateless devices need both directions as entries; stateful ones only the first packet's.

        ICMP errors are related to a connection that a stateful device knows: they need no entry there.
        """
        shaped = []
        for bundle in bundles:
            shape = self._answer(bundle) if is_answer else entry_shape(bundle)
            assert shape is not None  # noqa: S101 - only bundles with answers are given for answers
            tail = (bundle.service.sort_key(), bundle.rank, is_answer)
            number = self._shapes.setdefault(shape, len(self._shapes))
            shaped.append((number, tail, is_error_message(bundle.service)))
        for port, areas in spread.areas.items():
            stateful = self.topology.nodes[port[0]].stateful
            into = [self._established[port]] if stateful else []
            into += [self._aces[port]] if not (stateful and is_answer) else []
            for some, others in areas:
                sender, receiver = senders.name(some), receivers.name(others)
                names = (receiver, sender) if is_answer else (sender, receiver)
                ends = (senders.prefixes(some), receivers.prefixes(others))
                for shape_number, tail, is_error in shaped:
                    if stateful and is_error:
                        continue
                    one = _Rectangle(*ends, (*names, *tail), senders, some)
                    for entries in into:
                        entries[shape_number].append(one)

    def _answer(self, bundle: Bundle) -> Ace | None:
        return answer_of(entry_shape(bundle), bundle, self.graph.site.client_ports)

    # ---- saying what cannot be done -------------------------------------------------------

    def _say_apart(self, bundle: Bundle, sources: Side, destinations: Side, apart: Sequence[Area]) -> None:
        for source, destination in _each(sources, destinations, apart):
            key = _key(bundle, source.end.name, destination.end.name)
            self._findings.append((key, not_enforceable(bundle.service, source.host, destination.host)))

    def _say_split(self, bundle: Bundle, sources: Side, others: Side, area: Area, devices: tuple[str, ...]) -> None:
        for source, destination in _each(sources, others, [area]):
            names = (source.end.name, destination.end.name)
            self._findings.append((_key(bundle, *names), asymmetric(*names, devices)))

    # ---- joining --------------------------------------------------------------------------

    def _entries(self, shapes: Mapping[int, list[_Rectangle]]) -> Iterator[Ace]:
        """Entries that differ in addresses only are joined, and exactly: never a pair that nobody asked for."""
        by_number = list(self._shapes)
        for number, found in sorted(shapes.items(), key=lambda one: min(rectangle.key for rectangle in one[1])):
            shape = by_number[number]
            for sources, destinations in _joined(found):
                yield Ace(
                    shape.action,
                    shape.service,
                    self.universe.prefixes_of(sources),
                    self.universe.prefixes_of(destinations),
                    shape.sport,
                    shape.established,
                    shape.requirements,
                    self._comment(shape),
                )

    def _comment(self, shape: Ace) -> str:
        if shape not in self._comments:
            cited = "; ".join(self.graph.site.citation(one) for one in shape.requirements)
            self._comments[shape] = f"{cited}, answers" if shape.sport != ANY_PORT else cited
        return self._comments[shape]


def _joined(found: Sequence[_Rectangle]) -> list[tuple[int, int]]:
    """(sources, destinations) of the fewest entries whose sources are disjoint, in the order of their first flows."""
    reached: dict[int, tuple[int, Key]] = {}
    for one in found:
        known, key = reached.get(one.sources, (0, one.key))
        reached[one.sources] = (known | one.destinations, min(key, one.key))
    if not _disjoint(reached):
        reached = {}
        for some in _atoms([one.sources for one in found]):
            asking = [one for one in found if one.sources & some]
            destinations = 0
            for one in asking:
                destinations |= one.destinations
            reached[some] = (destinations, min(one.first(some) for one in asking))
    by_destinations: dict[int, tuple[int, Key]] = {}
    for sources, (destinations, key) in reached.items():
        others, known_key = by_destinations.get(destinations, (0, key))
        by_destinations[destinations] = (others | sources, min(key, known_key))
    ordered = sorted(by_destinations.items(), key=lambda one: (one[1][1], one[1][0] & -one[1][0]))
    return [(sources, destinations) for destinations, (sources, _) in ordered]


def _disjoint(sets: Mapping[int, object]) -> bool:
    seen = 0
    for one in sets:
        if seen & one:
            return False
        seen |= one
    return True


def _atoms(sets: Sequence[int]) -> list[int]:
    """The coarsest disjoint sets that each of some sets is a union of."""
    atoms: list[int] = []
    for one in dict.fromkeys(sets):
        rest, parts = one, []
        for atom in atoms:
            parts += [part for part in (atom & one, atom & ~one) if part]
            rest &= ~atom
        atoms = [*parts, rest] if rest else parts
    return atoms


def _each(sources: Side, destinations: Side, areas: Sequence[Area]) -> Iterator[tuple[Place, Place]]:
    for some, others in areas:
        for one in bits(some):
            for other in bits(others):
                yield sources.places[one], destinations.places[other]


def _key(bundle: Bundle, source: str, destination: str) -> Key:
    return source, destination, bundle.service.sort_key(), bundle.rank, False


def _is_supported(bundle: Bundle) -> bool:
    """Whether at least one end has a place on the network."""
    sources, destinations = ([end.at for end in ends] for ends in (bundle.sources, bundle.destinations))
    return None not in sources or None not in destinations


def entry_shape(bundle: Bundle | Flow) -> Ace:
    """The entry that lets the first packets of a bundle pass, without addresses."""
    return Ace(Action.PERMIT, bundle.service, requirements=bundle.requirements)


def answer_of(forward: Ace, flow: Flow | Bundle, client_ports: PortRange) -> Ace | None:
    """The entry that lets answers back through a stateless device; None where nothing comes back.

    TCP: ACK or RST from the service's port to the client's range, which is all that a stateless filter can
    know of a connection. UDP that answers: mirrored ports. VXLAN and ICMP errors: nothing.
    """
    turned = replace(forward, sources=forward.destinations, destinations=forward.sources)
    protocol = forward.service.protocol
    if protocol == TCP or (protocol in WITH_PORTS and flow.reply is Reply.REQUEST_REPLY):
        service = Service(protocol, client_ports)
        return replace(turned, service=service, sport=forward.service.ports, established=protocol == TCP)
    if protocol == ICMP and forward.service.icmp is not None and forward.service.icmp.type == ECHO_REQUEST:
        return replace(turned, service=Service(ICMP, icmp=IcmpKind(0, 0)))
    return None
