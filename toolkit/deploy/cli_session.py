"""Lines typed at a device's prompt, in blocks, every echo accounted for, on nornir-netmiko's own SSH session.

netmiko logs in, turns paging off and becomes privileged. After that this module reads and writes the channel itself:
netmiko's `send_config_set` waits for each line (5.6 s for 500), and takes a rejected line for success.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from toolkit.deploy.channel import end_session, opened, opened_beside
from toolkit.deploy.dialects import ENTERS, SESSION, SLOW, Dialect, blocks, dialect, settled
from toolkit.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nornir.core.task import Task

    from toolkit.platforms.base import Platform

SILENCE: Final = 30.0  # seconds without a word from a device
SLOW_SILENCE: Final = 180.0  # while it commits or saves
QUIET: Final = 1.0  # a pause after which an unusual ending is judged
CHUNK: Final = 1 << 16
ANY_PROMPT: Final = re.compile(r"(?:^|\n)(\S{1,80}[#>]) ?$")
SHORT_ANSWER: Final = 6  # lines; a refusal is never longer, and a configuration may hold any words


class BusyError(DeviceError):
    """Somebody else is configuring the device, so nothing was sent to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device said to one line; `sure` is false where the echo did not tell which line it was."""

    line: str
    output: str
    sure: bool = True


class Terminal:
    """A privileged prompt with paging off."""

    def __init__(self, device: str, connection: Any, platform: Platform) -> None:
        self.device = device
        self.connection = connection
        self.platform = platform
        self.dialect: Dialect = dialect(platform.netmiko_driver)
        base = re.escape(str(connection.base_prompt))
        self._prompt = re.compile(rf"^{base}[^\s#>()]*(?:\([^()\r\n]*\))?[#>] ?", re.MULTILINE)
        self._ending = re.compile(rf"(?:^|\n)({base}[^\s#>()]*(?:\([^()\r\n]*\))?[#>] ?)$")
        self.at = f"{connection.base_prompt}#"

    # ---- what is asked of it --------------------------------------------------------------

    def show(self, command: str, *, judged: bool = True) -> str:
        """Output of a command that changes nothing; one that is not `judged` may be a refusal.

        Raises:
            DeviceError: the device refuses it, or the session breaks.
        """
        output = self._type([command], SILENCE)[0].output
        if judged and len(output.splitlines()) <= SHORT_ANSWER and self._refused(output):
            raise DeviceError(f"{self.device} refused {command!r}: {_words(output)}")
        return output

    def run(self, text: str) -> str:
        """Type lines; none of a later block is sent when one of an earlier block was rejected.

        After a rejection configuration mode is left, and a session or candidate thrown away.

        Raises:
            BusyError: somebody else is configuring.
            DeviceError: a line was rejected (names it), or the session breaks.
        """
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        done: list[str] = []
        number = 0
        for block in blocks(lines, self.platform.block_size, self.dialect):
            slow = any(SLOW.match(line) for line in block)
            answers = self._type(block, SLOW_SILENCE if slow else SILENCE)
            self._judge(answers, number, len(lines))
            number += len(block)
            done += [answer.output for answer in answers if answer.output]
        if self.configuring:
            self._leave(in_session=False)
            raise DeviceError(f"{self.device} is still in configuration mode after the last line; it was left")
        return "\n".join(done)

    @property
    def configuring(self) -> bool:
        """Whether the prompt is one of configuration mode."""
        return bool(self.dialect.configuring.search(self.at))

    def discard(self, text: str) -> None:
        """Throw away the sessions that a text opens, where an earlier attempt has left them.

        One whose commit timer runs goes back to the state before it.

        Raises:
            DeviceError: the device does not let us.
        """
        names = set(SESSION.findall(text))
        if not names or not self.dialect.sessions:
            return
        listed = {word for line in self.show(self.dialect.sessions).splitlines() for word in line.split()[:2]}
        for name in sorted(names & listed):
            self.run(f"configure session {name} abort" if self.platform.netmiko_driver == "arista_eos"
                     else f"configure session {name}\nabort")  # fmt: skip

    def startup_differs(self) -> bool:
        """Whether the device would boot with something else than it runs."""
        if self.dialect.startup is None:
            return False
        running, startup = (settled(self.show(command)) for command in self.dialect.startup)
        return running != startup

    # ---- judging --------------------------------------------------------------------------

    def _judge(self, answers: Sequence[Answer], before: int, total: int) -> None:
        for number, answer in enumerate(answers, before + 1):
            enters = bool(ENTERS.match(answer.line))
            if enters and (self.dialect.busy.search(answer.output) or not self.configuring):
                if self.configuring:
                    self._leave(in_session=False)
                raise BusyError(
                    f"{self.device} does not let us configure: {_words(answer.output) or 'no reason given'}; "
                    "nothing was sent; wait until nobody else does"
                )
            if self._refused(answer.output):
                place = f"line {number} of {total}, {answer.line.strip()!r}"
                if not answer.sure:
                    place = f"one of the lines {before + 1} to {before + len(answers)}"
                words = _words(answer.output)
                self._leave(in_session=True)
                raise DeviceError(f"{self.device} rejected {place}: {words}")

    def _refused(self, output: str) -> bool:
        return any(mark in output for mark in self.platform.failure_indicators)

    def _leave(self, *, in_session: bool) -> None:
        """Out of configuration mode, whatever was open there; a session that cannot be left is ended by the caller."""
        if not self.configuring:
            return
        leaving = (*(self.dialect.in_session if in_session else ()), *self.dialect.abandon)
        for line in leaving:
            if self.configuring:
                self._type([line], SILENCE)

    # ---- the channel ----------------------------------------------------------------------

    def _type(self, lines: Sequence[str], silence: float) -> list[Answer]:
        """Write lines at once and read until the prompt after the last of them.

        Raises:
            DeviceError: the session breaks, the device falls silent, or its prompt is no longer the same.
        """
        self._drain()
        self._write("".join(f"{line}\n" for line in lines))
        text = self.at  # the prompt that the first line was typed at has been read already
        last = time.monotonic()
        while True:
            piece = self._read(QUIET)
            if piece:
                last = time.monotonic()
                text = (text + piece).replace("\r\n", "\n").replace("\n\r", "\n")
            ending = self._ending.search(text[-200:].replace("\r", ""))
            if ending is not None and len(text) > len(self.at):
                answers = self._answers(text, lines, quiet=not piece)
                if answers is not None:
                    self.at = ending[1]
                    return answers
            if not piece:
                self._explain(text, time.monotonic() - last, silence)

    def _answers(self, text: str, lines: Sequence[str], *, quiet: bool) -> list[Answer] | None:
        """What was said to each line, None where more is to come.

        Each piece between two prompts begins with the echo of a line. Messages to all users bring prompts of their
        own, so pieces are told by their echo; counted they are only where a quiet device echoes in another way.
        """
        # What follows the last prompt is a line that is being typed.
        pieces = self._prompt.split(text.replace("\r", ""))[1:-1]
        answers: list[Answer] = []
        for piece in pieces:
            echo, _, output = piece.partition("\n")
            if len(answers) < len(lines) and _same(echo, lines[len(answers)]):
                answers.append(Answer(lines[len(answers)], output.rstrip("\n")))
            elif answers:
                answers[-1] = Answer(answers[-1].line, f"{answers[-1].output}\n{piece}".strip("\n"))
        if len(answers) == len(lines):
            return answers
        if quiet and sum(1 for piece in pieces if piece.partition("\n")[0].strip()) >= len(lines):
            whole = "\n".join(pieces)
            return [*(Answer(line, "", sure=False) for line in lines[:-1]), Answer(lines[-1], whole, sure=False)]
        return None

    def _explain(self, text: str, waited: float, silence: float) -> None:
        """Raise where waiting longer makes no sense."""
        other = ANY_PROMPT.search(text[-200:].replace("\r", ""))
        if other is not None and self._ending.search(text[-200:].replace("\r", "")) is None:
            raise self._broken(f"its prompt is now {other[1]!r} and not {self.connection.base_prompt!r} any more")
        if waited > silence:
            said = text.rstrip().splitlines()[-1].strip() if text.strip() else "nothing"
            raise self._broken(f"no prompt within {silence:g} s; its last words: {said[:120]!r}")

    def _broken(self, why: str) -> DeviceError:
        return DeviceError(f"{self.device}: the session broke: {why}; read it again")

    def _drain(self) -> None:
        self.connection._read_buffer = ""  # noqa: SLF001 - what netmiko read too much
        channel = self.connection.remote_conn
        while channel.recv_ready():
            channel.recv(CHUNK)

    def _write(self, text: str) -> None:
        from paramiko.ssh_exception import SSHException

        try:
            self.connection.remote_conn.settimeout(SILENCE)
            self.connection.remote_conn.sendall(text.encode())
        except (OSError, EOFError, SSHException) as caught:
            raise self._broken(str(caught) or type(caught).__name__) from None

    def _read(self, wait: float) -> str:
        """What comes within a time, empty where nothing does."""
        channel = self.connection.remote_conn
        channel.settimeout(wait)
        try:
            data = channel.recv(CHUNK)
        except TimeoutError:
            return ""
        except (OSError, EOFError) as caught:
            raise self._broken(str(caught) or type(caught).__name__) from None
        if not data:
            raise self._broken("the device closed it")
        text = data.decode(errors="replace")
        return str(self.connection.strip_ansi_escape_codes(text)) if self.connection.ansi_escape_codes else text


TERMINALS: Final[WeakKeyDictionary[Any, Terminal]] = WeakKeyDictionary()


@contextmanager
def terminal(task: Task, platform: Platform, *, fresh: bool = False) -> Iterator[Terminal]:
    """The prompt on the session that Nornir keeps for the host, or on a new session beside it.

    Where anything goes wrong the session is ended, since nobody knows then what mode it is in.

    Raises:
        DeviceError: no connection, or the login may not become privileged.
    """
    if fresh:
        with opened_beside(task) as connection:
            yield _privileged(task, connection, platform)
        return
    connection = opened(task)
    found = TERMINALS.get(connection)
    try:
        if found is None:
            found = TERMINALS[connection] = _privileged(task, connection, platform)
        yield found
        if found.configuring:
            end_session(task.host)
    except BaseException:
        end_session(task.host)
        raise


def _privileged(task: Task, connection: Any, platform: Platform) -> Terminal:
    from netmiko.exceptions import NetmikoBaseException

    name = str(task.host.name)
    try:
        if hasattr(connection, "enable") and platform.netmiko_driver != "juniper_junos":
            connection.enable()
    except (NetmikoBaseException, ValueError, OSError, EOFError):
        raise DeviceError(
            f"{name} does not let {connection.username!r} become privileged; set TOOLKIT_ENABLE_PASSWORD, or use an "
            "account that is"
        ) from None
    one = Terminal(name, connection, platform)
    if platform.netmiko_driver == "juniper_junos":
        one.at = f"{connection.base_prompt}> "
    return one


def _same(echo: str, line: str) -> bool:
    return echo.split() == line.split()


def _words(output: str) -> str:
    """What a device said, short enough for one line, without the mark that only makes sense below the prompt."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and line.strip() != "^"]
    return " / ".join(lines[:3])[:300]
