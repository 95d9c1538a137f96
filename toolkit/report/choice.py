"""Which flows to look at: by port, by role, by condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError
from toolkit.net import WITH_PORTS, PortRange, Service
from toolkit.spec.condition import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.flows import Flow, FlowGraph, RoleFlow
    from toolkit.site import Site

ALWAYS: Final = "always"


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of flows; what is left None does not narrow it.

    Attributes:
        port: `443` or `2379-2380`; a flow is chosen when its destination ports meet the range.
        role: a role name; chosen as source or destination.
        condition: a site setting (`offline`, `phase`, ...): flows of requirements that depend on it;
            or `always`: flows of requirements without a condition.
    """

    port: str | None = None
    role: str | None = None
    condition: str | None = None

    def __str__(self) -> str:
        chosen = (("port", self.port), ("role", self.role), ("condition", self.condition))
        return ", ".join(f"{name} {value}" for name, value in chosen if value is not None) or "all flows"


EVERYTHING: Final = Choice()


def choose_role_flows(graph: FlowGraph, choice: Choice = EVERYTHING) -> tuple[RoleFlow, ...]:
    """The chosen flows between roles.

    Raises:
        InputError: a port that is none, or a role or condition that the site does not have.
    """
    _check(graph, choice)
    return tuple(
        flow
        for flow in graph.role_flows
        if (choice.role is None or choice.role in (flow.source, flow.destination))
        and _meets(flow.service, choice.port)
        and _depends(graph.site, (flow.requirement,), choice.condition)
    )


def choose_flows(graph: FlowGraph, choice: Choice = EVERYTHING) -> tuple[Flow, ...]:
    """The chosen flows between hosts.

    A role chooses the host flows that come from a role flow of that role, so a host with several roles
    is shown with what it does in this one.

    Raises:
        InputError: as `choose_role_flows`.
    """
    _check(graph, choice)
    within = None if choice.role is None else set(_host_keys(graph, choice))
    return tuple(
        flow
        for flow in graph.flows
        if (within is None or (flow.source.name, flow.destination.name, flow.service) in within)
        and _meets(flow.service, choice.port)
        and _depends(graph.site, flow.requirements, choice.condition)
    )


def _host_keys(graph: FlowGraph, choice: Choice) -> Iterator[tuple[str, str, Service]]:
    from toolkit.flows import expand

    for role_flow in choose_role_flows(graph, choice):
        for flow in expand(graph.site, role_flow):
            yield flow.source.name, flow.destination.name, flow.service


def _check(graph: FlowGraph, choice: Choice) -> None:
    if choice.port is not None:
        PortRange.parse(choice.port)
    roles = sorted({end for flow in graph.role_flows for end in (flow.source, flow.destination)})
    if choice.role is not None and choice.role not in roles:
        raise InputError(f"no flow has the role {choice.role!r} (roles: {', '.join(roles)})")
    conditions = sorted([ALWAYS, *graph.site.settings])
    if choice.condition is not None and choice.condition not in conditions:
        raise InputError(f"{choice.condition!r} is no site setting (choose one of: {', '.join(conditions)})")


def _meets(service: Service, port: str | None) -> bool:
    if port is None:
        return True
    wanted = PortRange.parse(port)
    ports = service.ports
    return service.protocol in WITH_PORTS and ports.first <= wanted.last and wanted.first <= ports.last


def _depends(site: Site, requirements: tuple[str, ...], condition: str | None) -> bool:
    if condition is None:
        return True
    texts = [site.requirement(one).condition for one in requirements]
    if condition == ALWAYS:
        return any(text is None for text in texts)
    return any(text is not None and condition in names(text) for text in texts)
