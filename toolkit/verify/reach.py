"""Who can reach a host, on what, and who asked for it: the filters along every path, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from toolkit.errors import NoPathError, SiteError
from toolkit.net import ANY_PORT, ANY_SERVICE, EPHEMERAL, ICMP, TCP, UDP, Service
from toolkit.packets import Box
from toolkit.platforms.base import ConnState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.packets import PacketSet
    from toolkit.paths import Path
    from toolkit.platforms.base import FilterState
    from toolkit.render.work import Work


@dataclass(frozen=True, slots=True)
class Reach:
    """What first packets of one host arrive at another: those that requirements ask for, and those that none does.

    `path` is false where no route leads there, and `filtered` where no device is in between.
    """

    source: str
    destination: str
    required: PacketSet
    other: PacketSet
    requirements: tuple[str, ...]
    path: bool = True
    filtered: bool = True


def reach(work: Work, states: Mapping[str, FilterState], destination: str) -> tuple[Reach, ...]:
    """What every other host may send to one: TCP without ACK and UDP from client ports, and ICMP.

    Something arrives where one of several equal-cost paths lets it through: this is about exposure.

    Raises:
        SiteError: no host has this name.
    """
    topology = work.site.topology
    if destination not in {node.name for node in topology.hosts}:
        names = ", ".join(node.name for node in topology.hosts)
        raise SiteError(f"{destination!r} is no host of the site (hosts: {names})")
    return tuple(_from(work, states, node.name, destination) for node in topology.hosts if node.name != destination)


def _from(work: Work, states: Mapping[str, FilterState], source: str, destination: str) -> Reach:
    space, nothing = work.space, work.space.empty
    sent = space.union(_first_packets(work, source, destination))
    arriving = nothing
    paths: tuple[Path, ...] = ()
    for address in work.site.topology.nodes[destination].addresses:
        try:
            paths = work.finder.paths(source, destination, address)
        except (NoPathError, SiteError):
            return Reach(source, destination, nothing, nothing, (), path=False)
        here = sent & space.union([Box.of(ANY_SERVICE, dst=IPv4Network(address))])
        for path in paths:
            passing = here
            for hop in path.hops:
                passing &= states[hop.device].permitted(space, hop.in_interface, ConnState.NEW)
            arriving |= passing
    asked = [flow for flow in work.graph.flows if not flow.is_passed_on and _joins(flow.source.at, source)]
    asked = [flow for flow in asked if _joins(flow.destination.at, destination)]
    wanted = nothing
    ids: dict[str, None] = {}
    for flow in asked:
        packets = space.union(
            Box.of(flow.service, src=src, dst=dst) for src in flow.source.prefixes for dst in flow.destination.prefixes
        )
        wanted |= packets
        ids |= dict.fromkeys(flow.requirements if packets & arriving else ())
    filtered = any(path.hops for path in paths)
    return Reach(source, destination, arriving & wanted, arriving - wanted, tuple(ids), filtered=filtered)


def _joins(at: str | None, host: str) -> bool:
    return at is None or at == host


def _first_packets(work: Work, source: str, destination: str) -> Iterator[Box]:
    nodes = work.site.topology.nodes
    behind = [p for binding in work.site.file.bindings.values() if binding.at == source for p in binding.prefixes]
    # What stands for everybody else is not the site's own addresses.
    own = [IPv4Network(address) for address in nodes[source].addresses]
    senders = [*own, *(prefix for prefix in behind if prefix.prefixlen)]
    for sender in senders:
        for address in nodes[destination].addresses:
            for protocol in (TCP, UDP, ICMP):
                sport = ANY_PORT if protocol == ICMP else EPHEMERAL
                box = Box.of(Service(protocol), src=sender, dst=IPv4Network(address), sport=sport)
                yield Box(box.protocol, box.dst, box.src, box.dport, box.sport, (0, 0))
