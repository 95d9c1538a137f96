"""Least privilege, both ways, proved for one device over the whole packet space.

For each interface: everything required passes, and what passes in scope is required (own, enforce); or
after = before + required (extend and jump); and outside the scope nothing has changed at all. What a
stateful device sees on known connections is proved as well: answers come back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from toolkit.net import ANY_SERVICE, ICMP
from toolkit.packets import FRAGMENTS, FULL, NOT_FRAGMENT, Block, Box
from toolkit.platforms.base import ConnState
from toolkit.site import Enforcement
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.net import Packet
    from toolkit.packets import Interval, PacketSet, Space
    from toolkit.platforms.base import Decision, FilterState
    from toolkit.policy import DevicePolicy


Asked = tuple[tuple[Box | Block, tuple[str, ...]], ...]

# Unreachable, time exceeded, parameter problem: what hosts and routers say about a connection.
ICMP_ERRORS: Final[tuple[Interval, ...]] = tuple((kind * 256, kind * 256 + 255) for kind in (3, 11, 12))


class WitnessKind(StrEnum):
    """How a filter differs from its policy."""

    REQUIRED_DENIED = "required_denied"
    EXTRA_PERMITTED = "extra_permitted"
    COLLATERAL_PERMITTED = "collateral_permitted"
    COLLATERAL_DENIED = "collateral_denied"


@dataclass(frozen=True, slots=True)
class Witness:
    """A packet that shows a difference: where it enters, what decides it, and who asked for it.

    `requirements` are ids, empty where nothing asks for the packet.
    """

    kind: WitnessKind
    device: str
    interface: str
    packet: Packet
    state: ConnState
    decision: Decision
    requirements: tuple[str, ...] = ()

    def __str__(self) -> str:
        asked = f", asked for by {', '.join(self.requirements)}" if self.requirements else ""
        known = {ConnState.ESTABLISHED: " (on a known connection)", ConnState.RELATED: " (about a known connection)"}
        what = f"{self.kind.value.replace('_', ' ')}: {self.packet}{known.get(self.state, '')}"
        decided = f"decided by {self.decision.acl} {self.decision.place}: {self.decision.entry}"
        return f"{self.device} {self.interface}: {what}, {decided}{asked}"


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """The proof of one device; `equivalent` when there is no witness against it."""

    device: str
    witnesses: tuple[Witness, ...]

    @property
    def equivalent(self) -> bool:
        """Whether the filter does exactly what its policy asks."""
        return not self.witnesses


def prove(
    policy: DevicePolicy,
    after: FilterState,
    before: FilterState,
    space: Space,
    prefer: Sequence[PacketSet] = (),
) -> DeviceProof:
    """Prove that the filter `after` does what the policy asks of a device that had the filter `before`.

    `before` is the filter without anything of ours. At most one witness of each kind is given per
    interface and connection state: a packet that the device would forward, from the preferred ones where
    they can show it.
    """
    found: list[Witness] = []
    forwarded = _forwarded(policy, after, space)
    chosen = (*(forwarded & wish for wish in prefer), forwarded)
    for acl in policy.acls:
        found += _Interface(policy, acl.interface, after, before, space, chosen).witnesses()
    return DeviceProof(policy.device, tuple(found))


def _forwarded(policy: DevicePolicy, state: FilterState, space: Space) -> PacketSet:
    """Packets that a device has a route for and does not keep for itself; all of them on a switch."""
    routes = [prefix for prefixes in policy.domains.values() for prefix in prefixes]
    if not routes:
        return space.full
    own = [address.ip for port in state.context.node.interfaces.values() for address in port.addresses]
    there = space.union(Box.of(ANY_SERVICE, dst=prefix) for prefix in routes)
    return there - space.union(Box.of(ANY_SERVICE, dst=IPv4Network(address)) for address in own)


def later(box: Box | Block) -> Box | Block:
    """The later fragments between the addresses of a box, of its protocol."""
    return replace(box, dport=FULL[3], sport=FULL[4], flags=FRAGMENTS)


class _Interface:
    """The proof of what enters a device by one interface."""

    def __init__(
        self,
        policy: DevicePolicy,
        interface: str,
        after: FilterState,
        before: FilterState,
        space: Space,
        prefer: Sequence[PacketSet],
    ) -> None:
        self.policy = policy
        self.interface = interface
        self.after = after
        self.before = before
        self.space = space
        self.prefer = prefer
        self.scope = space.union(policy.scope)
        self.errors = space.union(_error(Box(), kinds) for kinds in ICMP_ERRORS)
        # Some systems see no ports in later fragments: what permits a flow lets those of its addresses pass as well.
        self.follows = bool(getattr(after, "follows_fragments", False))

    def witnesses(self) -> Iterator[Witness]:
        required = self.policy.required[self.interface]
        yield from self._new(required.initiating)
        if self.policy.stateful:
            yield from self._known(required.established)

    def _new(self, asked: Asked) -> Iterator[Witness]:
        required = self.space.union(box for box, _ in asked)
        after = self.after.permitted(self.space, self.interface, ConnState.NEW)
        before = self.before.permitted(self.space, self.interface, ConnState.NEW)
        if after == required | self._kept(before):
            return  # exactly what is asked for: no witness of any kind
        allowed = self._allowed(required, before)
        if self.follows:
            allowed = allowed | self.space.union(later(box) for box, _ in asked)
        yield from self._witness(WitnessKind.REQUIRED_DENIED, required - after, ConnState.NEW, asked)
        yield from self._witness(WitnessKind.EXTRA_PERMITTED, (after & self.scope) - allowed, ConnState.NEW)
        yield from self._collateral(before, after, required, ConnState.NEW)

    def _allowed(self, required: PacketSet, before: PacketSet) -> PacketSet:
        """What may pass in scope: the required, and where we only add, what passed before as well."""
        return required if self._closes else required | before

    def _kept(self, before: PacketSet) -> PacketSet:
        """What passed before and must not be lost, whether it is required or not."""
        return before - self.scope if self._closes else before

    @property
    def _closes(self) -> bool:
        return self.policy.ownership is Ownership.OWN and self.policy.enforcement is Enforcement.ENFORCE

    def _collateral(
        self, before: PacketSet, after: PacketSet, required: PacketSet, state: ConnState
    ) -> Iterator[Witness]:
        """Outside the scope the verdicts stay; where we only add, or only watch, nothing that passed is denied."""
        yield from self._witness(WitnessKind.COLLATERAL_DENIED, (self._kept(before) - after) - required, state)
        opened = ((after - self.scope) - before) - required
        yield from self._witness(WitnessKind.COLLATERAL_PERMITTED, opened, state)

    def _known(self, asked: Asked) -> Iterator[Witness]:
        """On known connections: both directions of what is required pass, and ICMP errors about them.

        Others' sessions live on.

        More may pass than is required: a known connection exists only because its first packet was allowed.
        """
        for state in (ConnState.ESTABLISHED, ConnState.RELATED):
            after = self.after.permitted(self.space, self.interface, state)
            if after == self.space.full:
                continue  # nothing is missing, whatever is asked for
            wanted = asked
            if state is ConnState.RELATED:
                wanted = tuple((_error(box, kinds), ids) for box, ids in asked for kinds in ICMP_ERRORS)
            required = self.space.union(box for box, _ in wanted)
            before = self.before.permitted(self.space, self.interface, state)
            yield from self._witness(WitnessKind.REQUIRED_DENIED, required - after, state, wanted)
            lost = ((before - self.scope) - after) - required
            yield from self._witness(WitnessKind.COLLATERAL_DENIED, lost, state)

    def _witness(
        self,
        kind: WitnessKind,
        difference: PacketSet,
        state: ConnState,
        asked: Asked = (),
    ) -> Iterator[Witness]:
        # Related packets are ICMP errors, as good as always; anything else needs a connection tracking helper.
        prefer = [wish & self.errors for wish in self.prefer] if state is ConnState.RELATED else []
        packet = difference.witness([*prefer, *self.prefer])
        if packet is None:
            return
        decision = self.after.decide(self.interface, packet, state)
        ids = dict.fromkeys(one for box, ids in asked if packet in self.space.union([box]) for one in ids)
        yield Witness(kind, self.policy.device, self.interface, packet, state, decision, tuple(ids))


def _error(about: Box | Block, kinds: Interval) -> Box | Block:
    """ICMP errors between the ends of a connection."""
    return replace(about, protocol=(ICMP, ICMP), dport=kinds, sport=FULL[4], flags=NOT_FRAGMENT)
