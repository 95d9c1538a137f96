"""Cisco ASA: a stateful firewall in routed mode, with security levels.

*own*: a list of ours on the input of every interface. A changed list gets another name, is written in full, bound in
the place of the one before, which is then removed: there is no moment without a filter.
*extend*: entries of ours, each behind a remark that names it, between those of somebody's list.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from toolkit.errors import ConfigError, Place
from toolkit.net import Direction
from toolkit.platforms import _asa_routes
from toolkit.platforms._asa_entries import Reader
from toolkit.platforms._asa_extend import extend
from toolkit.platforms._asa_render import refuse_uninspected, render
from toolkit.platforms._asa_state import AsaState, bind, empty, read, write_lists, write_objects
from toolkit.platforms._asa_text import Config, apply_script
from toolkit.platforms._sizes import Counting, check_fits
from toolkit.platforms.base import CandidateConfig, Capabilities, ChangeSet, DeviceContext, FilterState
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.platforms.base import NextHop, RouteQuery
    from toolkit.policy import DevicePolicy


STAND_IN: Final = "_b"
SAVED: Final = ": Saved"  # what a device shows begins and ends with these
END: Final = ": end"


class CiscoAsa:
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "cisco_asa"
    transport: ClassVar[Literal["exec", "cli"]] = "cli"
    netmiko_driver: ClassVar[str] = "cisco_asa"
    block_size: ClassVar[int] = 50
    capabilities: ClassVar[Capabilities] = Capabilities(
        routed=(Direction.IN, Direction.OUT),
        switched=(),
        log=True,
        established=False,
        fragments="the ASA reassembles before it filters",
        commit_confirm=False,
        commit_note=(
            "an ASA has no timed commit: each line counts at once; lists are written under new names before they are "
            "bound, connections that they deny are ended one by one (clear conn), and the startup configuration is "
            "saved only after verification"
        ),
        counting=Counting(
            (Direction.IN, Direction.OUT),
            shared=True,
            note=(
                "elements as `show access-list` counts them, groups written out; an ASA has no TCAM, and with "
                "object-group-search it takes fewer"
            ),
        ),
    )
    show_commands: ClassVar[tuple[str, ...]] = ("show running-config",)
    load_command: ClassVar[str] = ""
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "ERROR:",
        "% Invalid input",
        "% Incomplete command",
        "% Ambiguous command",
        "Command authorization failed",
        "does not exist",
    )

    def empty(self, context: DeviceContext) -> AsaState:
        """A device without any filter: one security level for all interfaces, which may talk to each other."""
        return empty(context)

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> AsaState:
        """The state after lines of a running configuration, on top of `before`.

        A text that names interfaces is a device's own: its levels replace those that were assumed.
        """
        return read(context, apply_script(text, file, _base(text, _asa(before))))

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> AsaState:
        """The state that `show running-config` reports."""
        text = outputs[self.show_commands[0]]
        lines = [line.strip() for line in text.split("\n")]
        if SAVED in lines and END not in lines:
            raise ConfigError(f"it is not complete: no line {END!r} ends it", place=Place(context.device, len(lines)))
        config = apply_script(text, context.device, Config())
        if not config.interfaces:
            raise ConfigError("the device shows no interface with a name", place=Place(context.device))
        return read(context, config)

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """Lists of ours; refused where somebody's list stands, or where more is asked than the device holds."""
        now = _asa(running)
        rest = now.without_owned()
        candidate = extend(policy, rest) if _extends(now) else render(policy, rest)
        if now.context.node.filter.capacity is not None:
            check_fits(now, self._goal(candidate, now), self.capabilities.counting)
        if not rest.config.icmp:
            refuse_uninspected(policy)
        return candidate

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to type; nothing where the device has it already."""
        now = _asa(running)
        goal = self._goal(candidate, now)
        apply = self.restore(goal, now)
        if not apply:
            return ChangeSet(candidate.device, "", "", {}, "")
        check_fits(now, goal, self.capabilities.counting)
        before, after = (_owned_text(one).splitlines(keepends=True) for one in (now, goal))
        names = f"{candidate.device} running", f"{candidate.device} candidate"
        diff = "".join(unified_diff(before, after, *names))
        return ChangeSet(candidate.device, apply, self.restore(now, goal), {}, diff, save="write memory\n")

    def spelled_out(self, interface: str) -> str:
        """See `Platform`; names are not shortened here."""
        return interface

    def ask_routes(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """See `Platform`."""
        return _asa_routes.ask(queries)

    def read_routes(
        self, queries: Sequence[RouteQuery], output: str, errors: str, device: str
    ) -> tuple[frozenset[NextHop], ...]:
        """See `Platform`."""
        if errors.strip():
            raise ConfigError(f"it did not answer about routes: {errors.strip().splitlines()[0]}", place=Place(device))
        return _asa_routes.read(queries, output, device)

    def restore(self, target: FilterState, running: FilterState) -> str:
        """Lines that make what is ours as it is in `target`: write, bind, then remove."""
        now, goal = _asa(running), _asa(target)
        lines = list(_extended_lines(now, goal) if _extends(now) else _lines(now, goal))
        return "".join(f"{line}\n" for line in ("configure terminal", *lines, "end")) if lines else ""

    def startup(self, state: FilterState) -> Mapping[str, str | None]:
        """Nothing to write as a file: `write memory` saves what runs."""
        del state
        return {}

    def _goal(self, candidate: CandidateConfig, now: AsaState) -> AsaState:
        """The state that a candidate asks of a device: its lists and groups on the device's own interfaces."""
        rest = now.without_owned()
        whole = self.parse_config(candidate.text, f"{candidate.device}.cfg", now.context, rest)
        if _extends(now):
            return whole
        asked = whole.owned()
        if asked is None:
            return rest
        config, ours = rest.config, asked.config
        merged = replace(
            config,
            objects={**config.objects, **ours.objects},
            lists={**config.lists, **ours.lists},
            bound={**config.bound, **ours.bound},
        )
        return read(now.context, merged)


PLATFORM = CiscoAsa()


def _asa(state: FilterState) -> AsaState:
    if not isinstance(state, AsaState):
        raise TypeError(f"{type(state).__name__} is no state of cisco_asa")
    return state


def _base(text: str, before: AsaState) -> Config:
    """What a text is read on top of."""
    config = before.config
    named = any(line.startswith(" nameif ") for line in text.splitlines())
    if not named:
        return config
    return Config({}, config.objects, config.lists, config.bound, names=config.names)


def _extends(state: AsaState) -> bool:
    return state.context.node.filter.mode is Ownership.EXTEND


def _owned_text(state: AsaState) -> str:
    owned = state.owned()
    return owned.text() if owned else ""


def _meanings(config: Config, name: str, reader: Reader) -> list[object]:
    """A list line by line, as it reads: a device shows names where numbers were typed."""
    return [
        line.words
        if line.words[0] == "remark"
        else (_logs(line.words), [tuple(rule.boxes()) for rule in reader.rules(name, (line,))])
        for line in config.lists[name]
    ]


def _logs(words: tuple[str, ...]) -> tuple[str, bool]:
    return words[1], "log" in words


def _lines(now: AsaState, goal: AsaState) -> Iterator[str]:
    """What turns what is ours now into what it shall be, without a moment in which nothing filters."""
    old, new = now.owned(), goal.owned()
    before, after = (one.config if one else Config() for one in (old, new))
    for key in after.objects:
        yield from _object_lines(before, after, key)
    bound = {name for name, _ in before.bound.values()}
    lists = [name for name in after.lists if not _same_list(before, after, name)]
    for name in lists:
        if name in bound:
            yield from _stand_in(before, after, name)
        elif name in before.lists:  # left over from a push that broke off
            yield f"clear configure access-list {name}"
        yield from _list_lines(after, name)
        yield from (bind(key, name) for key in _points(before, name) if name in bound)
        yield from (f"clear configure access-list {name}{STAND_IN}" for _ in range(name in bound))
    for key, (name, _) in after.bound.items():
        if before.bound.get(key, ("",))[0] != name:
            yield bind(key, name)
    for key, (name, _) in before.bound.items():
        if key not in after.bound:
            yield f"no {bind(key, name)}"
    yield from (f"clear configure access-list {name}" for name in before.lists if name not in after.lists)
    yield from (f"no {kind} {name}" for kind, name in before.objects if (kind, name) not in after.objects)


def _extended_lines(now: AsaState, goal: AsaState) -> Iterator[str]:
    """What turns our entries in somebody's lists into what they shall be; nobody else's are named in any line."""
    for key in goal.config.objects:
        if goal.is_ours(key[1]):
            yield from _object_lines(now.config, goal.config, key)
    for name in goal.config.lists:
        if name in now.config.lists:
            yield from _merge(name, _pieces(now, name), _pieces(goal, name))
    for key in now.config.objects:
        if now.is_ours(key[1]) and key not in goal.config.objects:
            yield f"no {key[0]} {key[1]}"


Piece = tuple[int, tuple[tuple[str, ...], ...]]  # (how many lines of others stand before it, its lines)


def _pieces(state: AsaState, name: str) -> dict[tuple[str, ...], Piece]:
    """Our pieces of somebody's list, by their remark."""
    lines, marked = state.config.lists[name], state.marked(name)
    found: dict[tuple[str, ...], Piece] = {}
    others = 0
    for number, line in enumerate(lines):
        if number not in marked:
            others += 1
        elif line.words[0] == "remark":
            behind = lines[number + 1 : number + 2] if number + 1 in marked else ()
            entry = tuple(one.words for one in behind if one.words[0] != "remark")
            found[line.words] = others, (line.words, *entry)
    return found


def _merge(name: str, now: dict[tuple[str, ...], Piece], goal: dict[tuple[str, ...], Piece]) -> Iterator[str]:
    """Take away what stands in a wrong place, write what is missing, then take away what is not wanted any more."""
    wrong = {
        remark for remark, (at, lines) in now.items()
        if remark in goal and (at, len(lines)) != (goal[remark][0], len(goal[remark][1]))
    }  # fmt: skip
    for remark in wrong:
        yield from _without(name, now[remark])
    there = [(now[remark][0], len(now[remark][1])) for remark in now if remark not in wrong]
    for remark, (at, lines) in goal.items():
        if remark in now and remark not in wrong:
            continue
        line = at + sum(length for others, length in there if others <= at) + 1
        for number, words in enumerate(lines):
            yield f"access-list {name} line {line + number} {' '.join(words)}"
        there.append((at, len(lines)))
    for remark, piece in now.items():
        if remark not in goal:
            yield from _without(name, piece)


def _without(name: str, piece: Piece) -> Iterator[str]:
    yield from (f"no access-list {name} {' '.join(words)}" for words in reversed(piece[1]))


def _stand_in(before: Config, after: Config, name: str) -> Iterator[str]:
    """Somebody edited a bound list of ours: another with the right entries is bound while it is written anew."""
    yield from _list_lines(after, name, f"{name}{STAND_IN}")
    yield from (bind(key, f"{name}{STAND_IN}") for key in _points(before, name))
    yield f"clear configure access-list {name}"


def _points(config: Config, name: str) -> list[tuple[str, str]]:
    return [key for key, (target, _) in config.bound.items() if target == name]


def _list_lines(config: Config, name: str, called: str | None = None) -> list[str]:
    return write_lists(Config(lists={called or name: config.lists[name]}))


def _object_lines(before: Config, after: Config, key: tuple[str, str]) -> Iterator[str]:
    """A group as a whole; one that is there gets what it lacks first, and then loses what it has too much."""
    there = {line.words for line in before.objects.get(key, ())}
    wanted = {line.words for line in after.objects[key]}
    if there == wanted:
        return
    missing = tuple(line for line in after.objects[key] if line.words not in there)
    extra = [line for line in before.objects.get(key, ()) if line.words not in wanted]
    yield from write_objects(Config(objects={key: missing}))
    yield from (f" no {' '.join(line.words)}" for line in extra)


def _same_list(before: Config, after: Config, name: str) -> bool:
    """Whether a list reads the same, with groups as they shall be: those are repaired by themselves."""
    reader = Reader({**before.objects, **after.objects}, {**before.names, **after.names})
    return name in before.lists and _meanings(before, name, reader) == _meanings(after, name, reader)
