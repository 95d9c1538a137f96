"""What an nftables ruleset does to a forwarded packet: as a packet set, and for one packet by walking the rules.

Both read the same rules and nothing else in common, so that a test can hold one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.addresses import joined
from toolkit.errors import ConfigError, Place
from toolkit.net import ICMP, TCP, WITH_PORTS, Action
from toolkit.packets import FULL, NOT_FRAGMENT, Block
from toolkit.platforms._nft_model import (
    NUMBER_FIELDS,
    Chain,
    Match,
    Rule,
    Ruleset,
    is_source_nat,
    reachable,
    write_rule,
)
from toolkit.platforms._nft_names import ETHER_IP, ETHER_TYPES, NFPROTO_IPV4, NFPROTO_IPV6
from toolkit.platforms.base import ConnState, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.net import Packet
    from toolkit.packets import Interval, PacketSet, Space
    from toolkit.platforms._nft_model import TableKey
    from toolkit.platforms.base import DeviceContext

HOOK_ORDER: Final = ("ingress", "prerouting", "forward", "postrouting")
ESTABLISHED_FLAGS: Final[Interval] = (1, 1)
FRAGMENT_FLAGS: Final[Interval] = (2, 3)


@dataclass(frozen=True, slots=True)
class View:
    """A ruleset as seen by packets that enter one interface in one connection state."""

    ruleset: Ruleset
    context: DeviceContext
    interface: str
    state: ConnState

    def bases(self) -> list[tuple[TableKey, Chain]]:
        """Base chains that forwarded packets pass, in the kernel's order.

        Raises:
            ConfigError: a chain changes packets instead of filtering them.
        """
        bridged = self.context.node.interfaces[self.interface].switched
        families = ("bridge", "netdev") if bridged else ("inet", "ip", "netdev")
        found = []
        for key, chains in self.ruleset.tables.items():
            for chain in chains.values():
                base = chain.base
                if base is None or key[0] not in families or base.hook not in HOOK_ORDER:
                    continue
                if base.hook == "ingress" and base.device != self.interface:
                    continue
                if is_source_nat(base) and not _drops(chains, chain) and not self._is_later(families, base.priority):
                    continue  # packets were judged before, as they are without it
                if base.type != "filter":
                    message = f"chain {chain.name} of type {base.type!r} is not understood; only filter chains are"
                    raise ConfigError(message, place=Place(f"{self.context.device}: table {key[0]} {key[1]}"))
                self._check_outwards(key, chain)
                found.append((key, chain))
        order = {hook: number for number, hook in enumerate(HOOK_ORDER)}
        return sorted(found, key=lambda one: (order[one[1].base.hook], one[1].base.priority))  # type: ignore[union-attr]

    def _is_later(self, families: tuple[str, ...], priority: int) -> bool:
        """Whether a chain filters what leaves, behind a priority."""
        tables = self.ruleset.tables.items()
        bases = [chain.base for key, chains in tables if key[0] in families for chain in chains.values()]
        return any(
            one and one.hook == "postrouting" and one.type == "filter" and one.priority >= priority for one in bases
        )

    def _check_outwards(self, key: TableKey, start: Chain) -> None:
        """An output interface is known only after routing, and only where the declared routes give one.

        Raises:
            ConfigError: a rule asks for it elsewhere, or asks for one of several equal-cost interfaces.
        """
        assert start.base is not None  # noqa: S101 - base chains only
        for chain in reachable(self.ruleset.tables[key], start):
            for rule in chain.rules:
                one = rule.match("oifname")
                if one is None:
                    continue
                place = Place(f"{self.context.device}: table {key[0]} {key[1]} chain {chain.name}: {rule.place}")
                if start.base.hook in ("ingress", "prerouting") or not self.context.domains:
                    raise ConfigError("oifname is not understood here: no route is known yet", place=place)
                named = {str(value) for value in one.values}
                ours = [p for name, prefixes in self.context.domains.items() if name in named for p in prefixes]
                rest = [p for name, prefixes in self.context.domains.items() if name not in named for p in prefixes]
                if any(a.overlaps(b) for a in ours for b in rest):
                    raise ConfigError("oifname names one of several equal-cost interfaces", place=place)

    def filters_ipv6(self) -> bool:
        """Whether IPv6 that no rule permits is dropped: by a policy, or by a rule that asks for nothing more."""
        bridged = self.context.node.interfaces[self.interface].switched
        families = ("bridge", "netdev") if bridged else ("inet", "ip6", "netdev")
        for key, chains in self.ruleset.tables.items():
            for chain in chains.values():
                base = chain.base
                if base is None or key[0] not in families or base.hook not in HOOK_ORDER:
                    continue
                if base.hook == "ingress" and base.device != self.interface:
                    continue
                if base.policy == "drop" or any(self._denies_ipv6(rule) for rule in chain.rules):
                    return True
        return False

    def _denies_ipv6(self, rule: Rule) -> bool:
        """Whether a rule drops every IPv6 packet of the interface; not claimed of a reject, which may be for IPv4."""
        if rule.verdict != "drop":
            return False
        values = {"nfproto": NFPROTO_IPV6, "ether type": ETHER_TYPES["ip6"]}
        for one in rule.matches:
            if one.field == "iifname":
                if (self.interface in one.values) == one.negated:
                    return False
            elif one.field not in values or not _holds(one, values[one.field]):
                return False
        return True

    # ---- as a set -------------------------------------------------------------------------

    def permitted(self, space: Space) -> PacketSet:
        """Packets that every base chain lets through."""
        result = space.full
        for key, chain in self.bases():
            accepted, rest = self._run(space, self.ruleset.tables[key], chain, result)
            assert chain.base is not None  # noqa: S101 - bases() gives base chains only
            result = accepted | rest if chain.base.policy == "accept" else accepted
        return result

    def _run(
        self, space: Space, chains: Mapping[str, Chain], chain: Chain, packets: PacketSet
    ) -> tuple[PacketSet, PacketSet]:
        """(accepted, neither accepted nor dropped) of the packets that enter a chain."""
        accepted = returned = space.empty
        for verdict, rules in _batches(chain.rules):
            if packets.is_empty:
                break
            if verdict == "decide":
                entries = [
                    (Action.PERMIT if rule.verdict == "accept" else Action.DENY, box)
                    for rule in rules
                    for box in self.boxes(rule)
                ]
                accepted = accepted | (packets & space.acl(entries))
                packets = packets - space.union(box for _, box in entries)
                continue
            matched = packets & space.union(self.boxes(rules[0]))
            packets = packets - matched
            if verdict == "return":
                returned = returned | matched
                continue
            good, rest = self._run(space, chains, self._target(chains, rules[0]), matched)
            accepted = accepted | good
            if verdict == "goto":
                returned = returned | rest
            else:
                packets = packets | rest
        return accepted, packets | returned

    def _target(self, chains: Mapping[str, Chain], rule: Rule) -> Chain:
        if rule.target not in chains:
            raise ConfigError(f"there is no chain {rule.target!r} to {rule.verdict} to", place=Place(rule.place))
        return chains[rule.target]

    def boxes(self, rule: Rule) -> Iterator[Block]:
        """The packets that a rule matches, as blocks; none where interface or state rule it out."""
        if not self._possible(rule):
            return
        dimension = {name: rule.match(name) for name in ("protocol", "ip daddr", "ip saddr", "dport", "sport")}
        protocols = _intervals(dimension["protocol"], FULL[0])
        ports = dimension["dport"] is not None or dimension["sport"] is not None
        if ports and dimension["protocol"] is None:
            protocols = tuple((number, number) for number in sorted(WITH_PORTS))
        destinations = _intervals(dimension["ip daddr"], FULL[1])
        outwards = rule.match("oifname")
        if outwards is not None:
            destinations = tuple(joined(_meet(destinations, self._behind(outwards))))
        sources = _intervals(dimension["ip saddr"], FULL[2])
        for protocol in protocols:
            for dport in _icmp(rule) or _intervals(dimension["dport"], FULL[3]):
                for sport in _intervals(dimension["sport"], FULL[4]):
                    for flags in _flags(rule):
                        yield Block(protocol, destinations, sources, dport, sport, flags)

    def _possible(self, rule: Rule) -> bool:
        """Whether the rule can match IPv4 packets of this interface and state at all."""
        inwards, state = rule.match("iifname"), rule.match("ct state")
        if inwards is not None and (self.interface in inwards.values) == inwards.negated:
            return False
        if state is not None:
            if not self.context.stateful:
                message = "ct state is not known on a switch: its bridge does not track connections"
                raise ConfigError(message, place=Place(rule.place))
            if (self.state.value in state.values) == state.negated:
                return False
        for name, value in (("ether type", ETHER_IP), ("nfproto", NFPROTO_IPV4)):
            one = rule.match(name)
            if one is not None and not _holds(one, value):
                return False
        return True

    def _behind(self, outwards: Match) -> tuple[Interval, ...]:
        """Destinations that leave by the interfaces of an `oifname`, under the declared routes."""
        names = set(self.context.domains)
        chosen = names - set(outwards.values) if outwards.negated else names & {str(v) for v in outwards.values}
        return tuple(
            (int(prefix.network_address), int(prefix.broadcast_address))
            for name in sorted(chosen)
            for prefix in self.context.domains[name]
        )

    # ---- one packet -----------------------------------------------------------------------

    def decide(self, packet: Packet) -> Decision:
        """The rule that decides a packet: the first drop, or the last accept."""
        decision = Decision(Action.PERMIT, "no filter", "nothing filters here", "")
        for key, chain in self.bases():
            assert chain.base is not None  # noqa: S101 - bases() gives base chains only
            where = f"{key[0]} {key[1]} {chain.name}"
            found = self._walk(self.ruleset.tables[key], chain, packet, where)
            if found is None:
                action = Action.PERMIT if chain.base.policy == "accept" else Action.DENY
                found = Decision(action, where, f"policy {chain.base.policy}", "")
            if found.action is Action.DENY:
                return found
            if not found.entry.startswith("policy ") or decision.acl == "no filter":
                decision = found
        return decision

    def _walk(self, chains: Mapping[str, Chain], chain: Chain, packet: Packet, where: str) -> Decision | None:
        for rule in chain.rules:
            if not rule.verdict or not self.matches(rule, packet):
                continue
            if rule.verdict == "return":
                return None
            if rule.verdict in ("jump", "goto"):
                target = self._target(chains, rule)
                found = self._walk(chains, target, packet, f"{where.rsplit(' ', 1)[0]} {target.name}")
                if found is not None or rule.verdict == "goto":
                    return found
                continue
            action = Action.PERMIT if rule.verdict == "accept" else Action.DENY
            return Decision(action, where, write_rule(rule), rule.place)
        return None

    def matches(self, rule: Rule, packet: Packet) -> bool:
        """Whether a rule matches a packet, condition by condition."""
        if not self._possible(rule):
            return False
        return all(self._true(one, packet) for one in rule.matches)

    def _true(self, one: Match, packet: Packet) -> bool:
        """One condition; the port and flag fields are not there in a non-initial fragment."""
        if one.field == "oifname":
            outs = {n for n, prefixes in self.context.domains.items() if any(packet.dst in p for p in prefixes)}
            return bool(outs) and bool(outs & {str(v) for v in one.values}) != one.negated
        if one.field not in NUMBER_FIELDS or one.field in ("ether type", "nfproto"):
            return True  # interface, state and family were judged by _possible
        value = _fields(packet).get(one.field)
        return value is not None and _holds(one, value)


def _drops(chains: Mapping[str, Chain], start: Chain) -> bool:
    """Whether packets end in a chain."""
    rules = (rule for chain in reachable(chains, start) for rule in chain.rules)
    return (start.base is not None and start.base.policy != "accept") or any(
        r.verdict in ("drop", "reject") for r in rules
    )


def _fields(packet: Packet) -> dict[str, int]:
    """The fields that a packet has; a non-initial fragment has no ports, flags or ICMP kind."""
    found = {
        "protocol": packet.protocol,
        "ip saddr": int(packet.src),
        "ip daddr": int(packet.dst),
        "ip frag-off": int(packet.fragment),
    }
    if packet.fragment:
        return found
    if packet.protocol in WITH_PORTS:
        found |= {"sport": packet.sport, "dport": packet.dport}
    if packet.protocol == TCP:
        found["tcp established"] = int(packet.established)
    if packet.protocol == ICMP and packet.icmp is not None:
        found |= {"icmp type": packet.icmp.type, "icmp code": packet.icmp.code or 0}
    return found


def _batches(rules: tuple[Rule, ...]) -> Iterator[tuple[str, list[Rule]]]:
    """Neighbouring accepts and drops together, so that long plain lists cost one build; others alone."""
    run: list[Rule] = []
    for rule in rules:
        if rule.verdict in ("accept", "drop", "reject"):
            run.append(rule)
            continue
        if not rule.verdict:
            continue
        if run:
            yield "decide", run
            run = []
        yield rule.verdict, [rule]
    if run:
        yield "decide", run


def _intervals(match: Match | None, full: Interval) -> tuple[Interval, ...]:
    return (full,) if match is None else match.intervals


def _holds(match: Match, value: int) -> bool:
    return any(low <= value <= high for low, high in match.intervals)


def _meet(one: tuple[Interval, ...], other: tuple[Interval, ...]) -> Iterator[Interval]:
    for low, high in one:
        for start, end in other:
            if max(low, start) <= min(high, end):
                yield max(low, start), min(high, end)


def _icmp(rule: Rule) -> list[Interval]:
    """ICMP type and code as intervals of type * 256 + code; empty where the rule looks at neither."""
    kind, code = rule.match("icmp type"), rule.match("icmp code")
    if kind is None and code is None:
        return []
    codes = _intervals(code, (0, 255))
    types = _intervals(kind, (0, 255))
    if codes == ((0, 255),):
        return [(low * 256, high * 256 + 255) for low, high in types]
    return [
        (number * 256 + low, number * 256 + high)
        for first, last in types
        for number in range(first, last + 1)
        for low, high in codes
    ]


def _flags(rule: Rule) -> tuple[Interval, ...]:
    """Intervals of the flags dimension that a rule leaves."""
    fragment = rule.match("ip frag-off")
    looks_inside = any(rule.match(name) for name in ("sport", "dport", "icmp type", "icmp code", "tcp established"))
    flags = ESTABLISHED_FLAGS if rule.match("tcp established") else NOT_FRAGMENT if looks_inside else FULL[5]
    if fragment is None:
        return (flags,)
    wanted = NOT_FRAGMENT if fragment.negated else FRAGMENT_FLAGS
    return tuple(_meet((flags,), (wanted,)))
