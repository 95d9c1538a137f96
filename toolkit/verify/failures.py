"""Failure analysis: for every single node and link that fails, what still passes end to end, and what else does.

Judged are new connections after the failover: routes and virtual gateways have moved, filters are what they are. A
flow between hosts that no cable joins any more is isolated, which no filter can help; every other flow must pass.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import NoPathError, SiteError
from toolkit.flows import is_error_message
from toolkit.packets import Box
from toolkit.paths import HEALTHY, Alternatives, Failure, single_failures
from toolkit.platforms.base import ConnState
from toolkit.policy.build import answer_of, entry_of, flow_ends, goal_address
from toolkit.policy.findings import split_state
from toolkit.spec.model import Finding, Severity
from toolkit.verify.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolkit.flows import Flow, FlowGraph
    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
    from toolkit.paths import Path, PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.policy import DevicePolicy

Paths = tuple["Path", ...]
ByEnds = dict[tuple[str | None, str | None], list["Flow"]]  # by (from, to); None is everywhere
NO_SERVER = "no cable is left to any server that answers"


@dataclass(frozen=True, slots=True)
class Leg:
    """A flow between two hosts; a flow of the role `any` has one for each host."""

    flow: Flow
    source: str
    destination: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.flow.service}"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a leg that is not as before, and why."""

    leg: Leg
    reason: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """A packet in scope that passes from a host to another although nothing asks for it."""

    source: str
    destination: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class FailureReport:
    """What one failure does. `forwarding` names the members that answer for each redundancy group then.

    `judged` counts all legs; those in none of the three lists pass as they did before.
    """

    failure: Failure
    judged: int
    forwarding: Mapping[str, tuple[str, ...]]
    rerouted: tuple[Fate, ...]
    isolated: tuple[Fate, ...]
    lost: tuple[Fate, ...]
    exposures: tuple[Exposure, ...]

    @property
    def ok(self) -> bool:
        """Whether everything passes that cables allow, and nothing else in scope does."""
        return not self.lost and not self.exposures


@dataclass
class _Fates:
    rerouted: list[Fate] = field(default_factory=list)
    isolated: list[Fate] = field(default_factory=list)
    lost: list[Fate] = field(default_factory=list)


class FailureAnalysis:
    """The analysis of one site under the filters `states`, device by device.

    `before` holds what the devices filter without anything of ours: where we only add, or only watch, what passed
    before may pass still.
    """

    def __init__(
        self,
        graph: FlowGraph,
        finder: PathFinder,
        policies: Mapping[str, DevicePolicy],
        states: Mapping[str, FilterState],
        before: Mapping[str, FilterState],
        space: Space,
    ) -> None:
        self.graph = graph
        self.finder = finder
        self.topology = finder.topology
        self.space = space
        self.alternatives = Alternatives(finder)
        self.ways = Ways(finder, policies, states, before, space)
        self.scope = space.union(next(iter(policies.values())).scope) if policies else space.empty
        self._sets: dict[Flow, tuple[PacketSet, PacketSet | None]] = {}
        self._hosts: dict[str, tuple[PacketSet, PacketSet]] = {}
        self._known: dict[tuple[Path, Failure], Packet | None] = {}
        self._asked_for: dict[tuple[str, str, bool], PacketSet] = {}
        self._targets: dict[str, PacketSet] = {}

    def reports(self) -> Iterator[FailureReport]:
        """The healthy state first, then every single failure of a node and of a link."""
        for failure in (HEALTHY, *single_failures(self.topology)):
            yield self.report(failure)

    def report(self, failure: Failure) -> FailureReport:
        """What one failure does; several nodes and links may be in it."""
        finder = self.finder.under(failure)
        fates = _Fates()
        single = len(failure.nodes) + len(failure.links) == 1
        for leg in self._touched[failure] if single else self.legs:
            self._judge(leg, finder, fates)
        return FailureReport(
            failure,
            len(self.legs),
            dict(finder.remaining.forwarding),
            tuple(fates.rerouted),
            tuple(fates.isolated),
            tuple(fates.lost),
            tuple(self._exposures(finder)),
        )

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """Every flow from every host it starts at to every host it ends at."""
        return tuple(Leg(flow, *ends) for flow in self.graph.flows for ends in flow_ends(self.topology, flow))

    # ---- what is required -----------------------------------------------------------------

    @cached_property
    def _touched(self) -> Mapping[Failure, list[Leg]]:
        """The legs that each single failure can matter to; all others pass as in the healthy state."""
        found: dict[Failure, list[Leg]] = defaultdict(list)
        for leg in self.legs:
            for failure in self._relevant(leg):
                found[failure].append(leg)
        return found

    def _relevant(self, leg: Leg) -> Iterable[Failure]:
        there, back = self._paths(leg, self.finder)
        own = [Failure(nodes=(name,)) for name in (leg.source, leg.destination)]
        cables = [link for link in self.topology.links if {leg.source, leg.destination} & {link[0][0], link[1][0]}]
        links = [Failure(links=(link,)) for link in cables]
        return dict.fromkeys((*own, *links, *self.alternatives.failures((*there, *back))))

    def _paths(self, leg: Leg, finder: PathFinder) -> tuple[Paths, Paths]:
        """Paths there, and those of the answers where some come: not always from where the packet was sent to."""
        goal = goal_address(self.topology, leg.destination, leg.flow.destination)
        there = finder.paths(leg.source, leg.destination, goal)
        if self._packets(leg.flow)[1] is None:
            return there, ()
        home = goal_address(self.topology, leg.source, leg.flow.source)
        hosts = [host for host in _answerers(leg.flow, leg.destination) if host not in (None, leg.source)]
        if leg.flow.answerers:  # a balancer hands nothing to a server that is cut off
            hosts = [host for host in hosts if host in finder.remaining.cabled(leg.source)]
            if not hosts:
                raise NoPathError(NO_SERVER)
        return there, tuple(path for host in hosts for path in finder.paths(str(host), leg.source, home))

    def _packets(self, flow: Flow) -> tuple[PacketSet, PacketSet | None]:
        """What a flow sends, and what answers it."""
        if flow not in self._sets:
            entry = entry_of(flow)
            answer = answer_of(entry, flow, self.graph.site.client_ports)
            back = self.space.union(answer.boxes()) if answer is not None else None
            self._sets[flow] = (self.space.union(entry.boxes()), back)
        return self._sets[flow]

    def _of_leg(self, leg: Leg) -> tuple[PacketSet, PacketSet | None]:
        """As `_packets`; where a flow starts or ends anywhere, this host's own part of it."""
        sent, back = self._packets(leg.flow)
        if leg.flow.source.at is None:
            sent, back = sent & self._at(leg.source)[0], back and back & self._at(leg.source)[1]
        if leg.flow.destination.at is None:
            sent, back = sent & self._at(leg.destination)[1], back and back & self._at(leg.destination)[0]
        return sent, back

    def _at(self, host: str) -> tuple[PacketSet, PacketSet]:
        """Packets from a host's addresses, and packets to them."""
        if host not in self._hosts:
            own = [IPv4Network(address) for address in self.topology.nodes[host].addresses]
            self._hosts[host] = (
                self.space.union(Box.of(src=one) for one in own),
                self.space.union(Box.of(dst=one) for one in own),
            )
        return self._hosts[host]

    def _judge(self, leg: Leg, finder: PathFinder, fates: _Fates) -> None:
        try:
            there, back = self._paths(leg, finder)
        except NoPathError as caught:
            cut = NO_SERVER if caught.message == NO_SERVER else self._isolated(leg, finder)
            (fates.isolated if cut else fates.lost).append(Fate(leg, cut or str(caught)))
            return
        sent, answer = self._of_leg(leg)
        first = ConnState.RELATED if is_error_message(leg.flow.service) else ConnState.NEW
        denied = self.ways.denial(finder, there, sent, first)
        if not denied and answer is not None:
            denied = self.ways.denial(finder, back, answer, ConnState.ESTABLISHED)
        split = split_state(there, back, self.topology) if back else ()
        if denied or split:
            asymmetric = f"{', '.join(split)} each see one direction only, and do not share their state"
            fates.lost.append(Fate(leg, denied or asymmetric))
        elif (there, back) != self._paths(leg, self.finder):
            devices = dict.fromkeys(hop.device for path in (*there, *back) for hop in path.hops)
            fates.rerouted.append(Fate(leg, f"over {', '.join(devices)}"))

    @staticmethod
    def _isolated(leg: Leg, finder: PathFinder) -> str:
        """Why no route could help, empty where cables still join the two hosts."""
        for name in (leg.source, leg.destination):
            if not finder.remaining.node(name):
                return f"{name} is down"
        reached = finder.remaining.cabled(leg.source)
        if leg.destination in reached:
            return ""
        for name in (leg.source, leg.destination):
            if not any(finder.remaining.port(i.port) for i in finder.topology.nodes[name].interfaces.values()):
                return f"{name} is cut off"
        return "no cable is left between them"

    # ---- what else passes -----------------------------------------------------------------

    def _exposures(self, finder: PathFinder) -> Iterator[Exposure]:
        for source in self.topology.hosts:
            for destination in self.topology.hosts:
                if source is destination or not destination.addresses:
                    continue
                try:
                    paths = finder.paths(source.name, destination.name)
                except SiteError:
                    continue  # no way, or one that ends at a host, a transparent balancer for example
                for path in paths:
                    packet = self._excess(finder, path)
                    if packet is not None:
                        yield Exposure(source.name, destination.name, packet)
                        break

    def _excess(self, finder: PathFinder, path: Path) -> Packet | None:
        """A packet in scope that passes a path and that nothing asks for; whoever's address it carries."""
        if not path.hops:
            return None  # no device could deny it, and the policy's findings say so
        key = (path, finder.failure if self.ways.moved(finder) else HEALTHY)
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
        return allowed | self.ways.tolerated(finder, path)

    def _asked(self, source: str, destination: str, *, answers: bool) -> PacketSet:
        """What flows ask for from a host to another: their first packets, or the answers to flows the other way."""
        key = (source, destination, answers)
        if key not in self._asked_for:
            found = self.space.empty
            for ends in ((source, destination), (None, destination), (source, None)):
                for flow in self._by_ends[answers].get(ends, ()):
                    one = self._packets(flow)[answers]
                    found = found | one if one is not None else found
            self._asked_for[key] = found
        return self._asked_for[key]

    @cached_property
    def _by_ends(self) -> tuple[ByEnds, ByEnds]:
        """Flows by the hosts that send their first packets and get them; by those that answer and get the answer."""
        first: dict[tuple[str | None, str | None], list[Flow]] = defaultdict(list)
        answers: dict[tuple[str | None, str | None], list[Flow]] = defaultdict(list)
        for flow in self.graph.flows:
            first[flow.source.at, flow.destination.at].append(flow)
            for host in _answerers(flow, flow.destination.at):
                answers[host, flow.source.at].append(flow)
        return first, answers

    def _towards(self, host: str) -> PacketSet:
        """Packets that are routed to a host: to its addresses, and to the prefixes behind it that are no other's."""
        if host not in self._targets:
            self._targets[host] = self.ways.towards(self.graph.site, host)
        return self._targets[host]


def _answerers(flow: Flow, destination: str | None) -> tuple[str | None, ...]:
    """Hosts that answer a flow to a destination; None is everywhere."""
    return (destination,) if flow.answerers is None else tuple(one.at for one in flow.answerers)


def single_points(reports: Iterable[FailureReport], hosts: Iterable[str]) -> Iterator[Finding]:
    """Devices, and cables between devices, without which hosts that are up have no cable to each other."""
    ends = set(hosts)
    for report in reports:
        failed = {*report.failure.nodes, *(end[0] for link in report.failure.links for end in link)}
        if report.isolated and not failed & ends:
            yield Finding(
                code="single_point_of_failure",
                severity=Severity.INFO,
                message=f"{report.failure}: without it {len(report.isolated)} required flows have no cable left",
            )
