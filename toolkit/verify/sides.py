"""Waves by path side: what opens, opens at the far end of its way first; what closes, closes at the near end first.

The near end is where the first packet of an exchange enters. So the device that somebody meets first lets a flow in
only when all behind it do, and stops letting it in before any of them does. Answers have no side of their own. Where
flows go both ways between two devices, the side with more ways decides, and devices that nothing puts in order change
together. What must not happen at all stands above that: a device that opens what another closes on its way follows it
(`ordering`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from toolkit.errors import DeployError
from toolkit.net import MAX_PORT, TCP, UDP
from toolkit.packets.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.net import PortRange
    from toolkit.packets import PacketSet, Space
    from toolkit.verify.ordering import Ordering, Waves

Pair = tuple[str, str]  # (the device that changes first, the one that waits for it)


@dataclass(frozen=True, slots=True)
class Sides:
    """Waves that follow from the paths, and for people why a device waits for one of the wave before."""

    waves: Waves
    reasons: tuple[str, ...]


def initiations(space: Space, client_ports: PortRange) -> PacketSet:
    """Packets that begin an exchange: TCP without ACK or RST, and UDP to a port that no client listens on."""
    boxes = [Box(protocol=(TCP, TCP), flags=(0, 0))]
    if client_ports.first > 0:
        boxes.append(Box(protocol=(UDP, UDP), dport=(0, client_ports.first - 1), flags=(0, 0)))
    if client_ports.last < MAX_PORT:
        boxes.append(Box(protocol=(UDP, UDP), dport=(client_ports.last + 1, MAX_PORT), flags=(0, 0)))
    return space.union(boxes)


def path_sides(ordering: Ordering, devices: Sequence[str], begins: PacketSet) -> Sides:
    """The waves in which some devices change; `begins` are the packets whose way has sides.

    Raises:
        DeployError: two devices each open what the other closes, so that no order is safe.
    """
    before = {device: set(others) for device, others in ordering.must_follow(devices).items()}
    must = {(first, then) for then, others in before.items() for first in others}
    if _layers(devices, before) is None:
        raise DeployError(
            "no order of the devices is safe (deploy.by: path_side): each opens what another closes; change the "
            "devices that close first in a plan of their own"
        )
    opens, closes = _count(ordering, devices, begins)
    total = opens + closes
    net = {pair: total[pair] - total[pair[1], pair[0]] for pair in total}
    for pair in sorted((one for one in net if net[one] > 0), key=lambda one: (-net[one], *map(devices.index, one))):
        first, then = pair
        if not _reaches(before, first, then):
            before[then].add(first)
    waves = _layers(devices, before) or ()
    return Sides(waves, tuple(_reasons(waves, before, must, opens, closes)))


def _count(ordering: Ordering, devices: Sequence[str], begins: PacketSet) -> tuple[Counter[Pair], Counter[Pair]]:
    """How many ways ask for an order of two devices: because they open over both, and because they close over both."""
    opens: Counter[Pair] = Counter()
    closes: Counter[Pair] = Counter()
    for way in ordering.ways(devices):
        there = dict.fromkeys(device for device, _ in way.steps if device in devices)  # from near to far
        opened, closed = (way.after - way.before) & begins, (way.before - way.after) & begins
        for near, far in combinations(there, 2):
            if opened and (opened - way.passes(near, new=False)) - way.passes(far, new=False):
                opens[far, near] += 1
            if closed and (closed - way.passes(near, new=True)) - way.passes(far, new=True):
                closes[near, far] += 1
    return opens, closes


def _reaches(before: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Whether a device waits, directly or not, for another (`goal`)."""
    seen, left = set(), [start]
    while left:
        one = left.pop()
        if one == goal:
            return True
        if one not in seen:
            seen.add(one)
            left += before[one]
    return False


def _layers(devices: Sequence[str], before: Mapping[str, set[str]]) -> Waves | None:
    """Each device right after the last that it waits for; None where they wait for each other."""
    done: set[str] = set()
    waves: list[tuple[str, ...]] = []
    while len(done) < len(devices):
        free = tuple(one for one in devices if one not in done and before[one] <= done)
        if not free:
            return None
        waves.append(free)
        done |= set(free)
    return tuple(waves)


def _reasons(
    waves: Waves, before: Mapping[str, set[str]], must: set[Pair], opens: Counter[Pair], closes: Counter[Pair]
) -> Iterator[str]:
    for number, wave in enumerate(waves[1:], 1):
        for then in wave:
            for first in (one for one in waves[number - 1] if one in before[then]):
                why = ["it opens what that closes"] * ((first, then) in must)
                why += _ways(opens[first, then], "open", "far")
                why += _ways(closes[first, then], "close", "near")
                yield f"{then} waits for {first}: {'; '.join(why)}"


def _ways(count: int, verb: str, side: str) -> list[str]:
    if count == 1:
        return [f"a way {verb}s, and that is its {side} end"]
    return [f"{count} ways {verb}, and that is their {side} end"] if count else []
