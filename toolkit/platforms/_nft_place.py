"""Where ours stand: in a table of our own, or inside a foreign one, between other people's rules.

Inside a foreign table three things are ours: one chain (*jump*), every rule that leads to it, and every rule whose
comment begins with our mark (*extend*). What is not ours is never moved, changed or removed by any text made here.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from toolkit.platforms._nft_model import Chain, make_rule, write_rule, write_table
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.platforms._nft_model import Rule, Ruleset, TableKey
    from toolkit.platforms.base import DeviceContext

UNKNOWN: Final = "<handle>"
ASKED: Final = f"# {UNKNOWN}: only the device knows it; it is asked for when this is sent (toolkit rollback ID)\n"


def place(context: DeviceContext) -> tuple[TableKey, str]:
    """(table, chain) of ours on a device; in *extend* mode no chain is made, its name only marks our rules."""
    if context.node.filter.mode is Ownership.OWN:
        bridged = any(interface.switched for interface in context.node.interfaces.values())
        return ("bridge" if bridged else "inet", context.prefix), "forward"
    where = context.node.filter
    return (where.family, where.table or ""), f"{context.prefix}_forward"


def mark(context: DeviceContext) -> str:
    """What the comment of a rule of ours in a foreign chain begins with; others may use our bare prefix."""
    return f"{place(context)[1]}:"


def is_ours(rule: Rule, context: DeviceContext) -> bool:
    """Whether a rule in a foreign chain is ours."""
    return rule.target == place(context)[1] or rule.comment.startswith(mark(context))


def placed(ruleset: Ruleset, context: DeviceContext) -> tuple[tuple[str, int, Rule], ...]:
    """Rules of ours in foreign chains: (chain, position from 1, rule)."""
    key, name = place(context)
    return tuple(
        (chain.name, number, rule)
        for chain in ruleset.tables.get(key, {}).values()
        if chain.name != name
        for number, rule in enumerate(chain.rules, 1)
        if is_ours(rule, context)
    )


def jump_rule(context: DeviceContext) -> Rule:
    """The rule that leads to our chain."""
    return make_rule((), "jump", place(context)[1], comment=f"{context.prefix}: one chain of ours")


def without_ours(ruleset: Ruleset, context: DeviceContext) -> Ruleset:
    """A ruleset as if we had never been in its foreign table."""
    key, name = place(context)
    if key not in ruleset.tables:
        return ruleset
    chains = {
        other: Chain(other, chain.base, tuple(rule for rule in chain.rules if not is_ours(rule, context)))
        for other, chain in ruleset.tables[key].items()
        if other != name
    }
    return ruleset.with_table_in_place(key, chains)


def script(goal: Ruleset, now: Ruleset, context: DeviceContext, *, handles: bool = True) -> str:
    """Commands that make what is ours in the foreign table as it is in `goal`; empty where it is.

    Rules are named by the handles that `now` knows; without `handles`, for a device whose handles are not known yet
    and that has nothing of ours, by their index.
    """
    key, name = place(context)
    table = f"{key[0]} {key[1]}"
    had, wanted = now.tables.get(key, {}), goal.tables.get(key, {})
    ours, lines = wanted.get(name), []
    body = write_table(key, {name: ours}) if ours is not None else ""
    if body and (name not in had or body != write_table(key, {name: had[name]})):
        lines += [f"add chain {table} {name}\n", f"flush chain {table} {name}\n", body]
    for chain in dict.fromkeys((*had, *wanted)):
        if chain != name:
            one = _Chain(f"{table} {chain}", had.get(chain, Chain(chain)), wanted.get(chain, Chain(chain)), context)
            lines += one.commands(handles=handles)
    if ours is None and name in had:
        lines += [f"flush chain {table} {name}\n", f"delete chain {table} {name}\n"]
    text = "".join(lines)
    return ASKED + text if UNKNOWN in text else text


class _Chain:
    """The change of ours in one foreign chain."""

    def __init__(self, where: str, now: Chain, goal: Chain, context: DeviceContext) -> None:
        self.where = where
        self.foreign, self.had = _split(now.rules, context)
        foreign, wanted = _split(goal.rules, context)
        self.wanted: list[list[Rule]] = [[] for _ in self.had]
        for slot, rules in zip(_aligned(foreign, self.foreign), wanted, strict=True):
            self.wanted[slot] += rules

    def commands(self, *, handles: bool) -> Iterator[str]:
        """Deletions first, then insertions in the order of the chain."""
        rows: list[tuple[Rule, bool]] = []  # the chain as it will be; whether the rule is new
        for slot, (old, new) in enumerate(zip(self.had, self.wanted, strict=True)):
            steps = SequenceMatcher(None, _texts(old), _texts(new), autojunk=False).get_opcodes()
            for step, start, stop, first, last in steps:
                if step == "equal":
                    rows += [(rule, False) for rule in old[start:stop]]
                    continue
                for rule in old[start:stop]:
                    yield f"delete rule {self.where} {_handle(rule)}{_shown(rule)}\n"
                rows += [(rule, True) for rule in new[first:last]]
            rows += [(rule, False) for rule in self.foreign[slot : slot + 1]]
        yield from self._by_handle(rows) if handles else self._by_index(rows)

    def _by_handle(self, rows: list[tuple[Rule, bool]]) -> Iterator[str]:
        """Each before the next rule that stays; at the top and at the end of the chain without naming any."""
        top = next((number for number, (_, new) in enumerate(rows) if not new), len(rows))
        if top < len(rows):
            yield from (f"insert rule {self.where} {write_rule(rule)}\n" for rule, _ in reversed(rows[:top]))
            rows = rows[top:]
        for number, (rule, new) in enumerate(rows):
            if not new:
                continue
            follows = next((other for other, is_new in rows[number:] if not is_new), None)
            verb = f"add rule {self.where}" if follows is None else f"insert rule {self.where} {_handle(follows)}"
            yield f"{verb} {write_rule(rule)}\n"

    def _by_index(self, rows: list[tuple[Rule, bool]]) -> Iterator[str]:
        """From the last place to the first, so that an index counts foreign rules alone."""
        end = next((n for n in range(len(rows), 0, -1) if not rows[n - 1][1]), 0)
        yield from (f"add rule {self.where} {write_rule(rule)}\n" for rule, _ in rows[end:])
        for number in reversed(range(end)):
            rule, new = rows[number]
            if new:
                index = sum(not is_new for _, is_new in rows[:number])
                yield f"insert rule {self.where}{f' index {index}' if index else ''} {write_rule(rule)}\n"


def _split(rules: Sequence[Rule], context: DeviceContext) -> tuple[list[Rule], list[list[Rule]]]:
    """(foreign rules, ours before each of them and behind the last)."""
    foreign: list[Rule] = []
    ours: list[list[Rule]] = [[]]
    for rule in rules:
        if is_ours(rule, context):
            ours[-1].append(rule)
        else:
            foreign.append(rule)
            ours.append([])
    return foreign, ours


def _aligned(goal: list[Rule], now: list[Rule]) -> list[int]:
    """For each slot between the foreign rules of one list, the slot of another before the same rule.

    The lists differ only where others have changed theirs since: then it is the slot before the next rule that is
    still there.
    """
    if _texts(goal) == _texts(now):
        return list(range(len(goal) + 1))
    blocks = SequenceMatcher(None, _texts(goal), _texts(now), autojunk=False).get_matching_blocks()
    same = {one + n: other + n for one, other, size in blocks for n in range(size)}
    later = [next((same[n] for n in range(slot, len(goal)) if n in same), len(now)) for slot in range(len(goal) + 1)]
    return [0, *later[1:]]


def _texts(rules: list[Rule]) -> list[str]:
    return [write_rule(rule) for rule in rules]


def _handle(rule: Rule) -> str:
    return f"handle {rule.handle or UNKNOWN}"


def _shown(rule: Rule) -> str:
    """Which rule is meant, where no handle says it."""
    return "" if rule.handle else f"  # {write_rule(rule)}"
