"""Flows and paths -> the policy of each device: permits where packets enter, then the scope's default."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from toolkit.addresses import WRITTEN_OUT, Universe
from toolkit.net import WITH_PORTS, Action, Direction, Service
from toolkit.policy.collector import Collector
from toolkit.policy.findings import device_findings
from toolkit.policy.model import Ace, Acl, DevicePolicy
from toolkit.site import Enforcement
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from toolkit.flows import Endpoint, Flow, FlowGraph
    from toolkit.net import Packet
    from toolkit.paths import PathFinder
    from toolkit.site import Site
    from toolkit.spec.model import Finding
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
    collector = Collector(graph, finder)
    findings = collector.findings
    scope = protected_scope(graph)
    boxes = tuple(box for ace in scope for box in ace.boxes())
    permits = {
        node.name: {name: collector.permits(node.name, name) for name in node.interfaces}
        for node in site.topology.enforcers
    }
    policies = {
        node.name: DevicePolicy(
            device=node.name,
            platform=node.platform or "",
            ownership=node.filter.mode,
            stateful=node.stateful,
            enforcement=site.file.enforcement,
            prefix=site.file.acl_prefix,
            acls=tuple(_acl(site, node, name, found, scope) for name, found in permits[node.name].items()),
            required={name: collector.required(node.name, name, found) for name, found in permits[node.name].items()},
            scope=boxes,
            domains=finder.domains[node.name],
        )
        for node in site.topology.enforcers
    }
    findings += device_findings(graph, tuple(policies.values()))
    return policies, tuple(dict.fromkeys(findings))


def protected_scope(graph: FlowGraph) -> tuple[Ace, ...]:
    """The protected set as deny entries: the cluster and its balancers, and the services that they use.

    A service host is protected only on the ports that a vendor's requirement lists, in both directions of
    the exchange; everything else on it is other people's traffic. Answers to a site's baseline protect nothing.
    """
    site = graph.site
    core: dict[IPv4Network, None] = {}
    for role in ("node", "load_balancer"):
        for host in site.file.bindings[role].hosts if role in site.file.bindings else ():
            core.update((IPv4Network(address), None) for address in site.topology.nodes[host].addresses)
    inner = tuple(core) if len(core) <= WRITTEN_OUT else Universe(core).everything
    entries = [Ace(Action.DENY, destinations=inner), Ace(Action.DENY, sources=inner)] if core else []
    for destination, service in _listed(graph, core):
        entries.append(Ace(Action.DENY, service, destinations=destination.prefixes))
    return (*entries, *_answers_of(entries))


def _listed(graph: FlowGraph, core: Collection[IPv4Network]) -> list[tuple[Endpoint, Service]]:
    """Services outside the cluster that a vendor's requirement lists, in the order of the first flows to them."""
    answers = [answer for spec in graph.site.specs.values() for answer in (spec.baseline or {}).values()]
    baseline = {identifier for answer in answers if answer != "none" for identifier in answer}
    first: dict[tuple[Endpoint, Service], tuple[object, ...]] = {}
    for bundle in graph.bundles:
        if set(bundle.requirements) <= baseline:
            continue
        names = sorted({one.name for one in bundle.sources})
        for one in bundle.destinations:
            source = next((name for name in names if name != one.name), None)
            if source is None or one.at is None or all(prefix in core for prefix in one.prefixes):
                continue
            key = (source, one.name, bundle.service.sort_key(), bundle.rank)
            first[one, bundle.service] = min(first.get((one, bundle.service), key), key)
    return sorted(first, key=lambda one: first[one])


def flow_ends(topology: Topology, flow: Flow) -> Iterator[tuple[str, str]]:
    """(source host, destination host) pairs of a flow; the role `any` stands at every other host."""
    sources, destinations = ([end.at] if end.at else _everywhere(topology) for end in (flow.source, flow.destination))
    for source in sources:
        for destination in destinations:
            if source != destination:
                yield source, destination


def _everywhere(topology: Topology) -> list[str]:
    return [node.name for node in topology.hosts]


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


def entry_of(flow: Flow) -> Ace:
    """The entry that lets a flow's first packets pass."""
    return Ace(
        Action.PERMIT, flow.service, flow.source.prefixes, flow.destination.prefixes, requirements=flow.requirements
    )


def _acl(site: Site, node: Node, interface: str, permits: tuple[Ace, ...], scope: tuple[Ace, ...]) -> Acl:
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
