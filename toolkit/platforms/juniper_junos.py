"""Juniper Junos: firewall filters of EX and QFX switches and MX routers, stateless.

*own*: a filter of ours on the input of every interface, replaced as a whole in one commit. Ports of a bridge take
`family ethernet-switching`, routed interfaces `family inet`. Filters of the control plane (lo0) are never touched.
*extend*: terms of ours between those of somebody's filter.
"""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from toolkit.errors import ConfigError, Place
from toolkit.net import Direction
from toolkit.platforms import _junos_routes
from toolkit.platforms._junos_extend import extend
from toolkit.platforms._junos_render import render
from toolkit.platforms._junos_state import JunosState, content_at, normal, read
from toolkit.platforms._junos_text import apply_script, join
from toolkit.platforms._sizes import Counting, check_fits
from toolkit.platforms.base import CandidateConfig, Capabilities, ChangeSet, DeviceContext, FilterState
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.platforms._junos_heads import Words
    from toolkit.platforms.base import NextHop, RouteQuery
    from toolkit.policy import DevicePolicy

CONFIRM_MINUTES: Final = 10
# Words that name an object: a prefix list, the input of an interface.
LENGTHS: Final = {"policy-options": 3, "interfaces": 8}


class JuniperJunos:
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "juniper_junos"
    transport: ClassVar[Literal["exec", "cli"]] = "cli"
    netmiko_driver: ClassVar[str] = "juniper_junos"
    block_size: ClassVar[int] = 50
    capabilities: ClassVar[Capabilities] = Capabilities(
        routed=(Direction.IN, Direction.OUT),
        switched=(Direction.IN,),
        log=True,
        established=True,
        fragments="a term with ports does not match later fragments; those in scope are denied before the first port",
        commit_confirm=True,
        commit_note=(
            f"commit check, then commit confirmed {CONFIRM_MINUTES}: without the confirming commit the device goes back"
            " by itself"
        ),
        counting=Counting(
            (Direction.IN, Direction.OUT),
            shared=False,
            note=(
                "every combination of a term's values is an entry, prefix lists written out; ranges of ports are taken "
                "as compared by the hardware: filter.port_ranges: expanded counts without"
            ),
        ),
    )
    show_commands: ClassVar[tuple[str, ...]] = ("show configuration | display set",)
    load_command: ClassVar[str] = ""
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "error:",
        "syntax error",
        "unknown command",
        "missing argument",
        "invalid value",
        "statement not found",
        "commit failed",
        "check-out failed",
        "ACCESS-DENIED",
    )

    def empty(self, context: DeviceContext) -> JunosState:
        """A device without any filter."""
        return JunosState(context, {})

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> JunosState:
        """The state after loading `set` lines on a device in the state `before`."""
        now = _junos(before)
        statements, inactive = apply_script(text, file, now.statements)
        return read(context, statements, tuple(dict.fromkeys((*now.inactive, *inactive))))

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> JunosState:
        """The state that `show configuration | display set` reports."""
        text = outputs[self.show_commands[0]]
        lines = text.split("\n")
        if not any(line.lstrip().startswith("set ") for line in lines):
            braces = next((number for number, line in enumerate(lines, 1) if line.rstrip().endswith("{")), None)
            what = "shows no configuration at all" if braces is None else "shows curly braces; ask for `| display set`"
            raise ConfigError(f"the device {what}", place=Place(context.device, braces))
        return self.parse_config(text, context.device, context, self.empty(context))

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """Filters of ours; refused where somebody's filter stands, or where more is asked than the device holds."""
        now = _junos(running)
        candidate = extend(policy, now.without_owned()) if extends(now) else render(policy, now)
        if now.context.node.filter.capacity is not None:
            goal = self.parse_config(candidate.text, f"{policy.device}.cfg", now.context, now.without_owned())
            check_fits(now, goal, self.capabilities.counting)
        return candidate

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to type; nothing where the device has it already."""
        now = _junos(running)
        goal = self.parse_config(candidate.text, f"{candidate.device}.cfg", now.context, now.without_owned())
        lines = list(_lines(now, goal))
        if not lines:
            return ChangeSet(candidate.device, "", "", {}, "")
        check_fits(now, goal, self.capabilities.counting)
        before, after = (_owned_text(one).splitlines(keepends=True) for one in (now, goal))
        names = f"{candidate.device} running", f"{candidate.device} candidate"
        return ChangeSet(
            candidate.device,
            _typed([*lines, "commit check", f"commit confirmed {CONFIRM_MINUTES}"]),
            self.restore(now, goal),
            {},
            "".join(unified_diff(before, after, *names)),
            confirm=_typed(["commit"]),
        )

    def spelled_out(self, interface: str) -> str:
        """See `Platform`; names are not shortened here."""
        return interface

    def ask_routes(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """See `Platform`."""
        return _junos_routes.ask(queries)

    def read_routes(
        self, queries: Sequence[RouteQuery], output: str, errors: str, device: str
    ) -> tuple[frozenset[NextHop], ...]:
        """See `Platform`."""
        if errors.strip():
            raise ConfigError(f"it did not answer about routes: {errors.strip().splitlines()[0]}", place=Place(device))
        return _junos_routes.read(queries, output, device)

    def restore(self, target: FilterState, running: FilterState) -> str:
        """Lines that make what is ours as it is in `target`, in one commit."""
        lines = list(_lines(_junos(running), _junos(target)))
        return _typed([*lines, "commit check", "commit"]) if lines else ""

    def startup(self, state: FilterState) -> Mapping[str, str | None]:
        """Nothing to keep besides: a commit is what the device boots with."""
        del state
        return {}


PLATFORM = JuniperJunos()


def _junos(state: FilterState) -> JunosState:
    if not isinstance(state, JunosState):
        raise TypeError(f"{type(state).__name__} is no state of juniper_junos")
    return state


def extends(state: JunosState) -> bool:
    """Whether somebody's filters are extended."""
    return state.context.node.filter.mode is Ownership.EXTEND


def _typed(lines: list[str]) -> str:
    """Lines for the operational prompt; an exclusive session refuses to mix with somebody's open changes."""
    return "".join(f"{line}\n" for line in ("configure exclusive", *lines, "exit"))


def _owned_text(state: JunosState) -> str:
    owned = state.owned()
    return owned.text() if owned else ""


def _lines(now: JunosState, goal: JunosState) -> Iterator[str]:
    """What turns what is ours now into what it shall be: each object that differs is replaced as a whole."""
    before, after = _objects(now), _objects(goal)
    stale = [path for path, content in before.items() if after.get(path) != content]
    moved = [head for head in _orders(now) | _orders(goal) if _orders(now).get(head) != _orders(goal).get(head)]
    stale += [path for path in before if path not in stale and any(path[: len(head)] == head for head in moved)]
    for path in reversed(stale):  # bindings before filters, filters before lists
        yield f"delete {join(path)}"
    for path, content in after.items():
        if path in stale or path not in before:
            yield from (f"set {join((*path, *words))}" for words in content)
    for head in moved:
        yield from _inserts(head, _orders(goal).get(head, ()), f"{goal.context.prefix}_")
    sleeping = [path for path in now.inactive if any(_overlap(path, one) for one in after)]
    yield from (f"activate {join(path)}" for path in sleeping)


def _inserts(head: Words, terms: Sequence[str], prefix: str) -> Iterator[str]:
    """Each term of ours before the next one of somebody else; behind the last of them is where `set` puts it."""
    for number, term in enumerate(terms):
        following = next((other for other in terms[number:] if not other.startswith(prefix)), None)
        if term.startswith(prefix) and following is not None:
            yield f"insert {join((*head, 'term', term))} before term {join((following,))}"


def _orders(state: JunosState) -> dict[Words, tuple[str, ...]]:
    """The terms of each filter of somebody else that holds terms of ours, in order."""
    prefix = f"{state.context.prefix}_"
    found: dict[Words, dict[str, None]] = {}
    for words in state.statements:
        if words[0] == "firewall":
            at = content_at(words)
            if not words[at - 1].startswith(prefix) and words[at : at + 1] == ("term",):
                found.setdefault(words[:at], {})[words[at + 1]] = None
    return {head: tuple(terms) for head, terms in found.items() if any(term.startswith(prefix) for term in terms)}


def _overlap(one: Words, other: Words) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _objects(state: JunosState) -> dict[Words, list[Words]]:
    """Path of each object of ours (prefix lists, filters, terms, bindings) -> what stands below it, in normal order."""
    owned = state.owned()
    found: dict[Words, list[Words]] = {}
    for words in normal(owned.statements) if owned else ():
        length = LENGTHS.get(words[0]) or content_at(words)
        if words[0] == "firewall" and not words[length - 1].startswith(f"{state.context.prefix}_"):
            length += 2  # a term of ours in a filter of somebody else
        found.setdefault(words[:length], []).append(words[length:])
    return found
