"""`labs/<name>/scenario.yaml`: what is done to a lab on purpose, when, and what must be seen then.

A list of steps, each with `at` (the moment, in words), `do` (what is done, one verb for each item) and `expect`
(what must hold afterwards, one kind for each item). The verbs are the fields of `Action`, the kinds those of `Expect`;
an unknown one, or a name that the site does not have, is answered with file, line and the valid choices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from toolkit.deploy import Step as JournalStep
from toolkit.errors import InputError, LabError, SiteError
from toolkit.files import Document, FileModel, load
from toolkit.lab.matrix import parse_service
from toolkit.site import LinkEnd, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolkit.lab.matrix import LabService
    from toolkit.site import Site

FILE = "scenario.yaml"
UNTOUCHED = "untouched"
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]


class OneOf(FileModel):
    """A mapping of which exactly one key is given; a bare word stands for a key without a value of its own."""

    @model_validator(mode="before")
    @classmethod
    def _bare_word(cls, value: Any) -> Any:
        return {value: {}} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> OneOf:
        if len(self.model_fields_set) != 1:
            given = ", ".join(sorted(self.model_fields_set)) or "none"
            raise ValueError(f"one key for each item; found {given} (valid keys: {', '.join(type(self).model_fields)})")
        return self

    @property
    def key(self) -> str:
        """The key that is given."""
        return next(iter(self.model_fields_set))

    @property
    def value(self) -> Any:
        """Its value."""
        return getattr(self, self.key)

    def __str__(self) -> str:
        return f"{self.key.replace('_', ' ')} {_words(self.value)}".strip()


class Block(FileModel):
    """A port that a device drops, both directions of it, in a table of nobody's; all hosts, or those of `to`."""

    device: str
    port: PortNumber
    protocol: Literal["tcp", "udp"] = "tcp"
    to: tuple[str, ...] = ()


class Image(FileModel):
    """An image in the temporary registry, and the host that pulls it."""

    by: str
    image: Annotated[str, Field(pattern=r"^[a-z0-9]+(/[a-z0-9]+)*:[a-z0-9.]+$")]


class Session(FileModel):
    """An HTTP session from a host to a service of another, kept open; `path` is asked for each time."""

    name: Text
    source: str
    destination: str
    port: PortNumber
    path: str = "/"


class Serve(FileModel):
    """A web server that a host runs from now on, for sessions to be kept with."""

    host: str
    port: PortNumber


class Fault(OneOf):
    """What breaks, and what mends it."""

    link_down: LinkEnd | None = None
    link_up: LinkEnd | None = None
    stop: str | None = None  # a node loses power
    start: str | None = None  # and has it again
    reboot: str | None = None
    block: Block | None = None
    unblock: str | None = None
    flush: str | None = None  # a device forgets its connections
    kill: Literal["toolkit"] | None = None  # only in the middle of a push


class Moment(FileModel):
    """A moment of a push: right after the journal has this step of this device."""

    device: str
    step: JournalStep

    def __str__(self) -> str:
        return f"{self.device} {self.step}"


class MidPush(FileModel):
    """What happens at a moment of a push."""

    at: Moment
    do: Annotated[tuple[Fault, ...], Field(min_length=1)]


class Push(FileModel):
    """A push of the plan that was made last (`resume`), or of a new one."""

    resume: bool = False
    faults: tuple[MidPush, ...] = ()


class Nothing(FileModel):
    """A verb that needs nothing more said."""


class Action(Fault):
    """One thing that is done."""

    settings: dict[str, bool | str] | None = None  # of the site, from here on
    push: Push | None = None
    rollback: Nothing | None = None
    publish: Image | None = None  # an image is put into the registry from the host itself
    pull: Image | None = None
    serve: Serve | None = None
    open: Session | None = None
    watch: Nothing | None = None  # other people's traffic, until losses are counted


class Server(FileModel):
    """A server of the load balancer's pool, as its health check sees it."""

    name: str
    port: PortNumber
    state: Literal["UP", "DOWN"]


class Tracked(FileModel):
    """How many sessions towards a port a device tracks: some, or none."""

    device: str
    port: PortNumber
    sessions: Literal["some", "none"]


Cells = Annotated[tuple[str, ...], Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class Expect(OneOf):
    """One thing that must be seen."""

    services: Literal["healthy"] | None = None
    etcd: Literal["healthy", "degraded", "broken"] | None = None
    server: Server | None = None
    matrix: str | None = None  # the expectations file that every cell is held against
    permitted: Cells | None = None  # "node1 install1 tcp/30070"
    denied: Cells | None = None
    session_open: str | None = None
    session_cut: str | None = None
    tracked: Tracked | None = None
    pulled: Literal["complete", "failed"] | None = None
    push: Literal["applied", "rolled back", "failed", "killed"] | None = None
    filters: dict[str, Literal["old", "new"]] | None = None
    journal: dict[str, str] | None = None
    losses: Annotated[int, Field(ge=0)] | None = None
    proof: Literal["holds"] | None = None
    foreign: Literal["untouched"] | None = None  # what others have on the devices, since before the last plan
    forwarding: dict[str, str] | None = None  # the member that holds a redundancy group's virtual addresses

    @field_validator("journal")
    @classmethod
    def _steps(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        known = [*JournalStep, UNTOUCHED]
        for step in (value or {}).values():
            if step not in known:
                raise ValueError(f"unknown step {step!r} (steps: {', '.join(known)})")
        return value

    @field_validator("permitted", "denied")
    @classmethod
    def _cells(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            cell(text)
        return value


class ScenarioStep(FileModel):
    """A moment of the scenario."""

    at: Text
    do: tuple[Action, ...] = ()
    expect: tuple[Expect, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> ScenarioStep:
        if not self.do and not self.expect:
            raise ValueError("a step needs something to do or to expect")
        return self


class Scenario(FileModel):
    """The file: what it shows, in a sentence, and its steps in order."""

    about: Text
    steps: Annotated[tuple[ScenarioStep, ...], Field(min_length=1)]


def cell(text: str) -> tuple[str, str, LabService]:
    """Source, destination and service of `node1 install1 tcp/30070`.

    Raises:
        ValueError: it is not written so.
    """
    words = text.split()
    if len(words) != 3:  # noqa: PLR2004 - source, destination, service
        raise ValueError(f"{text!r} is no cell; write for example: node1 install1 tcp/30070")
    try:
        return words[0], words[1], parse_service(words[2])
    except LabError as caught:
        raise ValueError(caught.message) from None


def load_scenario(folder: Path, site: Site) -> Scenario | None:
    """The scenario of a lab's folder, checked against its site; None where the folder declares none.

    Raises:
        InputError: with file and line of the first mistake, and the valid choices.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    scenario, document = load(path, Scenario)
    sessions: set[str] = set()
    for number, step in enumerate(scenario.steps):
        for index, action in enumerate(step.do):
            _check_action(action, site, document, ("steps", number, "do", index), sessions)
        for index, one in enumerate(step.expect):
            _check_expect(one, site, folder, document, ("steps", number, "expect", index), sessions)
    return scenario


def _check_action(
    action: Action, site: Site, document: Document, path: tuple[str | int, ...], sessions: set[str]
) -> None:
    place = document.place(*path)
    if action.kill is not None:
        raise InputError("the toolkit can be killed in the middle of a push only: push, faults", place=place)
    if action.settings is not None:
        try:
            with_settings(site, action.settings)
        except SiteError as caught:
            raise InputError(caught.message, place=place) from None
    if action.open is not None:
        sessions.add(action.open.name)
    for fault in (action, *(fault for one in (action.push or Push()).faults for fault in one.do)):
        for names, known, what in _names(fault, site):
            _must_know(names, known, what, document, path)
    for one in (action.push or Push()).faults:
        _must_know([one.at.device], _devices(site), "device", document, path)


def _names(one: Fault, site: Site) -> Iterator[tuple[list[str], list[str], str]]:
    """Names that a verb holds, with those that it may hold and what they are."""
    hosts = [node.name for node in site.topology.hosts]
    ends = [f"{node}:{interface}" for node, interface in site.topology.peer]
    yield [end for end in (one.link_down, one.link_up) if end], ends, "end of a link"
    yield [node for node in (one.stop, one.start) if node], list(site.topology.nodes), "host or device"
    block = [one.block.device] if one.block else []
    yield [*block, *(d for d in (one.reboot, one.unblock, one.flush) if d)], _devices(site), "device"
    yield list(one.block.to) if one.block else [], hosts, "host"
    if isinstance(one, Action):
        images = [image.by for image in (one.publish, one.pull) if image]
        ends = [one.open.source, one.open.destination] if one.open else []
        yield [*images, *ends, *([one.serve.host] if one.serve else [])], hosts, "host"


def _check_expect(
    one: Expect, site: Site, folder: Path, document: Document, path: tuple[str | int, ...], sessions: set[str]
) -> None:
    hosts = [node.name for node in site.topology.hosts]
    devices = [*(one.filters or {}), *(one.journal or {}), *([one.tracked.device] if one.tracked else [])]
    _must_know(devices, _devices(site), "device", document, path)
    ends = [end for text in (*(one.permitted or ()), *(one.denied or ())) for end in cell(text)[:2]]
    _must_know([*ends, *([one.server.name] if one.server else [])], hosts, "host", document, path)
    named = [name for name in (one.session_open, one.session_cut) if name]
    _must_know(named, sorted(sessions), "session that was opened before", document, path)
    groups = {group.name: list(group.members) for group in site.topology.groups}
    for name, member in (one.forwarding or {}).items():
        _must_know([name], list(groups), "redundancy group", document, path)
        _must_know([member], groups[name], f"member of {name}", document, path)
    if one.matrix is not None and not (folder / one.matrix).is_file():
        raise InputError(f"no expectations {one.matrix!r} beside the scenario", place=document.place(*path))


def _must_know(names: list[str], known: list[str], what: str, document: Document, path: tuple[str | int, ...]) -> None:
    for name in names:
        if name not in known:
            raise InputError(
                f"unknown {what} {name!r} (known: {', '.join(known) or 'none'})", place=document.place(*path)
            )


def _devices(site: Site) -> list[str]:
    return [node.name for node in site.topology.devices]


def _words(value: Any) -> str:
    """A value as people read it in the time line."""
    if isinstance(value, OneOf | Moment):
        return str(value)
    if isinstance(value, FileModel):
        shown = {key: getattr(value, key) for key in type(value).model_fields if key in value.model_fields_set}
        return ", ".join(f"{key} {_words(one)}" for key, one in shown.items())
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(one)}" for key, one in value.items())
    if isinstance(value, tuple):
        return "; ".join(_words(one) for one in value)
    return str(value)
