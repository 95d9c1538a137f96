"""A strict reader of configurations: it applies their lines to what was there, and refuses what it does not know.

The same reader takes a running configuration (on top of nothing), a candidate, and the lines that are typed at a
device, `no` included.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms._cisco_dialect import NUMBERED_LISTS, Dialect
from toolkit.platforms._cisco_entry import EntryReader, Unclear
from toolkit.platforms._cisco_groups import GroupReader
from toolkit.platforms._cisco_heads import FILTERS, HARMLESS, TEXTS, lookup
from toolkit.platforms._cisco_model import AccessList, Config, Entry, Remark
from toolkit.platforms._cisco_ports import PortReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

STEP: Final = 10
MAX_SEQ: Final = 2**32 - 1
DIGITS: Final = len(str(MAX_SEQ))
# Typed around a change: they open, check and close sessions, and save.
SESSION: Final = re.compile(
    r"configure (terminal( revert timer \d+)?|session \S+( commit)?|confirm)|commit( timer \d\d:\d\d:\d\d)?|verify|"
    r"end|exit|write memory|copy running-config startup-config"
)
# What a device prints around its running configuration, and the prompt that somebody copied with it.
FRAME: Final = re.compile(
    r"Building configuration\.\.\.|Current configuration ?: \d+ bytes|Using \d+ .*|show running-config( all)?|"
    r"Load for five secs: .*|Time source is .*|[A-Za-z0-9][\w./()-]*[#>] ?((sh|show) run\S*( all)?|exit)?"
)
OTHER_LISTS: Final = ("role-based", "fqdn")
OTHER_NUMBERS: Final = range(200, 1200)  # of MAC addresses and other protocols: nothing binds them to IP packets
COUNTERS: Final = ("statistics per-entry", "counters per-entry")
COMPILED: Final = ("compiled", "dynamic-extended")  # `access-list compiled` tunes all lists


class Reader:
    """The lines of one text, one after the other; `names` are the interfaces of the inventory, spelled out.

    A list that is bound to none of them, and is not ours, may hold what is not understood: it classifies packets for
    something that filters none (QoS, NAT elsewhere, SNMP, terminal lines).
    """

    def __init__(self, dialect: Dialect, file: str, before: Config, names: Collection[str], prefix: str) -> None:
        self.dialect = dialect
        self.file = file
        self.line = 0
        self.names = frozenset(names)
        self.prefix = f"{prefix}_"
        self.acls = dict(before.acls)
        self.ports = PortReader(dialect, before.bindings, self.error)
        self.archive = before.archive
        self.entries = EntryReader(dialect)
        self.groups = GroupReader(self.entries, before.groups, self.error)
        self.section: Callable[[list[str]], None] | None = None
        self.finish: Callable[[], None] | None = None
        self.inner = 0  # indentation of the section's own lines, once one was seen; -1 where they are skipped
        self.numbered: list[str] = []  # `access-list` and the number of the list whose lines are being read
        self.places: dict[tuple[str, str], int] = {}  # of the entries that use a group: list and text

    def run(self, text: str) -> Config:
        """The configuration after the last line.

        Raises:
            ConfigError: with file and line.
        """
        until, begun = "", 0
        # Only a newline ends a line of a device: others may stand in a remark.
        for number, raw in enumerate(text.split("\n"), 1):
            self.line = number
            if until:
                until = "" if _ends(raw, until) else until
                continue
            words = raw.split()
            if not words or words[0][0] == "!":
                continue
            indent = len(raw) - len(raw.lstrip())
            try:
                if indent and (self.section or self.inner < 0):
                    self.inside(words, indent)
                elif words[:2] == self.numbered:
                    self.in_list(words[2:])
                else:
                    self.close()
                    mark = self.banner(raw, words)
                    if mark is None:
                        self.top(words)
                    until, begun = mark or "", number
            except Unclear as caught:
                raise self.error(f"not understood: {caught}") from None
        if until:
            raise self.error("a banner does not end", begun)
        self.close()
        config = Config(self.acls, self.groups.groups, self.ports.bindings, self.archive)
        self.check(config)
        return config

    def error(self, message: str, line: int | None = None) -> ConfigError:
        return ConfigError(message, place=Place(self.file, line or self.line))

    # ---- sections -------------------------------------------------------------------------

    def open(self, section: Callable[[list[str]], None] | None, finish: Callable[[], None] | None = None) -> None:
        """Begin a section; None skips its lines."""
        self.section, self.finish, self.inner = section, finish, 0 if section else -1

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
        elif indent <= self.inner or self.section == self.ports.in_policy:
            self.section(words)
        elif self.section == self.ports.in_interface:
            self.ports.deeper(words)
        elif self.section != self.in_archive:
            raise self.error(f"not understood: {' '.join(words)!r} is further in than the lines before it")

    def banner(self, raw: str, words: list[str]) -> str | None:
        """The mark that ends a text of many lines, empty where it ends on its own line; None where none begins."""
        if words[:2] == ["macro", "name"]:
            return "@"
        head = lookup(words, TEXTS)
        if head is None:
            return None
        kind = TEXTS[head]
        rest = raw.split(None, kind)[kind].strip() if len(words) > kind else ""
        if not rest:
            return "EOF"
        mark = "^C" if rest.startswith("^C") else rest[0]
        return "" if mark in rest[len(mark) :] else mark

    def top(self, words: list[str]) -> None:
        """A line outside all sections."""
        line = " ".join(words)
        bare = words[1:] if words[0] == "no" else words
        taken = bare != words
        if words[0] == "interface":
            self.ports.open_interface(words)
            self.open(self.ports.in_interface)
        elif bare[:2] == ["ip", "access-list"]:
            self.list_head(bare, taken=taken)
        elif words[0] == "access-list":
            self.numbered_entry(words)
        elif words[:3] == ["resequence", "ip", "access-list"] and self.dialect.groups != "ios":
            self.resequence(words[3:])
        elif bare[:1] == ["object-group"]:
            known = self.groups.head(bare, self.line, taken=taken)
            self.open(*((self.groups.member, self.groups.end) if known else (None,)))
        elif words[0] == "policy-map":
            self.ports.open_policy(words)
            self.open(self.ports.in_policy)
        elif words[0] == "archive":
            self.open(self.in_archive)
        elif not (SESSION.fullmatch(line) or FRAME.fullmatch(line)):
            self.other(bare, line, taken=taken)
            self.open(None)

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

    # ---- lists ----------------------------------------------------------------------------

    def list_head(self, words: list[str], *, taken: bool) -> None:
        rest = words[2:]
        if rest[:1] == ["resequence"] and self.dialect.groups == "ios" and not taken:
            self.resequence(rest[1:])
            return
        if rest[:1] == ["logging"] or rest[:1] == ["log-update"]:
            return
        if len(rest) == 2 and rest[0] in OTHER_LISTS and not taken:  # noqa: PLR2004 - its kind and its name
            self.acls[rest[1]] = AccessList(rest[1], fault=self.error(f"not understood: a list {rest[0]}"))
            self.open(None)
            return
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
            return
        self.begin_list(name, standard=standard)
        self.open(self.in_list, self.end_list)

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

    def in_list(self, words: list[str]) -> None:
        """A line of a list; one that is not understood matters only where the list filters."""
        try:
            self.list_line(words)
        except Unclear as caught:
            self.spoil(self.error(f"not understood: {caught}"))
        except ConfigError as caught:
            self.spoil(caught)

    def spoil(self, error: ConfigError) -> None:
        if self.acl.fault is None:
            self.acl = replace(self.acl, fault=error)

    def list_line(self, words: list[str]) -> None:
        if self.numbered and (not words or words[0] not in ("permit", "deny", "remark")):
            raise self.error(f"not understood: {' '.join((*self.numbered, *words))!r}")
        seq, words = self.sequence(words)
        first, line = words[0], " ".join(words)
        if first in ("permit", "deny"):
            self.add(self.entries.entry(seq or self.next_sequence(), words, standard=self.acl.standard))
        elif first == "remark":
            self.add(Remark(" ".join(words[1:]), seq or (self.next_sequence() if self.dialect.numbered else 0)))
        elif seq:
            raise self.error(f"not understood: {line!r} in list {self.acl.name}")
        elif first == "no" and line[3:] in COUNTERS:
            self.options = [one for one in self.options if one != line[3:]]
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
        if len(words) == 1 or not (words[0].isdecimal() and words[0].isascii() and len(words[0]) <= DIGITS):
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
        if isinstance(line, Entry) and next(line.groups(), None) is not None:
            self.places[self.acl.name, line.text] = self.line
        if line.seq:
            self.taken.add(line.seq)
            if line.seq < self.last:
                self.sorted = False
            self.last = max(self.last, line.seq)

    def take_line(self, words: list[str]) -> None:
        """`no 30`, or `no` and the line itself."""
        if len(words) == 1 and words[0].isdecimal():
            wanted = [line for line in self.body if str(line.seq) == words[0]]
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
        numbers = [
            int(word)
            for word in words[1:3]
            if word.isdecimal() and len(word) <= DIGITS and int(word) in range(1, MAX_SEQ)
        ]
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
        name = words[1] if len(words) > 1 else ""
        number = int(name) if name.isdecimal() and len(name) <= len("2699") else 0
        kinds = [place % 2 == 0 for place, (first, last) in enumerate(NUMBERED_LISTS) if first <= number <= last]
        if self.dialect.groups == "ios" and not kinds and (number in OTHER_NUMBERS or name in COMPILED):
            return
        if not kinds or self.dialect.groups != "ios":
            raise self.error(f"not understood: {' '.join(words)!r} (no numbered list of IP packets)")
        self.begin_list(name, standard=kinds[0])
        self.counted = True
        self.finish, self.numbered = self.end_list, words[:2]
        self.in_list(words[2:])

    # ---- the whole ------------------------------------------------------------------------

    def check(self, config: Config) -> None:
        """Refuse what may decide packets and is not understood, and what means something else than it says."""
        self.groups.check(self.prefix)
        problems = [*self._unbound(config), *self.ports.problems(self.names)]
        wanted = [name for name in config.acls if name.startswith(self.prefix)]
        wanted += [bound.acl for (name, _), bound in config.bindings.items() if name in self.names]
        for name in dict.fromkeys(wanted):
            if name in config.acls:
                problems += self._unclear(config.acls[name])
        if problems:
            raise min(problems, key=lambda one: (one.place and one.place.line) or 0)

    def _unbound(self, config: Config) -> Iterator[ConfigError]:
        for (interface, direction), bound in config.bindings.items():
            acl = config.acls.get(bound.acl)
            if interface in self.names and (acl is None or not (acl.entries or acl.fault)):
                what = "is not there" if acl is None else "has no entries"
                yield self.error(
                    f"{interface} {direction.value}: list {bound.acl} {what}, and what the system does then differs",
                    self.ports.lines.get((interface, direction)),
                )

    def _unclear(self, acl: AccessList) -> Iterator[ConfigError]:
        if acl.fault is not None:
            yield acl.fault
        for entry in acl.entries:
            for kind, name in entry.groups():
                yield from self.groups.problems(
                    kind, name, acl.name, entry.text, self.places.get((acl.name, entry.text))
                )


def _ends(raw: str, mark: str) -> bool:
    """Whether a line ends a text: a word of its own, or a character anywhere."""
    return raw.strip() == mark if mark in ("EOF", "@") else mark in raw


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
