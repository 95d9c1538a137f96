"""A push as a process of its own, so that the world can act in the middle of it, and end it.

The child is the toolkit: it applies the plan, and after each line of its journal it waits until the parent has done
what the scenario declares for that moment. The parent is the world: it reboots devices, cuts links, or kills the child.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NoReturn

from toolkit.deploy import Options
from toolkit.errors import LabError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.scenario import Fault, Push
    from toolkit.verify.live import Planned

GO_ON: Final = b"."
HANGS: Final = 150.0  # seconds; the longest push of a lab takes a tenth of it


@dataclass(frozen=True, slots=True)
class Pushed:
    """How a push ended: `applied`, `rolled back`, `failed` (not everything could be rolled back) or `killed`."""

    end: str
    detail: str


def push(rehearsal: Rehearsal, planned: Planned, how: Push, do: Callable[[Fault], str]) -> Pushed:
    """Apply a plan; `do` is called for each fault, at its moment, and returns what there is to say about it.

    Raises:
        LabError: a moment never came, so what should have broken did not.
    """
    rehearsal.target.close()  # the child logs in by itself; no thread of a session may be copied half-way
    mine, theirs = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(rehearsal, planned, how, reader=theirs[0], writer=mine[1])
    os.close(theirs[0])
    os.close(mine[1])
    try:
        with os.fdopen(mine[0], encoding="utf-8") as words:
            return _Parent(pid, words, theirs[1], how, do).follow()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(theirs[1])


class _Parent:
    """The world: it hears of every moment, acts, and lets the child go on."""

    def __init__(self, pid: int, words: Any, answer: int, how: Push, do: Callable[[Fault], str]) -> None:
        self.pid = pid
        self.words = words
        self.answer = answer
        self.waiting = list(how.faults)
        self.do = do
        self.said: list[str] = []
        self.killed = False

    def follow(self) -> Pushed:
        end: dict[str, str] = {}
        for line in self.words:
            word = json.loads(line)
            if "end" in word:
                end = word
                continue
            self._moment(word["device"], word["step"])
            if self.killed:
                break
            os.write(self.answer, GO_ON)
        if self.waiting:
            moments = ", ".join(f"{one.at}" for one in self.waiting)
            raise LabError(f"the push never came to: {moments}; it ended with: {end.get('detail', 'nothing')}")
        if self.killed:
            return Pushed("killed", "; ".join(self.said))
        if not end:
            raise LabError("the push ended without a word")
        return Pushed(end["end"], "; ".join([*self.said, end["detail"]]))

    def _moment(self, device: str, step: str) -> None:
        for one in [one for one in self.waiting if (one.at.device, one.at.step) == (device, step)]:
            self.waiting.remove(one)
            for fault in one.do:
                if fault.kill is not None:
                    os.kill(self.pid, signal.SIGKILL)
                    self.killed = True
                    self.said.append(f"the toolkit is killed at {device} {step}")
                else:
                    self.said.append(f"{fault} at {device} {step}{self.do(fault)}")


def _child(rehearsal: Rehearsal, planned: Planned, how: Push, *, reader: int, writer: int) -> NoReturn:
    # A push that hangs ends here, and the run's output shows where it stood.
    faulthandler.dump_traceback_later(HANGS, exit=True)
    turn = Lock()  # devices of a wave are pushed in threads

    def say(**word: str) -> None:
        os.write(writer, json.dumps(word).encode() + b"\n")

    def told(device: str, step: str) -> None:
        with turn:
            say(device=device, step=step)
            os.read(reader, 1)

    try:
        outcome = rehearsal.push(planned, Options(rehearsal=True, resume=how.resume, told=told))
        changed = f"changed {', '.join(outcome.changed) or 'nothing'}"
        say(end="applied", detail=f"{changed}, ended {outcome.ended_sessions} sessions")
    except ToolkitError as caught:
        say(end="rolled back" if "(rolled back:" in str(caught) else "failed", detail=str(caught))
    finally:
        sys.stderr.flush()
        os._exit(0)
