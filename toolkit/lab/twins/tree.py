"""A configuration of one-level sections, as IOS, EOS, NX-OS and ASA print theirs, and the lines that change it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

RANKS: Final = ("hostname", "archive", "object", "object-group", "access-list", "interface", "ip access-list")


@dataclass
class Tree:
    """Sections in their order: header line -> the lines below it."""

    sections: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Tree:
        """Read a configuration text; a line that is indented belongs to the one before that is not."""
        found = cls()
        last: list[str] = []
        base = 0
        for line in text.splitlines():
            if not line.strip() or line.startswith(("!", ":")):
                continue
            if line.startswith(" "):
                # What is nested deeper keeps its further indent.
                base = base or len(line) - len(line.lstrip())
                last.append(line[min(base, len(line) - len(line.lstrip())) :].rstrip())
            else:
                base = 0
                last = found.sections.setdefault(line.rstrip(), [])
        return found

    def copy(self) -> Tree:
        """One of its own."""
        return Tree({header: list(children) for header, children in self.sections.items()})

    def text(self, indent: str = " ") -> str:
        """The configuration in the order in which an OS prints it."""
        lines: list[str] = []
        for header in sorted(self.sections, key=_rank):
            children = self.sections[header]
            lines += [header, *(f"{indent}{child}" for child in children)]
            lines += ["!"] * bool(children)
        return "\n".join(lines)

    def hostname(self) -> str:
        """The name in the prompt."""
        return next((one.split()[1] for one in self.sections if one.startswith("hostname ")), "device")

    def replace_flat(self, start: str, line: str | None) -> None:
        """Remove every section whose header begins so, and add a line in their place."""
        for header in [one for one in self.sections if one.startswith(start)]:
            del self.sections[header]
        if line is not None:
            self.sections[line] = []

    def insert_flat(self, line: str, position: int, family: str) -> None:
        """Put a line at a place (from 1) among the sections that begin with `family`, at the end where it is beyond."""
        entries = list(self.sections.items())
        members = [number for number, (header, _) in enumerate(entries) if header.startswith(family)]
        index = members[position - 1] if position <= len(members) else (members[-1] + 1 if members else len(entries))
        entries.insert(index, (line, []))
        self.sections = dict(entries)


def _rank(header: str) -> int:
    for number, start in enumerate(RANKS):
        if header.startswith(f"{start} ") or header == start:
            return number
    return len(RANKS)


def sequence(child: str) -> int:
    """Sequence number of an entry, -1 where it has none."""
    word = child.split(maxsplit=1)[0]
    return int(word) if word.isdecimal() else -1


def insert_entry(children: list[str], entry: str, number: int | None) -> bool:
    """Add an entry to a numbered list; by itself ten after the last. False where the number is taken."""
    last = max(sequence(children[-1]), 0) if children else 0  # they are in order, and options come first
    if number is None or number > last:
        children.append(f"{last + 10 if number is None else number} {entry}")
        return True
    taken = [sequence(child) for child in children]
    if number in taken:
        return False
    at = next((index for index, other in enumerate(taken) if other > number), len(children))
    children.insert(at, f"{number} {entry}")
    return True


def resequence(children: list[str], start: int, step: int) -> list[str]:
    """Entries numbered anew."""
    found = []
    for child in children:
        if sequence(child) < 0:
            found.append(child)
        else:
            found.append(re.sub(r"^\d+", str(start), child))
            start += step
    return found
