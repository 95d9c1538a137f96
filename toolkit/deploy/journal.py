"""What was done to which device, written and synced before each step, so that a crash leaves no doubt."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toolkit.errors import DeployError, LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Step(StrEnum):
    """What is about to happen to a device, or has happened."""

    SENDING = "sending"
    SENT = "sent"
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
    """Append-only JSON lines in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"

    def write(self, device: str, step: str, **detail: Any) -> None:
        """Write a line and wait until the disk has it."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "device": device, "step": step, **detail}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[Entry]:
        """All lines; a last one that a crash cut short is left out.

        Raises:
            DeployError: a line in the middle cannot be read.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        found = []
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                body = json.loads(line)
                found.append(Entry(body.pop("time"), body.pop("device"), body.pop("step"), body))
            except (ValueError, KeyError):
                if number == len(lines):
                    break
                raise DeployError(f"{self.path}:{number}: cannot be read; the journal was damaged") from None
        return found

    def states(self) -> dict[str, str]:
        """The last step of each device that was touched."""
        return {entry.device: entry.step for entry in self.entries() if entry.device}


@contextmanager
def lock(runs: Path, owner: str) -> Iterator[None]:
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
            raise LockedError(f"another change is under way: {file.read().strip() or 'owner unknown'}") from None
        file.truncate(0)
        file.write(f"{owner}, process {os.getpid()}, since {datetime.now(UTC).isoformat(timespec='seconds')}")
        file.flush()
        yield
        file.truncate(0)
