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

from toolkit.errors import NoPathError
from toolkit.flows import is_error_message
from toolkit.packets import Box
from toolkit.paths import HEALTHY, Alternatives, Failure, single_failures
from toolkit.platforms.base import ConnState
from toolkit.policy.build import entry_of, flow_ends
from toolkit.policy.collector import answer_of
from toolkit.policy.findings import split_state
from toolkit.policy.placement import goal_address
from toolkit.spec.model import Finding, Severity
from toolkit.verify.exposures import Exposure, Exposures, answerers
from toolkit.verify.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolkit.flows import Flow, FlowGraph
    from toolkit.packets import PacketSet, Space
    from toolkit.paths import Path, PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.policy import DevicePolicy
    from toolkit.verify.ways import Routing

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
        scope = space.union(next(iter(policies.values())).scope) if policies else space.empty
        self.exposures = Exposures(graph, self.ways, scope, self._packets)
        # Flows and legs are kept, so their identity tells them apart, and costs less than their hash.
        self._sets: dict[int, tuple[PacketSet, PacketSet | None]] = {}
        self._moved_by: dict[Paths, tuple[Failure, ...]] = {}
        self._hosts: dict[str, tuple[PacketSet, PacketSet]] = {}
        self._judged: dict[tuple[int, Paths, Paths, tuple[Routing, ...]], str] = {}

    def reports(self) -> Iterator[FailureReport]:
        """The healthy state first, then every single failure of a node and of a link."""
        for failure in (HEALTHY, *single_failures(self.topology)):
            yield self.report(failure)

    def report(self, failure: Failure) -> FailureReport:
        """What one failure does; several nodes and links may be in it."""
        finder = self.finder.under(failure)
        fates = _Fates()
        single = failure in self._single
        for leg in self._touched.get(failure, ()) if single else self.legs:
            self._judge(leg, finder, fates)
        pairs = self._touched_pairs.get(failure, ()) if single else self.exposures.pairs
        return FailureReport(
            failure,
            len(self.legs),
            dict(finder.remaining.forwarding),
            tuple(fates.rerouted),
            tuple(fates.isolated),
            tuple(fates.lost),
            tuple(self.exposures.under(finder, pairs)),
        )

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """Every flow from every host it starts at to every host it ends at."""
        return tuple(Leg(flow, *ends) for flow in self.graph.flows for ends in flow_ends(self.topology, flow))

    # ---- what is required -----------------------------------------------------------------

    @cached_property
    def _single(self) -> frozenset[Failure]:
        return frozenset(single_failures(self.topology))

    @cached_property
    def _touched(self) -> Mapping[Failure, list[Leg]]:
        """The legs that each single failure can matter to; all others pass as in the healthy state."""
        found: dict[Failure, list[Leg]] = defaultdict(list)
        for leg in self.legs:
            for failure in self._relevant(leg):
                found[failure].append(leg)
        return found

    @cached_property
    def _touched_pairs(self) -> Mapping[Failure, list[tuple[str, str]]]:
        return self.exposures.touched(self.alternatives)

    def _relevant(self, leg: Leg) -> Iterable[Failure]:
        there, back = self._paths(leg, self.finder)
        own = (*self._own[leg.source], *self._own[leg.destination])
        return dict.fromkeys((*own, *self._moving(there), *self._moving(back)))

    def _moving(self, paths: Paths) -> tuple[Failure, ...]:
        if paths not in self._moved_by:
            self._moved_by[paths] = self.alternatives.failures(paths)
        return self._moved_by[paths]

    @cached_property
    def _own(self) -> Mapping[str, tuple[Failure, ...]]:
        """The failures of a node itself and of its cables."""
        found = {name: [Failure(nodes=(name,))] for name in self.topology.nodes}
        for failure in single_failures(self.topology):
            for name in {node for link in failure.links for node, _ in link}:
                found[name].append(failure)
        return {name: tuple(failures) for name, failures in found.items()}

    def _paths(self, leg: Leg, finder: PathFinder) -> tuple[Paths, Paths]:
        """Paths there, and those of the answers where some come: not always from where the packet was sent to."""
        goal = goal_address(self.topology, leg.destination, leg.flow.destination)
        there = finder.paths(leg.source, leg.destination, goal)
        if self._packets(leg.flow)[1] is None:
            return there, ()
        home = goal_address(self.topology, leg.source, leg.flow.source)
        hosts = [host for host in answerers(leg.flow, leg.destination) if host not in (None, leg.source)]
        if leg.flow.answerers:  # a balancer hands nothing to a server that is cut off
            hosts = [host for host in hosts if host in finder.remaining.cabled(leg.source)]
            if not hosts:
                raise NoPathError(NO_SERVER)
        return there, tuple(path for host in hosts for path in finder.paths(str(host), leg.source, home))

    def _packets(self, flow: Flow) -> tuple[PacketSet, PacketSet | None]:
        """What a flow sends, and what answers it."""
        if id(flow) not in self._sets:
            entry = entry_of(flow)
            answer = answer_of(entry, flow, self.graph.site.client_ports)
            back = self.space.union(answer.boxes()) if answer is not None else None
            self._sets[id(flow)] = (self.space.union(entry.boxes()), back)
        return self._sets[id(flow)]

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
        cut = self._isolated(leg, finder)
        if cut:
            fates.isolated.append(Fate(leg, cut))
            return
        try:
            there, back = self._paths(leg, finder)
        except NoPathError as caught:
            where = fates.isolated if caught.message == NO_SERVER else fates.lost
            where.append(Fate(leg, caught.message))
            return
        problem = self._problem(leg, there, back, finder)
        if problem:
            fates.lost.append(Fate(leg, problem))
        elif (there, back) != self._paths(leg, self.finder):
            devices = dict.fromkeys(hop.device for path in (*there, *back) for hop in path.hops)
            fates.rerouted.append(Fate(leg, f"over {', '.join(devices)}"))

    def _problem(self, leg: Leg, there: Paths, back: Paths, finder: PathFinder) -> str:
        """Why a leg does not pass on its paths, empty where it does; known for the same paths and routes."""
        key = (id(leg), there, back, tuple(self.ways.routing(finder, path) for path in (*there, *back)))
        if key not in self._judged:
            self._judged[key] = self._denial(leg, there, back, finder)
        return self._judged[key]

    def _denial(self, leg: Leg, there: Paths, back: Paths, finder: PathFinder) -> str:
        sent, answer = self._of_leg(leg)
        first = ConnState.RELATED if is_error_message(leg.flow.service) else ConnState.NEW
        denied = self.ways.denial(finder, there, sent, first)
        if not denied and answer is not None:
            denied = self.ways.denial(finder, back, answer, ConnState.ESTABLISHED)
        split = split_state(there, back, self.topology) if back and not denied else ()
        return f"{', '.join(split)} each see one direction only, and do not share their state" if split else denied

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
