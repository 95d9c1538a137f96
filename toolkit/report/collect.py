"""Rows of a report from what the rooms before this one know: site, flow graph, policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.net import ANY_PORT, ANYWHERE, Service
from toolkit.report.model import AclRow, DeviceRow, EntryRow, FindingRow, RequirementRow
from toolkit.site import Enforcement
from toolkit.spec.condition import holds
from toolkit.spec.model import Reply, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ipaddress import IPv4Network

    from toolkit.flows import FlowGraph
    from toolkit.policy import Ace, DevicePolicy
    from toolkit.site import Site
    from toolkit.spec.model import Finding, Requirement, Spec

ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def requirement_rows(site: Site) -> tuple[RequirementRow, ...]:
    """Every requirement of every spec, in the order of the files, with what the operator decided on it."""
    return tuple(_requirement(site, spec, one) for spec, one in site.requirements())


def _requirement(site: Site, spec: Spec, one: Requirement) -> RequirementRow:
    notes = tuple(decision.reason for decision in one.decisions)
    return RequirementRow(
        id=one.id,
        service=str(one.service(dict(site.file.ports))),
        sources=", ".join(one.effective_sources),
        destinations=", ".join(one.effective_destinations),
        purpose=one.purpose,
        document=spec.name,
        lines=", ".join(map(str, one.lines)),
        condition=one.condition or "",
        in_force=holds(one.condition, site.settings),
        notes=(*notes, one.added_by_operator) if one.added_by_operator else notes,
    )


def finding_rows(site: Site, *more: Iterable[Finding]) -> tuple[FindingRow, ...]:
    """Findings of the site's specs, then of flows, policies and whatever else is given; errors first."""
    found = [(f, spec.name) for spec in site.specs.values() for f in spec.findings]
    found += [(f, _document(site, f)) for group in more for f in group]
    rows = [
        FindingRow(f.code, f.severity.value, f.message, f"{where} line {f.line}".strip() if f.line else where)
        for f, where in sorted(found, key=lambda pair: ORDER.index(pair[0].severity))
    ]
    return tuple(dict.fromkeys(rows))


def _document(site: Site, finding: Finding) -> str:
    """The document of a finding about a requirement: such a message begins with the requirement's id."""
    about = finding.message.partition(" ")[0]
    return next((spec.name for spec, one in site.requirements() if one.id == about), "")


def device_rows(
    site: Site, policies: Mapping[str, DevicePolicy], diffs: Mapping[str, str] | None = None
) -> tuple[DeviceRow, ...]:
    """What each device enforces, entry by entry with citations; `diffs` maps devices to the text of a change."""
    rows = []
    for name, policy in policies.items():
        state = "stateful" if policy.stateful else "stateless"
        about = f"{policy.platform}, {state}, mode {policy.ownership.value}, {policy.enforcement.value}"
        acls = tuple(
            AclRow(acl.name, acl.interface, acl.direction.value, tuple(_entry(site, ace) for ace in acl.entries))
            for acl in policy.acls
            if acl.entries
        )
        rows.append(DeviceRow(name, about, acls, (diffs or {}).get(name, "")))
    return tuple(rows)


def _entry(site: Site, ace: Ace) -> EntryRow:
    service = "any" if ace.service == Service(None) else str(ace.service)
    if ace.sport != ANY_PORT:
        service = f"{service} from port {ace.sport}"
    if ace.established:
        service += ", established"
    return EntryRow(
        action=ace.action.value,
        service=service,
        sources=_prefixes(ace.sources),
        destinations=_prefixes(ace.destinations),
        citations=tuple(site.citation(one) for one in ace.requirements),
        comment="" if ace.requirements else ace.comment,
    )


def _prefixes(prefixes: tuple[IPv4Network, ...]) -> str:
    return ", ".join("any" if one == ANYWHERE else str(one).removesuffix("/32") for one in prefixes)


def host_roles(site: Site) -> dict[str, str]:
    """Host -> the role that its cells are grouped under: the first it is bound to, in the order of the bindings."""
    return {node.name: next(iter(site.roles_of(node.name)), node.name) for node in site.topology.hosts}


def limits(graph: FlowGraph, policies: Mapping[str, DevicePolicy], findings: Iterable[Finding]) -> tuple[str, ...]:
    """What is not enforced or cannot be proved, one sentence each; `findings` are those of the policies."""
    site = graph.site
    said = [f"Not enforceable: {one.message}." for one in findings if one.code == "not_enforceable"]
    if site.file.enforcement is Enforcement.MONITOR:
        said.append("The site is in monitor mode: traffic in scope that nothing requires is counted, not denied.")
    stateless = sorted(policy.device for policy in policies.values() if not policy.stateful)
    if stateless:
        said.append(
            f"{', '.join(stateless)} filter without state: what has ACK or RST set counts as established, "
            "so a bare ACK from a permitted service port passes."
        )
    tunnels = sorted({str(flow.service) for flow in graph.role_flows if flow.reply is Reply.ONE_WAY})
    if tunnels:
        said.append(f"What travels inside {', '.join(tunnels)} (pod traffic in the tunnel) is not policed.")
    said.append("IPv6 is neither filtered nor proved: the page asks for IPv4 flows only.")
    said.append("Traffic outside the protected set is left as it was.")
    return tuple(said)
