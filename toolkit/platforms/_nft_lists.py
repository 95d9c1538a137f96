"""Base chains of nftables as ordered lists: jumps followed, and each view of interfaces and connection states apart.

A rule may look at interfaces and at the state of a connection. For one interface on each side and one state, a chain is
a first-match list of packets; so a list has one view for every combination that its rules tell apart.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from itertools import product
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.net import Action
from toolkit.packets import Space
from toolkit.platforms._nft_eval import View
from toolkit.platforms._nft_model import Chain, reachable, write_rule
from toolkit.platforms.base import ConnState, EntryList, ListedEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.packets import Block, Box, PacketSet
    from toolkit.platforms._nft_model import Rule, Ruleset, TableKey
    from toolkit.platforms.base import DeviceContext

OTHER: Final = "another interface"  # one that no rule names
EVERYWHERE: Final = (IPv4Network("0.0.0.0/0"),)
FRAGMENTS: Final = "a bridge compares ports with what stands in their place in later fragments"
DECIDES: Final = {"accept": Action.PERMIT, "drop": Action.DENY, "reject": Action.DENY}


def listed_chains(ruleset: Ruleset, context: DeviceContext) -> tuple[EntryList, ...]:
    """Every base chain that filters IPv4, once for each view of it.

    Raises:
        ConfigError: a jump leads nowhere.
    """
    return tuple(
        one
        for key, chains in ruleset.tables.items()
        for chain in chains.values()
        if chain.base is not None and chain.base.type == "filter" and key[0] not in ("ip6", "arp")
        for one in _views(ruleset, context, key, chain)
    )


def _views(ruleset: Ruleset, context: DeviceContext, key: TableKey, start: Chain) -> Iterator[EntryList]:
    assert start.base is not None  # noqa: S101 - base chains only
    chains = ruleset.tables[key]
    rules = [rule for chain in reachable(chains, start) for rule in chain.rules]
    named = {name: _words(rules, name) for name in ("iifname", "oifname")}
    states = tuple(ConnState) if _words(rules, "ct state") else (ConnState.NEW,)
    default = Action.PERMIT if start.base.policy == "accept" else Action.DENY
    name = f"{key[0]} {key[1]} {start.name}"
    space = Space()
    seen: set[tuple[tuple[Box | Block, ...], ...]] = set()
    for inwards, outwards, state in product(named["iifname"] or (OTHER,), named["oifname"] or (OTHER,), states):
        met = replace(context, domains={outwards: EVERYWHERE}, stateful=True)
        walk = _Walk(View(ruleset, met, inwards, state), chains, space, bridged=key[0] in ("bridge", "netdev"))
        entries = tuple(walk.entries(start, None))
        if not entries or tuple(one.parts for one in entries) in seen:
            continue
        seen.add(tuple(one.parts for one in entries))
        told = [f"in by {inwards}"] * bool(named["iifname"]) + [f"out by {outwards}"] * bool(named["oifname"])
        told += [f"{state.value} connections"] * (len(states) > 1)
        yield EntryList(name, (f"hook {start.base.hook}",), entries, default, ", ".join(told))


def _words(rules: list[Rule], field: str) -> tuple[str, ...]:
    """Words that rules compare a field with, and one that none of them names; none where no rule looks at it."""
    found = {str(value) for rule in rules for one in (rule.match(field),) if one is not None for value in one.values}
    return (*sorted(found), OTHER) if found else ()


class _Walk:
    """One view of a chain."""

    def __init__(self, view: View, chains: Mapping[str, Chain], space: Space, *, bridged: bool) -> None:
        self.view = view
        self.bridged = bridged
        self.chains = chains
        self.space = space

    def entries(self, chain: Chain, entering: PacketSet | None) -> Iterator[ListedEntry]:
        """The rules that decide, in the order in which packets meet them; `entering` is None for all packets."""
        for rule in chain.rules:
            if rule.verdict in DECIDES:
                text = f"{chain.name}: {write_rule(rule)}"
                keep = FRAGMENTS if self.bridged and rule.match("ip frag-off") is not None else ""
                yield ListedEntry(DECIDES[rule.verdict], text, rule.place, self._parts(rule, entering), keep)
            elif rule.verdict:
                here = self.space.full if entering is None else entering
                taken = here & self.space.union(self.view.boxes(rule))
                if rule.verdict != "return":
                    yield from self.entries(self._target(rule), taken)
                if rule.verdict != "jump":
                    entering = here - taken  # they do not come back

    def _target(self, rule: Rule) -> Chain:
        if rule.target not in self.chains:
            raise ConfigError(f"there is no chain {rule.target!r} to {rule.verdict} to", place=Place(rule.place))
        return self.chains[rule.target]

    def _parts(self, rule: Rule, entering: PacketSet | None) -> tuple[Box | Block, ...]:
        parts = tuple(self.view.boxes(rule))
        if entering is None or entering == self.space.full:
            return parts
        return tuple((entering & self.space.union(parts)).boxes())
