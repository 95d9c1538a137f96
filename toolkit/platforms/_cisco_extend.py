"""Mode *extend*: the fewest entries at the right places of somebody's list, so that after = before + required."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANYWHERE, Action, Direction
from toolkit.packets import FRAGMENTS, Space
from toolkit.platforms._cisco_change import group_sections
from toolkit.platforms._cisco_dialect import ANY
from toolkit.platforms._cisco_edit import Edit, digest, mark
from toolkit.platforms._cisco_eval import View
from toolkit.platforms._cisco_model import AccessList, Config, Entry, Match, Remark
from toolkit.platforms._cisco_names import interface_key
from toolkit.platforms._cisco_render import REMARK_LIMIT, check_place, entries_of, network_group, remark_text
from toolkit.platforms._reach import Reach
from toolkit.policy import Entry as Listed
from toolkit.policy import Extension, Permit, plan_extension
from toolkit.policy.extend import check_overrides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network

    from toolkit.packets import PacketSet
    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms._cisco_model import Group, Side
    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import Ace, Acl, DevicePolicy

SHOWN: Final = 3  # addresses of an entry that are shown to people
GROUPED: Final = 32  # pairs of addresses from which on a permit is one entry of object groups
LATER: Final = "no later fragments by the entry behind it"


@dataclass(frozen=True, slots=True)
class Extended:
    """What becomes of a device: the lists with ours in them, the lines that make them so, and what was there."""

    lists: dict[str, AccessList] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    existing: dict[str, Extension] = field(default_factory=dict)
    bindings: dict[str, tuple[str, ...]] = field(default_factory=dict)


def render_extend(policy: DevicePolicy, context: DeviceContext, dialect: Dialect, foreign: Config) -> Extended:
    """What is missing in the lists of others.

    Raises:
        PolicyError: an explicit deny meets what is required; or an entry would let more pass than that.
    """
    check_place(policy, context, dialect)
    check_overrides(context.node.filter.override, _denies(policy, foreign), policy.device)
    found = Extended()
    placed: dict[str, tuple[str, dict[int, list[Entry | Remark]]]] = {}
    space = Space()
    for acl in policy.acls:
        one = _Interface(policy, context, dialect, foreign, acl, space)
        found.existing[acl.interface] = one.extension
        found.bindings[acl.interface] = (one.list.name,) if one.list is not None else ()
        if one.list is None:
            continue
        slots = one.slots()
        other, same = placed.setdefault(one.list.name, (acl.interface, slots))
        if _texts(same) != _texts(slots):
            raise PolicyError(
                f"{policy.device}: list {one.list.name} is bound to {other} and to {acl.interface}, which lack "
                "different entries, so one for either would open the other too; give each interface its own list first"
            )
        found.groups.update(one.used(slots))
    space.forget()
    lines = list(group_sections(found.groups.values(), dialect))
    for name, (_, slots) in placed.items():
        found.lists[name] = _inserted(foreign.acls[name], slots)
        lines += Edit(foreign.acls[name], found.lists[name], policy.prefix, dialect).lines()
    return replace(found, lines=tuple(lines))


def _texts(slots: dict[int, list[Entry | Remark]]) -> list[tuple[int, list[str]]]:
    return sorted((slot, [line.text for line in lines if isinstance(line, Entry)]) for slot, lines in slots.items())


def _inserted(acl: AccessList, slots: dict[int, list[Entry | Remark]]) -> AccessList:
    lines: list[Entry | Remark] = []
    for number, line in enumerate((*acl.lines, None)):
        lines += slots.get(number, [])
        lines += [line] if line is not None else []
    return replace(acl, lines=tuple(lines))


def _is_default(acl: AccessList, number: int) -> bool:
    """Whether a line is an end of the list that denies everything, which is a default like the implicit one."""
    line = acl.lines[number]
    if not isinstance(line, Entry) or any(isinstance(one, Entry) for one in acl.lines[number + 1 :]):
        return False
    whole = line.action is Action.DENY and line.match == Match(None) and not line.service and not line.fragments
    return whole and line.source == ANY and line.destination == ANY


def _names(acl: AccessList, number: int) -> tuple[str, ...]:
    """What an operator may call an entry: its text, its sequence number, or the remark before it."""
    line = acl.lines[number]
    before = acl.lines[number - 1] if number else line
    remark = (before.text, before.text.partition(" ")[0]) if isinstance(before, Remark) and before.text else ()
    known = (f"{acl.name} {line.seq}",) if acl.numbered and line.seq else ()
    return (line.text, *known, *remark)


def _denies(policy: DevicePolicy, foreign: Config) -> list[tuple[str, ...]]:
    """Names of the explicit denies of all lists that an interface of the policy has."""
    found = []
    places = [(interface_key(acl.interface), acl.direction) for acl in policy.acls]
    for name in dict.fromkeys(foreign.bindings[place].acl for place in places if place in foreign.bindings):
        acl = foreign.acls[name]
        for number, line in enumerate(acl.lines):
            if isinstance(line, Entry) and line.action is Action.DENY and not _is_default(acl, number):
                found.append(_names(acl, number))
    return found


class _Interface:
    """One interface: its list, what is required of it, and what is missing."""

    def __init__(
        self, policy: DevicePolicy, context: DeviceContext, dialect: Dialect, foreign: Config, acl: Acl, space: Space
    ) -> None:
        self.dialect = dialect
        self.space = space
        self.prefix = policy.prefix
        self.where = f"{policy.device} {acl.interface}"
        self.view = View(foreign, dialect, context, acl.interface)
        bound = foreign.bindings.get((interface_key(acl.interface), acl.direction))
        self.list = foreign.acls[bound.acl] if bound is not None else None
        self.grouped = bound is not None and bool(dialect.groups) and not context.node.filter.plain
        if bound is not None:
            places = {interface for (interface, _), other in foreign.bindings.items() if other.acl == bound.acl}
            # Object groups do not work in lists of layer-2 ports.
            self.grouped = self.grouped and not places & self._switched(context)
        self.aces = tuple(ace for ace in acl.entries if ace.action is Action.PERMIT)
        self.permits = [
            # Where no list is bound everything passes, whatever the permit is.
            Permit(space.union(ace.boxes()) if bound is not None else space.full, _shown(ace), ace.requirements)
            for ace in self.aces
        ]
        self.required = space.union(box for ace in self.aces for box in ace.boxes())
        entries = self.list.entries if self.list is not None else ()
        self.texts = {entry.text.removesuffix(" log") for entry in entries}
        self.digests = {digest(entry) for entry in entries}
        self._refuse_outward(context, foreign)
        # What an entry does to packets that neither the scope nor a requirement holds is no question here: of a long
        # list only the few entries count that share addresses with them. The proof looks at all.
        reach = Reach([*policy.scope, *(box for ace in self.aces for box in ace.boxes())])
        view = self.view
        near = tuple(entry for entry in entries if reach.meets(*view.ends(entry)))
        self.near = set(map(id, near))
        self.before = view.passes(space, replace(self.list, lines=near)) if self.list is not None else space.full
        try:
            self.extension = plan_extension(
                *self._listed(),
                self.permits,
                space.union(policy.scope),
                context.node.filter.override,
                self.required,
            )
        except PolicyError as caught:
            raise PolicyError(f"{self.where}: {caught}") from None

    def _refuse_outward(self, context: DeviceContext, foreign: Config) -> None:
        """No entry here can undo what somebody's list denies on the way out."""
        outward = {place: bound for place, bound in foreign.bindings.items() if place[1] is Direction.OUT}
        if not outward:
            return
        view = View(replace(foreign, bindings=outward), self.dialect, context, self.view.interface)
        packet = (self.required - view.permitted(self.space)).witness()
        if packet is not None:
            decision = view.decide(packet)
            raise PolicyError(
                f"{self.where}: another team denies {packet} on the way out ({decision.acl}: {decision.entry}, "
                f"{decision.place}), which is required; settle it with them"
            )

    def _listed(self) -> tuple[list[Listed], Listed]:
        """The list without vendor knowledge, and what decides the rest."""
        if self.list is None:
            return [], Listed(self.space.full, Action.PERMIT, ("no list is bound",), 0, default=True)
        found = []
        for number, line in enumerate(self.list.lines):
            if isinstance(line, Remark):
                found.append(Listed(self.space.empty, None, (f"remark {line.text}",), number))
                continue
            place = f"{self.list.name} {line.seq}" if self.list.numbered else self.list.name
            packets = self.space.union(self.view.boxes(line)) if id(line) in self.near else self.space.empty
            default = _is_default(self.list, number)
            found.append(Listed(packets, line.action, _names(self.list, number), number, place, default=default))
        end = Listed(
            self.space.full, Action.DENY, ("the end of the list",), len(self.list.lines), self.list.name, default=True
        )
        return found, end

    # ---- what is inserted -----------------------------------------------------------------

    def slots(self) -> dict[int, list[Entry | Remark]]:
        """Lines of ours by the number of the line that they come before."""
        found: dict[int, list[Entry | Remark]] = {}
        seen: set[str] = set()
        for slot, number in self.extension.insertions:
            for entry in self._entries(self.aces[number]):
                if entry.text in seen:
                    continue  # further up already, which is as good
                seen.add(entry.text)
                if entry.text.startswith("deny"):
                    found.setdefault(slot, []).extend(self._marked(entry, LATER))
                else:
                    found.setdefault(slot, []).extend(self._marked(entry, self.aces[number].comment))
        return found

    def _marked(self, entry: Entry, comment: str) -> tuple[Remark, Entry]:
        """An entry behind its remark, which names it: two entries never have the same."""
        assert self.list is not None  # noqa: S101 - insertions need a list
        bare = entry.text.removesuffix(" log")
        if bare in self.texts:
            raise PolicyError(
                f"{self.where}: list {self.list.name} has {bare!r} already, behind what denies it, and a system keeps "
                "one of two equal entries; settle it with its owner"
            )
        name = digest(entry)
        if name in self.digests:
            raise PolicyError(
                f"{self.where}: by chance an entry of list {self.list.name} has the mark {name} of {bare!r}"
            )
        return Remark(f"{mark(self.prefix)}{name}: {remark_text(comment)}"[:REMARK_LIMIT].rstrip()), entry

    @staticmethod
    def _switched(context: DeviceContext) -> set[str]:
        """The layer-2 ports of a device, as its bindings spell them."""
        return {interface_key(name) for name, one in context.node.interfaces.items() if one.bridge is not None}

    def used(self, slots: dict[int, list[Entry | Remark]]) -> dict[str, Group]:
        """The object groups of ours that entries use."""
        names = {
            side.group
            for lines in slots.values()
            for line in lines
            if isinstance(line, Entry)
            for side in (line.source, line.destination)
            if side.group
        }
        return {name: self.view.config.groups[name] for name in sorted(names)}

    def _entries(self, ace: Ace) -> list[Entry]:
        """The entries of a permit: of object groups where it has many pairs of addresses, and where they do as well."""
        if self.grouped and len(ace.sources) * len(ace.destinations) >= GROUPED:
            try:
                return list(self._written(ace, self._group(ace.sources), self._group(ace.destinations)))
            except PolicyError:
                pass  # of some pairs later fragments pass today: pair by pair they can be told apart
        return list(self._written(ace, _sides(ace.sources, self.dialect), _sides(ace.destinations, self.dialect)))

    def _group(self, prefixes: Sequence[IPv4Network]) -> tuple[Side, ...]:
        """Prefixes as one side: a group of ours, which the lists are then read with."""
        if len(prefixes) == 1 or ANYWHERE in prefixes:
            return _sides(prefixes, self.dialect)
        group = network_group(self.prefix, tuple(prefixes), self.dialect)
        if group.name not in self.view.config.groups:
            config = self.view.config
            self.view.config = replace(config, groups={**config.groups, group.name: group})
        return (self.dialect.group_side(group.name),)

    def _written(self, ace: Ace, sources: tuple[Side, ...], destinations: tuple[Side, ...]) -> Iterator[Entry]:
        """The entries of a permit that pass something new; before each, what keeps later fragments out."""
        assert self.list is not None  # noqa: S101 - insertions need a list
        if self.list.standard:
            raise PolicyError(
                f"{self.where}: list {self.list.name} looks at sources only, so no entry of it can permit just "
                f"{_shown(ace)}; ask its owner for an extended list"
            )
        for entry in entries_of(replace(ace, log=False), sources, destinations, self.dialect):
            boxes = list(self.view.boxes(entry))
            whole = self.space.union(boxes)
            asked = whole & self.required
            if asked <= self.before:
                continue
            beyond = whole - self.required - self.before
            if beyond:
                yield self._guard(entry, beyond)
            yield entry

    def _guard(self, entry: Entry, beyond: PacketSet) -> Entry:
        """A deny of the later fragments that an entry with ports would let pass, which nothing permits today."""
        words = entry.text.split()
        protocol = words[1]
        text = f"deny {protocol} {entry.source.text} {entry.destination.text} fragments"
        match = Match(entry.match.protocol)
        guard = Entry(0, Action.DENY, match, entry.source, entry.destination, text, fragments=True)
        whole = self.space.union(replace(box, flags=FRAGMENTS) for box in self.view.boxes(guard))
        if beyond != whole:
            raise PolicyError(
                f"{self.where}: list {self.list.name if self.list else ''} permits some later fragments of "
                f"{entry.source.text} to {entry.destination.text} today and not all; {self.dialect.name} would let all "
                f"pass with {entry.text!r}; settle the fragments with its owner first"
            )
        return guard


def _sides(prefixes: Sequence[IPv4Network], dialect: Dialect) -> tuple[Side, ...]:
    if ANYWHERE in prefixes:
        return (ANY,)
    return tuple(dialect.side(int(one.network_address), int(one.broadcast_address)) for one in prefixes)


def _shown(ace: Ace) -> str:
    """A permit for people."""
    ends = []
    for prefixes in (ace.sources, ace.destinations):
        names = ["any" if one == ANYWHERE else str(one).removesuffix("/32") for one in prefixes[:SHOWN]]
        ends.append(", ".join(names) + (", ..." if len(prefixes) > SHOWN else ""))
    known = " established" if ace.established else ""
    sport = f" from port {ace.sport}" if str(ace.sport) != "any" else ""
    return f"{ace.service}{sport}{known} {ends[0]} -> {ends[1]}"
