"""A strict reader of configurations: it applies their lines to what was there, and refuses what it does not know.

The same reader takes a running configuration (on top of nothing), a candidate, and the lines that are typed at a
device, `no` included.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.net import Direction
from toolkit.platforms._cisco_dialect import NUMBERED_LISTS, Dialect
from toolkit.platforms._cisco_entry import EntryReader, Unclear
from toolkit.platforms._cisco_groups import GroupReader
from toolkit.platforms._cisco_heads import FILTERS, FILTERS_THERE, HARMLESS, HARMLESS_THERE, lookup
from toolkit.platforms._cisco_model import AccessList, Bound, Config, Entry, Remark
from toolkit.platforms._cisco_names import interface_key

if TYPE_CHECKING:
    from collections.abc import Callable

STEP: Final = 10
MAX_SEQ: Final = 2**32 - 1
# Typed around a change: they open, check and close sessions, and save.
SESSION: Final = re.compile(
    r"configure (terminal( revert timer \d+)?|session \S+( commit)?|confirm)|commit( timer \d\d:\d\d:\d\d)?|verify|"
    r"end|exit|write memory|copy running-config startup-config"
)
# What a device prints around its running configuration.
FRAME: Final = re.compile(
    r"Building configuration\.\.\.|Current configuration : \d+ bytes|Using \d+ .*|show running-config"
)


class Reader:
    """The lines of one text, one after the other."""

    def __init__(self, dialect: Dialect, file: str, before: Config) -> None:
        self.dialect = dialect
        self.file = file
        self.line = 0
        self.acls = dict(before.acls)
        self.bindings = dict(before.bindings)
        self.archive = before.archive
        self.entries = EntryReader(dialect)
        self.groups = GroupReader(self.entries, before.groups, self.error)
        self.section: Callable[[list[str]], None] | None = None
        self.finish: Callable[[], None] | None = None
        self.inner = 0  # indentation of the section's own lines, once one was seen; -1 where they are skipped
        self.numbered: list[str] = []  # `access-list` and the number of the list whose lines are being read
        self.places: dict[str, int] = {}

    def run(self, text: str) -> Config:
        """The configuration after the last line.

        Raises:
            ConfigError: with file and line.
        """
        until = ""
        for number, raw in enumerate(text.splitlines(), 1):
            self.line = number
            if until:
                until = "" if until in raw else until
                continue
            words = raw.split()
            if not words or words[0][0] == "!":
                continue
            indent = len(raw) - len(raw.lstrip())
            try:
                if indent and (self.section or self.inner < 0):
                    self.inside(words, indent)
                elif words[:2] == self.numbered:
                    self.numbered_line(words)
                else:
                    self.close()
                    until = self.banner(raw, words) if words[0] == "banner" else self.top(words)
            except Unclear as caught:
                raise self.error(f"not understood: {caught}") from None
        if until:
            raise self.error("a banner does not end")
        self.close()
        config = Config(self.acls, self.groups.groups, self.bindings, self.archive)
        self.check(config)
        return config

    def error(self, message: str, line: int | None = None) -> ConfigError:
        return ConfigError(message, place=Place(self.file, line or self.line))

    # ---- sections -------------------------------------------------------------------------

    def open(self, section: Callable[[list[str]], None] | None, finish: Callable[[], None] | None = None) -> str:
        """Begin a section; None skips its lines."""
        self.section, self.finish, self.inner = section, finish, 0 if section else -1
        return ""

    def close(self) -> None:
        if self.finish is not None:
            self.finish()
        self.section = self.finish = None
        self.inner = 0
        self.numbered = []

    def inside(self, words: list[str], indent: int) -> None:
        if self.section is None:
            return
        self.inner = self.inner or indent
        if words == ["exit"]:
            self.close()
        elif indent <= self.inner:
            self.section(words)
        elif self.section not in (self.in_interface, self.in_archive):
            raise self.error(f"not understood: {' '.join(words)!r} is further in than the lines before it")

    def banner(self, raw: str, words: list[str]) -> str:
        """The mark that ends a banner, empty where it ends on its own line."""
        rest = raw.split(None, 2)[2] if len(words) > 2 else ""  # noqa: PLR2004 - banner, its kind, its text
        if not rest:
            return "EOF"
        mark = "^C" if rest.startswith("^C") else rest[0]
        return "" if mark in rest[len(mark) :] else mark

    def top(self, words: list[str]) -> str:
        """A line outside all sections."""
        line = " ".join(words)
        bare = words[1:] if words[0] == "no" else words
        taken = bare != words
        if words[0] == "interface":
            return self.open_interface(words)
        if bare[:2] == ["ip", "access-list"]:
            return self.list_head(bare, taken=taken)
        if words[0] == "access-list":
            self.numbered_entry(words)
        elif words[:3] == ["resequence", "ip", "access-list"] and self.dialect.groups != "ios":
            self.resequence(words[3:])
        elif bare[0:1] == ["object-group"]:
            if self.groups.head(bare, self.line, taken=taken):
                return self.open(self.groups.member, self.groups.end)
        elif words[0] == "archive":
            return self.open(self.in_archive)
        elif not (SESSION.fullmatch(line) or FRAME.fullmatch(line)):
            self.other(bare, line, taken=taken)
            return self.open(None)
        return ""

    def other(self, bare: list[str], line: str, *, taken: bool) -> None:
        """A head that is known to filter nothing."""
        why = lookup(bare, FILTERS)
        if why is not None and not taken:
            raise self.error(f"not understood: {line!r} ({FILTERS[why]})")
        if why is None and lookup(bare, HARMLESS) is None:
            raise self.error(f"not understood: {line!r} (nothing is known of it; it may filter)")

    def in_archive(self, words: list[str]) -> None:
        """IOS reverts to what its archive holds, and only where that has a path."""
        if words[0] == "path":
            self.archive = True

    # ---- interfaces -----------------------------------------------------------------------

    def open_interface(self, words: list[str]) -> str:
        if len(words) < 2 or words[1] == "range":  # noqa: PLR2004 - interface and its name
            raise self.error(f"not understood: {' '.join(words)!r}; name one interface")
        self.interface = interface_key("".join(words[1:3]) if len(words) == 3 else words[1])  # noqa: PLR2004
        return self.open(self.in_interface)

    def in_interface(self, words: list[str]) -> None:
        bare = words[1:] if words[0] == "no" else words
        if bare[:2] == ["ip", "access-group"] or bare[:3] == ["ip", "port", "access-group"]:
            self.bind(bare, taken=bare != words)
            return
        why = lookup(bare, FILTERS_THERE)
        if why is not None and bare == words:
            raise self.error(f"not understood: {' '.join(words)!r} ({FILTERS_THERE[why]})")
        if why is None and bare and lookup(bare, HARMLESS_THERE) is None:
            raise self.error(f"not understood: {' '.join(words)!r} (nothing is known of it; it may filter)")

    def bind(self, words: list[str], *, taken: bool) -> None:
        port = words[1] == "port"
        rest = words[3:] if port else words[2:]
        if len(rest) != 2 or rest[1] not in tuple(Direction) or (port and not self.dialect.port_lists):  # noqa: PLR2004
            raise self.error(f"not understood: {' '.join(words)!r}")
        place = (self.interface, Direction(rest[1]))
        self.places[f"{self.interface} {rest[1]}"] = self.line
        if not taken:
            self.bindings[place] = Bound(rest[0], port)
        elif self.bindings.get(place) == Bound(rest[0], port):
            del self.bindings[place]
        else:
            raise self.error(f"{self.interface} has no list {rest[0]} {rest[1]} to take off")

    # ---- lists ----------------------------------------------------------------------------

    def list_head(self, words: list[str], *, taken: bool) -> str:
        rest = words[2:]
        if rest[:1] == ["resequence"] and self.dialect.groups == "ios" and not taken:
            self.resequence(rest[1:])
            return ""
        if rest[:1] == ["logging"] or rest[:1] == ["log-update"]:
            return ""
        standard = False
        if rest and rest[0] in ("standard", "extended"):
            if not self.dialect.standard or (rest[0] == "extended" and self.dialect.groups != "ios"):
                raise self.error(f"not understood: {' '.join(words)!r}")
            standard = rest.pop(0) == "standard"
        elif self.dialect.groups == "ios":
            raise self.error(f"not understood: {' '.join(words)!r}; a list is standard or extended")
        if len(rest) != 1:
            raise self.error(f"not understood: {' '.join(words)!r}")
        name = rest[0]
        if taken:
            if name not in self.acls:
                raise self.error(f"there is no list {name} to take away")
            del self.acls[name]
            return ""
        self.begin_list(name, standard=standard)
        return self.open(self.in_list, self.end_list)

    def begin_list(self, name: str, *, standard: bool) -> None:
        known = self.acls.get(name)
        if known is not None and known.standard != standard:
            raise self.error(f"list {name} is there already, of the other kind")
        self.acl = known or AccessList(name, standard=standard, numbered=True)
        self.body: list[Entry | Remark] = list(self.acl.lines)
        self.taken = {line.seq for line in self.body if line.seq}
        self.last = max(self.taken, default=0)
        self.sorted = True
        self.options = list(self.acl.options)
        self.known = known is not None and known.numbered
        self.counted = known is not None and not known.numbered

    def end_list(self) -> None:
        acl = self.acl
        body = self.body if self.sorted else _sorted(self.body)
        self.acls[acl.name] = replace(
            acl, lines=tuple(body), numbered=not self.counted and bool(body), options=tuple(self.options)
        )
        self.places.setdefault(f"list {acl.name}", self.line)

    def in_list(self, words: list[str]) -> None:
        seq, words = self.sequence(words)
        first, line = words[0], " ".join(words)
        if first in ("permit", "deny"):
            self.add(self.entries.entry(seq or self.next_sequence(), words, standard=self.acl.standard))
        elif first == "remark":
            self.add(Remark(" ".join(words[1:]), seq or (self.next_sequence() if self.dialect.numbered else 0)))
        elif seq:
            raise self.error(f"not understood: {line!r} in list {self.acl.name}")
        elif first == "no":
            self.take_line(words[1:])
        elif first == "resequence" and self.dialect.name == "arista_eos":
            self.end_list()
            self.resequence([self.acl.name, *words[1:]])
            self.begin_list(self.acl.name, standard=self.acl.standard)
        elif line in self.dialect.options:
            self.options += [line] if line not in self.options else []
        else:
            raise self.error(f"not understood: {line!r} in list {self.acl.name}")

    def sequence(self, words: list[str]) -> tuple[int, list[str]]:
        """(sequence number or 0, the words behind it)."""
        if len(words) == 1 or not (words[0].isdecimal() and words[0].isascii()):
            return 0, words
        seq = int(words[0])
        if not 0 < seq <= MAX_SEQ:
            raise self.error(f"{seq} is no sequence number")
        if words[1] == "remark" and not self.dialect.numbered:
            return 0, words[1:]  # newer systems show it with the number of the entry behind it
        if seq in self.taken:
            raise self.error(f"sequence number {seq} stands twice in list {self.acl.name}")
        return seq, words[1:]

    def next_sequence(self) -> int:
        """The number that the system gives to a line without one; of a running configuration it is a guess."""
        self.counted = not self.known
        return self.last + STEP

    def add(self, line: Entry | Remark) -> None:
        self.body.append(line)
        if line.seq:
            self.taken.add(line.seq)
            if line.seq < self.last:
                self.sorted = False
            self.last = max(self.last, line.seq)

    def take_line(self, words: list[str]) -> None:
        """`no 30`, or `no` and the line itself."""
        if len(words) == 1 and words[0].isdecimal():
            wanted = [line for line in self.body if line.seq == int(words[0])]
        elif words[:1] == ["remark"]:
            wanted = [line for line in self.body if isinstance(line, Remark) and line.text == " ".join(words[1:])]
        elif words and words[0] in ("permit", "deny"):
            text = self.entries.entry(0, words, standard=self.acl.standard).text
            wanted = [line for line in self.body if isinstance(line, Entry) and line.text == text]
        else:
            raise self.error(f"not understood: {' '.join(['no', *words])!r} in list {self.acl.name}")
        if not wanted:
            raise self.error(f"list {self.acl.name} has no line {' '.join(words)!r} to take away")
        self.body = [line for line in self.body if line is not wanted[0]]
        self.taken.discard(wanted[0].seq)

    def resequence(self, words: list[str]) -> None:
        """New sequence numbers, in the same order."""
        numbers = [int(word) for word in words[1:3] if word.isdecimal() and int(word) > 0]
        if len(words) != 3 or len(numbers) != 2 or words[0] not in self.acls:  # noqa: PLR2004 - name, start, step
            raise self.error(f"not understood: resequence {' '.join(words)}; name a list that is there, start and step")
        acl = self.acls[words[0]]
        at, lines = numbers[0], []
        for line in acl.lines:
            has_number = isinstance(line, Entry) or self.dialect.numbered or line.seq
            lines.append(replace(line, seq=at if has_number else 0))
            at += numbers[1] if has_number else 0
        self.acls[words[0]] = replace(acl, lines=tuple(lines), numbered=True)

    def numbered_entry(self, words: list[str]) -> None:
        """`access-list 101 permit ...`, of IOS."""
        name = words[1] if len(words) > 2 else ""  # noqa: PLR2004 - access-list, its number, a line
        kinds = [
            number % 2 == 0 for number, (a, b) in enumerate(NUMBERED_LISTS) if name.isdecimal() and a <= int(name) <= b
        ]
        if not kinds or self.dialect.groups != "ios":
            raise self.error(f"not understood: {' '.join(words)!r} (no numbered list of IP packets)")
        self.begin_list(name, standard=kinds[0])
        self.counted = True
        self.numbered_line(words)
        self.finish, self.numbered = self.end_list, words[:2]

    def numbered_line(self, words: list[str]) -> None:
        if words[2:3] not in (["permit"], ["deny"], ["remark"]):
            raise self.error(f"not understood: {' '.join(words)!r}")
        self.in_list(words[2:])

    # ---- the whole ------------------------------------------------------------------------

    def check(self, config: Config) -> None:
        """Refuse what a device takes but what then means something else than it says."""
        self.groups.check()
        for acl in config.acls.values():
            line = self.places.get(f"list {acl.name}")
            for entry in acl.entries:
                for kind, name in entry.groups():
                    one = config.groups.get(name)
                    if one is None or one.kind != kind or not one.lines:
                        what = "is empty" if one is not None and one.kind == kind else "is not there"
                        raise self.error(f"list {acl.name}: the {kind} group {name} {what} ({entry.text})", line)
        for (interface, direction), bound in config.bindings.items():
            if bound.acl not in config.acls or not config.acls[bound.acl].entries:
                what = "has no entries" if bound.acl in config.acls else "is not there"
                raise self.error(
                    f"{interface} {direction.value}: list {bound.acl} {what}, and what the system does then differs",
                    self.places.get(f"{interface} {direction.value}"),
                )


def _sorted(lines: list[Entry | Remark]) -> list[Entry | Remark]:
    """By sequence number; a remark without one stays before the line that it came before."""
    keyed, waiting = [], []
    for line in lines:
        waiting.append(line)
        if line.seq:
            keyed += [((line.seq, number), one) for number, one in enumerate(waiting)]
            waiting = []
    keyed.sort(key=lambda one: one[0])
    return [line for _, line in keyed] + waiting
