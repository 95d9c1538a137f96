"""What another edition of a spec does to a site: flows that come and go, and what each device would open and close."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolkit.flows import ANY_ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.flows import Endpoint, Flow
    from toolkit.net import Packet
    from toolkit.packets import PacketSet
    from toolkit.render.work import Work


class Risk(StrEnum):
    """How much a change deserves a second look."""

    NONE = "none"  # nothing that a device decides changes
    LOW = "low"  # it closes only what the old edition opened
    MEDIUM = "medium"  # it opens something between hosts that are named
    HIGH = "high"  # it opens something to or from whole networks, the internet or everybody


@dataclass(frozen=True, slots=True)
class DeviceEffect:
    """What changes on one device: first packets newly permitted and denied, an example of each, and ACL entries."""

    device: str
    opens: int  # five-tuples, over all interfaces
    closes: int
    opened: Packet | None
    closed: Packet | None
    entries_added: int
    entries_removed: int


@dataclass(frozen=True, slots=True)
class EditionEffect:
    """What changes on a site; devices on which nothing changes are left out."""

    added: tuple[Flow, ...]
    removed: tuple[Flow, ...]
    devices: tuple[DeviceEffect, ...]

    @property
    def risk(self) -> Risk:
        """The risk of the whole change."""
        if any(_is_wide(end) for flow in self.added for end in (flow.source, flow.destination)):
            return Risk.HIGH
        if self.added or any(one.opens for one in self.devices):
            return Risk.MEDIUM
        return Risk.LOW if self.removed or self.devices else Risk.NONE


def _is_wide(end: Endpoint) -> bool:
    return end.name == ANY_ROLE or any(prefix.prefixlen < prefix.max_prefixlen for prefix in end.prefixes)


def edition_effect(old: Work, new: Work) -> EditionEffect:
    """Compare what two editions ask of a site, flow by flow and device by device.

    Raises:
        SiteError, PolicyError: an edition cannot be enforced on the site.
    """
    before, after = set(map(_key, old.graph.flows)), set(map(_key, new.graph.flows))
    return EditionEffect(
        added=tuple(flow for flow in new.graph.flows if _key(flow) not in before),
        removed=tuple(flow for flow in old.graph.flows if _key(flow) not in after),
        devices=tuple(_devices(old, new)),
    )


def _key(flow: Flow) -> tuple[object, ...]:
    return flow.source, flow.destination, flow.service, flow.reply


def _devices(old: Work, new: Work) -> Iterator[DeviceEffect]:
    for device, policy in new.policies.items():
        opens = closes = 0
        opened: Packet | None = None
        closed: Packet | None = None
        for interface, required in policy.required.items():
            now = new.space.union(box for box, _ in required.initiating)
            then = new.space.union(box for box, _ in old.policies[device].required[interface].initiating)
            more, less = now - then, then - now
            opens, closes = opens + more.count(), closes + less.count()
            opened, closed = opened or _example(new, more), closed or _example(new, less)
        lines = [{ace for acl in one.policies[device].acls for ace in acl.entries} for one in (old, new)]
        if opens or closes:
            added, removed = len(lines[1] - lines[0]), len(lines[0] - lines[1])
            yield DeviceEffect(device, opens, closes, opened, closed, added, removed)


def _example(work: Work, packets: PacketSet) -> Packet | None:
    return packets.witness(work.ordinary)
