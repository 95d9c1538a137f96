"""What IOS, EOS and NX-OS have in common as platforms: states, candidates, changes. Each one's file says the rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import TYPE_CHECKING, ClassVar, Literal

from toolkit.errors import ConfigError, Place, PolicyError
from toolkit.net import Action, Direction
from toolkit.platforms._cisco_change import Change, both, others, ours
from toolkit.platforms._cisco_dialect import Dialect, write_config
from toolkit.platforms._cisco_edit import only_marked, without_marked
from toolkit.platforms._cisco_eval import View
from toolkit.platforms._cisco_extend import render_extend
from toolkit.platforms._cisco_model import AccessList, Config
from toolkit.platforms._cisco_names import interface_key
from toolkit.platforms._cisco_render import render_own
from toolkit.platforms._cisco_size import list_size
from toolkit.platforms._cisco_text import Reader
from toolkit.platforms._cisco_whole import whole_config
from toolkit.platforms._sizes import check_fits
from toolkit.platforms.base import CandidateConfig, Capabilities, ChangeSet, EntryList, ListedEntry
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
    from toolkit.platforms._cisco_model import Bound
    from toolkit.platforms._cisco_model import Place as Placed
    from toolkit.platforms._cisco_routes import Questions
    from toolkit.platforms._sizes import Counting, ListSize
    from toolkit.platforms.base import ConnState, Decision, DeviceContext, FilterState, NextHop, RouteQuery
    from toolkit.policy import DevicePolicy

CONFIRM_MINUTES = 5


@dataclass(frozen=True, slots=True)
class CiscoState:
    """A device's lists, for one device. None of these systems tracks connections, so states are all the same."""

    context: DeviceContext
    dialect: Dialect
    config: Config

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:  # noqa: ARG002 - stateless
        """See `FilterState`."""
        return View(self.config, self.dialect, self.context, interface).permitted(space)

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:  # noqa: ARG002 - stateless
        """See `FilterState`."""
        return View(self.config, self.dialect, self.context, interface).decide(packet)

    @property
    def follows_fragments(self) -> bool:
        """Whether later fragments of permitted addresses pass our own lists, by the rule of the system."""
        where = self.context.node.filter
        return where.mode is Ownership.OWN and where.fragments == "follow" and self.dialect.fragments_by_address

    def fingerprint(self) -> str:
        """See `FilterState`: the lists that filter here, the groups that they use, and what is ours; no remarks."""
        mine = ours(self.config, self.context.prefix)
        wanted = {bound.acl for bound in self._bound().values()} | set(mine.acls)
        lines = [f"fragments by address: {self.dialect.fragments_by_address}"]
        groups = dict(mine.groups)
        for name in sorted(wanted):
            acl = self.config.acls[name]
            groups |= self.config.used(acl)
            lines += [f"list {name} {acl.standard}", *(entry.text for entry in acl.entries)]
        for name in sorted(groups):
            lines += [f"group {groups[name].kind} {name}", *groups[name].lines]
        for (interface, direction), bound in sorted(self._bound().items()):
            lines.append(f"{interface} {direction.value} {bound.acl} {bound.port}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def owned(self) -> CiscoState | None:
        """See `FilterState`."""
        prefix = self.context.prefix
        mine = both(ours(self.config, prefix), only_marked(others(self.config, prefix), prefix))
        return replace(self, config=mine) if mine.acls or mine.groups or mine.bindings else None

    def without_owned(self) -> CiscoState:
        """See `FilterState`."""
        prefix = self.context.prefix
        return replace(self, config=without_marked(others(self.config, prefix), prefix))

    def lists(self) -> tuple[EntryList, ...]:
        """See `FilterState`."""
        bound: dict[str, list[str]] = {name: [] for name in self.config.acls}
        for (interface, direction), one in self.config.bindings.items():
            bound.setdefault(one.acl, []).append(f"{interface} {direction.value}")
        return tuple(self._listed(acl, tuple(sorted(bound[name]))) for name, acl in self.config.acls.items())

    def _listed(self, acl: AccessList, bound: tuple[str, ...]) -> EntryList:
        fault = acl.fault or self.config.fault_of_groups(acl)
        if fault is not None:
            return EntryList(acl.name, bound, (), Action.DENY, unread=str(fault))
        view = View(self.config, self.dialect, self.context, "")
        entries = tuple(
            ListedEntry(entry.action, entry.text, f"sequence {entry.seq}", tuple(view.boxes(entry)))
            for entry in acl.entries
        )
        return EntryList(acl.name, bound, entries, Action.DENY)

    def text(self) -> str:
        """See `FilterState`."""
        one = self.config
        ordered = Config(
            dict(sorted(one.acls.items())), dict(sorted(one.groups.items())), dict(sorted(one.bindings.items()))
        )
        return write_config(self.dialect, ordered, spelling(self.context))

    def whole(self) -> str:
        """See `FilterState`."""
        return whole_config(self.dialect, self.config, self.context)

    def _bound(self) -> dict[Placed, Bound]:
        """The bindings that decide packets here: those of interfaces that the inventory knows."""
        names = spelling(self.context)
        return {place: bound for place, bound in self.config.bindings.items() if place[0] in names}

    def sizes(self) -> tuple[ListSize, ...]:
        """See `FilterState`."""
        names = spelling(self.context)
        return tuple(
            list_size(self.config, names.get(interface, interface), direction, self.config.acls[bound.acl])
            for (interface, direction), bound in self.config.bindings.items()
            if bound.acl in self.config.acls
        )


def spelling(context: DeviceContext) -> dict[str, str]:
    """How the inventory spells the interfaces of a device."""
    return {interface_key(name): name for name in context.interfaces}


def capabilities(*, commit_confirm: bool, commit_note: str, counting: Counting) -> Capabilities:
    """What all of them can do, and how a change is committed on one."""
    return Capabilities(
        routed=(Direction.IN, Direction.OUT),
        switched=(Direction.IN,),
        log=True,
        established=True,
        fragments="an entry with ports permits later fragments of its addresses, and never denies any",
        commit_confirm=commit_confirm,
        commit_note=commit_note,
        counting=counting,
    )


class CiscoPlatform:
    """A platform with a Cisco-like command line; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str]
    transport: ClassVar[Literal["exec", "cli"]] = "cli"
    netmiko_driver: ClassVar[str]
    block_size: ClassVar[int]
    capabilities: ClassVar[Capabilities]
    routes: ClassVar[Questions]
    show_commands: ClassVar[tuple[str, ...]] = ("show running-config",)
    load_command: ClassVar[str] = ""
    failure_indicators: ClassVar[tuple[str, ...]]
    dialect: ClassVar[Dialect]
    saving: ClassVar[str] = "write memory"
    last_line: ClassVar[str] = "end"  # of a running configuration that is complete; empty where it has none

    def empty(self, context: DeviceContext) -> CiscoState:
        """A device without any list."""
        return CiscoState(context, self.dialect, Config())

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> CiscoState:
        """The state after the lines of a text on a device in the state `before`."""
        return self._read(text, file, context, before)[0]

    def _read(
        self, text: str, file: str, context: DeviceContext, before: FilterState
    ) -> tuple[CiscoState, frozenset[str]]:
        """The state, and the interfaces that the text names."""
        reader = Reader(self.dialect, file, self._config(before), spelling(context), context.prefix)
        state = CiscoState(context, self.dialect, reader.run(text))
        self._check_ports(state, file, reader.ports.lines)
        return state, frozenset(reader.ports.ports)

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> CiscoState:
        """The state that `show running-config` reports."""
        command = self.show_commands[0]
        text, file = outputs[command], f"{context.device}: {command}"
        if not text.strip() or (self.last_line and self.last_line not in map(str.rstrip, text.splitlines())):
            raise ConfigError(f"it is not complete: no line {self.last_line!r} ends it", place=Place(file))
        state, there = self._read(text, file, context, self.empty(context))
        missing = [name for key, name in spelling(context).items() if key not in there]
        if missing and there:
            known = ", ".join(sorted(there))
            raise ConfigError(f"interface {missing[0]} is not there (there are: {known})", place=Place(file))
        return state

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """Our lists and where they are bound; refused where that would not do what the policy asks."""
        now = CiscoState(running.context, self.dialect, self._config(running))
        foreign = now.without_owned()
        if policy.ownership is Ownership.EXTEND:
            return self._extended(policy, foreign)
        if policy.ownership is Ownership.JUMP:
            raise PolicyError(f"{policy.device}: {self.name} has no chains to jump to; use filter.mode own or extend")
        mine = render_own(policy, now.context, self.dialect, foreign.config)
        check_fits(foreign, replace(now, config=both(foreign.config, mine)), self.capabilities.counting)
        text = whole_config(self.dialect, mine, now.context)
        bindings = {
            acl.interface: (mine.bindings[interface_key(acl.interface), acl.direction].acl,) for acl in policy.acls
        }
        return CandidateConfig(policy.device, self.name, text, tuple(mine.acls), bindings)

    def _extended(self, policy: DevicePolicy, foreign: CiscoState) -> CandidateConfig:
        """Entries of ours in somebody's lists."""
        made = render_extend(policy, foreign.context, self.dialect, foreign.config)
        config = replace(
            foreign.config,
            acls={**foreign.config.acls, **made.lists},
            groups={**foreign.config.groups, **made.groups},
        )
        check_fits(foreign, replace(foreign, config=config), self.capabilities.counting)
        head = f"! {policy.device}: entries of the toolkit in lists of others, which are not touched otherwise"
        return CandidateConfig(
            policy.device, self.name, text_of(head, *made.lines), tuple(made.lists), made.bindings, made.existing
        )

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to type; nothing where the device has it already."""
        now = CiscoState(running.context, self.dialect, self._config(running))
        goal = self.parse_config(candidate.text, f"{candidate.device}.cfg", now.context, now.without_owned())
        lines = self._lines(goal, now)
        if not lines:
            return ChangeSet(candidate.device, "", "", {}, "")
        check_fits(now, goal, self.capabilities.counting)
        before, after = _shown(now, goal)
        diff = "".join(
            unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"{candidate.device} running",
                f"{candidate.device} candidate",
            )
        )
        apply, confirm = self.wrap(lines, now, timed=True)
        # The lines may get other numbers beside what stands there today, and the rollback names them.
        then = self.parse_config(apply, f"{candidate.device}: change", now.context, now)
        return ChangeSet(
            candidate.device, apply, self.restore(now, then), {}, diff, confirm=confirm, save=f"{self.saving}\n"
        )

    def restore(self, target: FilterState, running: FilterState) -> str:
        """Lines that make what is ours as it is in `target`."""
        goal = CiscoState(target.context, self.dialect, self._config(target))
        now = CiscoState(running.context, self.dialect, self._config(running))
        lines = self._lines(goal, now)
        return self.wrap(lines, now, timed=False)[0] if lines else ""

    def startup(self, state: FilterState) -> Mapping[str, str | None]:  # noqa: ARG002 - the device saves itself
        """No file: what runs is saved by the device (`ChangeSet.save`)."""
        return {}

    def spelled_out(self, interface: str) -> str:
        """See `Platform`."""
        return interface_key(interface)

    def ask_routes(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """See `Platform`."""
        return self.routes.ask(queries)

    def read_routes(
        self, queries: Sequence[RouteQuery], output: str, errors: str, device: str
    ) -> tuple[frozenset[NextHop], ...]:
        """See `Platform`."""
        return self.routes.reader(queries, f"{output}{errors}", device)

    def wrap(self, lines: Sequence[str], now: CiscoState, *, timed: bool) -> tuple[str, str]:
        """(lines with what opens and closes them, lines that confirm them); `timed` where the system can undo them."""
        raise NotImplementedError

    def _lines(self, goal: CiscoState, now: CiscoState) -> list[str]:
        return list(Change(goal.config, now.config, now.context.prefix, self.dialect, spelling(now.context)).lines())

    def _config(self, state: FilterState) -> Config:
        if not isinstance(state, CiscoState) or state.dialect is not self.dialect:
            raise TypeError(f"{type(state).__name__} is no state of {self.name}")
        return state.config

    def _check_ports(self, state: CiscoState, file: str, lines: Mapping[Placed, int]) -> None:
        """Refuse a list bound in a way that the system does not enforce there."""
        names = spelling(state.context)
        for (interface, direction), bound in state.config.bindings.items():
            if interface not in names:
                continue
            switched = state.context.node.interfaces[names[interface]].switched
            place = Place(file, lines.get((interface, direction)))
            if switched and direction is Direction.OUT:
                message = (
                    f"{interface}: list {bound.acl} is bound outwards to a layer-2 port, which filters inwards only"
                )
                raise ConfigError(message, place=place)
            if self.dialect.port_lists and bound.port is not switched:
                right = "ip port access-group" if switched else "ip access-group"
                raise ConfigError(
                    f"{interface}: list {bound.acl} does not filter there; the inventory's interface takes {right!r}",
                    place=place,
                )


def _shown(now: CiscoState, goal: CiscoState) -> list[str]:
    """What is ours in two states, with the lists of others in which something of ours stands."""
    prefix = now.context.prefix
    theirs = {name for one in (now, goal) for name in only_marked(others(one.config, prefix), prefix).acls}
    return [
        replace(
            one,
            config=both(
                ours(one.config, prefix), Config({n: acl for n, acl in one.config.acls.items() if n in theirs})
            ),
        ).text()
        for one in (now, goal)
    ]


def session(prefix: str, lines: Sequence[str]) -> str:
    """Name of a configuration session, after what is done in it."""
    return f"{prefix}-{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:8]}"


def text_of(*lines: str) -> str:
    """Lines as a text."""
    return "".join(f"{line}\n" for line in lines)
