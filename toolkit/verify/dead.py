"""Entries of lists that decide nothing, and what decides instead; a packet that shows why each of the others stays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from toolkit.packets import Audit, DeadKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toolkit.net import Packet
    from toolkit.packets import Dead, PacketSet, Space
    from toolkit.platforms.base import EntryList, ListedEntry


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """An entry that may go: no verdict changes without it.

    `number` counts from 1. `by` are the entries that decide its packets, all of them together: earlier ones, or where
    it is `reached`, later ones that would. A `shadowed` entry has a `witness`: a packet that it wants to decide
    otherwise than they do.
    """

    number: int
    entry: ListedEntry
    kind: DeadKind
    reached: bool
    by: tuple[tuple[int, ListedEntry], ...]
    witness: Packet | None = None


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """An entry that is needed: the `witness` has another verdict without it."""

    number: int
    entry: ListedEntry
    witness: Packet


@dataclass(frozen=True, slots=True)
class ListReport:
    """What became of the entries of one list; `unread` says why there are none."""

    name: str
    bound: tuple[str, ...]
    entries: int
    dead: tuple[DeadEntry, ...]
    live: tuple[LiveEntry, ...] = ()
    unread: str = ""


def dead_in_lists(
    lists: Iterable[EntryList],
    space: Space,
    prefer: Sequence[PacketSet] = (),
    *,
    prove_live: bool = False,
    budget: int | None = None,
) -> tuple[ListReport, ...]:
    """Judge every entry of some lists; an entry with several views is dead where it is dead in all of them.

    `prove_live` asks for a witness of every entry that is not dead. Witnesses are from the preferred packets where
    these can show it.

    Raises:
        BudgetError: the entries of a list overlap too much.
    """
    return tuple(
        _report(list(views), space, prefer, prove_live=prove_live, budget=budget)
        for _, views in groupby(lists, lambda one: one.name)
    )


class _View:
    """One view of a list, judged."""

    def __init__(self, one: EntryList, space: Space, budget: int | None) -> None:
        entries = [(entry.action, entry.parts) for entry in one.entries]
        self.entries = one.entries
        self.audit = Audit(space, entries, one.default, budget)
        self.dead: dict[int, Dead] = {found.index: found for found in self.audit.dead()}

    def can_match(self, index: int) -> bool:
        """Whether any packet of this view matches an entry."""
        return any(not self.audit.space.union([part]).is_empty for part in self.entries[index].parts)


def _report(
    views: list[EntryList], space: Space, prefer: Sequence[PacketSet], *, prove_live: bool, budget: int | None
) -> ListReport:
    first = views[0]
    judged = [_View(one, space, budget) for one in views]
    dead: list[DeadEntry] = []
    live: list[LiveEntry] = []
    for index, entry in enumerate(first.entries):
        mine = [view for view in judged if len(judged) == 1 or view.can_match(index)]
        if not mine or entry.keep:
            continue  # for other packets than those of IPv4, or there for what no packet set shows
        needed = next((view for view in mine if index not in view.dead), None)
        if needed is None:
            dead.append(_dead(index, entry, mine, prefer))
        elif prove_live:
            witness = needed.audit.missed(index).witness(prefer)
            assert witness is not None  # noqa: S101 - that is what it means not to be dead
            live.append(LiveEntry(index + 1, entry, witness))
    return ListReport(first.name, first.bound, len(first.entries), tuple(dead), tuple(live), first.unread)


def _dead(index: int, entry: ListedEntry, views: list[_View], prefer: Sequence[PacketSet]) -> DeadEntry:
    # Where it is reached in one view, what other views say does not count: it does there what its author wanted.
    views = [view for view in views if view.dead[index].reached] or views
    found = [view.dead[index] for view in views]
    shadowed = [view for view, one in zip(views, found, strict=True) if one.kind is DeadKind.SHADOWED]
    witness = shadowed[0].audit.overruled(index).witness(prefer) if shadowed else None
    by = sorted({other for one in found for other in one.by})
    return DeadEntry(
        index + 1,
        entry,
        DeadKind.SHADOWED if shadowed else DeadKind.REDUNDANT,
        any(one.reached for one in found),
        tuple((other + 1, views[0].entries[other]) for other in by),
        witness,
    )
