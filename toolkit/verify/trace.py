"""One packet over the network: every path, every device on it, the entry that decides there, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.net import Action, Packet, Verdict
from toolkit.platforms.base import ConnState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Address

    from toolkit.packets import PacketSet, Space
    from toolkit.paths import Hop, PathFinder
    from toolkit.platforms.base import Decision, FilterState


@dataclass(frozen=True, slots=True)
class TraceStep:
    """What one device does with the packet."""

    device: str
    interface: str
    direction: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class TracedPath:
    """One path there and its way back; `back` is empty for packets that nothing answers."""

    forward: tuple[TraceStep, ...]
    back: tuple[TraceStep, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """The fate of a packet on all equal-cost paths: permitted only where every one of them lets it through."""

    packet: Packet
    paths: tuple[TracedPath, ...]

    @property
    def verdict(self) -> Verdict:
        """Denied when any device on any path, there or back, denies."""
        steps = [step for path in self.paths for step in (*path.forward, *path.back)]
        denied = any(step.decision.action is Action.DENY for step in steps)
        return Verdict.DENIED if denied else Verdict.PERMITTED


def trace(
    packet: Packet,
    source: str,
    destination: str,
    finder: PathFinder,
    states: Mapping[str, FilterState],
    *,
    answered: bool = True,
    servers: Mapping[str, IPv4Address] | None = None,
) -> Trace:
    """Follow a packet from a host to another, and its answer back.

    `states` maps device names to their filters. A stateful device sees the answer as part of a known
    connection, a stateless one as any other packet. `servers` are those that a balancer hands the very same packet
    to (`dsr`), with their own addresses: they answer instead of it.

    Raises:
        SiteError: there is no way.
    """
    traced = []
    for there, back in ways(finder, packet, source, destination, servers or {}):
        answers = [_steps(hops, packet.reply(), states, ConnState.ESTABLISHED) for hops in back if answered] or [()]
        traced += [TracedPath(_steps(hops, packet, states, ConnState.NEW), one) for hops in there for one in answers]
    return Trace(packet, tuple(traced))


def ways(
    finder: PathFinder, packet: Packet, source: str, destination: str, servers: Mapping[str, IPv4Address]
) -> Iterator[tuple[list[tuple[Hop, ...]], list[tuple[Hop, ...]]]]:
    """(ways there, ways back) of a packet, for each host that answers it."""
    there = [path.hops for path in finder.paths(source, destination, packet.dst)]
    if not servers:
        yield there, [path.hops for path in finder.paths(destination, source, packet.src)]
    for server, address in servers.items():
        onward = [path.hops for path in finder.paths(destination, server, address)]
        back = [path.hops for path in finder.paths(server, source, packet.src)]
        yield [(*first, *second) for first in there for second in onward], back


def _steps(
    hops: Sequence[Hop], packet: Packet, states: Mapping[str, FilterState], state: ConnState
) -> tuple[TraceStep, ...]:
    steps = []
    for hop in hops:
        decision = states[hop.device].decide(hop.in_interface, packet, state)
        steps.append(TraceStep(hop.device, hop.in_interface, "in", decision))
        if decision.action is Action.DENY:
            break
    return tuple(steps)


class Model:
    """Verdicts of many packets, by the packet sets of the devices instead of by walking their rules."""

    def __init__(self, finder: PathFinder, states: Mapping[str, FilterState], space: Space) -> None:
        self.finder = finder
        self.states = states
        self.space = space
        self._sets: dict[tuple[str, str, ConnState], PacketSet] = {}

    def verdict(
        self,
        packet: Packet,
        source: str,
        destination: str,
        *,
        answered: bool = True,
        servers: Mapping[str, IPv4Address] | None = None,
    ) -> Verdict:
        """As `trace(...).verdict`.

        Raises:
            SiteError: there is no way.
        """
        for there, back in ways(self.finder, packet, source, destination, servers or {}):
            passes = all(self._passes(hops, packet, ConnState.NEW) for hops in there)
            if passes and answered:
                answer = packet.reply()
                passes = all(self._passes(hops, answer, ConnState.ESTABLISHED) for hops in back)
            if not passes:
                return Verdict.DENIED
        return Verdict.PERMITTED

    def _passes(self, hops: Sequence[Hop], packet: Packet, state: ConnState) -> bool:
        return all(packet in self._permitted(hop.device, hop.in_interface, state) for hop in hops)

    def _permitted(self, device: str, interface: str, state: ConnState) -> PacketSet:
        key = (device, interface, state)
        if key not in self._sets:
            self._sets[key] = self.states[device].permitted(self.space, interface, state)
        return self._sets[key]
