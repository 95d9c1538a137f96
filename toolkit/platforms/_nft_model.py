"""An nftables ruleset as values: what both readers produce, and the one writer of it.

A match keeps a field with sorted, merged intervals, so that what nft rewrites when it lists a rule (order of
a set, neighbouring prefixes, order of matches in a rule) makes no difference here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.addresses import fewest, joined
from toolkit.net import ICMP, PROTOCOL_NUMBERS
from toolkit.platforms._nft_names import BUILT_IN_PROTOCOLS, ETHER_IP, ETHER_TYPES, NFPROTO_IPV4, NFPROTOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolkit.errors import ConfigError

Interval = tuple[int, int]

# Fields in the order in which a rule is written. Text fields are matched by name, the others by number.
TEXT_FIELDS: Final = ("iifname", "oifname", "ct state")
NUMBER_FIELDS: Final[dict[str, int]] = {
    "nfproto": 255,
    "ether type": 65535,
    "ip saddr": 2**32 - 1,
    "ip daddr": 2**32 - 1,
    "ip frag-off": 1,
    "protocol": 255,
    "sport": 65535,
    "dport": 65535,
    "icmp type": 255,
    "icmp code": 255,
    "tcp established": 1,
}
ORDER: Final = {name: number for number, name in enumerate((*TEXT_FIELDS, *NUMBER_FIELDS))}
# Matches that only an IPv4 packet can meet; nft drops a guard for IPv4 beside them when it lists a rule, and also
# beside ICMP, and before a reject, whose answer then is an IPv4 one.
ONLY_IPV4: Final = ("ip saddr", "ip daddr", "ip frag-off", "icmp type", "icmp code")
NOT_IPV4: Final = ("ip6", "arp")  # families of tables that no IPv4 packet meets
FORWARDED: Final = ("ingress", "prerouting", "forward", "postrouting")
SOURCE_NAT: Final = ("masquerade", "snat")
WITH_TRANSPORT: Final = frozenset({6, 17, 132})


@dataclass(frozen=True, slots=True)
class Match:
    """One condition of a rule; `values` are intervals of numbers, or words for the text fields."""

    field: str
    values: tuple[Interval, ...] | tuple[str, ...]
    negated: bool = False

    @classmethod
    def numbers(cls, name: str, values: Iterable[Interval], *, negated: bool = False) -> Match:
        """A match on numbers, merged and sorted."""
        return cls(name, tuple(joined(values)), negated)

    @classmethod
    def words(cls, name: str, values: Iterable[str], *, negated: bool = False) -> Match:
        """A match on words, sorted."""
        return cls(name, tuple(sorted(set(values))), negated)

    @property
    def numbers_given(self) -> tuple[Interval, ...]:
        """Its intervals as they are written, the negation not worked out."""
        if any(isinstance(value, str) for value in self.values[:1]):
            return ()
        return self.values  # type: ignore[return-value] # they are all of one kind

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Intervals that match, the negation worked out."""
        values = self.numbers_given
        if not self.negated:
            return values
        found, low = [], 0
        for first, last in values:
            if first > low:
                found.append((low, first - 1))
            low = last + 1
        top = NUMBER_FIELDS[self.field]
        return (*found, (low, top)) if low <= top else tuple(found)


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches, and what happens then: accept, drop, reject, return, jump, goto, or nothing (a counter).

    One that is not understood has its text in `raw` and the reason in `fault`; it may stand where no forwarded packet
    comes along.
    """

    matches: tuple[Match, ...]
    verdict: str
    target: str = ""
    comment: str = field(default="", compare=False)
    log: str = field(default="", compare=False)
    place: str = field(default="", compare=False)
    handle: int | None = field(default=None, compare=False)
    raw: str = ""
    fault: ConfigError | None = field(default=None, compare=False)

    def match(self, name: str) -> Match | None:
        """The match on a field, None where the rule does not look at it."""
        for one in self.matches:
            if one.field == name:
                return one
        return None


def make_rule(matches: Iterable[Match], verdict: str, target: str = "", **extra: object) -> Rule:
    """A rule with its matches in the canonical order, without a guard for IPv4 that another match implies.

    Raises:
        ValueError: it looks at ports of protocols that have none; nft would compare other bytes there.
    """
    kept = {one.field: one for one in matches}
    is_icmp = kept.get("protocol") == Match("protocol", ((ICMP, ICMP),))
    if verdict == "reject" or is_icmp or any(name in kept for name in ONLY_IPV4):
        for name, value in (("nfproto", NFPROTO_IPV4), ("ether type", ETHER_IP)):
            if kept.get(name) == Match(name, ((value, value),)):
                del kept[name]
    if "sport" in kept or "dport" in kept:
        protocols = kept["protocol"].intervals if "protocol" in kept else ((0, 255),)
        if any(number not in WITH_TRANSPORT for low, high in protocols for number in range(low, high + 1)):
            raise ValueError("ports need a match on protocols that have them: tcp, udp or sctp")
    ordered = tuple(kept[name] for name in sorted(kept, key=ORDER.__getitem__))
    return Rule(ordered, verdict, target, **extra)  # type: ignore[arg-type]


def guard_of(family: str) -> Match | None:
    """The match that `ip protocol` adds in a family, so that IPv6 and ARP never meet it; None where it needs none."""
    if family == "ip":
        return None
    if family == "inet":
        return Match("nfproto", ((NFPROTO_IPV4, NFPROTO_IPV4),))
    return Match("ether type", ((ETHER_IP, ETHER_IP),))


@dataclass(frozen=True, slots=True)
class Base:
    """Where a base chain hangs."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"
    device: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; with a `base`, hooked into the packet path."""

    name: str
    base: Base | None = None
    rules: tuple[Rule, ...] = ()


TableKey = tuple[str, str]  # (family, name)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Tables by (family, name), each a mapping of chains by name. Never changed: a step makes a new one."""

    tables: Mapping[TableKey, Mapping[str, Chain]] = field(default_factory=dict)

    def with_table(self, key: TableKey, chains: Mapping[str, Chain] | None) -> Ruleset:
        """A ruleset with this table replaced, or without it."""
        tables = {name: value for name, value in self.tables.items() if name != key}
        if chains is not None:
            tables[key] = dict(chains)
        return Ruleset(tables)

    def with_chain(self, key: TableKey, chain: Chain) -> Ruleset:
        """A ruleset with this chain added or replaced in place."""
        return self.with_table_in_place(key, {**self.tables.get(key, {}), chain.name: chain})

    def with_table_in_place(self, key: TableKey, chains: Mapping[str, Chain]) -> Ruleset:
        """As `with_table`, the order of the tables kept."""
        return Ruleset({**self.tables, key: dict(chains)})

    def with_rules(self, key: TableKey, name: str, rules: Iterable[Rule]) -> Ruleset:
        """A ruleset with the rules of one chain replaced."""
        return self.with_chain(key, replace(self.tables[key][name], rules=tuple(rules)))


def reachable(chains: Mapping[str, Chain], start: Chain) -> Iterator[Chain]:
    """A chain and those that its rules lead to, each once; targets that do not exist are left out."""
    found, queue = {start.name}, [start]
    while queue:
        chain = queue.pop()
        yield chain
        for target in sorted({rule.target for rule in chain.rules} & set(chains) - found):
            found.add(target)
            queue.append(chains[target])


def reach_forwarded(ruleset: Ruleset) -> Iterator[Rule]:
    """The rules that a forwarded IPv4 packet may meet on some interface."""
    for (family, _), chains in ruleset.tables.items():
        for chain in chains.values():
            if family in NOT_IPV4 or chain.base is None or chain.base.hook not in FORWARDED:
                continue
            for one in reachable(chains, chain):
                for rule in one.rules:
                    if not (is_source_nat(chain.base) and rule.verdict in SOURCE_NAT):
                        yield rule


def is_source_nat(base: Base) -> bool:
    """Whether a chain only translates sources of what was let through: a list before it sees what it saw without."""
    return base.type == "nat" and base.hook == "postrouting"


def fault(ruleset: Ruleset) -> str | None:
    """Why a kernel would not take a ruleset: a jump to a chain that is missing or hooked, or a loop of jumps."""
    for key, chains in ruleset.tables.items():
        for chain in chains.values():
            for rule in chain.rules:
                where = f"chain {chain.name} of table {key[0]} {key[1]}"
                if not rule.target:
                    continue
                if rule.target not in chains or chains[rule.target].base is not None:
                    return f"{where}: there is no chain {rule.target!r} to {rule.verdict} to"
                if chain.name in (one.name for one in reachable(chains, chains[rule.target])):
                    return f"{where}: the jump to {rule.target!r} leads back here"
    return None


# ---- writing ---------------------------------------------------------------------------------


def write_ruleset(ruleset: Ruleset, *, comments: bool = True) -> str:
    """The whole ruleset in nft's language, without handles; without comments, counters and order of chains as well."""
    return "".join(write_table(key, chains, comments=comments) for key, chains in sorted(ruleset.tables.items()))


def write_table(key: TableKey, chains: Mapping[str, Chain], *, comments: bool = True) -> str:
    """A table in nft's language, one rule per line."""
    lines = [f"table {key[0]} {key[1]} {{"]
    for chain in chains.values() if comments else (chains[name] for name in sorted(chains)):
        lines.append(f"\tchain {chain.name} {{")
        if chain.base is not None:
            lines.append(f"\t\t{_base(chain.base)}")
        lines += [f"\t\t{write_rule(rule, comments=comments)}" for rule in chain.rules]
        lines.append("\t}")
    return "\n".join([*lines, "}", ""])


def write_rule(rule: Rule, *, comments: bool = True) -> str:
    """A rule in nft's language; one that was not understood is a comment."""
    if rule.raw:
        return f"# not read: {rule.raw}"
    words = [_match(one, rule) for one in rule.matches]
    words = [word for word in words if word]
    if rule.log:
        words.append(f'log group 7 prefix "{rule.log}"')
    counted = comments and rule.verdict not in ("jump", "goto") and (rule.comment or rule.log)
    if counted or not rule.verdict:
        words.append("counter")
    words.append(f"{rule.verdict} {rule.target}".strip())
    if rule.comment and comments:
        words.append(f'comment "{rule.comment}"')
    return " ".join(word for word in words if word)


def _base(base: Base) -> str:
    device = f' device "{base.device}"' if base.device else ""
    return f"type {base.type} hook {base.hook}{device} priority {base.priority}; policy {base.policy};"


def _match(one: Match, rule: Rule) -> str:  # noqa: PLR0911 - one line per field
    sign = "!= " if one.negated else ""
    if one.field in ("iifname", "oifname"):
        return f"{one.field} {sign}{_set([f'{chr(34)}{value}{chr(34)}' for value in one.values])}"
    if one.field == "ct state":
        states = [str(value) for value in one.values]
        # Negated, a list with commas means something else: not exactly these bits together.
        return f"ct state {sign}{_set(states) if one.negated else ','.join(states)}"
    if one.field == "ip frag-off":
        return f"ip frag-off & 8191 {'==' if one.negated else '!='} 0"
    if one.field == "tcp established":
        return "tcp flags ack,rst"
    if one.field == "protocol":
        return _protocol(one, rule, sign)
    if one.field == "nfproto":
        return f"meta nfproto {sign}{_set([_name(value, NFPROTOS) for value in one.numbers_given])}"
    if one.field == "ether type":
        return f"ether type {sign}{_set([_name(value, ETHER_TYPES) for value in one.numbers_given])}"
    if one.field in ("ip saddr", "ip daddr"):
        return f"{one.field} {sign}{_address_set(one.numbers_given)}"
    if one.field in ("sport", "dport"):
        return f"{_transport(rule)} {one.field} {sign}{_set([_range(value) for value in one.numbers_given])}"
    return f"{one.field} {sign}{_set([_range(value) for value in one.numbers_given])}"


def _protocol(one: Match, rule: Rule, sign: str) -> str:
    """The protocol is written only where no other match of the rule says it."""
    numbers = one.numbers_given
    named = [rule.match(name) for name in ("sport", "dport", "tcp established")]
    if not one.negated and len(numbers) == 1 and numbers[0][0] == numbers[0][1]:
        if _transport(rule) != "th" and any(named):
            return ""
        if numbers[0] == (ICMP, ICMP):
            return "" if rule.match("icmp type") or rule.match("icmp code") else "ip protocol icmp"
    names = {name: PROTOCOL_NUMBERS[name] for name in BUILT_IN_PROTOCOLS}
    texts = [_name(value, names) for value in numbers]
    return f"meta l4proto {sign}{_set(texts)}"


def _transport(rule: Rule) -> str:
    one = rule.match("protocol")
    if one is None or one.negated or len(one.values) != 1:
        return "th"
    low, high = one.intervals[0]
    names = {6: "tcp", 17: "udp", 132: "sctp"}
    return names.get(low, "th") if low == high else "th"


def _set(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"


def _name(value: Interval, names: Mapping[str, int]) -> str:
    return next((name for name, number in names.items() if value == (number, number)), _range(value))


def _range(value: Interval) -> str:
    low, high = value
    return str(low) if low == high else f"{low}-{high}"


# A ruleset of a large site repeats few sets of addresses in many rules.
@lru_cache(maxsize=4096)
def _address_set(values: tuple[Interval, ...]) -> str:
    return _set([_addresses(value) for value in values])


@lru_cache(maxsize=65536)
def _addresses(value: Interval) -> str:
    low, high = value
    networks = fewest(value)
    if len(networks) > 1:
        return f"{IPv4Address(low)}-{IPv4Address(high)}"
    return str(networks[0].network_address) if networks[0].prefixlen == 32 else str(networks[0])  # noqa: PLR2004
