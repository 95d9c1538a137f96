"""A Junos configuration in its `set` form: statements in order, as a twin keeps them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Final

from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.words import JUNOS_ICMP_TYPES, JUNOS_PORTS, JUNOS_PROTOCOLS

Words = tuple[str, ...]
PREFIX: Final = re.compile(r"^\d+\.\d+\.\d+\.\d+(/\d+)?$")
FROM_ADDRESS: Final = ("source-address", "destination-address", "address")
FROM_LIST: Final = ("source-prefix-list", "destination-prefix-list", "prefix-list")
FROM_PORT: Final = ("source-port", "destination-port", "port")
FROM_FLAG: Final = ("tcp-established", "tcp-initial", "is-fragment", "first-fragment")
THEN: Final = ("accept", "discard", "reject", "log", "syslog", "count", "next")
# What may stand once only: a second value replaces the first. `*` is any word.
SINGLE: Final = (
    "version",
    "system host-name",
    "interfaces * unit * family inet filter input",
    "interfaces * unit * family inet filter output",
    "interfaces * unit * family ethernet-switching filter input",
    "interfaces * description",
)
# What may stand at the top, in the order in which it is shown. `groups` and `security` are left out: nothing here would
# apply them, although they may filter.
TOPS: Final = (
    "version", "system", "chassis", "services", "interfaces", "snmp", "forwarding-options", "event-options",
    "accounting-options", "routing-options", "protocols", "policy-options", "class-of-service", "firewall", "access",
    "routing-instances", "applications", "switch-options", "bridge-domains", "ethernet-switching-options", "poe",
    "virtual-chassis", "vlans",
)  # fmt: skip
UNFILTERED: Final = ("forwarding-options", "routing-instances", "bridge-domains", "ethernet-switching-options", "vlans")
FILTER: Final = re.compile(r"^firewall (?:family (?:inet|ethernet-switching) )?filter \S+")


@dataclass
class Statements:
    """Statements in order; `inactive` are paths that decide nothing for now."""

    items: list[Words] = field(default_factory=list)
    inactive: list[Words] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Statements:
        """Read `set` lines, and `deactivate` ones."""
        found = cls()
        for line in text.splitlines():
            words = split(line)
            if words[:1] == ("set",):
                check(words[1:])
                found.set(words[1:])
            elif words[:1] == ("deactivate",):
                found.inactive.append(words[1:])
        return found

    def copy(self) -> Statements:
        """One of its own."""
        return Statements(list(self.items), list(self.inactive))

    def text(self) -> str:
        """All of it in `set` form, terms of a filter kept together."""
        return "\n".join(self.lines(()))

    def lines(self, path: Words) -> list[str]:
        """What stands below a path, in `set` form."""
        order: dict[Words, int] = {}
        for words in self.items:
            for length in range(1, len(words) + 1):
                order.setdefault(words[:length], len(order))

        def rank(words: Words) -> tuple[int, Words, list[int]]:
            """Junos sorts its hierarchies; only in `firewall` the order of entry means something."""
            if words[0] != "firewall":
                return TOPS.index(words[0]), words, []
            return TOPS.index("firewall"), (), [order[words[:length]] for length in range(1, len(words) + 1)]

        ordered = sorted(self.items, key=rank)
        found = [f"set {join(words)}" for words in ordered if words[: len(path)] == path]
        return found + [f"deactivate {join(words)}" for words in self.inactive if words[: len(path)] == path]

    def active(self) -> list[Words]:
        """Statements that count."""
        return [words for words in self.items if not any(words[: len(one)] == one for one in self.inactive)]

    def hostname(self) -> str:
        """The name in the prompt."""
        return next((words[2] for words in self.items if words[:2] == ("system", "host-name")), "device")

    def replace_flat(self, start: str, line: str | None) -> None:
        """Give the host another name (see `Tree.replace_flat`)."""
        del start
        if line is not None:
            self.set(("system", "host-name", line.split()[-1]))

    def set(self, words: Words) -> None:
        """Add a statement, or replace the one value that may stand there."""
        path = words[:-1]
        if any(_fits(path, pattern.split()) for pattern in SINGLE):
            self.items = [one for one in self.items if one[:-1] != path]
        if words not in self.items:
            self.items.append(words)

    def delete(self, path: Words) -> bool:
        """Remove all below a path; False where there is nothing."""
        left = [one for one in self.items if one[: len(path)] != path]
        found = len(left) != len(self.items)
        self.items = left
        self.inactive = [one for one in self.inactive if one[: len(path)] != path]
        return found

    def insert(self, path: Words, where: str, other: Words) -> bool:
        """Move what is below a path before or after its sibling; False where one of them is missing."""
        moved = [one for one in self.items if one[: len(path)] == path]
        rest = [one for one in self.items if one[: len(path)] != path]
        at = [number for number, one in enumerate(rest) if one[: len(other)] == other]
        if not moved or not at:
            return False
        index = at[0] if where == "before" else at[-1] + 1
        self.items = rest[:index] + moved + rest[index:]
        return True


def split(line: str) -> Words:
    """Words of a line, quotes taken off.

    Raises:
        RejectedError: a quote is not closed.
    """
    try:
        return tuple(shlex.split(line, posix=True)) if '"' in line else tuple(line.split())
    except ValueError:
        raise RejectedError(line.index('"')) from None


def join(words: Words) -> str:
    """Words as a line."""
    return " ".join(word if re.fullmatch(r"[^\s\"#;{}\[\]()&|!]+", word) else f'"{word}"' for word in words)


def check(words: Words) -> None:
    """Refuse a statement that Junos does not know.

    Raises:
        RejectedError: its column is the number of the word.
    """
    if words[:1] == () or words[0] not in TOPS:
        raise RejectedError(0)
    if words[0] in UNFILTERED and "filter" in words:
        raise RejectedError(words.index("filter"))
    text = " ".join(words)
    match = FILTER.match(text)
    if match is not None:
        rest = words[len(match[0].split()) :]
        if rest[:1] in (("interface-specific",), ()):
            return
        if rest[0] != "term" or len(rest) < 4:  # noqa: PLR2004 - term, name, from or then, what
            raise RejectedError(len(words) - len(rest), incomplete=rest[0] == "term")
        word = rest[3].removeprefix("ip-") if "ethernet-switching" in words else rest[3]
        if word == "ether-type" and "ethernet-switching" in words:
            return
        _check_term((rest[2], word, *rest[4:]), len(words) - len(rest) + 2)
    elif words[:2] == ("policy-options", "prefix-list"):
        if len(words) > 3 and not PREFIX.match(words[3]):  # noqa: PLR2004 - the prefix follows the name
            raise RejectedError(3)
    elif words[0] == "firewall":
        raise RejectedError(1)


def _check_term(rest: Words, at: int) -> None:
    kind, word, values = rest[0], rest[1] if len(rest) > 1 else "", rest[2:]
    good = False
    if kind == "then":
        good = word in THEN
    elif kind == "from":
        value = values[0] if values else ""
        good = (
            (word in FROM_ADDRESS and bool(PREFIX.match(value)) and values[1:] in ((), ("except",)))
            or (word in FROM_LIST and len(values) in (1, 2))
            or (word in FROM_PORT and read_ports(value) is not None)
            or (word == "protocol" and (value in JUNOS_PROTOCOLS or value.isdecimal()))
            or (word in FROM_FLAG and not values)
            or (word == "icmp-type" and (value in JUNOS_ICMP_TYPES or value.isdecimal()))
            or (word == "icmp-code" and bool(value))
            or (word in ("tcp-flags", "fragment-offset", "fragment-flags") and bool(value))
        )
    if not good:
        raise RejectedError(at + min(len(rest) - 1, 2 if word and kind == "from" else 1))


def read_ports(word: str) -> tuple[int, int] | None:
    """A port, a name of one, or a range."""
    first, dash, last = word.partition("-")
    if word in JUNOS_PORTS:
        return JUNOS_PORTS[word], JUNOS_PORTS[word]
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return None
    low, high = int(first), int(last or first)
    return (low, high) if low <= high <= 65535 else None  # noqa: PLR2004 - the last port


def _fits(words: Words, pattern: list[str]) -> bool:
    return len(words) == len(pattern) and all(b in ("*", a) for a, b in zip(words, pattern, strict=True))
