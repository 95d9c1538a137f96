"""What a foreign chain permits already: its rules as a vendor-neutral list, beside what is required.

A chain that a rule leads to stands in the list at the place of that rule: something inserted before its entries comes
before the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANYWHERE, Action
from toolkit.packets import Space
from toolkit.platforms._nft_eval import HOOK_ORDER, View
from toolkit.platforms._nft_model import Match, reachable, write_rule
from toolkit.platforms._nft_names import ETHER_IP, NFPROTO_IPV4
from toolkit.platforms._nft_place import place
from toolkit.platforms.base import ConnState
from toolkit.policy import Entry, Extension, Permit, plan_extension
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.packets import PacketSet
    from toolkit.platforms._nft_model import Chain, Rule, Ruleset, TableKey
    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import Ace, Acl, DevicePolicy

DENIES: Final = ("drop", "reject")
SHOWN: Final = 3  # addresses of an entry that are shown to people


def existing_of(policy: DevicePolicy, context: DeviceContext, foreign: Ruleset) -> dict[str, Extension]:
    """For each interface, what the foreign chain permits already of what is required, and where the rest would go.

    Raises:
        PolicyError: in *extend* mode, it denies some of it explicitly; or forwarded packets do not pass it.
    """
    key, _ = place(context)
    chain = foreign.tables[key][context.node.filter.chain or ""]
    overrides = context.node.filter.override
    if policy.ownership is not Ownership.EXTEND:  # a jump has its own way to refuse, this is for people
        overrides = tuple(names[0] for names in explicit_denies(foreign, key, chain))
    assert chain.base is not None  # noqa: S101 - the caller has looked
    if chain.base.hook not in HOOK_ORDER:
        where = f"chain {chain.name} of table {key[0]} {key[1]}"
        raise PolicyError(f"{policy.device}: {where} is hooked at {chain.base.hook}: forwarded packets do not pass it")
    space = Space()
    required = space.union(box for acl in policy.acls for ace in permits_of(acl) for box in ace.boxes())
    # A rule without an interface is met by what another interface requires too: that is no excess of it.
    beyond = space.union(policy.scope) - required
    found = {}
    for acl in policy.acls:
        permits = [Permit(space.union(ace.boxes()), _shown(ace), ace.requirements) for ace in permits_of(acl)]
        view = View(foreign, context, acl.interface, ConnState.NEW)
        entries, default = _Lister(view, foreign.tables[key], chain, space).read(key)
        try:
            found[acl.interface] = plan_extension(entries, default, permits, beyond, overrides)
        except PolicyError as caught:
            raise PolicyError(f"{policy.device} {acl.interface}: {caught}") from None
    return found


def permits_of(acl: Acl) -> tuple[Ace, ...]:
    """The permits of an ACL, in its order."""
    return tuple(ace for ace in acl.entries if ace.action is Action.PERMIT)


def rule_names(rule: Rule) -> tuple[str, ...]:
    """What an operator may call a rule: its comment, the first word of it, its text, or its handle."""
    text = write_rule(rule, comments=False)
    comment = [rule.comment, rule.comment.partition(" ")[0]] if rule.comment else []
    handle = [f"handle {rule.handle}", str(rule.handle)] if rule.handle else []
    return (*comment, text, *handle)


def explicit_denies(ruleset: Ruleset, key: TableKey, entry: Chain) -> list[tuple[str, ...]]:
    """Names of the denies behind a base chain that are not its default."""
    default = default_rule(entry)
    return [
        rule_names(rule)
        for chain in reachable(ruleset.tables[key], entry)
        for rule in chain.rules
        if rule.verdict in DENIES and rule is not default
    ]


def default_rule(chain: Chain) -> Rule | None:
    """The last rule that decides, where it denies everything: a default like the policy of the chain."""
    last = next((rule for rule in reversed(chain.rules) if rule.verdict), None)
    return last if last is not None and _denies_all_ipv4(last) else None


def _denies_all_ipv4(rule: Rule) -> bool:
    guards = (Match("nfproto", ((NFPROTO_IPV4, NFPROTO_IPV4),)), Match("ether type", ((ETHER_IP, ETHER_IP),)))
    return rule.verdict in DENIES and all(one in guards for one in rule.matches)


class _Lister:
    """Writes a base chain out as a list of which the first match decides, for packets that enter by one interface."""

    def __init__(self, view: View, chains: Mapping[str, Chain], base: Chain, space: Space) -> None:
        self.view = view
        self.chains = chains
        self.base = base
        self.space = space
        self.last = default_rule(base)
        self.entries: list[Entry] = []

    def read(self, key: TableKey) -> tuple[list[Entry], Entry]:
        """(entries, what decides the rest)."""
        end = len(self.base.rules)
        if (key, self.base) not in self.view.bases():
            return [], Entry(self.space.full, Action.PERMIT, ("not filtered here",), end, default=True)
        self._chain(self.base, self.space.full, None)
        return self.entries, self._policy(self.space.full, end)

    def _policy(self, packets: PacketSet, slot: int) -> Entry:
        policy = self.base.base.policy if self.base.base else ""
        action = Action.PERMIT if policy == "accept" else Action.DENY
        return Entry(packets, action, (f"policy {policy}",), slot, f"chain {self.base.name}", default=True)

    def _chain(self, chain: Chain, packets: PacketSet, slot: int | None) -> None:
        """Read a chain that some packets are sent through; `slot` is None for the base chain itself.

        Packets that an earlier entry has decided may be among them: they do not come this far.
        """
        for number, rule in enumerate(chain.rules):
            at = number if slot is None else slot
            matched = packets & self.space.union(self.view.boxes(rule))
            if rule.verdict in ("jump", "goto"):
                self._chain(self.chains[rule.target], matched, at)
            elif rule.verdict != "return":
                action = {"accept": Action.PERMIT, "": None}.get(rule.verdict, Action.DENY)
                place = rule.place if slot is None else f"chain {chain.name}, {rule.place}"
                self.entries.append(Entry(matched, action, rule_names(rule), at, place, rule is self.last))
            if rule.verdict in ("goto", "return"):
                if slot is None:
                    self.entries.append(self._policy(matched, at))  # the base chain ends here for them
                else:
                    packets = packets - matched  # they go on behind the rule that led here


def _shown(ace: Ace) -> str:
    """An entry for people, short."""
    ends = []
    for prefixes in (ace.sources, ace.destinations):
        names = ["any" if p == ANYWHERE else str(p).removesuffix("/32") for p in prefixes]
        more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
        ends.append(", ".join([*names[:SHOWN], *more]))
    sport = "" if ace.sport == ANY_PORT else f" from port {ace.sport}"
    return f"{ace.service}{sport} {ends[0]} -> {ends[1]}{', answers' if ace.established else ''}"
