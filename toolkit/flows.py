"""Spec + bindings -> the flow graph: who must reach whom, on what, and because of which requirement.

Flows are derived at role level first (`RoleFlow`) and expanded to endpoints when something needs hosts, so
that the cost of a large cluster stays with those who ask for hosts. A load balancer splits a flow into
two legs: to its virtual address, and on to the pool behind it. What the second leg looks like on the wire is
the balancer's mode:

- `snat`: from the balancer's source addresses to the server's address; the answer comes back to the balancer;
- `transparent`: from the client's own address to the server's; the server must send its answer through the balancer;
- `dsr` (direct server return): from the client's own address to the virtual address, handed over inside one segment;
  the server answers the client directly, from the virtual address.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import SiteError
from toolkit.net import ANYWHERE, ICMP, WITH_PORTS, Service
from toolkit.spec.condition import holds
from toolkit.spec.model import Constraint, Finding, Reply, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

    from toolkit.site import Site
    from toolkit.spec.model import Requirement, Spec

# RFC 1918: what the page calls a private IP address.
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
LOAD_BALANCER = "load_balancer"
ANY_ROLE = "any"
SNAT, TRANSPARENT, DSR = "snat", "transparent", "dsr"  # modes of a load balancer


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a flow: a host with the addresses it uses here, or prefixes behind a host.

    `at` names the host where the traffic enters or leaves the network; None means everywhere (role `any`).
    `towards` is the address that leads there where `at` has none of `prefixes` itself: a balancer passes on the
    addresses of its clients, and with `dsr` its own virtual address.
    """

    name: str
    prefixes: tuple[IPv4Network, ...]
    at: str | None
    towards: IPv4Address | None = None

    @property
    def address(self) -> IPv4Address:
        """First address, as an example of them all."""
        return self.prefixes[0].network_address


@dataclass(frozen=True, slots=True)
class RoleFlow:
    """A flow between roles, because of one requirement."""

    source: str
    destination: str
    service: Service
    requirement: str
    reply: Reply
    health_check: bool = False
    client: str | None = None  # role whose connections a balancer passes on by this leg, where its mode matters


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow between endpoints; `requirements` are the ids of all requirements that ask for it.

    `answerers` are the endpoints that answer it; None where the destination does, as it mostly does.
    """

    source: Endpoint
    destination: Endpoint
    service: Service
    reply: Reply
    requirements: tuple[str, ...] = ()
    answerers: tuple[Endpoint, ...] | None = None

    @property
    def is_passed_on(self) -> bool:
        """Whether it is a balancer's second leg that keeps an address of somebody else."""
        return self.source.towards is not None or self.destination.towards is not None

    def sort_key(self) -> tuple[str, str, tuple[int, ...]]:
        """Order: source, destination, service."""
        return self.source.name, self.destination.name, self.service.sort_key()


@dataclass(frozen=True)
class FlowGraph:
    """All required flows of a site, at both levels."""

    site: Site
    role_flows: tuple[RoleFlow, ...]
    findings: tuple[Finding, ...] = field(default=())

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Flows between endpoints, each once, sorted; a flow of a host to itself is local and left out."""
        merged: dict[Flow, list[str]] = defaultdict(list)
        for role_flow in self.role_flows:
            for flow in expand(self.site, role_flow):
                if role_flow.requirement not in merged[flow]:
                    merged[flow].append(role_flow.requirement)
        found = [replace(flow, requirements=tuple(requirements)) for flow, requirements in merged.items()]
        return tuple(sorted(found, key=Flow.sort_key))

    @cached_property
    def handed_over(self) -> tuple[Flow, ...]:
        """Flows to a `dsr` balancer, which others answer than whom they are sent to."""
        return tuple(flow for flow in self.flows if flow.answerers)

    @cached_property
    def graph(self) -> nx.MultiDiGraph[str]:
        """Endpoints as nodes (attributes `roles`, `prefixes`), flows as edges (attribute `flow`)."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.site.name)
        for flow in self.flows:
            for end in (flow.source, flow.destination):
                if end.name not in graph or end.towards is None:  # a host's own addresses, not what is passed on
                    graph.add_node(end.name, roles=self.site.roles_of(end.at or end.name), prefixes=end.prefixes)
            graph.add_edge(flow.source.name, flow.destination.name, flow=flow)
        return graph

    @cached_property
    def role_graph(self) -> nx.MultiDiGraph[str]:
        """Roles as nodes, role flows as edges (attribute `flow`)."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.site.name)
        for flow in self.role_flows:
            graph.add_edge(flow.source, flow.destination, flow=flow)
        return graph


def build(site: Site) -> FlowGraph:
    """Derive the flows that a site's specs require under its settings.

    Raises:
        SiteError: a role that a requirement in force needs is bound to nothing, or a constraint of a
            requirement is broken by a binding.
    """
    flows: dict[RoleFlow, None] = {}
    findings: list[Finding] = []
    for spec, requirement in site.requirements():
        if not holds(requirement.condition, site.settings):
            findings.append(_not_in_force(requirement))
            continue
        _check_bound(site, spec, requirement)
        _check_private(site, requirement)
        for flow in _legs(site, requirement):
            flows.setdefault(flow)
    return FlowGraph(site, tuple(flows), tuple(findings))


def expand(site: Site, role_flow: RoleFlow) -> Iterator[Flow]:
    """The flows between endpoints that a flow between roles stands for, without their requirements.

    Raises:
        SiteError: a balancer cannot reach its pool in the mode that it has.
    """
    if role_flow.client is not None:
        yield from _passed_on(site, role_flow, role_flow.client)
        return
    for source in endpoints(site, role_flow.source, as_source=True, check=role_flow.health_check):
        for destination in endpoints(site, role_flow.destination, as_source=False):
            if source.name == destination.name:
                continue
            balancer = site.file.load_balancers.get(destination.name)
            answerers = None
            if balancer is not None and balancer.mode == DSR and role_flow.service.protocol in WITH_PORTS:
                servers = endpoints(site, _pool(site, role_flow.service), as_source=False)
                if source.name in {one.name for one in servers}:
                    continue  # it has the virtual address itself, and so reaches itself
                answerers = tuple(_as_virtual(one, destination.prefixes) for one in servers)
            yield Flow(source, destination, role_flow.service, role_flow.reply, answerers=answerers)


def _passed_on(site: Site, leg: RoleFlow, client: str) -> Iterator[Flow]:
    """The second leg through each balancer, in its mode, for the connections of one role."""
    servers = endpoints(site, leg.destination, as_source=False)
    clients = endpoints(site, client, as_source=True)
    for host in site.file.bindings[LOAD_BALANCER].hosts:
        balancer = site.file.load_balancers[host]
        (own,) = (one for one in endpoints(site, LOAD_BALANCER, as_source=True) if one.name == host)
        kept = [one for one in clients if one.name != host]
        names = {one.name for one in servers}
        if balancer.mode == SNAT or client in balancer.snat_roles:
            yield from (Flow(own, server, leg.service, leg.reply) for server in servers)
        elif balancer.mode == TRANSPARENT:
            for source in kept:
                sender = replace(source, at=host, towards=_near(site, source))
                for server in servers:
                    if server.name != source.name:
                        yield Flow(sender, server, leg.service, leg.reply)
        else:
            virtual = tuple(IPv4Network(address) for address in balancer.virtual)
            for server in servers:
                _check_segment(site, host, server)
                for source in kept:
                    if source.name not in names:
                        sender = replace(source, at=host, towards=_near(site, source))
                        yield Flow(sender, _as_virtual(server, virtual), leg.service, leg.reply, answerers=())


def _as_virtual(server: Endpoint, virtual: tuple[IPv4Network, ...]) -> Endpoint:
    """A server of a `dsr` pool, with the virtual addresses that it answers from."""
    return replace(server, prefixes=virtual, towards=server.address)


def _near(site: Site, client: Endpoint) -> IPv4Address:
    """An address that leads to a client: its own, or one of the host that its prefixes are behind."""
    if client.at is None:
        raise SiteError("a load balancer that keeps its clients' addresses needs clients with a place on the network")
    own = site.topology.nodes[client.at].addresses
    return next((prefix.network_address for prefix in client.prefixes if prefix.network_address in own), own[0])


def _check_segment(site: Site, host: str, server: Endpoint) -> None:
    """With `dsr` only the frame's address changes, so nothing that routes may stand in between."""
    segments = [
        {site.topology.segment_of[port.port] for port in site.topology.nodes[name].interfaces.values()}
        for name in (host, server.at or server.name)
    ]
    if not segments[0] & segments[1]:
        raise SiteError(
            f"{host} hands connections over by dsr, but {server.name} of its pool is in another segment: only the "
            "frame's address changes on the way; put them into one segment, or set the mode to snat or transparent",
            place=site.document.place("load_balancers", host, "mode"),
        )


def endpoints(site: Site, role: str, *, as_source: bool, check: bool = False) -> tuple[Endpoint, ...]:
    """Endpoints of a role: one for each bound host, and one for the prefixes of a binding.

    A load balancer is reached at its virtual addresses and speaks from its source addresses, or from its
    health-check addresses for a requirement that asks for health checks.
    """
    if role == ANY_ROLE:
        return (Endpoint(ANY_ROLE, (ANYWHERE,), None),)
    binding = site.file.bindings[role]
    found = [Endpoint(host, _host_prefixes(site, role, host, as_source, check), host) for host in binding.hosts]
    if binding.prefixes:
        found.append(Endpoint(binding.at or role, tuple(binding.prefixes), binding.at))
    return tuple(found)


def _host_prefixes(site: Site, role: str, host: str, as_source: bool, check: bool) -> tuple[IPv4Network, ...]:  # noqa: FBT001
    if role == LOAD_BALANCER:
        balancer = site.file.load_balancers[host]
        sources = tuple(dict.fromkeys((*balancer.source, *balancer.health_check)))
        chosen = (balancer.health_check if check else sources) if as_source else balancer.virtual
        return tuple(IPv4Network(address) for address in chosen)
    return tuple(IPv4Network(address) for address in site.topology.nodes[host].addresses)


def _legs(site: Site, requirement: Requirement) -> Iterator[RoleFlow]:
    """Role flows of one requirement; what goes through the load balancer gets its second leg."""
    service = requirement.service(dict(site.file.ports))
    health = Constraint.HEALTH_CHECK in requirement.constraints
    for source, destination in _pairs(requirement):
        if source == destination == LOAD_BALANCER:
            continue  # a balancer does not balance to itself
        health_leg = health and source == LOAD_BALANCER
        yield RoleFlow(source, destination, service, requirement.id, requirement.reply_kind, health_leg)
        if destination == LOAD_BALANCER and service.protocol in WITH_PORTS:
            yield _second_leg(site, service, requirement, source)
    if _through_balancer(site, requirement, service):
        sources = [one for one in requirement.effective_sources if one != LOAD_BALANCER]
        for source in sources:
            yield RoleFlow(source, LOAD_BALANCER, service, requirement.id, requirement.reply_kind)
            yield _second_leg(site, service, requirement, source)


def _second_leg(site: Site, service: Service, requirement: Requirement, client: str) -> RoleFlow:
    """From the balancer to its pool; who the clients are matters only where a balancer keeps their addresses."""
    keeps = any(one.mode != SNAT for one in site.file.load_balancers.values())
    pool = _pool(site, service)
    reply = requirement.reply_kind
    return RoleFlow(LOAD_BALANCER, pool, service, requirement.id, reply, client=client if keeps else None)


def _pairs(requirement: Requirement) -> Iterator[tuple[str, str]]:
    """(source, destination) roles of a requirement; a bidirectional one is asked for from both ends, each pair once."""
    pairs = [(s, d) for s in requirement.effective_sources for d in requirement.effective_destinations]
    if Constraint.BIDIRECTIONAL in requirement.constraints:
        pairs += [(destination, source) for source, destination in pairs]
    yield from dict.fromkeys(pairs)


def _through_balancer(site: Site, requirement: Requirement, service: Service) -> bool:
    """Whether the site sends a service through its balancer although the row does not name it."""
    if LOAD_BALANCER not in site.file.bindings or LOAD_BALANCER in requirement.effective_destinations:
        return False
    settings = site.file.settings
    port = service.ports.first
    kube_api = settings.kube_api_through_load_balancer and port == KUBE_API_PORT
    registry = settings.registry_through_load_balancer and "temporary_registry" in requirement.effective_destinations
    return kube_api or registry


KUBE_API_PORT = 6443
REGISTRY_PORT = 30070
# RKE2's join and API ports answer on servers only; everything else of the pool is on every node.
SERVER_PORTS = frozenset({KUBE_API_PORT, 9345})


def _pool(site: Site, service: Service) -> str:
    """The role behind the balancer for a service."""
    if service.ports.first == REGISTRY_PORT:
        return "temporary_registry"
    return "server" if service.ports.first in SERVER_PORTS and "server" in site.file.bindings else "node"


def _not_in_force(requirement: Requirement) -> Finding:
    return Finding(
        code="not_in_force",
        severity=Severity.INFO,
        message=f"{requirement.id} is not in force: its condition is {requirement.condition!r}",
        line=requirement.lines[0] if requirement.lines else None,
    )


def _check_bound(site: Site, spec: Spec, requirement: Requirement) -> None:
    for role in (*requirement.effective_sources, *requirement.effective_destinations):
        if role != ANY_ROLE and role not in site.file.bindings:
            raise SiteError(
                f"requirement {requirement.id} of {spec.name} needs the role {role!r}, which is bound to nothing; "
                f"bind it, or change the site's settings so that {requirement.id} is not in force",
                place=site.document.place("bindings"),
            )


def _check_private(site: Site, requirement: Requirement) -> None:
    """`no_internet` and `private_only` are promises about bindings: they are kept or refused, never assumed."""
    roles = (*requirement.effective_sources, *requirement.effective_destinations)
    for constraint in (Constraint.NO_INTERNET, Constraint.PRIVATE_ONLY):
        if constraint not in requirement.constraints:
            continue
        for role in roles:
            wide = role in ("internet", ANY_ROLE)
            if constraint is Constraint.PRIVATE_ONLY:
                wide |= any(not _is_private(prefix) for prefix in _role_prefixes(site, role))
            if wide:
                lines = ", ".join(str(line) for line in requirement.lines)
                raise SiteError(
                    f"requirement {requirement.id} is {constraint.value} (page line {lines}), "
                    f"but the role {role!r} is bound to addresses outside the private ranges",
                    place=site.document.place("bindings", role),
                )


def _is_private(prefix: IPv4Network) -> bool:
    return any(prefix.subnet_of(private) for private in PRIVATE)


def _role_prefixes(site: Site, role: str) -> tuple[IPv4Network, ...]:
    ends = endpoints(site, role, as_source=True)
    return tuple(prefix for end in ends for prefix in end.prefixes)


def is_error_message(service: Service) -> bool:
    """Whether a service is an ICMP error (unreachable, time exceeded, parameter problem): an answer by nature."""
    return service.protocol == ICMP and service.icmp is not None and service.icmp.type in (3, 11, 12)
