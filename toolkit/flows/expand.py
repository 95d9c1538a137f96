"""Flows between roles -> flows between the endpoints that play them, as bundles: groups on both sides."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import SiteError
from toolkit.flows.model import ANY_ROLE, DSR, LOAD_BALANCER, SNAT, TRANSPARENT, Bundle, Endpoint, Flow, RoleFlow
from toolkit.net import ANYWHERE, WITH_PORTS
from toolkit.spec.condition import holds
from toolkit.spec.model import Constraint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from toolkit.net import Service
    from toolkit.site import Site

    Ends = Callable[..., tuple[Endpoint, ...]]

KUBE_API_PORT = 6443
REGISTRY_PORT = 30070
# RKE2's join and API ports answer on servers only; everything else of the pool is on every node.
SERVER_PORTS = frozenset({KUBE_API_PORT, 9345})


def expand(site: Site, role_flow: RoleFlow) -> Iterator[Flow]:
    """The flows between endpoints that a flow between roles stands for, without their requirements.

    Raises:
        SiteError: a balancer cannot reach its pool in the mode that it has.
    """
    for bundle in _bundles_of(_Endpoints(site), role_flow):
        yield from bundle.flows()


def bundles_of(site: Site, role_flows: Iterable[RoleFlow]) -> tuple[Bundle, ...]:
    """All flows between endpoints, each in one bundle, whose requirements are those of all role flows that hold it.

    Raises:
        SiteError: a balancer cannot reach its pool in the mode that it has.
    """
    ends = _Endpoints(site)
    alike: dict[tuple[object, ...], list[Bundle]] = defaultdict(list)
    rank = 0
    for role_flow in role_flows:
        for bundle in _bundles_of(ends, role_flow):
            key = (bundle.service, bundle.reply, bundle.answerers)
            alike[key].append(replace(bundle, requirements=(role_flow.requirement,), rank=rank))
            rank += 1
    shared: dict[tuple[Endpoint, ...], tuple[Endpoint, ...]] = {}
    return tuple(
        replace(
            bundle,
            sources=shared.setdefault(bundle.sources, bundle.sources),
            destinations=shared.setdefault(bundle.destinations, bundle.destinations),
        )
        for found in alike.values()
        for bundle in _apart(found)
    )


def _apart(bundles: list[Bundle]) -> Iterator[Bundle]:
    """The same flows in bundles that have none in common: cut where other requirements begin to ask."""
    sources = _groups([bundle.sources for bundle in bundles])
    destinations = _groups([bundle.destinations for bundle in bundles])
    for asked_from, some in sources.items():
        for asked_to, others in destinations.items():
            asking = [bundle for number, bundle in enumerate(bundles) if asked_from & asked_to & 1 << number]
            if asking:
                ids = tuple(dict.fromkeys(one for bundle in asking for one in bundle.requirements))
                yield replace(asking[0], sources=some, destinations=others, requirements=ids)


def _groups(sides: list[tuple[Endpoint, ...]]) -> dict[int, tuple[Endpoint, ...]]:
    """Endpoints by the sides that they are on, as a number with a bit for each side."""
    held: dict[Endpoint, int] = defaultdict(int)
    for number, side in enumerate(sides):
        for end in side:
            held[end] |= 1 << number
    groups: dict[int, list[Endpoint]] = defaultdict(list)
    for end, on in held.items():
        groups[on].append(end)
    return {on: tuple(ends) for on, ends in groups.items()}


class _Endpoints:
    """Endpoints of roles, made once."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._known: dict[tuple[str, bool, bool], tuple[Endpoint, ...]] = {}

    def __call__(self, role: str, *, as_source: bool, check: bool = False) -> tuple[Endpoint, ...]:
        key = (role, as_source, check)
        if key not in self._known:
            self._known[key] = endpoints(self.site, role, as_source=as_source, check=check)
        return self._known[key]


def _bundles_of(ends: _Endpoints, role_flow: RoleFlow) -> Iterator[Bundle]:
    """What a flow between roles stands for, without its requirement."""
    site, service, reply = ends.site, role_flow.service, role_flow.reply
    if role_flow.client is not None:
        yield from _passed_on(ends, role_flow, role_flow.client)
        return
    sources = ends(role_flow.source, as_source=True, check=role_flow.health_check)
    plain = []
    for destination in ends(role_flow.destination, as_source=False):
        balancer = site.file.load_balancers.get(destination.name)
        if balancer is None or balancer.mode != DSR or service.protocol not in WITH_PORTS:
            plain.append(destination)
            continue
        servers = ends(pool_of(site, service), as_source=False)
        names = {one.name for one in servers}  # a server has the virtual address itself, and so reaches itself
        answerers = tuple(_as_virtual(one, destination.prefixes) for one in servers)
        others = tuple(one for one in sources if one.name not in names)
        yield Bundle(others, (destination,), service, reply, answerers)
    if plain:
        yield Bundle(sources, tuple(plain), service, reply)


def _passed_on(ends: _Endpoints, leg: RoleFlow, client: str) -> Iterator[Bundle]:
    """The second leg through each balancer, in its mode, for the connections of one role."""
    site = ends.site
    servers = ends(leg.destination, as_source=False)
    for host in site.file.bindings[LOAD_BALANCER].hosts:
        balancer = site.file.load_balancers[host]
        own = tuple(one for one in ends(LOAD_BALANCER, as_source=True) if one.name == host)
        if balancer.mode == SNAT or client in balancer.snat_roles:
            yield Bundle(own, servers, leg.service, leg.reply)
            continue
        kept = tuple(
            replace(one, at=host, towards=_near(site, one)) for one in ends(client, as_source=True) if one.name != host
        )
        if balancer.mode == TRANSPARENT:
            yield Bundle(kept, servers, leg.service, leg.reply)
            continue
        virtual = tuple(IPv4Network(address) for address in balancer.virtual)
        for server in servers:
            _check_segment(site, host, server)
        names = {one.name for one in servers}
        handed = tuple(_as_virtual(server, virtual) for server in servers)
        others = tuple(one for one in kept if one.name not in names)
        yield Bundle(others, handed, leg.service, leg.reply, answerers=())


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


def pool_of(site: Site, service: Service) -> str:
    """The role behind the balancer for a service: who a requirement sends it to, else the vendor's usual one."""
    usual = _usual_pool(site, service)
    stated = [
        role
        for _, one in site.requirements()
        if LOAD_BALANCER in one.effective_sources
        and Constraint.HEALTH_CHECK not in one.constraints  # a check says who is alive, not who serves
        and holds(one.condition, site.settings)
        and one.service(dict(site.file.ports)) == service
        for role in one.effective_destinations
        if role != LOAD_BALANCER and role in site.file.bindings
    ]
    return usual if not stated or usual in stated else stated[0]


def _usual_pool(site: Site, service: Service) -> str:
    if service.ports.first == REGISTRY_PORT:
        return "temporary_registry"
    return "server" if service.ports.first in SERVER_PORTS and "server" in site.file.bindings else "node"
