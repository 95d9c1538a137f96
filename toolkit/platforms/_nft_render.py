"""Policy -> nft text, and when not: what another team's rules make impossible is refused by name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANY_SERVICE, ANYWHERE, Action
from toolkit.packets import Space
from toolkit.platforms._nft_eval import View
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
from toolkit.platforms._nft_text import apply_script
from toolkit.platforms.base import CandidateConfig, ConnState
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.packets import PacketSet
    from toolkit.platforms._nft_model import TableKey
    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import Ace, Acl, DevicePolicy

# After the usual filter chains: what another team drops is dropped before it is counted by us.
OWN_PRIORITY: Final = 10
FRAGMENT: Final = 2  # the bit of the flags dimension
FRAGMENT_COMMENT: Final = "default deny: later fragments carry no ports"
COMMENT_LIMIT: Final = 127  # bytes; nft keeps 128 with the end mark
LOG_PREFIX_LIMIT: Final = 60
CHAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9/_.-]*", re.ASCII)


def render(policy: DevicePolicy, context: DeviceContext, running: Ruleset, foreign: Ruleset) -> CandidateConfig:
    """Our table, or our chain in the foreign one.

    Raises:
        PolicyError: it would not do what the policy asks, or would touch what is not ours.
    """
    if policy.ownership is Ownership.EXTEND:
        message = f"{policy.device}: mode extend is not how nftables is extended; use jump, with table and chain"
        raise PolicyError(message)
    for acl in policy.acls:
        if CHAIN_NAME.fullmatch(acl.name) is None:
            raise PolicyError(f"{policy.device}: {acl.name!r} is no name that nftables takes for a chain")
    if policy.ownership is Ownership.JUMP:
        text, names = _render_jump(policy, context, foreign)
        judged = without_default(foreign, context)
    else:
        _refuse_foreign_table(policy, context, running)
        text, names = _render_own(policy, context), tuple(acl.name for acl in policy.acls)
        judged = foreign
    _refuse_denies(policy, context, judged, apply_script(text, f"{policy.device}.cfg", foreign))
    bindings = {acl.interface: (acl.name,) if policy.ownership is Ownership.OWN else names for acl in policy.acls}
    return CandidateConfig(policy.device, policy.platform, text, names, bindings)


def place(context: DeviceContext) -> tuple[TableKey, str]:
    """(table, chain) of ours on a device."""
    if context.node.filter.mode is Ownership.OWN:
        bridged = any(interface.bridge for interface in context.node.interfaces.values())
        return ("bridge" if bridged else "inet", context.prefix), "forward"
    where = context.node.filter
    return (where.family, where.table or ""), f"{context.prefix}_forward"


def jumps(ruleset: Ruleset, context: DeviceContext) -> tuple[tuple[str, int, Rule], ...]:
    """Rules of the foreign table that lead to our chain: (chain, position from 1, rule)."""
    key, name = place(context)
    return tuple(
        (chain.name, number, rule)
        for chain in ruleset.tables.get(key, {}).values()
        for number, rule in enumerate(chain.rules, 1)
        if rule.target == name
    )


def jump_stands(ruleset: Ruleset, context: DeviceContext) -> bool:
    """Whether exactly our one jump is there, as the first rule of the foreign chain."""
    wanted = jump_rule(context)
    found = [(chain, number, rule, rule.comment) for chain, number, rule in jumps(ruleset, context)]
    return found == [(context.node.filter.chain, 1, wanted, wanted.comment)]


def jump_rule(context: DeviceContext) -> Rule:
    return make_rule((), "jump", f"{context.prefix}_forward", comment=f"{context.prefix}: one chain of ours")


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


def _render_jump(policy: DevicePolicy, context: DeviceContext, ruleset: Ruleset) -> tuple[str, tuple[str, ...]]:
    key, name = place(context)
    entry = context.node.filter.chain or ""
    foreign = ruleset.tables.get(key, {}).get(entry)
    table = f"{key[0]} {key[1]}"
    if foreign is None or foreign.base is None:
        raise PolicyError(f"{policy.device}: there is no base chain {entry!r} in table {table} to jump from")
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


def _rule(ace: Ace, acl: str, policy: DevicePolicy, family: str, interface: str | None = None) -> Rule:
    matches = list(_matches(ace, family))
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
    for name, prefixes in (("ip saddr", ace.sources), ("ip daddr", ace.destinations)):
        if ANYWHERE not in prefixes:
            yield Match.numbers(name, [(int(p.network_address), int(p.broadcast_address)) for p in prefixes])
    if ANYWHERE in ace.sources and ANYWHERE in ace.destinations:
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
        rules = chain.rules
        if chain is entry and rules and _denies_all_ipv4(rules[-1]):
            rules = rules[:-1]
        kept = tuple(rule for rule in rules if not _is_overridden(rule, context.node.filter.override))
        base = replace(chain.base, policy="accept") if chain is entry and chain.base else chain.base
        chains[chain.name] = Chain(chain.name, base, kept)
    return ruleset.with_table_in_place(key, chains)


def _denies_all_ipv4(rule: Rule) -> bool:
    guards = (Match("nfproto", ((NFPROTO_IPV4, NFPROTO_IPV4),)), Match("ether type", ((ETHER_IP, ETHER_IP),)))
    return rule.verdict in ("drop", "reject") and all(one in guards for one in rule.matches)


def _is_overridden(rule: Rule, override: tuple[str, ...]) -> bool:
    names = {rule.comment, rule.comment.partition(" ")[0], str(rule.handle), f"handle {rule.handle}"} - {"", "None"}
    return rule.verdict in ("drop", "reject") and bool(names & set(override))


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
    only the default of that chain may be overtaken, and a drop in any other base chain stands.
    """
    space = Space()
    for interface, required in policy.required.items():
        asked = space.union(box for box, _ in required.initiating)
        _refuse(policy, View(judged, context, interface, ConnState.NEW), asked, "which is required")
        if policy.stateful:
            asked = space.union(box for box, _ in required.established)
            what = "which belongs to a known connection that is required"
            _refuse(policy, View(after, context, interface, ConnState.ESTABLISHED), asked, what)


def _refuse(policy: DevicePolicy, view: View, asked: PacketSet, what: str) -> None:
    packet = (asked - view.permitted(asked.space)).witness()
    if packet is None:
        return
    decision = view.decide(packet)
    raise PolicyError(
        f"{policy.device} {view.interface}: another team denies {packet} ({decision.acl}: {decision.entry}, "
        f"{decision.place or 'its policy'}), {what}; settle it with them, or in mode jump name the comment or handle "
        "of the rule in filter.override of the device"
    )
