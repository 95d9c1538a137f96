"""What a change of configurations newly permits and newly denies, whatever language each of the two is written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolkit.platforms.base import ConnState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
    from toolkit.platforms.base import Decision, FilterState


class DifferenceKind(StrEnum):
    """Which way verdicts change."""

    PERMITTED = "newly_permitted"
    DENIED = "newly_denied"


@dataclass(frozen=True, slots=True)
class Difference:
    """Packets entering one interface whose verdict changes: all of them, and one with what decides it in each state.

    `state` is what a stateful device knows of them; on a stateless one it is always `new`.
    """

    device: str
    interface: str
    kind: DifferenceKind
    state: ConnState
    packets: PacketSet
    witness: Packet
    before: Decision
    after: Decision


def compare_states(
    before: Mapping[str, FilterState],
    after: Mapping[str, FilterState],
    space: Space,
    prefer: Sequence[PacketSet] = (),
    renamed: Mapping[str, str] | None = None,
) -> tuple[Difference, ...]:
    """Differences of devices that both know, interface by interface; none where they decide every packet alike.

    `before` and `after` map device names to filters, of the same platform or of different ones; `renamed` maps names of
    interfaces before to those after, where they are others. Witnesses are from the preferred packets where these can
    show a difference.
    """
    return tuple(
        one for device in before for one in _device(before[device], after[device], space, prefer, renamed or {})
    )


def _device(
    before: FilterState,
    after: FilterState,
    space: Space,
    prefer: Sequence[PacketSet],
    renamed: Mapping[str, str],
) -> Iterator[Difference]:
    context = after.context
    states = tuple(ConnState) if before.context.stateful or context.stateful else (ConnState.NEW,)
    for interface in before.context.interfaces:
        ways = ((before, interface), (after, renamed.get(interface, interface)))
        seen: set[tuple[int, int]] = set()
        for state in states:
            then, now = (one.permitted(space, name, state) for one, name in ways)
            for kind, packets in ((DifferenceKind.PERMITTED, now - then), (DifferenceKind.DENIED, then - now)):
                witness = packets.witness(prefer)
                # What first packets show already is not told again for those of known connections.
                key = (packets.node, kind is DifferenceKind.PERMITTED)
                if witness is None or key in seen:
                    continue
                seen.add(key)
                decisions = [one.decide(name, witness, state) for one, name in ways]
                yield Difference(context.device, interface, kind, state, packets, witness, *decisions)
