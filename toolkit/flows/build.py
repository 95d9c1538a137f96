"""Spec + bindings -> the flows between roles that are in force, and what keeps them from being derived."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import SiteError
from toolkit.flows.expand import KUBE_API_PORT, endpoints, pool_of
from toolkit.flows.graph import FlowGraph
from toolkit.flows.model import ANY_ROLE, LOAD_BALANCER, SNAT, RoleFlow
from toolkit.net import WITH_PORTS, Service
from toolkit.spec.condition import holds
from toolkit.spec.model import Constraint, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.site import Site
    from toolkit.spec.model import Requirement, Spec

# RFC 1918: what the page calls a private IP address.
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


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
    pool = pool_of(site, service)
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
