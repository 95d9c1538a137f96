"""An ASA's running configuration as a value: interfaces with their levels, objects, lists, and where they are bound.

Commands that do not filter are known by their heads; every other one is read, or is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import ConfigError, Place
from toolkit.platforms._asa_names import IGNORED, INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterator

Words = tuple[str, ...]
GLOBAL: Final = ("", "global")
MOST: Final = 100  # the highest security level
OBJECTS: Final = ("object", "object-group")
# A prompt that somebody copied with the configuration.
PROMPT: Final = re.compile(r"[A-Za-z0-9][\w./-]*[#>] ?((sh|show) run\S*|exit)?")
NAT_INTERFACES: Final = re.compile(r"\(([^,()]+),([^,()]+)\)")
NAT_HARMLESS: Final = ("no-proxy-arp", "route-lookup", "dns", "unidirectional", "inactive")


class Line(NamedTuple):
    """Words with the place where they were read."""

    words: Words
    place: Place


class Level(NamedTuple):
    """An interface that has a name: its hardware, its security level, whether it speaks IPv6, and where it stands.

    `unfit` is the line that makes it no ordinary routed interface, where there is one.
    """

    hardware: str
    level: int
    ipv6: bool = False
    unfit: Line | None = None


class Nat(NamedTuple):
    """A translation that changes the destinations that a list sees, between the real and the mapped interface."""

    line: Line
    real: str
    mapped: str
    both: bool  # whether packets that enter by the real interface are among them


@dataclass(frozen=True, slots=True)
class Config:
    """What decides packets. `bound` maps (nameif, `in` or `out`), or `GLOBAL`, to a list's name and the place.

    `objects` maps (head, name) such as (`object-group network`, `WEB`) to the lines below it. `icmp` tells whether
    ICMP is inspected, so that an answer is part of a connection. `names` are the addresses that a person named.
    `reverse` are the interfaces that take a packet only where its source is routed back.
    """

    interfaces: dict[str, Level] = field(default_factory=dict)
    objects: dict[tuple[str, str], tuple[Line, ...]] = field(default_factory=dict)
    lists: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    bound: dict[tuple[str, str], tuple[str, Place]] = field(default_factory=dict)
    inter: bool = False
    intra: bool = False
    icmp: bool = False
    names: dict[str, str] = field(default_factory=dict)
    nats: tuple[Nat, ...] = ()
    reverse: frozenset[str] = frozenset()


def apply_script(text: str, file: str, before: Config) -> Config:
    """The configuration after lines as an ASA shows or takes them, on top of another.

    Raises:
        ConfigError: a line is not understood.
    """
    reader = _Reader(before)
    for head, body in _blocks(text, file):
        reader.take(head, body)
    return reader.result()


def _blocks(text: str, file: str) -> Iterator[tuple[Line, tuple[Line, ...]]]:
    """Each command with the indented lines below it; deeper lines belong to the same command."""
    head: Line | None = None
    body: list[Line] = []
    # Only a newline ends a line of a device: others may stand in a remark.
    for number, raw in enumerate(text.split("\n"), 1):
        if not raw.strip() or PROMPT.fullmatch(raw.strip()):
            continue
        line = Line(tuple(raw.split()), Place(file, number))
        if raw[0].isspace() and head is not None:
            body.append(line)
            continue
        if head is not None:
            yield head, tuple(body)
        head, body = line, []
    if head is not None:
        yield head, tuple(body)


class _Reader:
    """A configuration that takes one command after the other."""

    def __init__(self, before: Config) -> None:
        self.before = before
        self.interfaces = dict(before.interfaces)
        self.objects = dict(before.objects)
        self.lists = {name: list(lines) for name, lines in before.lists.items()}
        self.bound = dict(before.bound)
        self.flags = {"inter-interface": before.inter, "intra-interface": before.intra}
        self.icmp = before.icmp
        self.names = dict(before.names)
        self.nats = list(before.nats)
        self.reverse = set(before.reverse)
        self.inspecting: set[str] = set()
        self.known: dict[str, set[Words]] = {}  # entries of each list that was added to
        self.handlers = {
            "access-group": self._group,
            "access-list": self._list,
            "clear": self._clear,
            "fragment": self._fragment,
            "interface": self._interface,
            "ip": self._ip,
            "name": self._name,
            "nat": self._nat,
            "no": self._no,
            "object": self._object,
            "object-group": self._object,
            "policy-map": self._policy_map,
            "same-security-traffic": self._same_security,
            "service-policy": self._service_policy,
        }

    def result(self) -> Config:
        """What was read."""
        lists = {name: tuple(lines) for name, lines in self.lists.items()}
        flags = self.flags
        return replace(
            self.before,
            interfaces=self.interfaces,
            objects=self.objects,
            lists=lists,
            bound=self.bound,
            inter=flags["inter-interface"],
            intra=flags["intra-interface"],
            icmp=self.icmp,
            names=self.names,
            nats=tuple(self.nats),
            reverse=frozenset(self.reverse),
        )

    def take(self, head: Line, body: tuple[Line, ...]) -> None:
        """Take one command.

        Raises:
            ConfigError: it is not understood.
        """
        word = head.words[0]
        if word in self.handlers:
            self.handlers[word](head, body)
        elif word.partition(":")[0] not in IGNORED and word[0] not in ":!":
            raise _unclear(head, "is not known")

    def _list(self, head: Line, _: tuple[Line, ...]) -> None:
        words = head.words
        if words[1:2] and words[1] in ("deny-flow-max", "alert-interval"):
            return
        name, rest = words[1:2], words[2:]
        at = None
        if rest[:1] == ("line",) and len(rest) > 2 and rest[1].isdecimal():  # noqa: PLR2004 - the entry itself
            at, rest = int(rest[1]) - 1, rest[2:]
        if not name or len(rest) < 2:  # noqa: PLR2004 - a kind and an entry
            raise _unclear(head, "is no list entry")
        lines = self.lists.setdefault(name[0], [])
        known = self.known.get(name[0])
        if known is None:
            known = self.known[name[0]] = {line.words for line in lines}
        if rest[0] == "remark" or rest not in known:  # the device takes an entry once
            known.add(rest)
            lines.insert(len(lines) if at is None else at, Line(rest, head.place))

    def _group(self, head: Line, _: tuple[Line, ...]) -> None:
        key = _bind_point(head)
        if key is not None:
            self.bound[key] = head.words[1], head.place

    def _clear(self, head: Line, _: tuple[Line, ...]) -> None:
        if head.words[1:3] != ("configure", "access-list") or len(head.words) != 4:  # noqa: PLR2004 - and a name
            raise _unclear(head, "is not understood")
        self.lists.pop(head.words[3], None)
        self.known.pop(head.words[3], None)
        self.bound = {key: value for key, value in self.bound.items() if value[0] != head.words[3]}

    def _no(self, head: Line, _: tuple[Line, ...]) -> None:
        inner = Line(head.words[1:], head.place)
        word = inner.words[0] if inner.words else ""
        if word == "access-group":
            key = _bind_point(inner)
            if key is not None:
                self.bound.pop(key, None)
        elif word == "access-list" and len(inner.words) > 3:  # noqa: PLR2004 - a name and an entry
            lines = self.lists.get(inner.words[1], [])
            self.known.pop(inner.words[1], None)
            self.lists[inner.words[1]] = [one for one in lines if one.words != inner.words[2:]]
        elif word in OBJECTS and len(inner.words) > 2:  # noqa: PLR2004 - a kind and a name
            self.objects.pop((" ".join(inner.words[:2]), inner.words[2]), None)
        elif word == "same-security-traffic":
            self._same_security(inner, (), on=False)
        elif word not in IGNORED:
            raise _unclear(head, "is not understood")

    def _object(self, head: Line, body: tuple[Line, ...]) -> None:
        words = head.words
        if len(words) < 3:  # noqa: PLR2004 - a kind and a name
            raise _unclear(head, "has no name")
        key = (" ".join(words[:2]), words[2])
        nats = [line for line in body if line.words[0] == "nat"]
        for line in nats:
            self._nat(line, ())
        # Services for one transport carry it behind the name.
        typed = (Line(("transport", *words[3:]), head.place),) if words[3:] else ()
        # An object holds one thing: what defines it again takes the place of what did.
        defined = any(line.words[0] not in ("nat", "description", "no") for line in body)
        kept = list(typed) if words[0] == "object" and defined else list(self.objects.get(key, typed))
        for line in body:
            if line.words[0] == "no":
                kept = [one for one in kept if one.words != line.words[1:]]
            elif line.words[0] not in ("nat", "description") and all(one.words != line.words for one in kept):
                kept.append(line)
        if kept or not nats:
            self.objects[key] = tuple(kept)

    def _nat(self, head: Line, _: tuple[Line, ...]) -> None:
        """Sources that are translated on their way out leave the addresses that a list sees; others do not.

        A list sees real addresses. A packet to a mapped address has another destination than the list sees: it enters
        by the mapped interface, or by the real one where destinations are translated as well. What is translated to
        itself stays what it is.
        """
        words = head.words[1:]
        pair = NAT_INTERFACES.fullmatch(words[0]) if words else None
        words = words[1:] if pair else words
        changes = _changes(tuple(word for word in words if word not in ("after-auto", "auto") and not word.isdecimal()))
        if "inactive" in words or not any(changes):
            return
        real, mapped = (pair[1], pair[2]) if pair else ("any", "any")
        self.nats.append(Nat(head, real, mapped, changes[1]))

    def _interface(self, head: Line, body: tuple[Line, ...]) -> None:
        name, level, ipv6 = "", None, False
        unfit: Line | None = None
        for line in body:
            word = line.words[0]
            if word == "nameif" and len(line.words) == 2:  # noqa: PLR2004
                name = line.words[1]
            elif word == "security-level":
                level = _level(line)
            elif word == "ipv6":
                ipv6 = True
            elif word in ("management-only", "bridge-group", "zone-member"):
                unfit = line
            elif word not in INTERFACE:
                unfit = unfit or line
        if name:
            default = MOST if name == "inside" else 0
            self.interfaces[name] = Level(head.words[1], default if level is None else level, ipv6, unfit)

    def _ip(self, head: Line, _: tuple[Line, ...]) -> None:
        """Pools are for tunnels; a check of the reverse path drops packets."""
        if head.words[1:4] == ("verify", "reverse-path", "interface") and len(head.words) == 5:  # noqa: PLR2004
            self.reverse.add(head.words[4])
        elif head.words[1:2] not in (("local",), ("audit",)):
            raise _unclear(head, "is not understood")

    def _fragment(self, head: Line, _: tuple[Line, ...]) -> None:
        """How many fragments are kept for reassembly; with one, no fragmented packet passes."""
        if head.words[1:3] == ("chain", "1"):
            raise _unclear(head, "is not understood: it drops every packet that comes in fragments")

    def _name(self, head: Line, _: tuple[Line, ...]) -> None:
        """`name 10.0.0.1 web description ...`: the device then shows the name wherever the address stands."""
        if len(head.words) < 3:  # noqa: PLR2004 - an address and a name
            raise _unclear(head, "is not understood")
        self.names[head.words[2]] = head.words[1]

    def _policy_map(self, head: Line, body: tuple[Line, ...]) -> None:
        if any(line.words == ("inspect", "icmp") for line in body):
            self.inspecting.add(head.words[-1])

    def _service_policy(self, head: Line, _: tuple[Line, ...]) -> None:
        if head.words[2:3] == ("global",) and head.words[1] in self.inspecting:
            self.icmp = True

    def _same_security(self, head: Line, _: tuple[Line, ...], *, on: bool = True) -> None:
        if len(head.words) != 3 or head.words[1] != "permit" or head.words[2] not in self.flags:  # noqa: PLR2004
            raise _unclear(head, "is not understood")
        self.flags[head.words[2]] = on


def _changes(words: Words) -> tuple[bool, bool]:
    """(whether packets to a mapped source, whether packets to a mapped destination lose the address that they had)."""
    rest = words[1:] if words[:1] == ("source",) else words
    source = rest[:1] != ("dynamic",) and (len(rest) < 3 or words[:1] != ("source",) or rest[1] != rest[2])  # noqa: PLR2004
    behind = rest[rest.index("destination") :] if "destination" in rest else ()
    destination = bool(behind) and (len(behind) < 4 or behind[1] != "static" or behind[2] != behind[3])  # noqa: PLR2004
    if "service" in rest:
        at = rest.index("service")
        same = len(rest) > at + 2 and rest[at + 1] == rest[at + 2]
        source, destination = source or not same, destination or not same
    return source, destination


def _bind_point(head: Line) -> tuple[str, str] | None:
    """Where an access-group binds; None for what the device itself receives."""
    rest = head.words[2:]
    if rest == ("global",):
        return GLOBAL
    if len(rest) == 4 and rest[1] == "interface" and rest[3] == "control-plane":  # noqa: PLR2004
        return None
    if len(rest) != 3 or rest[0] not in ("in", "out") or rest[1] != "interface":  # noqa: PLR2004
        raise _unclear(head, "is not understood")
    return rest[2], rest[0]


def _level(line: Line) -> int:
    text = line.words[1] if len(line.words) == 2 else ""  # noqa: PLR2004
    if not text.isdecimal() or int(text) > MOST:
        raise _unclear(line, "is no security level")
    return int(text)


def _unclear(line: Line, what: str) -> ConfigError:
    return ConfigError(f"{' '.join(line.words)[:80]!r} {what}", place=line.place)
