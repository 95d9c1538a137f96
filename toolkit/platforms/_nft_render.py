"""Policy -> nft text, and when not: what another team's rules make impossible is refused by name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.addresses import intervals_of
from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANY_SERVICE, Action
from toolkit.packets import Space
from toolkit.platforms._nft_eval import View
from toolkit.platforms._nft_existing import default_rule, existing_of, explicit_denies, permits_of, rule_names
from toolkit.platforms._nft_model import (
    Base,
    Chain,
    Match,
    Rule,
    Ruleset,
    make_rule,
    reachable,
    write_rule,
    write_table,
)
from toolkit.platforms._nft_names import ETHER_IP, NFPROTO_IPV4
from toolkit.platforms._nft_place import jump_rule, mark, place, script
from toolkit.platforms._nft_text import apply_script
from toolkit.platforms.base import CandidateConfig, ConnState
from toolkit.policy.extend import check_overrides
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import Ace, Acl, DevicePolicy, Extension
    from toolkit.policy.model import Asked

# After the usual filter chains: what another team drops is dropped before it is counted by us.
OWN_PRIORITY: Final = 10
EVERYWHERE: Final = ((0, 2**32 - 1),)
FRAGMENT: Final = 2  # the bit of the flags dimension
FRAGMENT_COMMENT: Final = "default deny: later fragments carry no ports"
INSIDE: Final = ("sport", "dport", "icmp type", "icmp code", "tcp established")  # what later fragments do not carry
COMMENT_LIMIT: Final = 127  # bytes; nft keeps 128 with the end mark
LOG_PREFIX_LIMIT: Final = 60
HANDLE: Final = re.compile(r"(handle )?[0-9]+", re.ASCII)
CHAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9/_.-]*", re.ASCII)


def render(policy: DevicePolicy, context: DeviceContext, running: Ruleset, foreign: Ruleset) -> CandidateConfig:
    """Our table, our chain in the foreign one, or our rules in the foreign chain.

    Raises:
        PolicyError: it would not do what the policy asks, or would touch what is not ours.
    """
    for acl in policy.acls:
        if CHAIN_NAME.fullmatch(acl.name) is None:
            raise PolicyError(f"{policy.device}: {acl.name!r} is no name that nftables takes for a chain")
    if policy.ownership is Ownership.OWN:
        _refuse_foreign_table(policy, context, running)
        text, names = _render_own(policy, context), tuple(acl.name for acl in policy.acls)
        after = apply_script(text, f"{policy.device}.cfg", foreign) if policy.stateful else foreign
        _refuse_denies(policy, context, foreign, after)
        return CandidateConfig(
            policy.device, policy.platform, text, names, {acl.interface: (acl.name,) for acl in policy.acls}
        )
    entered = _entered(policy, context, foreign)
    if policy.ownership is Ownership.EXTEND:
        existing = existing_of(policy, context, foreign)
        text, names = _render_extend(policy, context, foreign, existing), (entered.name,)
    else:
        text, names = _render_jump(policy, context)
    after = apply_script(text, f"{policy.device}.cfg", foreign)
    _refuse_denies(policy, context, without_default(foreign, context), after)
    if policy.ownership is Ownership.JUMP:
        existing = existing_of(policy, context, foreign)
    bindings = {acl.interface: names for acl in policy.acls}
    return CandidateConfig(policy.device, policy.platform, text, names, bindings, existing)


def _render_own(policy: DevicePolicy, context: DeviceContext) -> str:
    key, _ = place(context)
    base = Base("filter", "forward", OWN_PRIORITY)
    rules = []
    if policy.stateful:
        known = Match.words("ct state", ("established", "related"))
        rules.append(make_rule((known,), "accept", comment="answers of known connections"))
    rules += [make_rule((Match.words("iifname", (acl.interface,)),), "jump", acl.name) for acl in policy.acls]
    chains = {"forward": Chain("forward", base, tuple(rules))}
    for acl in policy.acls:
        entries = tuple(_rule(ace, acl.name, policy, key[0]) for ace in acl.entries)
        chains[acl.name] = Chain(acl.name, None, (*_fragments(acl, policy, key[0]), *entries))
    table = f"{key[0]} {key[1]}"
    head = f"# {policy.device}: table {table} is owned by the toolkit and replaced as a whole\n"
    return f"{head}table {table} {{\n}}\ndelete table {table}\n{write_table(key, chains)}"


def _fragments(acl: Acl, policy: DevicePolicy, family: str) -> Iterator[Rule]:
    """Later fragments that the default of an ACL denies are denied before any port is looked at.

    They carry no ports, but the kernel compares what stands where the ports would be (measured on bridges with
    kernel 6.18), so that a crafted fragment would pass a port rule. A firewall reassembles before it filters.
    """
    permits = [ace for ace in acl.entries if ace.action is Action.PERMIT]
    if policy.stateful or any(box.flags[1] >= FRAGMENT for ace in permits for box in ace.boxes()):
        return
    for ace in acl.entries:
        if ace.action is Action.DENY and ace.service == ANY_SERVICE:
            rule = _rule(ace, acl.name, policy, family)
            later = Match.numbers("ip frag-off", [(1, 1)])
            yield make_rule((*rule.matches, later), rule.verdict, comment=FRAGMENT_COMMENT, log=rule.log)


def _entered(policy: DevicePolicy, context: DeviceContext, foreign: Ruleset) -> Chain:
    """The foreign base chain that *extend* and *jump* enter; an override must name a deny of it."""
    where = context.node.filter
    if not where.table or not where.chain:
        raise PolicyError(f"{policy.device}: mode {where.mode.value} needs the foreign filter.table and filter.chain")
    key, _ = place(context)
    chain = foreign.tables.get(key, {}).get(where.chain)
    if chain is None or chain.base is None:
        bases = [f"{k[0]} {k[1]} {c.name}" for k, cs in foreign.tables.items() for c in cs.values() if c.base]
        raise PolicyError(
            f"{policy.device}: there is no base chain {where.chain!r} in table {key[0]} {key[1]} to enter "
            f"(base chains: {', '.join(bases) or 'none'})"
        )
    known = explicit_denies(foreign, key, chain)
    on_device = any(rule.handle for rule in chain.rules)
    asked = [name for name in where.override if on_device or not HANDLE.fullmatch(name)]
    check_overrides(asked, known, f"{policy.device}: table {key[0]} {key[1]} chain {chain.name}")
    return chain


def _render_jump(policy: DevicePolicy, context: DeviceContext) -> tuple[str, tuple[str, ...]]:
    key, name = place(context)
    entry = context.node.filter.chain or ""
    table = f"{key[0]} {key[1]}"
    rules = [
        _rule(ace, acl.name, policy, key[0], acl.interface)
        for acl in policy.acls
        for ace in acl.entries
        if ace.action is Action.PERMIT
    ]
    body = write_table(key, {name: Chain(name, None, tuple(rules))})
    head = f"# {policy.device}: chain {name} in table {table} is owned by the toolkit, the rest is not touched\n"
    insert = f"insert rule {table} {entry} {write_rule(jump_rule(context))}\n"
    return f"{head}add chain {table} {name}\nflush chain {table} {name}\n{body}{insert}", (name,)


def _render_extend(
    policy: DevicePolicy, context: DeviceContext, foreign: Ruleset, existing: Mapping[str, Extension]
) -> str:
    """What is missing, between the foreign rules; an entry that several interfaces lack is one rule."""
    key, _ = place(context)
    lacking: dict[str, list[tuple[int, Rule, str]]] = {}
    for acl in policy.acls:
        permits = permits_of(acl)
        for slot, number in existing[acl.interface].insertions:
            ace = replace(permits[number], comment=f"{mark(context)} {permits[number].comment}")
            rule = _rule(ace, acl.name, policy, key[0])
            lacking.setdefault(write_rule(rule), []).append((slot, rule, acl.interface))
    slots: dict[int, list[Rule]] = defaultdict(list)
    for found in lacking.values():
        _, rule, _ = found[0]
        inwards = Match.words("iifname", [interface for _, _, interface in found])
        whole = make_rule((*rule.matches, inwards), rule.verdict, comment=rule.comment, log=rule.log)
        slots[min(slot for slot, _, _ in found)].append(whole)
    chain = foreign.tables[key][context.node.filter.chain or ""]
    rules = list(chain.rules)
    for slot in sorted(slots, reverse=True):
        rules[slot:slot] = slots[slot]
    goal = foreign.with_rules(key, chain.name, rules)
    where = f"chain {chain.name} in table {key[0]} {key[1]}"
    count = sum(map(len, slots.values()))
    head = f"# {policy.device}: {count} rules of ours stand in {where}, the rest is not touched\n"
    return head + script(goal, foreign, context, handles=False)


def _rule(ace: Ace, acl: str, policy: DevicePolicy, family: str, interface: str | None = None) -> Rule:
    matches = list(_matches(ace, family))
    looks_inside = any(one.field in INSIDE for one in matches)
    if not policy.stateful and policy.ownership is not Ownership.OWN and looks_inside:
        # What a rule of our own table denies first (see _fragments) may not pass between other people's rules either.
        matches.append(Match.numbers("ip frag-off", [(1, 1)], negated=True))
    if interface is not None:
        matches.append(Match.words("iifname", (interface,)))
    # nft expands variables in a log prefix.
    log = _quotable(f"{policy.device}:{acl}".replace("$", "_"), LOG_PREFIX_LIMIT) if ace.log else ""
    comment = _quotable(ace.comment, COMMENT_LIMIT)
    return make_rule(matches, "accept" if ace.action is Action.PERMIT else "drop", comment=comment, log=log)


def _quotable(text: str, limit: int) -> str:
    """A text for nft's quotes, which know no escape: on one line, and cut to `limit` bytes."""
    line = re.sub(r"[\x00-\x1f\x7f]+", " ", text.replace('"', "'"))
    return line.encode()[:limit].decode(errors="ignore").rstrip()


def _matches(ace: Ace, family: str) -> Iterator[Match]:
    service = ace.service
    if service.protocol is not None:
        yield Match.numbers("protocol", [(service.protocol, service.protocol)])
    sources, destinations = intervals_of(ace.sources), intervals_of(ace.destinations)
    for name, intervals in (("ip saddr", sources), ("ip daddr", destinations)):
        if intervals != EVERYWHERE:
            yield Match(name, intervals)
    if sources == destinations == EVERYWHERE:
        # Without an address to look at, the rule would catch ARP and IPv6 too.
        guard = ("ether type", ETHER_IP) if family == "bridge" else ("nfproto", NFPROTO_IPV4)
        yield Match.numbers(guard[0], [(guard[1], guard[1])])
    for name, ports in (("sport", ace.sport), ("dport", service.ports)):
        if ports != ANY_PORT:
            yield Match.numbers(name, [(ports.first, ports.last)])
    if service.icmp is not None:
        yield Match.numbers("icmp type", [(service.icmp.type, service.icmp.type)])
        if service.icmp.code is not None:
            yield Match.numbers("icmp code", [(service.icmp.code, service.icmp.code)])
    if ace.established:
        yield Match.numbers("tcp established", [(1, 1)])


def without_default(ruleset: Ruleset, context: DeviceContext) -> Ruleset:
    """A foreign ruleset without what our chain may overtake.

    That is the default of the chain we jump from (its policy, and a last rule that drops everything), and
    the denies behind it that the operator names in `filter.override`, by comment, its first word, or handle.
    """
    key, _ = place(context)
    entry = ruleset.tables[key][context.node.filter.chain or ""]
    chains = dict(ruleset.tables[key])
    for chain in reachable(chains, entry):
        default = default_rule(chain) if chain is entry else None
        kept = tuple(
            rule
            for rule in chain.rules
            if rule is not default and not _is_overridden(rule, context.node.filter.override)
        )
        base = replace(chain.base, policy="accept") if chain is entry and chain.base else chain.base
        chains[chain.name] = Chain(chain.name, base, kept)
    return ruleset.with_table_in_place(key, chains)


def _is_overridden(rule: Rule, override: tuple[str, ...]) -> bool:
    return rule.verdict in ("drop", "reject") and bool(set(rule_names(rule)) & set(override))


def _refuse_foreign_table(policy: DevicePolicy, context: DeviceContext, running: Ruleset) -> None:
    """A table of our name in which no chain has our prefix was not made by us."""
    key, _ = place(context)
    chains = running.tables.get(key, {})
    if chains and not any(name.startswith(f"{context.prefix}_") for name in chains):
        raise PolicyError(
            f"{policy.device}: table {key[0]} {key[1]} is there already and is not ours (its chains: "
            f"{', '.join(chains)}); choose another acl_prefix"
        )


def _refuse_denies(policy: DevicePolicy, context: DeviceContext, judged: Ruleset, after: Ruleset) -> None:
    """A required flow that another team denies on purpose is theirs to discuss, unless the operator says so.

    In *own* mode no permit of ours can undo a foreign drop. In *jump* mode ours come first in one chain, so
    only the default of that chain may be overtaken, and a drop in any other base chain stands. `after` is looked at on
    a stateful device only.
    """
    space = Space()
    for interface, required in policy.required.items():
        view = View(judged, context, interface, ConnState.NEW)
        _refuse(policy, view, space, required.initiating, "which is required")
        if policy.stateful:
            what = "which belongs to a known connection that is required"
            view = View(after, context, interface, ConnState.ESTABLISHED)
            _refuse(policy, view, space, required.established, what)


def _refuse(policy: DevicePolicy, view: View, space: Space, asked: Asked, what: str) -> None:
    denied = space.full - view.permitted(space)
    packet = (space.union(box for box, _ in asked) & denied).witness() if denied else None
    if packet is None:
        return
    decision = view.decide(packet)
    raise PolicyError(
        f"{policy.device} {view.interface}: another team denies {packet} ({decision.acl}: {decision.entry}, "
        f"{decision.place or 'its policy'}), {what}; settle it with them, or in mode jump or extend name the comment "
        "or handle of the rule in filter.override of the device"
    )
