"""The moments between the first device of a change and the last, judged end to end before anything is sent.

Each device goes from its old filter to its new one in a step of its own. What passes before and after passes in between
as well, since every device lets it through in both states. But what one device newly permits and another on its way
newly denies could pass for a while, although neither the state before nor the one after lets it: then the closing must
come before the opening. Within a wave devices change in any order, so every mixture of a wave counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from toolkit.errors import DeployError, NoPathError
from toolkit.platforms.base import ConnState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
    from toolkit.paths import Path, PathFinder
    from toolkit.platforms.base import FilterState

Steps = tuple[tuple[str, str], ...]  # (device, interface that the packet enters by) along a path
Waves = tuple[tuple[str, ...], ...]
# Above so many hosts only the paths that somebody asked for are looked at, and not those between all pairs.
EVERY_PAIR: Final = 40


@dataclass(frozen=True, slots=True)
class Opening:
    """A packet that passes while some devices are changed and others are not, and neither before nor after."""

    source: str
    destination: str
    packet: Packet
    changed: tuple[str, ...]
    waiting: tuple[str, ...]

    def __str__(self) -> str:
        done, left = ", ".join(self.changed), ", ".join(self.waiting)
        return (
            f"while {done} already filters anew and {left} as before, {self.packet} passes from {self.source} to "
            f"{self.destination}, which it does neither before the change nor after it"
        )


class Passes(Protocol):
    """What a device lets through on all its turns on a way, before or after its change."""

    def __call__(self, device: str, *, new: bool) -> PacketSet:
        """See the class."""


class Way(NamedTuple):
    """A way of packets: its steps from near to far, and what passes all of them before and after."""

    steps: Steps
    before: PacketSet
    after: PacketSet
    passes: Passes


class Ordering:
    """The orders in which devices may change; `before` and `after` are their filters.

    `towards` gives the packets that are routed to a host.
    """

    def __init__(
        self,
        finder: PathFinder,
        before: Mapping[str, FilterState],
        after: Mapping[str, FilterState],
        towards: Callable[[str], PacketSet],
        space: Space,
        prefer: Sequence[PacketSet] = (),
    ) -> None:
        self.finder = finder
        self.states = (before, after)
        self.towards = towards
        self.space = space
        self.prefer = prefer
        self._sets: dict[tuple[bool, str, str], PacketSet] = {}
        self._targets: dict[str, PacketSet] = {}
        self._changes: dict[tuple[Steps, bool], PacketSet] = {}
        self._crossings: dict[tuple[Steps, Steps], PacketSet] = {}

    def first_opening(self, waves: Waves) -> tuple[int, Opening] | None:
        """The first wave (from 1) in which something opens that should not, with an example; None where none does."""
        changing = {device for wave in waves for device in wave}
        done: set[str] = set()
        for number, wave in enumerate(waves, 1):
            opening, closing = done | set(wave), changing - done
            for steps, source, destination in self._paths(changing):
                on_way = {device for device, _ in steps}
                if not self._may_open(steps, destination, on_way & opening, on_way & closing):
                    continue
                part = [device for device in wave if device in on_way]
                for some in _subsets(part):
                    found = self._opening(steps, source, destination, {*done, *some} & on_way, on_way & changing)
                    if found is not None:
                        return number, found
            done |= set(wave)
        return None

    def safe_order(self, devices: Sequence[str]) -> tuple[str, ...] | None:
        """An order of single devices in which nothing opens; None where there is none."""
        must_follow = self.must_follow(devices)
        order: list[str] = []
        while len(order) < len(devices):
            free = [one for one in devices if one not in order and must_follow[one] <= set(order)]
            if not free:
                return None
            order.append(free[0])
        return tuple(order)

    def must_follow(self, devices: Sequence[str]) -> dict[str, set[str]]:
        """For each device those that close on some way what it opens there: it must change after them."""
        found: dict[str, set[str]] = {device: set() for device in devices}
        for steps, _, destination in self._paths(devices):
            on_way = dict.fromkeys(device for device, _ in steps if device in found)
            for opener in on_way:
                meets = (closer for closer in on_way if self._meet(steps, destination, opener, closer))
                found[opener].update(meets)
        return found

    def ways(self, devices: Collection[str]) -> Iterator[Way]:
        """Each way over at least two of some changing devices, with what passes it before and after."""
        for steps, _, destination in self._paths(devices):
            routed = self._routed(destination)
            before, after = (self._passing(steps, new) & routed for new in ((), devices))
            yield Way(steps, before, after, partial(self._both, steps))

    def _paths(self, changing: Collection[str]) -> Iterator[tuple[Steps, str, str]]:
        """Ways over at least two changing devices to a host, each once, with the ends of one pair that uses it."""
        seen: set[tuple[Steps, str]] = set()
        for source, destination, path in self._ways():
            steps = tuple((hop.device, hop.in_interface) for hop in path.hops)
            several = len({device for device, _ in steps if device in changing}) > 1
            if several and (steps, destination) not in seen:
                seen.add((steps, destination))
                yield steps, source, destination

    def _ways(self) -> Iterator[tuple[str, str, Path]]:
        hosts = [node.name for node in self.finder.topology.hosts if node.addresses]
        if len(hosts) > EVERY_PAIR:
            for source, _, paths in self.finder.found():
                yield from ((source, path.destination, path) for path in paths)
            return
        for source in hosts:
            for destination in (name for name in hosts if name != source):
                try:
                    paths = self.finder.paths(source, destination)
                except NoPathError:
                    continue
                yield from ((source, destination, path) for path in paths)

    def _set(self, device: str, interface: str, *, new: bool) -> PacketSet:
        key = (new, device, interface)
        if key not in self._sets:
            self._sets[key] = self.states[new][device].permitted(self.space, interface, ConnState.NEW)
        return self._sets[key]

    def _routed(self, destination: str) -> PacketSet:
        if destination not in self._targets:
            self._targets[destination] = self.towards(destination)
        return self._targets[destination]

    def _passing(self, steps: Steps, new: Collection[str]) -> PacketSet:
        found = self.space.full
        for device, interface in steps:
            found &= self._set(device, interface, new=device in new)
        return found

    def _opening(
        self, steps: Steps, source: str, destination: str, new: set[str], changing: set[str]
    ) -> Opening | None:
        if not new or new == changing:
            return None
        extra = self._passing(steps, new) - self._passing(steps, ()) - self._passing(steps, changing)
        packet = (extra & self._routed(destination)).witness(self.prefer)
        if packet is None:
            return None
        return Opening(source, destination, packet, tuple(sorted(new)), tuple(sorted(changing - new)))

    def _meet(self, steps: Steps, destination: str, opener: str, closer: str) -> bool:
        """Whether a packet to a host is newly permitted by one device of a way and newly denied by another of it."""
        if opener == closer:
            return False
        if not self._crossing(*(tuple(step for step in steps if step[0] == one) for one in (opener, closer))):
            return False
        common = self._routed(destination)
        for device, interface in steps:
            old, new = self._set(device, interface, new=False), self._set(device, interface, new=True)
            common &= new if device == opener else old if device == closer else old | new
        newly = common - self._both(steps, opener, new=False)
        return bool(newly - self._both(steps, closer, new=True))

    def _may_open(self, steps: Steps, destination: str, opening: set[str], closing: set[str]) -> bool:
        """Whether a packet can pass while some devices are changed: one must open it, and one that waits close it.

        Most changes open or close and do not do both, so that most ways need no look at their mixtures at all.
        """
        return any(self._meet(steps, destination, one, other) for one in opening for other in closing)

    def _crossing(self, opener: Steps, closer: Steps) -> PacketSet:
        """What the first device newly permits on its turns of a way, and the second newly denies on its own."""
        found = self._crossings.get((opener, closer))
        if found is None:
            opened, closed = self._changed(opener, opens=True), self._changed(closer, opens=False)
            found = self._crossings[opener, closer] = opened & closed if opened and closed else self.space.empty
        return found

    def _changed(self, turns: Steps, *, opens: bool) -> PacketSet:
        """What a device newly permits, or newly denies, on its turns of a way."""
        found = self._changes.get((turns, opens))
        if found is None:
            device = turns[0][0]
            old, new = self._both(turns, device, new=False), self._both(turns, device, new=True)
            found = self._changes[turns, opens] = new - old if opens else old - new
        return found

    def _both(self, steps: Steps, device: str, *, new: bool) -> PacketSet:
        """What a device lets through on all its turns on a way."""
        found = self.space.full
        for one, interface in steps:
            if one == device:
                found &= self._set(one, interface, new=new)
        return found


def _subsets(devices: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(devices, size) for size in range(1, len(devices) + 1))


def check_order(ordering: Ordering, waves: Waves) -> None:
    """Refuse waves in which something opens for a while that neither the state before nor the one after permits.

    Raises:
        DeployError: with the wave that breaks it, a packet, and an order that is safe where there is one.
    """
    found = ordering.first_opening(waves)
    if found is None:
        return
    number, opening = found
    order = ordering.safe_order([device for wave in waves for device in wave])
    advice = "no order is safe: change the devices that close first in a plan of their own"
    if order is not None:
        advice = f"a safe order is deploy.waves: [{', '.join(f'[{device}]' for device in order)}] (site.yaml)"
    raise DeployError(f"wave {number} is not safe: {opening}; {advice}")
