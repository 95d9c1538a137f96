"""Object groups as they are read: networks and services of IOS, addresses and ports of NX-OS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError
from toolkit.platforms._cisco_dialect import port_text
from toolkit.platforms._cisco_entry import OPERATORS, Unclear
from toolkit.platforms._cisco_model import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toolkit.platforms._cisco_entry import EntryReader

KINDS: Final[dict[str, dict[str, str]]] = {
    "ios": {"network": "network", "service": "service"},
    "nxos": {"ip address": "network", "ip port": "port"},
    "": {},
}


class GroupReader:
    """Reads the groups of one text; `error` makes an error of a message and, if it is another than now, a line."""

    def __init__(self, entries: EntryReader, before: Mapping[str, Group], error: Callable[..., ConfigError]) -> None:
        self.style = entries.dialect.groups
        self.entries = entries
        self.error = error
        self.groups = dict(before)
        self.lines: dict[str, int] = {}  # where a group begins
        self.group = Group("", "")
        self.unknown: dict[str, ConfigError] = {}  # groups of kinds that no list here takes

    def head(self, words: list[str], line: int, *, taken: bool) -> bool:
        """`object-group ...`; whether its members follow, and are to be read."""
        kind = KINDS[self.style].get(" ".join(words[1:-1]))
        if kind is None:
            error = self.error(f"not understood: {' '.join(words)!r} (no object group that is known here)")
            if not self.style or len(words) < 3:  # noqa: PLR2004 - a kind and a name
                raise error
            self.unknown[words[-1]] = error
            return False
        name = words[-1]
        known = self.groups.get(name)
        if known is not None and known.kind != kind:
            raise self.error(f"object group {name} is there already, of another kind")
        if taken:
            if known is None:
                raise self.error(f"there is no object group {name} to take away")
            del self.groups[name]
            return False
        self.group = known or Group(kind, name)
        self.lines[name] = line
        return True

    def end(self) -> None:
        """No more members follow."""
        self.groups[self.group.name] = self.group

    def member(self, words: list[str]) -> None:
        """A member of the group that was begun; one that is not understood matters only where the group is used."""
        try:
            self._member(words)
        except Unclear as caught:
            self._spoil(self.error(f"not understood: {caught}"))
        except ConfigError as caught:
            self._spoil(caught)

    def _spoil(self, error: ConfigError) -> None:
        if self.group.fault is None:
            self.group = replace(self.group, fault=error)

    def _member(self, words: list[str]) -> None:
        group = self.group
        if words[0] == "description":
            return
        if words[0].isdecimal() and len(words) > 1 and self.style == "nxos":
            words = words[1:]
        if words[0] == "group-object" and len(words) == 2 and self.style == "ios":  # noqa: PLR2004 - and its name
            text, group = f"group-object {words[1]}", replace(group, uses=(*group.uses, words[1]))
        elif group.kind == "network":
            text, interval = self.entries.network_member(words)
            group = replace(group, intervals=(*group.intervals, interval))
        elif group.kind == "service":
            text, matches = self.entries.service_member(words)
            group = replace(group, matches=(*group.matches, *matches))
        else:
            if words[0] not in OPERATORS:
                raise self.error(f"not understood: {' '.join(words)!r}")
            ports, at = self.entries.ports(words, 0, None)
            if at < len(words):
                raise self.error(f"not understood: {words[at]!r}")
            text, group = port_text(ports), replace(group, intervals=(*group.intervals, *ports))
        self.group = replace(group, lines=(*group.lines, text))

    def check(self, prefix: str) -> None:
        """Refuse groups that hold themselves, and faults of our own."""
        for group in self.groups.values():
            self._follow(group, ())
            if group.name.startswith(prefix):
                for error in self.problems(group.kind, group.name, "", "", self.lines.get(group.name)):
                    raise error

    def problems(self, kind: str, name: str, acl: str, entry: str, line: int | None) -> Iterator[ConfigError]:
        """Why an entry of a list cannot use a group."""
        where = f"list {acl}: the {kind} group {name}"
        group = self.groups.get(name)
        if name in self.unknown and group is None:
            yield self.unknown[name]
        elif group is None or group.kind != kind:
            yield self.error(f"{where} is not there ({entry})", line)
        elif group.fault is not None:
            yield group.fault
        elif not group.lines:
            yield self.error(f"{where} is empty ({entry})", line)
        else:
            for inner in group.uses:
                one = self.groups.get(inner)
                if one is None or one.kind != kind:
                    yield self.error(
                        f"object group {name}: the {kind} group {inner} is not there", self.lines.get(name)
                    )
                else:
                    yield from self.problems(kind, inner, acl, entry, line)

    def _follow(self, group: Group, above: tuple[str, ...]) -> None:
        if group.name in above:
            line = self.lines.get(above[0])
            raise self.error(f"object group {above[0]} holds itself ({', '.join(above)})", line)
        for name in group.uses:
            if name in self.groups:
                self._follow(self.groups[name], (*above, group.name))
