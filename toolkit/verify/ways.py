"""What passes along a path under a failure, as packet sets: the filters of its devices, one after the other."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, cast

from toolkit.packets import Box
from toolkit.platforms.base import ConnState
from toolkit.site import Enforcement
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.packets import PacketSet, Space
    from toolkit.paths import Failure, Hop, Path, PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.policy import DevicePolicy
    from toolkit.site import Site

Domains = tuple[tuple[str, tuple[IPv4Network, ...]], ...]
Routing = tuple[tuple[str, Domains], ...]  # of the devices that send other than usual


class Ways:
    """Packet sets of paths, found once for each interface, state and routing table of a device."""

    def __init__(
        self,
        healthy: PathFinder,
        policies: Mapping[str, DevicePolicy],
        states: Mapping[str, FilterState],
        before: Mapping[str, FilterState],
        space: Space,
    ) -> None:
        self.healthy = healthy
        self.topology = healthy.topology
        self.policies = policies
        self.space = space
        self._filters = {False: states, True: before}
        self._permitted: dict[tuple[str, str, ConnState, bool, Domains], PacketSet] = {}
        self._moved: dict[tuple[Failure, str], Domains] = {}

    def routing(self, finder: PathFinder, path: Path) -> Routing:
        """What the devices of a path send elsewhere than usual: rules on output interfaces change their meaning."""
        devices = dict.fromkeys(hop.device for hop in path.hops)
        return tuple((device, moved) for device in devices if (moved := self._domains(finder, device)))

    def _domains(self, finder: PathFinder, device: str) -> Domains:
        """What a device sends where under a failure; empty where it is as usual."""
        key = (finder.failure, device)
        if key not in self._moved:
            domains = finder.domains[device]
            usual = domains == self.healthy.domains[device]
            self._moved[key] = () if usual else tuple(domains.items())
        return self._moved[key]

    def denial(self, finder: PathFinder, paths: tuple[Path, ...], packets: PacketSet, state: ConnState) -> str:
        """Who denies some of the packets on some of the paths, in words; empty where all pass.

        `state` is what stateful devices know of them.
        """
        for path in paths:
            for hop in path.hops:
                seen = state if self.topology.nodes[hop.device].stateful else ConnState.NEW
                packet = (packets - self._passes(finder, hop, seen)).witness()
                if packet is not None:
                    decision = self._filter(finder, hop.device, before=False).decide(hop.in_interface, packet, seen)
                    return f"denied by {hop.device} {hop.in_interface}: {decision.acl} {decision.entry} ({packet})"
        return ""

    def passing(self, finder: PathFinder, path: Path) -> PacketSet:
        """First packets that every device of a path lets through."""
        found = self.space.full
        for hop in path.hops:
            found &= self._passes(finder, hop, ConnState.NEW)
        return found

    def tolerated(self, finder: PathFinder, path: Path) -> PacketSet:
        """What passed before, on a path where no device closes what nothing asks for; empty on any other."""
        found = self.space.full
        for hop in path.hops:
            policy = self.policies[hop.device]
            if policy.ownership is Ownership.OWN and policy.enforcement is Enforcement.ENFORCE:
                return self.space.empty
            found &= self._passes(finder, hop, ConnState.NEW, before=True)
        return found

    def follows_fragments(self, device: str) -> bool:
        """Whether later fragments of what our lists permit pass a device, by the rule of its system."""
        return bool(getattr(self._filters[False][device], "follows_fragments", False))

    def towards(self, site: Site, host: str) -> PacketSet:
        """Packets that are routed to a host: to its addresses, and to prefixes behind it that are nobody else's."""
        own = self.space.union(Box.of(dst=IPv4Network(address)) for address in self.topology.nodes[host].addresses)
        behind = [p for binding in site.file.bindings.values() if binding.at == host for p in binding.prefixes]
        others = self.space.union(
            Box.of(dst=address.network) for one in self.topology.interfaces() for address in one.addresses
        )
        return own | (self.space.union(Box.of(dst=prefix) for prefix in behind) - others)

    def _passes(self, finder: PathFinder, hop: Hop, state: ConnState, *, before: bool = False) -> PacketSet:
        key = (hop.device, hop.in_interface, state, before, self._domains(finder, hop.device))
        if key not in self._permitted:
            one = self._filter(finder, hop.device, before=before)
            self._permitted[key] = one.permitted(self.space, hop.in_interface, state)
        return self._permitted[key]

    def _filter(self, finder: PathFinder, device: str, *, before: bool) -> FilterState:
        """A device's filter, read under the routes that it has now."""
        state = self._filters[before][device]
        if not self._domains(finder, device):
            return state
        context = replace(state.context, domains=finder.domains[device])
        moved: FilterState = replace(cast("Any", state), context=context)
        return moved
