"""What was done to which device, written and synced before each step, so that a crash leaves no doubt."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from toolkit.errors import DeployError, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITING: Final = Lock()
# Of a whole run: how it begins and ends.
STARTED: Final = "started"
STOPPED: Final = "stopped"
FINISHED: Final = "finished"
BACK: Final = "rolled back"


class Step(StrEnum):
    """What is about to happen to a device, or has happened."""

    SENDING = "sending"
    SENT = "sent"
    CONFIRMING = "confirming"
    VERIFIED = "verified"
    SAVING = "saving"
    SAVED = "saved"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal; `device` is empty for what concerns the whole run."""

    time: str
    device: str
    step: str
    detail: dict[str, Any]


class Journal:
    """Append-only JSON lines in a run's folder.

    A rehearsal has a journal of its own: the same plan is rehearsed first and applied later, and what was done to a
    lab must never be taken for what was done to production. `told` hears of each line, device and step, when the disk
    has it and before anything else happens; a lab breaks things at that moment.
    """

    def __init__(
        self, folder: Path, *, rehearsal: bool = False, told: Callable[[str, str], None] | None = None
    ) -> None:
        self.path = folder / ("rehearsal.jsonl" if rehearsal else "journal.jsonl")
        self._told = told

    def write(self, device: str, step: str, **detail: Any) -> None:
        """Write a line and wait until the disk has it; threads may write at the same time.

        A last line that a crash cut short is dropped first: its step had not begun.
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "device": device, "step": step, **detail}
        new = not self.path.exists()
        with WRITING, self.path.open("ab+") as file:
            _drop_torn_line(file)
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(self.path.parent)
        if self._told is not None:
            self._told(device, step)

    def entries(self) -> list[Entry]:
        """All lines; a last one that a crash cut short is left out.

        Raises:
            DeployError: a line in the middle cannot be read.
        """
        if not self.path.exists():
            return []
        # What follows the last line end was cut short by a crash; its step had not begun.
        whole = self.path.read_bytes().split(b"\n")[:-1]
        found = []
        for number, line in enumerate(whole, 1):
            try:
                body = json.loads(line)
                found.append(Entry(body.pop("time"), body.pop("device"), body.pop("step"), body))
            except (ValueError, KeyError, AttributeError):
                raise DeployError(f"{self.path}:{number}: cannot be read; the journal was damaged") from None
        return found

    def states(self) -> dict[str, str]:
        """The last step of each device that was touched, in the order in which they were touched last.

        A failure is no state of a device: what was done before it still stands.
        """
        found: dict[str, str] = {}
        for entry in self.entries():
            if entry.device and entry.step != Step.FAILED:
                if entry.step == Step.SENDING:
                    found.pop(entry.device, None)
                found[entry.device] = entry.step
        return found

    @property
    def unfinished(self) -> bool:
        """Whether an apply or a rollback began and neither came to its end: then nobody knows but the journal."""
        whole = [entry.step for entry in self.entries() if not entry.device]
        return bool(whole) and whole[-1] not in (FINISHED, BACK)

    def since_sending(self, device: str) -> list[Entry]:
        """What was written about a device from the last time that something was sent to it."""
        own = [one for one in self.entries() if one.device == device]
        starts = [number for number, one in enumerate(own) if one.step == Step.SENDING]
        return own[starts[-1] :] if starts else []

    def startup_before(self, device: str) -> dict[str, str | None]:
        """Startup files of a device as they were before the last time that something was sent to it."""
        sent = self.since_sending(device)
        return dict(sent[0].detail.get("startup", {})) if sent else {}


def _drop_torn_line(file: BinaryIO) -> None:
    file.seek(0)
    content = file.read()
    if content and not content.endswith(b"\n"):
        file.truncate(content.rfind(b"\n") + 1)


def _sync_folder(folder: Path) -> None:
    """A new file is only safe once its folder is."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def lock(runs: Path, purpose: str) -> Iterator[None]:
    """Hold the right to apply; it is given back by the kernel when this process ends, however it ends.

    Raises:
        LockedError: another apply holds it; says which.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / ".lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "owner unknown"
            raise LockedError(f"another change is under way: {owner}; wait for it to end") from None
        file.truncate(0)
        file.write(f"{purpose}, process {os.getpid()}, since {datetime.now(UTC).isoformat(timespec='seconds')}")
        file.flush()
        yield
        file.truncate(0)
