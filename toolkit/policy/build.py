"""Flows and paths -> the policy of each device: permits where packets enter, then the scope's default."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import PolicyError, SiteError
from toolkit.flows import is_error_message
from toolkit.net import (
    ANY_PORT,
    ANYWHERE,
    ECHO_REQUEST,
    ICMP,
    TCP,
    WITH_PORTS,
    Action,
    Direction,
    IcmpKind,
    PortRange,
    Service,
)
from toolkit.paths import Alternatives
from toolkit.policy.findings import device_findings, not_enforceable, path_findings
from toolkit.policy.model import Ace, Acl, DevicePolicy, Requiredness
from toolkit.site import Enforcement
from toolkit.spec.model import Finding, Reply
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.flows import Endpoint, Flow, FlowGraph
    from toolkit.net import Packet
    from toolkit.paths import Hop, Path, PathFinder
    from toolkit.site import Site
    from toolkit.topology import Node, Topology


SCOPE_COMMENT = "default deny: nothing on the page asks for this"
MONITOR_COMMENT = "monitor: would be denied, nothing on the page asks for this"


def build_policies(graph: FlowGraph, finder: PathFinder) -> tuple[dict[str, DevicePolicy], tuple[Finding, ...]]:
    """Policies of all devices that traffic in scope can cross, by device name, and what cannot be enforced.

    Every linked interface gets an inbound ACL, so that each packet is judged once per device, and a
    source address is only accepted where the routes say that it enters. Where a site declares redundancy, the
    ways of every single failure are permitted as well.
    """
    site = graph.site
    collector = _Collector(graph, finder)
    findings = [finding for flow in graph.flows for finding in collector.add(flow)]
    scope = protected_scope(graph)
    policies = {
        node.name: DevicePolicy(
            device=node.name,
            platform=node.platform or "",
            ownership=node.filter.mode,
            stateful=node.stateful,
            enforcement=site.file.enforcement,
            prefix=site.file.acl_prefix,
            acls=tuple(_acl(site, node, name, collector, scope) for name in node.interfaces),
            required={name: collector.required(node.name, name) for name in node.interfaces},
            scope=tuple(box for ace in scope for box in ace.boxes()),
            domains=finder.domains[node.name],
        )
        for node in site.topology.devices
    }
    findings += device_findings(graph, tuple(policies.values()))
    return policies, tuple(dict.fromkeys(findings))


def protected_scope(graph: FlowGraph) -> tuple[Ace, ...]:
    """The protected set as deny entries: the cluster and its balancers, and the services that they use.

    A service host is protected only on the ports that a vendor's requirement lists, in both directions of
    the exchange; everything else on it is other people's traffic. Site baselines protect nothing.
    """
    site = graph.site
    core: dict[IPv4Network, None] = {}
    for role in ("node", "load_balancer"):
        for host in site.file.bindings[role].hosts if role in site.file.bindings else ():
            core.update((IPv4Network(address), None) for address in site.topology.nodes[host].addresses)
    baseline = {one.id for spec in site.specs.values() if spec.baseline is not None for one in spec.requirements}
    entries = [Ace(Action.DENY, destinations=tuple(core)), Ace(Action.DENY, sources=tuple(core))] if core else []
    seen: set[tuple[Endpoint, Service]] = set()
    for flow in graph.flows:
        inside = all(prefix in core for prefix in flow.destination.prefixes)
        key = (flow.destination, flow.service)
        if inside or key in seen or set(flow.requirements) <= baseline or flow.destination.at is None:
            continue
        seen.add(key)
        entries.append(Ace(Action.DENY, flow.service, destinations=flow.destination.prefixes))
    return (*entries, *_answers_of(entries))


class _Collector:
    """What must pass each interface inwards, gathered flow by flow."""

    def __init__(self, graph: FlowGraph, finder: PathFinder) -> None:
        self.graph = graph
        self.finder = finder
        self.alternatives = Alternatives(finder)
        self.topology = graph.site.topology
        self.client_ports = graph.site.client_ports
        self.aces: dict[tuple[str, str], dict[Ace, None]] = defaultdict(dict)
        self.established: dict[tuple[str, str], dict[Ace, None]] = defaultdict(dict)

    def add(self, flow: Flow) -> Iterator[Finding]:
        """Take one flow; yields what cannot be enforced about it."""
        if not is_supported_path(flow):
            raise PolicyError(f"{flow.requirements[0]}: a flow from any to any cannot be placed on the network")
        forward = entry_of(flow)
        back = answer_of(forward, flow, self.client_ports)
        for source, destination in flow_ends(self.topology, flow):
            paths = self._paths(source, destination, flow.destination)
            if not any(path.hops for path in paths):
                yield not_enforceable(flow, source, destination)
            for hop in self._hops(source, destination, flow.destination):
                self._place(hop.device, hop.in_interface, forward, flow, initiating=True)
            for answerer in [destination] if flow.answerers is None else [str(one.at) for one in flow.answerers]:
                if back is None or answerer == source:
                    continue
                answers = self._answers(answerer, source, flow)
                yield from path_findings(flow, paths, answers, self.topology)
                for hop in self._hops(answerer, source, flow.source):
                    self._place(hop.device, hop.in_interface, back, flow, initiating=False)

    def required(self, device: str, interface: str) -> Requiredness:
        """What must pass an interface inwards, as boxes with their requirement ids."""
        new, known = self.aces[device, interface], self.established[device, interface]
        return Requiredness(
            tuple((box, ace.requirements) for ace in new for box in ace.boxes()),
            tuple((box, ace.requirements) for ace in known for box in ace.boxes()),
        )

    def _place(self, device: str, interface: str, ace: Ace, flow: Flow, *, initiating: bool) -> None:
        """Stateless devices need both directions as entries; stateful ones only the first packet's.

        ICMP errors are related to a connection that a stateful device knows: they need no entry there.
        """
        if not self.topology.nodes[device].stateful:
            self.aces[device, interface].setdefault(ace)
        elif not is_error_message(flow.service):
            self.established[device, interface].setdefault(ace)
            if initiating:
                self.aces[device, interface].setdefault(ace)

    def _paths(self, source: str, destination: str, end: Endpoint) -> tuple[Path, ...]:
        return self.finder.paths(source, destination, goal_address(self.topology, destination, end))

    def _answers(self, answerer: str, source: str, flow: Flow) -> tuple[Path, ...]:
        """The ways back; a transparent balancer must be on them, since it waits for what its clients wait for."""
        try:
            return self._paths(answerer, source, flow.source)
        except SiteError as caught:
            if flow.source.towards is None:
                raise
            raise PolicyError(
                f"{source} is transparent, but the answers of {answerer} to {flow.source.name} do not come back "
                f"through it ({caught.message}): route them to {source} in hosts.yaml, or name the role of "
                f"{flow.source.name} in snat_roles of {source}",
                place=self.graph.site.document.place("load_balancers", source, "mode"),
            ) from None

    def _hops(self, source: str, destination: str, end: Endpoint) -> set[Hop]:
        """Where the packet may pass, whatever single thing fails: a standby has its permits before it needs them."""
        goal = goal_address(self.topology, destination, end)
        return {hop for path in self.alternatives.paths(source, destination, goal) for hop in path.hops}


def flow_ends(topology: Topology, flow: Flow) -> Iterator[tuple[str, str]]:
    """(source host, destination host) pairs of a flow; the role `any` stands at every other host."""
    sources, destinations = ([end.at] if end.at else _everywhere(topology) for end in (flow.source, flow.destination))
    for source in sources:
        for destination in destinations:
            if source != destination:
                yield source, destination


def _everywhere(topology: Topology) -> list[str]:
    return [node.name for node in topology.hosts]


def is_supported_path(flow: Flow) -> bool:
    """Whether at least one end of a flow has a place on the network."""
    return flow.source.at is not None or flow.destination.at is not None


def handed_to(graph: FlowGraph, packet: Packet, destination: str) -> dict[str, IPv4Address]:
    """Servers that a `dsr` balancer hands a packet to and that answer it themselves, with the address of each."""
    return {
        str(server.at): server.towards
        for flow in graph.handed_over
        if flow.destination.at == destination and packet.protocol == flow.service.protocol
        if packet.dport in flow.service.ports and any(packet.dst in prefix for prefix in flow.destination.prefixes)
        for server in flow.answerers or ()
        if server.towards is not None
    }


def goal_address(topology: Topology, host: str, endpoint: Endpoint) -> IPv4Address:
    """The address to route towards: the endpoint's own where the host has it, the host's first otherwise."""
    if endpoint.towards is not None:
        return endpoint.towards
    own = topology.nodes[host].addresses
    return next((p.network_address for p in endpoint.prefixes if p.network_address in own), own[0])


def entry_of(flow: Flow) -> Ace:
    """The entry that lets a flow's first packets pass."""
    return Ace(
        Action.PERMIT, flow.service, flow.source.prefixes, flow.destination.prefixes, requirements=flow.requirements
    )


def answer_of(forward: Ace, flow: Flow, client_ports: PortRange) -> Ace | None:
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


def _acl(site: Site, node: Node, interface: str, collector: _Collector, scope: tuple[Ace, ...]) -> Acl:
    permits = _merge(site, collector.aces[node.name, interface])
    own = node.filter.mode is Ownership.OWN
    monitor = site.file.enforcement is Enforcement.MONITOR
    ending = [
        replace(
            ace,
            action=Action.PERMIT if monitor else Action.DENY,
            comment=MONITOR_COMMENT if monitor else SCOPE_COMMENT,
            log=True,
        )
        for ace in scope
    ]
    return Acl(
        name=f"{site.file.acl_prefix}_{interface}_in",
        device=node.name,
        interface=interface,
        direction=Direction.IN,
        entries=(*permits, *(ending if own else ())),
    )


def _answers_of(scope: list[Ace]) -> tuple[Ace, ...]:
    """What protected services send from their listed ports is in scope as well."""
    return tuple(
        Ace(Action.DENY, Service(ace.service.protocol), ace.destinations, sport=ace.service.ports)
        for ace in scope
        if ace.service.protocol in WITH_PORTS
    )


def _merge(site: Site, aces: Mapping[Ace, None]) -> Iterator[Ace]:
    """Join entries that differ in addresses only, and exactly: never a pair that nobody asked for."""
    groups: dict[Ace, dict[IPv4Network, set[IPv4Network]]] = defaultdict(lambda: defaultdict(set))
    for ace in aces:
        shape = replace(ace, sources=(ANYWHERE,), destinations=(ANYWHERE,))
        for source in ace.sources:
            groups[shape][source].update(ace.destinations)
    for shape, reach in groups.items():
        by_destinations: dict[tuple[IPv4Network, ...], list[IPv4Network]] = defaultdict(list)
        for source, reached in reach.items():
            by_destinations[tuple(sorted(reached))].append(source)
        comment = "; ".join(site.citation(one) for one in shape.requirements)
        for destinations, sources in by_destinations.items():
            merged = tuple(sorted(sources))
            note = f"{comment}, answers" if shape.sport != ANY_PORT else comment
            yield replace(shape, sources=merged, destinations=destinations, comment=note)
