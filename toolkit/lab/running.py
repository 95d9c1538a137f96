"""A lab that stays up: `start` leaves it in the background, `ask` talks to it, `stop` ends it.

The record of a running lab is `runs/labs/<name>.json`; the lab listens on a socket in its own folder, so that only
who may enter its namespaces, or is root where it is of containers, can ask it anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import LabError
from toolkit.lab.backends import DEFAULT, load_backend
from toolkit.lab.management import as_text
from toolkit.lab.namespaces import USER
from toolkit.lab.rehearsal import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolkit.render.work import Work

CONTROL: Final = "control.sock"
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A lab that is up; `pid` is its first process, `state` its own folder as that process sees it.

    `addresses` is where the push calls its devices, as TOOLKIT_ADDRESSES holds it.
    """

    name: str
    pid: int
    record: Path
    backend: str
    state: Path
    addresses: str


def find(runs: Path, name: str) -> Running | None:
    """The running lab of a site; a record whose process is gone is removed."""
    record = runs / "labs" / f"{name}.json"
    try:
        body = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if Path(f"/proc/{body['pid']}/ns/net").exists():
        return Running(name, body["pid"], record, body["backend"], Path(body["state"]), body["addresses"])
    record.unlink(missing_ok=True)
    return None


def must_find(runs: Path, name: str) -> Running:
    """The running lab of a site.

    Raises:
        LabError: it is not up.
    """
    found = find(runs, name)
    if found is None:
        raise LabError(f"the lab of {name} is not up; start it with: toolkit lab up")
    return found


def start(
    work: Work, runs: Path, answer: Callable[[Rehearsal, dict[str, Any]], dict[str, Any]], backend: str = DEFAULT
) -> Running:
    """Start a lab in the background and wait until it answers; `answer` serves what `ask` asks.

    Raises:
        LabError: it is up already, or does not come up (with what it wrote).
    """
    name = work.site.name
    if find(runs, name) is not None:
        raise LabError(f"the lab of {name} is up already; end it with: toolkit lab down")
    folder = runs / "labs"
    folder.mkdir(parents=True, exist_ok=True)
    record, log = folder / f"{name}.json", folder / f"{name}.log"
    log.unlink(missing_ok=True)
    pids: list[Path] = [folder / f"{name}.pid"]
    pid = os.fork()
    if pid == 0:
        _into_background(log)
        code = _in_background(
            lambda: _serve(work, runs, answer, record, pids[0], backend),
            lambda first: _write(pids[0], str(first)),
            backend,
        )
        record.unlink(missing_ok=True)
        os._exit(code)
    deadline = time.monotonic() + START_TIMEOUT
    while not record.exists():
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            words = log.read_text(encoding="utf-8", errors="replace")[-800:] if log.exists() else ""
            raise LabError(f"the lab did not come up: {words.strip() or 'no message'}")
        time.sleep(0.02)
    return must_find(runs, name)


def _write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").rename(path)


def _in_background(work: Callable[[], int], started: Callable[[int], None], backend: str) -> int:
    """Run a lab, with what goes wrong before it has begun written to the log."""
    try:
        return load_backend(backend).run(work, started)
    except LabError as caught:
        sys.stderr.write(f"toolkit: {caught}\n")
        sys.stderr.flush()
        return caught.exit_code


def _into_background(log: Path) -> None:
    os.setsid()
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _serve(
    work: Work,
    runs: Path,
    answer: Callable[[Rehearsal, dict[str, Any]], dict[str, Any]],
    record: Path,
    pid_file: Path,
    backend: str,
) -> int:
    """Inside the lab: build it, say that it is up, and answer until somebody says stop."""
    with (
        Rehearsal(work, runs.resolve(), backend=backend) as rehearsal,
        socket.socket(socket.AF_UNIX) as control,
    ):
        state = rehearsal.lab.state
        control.bind(str(state / CONTROL))
        control.listen(8)
        while not pid_file.exists():
            time.sleep(0.01)
        first = int(pid_file.read_text(encoding="utf-8"))
        body = {"pid": first, "site": str(work.folder), "backend": backend, "state": str(state)}
        _write(record, json.dumps({**body, "addresses": as_text(rehearsal.connection.addresses)}))
        pid_file.unlink()
        while True:
            connection, _ = control.accept()
            with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                question = json.loads(_all(connection))
                try:
                    reply = answer(rehearsal, question)
                except LabError as caught:
                    reply = {"error": str(caught)}
                connection.sendall(json.dumps(reply).encode())


def _all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def ask(running: Running, question: dict[str, Any]) -> dict[str, Any]:
    """Ask a running lab something and wait for its answer.

    Raises:
        LabError: it cannot be reached, or says that it cannot do that.
    """
    reader, writer = os.pipe()

    def inside() -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(running.state / CONTROL))
            connection.sendall(json.dumps(question).encode())
            connection.shutdown(socket.SHUT_WR)
            data = _all(connection)
        while data:
            data = data[os.write(writer, data) :]
        return 0

    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            code = load_backend(running.backend).attach(running.pid, inside)
        except LabError as caught:
            sys.stderr.write(f"toolkit: {caught}\n")
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise LabError(f"the lab of {running.name} did not answer; its log is beside {running.record}")
    reply: dict[str, Any] = json.loads(data)
    if "error" in reply:
        raise LabError(reply["error"])
    return reply


def execute(running: Running, argv: Sequence[str]) -> int:
    """Run a command inside a lab, with what it needs to log in to the lab's devices; its exit code."""

    def inside() -> int:
        environment = {
            **os.environ,
            "TOOLKIT_USER": USER,
            "TOOLKIT_KEY_FILE": str(running.state / "id_ed25519"),
            "TOOLKIT_KNOWN_HOSTS": str(running.state / "known_hosts"),
            "TOOLKIT_ADDRESSES": running.addresses,
        }
        try:
            os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - the user's own command, as it was given
        except OSError as caught:
            raise LabError(f"{argv[0]}: {caught.strerror}") from None

    return load_backend(running.backend).attach(running.pid, inside)


def stop(running: Running) -> None:
    """End a running lab and everything in it."""
    pidfd = os.pidfd_open(running.pid)
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while running.record.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if running.record.exists():
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        running.record.unlink(missing_ok=True)
    os.close(pidfd)
