"""Access list entries of IOS, EOS, NX-OS and ASA as a twin reads them: words in, a matcher out, canonical words back.

This is a second reading of the languages on purpose: it shares no code with the platforms that render them, so that a
misreading on either side shows. A word that is not known is rejected with its place in the line, as the OS would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from toolkit.lab.twins.words import ICMP, PORTS, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TCP: Final = 6
EVERY: Final = -1
LAST: Final = 65535
ALL: Final = 0xFFFFFFFF
OPERATORS: Final = ("eq", "gt", "lt", "neq", "range")
GROUP_WORD: Final = {"ios": "object-group", "nxos": "addrgroup", "eos": "", "asa": "object-group"}
PORT_GROUP_WORD: Final = {"ios": "", "nxos": "portgroup", "eos": "", "asa": "object-group"}
MANY_PORTS: Final = {"ios": 10, "eos": 10, "nxos": 1, "asa": 1}  # values after one `eq`


class RejectedError(Exception):
    """A word that the OS does not take; `column` counts characters from the start of the line."""

    def __init__(self, column: int, *, incomplete: bool = False) -> None:
        super().__init__(f"column {column}")
        self.column = column
        self.incomplete = incomplete


@dataclass(frozen=True, slots=True)
class Address:
    """Addresses that an entry names: bits that must be equal, or a group."""

    value: int = 0
    care: int = 0
    group: str = ""

    def text(self, os: str) -> str:
        """As the OS prints it."""
        if self.group:
            kind, _, name = self.group.rpartition(" ")
            return f"{kind or GROUP_WORD[os]} {name}"
        if not self.care:
            return "any"
        if self.care == ALL:
            return f"{_dotted(self.value)}/32" if os == "nxos" else f"host {_dotted(self.value)}"
        length = _prefix_length(self.care)
        if length is not None and os in ("eos", "nxos"):
            return f"{_dotted(self.value)}/{length}"
        return f"{_dotted(self.value)} {_dotted(self.care if os == 'asa' else self.care ^ ALL)}"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that an entry names: an operator with its values, or a group; no operator means every port."""

    operator: str = ""
    values: tuple[int, ...] = ()
    group: str = ""

    def __contains__(self, port: int) -> bool:
        one = self.values[0] if self.values else 0
        match self.operator:
            case "eq":
                return port in self.values
            case "neq":
                return port not in self.values
            case "gt":
                return port > one
            case "lt":
                return port < one
            case "range":
                return one <= port <= self.values[1]
            case _:
                return True

    def text(self, os: str, protocol: int | None) -> str:
        """As the OS prints it, ports by their names."""
        if self.group:
            return f"{PORT_GROUP_WORD[os]} {self.group}"
        names = {number: name for name, number in PORTS[os].get(protocol or 0, {}).items()}
        return " ".join([self.operator, *(names.get(value, str(value)) for value in self.values)])

    @property
    def any(self) -> bool:
        """Whether every port is meant."""
        return not self.operator and not self.group


@dataclass(frozen=True, slots=True)
class Ace:
    """One entry. `protocol` is None for every IP protocol; `service` names a group that stands for it."""

    permit: bool
    protocol: int | None
    source: Address
    source_ports: Ports
    destination: Address
    destination_ports: Ports
    service: str = ""
    icmp: tuple[int, int | None] | None = None
    established: bool = False
    fragments: bool = False
    extra: tuple[str, ...] = ()  # log and what belongs to it
    inactive: bool = False

    @property
    def looks_at_ports(self) -> bool:
        """Whether it needs what only the first fragment of a packet carries."""
        ports = not (self.source_ports.any and self.destination_ports.any)
        return ports or self.established or self.icmp is not None or bool(self.service)

    def text(self, os: str) -> str:
        """As the OS prints it in its running configuration."""
        words = ["permit" if self.permit else "deny", self._protocol_text()]
        for address, ports in ((self.source, self.source_ports), (self.destination, self.destination_ports)):
            words.append(address.text(os))
            if not ports.any:
                words.append(ports.text(os, self.protocol))
        if self.icmp is not None:
            names = {pair: name for name, pair in ICMP.items()}
            kind, code = self.icmp
            numbers = f"{kind}" if code is None else f"{kind} {code}"
            words.append(names.get(self.icmp, numbers))
        words += ["established"] * self.established + ["fragments"] * self.fragments + list(self.extra)
        words += ["inactive"] * self.inactive
        return " ".join(words)

    def _protocol_text(self) -> str:
        if self.service:
            return self.service
        names = {number: name for name, number in PROTOCOLS.items()}
        return "ip" if self.protocol is None else names.get(self.protocol, str(self.protocol))


class Words:
    """A line being read word by word."""

    def __init__(self, line: str, start: int = 0) -> None:
        self.line = line
        self.words: list[tuple[str, int]] = []
        at = start
        for word in line[start:].split():
            at = line.index(word, at)
            self.words.append((word, at))
            at += len(word)
        self.at = 0

    @property
    def next(self) -> str:
        """The next word, empty at the end."""
        return self.words[self.at][0] if self.at < len(self.words) else ""

    @property
    def after(self) -> str:
        """The word after the next, empty at the end."""
        return self.words[self.at + 1][0] if self.at + 1 < len(self.words) else ""

    def take(self) -> str:
        """Go on to the word after the next, and return the next."""
        if self.at >= len(self.words):
            raise RejectedError(len(self.line), incomplete=True)
        self.at += 1
        return self.words[self.at - 1][0]

    def reject(self) -> RejectedError:
        """The word that was taken last is wrong."""
        return RejectedError(self.words[max(self.at - 1, 0)][1] if self.words else 0)

    def convert(self, reader: Callable[[str], int | None]) -> int:
        """The next word, read."""
        found = reader(self.take())
        if found is None:
            raise self.reject()
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self.next:
            self.take()
            raise self.reject()


def read_ace(words: Words, os: str, kinds: Mapping[str, str]) -> Ace:
    """Read an entry from its action on; `kinds` says of each group whether it is a network or a service.

    Raises:
        RejectedError: a word that this OS does not take here.
    """
    action = words.take()
    if action not in ("permit", "deny"):
        raise words.reject()
    service, protocol = "", None
    if words.next in ("object-group", "object") and os in ("ios", "asa"):
        service = f"{words.take()} {words.take()}"
    else:
        protocol = words.convert(_protocol)
    number = None if protocol == EVERY else protocol
    source = read_address(words, os)
    source_ports = _ports(words, os, number, kinds)
    destination = read_address(words, os)
    destination_ports = _ports(words, os, number, kinds)
    icmp = _icmp(words) if number == 1 else None
    ace = Ace(action == "permit", number, source, source_ports, destination, destination_ports, service, icmp)
    return _options(words, os, ace)


def read_address(words: Words, os: str) -> Address:
    """Read `any`, `host A`, a prefix, an address with its mask or a group, as far as the OS has them."""
    word = words.take()
    if word == "any" or (word == "any4" and os == "asa"):
        return Address()
    if word == "host":
        return Address(words.convert(dotted), ALL)
    if word == GROUP_WORD[os] or (word == "object" and os == "asa"):
        return Address(group=f"{word} {words.take()}")
    if "/" in word and os in ("eos", "nxos"):
        base, _, length = word.partition("/")
        value = dotted(base)
        if value is None or not length.isdecimal() or int(length) > 32:  # noqa: PLR2004 - bits of an address
            raise words.reject()
        care = (ALL << (32 - int(length))) & ALL
        return Address(value & care, care)
    value = dotted(word)
    if value is None:
        raise words.reject()
    mask = words.convert(dotted)
    care = mask if os == "asa" else mask ^ ALL
    if os == "asa" and _prefix_length(care) is None:
        raise words.reject()
    return Address(value & care, care)


def read_port(word: str, os: str, protocol: int | None) -> int | None:
    """A port by number or by the OS's name for it."""
    if word.isdecimal():
        return int(word) if int(word) <= LAST else None
    tables = PORTS[os]
    if protocol is None:
        return tables[6].get(word, tables[17].get(word))
    return tables.get(protocol, {}).get(word)


def read_operator(words: Words, os: str, protocol: int | None) -> Ports:
    """Read an operator with its values."""
    operator = words.take()
    if operator not in OPERATORS:
        raise words.reject()

    def port(word: str) -> int | None:
        return read_port(word, os, protocol)

    values = [words.convert(port)]
    if operator == "range":
        values.append(words.convert(port))
        if values[0] > values[1]:
            raise words.reject()
    while operator in ("eq", "neq") and words.next and port(words.next) is not None:
        values.append(words.convert(port))
        if len(values) > MANY_PORTS[os]:
            raise words.reject()
    return Ports(operator, tuple(values))


def dotted(word: str) -> int | None:
    """An IPv4 address as a number."""
    parts = word.split(".")
    if len(parts) != 4 or not all(one.isdecimal() and len(one) <= 3 and int(one) <= 255 for one in parts):  # noqa: PLR2004
        return None
    a, b, c, d = map(int, parts)
    return a << 24 | b << 16 | c << 8 | d


def _dotted(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _prefix_length(care: int) -> int | None:
    ones = care.bit_count()
    return ones if care == (ALL << (32 - ones)) & ALL else None


def _protocol(word: str) -> int | None:
    """Number of a protocol, -1 for every one, None where it is none."""
    if word == "ip":
        return EVERY
    if word.isdecimal():
        return int(word) if int(word) <= 255 else None  # noqa: PLR2004 - a byte
    return PROTOCOLS.get(word)


def _ports(words: Words, os: str, protocol: int | None, kinds: Mapping[str, str]) -> Ports:
    if protocol not in (6, 17):
        return Ports()
    if words.next in OPERATORS:
        return read_operator(words, os, protocol)
    # On an ASA `object-group` begins ports or the next address alike, and the kind of the group decides.
    if words.next and words.next == PORT_GROUP_WORD[os] and kinds.get(words.after) == "service":
        words.take()
        return Ports(group=words.take())
    return Ports()


def _icmp(words: Words) -> tuple[int, int | None] | None:
    word = words.next
    if word in ICMP:
        words.take()
        return ICMP[word]
    if not word.isdecimal():
        return None
    kind = int(words.take())
    code = int(words.take()) if words.next.isdecimal() else None
    if kind > 255 or (code or 0) > 255:  # noqa: PLR2004 - bytes
        raise words.reject()
    return kind, code


def _options(words: Words, os: str, ace: Ace) -> Ace:
    """Read what may follow the addresses, to the end of the line."""
    while words.next:
        word = words.take()
        if word == "established" and ace.protocol == TCP and os != "asa" and not ace.established:
            ace = replace(ace, established=True)
        elif word == "fragments" and os != "asa" and not ace.fragments:
            ace = replace(ace, fragments=True)
        elif word == "inactive" and os == "asa" and not ace.inactive:
            ace = replace(ace, inactive=True)
        elif word in ("log", "log-input") and not ace.extra and (word == "log" or os == "ios"):
            ace = replace(ace, extra=(word, *_log(words, os)))
        else:
            raise words.reject()
    return ace


def _log(words: Words, os: str) -> tuple[str, ...]:
    """What may follow `log` on an ASA: a level and an interval."""
    found: list[str] = []
    levels = ("disable", "informational", "warnings", "notifications", "errors", "critical", "alerts", "debugging")
    if os == "asa" and (words.next in (*levels, "default") or words.next.isdecimal()):
        found.append(words.take())
    if os == "asa" and words.next == "interval":
        found += [words.take(), words.take()]
    return tuple(found)
