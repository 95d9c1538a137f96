"""A change rehearsed: lab up, push over SSH, the whole matrix and the services measured, lab down.

Everything here runs inside the `run` of its backend. The text that is pushed is the text that would go to
production; only the place is simulated.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from toolkit.deploy import Connection, Options, Outcome, apply, certify, rollback
from toolkit.errors import LabError, NoPathError, SiteError
from toolkit.lab import tamper
from toolkit.lab.backends import DEFAULT, load_backend
from toolkit.lab.expectations import read_expectations
from toolkit.lab.failover import Failover
from toolkit.lab.heartbeat import Beat, Heartbeat
from toolkit.lab.listeners import Listeners
from toolkit.lab.management import calls
from toolkit.lab.matrix import ECHO, Matrix, Measured, Target, build_matrix, judge, measure, parse_service, pick
from toolkit.lab.ready import wait_healthy
from toolkit.lab.services import Services, ServiceStatus
from toolkit.lab.topology_file import SERVICE_OF_ROLE, write
from toolkit.net import ICMP, PROTOCOL_NUMBERS, TCP, UDP, IcmpKind, Packet, Verdict
from toolkit.policy import handed_to
from toolkit.site import Enforcement
from toolkit.spec.model import Reply
from toolkit.topology import Ownership
from toolkit.verify.live import Planned, make_target, plan_change
from toolkit.verify.trace import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from ipaddress import IPv4Address
    from pathlib import Path

    from toolkit.deploy import Target as DeployTarget
    from toolkit.lab.prober import Probe
    from toolkit.packets import PacketSet
    from toolkit.paths import PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.render.work import Work

    Judge = Callable[[Probe], Verdict]

SPORT: Final = 49152
REHEARSED: Final = Options(rehearsal=True)
ROLES_ASKED: Final = ("smtp_server", "temporary_registry")  # whose services are checked from a node


@dataclass
class Timings:
    """Seconds that each stage took, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


class Rehearsal:
    """A lab of a site that is up, with everything that can be done to it; a context manager."""

    def __init__(self, work: Work, runs: Path, timings: Timings | None = None, backend: str = DEFAULT) -> None:
        self.work = work
        self.backend = backend
        self.runs = runs
        self.timings = timings or Timings()

    def __enter__(self) -> Rehearsal:  # noqa: PYI034 - subclassing is not meant
        with self.timings.stage("up"):
            backend = load_backend(self.backend)
            path = backend.topology_path(self.work.site.name)
            write(self.work.site, path)
            self.lab = backend.open(path, self.work.site.folder)
            self.plan = self.lab.plan
            self.lab.__enter__()
            try:
                self._begin()
            except BaseException:
                self.lab.down()
                raise
        return self

    def _begin(self) -> None:
        self.failover = Failover(self.lab, self.work.site.topology)
        self.services = Services(self.lab)
        self.services.closed = self._closed()
        self.services.start()
        wait_healthy(self.lab, self.plan.hosts)
        self.listeners = self._listen()
        self.target: DeployTarget = make_target(self.work, self.connection)

    def __exit__(self, *_: object) -> None:
        with self.timings.stage("down"):
            self.target.close()
            self.listeners.close()
            self.lab.down()

    @property
    def connection(self) -> Connection:
        """How to log in to the lab's devices."""
        return Connection(self.lab.user, self.lab.key_file, self.lab.known_hosts, addresses=calls(self.lab.plan))

    # ---- changing -------------------------------------------------------------------------

    def switch(self, work: Work) -> None:
        """Go on in the same lab with another policy of the same site: another phase, other settings."""
        self.target.close()
        self.work = work
        self.__dict__.pop("_scope", None)
        self.services.closed = self._closed()
        self.target = make_target(work, self.connection)

    def _closed(self) -> frozenset[str]:
        """Services that no node may reach under the policy; their checks must then fail."""
        wanted = {flow.destination for flow in self.work.graph.role_flows}
        return frozenset(
            service for role, service in SERVICE_OF_ROLE.items() if role in ROLES_ASKED and role not in wanted
        )

    def make_plan(self) -> Planned:
        """A plan from what the devices have now."""
        with self.timings.stage("plan"):
            return plan_change(self.work, self.target, self.runs)

    def push(self, planned: Planned, options: Options = REHEARSED) -> Outcome:
        """Apply a plan to the lab, over SSH, as it would be applied to production."""
        with self.timings.stage("push"):
            candidates = {device: one.candidate for device, one in planned.rendered.items()}
            return apply(planned.plan, planned.folder, self.target, candidates, options)

    def rollback(self, planned: Planned) -> Outcome:
        """Restore the first state of a plan."""
        with self.timings.stage("rollback"):
            return rollback(planned.plan, planned.folder, self.target, REHEARSED)

    def remove_rule(self, device: str) -> str:
        """Remove one permit of ours from a device, past the toolkit; returns what was removed (see `tamper`).

        Raises:
            LabError: there is none, or the device refuses.
        """
        return tamper.remove_rule(self, device)

    def heartbeat(self) -> Heartbeat:
        """Start to watch other people's UDP traffic: out of scope, and let through today."""
        states = {device: state.without_owned() for device, state in self.read().items()}
        self.target.close()  # what sends is a copy of this process; no thread of a session may be copied half-way
        model = self._model(states)
        scope = self._scope
        extra = [parse_service(text) for text in self.work.site.file.lab.extra_ports]
        beats = []
        for probe in self.probes():
            if (probe.protocol, probe.port) in extra and probe.protocol == "udp" and packet_of(probe) not in scope:
                if model(probe) is not Verdict.PERMITTED:
                    continue
                hops = self.work.finder.paths(probe.source, probe.destination)[0].hops
                if any(hop.device in states for hop in hops):
                    beats.append(Beat(probe.source, probe.destination, probe.destination_address, probe.port))
        return Heartbeat(beats, self.lab.namespaces, self.lab.state / "heartbeat.json")

    @property
    def twins(self) -> dict[str, str]:
        """Devices for which a twin stands, with the network OS that it imitates."""
        return {node.name: node.system for node in self.plan.devices if node.system is not None}

    def certify(self, planned: Planned) -> dict[str, object]:
        """A certificate for a plan: Linux devices were rehearsed as the same network OS, vendors' ones by twins."""
        levels = {change.device: "twin" if change.device in self.twins else "os" for change in planned.plan.changes}
        return certify(planned.plan, levels, planned.folder)

    def sabotage(self, kind: str) -> tuple[str, ...]:
        """Break the filters of all own devices on purpose, so that the matrix must say so; names the devices.

        Raises:
            LabError: unknown kind, or a device refuses.
        """
        return tamper.sabotage(self, kind)

    # ---- measuring ------------------------------------------------------------------------

    def read(self) -> Mapping[str, FilterState]:
        """Running filters of all devices."""
        return self.target.read(self.work.policies)

    def wait_healthy(self, timeout: float = 15.0) -> list[ServiceStatus]:
        """Wait for the services."""
        with self.timings.stage("services"):
            return self.services.wait_healthy(timeout)

    def matrix(self, states: Mapping[str, FilterState], expectations: Path | None) -> Matrix:
        """Measure the whole matrix and hold it against intent, the model of `states`, and the expectations.

        Under a failure, only between hosts that cables still join: what is cut off can be asked nothing.
        """
        with self.timings.stage("matrix"):
            measured = self.measure([probe for probe in self.probes() if self._joined(probe)])
            written = None
            if expectations is not None:
                roles = {node.name: self.work.site.roles_of(node.name) for node in self.work.site.topology.hosts}
                written = read_expectations(expectations, roles)
            before = {device: state.without_owned() for device, state in states.items()}
            now = self._model(states)
            then = self._model(before)
            return judge(
                measured,
                intent=lambda probe: self._intent(probe, then),
                model=now,
                expectations=written,
                requirements=self._asked,
            )

    def measure(self, probes: Sequence[Probe]) -> tuple[Measured, ...]:
        """What becomes of some probes in the lab as it is now."""
        lab = self.lab
        hosts = {node.name: lab.namespaces[node.name] for node in self.plan.hosts}
        devices = {node.name: lab.namespaces[node.name] for node in self.plan.devices}
        switches = [node.name for node in self.plan.devices if node.bridges]
        return measure(probes, hosts, devices, switches=switches, arrivals=self.listeners)

    @property
    def finder(self) -> PathFinder:
        """Paths as they are now, with what has failed."""
        return self.work.finder.under(self.failover.failure)

    def _joined(self, probe: Probe) -> bool:
        return probe.destination.partition("/")[0] in self.finder.remaining.cabled(probe.source)

    def probes(self) -> tuple[Probe, ...]:
        """Every source to every destination on every port in scope, on the extra ports and on seeded ones.

        Where the site asks for a `sample`, so many of these, half of them required, and always the same.
        """
        settings = self.work.site.file.lab
        if settings.sample is None:
            return self._whole_matrix()
        return pick(self._whole_matrix(), lambda probe: bool(self._asked(probe)), settings.sample, settings.seed)

    def _whole_matrix(self) -> tuple[Probe, ...]:
        settings = self.work.site.file.lab
        sources = {node.name: self._source(node.name) for node in self.work.site.topology.hosts}
        targets = [Target(name, self.destination(name)) for name in sources]
        wanted = [*sorted(self._ports()), ECHO, *map(parse_service, settings.extra_ports)]
        found = build_matrix(
            sources, targets, wanted, seed=settings.seed, random_ports=settings.random_ports, one_way=self._one_way()
        )
        # A server of a dsr pool has the virtual address itself: what it sends there never reaches the network.
        flows = self.work.graph.handed_over
        held = {(server.at, flow.destination.at) for flow in flows for server in flow.answerers or ()}
        return tuple(probe for probe in found if (probe.source, probe.destination) not in held)

    def _listen(self) -> Listeners:
        probes = self._whole_matrix()
        hosts = {node.name: self.lab.namespaces[node.name] for node in self.plan.hosts}
        tcp = {probe.port for probe in probes if probe.protocol == "tcp"}
        udp = {probe.port for probe in probes if probe.protocol == "udp"}
        silent = {port for _, port in self._one_way()}
        return Listeners(hosts, tcp=tcp, udp=udp - silent, silent=silent, leave=self.services.occupied())

    def _ports(self) -> set[tuple[str, int]]:
        """TCP and UDP ports of all requirements, in force or not: what is not in force must be closed."""
        found = set()
        for _, one in self.work.site.requirements():
            service = one.service(dict(self.work.site.file.ports))
            if service.protocol in (TCP, UDP):
                found |= {(one.protocol, port) for port in {service.ports.first, service.ports.last}}
        return found

    def _one_way(self) -> set[tuple[str, int]]:
        return {
            (one.protocol, one.service().ports.first)
            for _, one in self.work.site.requirements()
            if one.reply_kind is Reply.ONE_WAY and one.ports is not None
        }

    def _source(self, host: str) -> IPv4Address:
        balancer = self.work.site.file.load_balancers.get(host)
        return balancer.source[0] if balancer else self.work.site.topology.nodes[host].addresses[0]

    def destination(self, host: str) -> IPv4Address:
        """Where a host is reached: a load balancer at its virtual address."""
        balancer = self.work.site.file.load_balancers.get(host)
        return balancer.virtual[0] if balancer else self.work.site.topology.nodes[host].addresses[0]

    # ---- judging --------------------------------------------------------------------------

    def _model(self, states: Mapping[str, FilterState]) -> Judge:
        """What the packet engine says of a probe, under some filters."""
        model = Model(self.finder, states, self.work.space)

        def verdict(probe: Probe) -> Verdict:
            packet = packet_of(probe)
            servers = handed_to(self.work.graph, packet, probe.destination)
            answered = not probe.one_way
            try:
                return model.verdict(packet, probe.source, probe.destination, answered=answered, servers=servers)
            except SiteError:
                return Verdict.DENIED  # what no route leads to does not arrive; all that is asked for has a way

        return verdict

    def _intent(self, probe: Probe, before: Judge) -> Verdict:
        """What is asked for passes; the rest in scope is denied; what is not ours stays as it was.

        Where every filter on the way is somebody's that we only add to, what it lets through today stays let through;
        and so it does while the site only monitors.
        """
        packet = packet_of(probe)
        if self._asked(probe):
            return Verdict.PERMITTED
        if self.monitors:
            return before(probe)
        if packet in self._scope and self._owned(probe.source, probe.destination):
            return Verdict.DENIED
        return before(probe)

    @property
    def monitors(self) -> bool:
        """Whether the site permits and counts what nothing asks for, and denies none of it yet."""
        return self.work.site.file.enforcement is Enforcement.MONITOR

    def monitored(self, matrix: Matrix) -> int:
        """Cells that pass although nothing asks for them, as far as they are in scope: `enforce` would deny them."""
        ours = {
            (one.source, one.destination, one.protocol, one.port): packet_of(one) in self._scope
            for one in self.probes()
        }
        passing = (cell for cell in matrix.cells if cell.live == Verdict.PERMITTED and not cell.requirements)
        return sum(ours[cell.source, cell.destination, cell.protocol, cell.port] for cell in passing)

    def _owned(self, source: str, destination: str) -> bool:
        """Whether each way between two hosts crosses a device whose filter is ours as a whole, or there is no way."""
        try:
            ways = self.work.finder.paths(source, destination.partition("/")[0])
        except NoPathError:
            return True  # nothing comes through
        modes = [{self.work.policies[hop.device].ownership for hop in way.hops} for way in ways]
        return all(Ownership.OWN in one for one in modes)

    @cached_property
    def _scope(self) -> PacketSet:
        """The protected set: the same on every device."""
        return self.work.space.union(next(iter(self.work.policies.values())).scope)

    def _asked(self, probe: Probe) -> tuple[str, ...]:
        return self.work.asked_for(packet_of(probe))


def packet_of(probe: Probe) -> Packet:
    """The packet that a probe sends first."""
    if probe.source_address is None:
        raise LabError(f"the probe from {probe.source} has no source address")
    number = PROTOCOL_NUMBERS[probe.protocol]
    ends = (probe.source_address, probe.destination_address)
    if number == ICMP:
        return Packet(*ends, ICMP, icmp=IcmpKind(8, 0))
    return Packet(*ends, number, probe.sport or SPORT, probe.port)
