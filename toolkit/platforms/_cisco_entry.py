"""One entry of a list, or one member of a group, read word by word; a word that is not known is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.net import ICMP, MAX_OCTET, MAX_PORT, TCP, UDP, Action
from toolkit.platforms._cisco_dialect import ANY, entry_text, icmp_text, port_text, protocol_text
from toolkit.platforms._cisco_model import (
    ALL_PORTS,
    HOST_LENGTH,
    MAX_ADDRESS,
    Entry,
    Match,
    Side,
    address_number,
    address_text,
    wildcard_intervals,
)
from toolkit.platforms._cisco_names import ICMP_KINDS, PROTOCOLS

if TYPE_CHECKING:
    from toolkit.packets import Interval
    from toolkit.platforms._cisco_dialect import Dialect

OPERATORS: Final = ("eq", "neq", "lt", "gt", "range")
# A wildcard mask with holes stands for many ranges, and an entry for the product of those of its sides.
MOST_RANGES: Final = 1024
MOST_BOXES: Final = 4096
# Options of an entry, none of which is a word that somebody wants to see in the log.
NO_COOKIE: Final = frozenset(
    """
    ack dscp established fin fragments log log-input match-all match-any option precedence psh reflect rst syn
    time-range timeout tos tracked ttl urg
    """.split()  # noqa: SIM905 - a table
)


class Unclear(Exception):  # noqa: N818 - never leaves this room
    """Something in a line is not understood."""


class EntryReader:
    """Reads entries of one dialect; words that were read before are looked up."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._sides: dict[tuple[str, ...], Side] = {}
        self._ports = {TCP: dialect.tcp_ports, UDP: dialect.udp_ports}
        self._services: dict[tuple[int | None, tuple[str, ...]], tuple[str, Match, str]] = {}

    def entry(self, seq: int, words: list[str], *, standard: bool) -> Entry:
        """An entry from its words, `permit` or `deny` first.

        Raises:
            Unclear: a word is not understood, or is missing.
        """
        action = Action(words[0])
        if standard:
            return self._standard(seq, action, words)
        protocol, service, at = self._protocol(words)
        source, at = self.side(words, at)
        sports, source_group, at = self._ports_at(words, at, protocol)
        destination, at = self.side(words, at)
        dports, destination_group, at = self._ports_at(words, at, protocol)
        inside = bool(sports is not None or dports is not None or source_group or destination_group)
        if protocol == ICMP and at < len(words) and not service:
            kind, at = self._icmp(words, at)
            if kind is not None:
                dports, inside = (kind,), True
        established, fragments, log = self._marks(words, at, protocol)
        if fragments and (inside or established or service):
            raise Unclear("fragments stands beside ports, an ICMP type, established or a service group")
        if len(source.intervals) * len(destination.intervals) * len(sports or "1") * len(dports or "1") > MOST_BOXES:
            raise Unclear(f"its masks and ports stand for more than {MOST_BOXES} ranges")
        match = Match(protocol, sports or ALL_PORTS, dports or ALL_PORTS, inside, established)
        text = entry_text(
            action,
            (
                f"object-group {service}" if service else protocol_text(protocol),
                source.text,
                f"portgroup {source_group}" if source_group else port_text(sports) if sports else "",
                destination.text,
                f"portgroup {destination_group}" if destination_group else "",
                "" if dports is None else icmp_text(dports) if protocol == ICMP else port_text(dports),
                "established" * established,
                "fragments" * fragments,
                "log" * log,
            ),
        )
        groups = (source_group, destination_group)
        return Entry(seq, action, match, source, destination, text, fragments, service, groups)

    def _standard(self, seq: int, action: Action, words: list[str]) -> Entry:
        if len(words) > 1 and address_number(words[1]) is not None:
            alone = len(words) == 2 or address_number(words[2]) is None  # noqa: PLR2004 - action and address
            words = [words[0], "host", *words[1:]] if alone else words
        source, at = self.side(words, 1)
        if source.group:
            raise Unclear("a group in a list that looks at sources only")
        _, _, log = self._marks(words, at, None, ("log",))
        text = entry_text(action, (source.text, "log" * log))
        return Entry(seq, action, Match(None), source, ANY, text)

    def _protocol(self, words: list[str]) -> tuple[int | None, str, int]:
        """(protocol, service group, index of the next word)."""
        word = _word(words, 1, "a protocol")
        if word == "object-group" and self.dialect.groups == "ios":
            return None, _word(words, 2, "the name of a service group"), 3
        if word in PROTOCOLS:
            return PROTOCOLS[word], "", 2
        if _is_number(word, MAX_OCTET):
            return int(word), "", 2
        raise Unclear(f"protocol {word!r}")

    def side(self, words: list[str], at: int) -> tuple[Side, int]:
        """(addresses, index of the next word)."""
        word = _word(words, at, "an address")
        if word == "any":
            return ANY, at + 1
        if (word == "object-group" and self.dialect.groups == "ios") or (
            word == "addrgroup" and self.dialect.groups == "nxos"
        ):
            return self.dialect.group_side(_word(words, at + 1, "the name of a group")), at + 2
        if "/" in word and self.dialect.prefixes:
            key: tuple[str, ...] = (word,)
        else:
            key = (word, _word(words, at + 1, "a host's address" if word == "host" else "a wildcard mask"))
        found = self._sides.get(key)
        if found is None:
            found = self._sides[key] = self._read_side(*key)
        return found, at + len(key)

    def _read_side(self, first: str, second: str = "") -> Side:
        if first == "host":
            number = _address(second)
            return self.dialect.side(number, number)
        if not second:
            return self.dialect.side(*_prefix(first))
        number, wildcard = _address(first), _address(second)
        intervals = wildcard_intervals(number, wildcard, MOST_RANGES)
        if intervals is None:
            raise Unclear(f"wildcard mask {second} stands for more than {MOST_RANGES} ranges of addresses")
        if len(intervals) == 1:
            return self.dialect.side(*intervals[0])
        return Side(f"{address_text(number & ~wildcard & MAX_ADDRESS)} {address_text(wildcard)}", intervals)

    # ---- ports and kinds ------------------------------------------------------------------

    def _ports_at(
        self, words: list[str], at: int, protocol: int | None
    ) -> tuple[tuple[Interval, ...] | None, str, int]:
        """(ports or None, port group, index of the next word)."""
        if at >= len(words):
            return None, "", at
        if words[at] == "portgroup" and self.dialect.groups == "nxos":
            if protocol not in self.dialect.with_ports:
                raise Unclear(f"ports of protocol {protocol_text(protocol)}")
            return None, _word(words, at + 1, "the name of a port group"), at + 2
        if words[at] not in OPERATORS:
            return None, "", at
        if protocol not in self.dialect.with_ports:
            raise Unclear(f"ports of protocol {protocol_text(protocol)}")
        found, at = self.ports(words, at, protocol)
        return found, "", at

    def ports(self, words: list[str], at: int, protocol: int | None) -> tuple[tuple[Interval, ...], int]:
        """(ports, index of the next word); an operator stands at `at`."""
        operator, at = words[at], at + 1
        first = self._port(_word(words, at, "a port"), protocol)
        at += 1
        if operator == "range":
            last = self._port(_word(words, at, "the last port"), protocol)
            if first > last:
                raise Unclear(f"range {first} {last}, which ends before it begins")
            return ((first, last),), at + 1
        if operator == "gt":
            if first == MAX_PORT:
                raise Unclear(f"gt {first}, which no port is")
            return ((first + 1, MAX_PORT),), at
        if operator == "lt":
            if first == 0:
                raise Unclear("lt 0, which no port is")
            return ((0, first - 1),), at
        some = {first}
        while at < len(words) and self._is_port(words[at], protocol):
            some.add(self._port(words[at], protocol))
            at += 1
            if len(some) > self.dialect.many_ports:
                raise Unclear(f"more than {self.dialect.many_ports} ports after {operator}")
        if operator == "eq":
            return tuple((port, port) for port in sorted(some)), at
        return tuple(_without(some)), at

    def _is_port(self, word: str, protocol: int | None) -> bool:
        return self.dialect.many_ports > 1 and (word.isdecimal() or word in self._ports.get(protocol or 0, {}))

    def _port(self, word: str, protocol: int | None) -> int:
        if _is_number(word, MAX_PORT):
            return int(word)
        found = self._ports.get(protocol or 0, {}).get(word)
        if found is None:
            raise Unclear(f"port {word!r} of protocol {protocol_text(protocol)}")
        return found

    def _icmp(self, words: list[str], at: int) -> tuple[Interval | None, int]:
        word = words[at]
        if word in ICMP_KINDS:
            return ICMP_KINDS[word], at + 1
        if not (word.isdecimal() and word.isascii()):
            return None, at
        kind = _octet(word, "ICMP type")
        if at + 1 < len(words) and words[at + 1].isdecimal() and words[at + 1].isascii():
            code = _octet(words[at + 1], "ICMP code")
            return (kind * 256 + code, kind * 256 + code), at + 2
        return (kind * 256, kind * 256 + MAX_OCTET), at + 1

    def _marks(
        self, words: list[str], at: int, protocol: int | None, known: tuple[str, ...] = ()
    ) -> tuple[bool, bool, bool]:
        """(established, fragments, log) from the last words of an entry."""
        seen: set[str] = set()
        for number, word in enumerate(words[at:], at + 1):
            if "log" in seen and number == len(words) and self.dialect.groups == "ios" and word not in NO_COOKIE:
                break  # a word of a person that the log shows beside the packet
            mark = "log" if word == "log-input" and self.dialect.groups == "ios" else word
            if mark not in (known or ("established", "fragments", "log")):
                raise Unclear(f"{word!r}")
            if mark in seen:
                raise Unclear(f"a second {mark!r}")
            if mark == "established" and protocol != TCP:
                raise Unclear(f"established of protocol {protocol_text(protocol)}")
            seen.add(mark)
        return "established" in seen, "fragments" in seen, "log" in seen

    # ---- members of groups ----------------------------------------------------------------

    def network_member(self, words: list[str]) -> tuple[str, Interval]:
        """A member of a network group: (normal form, addresses)."""
        dialect = self.dialect
        if words[0] == "any" and words[1:] == [] and dialect.groups == "ios":
            return "any", ANY.intervals[0]
        if words[0] == "host" and len(words) == 2:  # noqa: PLR2004 - and the address
            number = _address(words[1])
            return dialect.member(number, number), (number, number)
        if words[0] == "range" and len(words) == 3 and dialect.groups == "ios":  # noqa: PLR2004 - two addresses
            low, high = _address(words[1]), _address(words[2])
            if low > high:
                raise Unclear(f"range {words[1]} {words[2]}, which ends before it begins")
            return f"range {address_text(low)} {address_text(high)}", (low, high)
        if len(words) == 1 and "/" in words[0]:
            low, high = _prefix(words[0])
        elif len(words) == 2:  # noqa: PLR2004 - an address and a mask
            low, mask = _address(words[0]), _address(words[1])
            wildcard = MAX_ADDRESS ^ mask if dialect.groups == "ios" else mask
            intervals = wildcard_intervals(low, wildcard, 1)
            if intervals is None:
                raise Unclear(f"mask {words[1]}, which is no mask of a prefix")
            low, high = intervals[0]
        else:
            raise Unclear(f"member {' '.join(words)!r}")
        return dialect.member(low, high), (low, high)

    def service_member(self, words: list[str]) -> tuple[str, tuple[Match, ...]]:
        """A member of a service group of IOS: (normal form, what it matches)."""
        if words[0] == "tcp-udp":
            numbers: tuple[int | None, ...] = (TCP, UDP)
        elif words[0] in PROTOCOLS or words[0].isdecimal():
            numbers = (self._protocol(["", *words])[0],)
        else:
            raise Unclear(f"protocol {words[0]!r}")
        texts, found = [], []
        for number in numbers:
            match, text = self._service(words, number)
            found.append(match)
            texts.append(text)
        if len(set(texts)) > 1:
            raise Unclear(f"member {' '.join(words)!r}, whose port is another one for TCP than for UDP")
        return " ".join([words[0] if words[0] == "tcp-udp" else protocol_text(numbers[0]), texts[0]]).strip(), tuple(
            found
        )

    def _service(self, words: list[str], number: int | None) -> tuple[Match, str]:
        at, sports, dports = 1, None, None
        if number == ICMP and len(words) > 1:
            kind, at = self._icmp(words, at)
            if kind is None or at < len(words):
                raise Unclear(f"{words[min(at, len(words) - 1)]!r}")
            return Match(number, ALL_PORTS, (kind,), inside=True), icmp_text((kind,))
        if len(words) > 1 and number not in self.dialect.with_ports:
            raise Unclear(f"ports of protocol {protocol_text(number)}")
        if at < len(words) and words[at] == "source":
            if _word(words, at + 1, "an operator") not in OPERATORS:
                raise Unclear(f"{words[at + 1]!r}")
            sports, at = self.ports(words, at + 1, number)
        if at < len(words) and words[at] in OPERATORS:
            dports, at = self.ports(words, at, number)
        if at < len(words):
            raise Unclear(f"{words[at]!r}")
        text = " ".join([*(["source", port_text(sports)] if sports else []), *([port_text(dports)] if dports else [])])
        inside = sports is not None or dports is not None
        return Match(number, sports or ALL_PORTS, dports or ALL_PORTS, inside), text


def _word(words: list[str], at: int, what: str) -> str:
    if at >= len(words):
        raise Unclear(f"its end: {what} is missing")
    return words[at]


def _address(word: str) -> int:
    number = address_number(word)
    if number is None:
        raise Unclear(f"address {word!r}")
    return number


def _prefix(word: str) -> Interval:
    text, _, length = word.partition("/")
    if not _is_number(length, HOST_LENGTH):
        raise Unclear(f"prefix {word!r}")
    free = (1 << HOST_LENGTH - int(length)) - 1
    low = _address(text) & ~free & MAX_ADDRESS
    return low, low | free


def _octet(word: str, what: str) -> int:
    if not _is_number(word, MAX_OCTET):
        raise Unclear(f"{what} {word}")
    return int(word)


def _is_number(word: str, most: int) -> bool:
    """Whether a word is a number up to `most`, in the digits that devices write."""
    return word.isdecimal() and word.isascii() and len(word) <= len(str(MAX_PORT)) and int(word) <= most


def _without(ports: set[int]) -> list[Interval]:
    """All ports but some."""
    found, at = [], 0
    for port in sorted(ports):
        if at < port:
            found.append((at, port - 1))
        at = port + 1
    if at <= MAX_PORT:
        found.append((at, MAX_PORT))
    return found
