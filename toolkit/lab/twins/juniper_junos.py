"""Junos: one candidate, committed as a whole, with a timer where asked; exclusive and private ways to configure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins import routes
from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.shell import Shell, piped
from toolkit.lab.twins.statements import Statements, Words, check, join, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device

SET_CLI: dict[str, str] = {
    "screen-width": "Screen width set to {}",
    "screen-length": "Screen length set to {}",
    "complete-on-space": "Disabling complete-on-space",
}


class JunosShell(Shell):
    """A login on Junos."""

    os: ClassVar[str] = "junos"
    more = "---(more)---"

    def __init__(self, device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> None:
        super().__init__(device, write, hang_up)
        self.candidate: Statements | None = None
        self.start_point = ""
        self.own = False  # the candidate goes with this login

    @property
    def prompt(self) -> str:
        """Two lines in configuration mode."""
        name = f"{self.device.login.user}@{self.device.running.hostname()}"
        return f"\r\n[edit]\r\n{name}# " if self.candidate is not None else f"{name}> "

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The words of Junos; the column is the number of a word here."""
        words = line.split()
        at = min(caught.column, len(words) - 1)
        column = len(self.prompt.rsplit("\n", 1)[-1]) + line.index(words[at])
        what = "missing argument." if caught.incomplete else "syntax error."
        return " " * column + f"^\n{what}"

    def command(self, line: str) -> str:
        """Carry out a line in its mode."""
        text = line.strip()
        if self.candidate is None:
            return self.operational(text)
        if text.startswith("run "):
            return self.operational(text[4:])
        return self.configuration(text, self.candidate)

    # ---- operational mode -----------------------------------------------------------------

    def operational(self, text: str) -> str:  # noqa: PLR0911 - a table of lines
        """Lines at the first prompt.

        Raises:
            RejectedError: not known.
        """
        match text.split():
            case ["set", "cli", what, value] if what in SET_CLI:
                if what == "screen-length":
                    self.page = int(value)
                return SET_CLI[what].format(value)
            case ["configure", *how] if how in ([], ["exclusive"], ["private"]):
                return self._enter(how[0] if how else "")
            case ["show", "configuration", *_]:
                return self._shown(text)
            case ["show", "route", "table", "inet.0", address, "active-path"]:
                return routes.junos(self.device.running, address)
            case ["show", "version"]:
                name = self.device.running.hostname()
                return f"Hostname: {name}\nJunos twin (simulated, not an image of the OS): 22.4R3"
            case ["request", "system", "reboot"]:
                return self.ask("Reboot the system ? [yes,no] (no) ", self._reboot)
            case ["exit" | "quit"]:
                self.drop()
                return ""
        raise RejectedError(0)

    def _reboot(self, answer: str) -> str:
        if answer == "yes":
            self.device.reload()
        return ""

    def _shown(self, text: str) -> str:
        command, *pipes = [part.strip() for part in text.split("|")]
        if "display set" not in pipes:
            raise RejectedError(len(text.split()) - 1)  # this twin prints its `set` form only
        output = "\n".join(self.device.running.lines(split(command)[2:]))
        for pipe in pipes:
            if pipe != "display set":
                output = piped(output, pipe)
        return output

    def _enter(self, how: str) -> str:
        device = self.device
        holder = device.lock
        if holder is not None and holder is not self:
            return (
                f"error: configuration database locked by:\n  {device.login.user} terminal pts/1 (pid 4711) on since "
                "2026-11-24 12:00:00 UTC\n      exclusive [edit]"
            )
        editing = [one for one in device.shells if isinstance(one, JunosShell) and one.candidate is not None]
        said = ["Entering configuration mode"]
        if how == "exclusive":
            if any(not one.own and one.modified for one in editing):
                return "error: configuration database modified"
            device.lock = self
            said.insert(0, "warning: uncommitted changes will be discarded on exit")
        elif editing:
            said.append("Users currently editing the configuration:")
            said += [f"  {device.login.user} terminal pts/{n} (pid {4711 + n}) on since 12:00 [edit]" for n, _ in
                     enumerate(editing)]  # fmt: skip
        self.own = bool(how)
        self.candidate = device.running.copy()
        self.start_point = self.candidate.text()
        return "\n".join(said)

    # ---- configuration mode ---------------------------------------------------------------

    @property
    def modified(self) -> bool:
        """Whether the candidate holds what is not committed."""
        return self.candidate is not None and self.candidate.text() != self.start_point

    def configuration(self, text: str, candidate: Statements) -> str:  # noqa: C901, PLR0911 - a table of lines
        """Lines at the second prompt.

        Raises:
            RejectedError: not known.
        """
        words = split(text)
        match words:
            case ("set", *_):
                self._checked(words)
                candidate.set(words[1:])
                return ""
            case ("delete", _, *_):
                return "" if candidate.delete(words[1:]) else "warning: statement not found"
            case ("deactivate", _, *_):
                candidate.inactive.append(words[1:])
                return ""
            case ("activate", _, *_):
                candidate.inactive = [one for one in candidate.inactive if one != words[1:]]
                return ""
            case ("insert", *_):
                return self._insert(words, candidate)
            case ("rollback",) | ("rollback", "0"):
                self.candidate = self.device.running.copy()
                self.start_point = self.candidate.text()
                return "load complete"
            case ("top" | "up",):
                return ""
            case ("show", "|", "compare"):
                return self._compare(candidate)
            case ("commit", *how):
                return self._commit(how, candidate)
            case ("exit" | "quit",) | ("exit", "configuration-mode"):
                return self._exit()
        raise RejectedError(0)

    def _checked(self, words: Words) -> None:
        try:
            check(words[1:])
        except RejectedError as caught:
            raise RejectedError(caught.column + 1, incomplete=caught.incomplete) from None

    def _insert(self, words: Words, candidate: Statements) -> str:
        where = next((one for one in ("before", "after") if one in words), "")
        if not where:
            raise RejectedError(len(words) - 1)
        at = words.index(where)
        path, rest = words[1:at], words[at + 1 :]
        done = candidate.insert(path, where, (*path[: len(path) - len(rest)], *rest))
        return "" if done else f"error: statement '{join(rest)}' not found"

    def _compare(self, candidate: Statements) -> str:
        before, after = set(self.device.running.lines(())), set(candidate.lines(()))
        return "\n".join(
            [*(f"- {one}" for one in sorted(before - after)), *(f"+ {one}" for one in sorted(after - before))]
        )

    def _problems(self, candidate: Statements) -> list[str]:
        """What a check of the candidate finds: filters and prefix lists that are used and not there."""
        items = candidate.active()
        filters = {words[words.index("filter") + 1] for words in items if words[0] == "firewall" and "filter" in words}
        lists = {words[2] for words in items if words[:2] == ("policy-options", "prefix-list")}
        found = []
        for words in items:
            if words[0] == "interfaces" and words[-3:-1] in (("filter", "input"), ("filter", "output")):
                if words[-1] not in filters:
                    found.append(f"[edit interfaces {words[1]}]\n  Referenced filter '{words[-1]}' is not defined")
            elif words[0] == "firewall" and re.search(r" from (source-|destination-)?prefix-list ", join(words)):
                name = words[next(n for n, one in enumerate(words) if one.endswith("prefix-list")) + 1]
                if name not in lists:
                    found.append(f"[edit firewall]\n  Referenced prefix-list '{name}' is not defined")
        return found

    def _commit(self, how: list[str], candidate: Statements) -> str:
        problems = self._problems(candidate)
        if problems:
            return f"error: {problems[0]}\nerror: configuration check-out failed"
        match how:
            case ["check"]:
                return "configuration check succeeds"
            case [] | ["and-quit"]:
                self.device.confirm()
                self._install(candidate)
                if how:
                    self._left()
                return "commit complete"
            case ["confirmed", *minutes] if not minutes or minutes[0].isdecimal():
                number = int(minutes[0]) if minutes else 10
                before = self.device.running.copy()
                self.device.install(candidate.copy())
                self.start_point = candidate.text()
                self.device.start_timer(number, before)  # until it is confirmed, a reboot goes back too
                return (
                    f"commit confirmed will be automatically rolled back in {number} minutes unless confirmed\n"
                    f"commit complete\n\n# commit confirmed will be rolled back in {number} minutes"
                )
        raise RejectedError(1)

    def _install(self, candidate: Statements) -> None:
        self.device.install(candidate.copy())
        self.device.keep()
        self.start_point = candidate.text()

    def _exit(self) -> str:
        if self.modified:
            return self.ask(
                "The configuration has been changed but not committed\nExit with uncommitted changes? [yes,no] (yes) ",
                self._leave_anyway,
            )
        return self._left()

    def _leave_anyway(self, answer: str) -> str:
        return self._left() if answer in ("", "yes") else ""

    def _left(self) -> str:
        self.candidate = None
        if self.device.lock is self:
            self.device.lock = None
        return "Exiting configuration mode"


SHELL = JunosShell
