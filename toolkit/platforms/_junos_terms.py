"""What a Junos filter does to IPv4 packets: its terms, read strictly.

A term's values of one condition are alternatives, its conditions all hold together. A term without a terminating
action accepts; `next term` decides nothing; what no term matches is discarded. Junos compares the bytes where a port
would be whatever the protocol is, so a term with ports, TCP flags or ICMP types must name the protocol.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.net import ICMP, MAX_OCTET, MAX_PORT, TCP, WITH_PORTS, Action
from toolkit.packets import ESTABLISHED, FRAGMENTS, FULL, NOT_FRAGMENT
from toolkit.platforms._junos_heads import PREFIX_LIST, Words
from toolkit.platforms._junos_names import ETHER_TYPES, ICMP_CODES, ICMP_TYPES, IPV4, PORTS, PROTOCOLS
from toolkit.platforms._junos_text import TERMINATING, Statements, join
from toolkit.platforms._rules import Rule, merged, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.packets import Interval
    from toolkit.platforms._rules import Intervals

# Layer-2 filters name IPv4's fields with `ip-` on switches with Enhanced Layer 2 Software, without it on older ones.
SAME: Final = {
    "ip-source-address": "source-address",
    "ip-destination-address": "destination-address",
    "ip-address": "address",
    "ip-protocol": "protocol",
    "ip-source-prefix-list": "source-prefix-list",
    "ip-destination-prefix-list": "destination-prefix-list",
}
# Modifiers that change no verdict: they count, tell, copy, mark, or choose a queue.
HARMLESS: Final = {
    "analyzer": 1, "count": 1, "dscp": 1, "forwarding-class": 1, "log": 0, "loss-priority": 1, "port-mirror": 0,
    "port-mirror-instance": 1, "sample": 0, "service-accounting": 0, "syslog": 0,
}  # fmt: skip
OPTIONS: Final = ("enhanced-mode", "fast-lookup-filter", "interface-specific")  # of a filter, that decide nothing
REJECTS: Final = frozenset(
    """
    administratively-prohibited bad-host-tos bad-network-tos fragmentation-needed host-prohibited host-unknown
    host-unreachable network-prohibited network-unknown network-unreachable port-unreachable precedence-cutoff
    precedence-violation protocol-unreachable source-host-isolated source-route-failed tcp-reset
    """.split()  # noqa: SIM905 - a table
)
ESTABLISHED_WORDS: Final = frozenset({"(ack|rst)", "ack|rst", "(rst|ack)", "rst|ack"})
TERM_AT: Final = 5  # firewall family F filter N term T ...


@dataclass(slots=True)
class _Term:
    name: str
    place: Place
    conditions: list[tuple[Words, Place]] = field(default_factory=list)
    actions: list[tuple[Words, Place]] = field(default_factory=list)

    def text(self) -> str:
        parts = [f"from {join(words)}" for words, _ in self.conditions] + [
            f"then {join(words)}" for words, _ in self.actions
        ]
        return f"term {self.name} {'; '.join(parts)}"


def prefix_lists(found: Statements) -> dict[str, list[tuple[Words, Place]]]:
    """Entries of each prefix list, unread: only lists that a filter uses need to be understood."""
    lists: dict[str, list[tuple[Words, Place]]] = defaultdict(list)
    for words, at in found.items():
        if words[:2] == PREFIX_LIST and len(words) > 2:  # noqa: PLR2004
            lists[words[2]] += [(words[3:], _place(at))] if words[3:] else []
    return lists


def filters(found: Statements) -> dict[tuple[str, str], Statements]:
    """Statements of each filter, by (family, name); a filter without a family is one of family inet."""
    by_filter: dict[tuple[str, str], Statements] = defaultdict(dict)
    for words, at in found.items():
        if words[0] == "firewall":
            family, rest = (words[2], words[4:]) if words[1] == "family" else ("inet", words[2:])
            by_filter[family, rest[0]][rest[1:]] = at
    return by_filter


@dataclass(frozen=True, slots=True)
class ReadTerm:
    """A term as it reads: its rules share one action; None goes on to the next term."""

    name: str
    action: Action | None
    rules: tuple[Rule, ...]
    place: str
    unconditional: bool


def read_filter(statements: Statements, lists: Mapping[str, list[tuple[Words, Place]]]) -> tuple[ReadTerm, ...]:
    """The terms of one filter, in order; what none of them decides is discarded.

    Raises:
        ConfigError: a condition or an action is not understood.
    """
    terms: dict[str, _Term] = {}
    for words, at in statements.items():
        place = _place(at)
        if not words or (len(words) == 1 and words[0] in OPTIONS) or words[0] == "accounting-profile":
            continue
        if words[0] != "term" or len(words) < 2:  # noqa: PLR2004
            raise ConfigError(f"{join(words)!r} in a filter is not understood", place=place)
        term = terms.setdefault(words[1], _Term(words[1], place))
        if len(words) == 2:  # noqa: PLR2004 - a term without conditions and actions
            continue
        if words[2] == "from" and len(words) > 3:  # noqa: PLR2004
            term.conditions.append((words[3:], place))
        elif words[2] == "then":
            term.actions += [(words[3:], place)] if words[3:] else []
        else:
            raise ConfigError(f"{join(words[2:])!r} in a term is not understood", place=place)
    return tuple(_read(term, lists) for term in terms.values())


def _read(term: _Term, lists: Mapping[str, list[tuple[Words, Place]]]) -> ReadTerm:
    action = _action(term)
    text, place = term.text(), str(term.place)
    rules = tuple(
        Rule(action or Action.PERMIT, protocol, dst, src, dport, sport, flags, text, place)
        for protocol, dst, src, dport, sport, flags in _Match(term, lists).ways()
    )
    return ReadTerm(term.name, action, rules, place, not term.conditions)


def _action(term: _Term) -> Action | None:
    """What a term does; None for `next term`."""
    verdicts: list[Action | None] = []
    for words, place in term.actions:
        word = words[0]
        if word in TERMINATING:
            known = len(words) == 1 or (word == "reject" and len(words) == 2 and words[1] in REJECTS)  # noqa: PLR2004
            if not known:
                raise ConfigError(f"then {join(words)} is not understood", place=place)
            verdicts.append(Action.PERMIT if word == "accept" else Action.DENY)
        elif words == ("next", "term"):
            verdicts.append(None)
        elif HARMLESS.get(word) != len(words) - 1:
            message = f"then {join(words)} is not understood: it may drop packets, or send them another way"
            raise ConfigError(message, place=place)
    if len(verdicts) > 1:
        raise ConfigError(f"term {term.name} has more than one verdict", place=term.place)
    return verdicts[0] if verdicts else Action.PERMIT


class _Match:
    """The conditions of a term, gathered by their names."""

    def __init__(self, term: _Term, lists: Mapping[str, list[tuple[Words, Place]]]) -> None:
        self.term = term
        self.lists = lists
        self.values: dict[str, list[tuple[Words, Place]]] = defaultdict(list)
        for words, place in term.conditions:
            self.values[SAME.get(words[0], words[0])].append((words[1:], place))

    def ways(self) -> list[tuple[Intervals, Intervals, Intervals, Intervals, Intervals, Intervals]]:
        """The products of interval lists that together are what the term matches.

        Raises:
            ConfigError: a condition is not understood.
        """
        values = dict(self.values)
        protocol = self._numbers(values, "protocol", FULL[0], PROTOCOLS)
        dst = self._addresses(values, "destination-address", "destination-prefix-list")
        src = self._addresses(values, "source-address", "source-prefix-list")
        either = self._addresses(values, "address", "prefix-list")
        dport = self._numbers(values, "destination-port", FULL[3], PORTS)
        sport = self._numbers(values, "source-port", FULL[4], PORTS)
        port = self._numbers(values, "port", FULL[3], PORTS)
        if dport or sport or port:
            self._needs(protocol, WITH_PORTS, "a port")
        kinds = self._kinds(values, protocol)
        flags = self._flags(values, protocol, looks_inside=bool(dport or sport or port or kinds))
        possible = self._is_ipv4(values)
        for name, items in values.items():
            raise ConfigError(f"from {name} is not understood", place=items[0][1])
        if not possible or flags is None:
            return []
        ends = [(dst, src)] if either is None else [(_both(dst, either), src), (dst, _both(src, either))]
        low = dport if kinds is None else kinds
        ports = [(low, sport)] if port is None else [(_both(low, port), sport), (low, _both(sport, port))]
        return [
            (_or(protocol, 0), _or(d, 1), _or(s, 2), _or(dp, 3), _or(sp, 4), (flags,))
            for d, s in ends
            for dp, sp in ports
        ]

    def _numbers(
        self, values: dict[str, list[tuple[Words, Place]]], name: str, full: Interval, names: Mapping[str, int]
    ) -> Intervals | None:
        """The values of a numeric condition, or all but those of its `-except`; None where it is not there."""
        wanted, unwanted = values.pop(name, []), values.pop(f"{name}-except", [])
        if wanted and unwanted:
            raise ConfigError(f"{name} and {name}-except exclude each other", place=unwanted[0][1])
        if not wanted and not unwanted:
            return None
        found = [_number(words, place, full, names) for words, place in wanted or unwanted]
        return merged(found) if wanted else without(found, full)

    def _addresses(self, values: dict[str, list[tuple[Words, Place]]], name: str, listed: str) -> Intervals | None:
        """Addresses and prefix lists together; of nested prefixes the longest counts, `except` or not."""
        entries = [(words[:1], words[1:], place) for words, place in values.pop(name, [])]
        for words, place in values.pop(listed, []):
            if not words or not self.lists.get(words[0]):
                raise ConfigError(f"prefix list {' '.join(words[:1])!r} is not there, or is empty", place=place)
            entries += [(prefix, words[1:], there) for prefix, there in self.lists[words[0]]]
        if not entries:
            return None
        found: list[tuple[IPv4Network, bool]] = []
        for words, rest, place in entries:
            if rest not in ((), ("except",)):
                raise ConfigError(f"{join((*words, *rest))!r} is no prefix", place=place)
            found.append((_prefix(words, place), rest == ()))
        if all(wanted for _, wanted in found):
            return merged((int(p.network_address), int(p.broadcast_address)) for p, _ in found)
        return _longest(found)

    def _kinds(self, values: dict[str, list[tuple[Words, Place]]], protocol: Intervals | None) -> Intervals | None:
        """ICMP type and code as intervals of type * 256 + code."""
        types = self._numbers(values, "icmp-type", (0, MAX_OCTET), ICMP_TYPES)
        named = [words for words, _ in values.get("icmp-code", []) if words and words[0] in ICMP_CODES]
        for words in named:
            number = ICMP_CODES[words[0]][0]
            if types != ((number, number),):
                place = values["icmp-code"][0][1]
                raise ConfigError(f"icmp-code {words[0]} needs icmp-type {number} in its term", place=place)
        codes = self._numbers(
            values, "icmp-code", (0, MAX_OCTET), {name: code for name, (_, code) in ICMP_CODES.items()}
        )
        if types is None and codes is None:
            return None
        self._needs(protocol, frozenset({ICMP}), "an ICMP type")
        if codes is None:
            return tuple((low * 256, high * 256 + MAX_OCTET) for low, high in types or ())
        return merged(
            (kind * 256 + low, kind * 256 + high)
            for first, last in types or ((0, MAX_OCTET),)
            for kind in range(first, last + 1)
            for low, high in codes
        )

    def _flags(
        self, values: dict[str, list[tuple[Words, Place]]], protocol: Intervals | None, *, looks_inside: bool
    ) -> Interval | None:
        """The interval of the flags dimension; None where nothing can match."""
        established = values.pop("tcp-established", [])
        for words, place in values.pop("tcp-flags", []):
            if len(words) != 1 or words[0].replace(" ", "") not in ESTABLISHED_WORDS:
                raise ConfigError(f"tcp-flags {join(words)} is not understood; only (ack | rst) is", place=place)
            established.append(((), place))
        if established:
            self._needs(protocol, frozenset({TCP}), "TCP flags")
        later = values.pop("is-fragment", [])
        flags = ESTABLISHED if established else NOT_FRAGMENT if looks_inside else FULL[5]
        if not later:
            return flags
        return FRAGMENTS if flags == FULL[5] else None

    def _is_ipv4(self, values: dict[str, list[tuple[Words, Place]]]) -> bool:
        """Whether the term can match IPv4 at all."""
        types = values.pop("ether-type", [])
        found = [_number(words, place, (0, 0xFFFF), ETHER_TYPES) for words, place in types]
        return not types or any(low <= IPV4 <= high for low, high in found)

    def _needs(self, protocol: Intervals | None, allowed: frozenset[int], what: str) -> None:
        """Junos looks for ports and flags in packets of any protocol, where other bytes stand."""
        numbers = set() if protocol is None else {n for low, high in protocol for n in range(low, high + 1)}
        if not numbers or not numbers <= allowed:
            raise ConfigError(
                f"term {self.term.name} asks for {what} without naming a protocol that has it: Junos then compares "
                "whatever bytes stand there",
                place=self.term.place,
            )


def _number(words: Words, place: Place, full: Interval, names: Mapping[str, int]) -> Interval:
    """`22`, `ssh`, `1024-65535` or `0x800`."""
    text = words[0] if len(words) == 1 else ""
    if text in names:
        return names[text], names[text]
    first, dash, last = text.partition("-")
    low = _integer(first, names)
    high = _integer(last, names) if dash else low
    if low is None or high is None or not full[0] <= low <= high <= full[1]:
        raise ConfigError(f"{join(words)!r} is no value here ({full[0]}-{full[1]}, or a name)", place=place)
    return low, high


def _integer(text: str, names: Mapping[str, int]) -> int | None:
    if text in names:
        return names[text]
    if text.startswith("0x"):
        try:
            return int(text, 16)
        except ValueError:
            return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PORT)) else None


def _prefix(words: Words, place: Place) -> IPv4Network:
    """A prefix; a length must be there, unless it is a host, and masks with holes are refused."""
    try:
        if len(words) != 1 or re.fullmatch(r"[0-9.]+(/[0-9]+)?", words[0]) is None:
            raise ValueError  # noqa: TRY301 - a mask in dots may have holes
        return IPv4Network(words[0])
    except (AddressValueError, NetmaskValueError, ValueError):
        message = f"{join(words)!r} is no IPv4 prefix (address/length, no bits set behind the length)"
        raise ConfigError(message, place=place) from None


def _longest(prefixes: list[tuple[IPv4Network, bool]]) -> Intervals:
    """What a longest match over prefixes selects; `except` wins between equal ones."""
    chosen: list[Interval] = []
    for prefix, wanted in sorted(prefixes, key=lambda one: (one[0].prefixlen, not one[1])):
        span = (int(prefix.network_address), int(prefix.broadcast_address))
        chosen = list(merged([*chosen, span])) if wanted else list(_both(tuple(chosen), without([span], FULL[1])))
    return tuple(chosen)


def _both(one: Intervals | None, other: Intervals) -> Intervals:
    """Values in both lists; None is all values."""
    if one is None:
        return other
    return merged((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other if max(a[0], b[0]) <= min(a[1], b[1]))


def _or(intervals: Intervals | None, dimension: int) -> Intervals:
    return (FULL[dimension],) if intervals is None else intervals


def _place(at: str) -> Place:
    file, _, line = at.rpartition(":")
    return Place(file, int(line))
