"""Adding to somebody's list: the fewest entries at the right places, so that after = before + required.

Pure and without vendor knowledge: a list is a sequence of packet sets with actions. A permit of what is required can
stand anywhere without changing the verdict of anything else; it must only come before whatever denies its packets
today. So each one goes as far down as that allows: other people's entries keep their turn, and a deny that they add
to the end of their exceptions later still comes first.

An entry that somebody denies explicitly is theirs to settle: it stops the plan, unless the operator overrides it by
name. The end of a list that denies everything is no such entry, it is a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import Action

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from toolkit.net import Packet
    from toolkit.packets import PacketSet

# Up to so many entries that can stand in for each other, the smallest choice is searched for; beyond, it is close.
SEARCHED: Final = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of somebody's list.

    `packets` is what it matches, whatever comes before it; `action` None decides nothing (a counter, a log). `names`
    are what an operator may call it in an override, the first one is shown. `slot` counts the lines of the list
    before it: what is inserted there comes right before this line. Several entries may share a slot, where one line
    leads to others. `default` marks the end of the list that decides everything.
    """

    packets: PacketSet
    action: Action | None
    names: tuple[str, ...]
    slot: int
    place: str = ""
    default: bool = False

    def __str__(self) -> str:
        return f"{self.names[0]} ({self.place})" if self.place else self.names[0]


@dataclass(frozen=True, slots=True)
class Permit:
    """A required permit, as one entry that could be inserted; `text` says what it lets through, for people."""

    packets: PacketSet
    text: str
    requirements: tuple[str, ...] = ()


class Standing(StrEnum):
    """How much of a required permit passes already."""

    PERMITTED = "permitted"
    PARTLY = "partly"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A required permit beside somebody's list.

    `by` are the entries that permit some of it today, `against` those that deny some of it. `slot` is where it is
    inserted; None where nothing is missing, or where other insertions bring what is.
    """

    text: str
    requirements: tuple[str, ...]
    standing: Standing
    by: tuple[str, ...]
    against: tuple[str, ...]
    slot: int | None


@dataclass(frozen=True, slots=True)
class Excess:
    """An entry of somebody's that permits what nothing requires, with a packet of the scope that shows it."""

    entry: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class Extension:
    """What is wanted of a list, in the order of the permits, and what was there before.

    `overtaken` are explicit denies that the operator overrides and that an insertion comes before.
    """

    wanted: tuple[Wanted, ...]
    overtaken: tuple[str, ...] = ()
    excess: tuple[Excess, ...] = ()

    @property
    def insertions(self) -> tuple[tuple[int, int], ...]:
        """(slot, number of the permit), sorted: the fewest that make after = before + required."""
        found = ((one.slot, number) for number, one in enumerate(self.wanted) if one.slot is not None)
        return tuple(sorted(found))


def plan_extension(
    entries: Sequence[Entry],
    default: Entry,
    permits: Sequence[Permit],
    scope: PacketSet,
    overrides: Collection[str] = (),
    required: PacketSet | None = None,
) -> Extension:
    """Where the permits that are missing go in a first-match list.

    Args:
        entries: somebody's list, the first match decides; slots never decrease.
        default: what decides the rest; its slot is behind the list.
        permits: what is required; each is inserted whole or not at all.
        scope: where older excess is looked for.
        overrides: names of explicit denies that the operator lets us come before.
        required: all of the permits together, where the caller has that set already.

    Raises:
        PolicyError: an explicit deny that is not overridden decides something required; it is named with a witness.
    """
    empty = scope.space.empty
    required = _union([permit.packets for permit in permits], empty) if required is None else required
    if default.action is Action.PERMIT and not any(entry.packets for entry in entries):
        passing = tuple(_passing(permit, default) for permit in permits)
        return Extension(passing, (), tuple(_excess([(default, scope)], scope - required)))
    decided = list(_decided((*entries, default), required | scope))
    meeting = [(entry, packets & required) for entry, packets in decided]
    meeting = [(entry, packets) for entry, packets in meeting if packets]
    denying = [(entry, packets) for entry, packets in meeting if entry.action is Action.DENY]
    permitting = [(entry, packets) for entry, packets in meeting if entry.action is Action.PERMIT]
    _refuse_explicit(denying, permits, overrides)
    missing = _union([packets for _, packets in denying], empty)
    parts = [permit.packets & missing for permit in permits]
    chosen = _cover(parts, missing)
    quiet = _quiet_slots(entries)
    slots = {number: _slot(parts[number], denying, quiet) for number in chosen}
    wanted = tuple(
        Wanted(
            permit.text,
            permit.requirements,
            Standing.PERMITTED if not part else Standing.MISSING if part == permit.packets else Standing.PARTLY,
            tuple(dict.fromkeys(str(entry) for entry, packets in permitting if packets & permit.packets)),
            tuple(dict.fromkeys(str(entry) for entry, packets in denying if packets & permit.packets)),
            slots.get(number),
        )
        for number, (permit, part) in enumerate(zip(permits, parts, strict=True))
    )
    overtaken = tuple(dict.fromkeys(str(entry) for entry, _ in denying if not entry.default))
    return Extension(wanted, overtaken, tuple(_excess(decided, scope - required)))


def _passing(permit: Permit, default: Entry) -> Wanted:
    """A permit where nothing is denied at all."""
    by = (str(default),) if permit.packets else ()
    return Wanted(permit.text, permit.requirements, Standing.PERMITTED, by, (), None)


def check_overrides(overrides: Collection[str], known: Sequence[tuple[str, ...]], where: str) -> None:
    """Refuse overrides that name no explicit deny of a list; `known` are the names of those that it has.

    Raises:
        PolicyError: with the valid choices.
    """
    valid = {name for names in known for name in names}
    for name in overrides:
        if name not in valid:
            choices = ", ".join(repr(names[0]) for names in known) or "none"
            raise PolicyError(f"{where}: override {name!r} names no explicit deny there (valid choices: {choices})")


def _union(sets: Sequence[PacketSet], empty: PacketSet) -> PacketSet:
    """All of some sets, joined pair by pair so that most joins are small."""
    if len(sets) <= 1:
        return sets[0] if sets else empty
    middle = len(sets) // 2
    return _union(sets[:middle], empty) | _union(sets[middle:], empty)


def _decided(entries: Sequence[Entry], packets: PacketSet) -> Iterator[tuple[Entry, PacketSet]]:
    """What each entry decides of some packets, the first match wins.

    The list is halved again and again, and each half sees only the packets that it matches at all: a long list costs
    little more than its entries, where packet by packet it would cost their square.
    """
    deciding = [entry for entry in entries if entry.action is not None]
    size = 1
    while size < len(deciding):
        size *= 2
    # A tree of unions: node n has the children 2n and 2n + 1, the entries are its leaves.
    tree = [packets.space.empty] * size + [entry.packets for entry in deciding]
    tree += [packets.space.empty] * (2 * size - len(tree))
    for node in range(size - 1, 0, -1):
        tree[node] = tree[2 * node] | tree[2 * node + 1]

    def below(node: int, packets: PacketSet) -> Iterator[tuple[Entry, PacketSet]]:
        packets = packets & tree[node]
        if not packets:
            return
        if node >= size:
            yield deciding[node - size], packets
            return
        yield from below(2 * node, packets)
        yield from below(2 * node + 1, packets - tree[2 * node])

    yield from below(1, packets)


def _refuse_explicit(
    denying: Sequence[tuple[Entry, PacketSet]], permits: Sequence[Permit], overrides: Collection[str]
) -> None:
    problems = []
    for entry, packets in denying:
        if entry.default or set(entry.names) & set(overrides):
            continue
        asking = next(permit for permit in permits if permit.packets & packets)
        who = ", ".join(asking.requirements) or asking.text
        problems.append(f"{entry} denies {(packets & asking.packets).witness()}, which {who} requires")
    if problems:
        raise PolicyError(
            f"somebody's explicit deny meets what is required: {'; '.join(problems)}. Settle it with them, or name "
            "the entry in filter.override of the device"
        )


def _cover(parts: Sequence[PacketSet], missing: PacketSet) -> list[int]:
    """The fewest parts that together are what is missing, as their numbers."""
    if sum(part.points() for part in parts) == missing.points():
        return [number for number, part in enumerate(parts) if part]  # none has a packet of another
    after = [missing - missing]
    for part in reversed(parts):
        after.append(after[-1] | part)
    chosen = []
    others = after[0]
    for number, part in enumerate(parts):
        if part - (others | after[len(parts) - 1 - number]):
            chosen.append(number)  # nobody else has some packet of it
        others = others | part
    left = missing
    for number in chosen:
        left = left - parts[number]
    useful = {number: part & left for number, part in enumerate(parts) if part & left}
    return sorted(chosen + _search(useful, left))


def _search(parts: dict[int, PacketSet], left: PacketSet) -> list[int]:
    """The fewest of some parts that hold all that is left; beyond `SEARCHED` parts, the largest gain first."""
    for size in range(len(parts) + 1 if len(parts) <= SEARCHED else 0):
        for some in combinations(parts, size):
            rest = left
            for number in some:
                rest = rest - parts[number]
            if not rest:
                return list(some)
    chosen = []
    while left:
        best = max(parts, key=lambda number: ((parts[number] & left).count(), -number))
        chosen.append(best)
        left = left - parts[best]
    return chosen


def _quiet_slots(entries: Sequence[Entry]) -> set[int]:
    """Slots of lines that decide nothing: a log before a deny stays with it."""
    return {entry.slot for entry in entries} - {entry.slot for entry in entries if entry.action is not None}


def _slot(part: PacketSet, denying: Sequence[tuple[Entry, PacketSet]], quiet: set[int]) -> int:
    """The last place that comes before everything that denies a part today."""
    slot = min(entry.slot for entry, packets in denying if packets & part)
    while slot - 1 in quiet:
        slot -= 1
    return slot


def _excess(decided: Sequence[tuple[Entry, PacketSet]], beyond: PacketSet) -> Iterator[Excess]:
    for entry, packets in decided:
        packet = (packets & beyond).witness() if entry.action is Action.PERMIT else None
        if packet is not None:
            yield Excess(str(entry), packet)
