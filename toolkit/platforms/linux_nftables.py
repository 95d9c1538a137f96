"""Linux with nftables: stateful on firewalls, stateless in the bridge of a switch.

*own*: one table of ours with a base chain and a chain per interface, replaced as a whole in one transaction.
*jump*: one chain of ours inside a foreign table, reached by one jump at the top of the foreign chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, ClassVar, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANYWHERE, Action
from toolkit.packets import Space
from toolkit.platforms._nft_eval import View
from toolkit.platforms._nft_json import read_listing
from toolkit.platforms._nft_model import (
    ETHER_IP,
    NFPROTO_IPV4,
    Base,
    Chain,
    Match,
    Rule,
    Ruleset,
    make_rule,
    write_rule,
    write_ruleset,
    write_table,
)
from toolkit.platforms._nft_text import apply_script
from toolkit.platforms.base import CandidateConfig, ChangeSet, ConnState, Decision, DeviceContext, FilterState
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.net import Packet
    from toolkit.packets import PacketSet
    from toolkit.platforms._nft_model import TableKey
    from toolkit.policy import Ace, DevicePolicy

# After the usual filter chains: what another team drops is dropped before it is counted by us.
OWN_PRIORITY: Final = 10
COMMENT_LIMIT: Final = 127
LOG_PREFIX_LIMIT: Final = 60


@dataclass(frozen=True, slots=True)
class NftState:
    """A device's ruleset, for one device."""

    context: DeviceContext
    ruleset: Ruleset

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:
        """See `FilterState`."""
        return View(self.ruleset, self.context, interface, state).permitted(space)

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:
        """See `FilterState`."""
        return View(self.ruleset, self.context, interface, state).decide(packet)

    def fingerprint(self) -> str:
        """See `FilterState`."""
        return hashlib.sha256(write_ruleset(self.ruleset, comments=False).encode()).hexdigest()

    def owned(self) -> NftState | None:
        """See `FilterState`; in *jump* mode our chain and the rule that jumps to it."""
        key, name = _place(self.context)
        tables = self.ruleset.tables
        if self.context.node.filter.mode is Ownership.OWN:
            return NftState(self.context, Ruleset({key: tables[key]})) if key in tables else None
        ours = tables.get(key, {}).get(name)
        jumps = _jumps(self.ruleset, self.context)
        if ours is None and not jumps:
            return None
        chains = {name: ours or Chain(name), JUMPS: Chain(JUMPS, None, jumps)}
        return NftState(self.context, Ruleset({key: chains}))

    def without_owned(self) -> NftState:
        """The state as if the toolkit had never been there."""
        key, name = _place(self.context)
        if self.context.node.filter.mode is Ownership.OWN:
            return NftState(self.context, self.ruleset.with_table(key, None))
        if key not in self.ruleset.tables:
            return self
        chains = {
            other: Chain(other, chain.base, tuple(rule for rule in chain.rules if rule.target != name))
            for other, chain in self.ruleset.tables[key].items()
            if other != name
        }
        return NftState(self.context, self.ruleset.with_table_in_place(key, chains))

    def text(self) -> str:
        """See `FilterState`."""
        return write_ruleset(self.ruleset)


JUMPS: Final = "jumps"


class LinuxNftables:
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "linux_nftables"
    show_commands: ClassVar[tuple[str, ...]] = ("/usr/sbin/nft -j list ruleset",)
    load_command: ClassVar[str] = "/usr/sbin/nft -f -"
    failure_indicators: ClassVar[tuple[str, ...]] = ("Error:", "syntax error", "Operation not permitted")

    def empty(self, context: DeviceContext) -> NftState:
        """A device without any ruleset."""
        return NftState(context, Ruleset())

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> NftState:
        """The state after `nft -f` of a text on a device in the state `before`."""
        return NftState(context, apply_script(text, file, _ruleset(before)))

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> NftState:
        """The state that `nft -j list ruleset` reports."""
        return NftState(context, read_listing(outputs[self.show_commands[0]], context.device))

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """Our table, or our chain in the foreign one; refused where it would not do what the policy asks."""
        state = NftState(running.context, _ruleset(running)).without_owned()
        if policy.ownership is Ownership.EXTEND:
            message = f"{policy.device}: mode extend is not how nftables is extended; use jump, with table and chain"
            raise PolicyError(message)
        _refuse_foreign_denies(policy, state)
        if policy.ownership is Ownership.JUMP:
            text, names = _render_jump(policy, state)
        else:
            text, names = _render_own(policy, state), tuple(acl.name for acl in policy.acls)
        bindings = {acl.interface: (acl.name,) if policy.ownership is Ownership.OWN else names for acl in policy.acls}
        return CandidateConfig(policy.device, self.name, text, names, bindings)

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to send; nothing where the device has it already."""
        now = NftState(running.context, _ruleset(running))
        foreign = now.without_owned()
        goal = NftState(now.context, apply_script(candidate.text, candidate.device, foreign.ruleset))
        before, after = _owned_text(now), _owned_text(goal)
        if before == after:
            return ChangeSet(candidate.device, "", "", {}, "")
        diff = "".join(
            unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"{candidate.device} running",
                f"{candidate.device} candidate",
            )
        )
        apply = candidate.text
        if _jumps(now.ruleset, now.context) and now.context.node.filter.mode is Ownership.JUMP:
            apply = "".join(line for line in apply.splitlines(keepends=True) if not line.startswith("insert rule"))
        return ChangeSet(candidate.device, apply, self.restore(now, goal), self.startup(goal), diff)

    def restore(self, target: FilterState, running: FilterState) -> str:
        """A transaction that makes what is ours as it is in `target`."""
        goal = NftState(target.context, _ruleset(target))
        now = NftState(running.context, _ruleset(running))
        if _owned_text(goal) == _owned_text(now):
            return ""
        return self._script(goal, now)

    def startup(self, state: FilterState) -> Mapping[str, str | None]:
        """Our file among those that /etc/nftables.conf includes at boot."""
        one = NftState(state.context, _ruleset(state))
        path = f"/etc/nftables.d/{one.context.prefix}.nft"
        return {path: self._script(one, one.without_owned()) if one.owned() else None}

    def _script(self, goal: NftState, now: NftState) -> str:
        key, name = _place(goal.context)
        if goal.context.node.filter.mode is Ownership.OWN:
            drop = f"table {key[0]} {key[1]} {{\n}}\ndelete table {key[0]} {key[1]}\n"
            return drop + (write_table(key, goal.ruleset.tables[key]) if goal.owned() else "")
        table = f"{key[0]} {key[1]}"
        entry = goal.context.node.filter.chain
        jumps = _jumps(now.ruleset, now.context)
        if goal.owned() is None:
            gone = [f"delete rule {table} {entry} handle {rule.handle or '<handle>'}" for rule in jumps]
            return "\n".join([*gone, f"flush chain {table} {name}", f"delete chain {table} {name}", ""])
        lines = [f"add chain {table} {name}", f"flush chain {table} {name}"]
        body = write_table(key, {name: goal.ruleset.tables[key][name]})
        insert = "" if jumps else f"insert rule {table} {entry} {write_rule(_jump_rule(goal.context))}\n"
        return "\n".join([*lines, body]) + insert


PLATFORM = LinuxNftables()


def _ruleset(state: FilterState) -> Ruleset:
    if not isinstance(state, NftState):
        raise TypeError(f"{type(state).__name__} is no state of linux_nftables")
    return state.ruleset


def _owned_text(state: NftState) -> str:
    owned = state.owned()
    return "" if owned is None else owned.text()


def _place(context: DeviceContext) -> tuple[TableKey, str]:
    """(table, chain) of ours on a device."""
    if context.node.filter.mode is Ownership.OWN:
        bridged = any(interface.bridge for interface in context.node.interfaces.values())
        return ("bridge" if bridged else "inet", context.prefix), "forward"
    where = context.node.filter
    return (where.family, where.table or ""), f"{context.prefix}_forward"


def _jumps(ruleset: Ruleset, context: DeviceContext) -> tuple[Rule, ...]:
    """Rules of the foreign chain that jump to ours."""
    key, name = _place(context)
    chain = ruleset.tables.get(key, {}).get(context.node.filter.chain or "")
    return () if chain is None else tuple(rule for rule in chain.rules if rule.target == name)


def _jump_rule(context: DeviceContext) -> Rule:
    return make_rule((), "jump", f"{context.prefix}_forward", comment=f"{context.prefix}: one chain of ours")


def _render_own(policy: DevicePolicy, state: NftState) -> str:
    key, _ = _place(state.context)
    base = Base("filter", "forward", OWN_PRIORITY)
    rules = []
    if policy.stateful:
        known = Match.words("ct state", ("established", "related"))
        rules.append(make_rule((known,), "accept", comment="answers of known connections"))
    rules += [make_rule((Match.words("iifname", (acl.interface,)),), "jump", acl.name) for acl in policy.acls]
    chains = {"forward": Chain("forward", base, tuple(rules))}
    for acl in policy.acls:
        chains[acl.name] = Chain(acl.name, None, tuple(_rule(ace, acl.name, policy, key[0]) for ace in acl.entries))
    table = f"{key[0]} {key[1]}"
    head = f"# {policy.device}: table {table} is owned by the toolkit and replaced as a whole\n"
    return f"{head}table {table} {{\n}}\ndelete table {table}\n{write_table(key, chains)}"


def _render_jump(policy: DevicePolicy, state: NftState) -> tuple[str, tuple[str, ...]]:
    key, name = _place(state.context)
    entry = state.context.node.filter.chain or ""
    foreign = state.ruleset.tables.get(key, {}).get(entry)
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
    insert = f"insert rule {table} {entry} {write_rule(_jump_rule(state.context))}\n"
    return f"{head}add chain {table} {name}\nflush chain {table} {name}\n{body}{insert}", (name,)


def _rule(ace: Ace, acl: str, policy: DevicePolicy, family: str, interface: str | None = None) -> Rule:
    matches = list(_matches(ace, family))
    if interface is not None:
        matches.append(Match.words("iifname", (interface,)))
    log = f"{policy.device}:{acl}"[:LOG_PREFIX_LIMIT] if ace.log else ""
    comment = ace.comment.replace('"', "'")[:COMMENT_LIMIT]
    return make_rule(matches, "accept" if ace.action is Action.PERMIT else "drop", comment=comment, log=log)


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


def _refuse_foreign_denies(policy: DevicePolicy, state: NftState) -> None:
    """A required flow that another team denies on purpose is theirs to discuss, unless the operator says so.

    In *own* mode no permit of ours can undo a foreign drop. In *jump* mode ours come first, so only the
    foreign default (a last rule that matches everything, or the policy) may be overtaken silently.
    """
    space = Space()
    for interface, required in policy.required.items():
        asked = space.union(box for box, _ in required.initiating)
        denied = asked - state.permitted(space, interface, ConnState.NEW)
        for _ in range(len(policy.acls) * 100):
            packet = denied.witness()
            if packet is None:
                break
            decision = state.decide(interface, packet, ConnState.NEW)
            if policy.ownership is Ownership.JUMP and _is_default(decision, state):
                denied = denied - space.union(box for box, _ in required.initiating if packet in space.union([box]))
                continue
            raise PolicyError(
                f"{policy.device}: another team denies {packet} ({decision.acl}: {decision.entry}, {decision.place}), "
                "which is required; settle it with them, or name the rule's comment in filter.override of the device"
            )


def _is_default(decision: Decision, state: NftState) -> bool:
    if decision.entry.startswith("policy "):
        return True
    override = state.context.node.filter.override
    if any(f'comment "{name}' in decision.entry for name in override):
        return True
    family, table, chain = decision.acl.split(" ")
    last = state.ruleset.tables[family, table][chain].rules[-1]
    return not last.matches and write_rule(last) == decision.entry
