"""What travels between a Nornir and the workers that run its tasks elsewhere: packed here, and unpacked there.

Going out: the task with its arguments, and the inventory that it may look at, without connections, which cannot leave
their process. Coming back: the results. The hosts, the inventory and the Nornir in them are names on the way, so that
those of the one who asked come out at its end, and not copies.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import cloudpickle
from nornir.core import Nornir
from nornir.core.inventory import Group, Host, Inventory
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.processor import Processors
from nornir.core.task import MultiResult, Result, Task
from nornir.plugins.runners import SerialRunner

from toolkit.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HOST_SLOTS: Final = tuple(name for kind in reversed(Host.__mro__) for name in getattr(kind, "__slots__", ()))


class NotSentError(DeployError):
    """What a task raised or returned on a worker cannot be sent back; the message says what it was."""


class _Packer(cloudpickle.CloudPickler):  # type: ignore[misc] # it has no types
    """Packs with hosts and all that holds them as names; where `whole`, those of the inventory go along."""

    def __init__(self, file: io.BytesIO, *, whole: bool) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.whole = whole

    def persistent_id(self, thing: object) -> tuple[str, ...] | None:
        if isinstance(thing, Nornir):
            return ("nornir",)
        if isinstance(thing, Processors):
            return ("processors",)
        if self.whole:
            return None
        if isinstance(thing, Inventory):
            return ("inventory",)
        if isinstance(thing, Group):
            return ("group", thing.name)
        return ("host", thing.name) if isinstance(thing, Host) else None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Host):
            # Its attributes answer with what they inherit; what is sent is what it has itself.
            own = {name: object.__getattribute__(thing, name) for name in HOST_SLOTS}
            return _made, (type(thing),), (None, {**own, "connections": {}})
        kind: Any = type(thing)
        own_start = isinstance(kind.__init__, FunctionType)  # it may take other arguments than those that it hands on
        if isinstance(thing, BaseException) and own_start and kind.__reduce__ is BaseException.__reduce__:
            return _raised, (kind, thing.args), thing.__dict__ or None
        return super().reducer_override(thing)


def _made(kind: type[Host]) -> Host:
    return kind.__new__(kind)


def _raised(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    made = kind.__new__(kind, *arguments)
    made.args = arguments
    return made


class _Unpacker(pickle.Unpickler):
    """Unpacks, with the hosts of one Nornir in the place of their names."""

    def __init__(self, file: io.BytesIO, nornir: Nornir) -> None:
        super().__init__(file)
        self.nornir = nornir

    def persistent_load(self, name: tuple[str, ...]) -> object:
        inventory = self.nornir.inventory
        match name:
            case ("nornir",):
                return self.nornir
            case ("processors",):
                return self.nornir.processors
            case ("inventory",):
                return inventory
            case ("host", host):
                return inventory.hosts[host]
            case ("group", group):
                return inventory.groups[group]
        raise pickle.UnpicklingError(f"{name} is no name of a parcel")


def pack(thing: object, *, whole: bool = False) -> bytes:
    """A value as bytes."""
    file = io.BytesIO()
    _Packer(file, whole=whole).dump(thing)
    return file.getvalue()


def unpack(data: bytes, nornir: Nornir) -> Any:
    """The value of such bytes; hosts in it are those of `nornir`."""
    return _Unpacker(io.BytesIO(data), nornir).load()


# ---- going out -------------------------------------------------------------------------------


def pack_task(task: Task, nornir: Nornir) -> bytes:
    """A task with all that it may look at.

    Raises:
        DeployError: one of its arguments, or something in the inventory, cannot be sent.
    """
    head = (task.task, task.name, task.severity_level, task.global_dry_run)
    shared = (nornir.inventory, nornir.config, nornir.data, dict(ConnectionPluginRegister.available))
    try:
        return pack((*head, task.params, *shared), whole=True)
    except Exception as caught:
        raise DeployError(
            f"task {task.name} cannot be sent to a worker: {type(caught).__name__}: {caught} (open files, sockets and "
            "locks stay where they are; let the task open them)"
        ) from caught


def unpack_task(data: bytes) -> Task:
    """The task on a worker, with a Nornir of its own."""
    nornir = Nornir(Inventory({}), runner=SerialRunner())  # type: ignore[arg-type] # hosts follow
    function, name, severity, dry_run, params, nornir.inventory, nornir.config, nornir.data, plugins = unpack(
        data, nornir
    )
    ConnectionPluginRegister.auto_register()
    for key, plugin in plugins.items():
        ConnectionPluginRegister.register(key, plugin)
    return Task(function, nornir, dry_run, nornir.processors, name, severity, None, **params)


# ---- coming back -----------------------------------------------------------------------------


@dataclass
class Recorder:
    """A processor that keeps what happens to a host on a worker, to be told again where the processors are."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def task_started(self, task: Task) -> None:
        """Happens where the run was asked for."""

    def task_completed(self, task: Task, result: object) -> None:
        """Happens where the run was asked for."""

    def task_instance_started(self, task: Task, host: Host) -> None:
        """See `nornir.core.processor.Processor`."""
        self.events.append(("task_instance_started", task, host))

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        """See `nornir.core.processor.Processor`."""
        self.events.append(("task_instance_completed", task, host, result))

    def subtask_instance_started(self, task: Task, host: Host) -> None:
        """See `nornir.core.processor.Processor`."""
        self.events.append(("subtask_instance_started", task, host))

    def subtask_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        """See `nornir.core.processor.Processor`."""
        self.events.append(("subtask_instance_completed", task, host, result))


def keepsakes(host: Host) -> dict[str, bytes | None]:
    """What a host has in its own data, as bytes; None for what cannot be sent."""
    found: dict[str, bytes | None] = {}
    for key, value in host.data.items():
        try:
            found[key] = pack(value)
        except Exception:  # noqa: BLE001 - whatever it is that cannot be packed
            found[key] = None
    return found


def pack_results(
    results: MultiResult,
    events: list[tuple[Any, ...]],
    before: Mapping[str, bytes | None],
    host: Host,
    nornir: Nornir,
) -> bytes:
    """The results of one host, with what the task wrote into the host's data; what cannot be sent is replaced."""
    after = keepsakes(host)
    written = {key: host.data[key] for key, one in after.items() if one is not None and before.get(key) != one}
    gone = [key for key in before if key not in after]
    whole = (results, events, written, gone)
    try:
        data = pack(whole)
        unpack(data, nornir)
    except Exception:  # noqa: BLE001 - whatever it is that cannot be packed
        for one in _each(results):
            _make_fit(one, nornir)
        # Processors see the results as they are now, and no longer each subtask.
        return pack((results, [one for one in events if one[0].startswith("task_instance")], written, gone))
    return data


def _each(results: Iterable[Any]) -> Iterator[Result]:
    for one in results:  # a subtask with subtasks of its own has results of its own
        if isinstance(one, MultiResult):
            yield from _each(one)
        else:
            yield one


def _make_fit(one: Result, nornir: Nornir) -> None:
    """Replace what cannot be sent in a result by words; a value that is lost makes it a failure."""
    if one.exception is not None and not _fits(one.exception, nornir):
        what = one.exception
        one.exception = NotSentError(f"{type(what).__module__}.{type(what).__qualname__}: {what}")
    for name, value in list(vars(one).items()):
        if name in ("host", "exception") or _fits(value, nornir):
            continue
        setattr(one, name, None)
        one.failed = True
        message = f"{name} of task {one.name} is a {type(value).__qualname__}, which cannot be sent back from a worker"
        one.exception = one.exception or NotSentError(message)


def _fits(value: object, nornir: Nornir) -> bool:
    try:
        unpack(pack(value), nornir)
    except Exception:  # noqa: BLE001 - whatever it is that cannot be packed
        return False
    return True
