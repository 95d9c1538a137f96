"""What lists do to a packet: as a packet set, and for one packet by walking their entries."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from toolkit.addresses import joined
from toolkit.errors import ConfigError, Place
from toolkit.net import ICMP, TCP, WITH_PORTS, Action, Direction
from toolkit.packets import ESTABLISHED, FRAGMENTS, FULL, NOT_FRAGMENT, Block, Box
from toolkit.platforms._cisco_names import interface_key
from toolkit.platforms.base import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from toolkit.net import Packet
    from toolkit.packets import Interval, PacketSet, Space
    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms._cisco_model import AccessList, Config, Entry, Match
    from toolkit.platforms.base import DeviceContext

Intervals = tuple["Interval", ...]
IMPLICIT: Final = "deny ip any any (the end of every list)"


class View:
    """A device's lists as seen by packets that enter by one interface."""

    def __init__(self, config: Config, dialect: Dialect, context: DeviceContext, interface: str) -> None:
        self.config = config
        self.dialect = dialect
        self.context = context
        self.interface = interface
        self.inward = self._bound(interface, Direction.IN)

    def _bound(self, interface: str, direction: Direction) -> AccessList | None:
        bound = self.config.bindings.get((interface_key(interface), direction))
        return self.config.acls[bound.acl] if bound is not None else None

    def outward(self) -> Iterator[tuple[str, AccessList]]:
        """Lists that packets meet on the way out, by interface of the inventory.

        Raises:
            ConfigError: equal-cost routes leave by interfaces with different lists, so a packet may meet either.
        """
        lists = {name: self._bound(name, Direction.OUT) for name in self.context.domains}
        for name, acl in lists.items():
            for other, theirs in lists.items():
                if acl is not None and name != other and acl != theirs and self._meet(name, other):
                    raise ConfigError(
                        f"list {acl.name} is bound outwards to {name}, one of several equal-cost interfaces ({other})",
                        place=Place(self.context.device),
                    )
            if acl is not None:
                yield name, acl

    def _meet(self, one: str, other: str) -> bool:
        domains = self.context.domains
        return any(a.overlaps(b) for a in domains[one] for b in domains[other])

    # ---- as a set -------------------------------------------------------------------------

    def permitted(self, space: Space) -> PacketSet:
        """Packets that pass the list of the interface and, where one is bound, that of the way out."""
        result = space.full if self.inward is None else self.passes(space, self.inward)
        for name, acl in self.outward():
            there = space.union(Box(dst=_interval(prefix)) for prefix in self.context.domains[name])
            result = result - (there - self.passes(space, acl))
        return result

    def passes(self, space: Space, acl: AccessList) -> PacketSet:
        """What a list permits."""
        return space.acl((entry.action, box) for entry in acl.entries for box in self.boxes(entry))

    def ends(self, entry: Entry) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
        """(destinations, sources) of an entry."""
        return self.config.addresses(entry.destination), self.config.addresses(entry.source)

    def boxes(self, entry: Entry) -> Iterator[Box | Block]:
        """What an entry matches, later fragments by the rule of the system."""
        dst, src = self.ends(entry)
        for match in self.config.matches(entry):
            protocol = FULL[0] if match.protocol is None else (match.protocol, match.protocol)
            whole = FRAGMENTS if entry.fragments else NOT_FRAGMENT if match.inside else FULL[5]
            flags = ESTABLISHED if match.established else whole
            later = self.dialect.fragments_by_address and entry.action is Action.PERMIT and _looks(match)
            for sport in match.sports:
                for dport in match.dports:
                    yield _between(dst, src, protocol, dport, sport, flags)
            if later:
                yield _between(dst, src, protocol, FULL[3], FULL[4], FRAGMENTS)

    # ---- one packet -----------------------------------------------------------------------

    def decide(self, packet: Packet) -> Decision:
        """The entry that decides a packet: the first deny on its way, or the permit of the list that it enters by."""
        found = None
        if self.inward is not None:
            found = self._walk(self.inward, packet)
            if found.action is Action.DENY:
                return found
        for name, acl in self.outward():
            if any(packet.dst in prefix for prefix in self.context.domains[name]):
                there = self._walk(acl, packet)
                if there.action is Action.DENY or found is None:
                    return there
        return found or Decision(Action.PERMIT, "no list", "nothing is bound here", self.interface)

    def _walk(self, acl: AccessList, packet: Packet) -> Decision:
        for entry in acl.entries:
            if self._matches(entry, packet):
                return Decision(entry.action, acl.name, entry.text, f"sequence {entry.seq}")
        return Decision(Action.DENY, acl.name, IMPLICIT, "its end")

    def _matches(self, entry: Entry, packet: Packet) -> bool:
        if not (
            _holds(self.config.addresses(entry.source), int(packet.src))
            and _holds(self.config.addresses(entry.destination), int(packet.dst))
        ):
            return False
        if entry.fragments and not packet.fragment:
            return False
        return any(self._fits(match, entry, packet) for match in self.config.matches(entry))

    def _fits(self, match: Match, entry: Entry, packet: Packet) -> bool:
        if match.protocol is not None and match.protocol != packet.protocol:
            return False
        if packet.fragment and _looks(match):
            return self.dialect.fragments_by_address and entry.action is Action.PERMIT
        if match.established and not packet.established:
            return False
        if not match.inside:
            return True
        if packet.protocol == ICMP and packet.icmp is not None:
            return _holds(match.dports, packet.icmp.type * 256 + (packet.icmp.code or 0))
        return (
            packet.protocol in WITH_PORTS and _holds(match.sports, packet.sport) and _holds(match.dports, packet.dport)
        )


def _between(dst: Intervals, src: Intervals, protocol: Interval, *rest: Interval) -> Box | Block:
    """Packets between sets of addresses; groups of many are one block, and not a box for each pair."""
    if len(dst) == len(src) == 1:
        return Box(protocol, dst[0], src[0], *rest)
    return Block(protocol, merged(dst), merged(src), *rest)


@lru_cache(maxsize=4096)
def merged(intervals: Intervals) -> Intervals:
    """The same addresses in the fewest intervals, in order."""
    return tuple(joined(intervals))


def _looks(match: Match) -> bool:
    """Whether a match looks at what only the first fragment carries."""
    return match.inside or (match.established and match.protocol == TCP)


def _holds(intervals: tuple[Interval, ...], value: int) -> bool:
    return any(low <= value <= high for low, high in intervals)


def _interval(prefix: IPv4Network) -> Interval:
    return int(prefix.network_address), int(prefix.broadcast_address)
