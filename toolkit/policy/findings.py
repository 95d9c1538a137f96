"""What cannot be enforced, or not proved, is said: one finding for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.spec.model import Finding, Reply, Severity
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.flows import FlowGraph
    from toolkit.net import Service
    from toolkit.paths import Path
    from toolkit.policy.model import DevicePolicy
    from toolkit.topology import Topology

TUNNELS: Final = frozenset({4789, 6081, 8472})  # UDP ports of VXLAN and Geneve


def not_enforceable(service: Service, source: str, destination: str) -> Finding:
    """A flow that no device is between."""
    return _info(
        "not_enforceable",
        f"{source} -> {destination} {service}: no device is between them, so nothing can filter it",
    )


def asymmetric(source: str, destination: str, devices: Sequence[str]) -> Finding:
    """Stateful firewalls that see only half of a connection drop the other half."""
    return Finding(
        code="asymmetric_stateful_path",
        severity=Severity.WARNING,
        message=(
            f"{source} -> {destination}: {', '.join(devices)} are on different equal-cost paths, "
            "or on one direction only; declare state_sync or symmetric_hashing in a redundancy group of theirs "
            "(site.yaml), or connections break"
        ),
    )


def split_state(there: Sequence[Path], back: Sequence[Path], topology: Topology) -> tuple[str, ...]:
    """Stateful firewalls of which a connection may meet some on one way only; empty when it meets the same on all.

    Members of a group that shares its state count as one.
    """
    shared = {member: group.name for group in topology.groups if group.shares_state for member in group.members}
    stateful = [[hop.device for hop in path.hops if topology.nodes[hop.device].stateful] for path in (*there, *back)]
    ways = [{shared.get(device, device) for device in devices} for devices in stateful]
    if all(way == ways[0] for way in ways):
        return ()
    return tuple(sorted({device for devices in stateful for device in devices}))


def device_findings(graph: FlowGraph, policies: Sequence[DevicePolicy]) -> Iterator[Finding]:
    """What holds for a device whatever its policy is."""
    for policy in policies:
        yield _info("ipv6_unfiltered", f"{policy.device}: IPv6 is neither filtered nor judged here")
        if policy.stateful:
            continue
        yield _info(
            "established_exposure",
            f"{policy.device} is stateless: from a service's port a packet with ACK or RST passes without a "
            "connection, a SYN does not",
        )
        if policy.ownership is Ownership.OWN:
            yield _info(
                "fragments_denied",
                f"{policy.device} is stateless: non-initial fragments in scope are denied, since they carry no ports",
            )
    for group in graph.site.topology.groups:
        if not group.state_sync:
            yield _info(
                "failover_ends_connections",
                f"{group.name}: {', '.join(group.members)} do not synchronise their state, so open connections "
                "end when one takes over; new ones pass",
            )
    if policies and not policies[0].scope:
        yield Finding(
            code="nothing_protected",
            severity=Severity.WARNING,
            message=(
                "nothing is protected, so nothing will be denied: bind the roles node and load_balancer, or name hosts "
                "in requirements that are not only answers to the site's baseline"
            ),
        )
    for flow in graph.role_flows:
        if flow.reply is Reply.ONE_WAY and flow.service.ports.first in TUNNELS:
            yield _info(
                "tunnel_not_policed",
                f"{flow.source} -> {flow.destination} {flow.service} ({flow.requirement}) is a tunnel: what goes "
                "through it, pod traffic for example, is not policed by devices outside",
            )


def _info(code: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.INFO, message=message)
