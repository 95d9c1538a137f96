"""Pictures of the flow graph and of paths, drawn left to right by Graphviz as SVG.

A picture shows itself in Jupyter. Edges of the same two ends are merged, with their services as label.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError
from toolkit.net import WITH_PORTS, protocol_name
from toolkit.redundancy import RedundancyMode
from toolkit.report.choice import EVERYTHING, Choice, choose_flows, choose_role_flows
from toolkit.report.dot import quote, run_dot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolkit.flows import FlowGraph
    from toolkit.net import Service
    from toolkit.paths import Path, PathFinder
    from toolkit.redundancy import RedundancyGroup
    from toolkit.site import Site
    from toolkit.topology import Kind

# Above this many arrows nobody can follow one any more, and dot takes seconds.
LIMIT: Final = 150
LABEL_WIDTH: Final = 24
SHAPES: Final[dict[str, str]] = {"switch": "box", "router": "box", "firewall": "octagon", "host": "box"}


@dataclass(frozen=True)
class Picture:
    """A drawing: `dot` is its DOT text, `title` what it shows, `svg` the drawing itself."""

    title: str
    dot: str = field(repr=False)

    @cached_property
    def svg(self) -> str:
        """The `<svg>` element.

        Raises:
            MissingProgramError: Graphviz is not installed.
            ToolkitError: Graphviz refuses the text.
        """
        return run_dot(self.dot)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        from html import escape

        return f"<figure><figcaption>{escape(self.title)}</figcaption>{self.svg}</figure>"


def roles_picture(graph: FlowGraph, choice: Choice = EVERYTHING, *, limit: int = LIMIT) -> Picture:
    """The flow graph collapsed to roles.

    Raises:
        InputError: nothing is chosen, more than `limit` arrows, or a choice that the site does not have.
    """
    arrows: dict[tuple[str, str], list[Service]] = defaultdict(list)
    for flow in choose_role_flows(graph, choice):
        arrows[flow.source, flow.destination].append(flow.service)
    _check_count(arrows, choice, limit, "choose a port, a role or a condition")
    labels = {role: _role_label(graph.site, role) for pair in arrows for role in pair}
    return Picture(f"{graph.site.name}: flows between roles ({choice})", _digraph(labels, arrows))


def hosts_picture(graph: FlowGraph, choice: Choice = EVERYTHING, *, limit: int = LIMIT) -> Picture:
    """The flow graph expanded to hosts.

    Raises:
        InputError: nothing is chosen, more than `limit` arrows, or a choice that the site does not have.
    """
    arrows: dict[tuple[str, str], list[Service]] = defaultdict(list)
    labels: dict[str, str] = {}
    for flow in choose_flows(graph, choice):
        arrows[flow.source.name, flow.destination.name].append(flow.service)
        for end in (flow.source, flow.destination):
            text = "\n".join(str(prefix).removesuffix("/32") for prefix in end.prefixes)
            labels[end.name] = "anywhere" if end.at is None else f"{end.name}\n{text}"
    _check_count(arrows, choice, limit, "collapse to roles, or choose a port, a role or a condition")
    return Picture(f"{graph.site.name}: flows between hosts ({choice})", _digraph(labels, arrows))


def path_picture(finder: PathFinder, source: str, destination: str) -> Picture:
    """Every equal-cost path between two hosts over the devices, there and, dashed, back.

    Raises:
        SiteError: an unknown host, or no route.
    """
    forward = finder.paths(source, destination)
    back = finder.paths(destination, source)
    nodes = {name: finder.topology.node(name).kind for path in (*forward, *back) for name in _stations(path)}
    lines = ["digraph {", *_style()]
    lines += [_path_node(name, kind, name in (source, destination)) for name, kind in nodes.items()]
    for paths, style in ((forward, "solid"), (back, "dashed")):
        for one, other, label in dict.fromkeys(step for path in paths for step in _steps(path)):
            lines.append(
                f"{quote(one)} -> {quote(other)} [label={quote(label)} style={style} class={style}"
                f"{' constraint=false' if style == 'dashed' else ''}];"
            )
    ways = f"{len(forward)} {'path' if len(forward) == 1 else 'paths'}"
    return Picture(f"{source} to {destination}: {ways}, answers dashed", "\n".join([*lines, "}"]))


def topology_picture(site: Site) -> Picture:
    """Hosts with their addresses and roles, devices with their bridges, and every cable with its two interfaces."""
    lines = ["graph {", *_style()]
    for node in site.topology.nodes.values():
        addresses = [str(a) for a in node.addresses] if not node.is_device else []
        roles = wrap(", ".join(site.roles_of(node.name)), LABEL_WIDTH)
        bridges = dict.fromkeys(bridge for i in node.interfaces.values() for bridge in i.bridges)
        stands_in = [_in_group(group, node.name) for group in site.topology.groups if node.name in group.members]
        about = (
            [f"{node.kind.value}, {node.filter.mode.value}", *bridges, *stands_in]
            if node.is_device
            else [*addresses, *roles]
        )
        label, colour = "\n".join([node.name, *about]), "#fdf3e1" if node.is_device else "#eef3fb"
        lines.append(f'{quote(node.name)} [label={quote(label)} shape={SHAPES[node.kind.value]} fillcolor="{colour}"];')
    for ends in site.topology.links:
        # Who serves stands right of the devices, who asks left of them.
        (one, port), (other, far) = sorted(ends, key=lambda end: _serves(site, end[0]))
        labels = f"taillabel={quote(port)} headlabel={quote(far)} labeldistance=1.6"
        lines.append(f"{quote(one)} -- {quote(other)} [{labels}];")
    return Picture(f"{site.name}: topology", "\n".join([*lines, "}"]))


def _in_group(group: RedundancyGroup, member: str) -> str:
    active = member == group.members[0] or group.mode is RedundancyMode.ACTIVE_ACTIVE
    return f"{group.name}: {'active' if active else 'standby'}"


def _serves(site: Site, host: str) -> bool:
    return any(role.endswith("_server") and role != "jump_server" for role in site.roles_of(host))


def services_label(services: Iterable[Service]) -> str:
    """Services merged into one label: `tcp 22, 443, 2379-2380`, one line per protocol, wrapped."""
    ports: dict[str, list[str]] = defaultdict(list)
    for service in sorted(set(services), key=lambda one: one.sort_key()):
        ports[protocol_name(service.protocol)].append(service.port_text or "")
    lines: list[str] = []
    for name, found in ports.items():
        joined = _merge(found) if name in {protocol_name(one) for one in WITH_PORTS} else ", ".join(filter(None, found))
        lines += wrap(f"{name} {joined}".strip(), LABEL_WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def _merge(ports: list[str]) -> str:
    """Neighbouring ports as one range: 2379, 2380 -> 2379-2380."""
    if "any" in ports:
        return "any"
    spans: list[list[int]] = []
    for text in ports:
        first, _, last = text.partition("-")
        if spans and int(first) <= spans[-1][1] + 1:
            spans[-1][1] = max(spans[-1][1], int(last or first))
        else:
            spans.append([int(first), int(last or first)])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _digraph(labels: Mapping[str, str], arrows: Mapping[tuple[str, str], list[Service]]) -> str:
    lines = ["digraph {", *_style()]
    lines += [f"{quote(name)} [label={quote(label)}];" for name, label in labels.items()]
    lines += [
        f"{quote(source)} -> {quote(destination)} [label={quote(services_label(services))}];"
        for (source, destination), services in arrows.items()
    ]
    return "\n".join([*lines, "}"])


def _style() -> list[str]:
    return [
        'rankdir=LR; bgcolor="white"; nodesep=0.35; ranksep=1.1; pad=0.2;',
        'node [shape=box style="rounded,filled" fillcolor="#eef3fb" color="#3b5b92"];',
        'node [fontname="sans-serif" fontsize=12];',
        'edge [color="#5a6472" fontname="sans-serif" fontsize=10 arrowsize=0.7];',
    ]


def _role_label(site: Site, role: str) -> str:
    binding = site.file.bindings.get(role)
    if binding is None:
        return role
    count = len(binding.hosts) + len(binding.prefixes)
    what = ("host" if binding.hosts else "network") + ("s" if count != 1 else "")
    return f"{role}\n{count} {what}"


def _path_node(name: str, kind: Kind, is_end: bool) -> str:  # noqa: FBT001 - private, and read at one place
    label = name if is_end else f"{name}\n{kind.value}"
    colour = "#eef3fb" if is_end else "#fdf3e1"
    return f"{quote(name)} [label={quote(label)} shape={SHAPES[kind.value]} fillcolor={quote(colour)}];"


def _stations(path: Path) -> tuple[str, ...]:
    return (path.source, *(hop.device for hop in path.hops), path.destination)


def _steps(path: Path) -> list[tuple[str, str, str]]:
    """(from, to, interfaces) of each cable of a path."""
    leaves = ["", *(hop.out_interface for hop in path.hops)]
    enters = [*(hop.in_interface for hop in path.hops), ""]
    return [
        (one, other, " → ".join(filter(None, (out, into))))
        for (one, other), out, into in zip(pairwise(_stations(path)), leaves, enters, strict=True)
    ]


def _check_count(arrows: Mapping[tuple[str, str], object], choice: Choice, limit: int, advice: str) -> None:
    if not arrows:
        raise InputError(f"no flow fits the choice ({choice})")
    if len(arrows) > limit:
        raise InputError(f"{len(arrows)} arrows are too many to read (limit {limit}); {advice}, or raise the limit")
