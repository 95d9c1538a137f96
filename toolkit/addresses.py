"""Sets of addresses: prefixes as entries write them, with their intervals at hand, and many sets of one universe.

A large site repeats few sets in very many entries. They are shared: made once, hashed once, turned into intervals
once; and a set without one host costs what its intervals cost, not what its hosts do.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, summarize_address_range
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Interval = tuple[int, int]

# Up to so many prefixes a set is written as the site has it, so that people find their hosts in it; a longer one is
# written in the fewest prefixes that hold exactly the same addresses.
WRITTEN_OUT: Final = 32


class Prefixes(tuple[IPv4Network, ...]):  # noqa: SLOT001 - it keeps what it has worked out
    """Prefixes, equal to the tuple of them; intervals and hash are worked out once."""

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """The addresses as disjoint inclusive intervals in order, touching ones joined."""
        return tuple(joined((int(one.network_address), int(one.broadcast_address)) for one in self))

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other


def intervals_of(prefixes: tuple[IPv4Network, ...]) -> tuple[Interval, ...]:
    """The addresses of some prefixes as disjoint inclusive intervals in order, touching ones joined."""
    return (prefixes if isinstance(prefixes, Prefixes) else Prefixes(prefixes)).intervals


def joined(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Sorted intervals, overlapping and touching ones joined."""
    current: Interval | None = None
    for low, high in sorted(intervals):
        if current is not None and low <= current[1] + 1:
            current = (current[0], max(current[1], high))
        else:
            if current is not None:
                yield current
            current = (low, high)
    if current is not None:
        yield current


@lru_cache(maxsize=65536)
def fewest(interval: Interval) -> tuple[IPv4Network, ...]:
    """The fewest prefixes that hold exactly the addresses of an interval."""
    return tuple(summarize_address_range(IPv4Address(interval[0]), IPv4Address(interval[1])))


class Universe:
    """Prefixes that sets are made of; a set is an integer with a bit for each, in the order of the prefixes.

    Equal sets become the same `Prefixes`.
    """

    def __init__(self, prefixes: Iterable[IPv4Network]) -> None:
        self.prefixes: Sequence[IPv4Network] = sorted(set(prefixes))
        self.bit = {prefix: 1 << number for number, prefix in enumerate(self.prefixes)}
        self._ends = [(int(one.network_address), int(one.broadcast_address)) for one in self.prefixes]
        # Bits of prefixes that begin right behind the one before them.
        self._follows = sum(
            1 << number
            for number in range(1, len(self._ends))
            if self._ends[number][0] == self._ends[number - 1][1] + 1
        )
        self._sets: dict[int, Prefixes] = {}

    def mask(self, prefixes: Iterable[IPv4Network]) -> int:
        """The set of some prefixes."""
        found = 0
        for prefix in prefixes:
            found |= self.bit[prefix]
        return found

    @property
    def everything(self) -> Prefixes:
        """The set of all its prefixes."""
        return self.prefixes_of((1 << len(self.prefixes)) - 1)

    def prefixes_of(self, mask: int) -> Prefixes:
        """A set as prefixes, sorted; in the fewest of them where it is long."""
        known = self._sets.get(mask)
        if known is None:
            if mask.bit_count() <= WRITTEN_OUT:
                known = Prefixes(self.prefixes[number] for number in bits(mask))
            else:
                intervals = tuple(joined(self._runs(mask)))
                known = Prefixes(prefix for interval in intervals for prefix in fewest(interval))
                known.__dict__["intervals"] = intervals  # where the cached property looks first
            self._sets[mask] = known
        return known

    def _runs(self, mask: int) -> Iterator[Interval]:
        """Intervals of a set, one for each run of prefixes that follow each other."""
        inner = mask & (mask << 1) & self._follows  # bits that continue the run of the bit before
        for first, last in zip(bits(mask & ~inner), bits(mask & ~(inner >> 1)), strict=True):
            yield self._ends[first][0], self._ends[last][1]


def bits(mask: int) -> Iterator[int]:
    """Numbers of the bits that are set, the lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
