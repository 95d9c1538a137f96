"""The chain from an inventory folder to proven candidates, each step made when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolkit.flows import Flow, FlowGraph
    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
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

        return render_all(self.site, self.finder, self.policies, self.space)

    @cached_property
    def ordinary(self) -> tuple[PacketSet, ...]:
        """Packets between hosts of the site, as they send them: what witnesses are chosen from if possible."""
        from ipaddress import IPv4Network

        from toolkit.net import ANY_PORT, EPHEMERAL, ICMP, TCP, UDP, Service
        from toolkit.packets import FULL, Box

        hosts = [IPv4Network(address) for node in self.site.topology.hosts for address in node.addresses]
        boxes = [
            Box.of(Service(protocol), src=source, dst=destination, sport=EPHEMERAL if protocol != ICMP else ANY_PORT)
            for protocol in (TCP, UDP, ICMP)
            for source in hosts
            for destination in hosts
            if source != destination
        ]
        between = self.space.union(boxes)
        answers = self.space.union(replace(box, sport=FULL[4], dport=box.sport) for box in boxes)
        first = self.space.union([Box(flags=(0, 0))])
        return (between & first, between, answers)

    def asked_for(self, packet: Packet) -> tuple[str, ...]:
        """Ids of the requirements that ask for a packet."""
        ends = (packet.protocol, packet.dport)
        near = [one for key in ((*ends, packet.src, packet.dst), ends, ()) for one in self._asked.get(key, ())]
        return tuple(dict.fromkeys(name for one in near if packet in one.packets for name in one.requirements))

    @cached_property
    def _asked(self) -> dict[tuple[object, ...], list[_Asked]]:
        """Flows by protocol, port, source and destination as far as each is a single one, so that few are looked at."""
        from toolkit.net import WITH_PORTS

        found: dict[tuple[object, ...], list[_Asked]] = {}
        for flow in self.graph.flows:
            if flow.is_passed_on:
                continue  # a balancer asks for it, and not the host whose address it carries
            protocol, ports = flow.service.protocol, flow.service.ports
            ends = [*flow.source.prefixes, *flow.destination.prefixes]
            key: tuple[object, ...] = ()
            if protocol in WITH_PORTS and ports.first == ports.last:
                key = (protocol, ports.first)
                if len(ends) == 2 and all(one.num_addresses == 1 for one in ends):  # noqa: PLR2004 - one at each end
                    key += (ends[0].network_address, ends[1].network_address)
            found.setdefault(key, []).append(_Asked(self.space, flow))
        return found


@dataclass
class _Asked:
    """A flow with the packets that it asks for, worked out when somebody looks."""

    space: Space
    flow: Flow

    @property
    def requirements(self) -> tuple[str, ...]:
        return self.flow.requirements

    @cached_property
    def packets(self) -> PacketSet:
        from toolkit.net import Action
        from toolkit.policy import Ace

        ace = Ace(Action.PERMIT, self.flow.service, self.flow.source.prefixes, self.flow.destination.prefixes)
        return self.space.union(ace.boxes())


def resolve_inventory(folder: Path) -> Path:
    """The folder that holds `site.yaml`: a lab folder may point to its site in a file `site`."""
    pointer = folder / "site"
    if not (folder / "site.yaml").exists() and pointer.is_file():
        return (folder / pointer.read_text(encoding="utf-8").strip()).resolve()
    return folder
