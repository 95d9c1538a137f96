"""What an ASA list does to IPv4 packets: entries, objects and groups, read strictly; masks are network masks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import ConfigError
from toolkit.net import ICMP, MAX_OCTET, MAX_PORT, SCTP, TCP, UDP, WITH_PORTS, Action
from toolkit.packets import FULL, NOT_FRAGMENT
from toolkit.platforms._asa_names import ICMP_TYPES, PROTOCOLS, TCP_PORTS, UDP_PORTS
from toolkit.platforms._rules import Rule, merged, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.errors import Place
    from toolkit.platforms._asa_text import Line, Words
    from toolkit.platforms._rules import Intervals

    Objects = Mapping[tuple[str, str], tuple[Line, ...]]

PORTS: Final[dict[int, dict[str, int]]] = {TCP: TCP_PORTS, UDP: UDP_PORTS, SCTP: {}}
OPERATORS: Final = ("eq", "neq", "lt", "gt", "range")
ANY: Final[Intervals] = (FULL[1],)
TRANSPORTS: Final = {"tcp": (TCP,), "udp": (UDP,), "tcp-udp": (TCP, UDP)}
DEEPEST: Final = 20  # groups within groups


class Service(NamedTuple):
    """A protocol (None: every one) with source ports and destination ports or ICMP kinds; None: no condition."""

    protocol: int | None
    sport: Intervals | None = None
    dport: Intervals | None = None


class Reader:
    """Reads lists of one configuration; what was read of an address or a group before is looked up."""

    def __init__(self, objects: Objects, names: Mapping[str, str]) -> None:
        self.objects = objects
        self.names = names  # that stand for addresses
        self._addresses: dict[tuple[str, str], Intervals] = {}

    def rules(self, name: str, lines: tuple[Line, ...]) -> tuple[Rule, ...]:
        """The rules of a list; remarks and inactive entries decide nothing.

        Raises:
            ConfigError: an entry is not understood.
        """
        return tuple(rule for line in lines for rule in self._entry(name, line))

    def _entry(self, name: str, line: Line) -> Iterator[Rule]:
        words = line.words
        if words[0] == "remark" or words[-1] == "inactive":
            return  # whatever an inactive entry asks for, it decides nothing
        if words[0] != "extended" or len(words) < 5 or words[1] not in ("permit", "deny"):  # noqa: PLR2004
            raise _unclear(line, "is no extended entry")
        entry = _Entry(self, line)
        text, place = f"access-list {name} {' '.join(words)}", str(line.place)
        for rule in entry.read():
            yield replace(rule, text=text, place=place)

    # ---- addresses ------------------------------------------------------------------------

    def network(self, kind: str, name: str, line: Line, depth: int = 0) -> Intervals:
        """Addresses of an object or a group.

        Raises:
            ConfigError: there is none, or a member is not understood.
        """
        key = (kind, name)
        if key not in self._addresses:
            if key not in self.objects or depth > DEEPEST:
                raise _unclear(line, f"names {kind} {name}, which is not there")
            found = [one for member in self.objects[key] for one in self._member(member, depth)]
            if not found:
                raise _unclear(line, f"names {kind} {name}, which is empty")
            self._addresses[key] = merged(one for one in found if one is not None)
        return self._addresses[key]

    def _member(self, line: Line, depth: int) -> Iterator[tuple[int, int] | None]:
        """Intervals of one line of a network object or group; None for an IPv6 member, which holds no IPv4."""
        match line.words:
            case ("host", host) | ("network-object", "host", host):
                yield None if ":" in host else self.host(host, line.place)
            case ("subnet", prefix) | ("network-object", prefix) if ":" in prefix:
                yield None
            case ("subnet", address, mask) | ("network-object", address, mask) if address != "object":
                yield _masked(self.names.get(address, address), mask, line.place)
            case ("range", low, high):
                first, last = self.host(low, line.place)[0], self.host(high, line.place)[0]
                if first > last:
                    raise _unclear(line, "is no range")
                yield first, last
            case ("network-object", "object", name):
                yield from self.network("object network", name, line, depth + 1)
            case ("group-object", name):
                yield from self.network("object-group network", name, line, depth + 1)
            case _:
                raise _unclear(line, "is not understood")

    def host(self, text: str, place: Place) -> tuple[int, int]:
        """One address, or the name that a person gave it.

        Raises:
            ConfigError: it is neither.
        """
        return _host(self.names.get(text, text), place)

    # ---- services -------------------------------------------------------------------------

    def services(self, kind: str, name: str, line: Line, depth: int = 0) -> list[Service]:
        """Alternatives of a service object, or of a group of services, protocols or ICMP types.

        Raises:
            ConfigError: there is none, or a member is not understood.
        """
        if (kind, name) not in self.objects or depth > DEEPEST:
            raise _unclear(line, f"names {kind} {name}, which is not there")
        lines = self.objects[kind, name]
        transport: tuple[int, ...] = ()
        if lines and lines[0].words[0] == "transport":
            transport = TRANSPORTS.get(" ".join(lines[0].words[1:]), ())
            if not transport:
                raise _unclear(lines[0], "is not understood")
            lines = lines[1:]
        found = [one for member in lines for one in self._service(kind, member, transport, depth)]
        if not found:
            raise _unclear(line, f"names {kind} {name}, which is empty")
        return found

    def _service(self, kind: str, line: Line, transport: tuple[int, ...], depth: int) -> Iterator[Service]:
        match line.words:
            case ("group-object", name):
                yield from self.services(kind, name, line, depth + 1)
            case ("service-object", "object", name):
                yield from self.services("object service", name, line, depth + 1)
            case ("protocol-object", name):
                yield Service(protocol(name, line))
            case ("icmp-object", name):
                yield Service(ICMP, None, _kinds((name,), line))
            case ("port-object", *rest) if transport:
                for number in transport:
                    ports, left = ports_at(tuple(rest), 0, number, line)
                    if ports is None or left != len(rest):
                        raise _unclear(line, "is not understood")
                    yield Service(number, None, ports)
            case ("service", name, *rest) | ("service-object", name, *rest):
                for one in TRANSPORTS.get(name) or (protocol(name, line),):
                    yield self._transport(one, tuple(rest), line)
            case _:
                raise _unclear(line, "is not understood")

    def _transport(self, number: int | None, rest: Words, line: Line) -> Service:
        """`source ...` and `destination ...` behind a protocol; ports without a word are the destination's."""
        if number == ICMP and rest:
            return Service(number, None, _kinds(rest, line))
        found: dict[str, Intervals | None] = {"source": None, "destination": None}
        at = 0
        while at < len(rest):
            side = rest[at] if rest[at] in found else "destination"
            at += rest[at] in found
            ports, behind = ports_at(rest, at, number, line)
            if ports is None or found[side] is not None:
                raise _unclear(line, "is not understood")
            found[side], at = ports, behind
        return Service(number, found["source"], found["destination"])


class _Entry:
    """One entry, read word by word."""

    def __init__(self, reader: Reader, line: Line) -> None:
        self.reader = reader
        self.line = line
        self.words = line.words
        self.at = 2
        self.action = Action(line.words[1])

    def read(self) -> list[Rule]:
        """The rules it stands for; none where it is inactive, or about IPv6 only."""
        services, exact = self._protocol()
        source = self._address()
        sports = self._ports(services) if exact else None
        destination = self._address()
        dports = self._ports(services) if exact else None
        if exact and services == [Service(ICMP)]:
            dports = self._icmp()
        inactive = self._trailer()
        if inactive or source is None or destination is None:
            return []
        if exact:
            services = [
                Service(one.protocol, s, d)
                for one in services
                for s in (sports or {None: None}).values()
                for d in (dports or {None: None}).values()
            ]
        return [self._rule(one, source, destination) for one in services]

    def _rule(self, one: Service, source: Intervals, destination: Intervals) -> Rule:
        inside = one.sport is not None or one.dport is not None
        return Rule(
            self.action,
            (FULL[0],) if one.protocol is None else ((one.protocol, one.protocol),),
            destination,
            source,
            (FULL[3],) if one.dport is None else one.dport,
            (FULL[4],) if one.sport is None else one.sport,
            (NOT_FRAGMENT if inside else FULL[5],),
        )

    def _next(self) -> str:
        if self.at >= len(self.words):
            raise _unclear(self.line, "ends too early")
        self.at += 1
        return self.words[self.at - 1]

    def _kind(self, name: str, kinds: tuple[str, ...]) -> str | None:
        return next((kind for kind in kinds if (kind, name) in self.reader.objects), None)

    def _protocol(self) -> tuple[list[Service], bool]:
        """(services, whether ports may follow): objects and groups of services hold their own ports."""
        word = self._next()
        if word in OBJECT_KINDS:
            name = self._next()
            kind = self._kind(name, OBJECT_KINDS[word])
            if kind is None:
                raise _unclear(self.line, f"names {word} {name}, which is not there")
            return self.reader.services(kind, name, self.line), kind == "object-group protocol"
        return [Service(protocol(word, self.line))], True

    def _address(self) -> Intervals | None:
        """Addresses; None for an IPv6 end."""
        word = self._next()
        if word in ("any", "any4"):
            return ANY
        if word == "any6" or ":" in word:
            return None
        if word == "host":
            return (self.reader.host(self._next(), self.line.place),)
        if word in ("object", "object-group"):
            return self.reader.network(f"{word} network", self._next(), self.line)
        return (_masked(self.reader.names.get(word, word), self._next(), self.line.place),)

    def _ports(self, services: list[Service]) -> dict[object, Intervals | None] | None:
        """Ports behind an address: an operator, or a group of services; None where there are none."""
        word, name = (*self.words[self.at : self.at + 2], "", "")[:2]
        numbers = [one.protocol for one in services]
        if word in OPERATORS:
            found = {ports_at(self.words, self.at, number, self.line) for number in numbers}
            if len(found) != 1:
                raise _unclear(self.line, "names a port that its protocols do not share")
            ((ports, self.at),) = found
            return {0: ports}
        if word != "object-group" or ("object-group service", name) not in self.reader.objects:
            return None
        self.at += 2
        group = self.reader.services("object-group service", name, self.line)
        mine = [tuple(one.dport for one in group if one.protocol == number) for number in numbers]
        if not WITH_PORTS.issuperset(numbers) or len(set(mine)) != 1 or not mine[0] or any(one.sport for one in group):
            raise _unclear(self.line, f"uses group {name} in a way that is not understood")
        return dict(enumerate(mine[0]))

    def _icmp(self) -> dict[object, Intervals | None] | None:
        if self.at >= len(self.words):
            return None
        word = self.words[self.at]
        if word == "object-group":
            name = self.words[self.at + 1] if self.at + 1 < len(self.words) else ""
            self.at += 2
            found = self.reader.services("object-group icmp-type", name, self.line)
            return dict(enumerate(one.dport for one in found))
        if word not in ICMP_TYPES and not word.isdecimal():
            return None
        code = self.words[self.at + 1 : self.at + 2]
        length = 2 if code and code[0].isdecimal() else 1
        kinds = _kinds(self.words[self.at : self.at + length], self.line)
        self.at += length
        return {0: kinds}

    def _trailer(self) -> bool:
        """`log` with its settings and `inactive`; anything else behind the addresses is not understood."""
        inactive = False
        rest = list(self.words[self.at :])
        while rest:
            word = rest.pop(0)
            if word == "inactive":
                inactive = True
            elif word == "log":
                if rest and (rest[0].isdecimal() or rest[0] in LOG_LEVELS):
                    rest.pop(0)
                if rest[:1] == ["interval"] and len(rest) > 1 and rest[1].isdecimal():
                    del rest[:2]
            else:
                raise _unclear(self.line, f"holds {word!r}, which is not understood")
        return inactive


OBJECT_KINDS: Final = {
    "object": ("object service",),
    "object-group": ("object-group service", "object-group protocol"),
}
LOG_LEVELS: Final = (
    *("alerts", "critical", "debugging", "default", "disable", "emergencies", "errors", "informational"),
    *("notifications", "warnings"),
)


def protocol(word: str, line: Line) -> int | None:
    """Number of a protocol's name; None for `ip`.

    Raises:
        ConfigError: it is neither a name nor a number.
    """
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if _is_number(word, MAX_OCTET):
        return int(word)
    raise _unclear(line, f"names protocol {word!r}, which is not known")


def ports_at(words: Words, at: int, number: int | None, line: Line) -> tuple[Intervals | None, int]:
    """Ports that an operator at `at` selects, and where the words go on; None where there is no operator.

    Raises:
        ConfigError: a port is not known, or the protocol has none.
    """
    operator = words[at] if at < len(words) else ""
    if operator not in OPERATORS:
        return None, at
    if number not in WITH_PORTS:
        raise _unclear(line, "asks for ports of a protocol that has none")
    count = 2 if operator == "range" else 1
    named = [_port(word, PORTS[number], line) for word in words[at + 1 : at + 1 + count]]
    if len(named) != count or named[0] > named[-1]:
        raise _unclear(line, f"has no ports behind {operator}")
    low, high = named[0], named[-1]
    full = FULL[3]
    found = {
        "eq": ((low, low),),
        "range": ((low, high),),
        "neq": without([(low, low)], full),
        "lt": without([(low, MAX_PORT)], full),
        "gt": without([(0, low)], full),
    }[operator]
    return found, at + 1 + count


def _port(word: str, names: Mapping[str, int], line: Line) -> int:
    if word in names:
        return names[word]
    if _is_number(word, MAX_PORT):
        return int(word)
    raise _unclear(line, f"names port {word!r}, which is not known")


def _kinds(words: Words, line: Line) -> Intervals:
    """ICMP type, or type and code, as intervals of type * 256 + code."""
    number = ICMP_TYPES.get(words[0], int(words[0]) if _is_number(words[0], MAX_OCTET) else MAX_OCTET + 1)
    code = int(words[1]) if len(words) == 2 and _is_number(words[1], MAX_OCTET) else None  # noqa: PLR2004
    if number > MAX_OCTET or len(words) > 2 or (len(words) == 2 and code is None):  # noqa: PLR2004
        raise _unclear(line, f"names ICMP type {' '.join(words)!r}, which is not known")
    first = number * 256
    return ((first, first + MAX_OCTET) if code is None else (first + code, first + code),)


def _is_number(word: str, most: int) -> bool:
    """Whether a word is a number up to `most`, in the digits that devices write."""
    return word.isdecimal() and word.isascii() and len(word) <= len(str(MAX_PORT)) and int(word) <= most


def _host(text: str, place: Place) -> tuple[int, int]:
    try:
        number = int(IPv4Address(text))
    except (AddressValueError, ValueError):
        raise ConfigError(f"{text!r} is no IPv4 address", place=place) from None
    return number, number


def _masked(address: str, mask: str, place: Place) -> tuple[int, int]:
    """An address with a network mask: ones, then zeros; a wildcard mask is refused."""
    try:
        bits = int(IPv4Address(mask))
        if (~bits & 0xFFFFFFFF) & ((~bits & 0xFFFFFFFF) + 1):
            raise NetmaskValueError  # noqa: TRY301
        network = IPv4Network((address, bits.bit_count()))
    except (AddressValueError, NetmaskValueError, ValueError):
        message = f"'{address} {mask}' is no network with its mask (ones, then zeros; no bits set behind it)"
        raise ConfigError(message, place=place) from None
    return int(network.network_address), int(network.broadcast_address)


def _unclear(line: Line, what: str) -> ConfigError:
    return ConfigError(f"{' '.join(line.words)[:80]!r} {what}", place=line.place)
