"""Where the packets of two groups of endpoints enter the devices between them, found without listing pairs of hosts.

Hosts that are attached alike share their paths but for the sender's own switch port. So paths are searched once for
each pair of such classes, and an interface gets areas: from all of some endpoints to all of others. A set of endpoints
is an integer with a bit for each; leaving one host out, as its own switch port must, costs one operation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.addresses import Universe, bits
from toolkit.errors import PolicyError, SiteError
from toolkit.paths import Alternatives

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from ipaddress import IPv4Address

    from toolkit.flows import Endpoint
    from toolkit.paths import PathFinder
    from toolkit.site import Site
    from toolkit.topology import Port, Topology

Area = tuple[int, int]  # senders, receivers: every pair of them, as sets of the numbers of their places


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint at a host: `alike` is equal for places that share their paths but for `port`, the switch port."""

    end: Endpoint
    host: str
    goal: IPv4Address
    alike: Hashable
    port: Port | None


@dataclass(frozen=True, slots=True)
class _Class:
    """Places that are attached alike: as a set, and the first of them."""

    members: int
    first: int


class Side:
    """The places of some endpoints, in the order of their names; the role `any` stands at every host."""

    def __init__(
        self,
        finder: PathFinder,
        universe: Universe,
        ends: Iterable[Endpoint],
        *,
        hosts: tuple[str, ...] | None = None,
        without: str | None = None,
    ) -> None:
        """Places of `ends` where they are, or at each of `hosts`; none at the host `without`."""
        everywhere = tuple(node.name for node in finder.topology.hosts)
        places = []
        for end in ends:
            for host in hosts if hosts is not None else everywhere if end.at is None else (end.at,):
                if host != without:
                    goal = goal_address(finder.topology, host, end)
                    places.append(Place(end, host, goal, *finder.attachments.place(host, goal)))
        self.places = tuple(sorted(places, key=lambda one: one.end.name))
        self.all = (1 << len(self.places)) - 1
        self._universe = universe
        self._masks = [universe.mask(one.end.prefixes) for one in self.places]
        self._prefixes: dict[int, int] = {}
        self._at: dict[tuple[str, str], int] = defaultdict(int)
        classes: dict[Hashable, list[int]] = defaultdict(list)
        for number, one in enumerate(self.places):
            classes[one.alike].append(number)
            self._at["name", one.end.name] |= 1 << number
            self._at["host", one.host] |= 1 << number
        self.classes = tuple(_Class(sum(1 << one for one in found), found[0]) for found in classes.values())

    def prefixes(self, members: int) -> int:
        """The prefixes of a set of places, as a set of the universe."""
        known = self._prefixes.get(members)
        if known is None:
            known = 0
            for number in bits(members):
                known |= self._masks[number]
            self._prefixes[members] = known
        return known

    def name(self, members: int) -> str:
        """The first name in a set of places."""
        return self.places[(members & -members).bit_length() - 1].end.name

    def name_of_prefixes(self, members: int, prefixes: int) -> str:
        """The first name in a set of places whose endpoint has one of some prefixes."""
        return next(self.places[one].end.name for one in bits(members) if self._masks[one] & prefixes)

    def local(self, place: Place) -> int:
        """Places that flows from or to another place never have as their other end: the same host is local."""
        return self._at.get(("name", place.end.name), 0) | self._at.get(("host", place.host), 0)


@dataclass(frozen=True, eq=False, slots=True)
class Ways:
    """What the paths between two classes of places are.

    `ports` are where a packet enters a device, whatever single thing fails, without the sender's own switch port;
    `own` tells whether it enters by that. `crosses` is false where no device is on a path. `state` has the stateful
    devices of each equal-cost path, those that share their state as one, and `stateful` all of them.
    """

    ports: tuple[Port, ...]
    own: bool
    crosses: bool
    state: frozenset[frozenset[str]]
    stateful: frozenset[str]


@dataclass(slots=True)
class Spread:
    """Areas by the interface that their packets enter, `apart` those that no device is between."""

    areas: dict[Port, list[Area]] = field(default_factory=dict)
    apart: list[Area] = field(default_factory=list)


class Placement:
    """Spreads of a site; paths between two classes of places are searched once."""

    def __init__(self, site: Site, finder: PathFinder) -> None:
        self.site = site
        self.finder = finder
        self.alternatives = Alternatives(finder)
        self._shared = {member: one.name for one in site.topology.groups if one.shares_state for member in one.members}
        self._ways: dict[tuple[Hashable, Hashable], Ways] = {}

    def note(self, sides: Iterable[Side]) -> None:
        """Tell the finder in whose name its paths were asked for, once all is placed."""
        members: dict[Hashable, dict[tuple[str, IPv4Address], None]] = defaultdict(dict)
        for side in sides:
            for place in side.places:
                members[place.alike].setdefault((place.host, place.goal))
        for one, other in self._ways:
            self.finder.stands_for(tuple(members[one]), tuple(members[other]))

    @property
    def searches(self) -> int:
        """How many pairs of classes paths were searched for."""
        return len(self._ways)

    def there(self, sources: Side, destinations: Side) -> Spread:
        """Where the packets of every source to every destination enter."""
        reach = _Reach(sources)
        for some, others, area in _pairs(sources, destinations):
            ways = self.ways(sources.places[some], destinations.places[others])
            reach.add(ways, area)
        return reach.spread()

    def back(self, sources: Side, answering: Side) -> Spread:
        """Where the answers enter: areas from those who answer to the sources.

        Raises:
            PolicyError: a balancer is transparent, but the answers do not come back through it.
        """
        reach = _Reach(answering)
        for some, others, area in _pairs(answering, sources):
            reach.add(self._answer(answering.places[some], sources.places[others]), area)
        return reach.spread()

    def split(self, sources: Side, destinations: Side, answering: Side) -> Iterator[tuple[Area, tuple[str, ...]]]:
        """(area of sources and those who answer, stateful devices) where a connection may meet some one way only."""
        for some, others, area in _pairs(sources, answering):
            source, answerer = sources.places[some], answering.places[others]
            goal = answerer if destinations is answering else destinations.places[0]
            there, back = self.ways(source, goal), self._answer(answerer, source)
            if len(there.state | back.state) > 1:
                for one in area:
                    yield one, tuple(sorted(there.stateful | back.stateful))

    def ways(self, source: Place, destination: Place) -> Ways:
        """The ways from a place to another.

        Raises:
            NoPathError, SiteError: as `PathFinder.paths`.
        """
        key = (source.alike, destination.alike)
        known = self._ways.get(key)
        if known is None:
            known = self._ways[key] = self._search(source, destination)
        return known

    def _search(self, source: Place, destination: Place) -> Ways:
        ends = (source.host, destination.host, destination.goal)
        usual = self.finder.paths(*ends)
        nodes = self.site.topology.nodes
        ports = {(hop.device, hop.in_interface): None for path in self.alternatives.paths(*ends) for hop in path.hops}
        own = source.port in ports
        state = [[hop.device for hop in path.hops if nodes[hop.device].stateful] for path in usual]
        return Ways(
            tuple(port for port in ports if port != source.port),
            own,
            any(path.hops for path in usual),
            frozenset(frozenset(self._shared.get(device, device) for device in devices) for devices in state),
            frozenset(device for devices in state for device in devices),
        )

    def _answer(self, answerer: Place, source: Place) -> Ways:
        """The ways back; a transparent balancer must be on them, since it waits for what its clients wait for."""
        try:
            return self.ways(answerer, source)
        except SiteError as caught:
            if source.end.towards is None:
                raise
            name = source.end.name
            raise PolicyError(
                f"{source.host} is transparent, but the answers of {answerer.host} to {name} do not come back "
                f"through it ({caught.message}): route them to {source.host} in hosts.yaml, or name the role of "
                f"{name} in snat_roles of {source.host}",
                place=self.site.document.place("load_balancers", source.host, "mode"),
            ) from None


def _pairs(starts: Side, ends: Side) -> Iterator[tuple[int, int, list[Area]]]:
    """(a start, an end, areas) for each pair of classes: the areas hold all their pairs but those of one host."""
    local = [ends.local(place) for place in starts.places]
    for some in starts.classes:
        clash = 0
        for number in bits(some.members):
            clash |= local[number]
        for others in ends.classes:
            if not clash & others.members:
                yield some.first, others.first, [(some.members, others.members)]
                continue
            area = [
                (1 << number, others.members & ~local[number])
                for number in bits(some.members)
                if others.members & ~local[number]
            ]
            if area:
                yield area[0][0].bit_length() - 1, next(bits(area[0][1])), area


class _Reach:
    """Who is sent to from where, gathered class by class."""

    def __init__(self, starts: Side) -> None:
        self.starts = starts
        self.ports: dict[Port, dict[int, int]] = defaultdict(dict)
        self.own: dict[int, int] = {}
        self.apart: list[Area] = []

    def add(self, ways: Ways, areas: list[Area]) -> None:
        for senders, receivers in areas:
            for port in ways.ports:
                known = self.ports[port]
                known[senders] = known.get(senders, 0) | receivers
            if ways.own:
                self.own[senders] = self.own.get(senders, 0) | receivers
        if not ways.crosses:
            self.apart += areas

    def spread(self) -> Spread:
        """Areas with senders that have no place in common and receivers that differ."""
        found = {port: by_receivers(known.items()) for port, known in self.ports.items()}
        single: dict[int, int] = defaultdict(int)
        for senders, receivers in self.own.items():
            for number in bits(senders):
                single[number] |= receivers
        for number, receivers in single.items():
            port = self.starts.places[number].port
            assert port is not None  # noqa: S101 - only a switch port can be one's own
            found[port] = by_receivers((*found.get(port, ()), (1 << number, receivers)))
        return Spread(found, self.apart)


def by_receivers(areas: Iterable[Area]) -> list[Area]:
    """The same pairs in areas with disjoint senders, those with the same receivers joined."""
    apart: dict[int, int] = {}
    seen = 0
    for senders, receivers in areas:
        if seen & senders:
            for known, reached in list(apart.items()):
                common = known & senders
                if common:
                    del apart[known]
                    for part, joined in ((common, reached | receivers), (known & ~common, reached)):
                        if part:
                            apart[part] = apart.get(part, 0) | joined
        rest = senders & ~seen
        if rest:
            apart[rest] = apart.get(rest, 0) | receivers
        seen |= senders
    joined_: dict[int, int] = {}
    for senders, receivers in apart.items():
        joined_[receivers] = joined_.get(receivers, 0) | senders
    return [(senders, receivers) for receivers, senders in joined_.items()]


def goal_address(topology: Topology, host: str, endpoint: Endpoint) -> IPv4Address:
    """The address to route towards: the endpoint's own where the host has it, the host's first otherwise."""
    if endpoint.towards is not None:
        return endpoint.towards
    own = topology.nodes[host].addresses
    return next((p.network_address for p in endpoint.prefixes if p.network_address in own), own[0])
