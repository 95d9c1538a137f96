"""From one state to another, line by line: build under a new name, bind, then remove; no interface is ever unfiltered.

The lines are the same for all systems; IOS applies each at once, the others collect them in a session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.errors import PolicyError
from toolkit.platforms._cisco_edit import Edit
from toolkit.platforms._cisco_model import AccessList, Bound, Config, Entry, Remark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping

    from toolkit.net import Direction
    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms._cisco_model import Group, Place, Side


def is_ours(name: str, prefix: str) -> bool:
    """Whether a list or group of this name was made by the toolkit."""
    return name.startswith(f"{prefix}_")


def ours(config: Config, prefix: str) -> Config:
    """Only what the toolkit made."""
    return _some(config, lambda name: is_ours(name, prefix))


def others(config: Config, prefix: str) -> Config:
    """Only what the toolkit did not make."""
    return replace(_some(config, lambda name: not is_ours(name, prefix)), archive=config.archive)


def both(one: Config, other: Config) -> Config:
    """The two beside each other."""
    return Config(
        {**one.acls, **other.acls},
        {**one.groups, **other.groups},
        {**one.bindings, **other.bindings},
        one.archive or other.archive,
    )


def _some(config: Config, wanted: Callable[[str], bool]) -> Config:
    return Config(
        {name: acl for name, acl in config.acls.items() if wanted(name)},
        {name: group for name, group in config.groups.items() if wanted(name)},
        {place: bound for place, bound in config.bindings.items() if wanted(bound.acl)},
    )


def same(one: Config, other: Config) -> bool:
    """Whether two say the same, names and remarks included; the numbers of lines decide nothing."""
    return _said(one) == _said(other)


def _said(config: Config) -> tuple[object, ...]:
    acls = {name: (acl.standard, acl.options, said(acl)) for name, acl in config.acls.items()}
    groups = {name: (group.kind, group.lines) for name, group in config.groups.items()}
    return acls, groups, dict(config.bindings)


def said(acl: AccessList) -> list[str]:
    """The lines of a list without their numbers."""
    return [f"remark {line.text}" if isinstance(line, Remark) else line.text for line in acl.lines]


class Change:
    """The lines that make what is ours as in `goal` on a device that is in the state `now`."""

    def __init__(self, goal: Config, now: Config, prefix: str, dialect: Dialect, names: Mapping[str, str]) -> None:
        self.goal, self.now = ours(goal, prefix), ours(now, prefix)
        self.before = now
        self.after = goal
        self.prefix = prefix
        self.dialect = dialect
        self.names = names

    def lines(self) -> Iterator[str]:
        """Lines of configuration mode, sections closed by `exit`."""
        theirs, wanted = (others(one, self.prefix).acls for one in (self.before, self.after))
        edits: list[str] = []
        for name, acl in theirs.items():
            # A list that somebody took away since is theirs to bring back.
            edits += Edit(acl, wanted.get(name, AccessList(name)), self.prefix, self.dialect).lines()
        # Groups are there before entries of theirs lists name them, and go when none does any more.
        named = {name for acl in (*theirs.values(), *wanted.values()) for name in _uses(acl) & set(self.goal.groups)}
        self._refuse_changed(named)
        early = [name for name in named if name not in self.now.groups]
        yield from group_sections((self.goal.groups[name] for name in self.goal.groups if name in early), self.dialect)
        yield from edits
        if early:
            self.now = replace(self.now, groups={**self.now.groups, **{n: self.goal.groups[n] for n in early}})
        if not same(self.goal, self.now):
            yield from self._own()

    def _refuse_changed(self, named: Collection[str]) -> None:
        """A group of ours that entries in somebody's list name cannot be written anew while they do."""
        for name in sorted(named):
            there, wanted = self.now.groups.get(name), self.goal.groups[name]
            if there is not None and there.lines != wanted.lines:
                missing = [line for line in wanted.lines if line not in there.lines]
                extra = [line for line in there.lines if line not in wanted.lines]
                raise PolicyError(
                    f"object group {name} of ours was changed by hand, and entries in somebody's list use it; put its "
                    f"members back first ({', '.join([*missing, *(f'no {line}' for line in extra)]) or 'their order'})"
                )

    def _own(self) -> Iterator[str]:
        """Lists of our own."""
        goal, now = self.goal, self.now
        stale_groups = {name for name in goal.groups if name in now.groups and goal.groups[name] != now.groups[name]}
        stale_groups |= {g.name for g in now.groups.values() if stale_groups & set(g.uses)}
        stale = {
            name
            for name, acl in now.acls.items()
            if (name in goal.acls and self._differs(name)) or stale_groups & set(now.used(acl))
        }
        bound = dict(now.bindings)
        spare = yield from self._step_aside(stale, bound)
        yield from (self._no(self.dialect.list_head(now.acls[name])) for name in stale)
        yield from (self._no(self.dialect.group_head(group)) for group in _outer_first(now.groups, stale_groups))
        fresh_groups = [name for name in goal.groups if name not in now.groups or name in stale_groups]
        for group in reversed(_outer_first(goal.groups, fresh_groups)):
            yield from self._section(self.dialect.group_head(group), self.dialect.group_lines(group))
        for name, acl in goal.acls.items():
            if name not in now.acls or name in stale:
                yield from self._list(acl)
        for place, one in goal.bindings.items():
            if bound.get(place) != one:
                yield from self._bind(place, one, bound)
        for place, one in list(bound.items()):
            if place not in goal.bindings:
                yield from self._unbind(place, one, bound)
        gone = [acl for name, acl in now.acls.items() if name not in goal.acls and name not in stale]
        yield from (self._no(self.dialect.list_head(acl)) for acl in (*gone, *spare))
        left = [name for name in now.groups if name not in goal.groups and name not in stale_groups]
        yield from (self._no(self.dialect.group_head(group)) for group in _outer_first(now.groups, left))

    def _differs(self, name: str) -> bool:
        one, other = self.goal.acls[name], self.now.acls[name]
        return (one.standard, one.options, said(one)) != (other.standard, other.options, said(other))

    def _step_aside(self, stale: Collection[str], bound: dict[Place, Bound]) -> Generator[str, None, list[AccessList]]:
        """Where a list must be written anew under its own name, one without groups stands in for it meanwhile."""
        spare: list[AccessList] = []
        for place, one in list(bound.items()):
            if one.acl not in stale:
                continue
            wanted = self.goal.bindings.get(place)
            if wanted is None:
                yield from self._unbind(place, one, bound)
                continue
            acl = _expanded(
                self.after, self.goal.acls[wanted.acl], f"{self.prefix}_meanwhile_{len(spare) + 1}", self.dialect
            )
            spare.append(acl)
            yield from self._list(acl)
            yield from self._bind(place, one._replace(acl=acl.name), bound)
        return spare

    # ---- lines ----------------------------------------------------------------------------

    def _list(self, acl: AccessList) -> Iterator[str]:
        yield from self._section(self.dialect.list_head(acl), self.dialect.list_lines(acl))

    def _bind(self, place: Place, one: Bound, bound: dict[Place, Bound]) -> Iterator[str]:
        bound[place] = one
        yield from self._at(place, self.dialect.bind_line(one, place[1]))

    def _unbind(self, place: Place, one: Bound, bound: dict[Place, Bound]) -> Iterator[str]:
        del bound[place]
        yield from self._at(place, self._no(self.dialect.bind_line(one, place[1])))

    def _at(self, place: tuple[str, Direction], line: str) -> Iterator[str]:
        yield from self._section(f"interface {self.names.get(place[0], place[0])}", [line])

    def _section(self, head: str, body: Iterable[str]) -> Iterator[str]:
        yield head
        for line in body:
            yield f"{self.dialect.indent}{line}"
        yield f"{self.dialect.indent}exit"

    def _no(self, line: str) -> str:
        return f"no {line}"


def group_sections(groups: Iterable[Group], dialect: Dialect) -> Iterator[str]:
    """Lines that make object groups, sections closed by `exit`."""
    for group in groups:
        yield dialect.group_head(group)
        yield from (f"{dialect.indent}{line}" for line in (*dialect.group_lines(group), "exit"))


def _uses(acl: AccessList) -> set[str]:
    """Names of the groups that the entries of a list use themselves."""
    return {name for entry in acl.entries for _, name in entry.groups()}


def _outer_first(groups: Mapping[str, Group], names: Iterable[str]) -> list[Group]:
    """Groups in an order in which each one stands before those that it uses."""
    wanted = set(names)
    found: dict[str, Group] = {}

    def visit(name: str) -> None:
        if name in wanted and name not in found:
            for inner in groups[name].uses:
                visit(inner)
            found[name] = groups[name]

    for name in groups:
        visit(name)
    return list(reversed(found.values()))


def _expanded(config: Config, acl: AccessList, name: str, dialect: Dialect) -> AccessList:
    """The same list under another name, its groups written out as the entries they stand for."""
    lines: list[Entry | Remark] = []
    for line in acl.entries:
        lines += plain_entries(line, config, dialect)
    step = [replace(line, seq=number * 10) for number, line in enumerate(lines, 1)]
    return AccessList(name, tuple(step), acl.standard, acl.numbered, acl.options)


def plain_entries(entry: Entry, config: Config, dialect: Dialect) -> Iterator[Entry]:
    """An entry of ours as entries without groups; ours have groups of prefixes only."""
    pairs = [
        (source, destination)
        for source in _sides(entry.source, config, dialect)
        for destination in _sides(entry.destination, config, dialect)
    ]
    for source, destination in pairs:
        text = entry.text.replace(f" {entry.source.text}", f" {source.text}", 1) if entry.source.group else entry.text
        if entry.destination.group:
            head, _, tail = text.rpartition(entry.destination.text)
            text = f"{head}{destination.text}{tail}"
        yield replace(entry, source=source, destination=destination, text=text)


def _sides(side: Side, config: Config, dialect: Dialect) -> list[Side]:
    if not side.group:
        return [side]
    return [dialect.side(low, high) for low, high in config.addresses(side)]
