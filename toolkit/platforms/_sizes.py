"""How many entries a device's lists take, against what it holds: as written, and as its hardware counts them.

What is counted is an upper bound, by a rule that each system states in `Capabilities.counting`:

- object groups, prefix lists and lists of values are written out: every combination of their members is an entry;
- a prefix, a wildcard mask, a single port and an ICMP kind are one value under one mask, so they cost one entry;
- a range of addresses costs as many entries as the fewest prefixes that hold it;
- a range of ports costs one where the hardware compares ranges, else the fewest values under masks that hold it
  (1024-65535 are six); `established` (ACK or RST) then costs two;
- a list that is bound in several places counts in each, unless the system is known to keep it once;
- while a list is replaced, the old one and the new one are both there.

Not counted is what a system installs by itself (the implicit deny of each list, its own traps), and what it saves by
merging: leave some room in `filter.capacity`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import PolicyError
from toolkit.net import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolkit.packets import Interval
    from toolkit.platforms.base import FilterState


class Counting(NamedTuple):
    """How a system counts. `compares`: directions in which one entry compares a range of ports.

    `shared`: a list that is bound in several places is there once. `note` is a sentence for people.
    """

    compares: tuple[Direction, ...]
    shared: bool
    note: str


class ListSize(NamedTuple):
    """The size of one list where it is bound; `interface` is empty for one that no single interface has.

    `written` are its entries as they stand in the text; `entries` those with groups written out and ranges of ports as
    one; `expanded` those with ranges of ports written out as well. `content` is equal for lists that are the same.
    """

    interface: str
    direction: Direction
    acl: str
    written: int
    entries: int
    expanded: int
    content: object

    def counted(self, counting: Counting, *, expand: bool) -> int:
        """Entries that it takes on a system; `expand` where its hardware is said to compare no ranges at all."""
        return self.expanded if expand or self.direction not in counting.compares else self.entries


@lru_cache(maxsize=4096)
def masked(interval: Interval) -> int:
    """How many values under a mask hold exactly an interval of numbers."""
    low, high = interval
    count = 0
    while low <= high:
        size = low & -low or 1 << high.bit_length()
        while size > high - low + 1:
            size >>= 1
        low += size
        count += 1
    return count


def all_masked(intervals: Iterable[Interval]) -> int:
    """The same for several intervals."""
    return sum(map(masked, intervals))


class Budget(NamedTuple):
    """Entries of a device, or of one direction of it, against what it holds (`limit`, None where nobody said).

    `today` and `then` are the entries before and after a change, `together` those while it is made: all new ones, and
    all old ones that do not stay as they are.
    """

    direction: Direction | None
    limit: int | None
    today: int
    then: int
    together: int

    @property
    def fits(self) -> bool:
        """Whether there is room for it, as far as somebody said how much there is."""
        return self.limit is None or self.together <= self.limit


def budgets(now: FilterState, then: FilterState, counting: Counting) -> tuple[Budget, ...]:
    """What a change needs of a device: in one, or in one for each direction that has a capacity of its own."""
    where = then.context.node.filter
    expand = where.port_ranges == "expanded"
    limits: Mapping[Direction | None, int | None] = {None: None}
    if isinstance(where.capacity, int):
        limits = {None: where.capacity}
    elif where.capacity is not None:
        limits = {Direction(way): limit for way, limit in where.capacity.items()}
    found = []
    for direction, limit in limits.items():
        old, new = (
            {_key(one, counting): one for one in state.sizes() if direction in (None, one.direction)}
            for state in (now, then)
        )
        leaving = [one for key, one in old.items() if key not in new or new[key].content != one.content]
        counts = [
            sum(one.counted(counting, expand=expand) for one in some)
            for some in (old.values(), new.values(), (*new.values(), *leaving))
        ]
        found.append(Budget(direction, limit, *counts))
    return tuple(found)


def _key(one: ListSize, counting: Counting) -> tuple[object, ...]:
    """What makes a list count: its place, or its name where one list is kept for all places."""
    return (one.acl,) if counting.shared else (one.interface, one.direction, one.acl)


def check_fits(now: FilterState, then: FilterState, counting: Counting) -> None:
    """Refuse a change that a device has no room for.

    Raises:
        PolicyError: old and new entries together are more than `filter.capacity`.
    """
    if then.context.node.filter.capacity is None:
        return
    for one in budgets(now, then, counting):
        if not one.fits:
            way = f" {one.direction.value}wards" if one.direction else ""
            raise PolicyError(
                f"{then.context.device}: {one.together} entries{way}, old and new together ({one.today} today, "
                f"{one.then} then), do not fit into its capacity of {one.limit} (filter.capacity); {counting.note}"
            )
