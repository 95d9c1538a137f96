"""The chain from an inventory folder to proven candidates, each step made when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolkit.flows import Bundle, FlowGraph
    from toolkit.net import Packet
    from toolkit.packets import Interval, PacketSet, Space
    from toolkit.paths import PathFinder
    from toolkit.policy import DevicePolicy
    from toolkit.render import Rendered
    from toolkit.site import Site
    from toolkit.spec.model import Finding


@dataclass
class Work:
    """The chain from an inventory folder to proven candidates; each step is made when it is asked for."""

    folder: Path
    settings: Mapping[str, object] = field(default_factory=dict)  # in place of those in site.yaml
    workers: int = 1  # processes that render

    @classmethod
    def of(cls, site: Site) -> Work:
        """The chain of a site that is read already, or made up."""
        work = cls(site.folder)
        work.__dict__["site"] = site  # where the cached property looks first
        return work

    @cached_property
    def site(self) -> Site:
        """The site."""
        from toolkit.site import load_site, with_settings

        return with_settings(load_site(resolve_inventory(self.folder)), self.settings)

    @cached_property
    def graph(self) -> FlowGraph:
        """Its flow graph."""
        from toolkit.flows import build

        return build(self.site)

    @cached_property
    def finder(self) -> PathFinder:
        """Its paths."""
        from toolkit.paths import PathFinder

        return PathFinder(self.site.topology)

    @cached_property
    def space(self) -> Space:
        """One universe of packets for the whole run."""
        from toolkit.packets import Space

        return Space()

    @cached_property
    def policy_findings(self) -> tuple[Finding, ...]:
        """What cannot be enforced."""
        return self._policies[1]

    @cached_property
    def policies(self) -> Mapping[str, DevicePolicy]:
        """Policy of each device."""
        return self._policies[0]

    @cached_property
    def _policies(self) -> tuple[dict[str, DevicePolicy], tuple[Finding, ...]]:
        from toolkit.policy import build_policies

        return build_policies(self.graph, self.finder)

    @cached_property
    def rendered(self) -> Mapping[str, Rendered]:
        """Proven candidate of each device."""
        from toolkit.render import render_all

        return render_all(self.site, self.finder, self.policies, self.space, self.workers)

    @cached_property
    def ordinary(self) -> tuple[PacketSet, ...]:
        """Packets between hosts of the site, as they send them: what witnesses are chosen from if possible."""
        return ordinary_packets(self.space, self.host_addresses)

    @property
    def host_addresses(self) -> tuple[int, ...]:
        """Addresses of all hosts, as numbers."""
        return tuple(int(address) for node in self.site.topology.hosts for address in node.addresses)

    def asked_for(self, packet: Packet) -> tuple[str, ...]:
        """Ids of the requirements that ask for a packet."""
        ends = (packet.protocol, packet.dport)
        near = sorted((one for key in (ends, None) for one in self._asked.get(key, ())), key=lambda one: one.rank)
        return tuple(dict.fromkeys(name for one in near if one.asks_for(packet) for name in one.requirements))

    @cached_property
    def _asked(self) -> dict[tuple[int, int] | None, list[_Asked]]:
        """Bundles by protocol and port where both are single, so that few must be looked at."""
        from toolkit.net import WITH_PORTS

        found: dict[tuple[int, int] | None, list[_Asked]] = {}
        for bundle in self.graph.bundles:
            if bundle.is_passed_on:
                continue  # a balancer asks for it, and not the host whose address it carries
            protocol, ports = bundle.service.protocol, bundle.service.ports
            single = protocol in WITH_PORTS and ports.first == ports.last
            key = (protocol, ports.first) if single and protocol is not None else None
            found.setdefault(key, []).append(_Asked(self.space, bundle))
        return found


@dataclass
class _Asked:
    """A bundle with the packets of its service."""

    space: Space
    bundle: Bundle

    @property
    def rank(self) -> int:
        return self.bundle.rank

    @property
    def requirements(self) -> tuple[str, ...]:
        return self.bundle.requirements

    @cached_property
    def service(self) -> PacketSet:
        from toolkit.packets import Box

        return self.space.union([Box.of(self.bundle.service)])

    def asks_for(self, packet: Packet) -> bool:
        """Whether one of its flows has this packet; those of a host to itself are none."""
        if packet not in self.service:
            return False
        sources, destinations = (
            {one.name for one in ends if any(address in prefix for prefix in one.prefixes)}
            for ends, address in ((self.bundle.sources, packet.src), (self.bundle.destinations, packet.dst))
        )
        return any(one != other for one in sources for other in destinations)


def ordinary_packets(space: Space, hosts: Sequence[int]) -> tuple[PacketSet, ...]:
    """Packets between hosts as they send them: first ones, then any from a client's port, then answers."""
    from toolkit.addresses import joined
    from toolkit.net import EPHEMERAL, ICMP, TCP, UDP
    from toolkit.packets import FULL, NOT_FRAGMENT, Block, Box

    ends = tuple(joined((one, one) for one in hosts))
    local = space.union(Box(src=(one, one), dst=(one, one)) for one in hosts)
    ports = (EPHEMERAL.first, EPHEMERAL.last)

    def sent(dport: Interval, sport: Interval) -> PacketSet:
        ported = [Block((one, one), ends, ends, dport, sport, NOT_FRAGMENT) for one in (TCP, UDP)]
        return space.union([*ported, Block((ICMP, ICMP), ends, ends)]) - local

    between, answers = sent(FULL[3], ports), sent(ports, FULL[4])
    first = space.union([Box(flags=(0, 0))])
    return (between & first, between, answers)


def resolve_inventory(folder: Path) -> Path:
    """The folder that holds `site.yaml`: a lab folder may point to its site in a file `site`."""
    pointer = folder / "site"
    if not (folder / "site.yaml").exists() and pointer.is_file():
        return (folder / pointer.read_text(encoding="utf-8").strip()).resolve()
    return folder
