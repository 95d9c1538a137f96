"""One login on a twin: echo, prompt, pages, modes; what is typed is carried out line by line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.lab.twins.ace import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device

PAGE: Final = 24
NOTICE: Final = "\r\n\r\n***\r\n*** --- maintenance window begins in 0:05:00 ---\r\n***\r\n"


class Shell:
    """A login. An OS gives `prompt`, `command` (one line in, its output out) and its words for a line it rejects."""

    more: str = " --More-- "
    newline: str = "\r\n"

    def __init__(self, device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> None:
        self.device = device
        self.write = write
        self.hang_up = hang_up
        self.page: int = PAGE
        self.rest: list[str] = []  # lines that wait for the next key
        self.answer: Callable[[str], str] | None = None  # who gets the next line instead of the command line
        self.question = ""
        self.hidden = False
        self.open = True
        self.number = len(device.typed)
        self.privileged = device.login.privileged

    # ---- what an OS gives -----------------------------------------------------------------

    @property
    def prompt(self) -> str:
        """What stands before the cursor."""
        raise NotImplementedError

    def command(self, line: str) -> str:
        """Carry out a line; returns what is printed.

        Raises:
            RejectedError: it is not understood.
        """
        raise NotImplementedError

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The OS's own words for a line that it does not take."""
        raise NotImplementedError

    def gone(self) -> None:
        """The connection has ended: give back what this login holds."""
        if self.device.lock is self:
            self.device.lock = None

    # ---- input ----------------------------------------------------------------------------

    def start(self) -> None:
        """Greet."""
        self.device.shells.append(self)
        self.write(self.device.faults.banner.replace("\n", "\r\n") + self.newline + self.prompt)

    def drop(self) -> None:
        """End the connection without a word."""
        if self.open:
            self.open = False
            if self in self.device.shells:
                self.device.shells.remove(self)
            self.gone()
            self.hang_up()

    def key(self, char: str) -> None:
        """A key while a page is shown: space for the next, return for a line, q for the end."""
        count = {" ": self.page - 1, "\r": 1, "\n": 1}.get(char, 0)
        shown, self.rest = self.rest[:count], self.rest[count:] if char != "q" else []
        self.write("\r" + " " * len(self.more) + "\r" + "".join(f"{line}\r\n" for line in shown))
        self.write(self.more if self.rest else self.prompt)

    def line(self, line: str) -> None:
        """Carry out a typed line, with whatever is to go wrong at it."""
        device, faults = self.device, self.device.faults
        if self.answer is not None:
            self._answered(line)
            return
        self.write(line + self.newline)
        counted = bool(line.strip()) and (device.counted > 0 or line.lstrip().startswith("configure"))
        if counted:
            device.counted += 1
            if faults.cut_before == device.counted:
                faults.cut_before = None
                self.drop()
                return
        if line.strip():
            device.typed.append(line.strip())
        output = self._carry_out(line)
        if not self.open:
            return
        if counted and faults.cut_after == device.counted:
            faults.cut_after = None
            self.drop()
            return
        if counted and faults.reload_after == device.counted:
            faults.reload_after = None
            device.reload()
            return
        if counted and faults.rename_after == device.counted:
            faults.rename_after = None
            self.rename("renamed")
        self.show(output)
        if counted and faults.notice_after == device.counted:
            faults.notice_after = None
            self.write(NOTICE + self.prompt)

    def rename(self, name: str) -> None:
        """Give the device another host name."""
        tree = self.device.running.copy()
        tree.replace_flat("hostname ", f"hostname {name}")
        self.device.install(tree)

    def ask(self, question: str, answer: Callable[[str], str], *, hidden: bool = False) -> str:
        """Let the next line go elsewhere; a hidden one is not echoed."""
        self.question, self.answer, self.hidden = question, answer, hidden
        return ""

    def show(self, output: str) -> None:
        """Print, page by page, then the prompt (or the question that waits)."""
        lines = output.split("\n") if output else []
        if self.page and len(lines) >= self.page:
            lines, self.rest = lines[: self.page - 1], lines[self.page - 1 :]
        text = "".join(f"{line}{self.newline}" for line in lines)
        if self.rest:
            self.write(text + self.more)
        elif self.answer is not None:
            self.write(text + self.question)
        elif self.open:
            self.write(text + self.prompt)

    def _answered(self, line: str) -> None:
        answer, self.answer = self.answer, None
        self.write(("" if self.hidden else line) + self.newline)
        if answer is not None:
            self.show(answer(line.strip()))

    def _carry_out(self, line: str) -> str:
        if not line.strip():
            return ""
        try:
            self._spoil(line)
            return self.command(line)
        except RejectedError as caught:
            return self.rejection(line, caught)

    def _spoil(self, line: str) -> None:
        bad = self.device.faults.reject
        if bad is not None and bad in line:
            raise RejectedError(line.index(bad))


def piped(text: str, pipe: str) -> str:
    """Filter an output as `| include`, `| begin`, `| section` and `| no-more` do.

    Raises:
        RejectedError: another word follows the bar.
    """
    word, _, pattern = pipe.strip().partition(" ")
    lines = text.split("\n")
    match word:
        case "no-more":
            return text
        case "include" | "inc" | "i":
            return "\n".join(line for line in lines if re.search(pattern, line))
        case "begin" | "b":
            start = next((n for n, line in enumerate(lines) if re.search(pattern, line)), len(lines))
            return "\n".join(lines[start:])
        case "section" | "sec" | "s":
            return "\n".join(_sections(lines, pattern))
        case _:
            raise RejectedError(0)


def _sections(lines: list[str], pattern: str) -> list[str]:
    found: list[str] = []
    inside = False
    for line in lines:
        if not line.startswith(" "):
            inside = bool(re.search(pattern, line))
        if inside and line != "!":
            found.append(line)
    return found
