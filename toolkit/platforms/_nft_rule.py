"""Reads one rule of nft's language, statement by statement, from the tokens of a script."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, InputError
from toolkit.platforms._nft_model import NUMBER_FIELDS, SOURCE_NAT, Interval, Match, Rule, guard_of, make_rule
from toolkit.platforms._nft_names import (
    CT_STATES,
    ETHER_TYPES,
    ICMP_CODES,
    ICMP_TYPES,
    NFPROTO_IPV6,
    NFPROTOS,
    PROTOCOLS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolkit.platforms._nft_text import Script

TRANSPORTS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
VERDICTS: Final = ("accept", "drop", "return", "reject")
# `iif` compares a number that the kernel gave the interface; where a rule is read, it is shown by its name.
INTERFACES: Final = {"iif": "iifname", "iifname": "iifname", "oif": "oifname", "oifname": "oifname"}
FRAGMENT_MASK: Final = 0x1FFF
# nft reads a leading zero as octal and takes netmasks in no form: neither is guessed at here.
NUMBER: Final = re.compile(r"(0|[1-9][0-9]*)(?:-(0|[1-9][0-9]*))?", re.ASCII)
PREFIX: Final = re.compile(r"[0-9.]+(/[0-9]+)?", re.ASCII)


class RuleReader:
    """Reads one rule, statement by statement."""

    def __init__(self, script: Script, table: str) -> None:
        self.script = script
        self.table = table
        self.matches: dict[str, Match] = {}
        self.verdict = "continue"
        self.target = self.comment = self.log = ""
        self.limited = False

    def read(self, place: str) -> Rule:
        script = self.script
        while (token := script.peek()) is not None and (token.quoted or token.text not in ("\n", ";", "}")):
            if token.quoted or self.comment:
                raise script.error(f"{token.text!r} is not understood here")
            if self.verdict != "continue" and token.text != "comment":
                raise script.error(f"{token.text!r} after the verdict {self.verdict!r}")
            self.statement(script.next("a statement"))
        verdict = "" if self.verdict == "continue" else self.verdict
        if self.limited and verdict:
            raise script.error("'limit' is not understood beside a verdict: it then holds for some packets only")
        extra = {"comment": self.comment, "log": self.log, "place": place}
        try:
            return make_rule(self.matches.values(), verdict, self.target, **extra)
        except ValueError as caught:
            raise script.error(f"not understood: {caught}") from None

    def read_or_keep(self, place: str) -> Rule:
        """The rule; where it is not understood, its text with the reason."""
        start = self.script.at
        try:
            return self.read(place)
        except ConfigError as error:
            words = self.script.skip_rule(start)
            nat = next((word for word in words if word in SOURCE_NAT), "")
            return Rule((), nat, place=place, raw=" ".join(words), fault=error)

    def statement(self, word: str) -> None:  # noqa: C901, PLR0912 - one branch for each statement of the language
        script = self.script
        if word in INTERFACES:
            self.words(INTERFACES[word], script)
        elif word == "ct":
            script.expect("state")
            self.words("ct state", script, CT_STATES)
        elif word == "ip":
            self.ip()
        elif word == "meta":
            self.meta()
        elif word == "ether":
            script.expect("type")
            self.numbers("ether type", lambda text: _named(text, ETHER_TYPES))
        elif word in (*TRANSPORTS, "th"):
            self.transport(word)
        elif word == "icmp":
            self.icmp()
        elif word == "counter":
            if script.take("packets"):
                script.next("packets")
                script.expect("bytes")
                script.next("bytes")
        elif word == "log":
            self.logging()
        elif word == "limit":
            self.limit()
        elif word == "comment":
            self.comment = script.next("the comment")
        elif word in VERDICTS:
            self.verdict = word
            if word == "reject":
                self.reject()
        elif word in ("jump", "goto"):
            self.verdict, self.target = word, script.next("the chain")
        else:
            raise script.error(f"statement {word!r} is not understood")

    def ip(self) -> None:
        name = self.script.next("a field of ip")
        if name in ("saddr", "daddr"):
            self.numbers(f"ip {name}", _address)
        elif name == "protocol":
            self.numbers("protocol", _protocol)
            guard = guard_of(self.table.partition(" ")[0])
            if guard is not None:
                self.add(guard)
        elif name == "frag-off":
            self.script.expect("&")
            mask = self.script.next("the mask")
            sign = self.script.next("== or !=")
            zero = self.script.next("0")
            if mask.lower() not in ("0x1fff", str(FRAGMENT_MASK)) or sign not in ("==", "!=") or zero != "0":
                raise self.script.error("only `ip frag-off & 0x1fff != 0` (or == 0) is understood")
            self.add(Match.numbers("ip frag-off", [(1, 1)], negated=sign == "=="))
        else:
            raise self.script.error(f"ip {name} is not understood")

    def meta(self) -> None:
        name = self.script.next("a field of meta")
        if name in INTERFACES:
            self.words(INTERFACES[name], self.script)
        elif name == "l4proto":
            self.numbers("protocol", _protocol)
        elif name == "nfproto":
            self.numbers("nfproto", lambda text: _named(text, NFPROTOS))
        elif name == "protocol":
            self.numbers("ether type", lambda text: _named(text, ETHER_TYPES))
        else:
            raise self.script.error(f"meta {name} is not understood")

    def transport(self, word: str) -> None:
        if word in TRANSPORTS:
            self.add(Match.numbers("protocol", [(TRANSPORTS[word], TRANSPORTS[word])]))
        name = self.script.next(f"a field of {word}")
        if name in ("sport", "dport"):
            self.numbers(name, _number)
        elif name == "flags" and word == "tcp":
            self.flags()
        else:
            raise self.script.error(f"{word} {name} is not understood")

    def flags(self) -> None:
        """`tcp flags ack,rst` (any of them) and `tcp flags & (ack | rst) != 0`, which mean the same."""
        script = self.script
        if script.take("&"):
            words = [script.next("the flags")]
            while not words[-1].endswith(")"):
                words.append(script.next("the flags"))
            names = set("".join(words).strip("()").split("|"))
            if (script.next("!="), script.next("0")) != ("!=", "0"):
                raise script.error("only `tcp flags & (ack | rst) != 0` is understood")
        elif script.take("{"):
            raise script.error("a set of tcp flags is not understood: it is an exact match; only ack,rst is")
        else:
            names = set(script.values(commas=True))
        if names != {"ack", "rst"}:
            raise script.error(f"tcp flags {', '.join(sorted(names))} are not understood; only ack with rst is")
        self.add(Match.numbers("tcp established", [(1, 1)]))

    def icmp(self) -> None:
        self.add(Match.numbers("protocol", [(1, 1)]))
        name = self.script.next("a field of icmp")
        if name not in ("type", "code"):
            raise self.script.error(f"icmp {name} is not understood")
        table = ICMP_TYPES if name == "type" else ICMP_CODES
        self.numbers(f"icmp {name}", lambda text: _named(text, table))

    def logging(self) -> None:
        self.log = self.log or "log"
        while True:
            if self.script.take("group") or self.script.take("level") or self.script.take("snaplen"):
                self.script.next("a value of log")
            elif self.script.take("prefix"):
                self.log = self.script.next("the prefix")
            else:
                return

    def limit(self) -> None:
        """`limit rate over 5/second burst 10 packets`: how often a rule counts or tells is of no interest."""
        script, self.limited = self.script, True
        script.expect("rate")
        script.take("over")
        script.next("the rate")
        while script.take("burst") or script.take("packets") or script.take("bytes") or script.take("mbytes/second"):
            if script.take("packets") or script.take("bytes"):
                continue
            token = script.peek()
            if token is not None and token.text.isdecimal():
                script.next("the burst")

    def reject(self) -> None:
        """The answer is of no interest; the packets that a kind of answer limits the rule to are."""
        script = self.script
        if not script.take("with"):
            return
        kind = script.next("the kind of reject")
        if kind == "tcp":
            script.expect("reset")
            self.add(Match.numbers("protocol", [(TRANSPORTS["tcp"], TRANSPORTS["tcp"])]))
        elif kind in ("icmp", "icmpx", "icmpv6"):
            script.take("type")
            script.next("the ICMP code")
            if kind == "icmpv6":
                self.add(Match.numbers("nfproto", [(NFPROTO_IPV6, NFPROTO_IPV6)]))
        else:
            raise script.error(f"reject with {kind!r} is not understood")

    def words(self, name: str, script: Script, known: tuple[str, ...] = ()) -> None:
        negated = script.take("!=")
        # `ct state != a,b` compares with both bits together, which no packet has: not the negated list it looks like.
        values = script.values(commas=name == "ct state" and not negated)
        for value in values:
            if (known and value not in known) or "*" in value or value.isdecimal():
                raise script.error(f"{name} {value!r} is not understood")
        self.add(Match.words(name, values, negated=negated))

    def numbers(self, name: str, read: Callable[[str], Interval]) -> None:
        script = self.script
        sign = next((s for s in ("!=", "==", ">=", "<=", ">", "<") if script.take(s)), "==")
        try:
            values = [read(text) for text in self.named(script.values())]
        except (ValueError, InputError) as caught:
            raise script.error(f"{name}: {caught}") from None
        top = NUMBER_FIELDS[name]
        if any(not 0 <= low <= high <= top for low, high in values):
            raise script.error(f"{name}: a value is out of range (0 to {top})")
        if sign in ("==", "!="):
            self.add(_match(name, tuple(values), sign == "!="))
            return
        (low, high), *more = values
        if more or low != high:
            raise script.error(f"{name} {sign} needs one number")
        bounds = {">=": (low, top), "<=": (0, low), ">": (low + 1, top), "<": (0, low - 1)}[sign]
        if bounds[0] > bounds[1]:
            raise script.error(f"{name} {sign} {low} matches nothing")
        self.add(Match.numbers(name, [bounds]))

    def named(self, values: list[str]) -> list[str]:
        """Values, with the elements of a named set in the place of its name."""
        if len(values) == 1 and values[0][0] == "@":
            return self.script.sets.get((self.table, values[0][1:]), values)
        return values

    def add(self, match: Match) -> None:
        known = self.matches.get(match.field)
        if known is not None and known != match:
            raise self.script.error(f"the rule matches {match.field} twice, in different ways")
        self.matches[match.field] = match


@lru_cache(maxsize=4096)
def _match(name: str, values: tuple[Interval, ...], negated: bool) -> Match:  # noqa: FBT001 - a key of the cache
    return Match.numbers(name, values, negated=negated)


def _number(text: str) -> Interval:
    one = NUMBER.fullmatch(text)
    if one is None:
        raise ValueError(f"{text!r} is not understood as a number")
    return int(one[1]), int(one[2] or one[1])


def _named(text: str, names: Mapping[str, int]) -> Interval:
    return (names[text], names[text]) if text in names else _number(text)


def _protocol(text: str) -> Interval:
    return _named(text, PROTOCOLS)


@lru_cache(maxsize=65536)
def _address(text: str) -> Interval:
    first, dash, last = text.partition("-")
    if dash:
        return int(IPv4Address(first)), int(IPv4Address(last))
    if PREFIX.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not understood as an address")
    network = IPv4Network(text)
    return int(network.network_address), int(network.broadcast_address)
