"""EOS: sessions that commit as a whole, with a timer where asked."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins import routes
from toolkit.lab.twins.cisco import CiscoShell
from toolkit.lab.twins.device import ConfigSession

if TYPE_CHECKING:
    from toolkit.lab.twins.ace import RejectedError
    from toolkit.lab.twins.tree import Tree

MAX_PENDING = 5


class EosShell(CiscoShell):
    """A login on EOS."""

    os: ClassVar[str] = "eos"
    indent: ClassVar[str] = "   "
    submodes: ClassVar[dict[str, str]] = {"ip access-list": "-acl", "interface": "-if"}
    denied: ClassVar[str] = "% Bad secret"
    session = ""

    @property
    def tree(self) -> Tree:
        """The session's own configuration while one is open."""
        if self.session:
            return self.device.sessions[self.session].tree
        return super().tree

    @property
    def mode(self) -> str:
        """With the first letters of the session, as EOS shows them."""
        mode = super().mode
        if self.where.startswith("ip access-list"):
            mode += f"-{self.where.split()[-1]}"
        if self.where.startswith("interface Ethernet"):
            mode += f"-Et{self.where.split()[-1].removeprefix('Ethernet')}"
        return mode.replace("config", f"config-s-{self.session[:6]}", 1) if self.session else mode

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The words of EOS."""
        del line
        return "% Incomplete command" if caught.incomplete else "% Invalid input"

    def duplicate(self) -> None:
        """See `CiscoShell`."""
        self.warning = "% Error: Duplicate sequence number"

    def paging(self, lines: int) -> str:
        """See `CiscoShell`."""
        return "Pagination disabled." if lines == 0 else f"Pagination set to {lines} lines."

    def width(self, columns: int) -> str:
        """See `CiscoShell`."""
        return f"Width set to {columns} columns."

    def group(self, words: list[str]) -> bool:
        """EOS is not asked for groups here."""
        del words
        return False

    def privileged_exec(self, text: str) -> str:  # noqa: PLR0911 - a table of lines
        """Lines of the privileged mode."""
        match text.split():
            case ["configure" | "config"] | ["configure" | "config", "terminal"]:
                return self._configure()
            case ["configure", "session"]:
                return self._open(f"sess-{len(self.device.sessions) + 1}")
            case ["configure", "session", name]:
                return self._open(name)
            case ["configure", "session", name, "commit"]:
                return self._confirm(name)
            case ["configure", "session", name, "abort"] | ["no", "configure", "session", name]:
                return self._abort(name)
            case ["configure", "lock"]:
                return self._locked() or self._take_lock()
            case ["configure", "unlock"]:
                self.device.lock = None
                return ""
            case ["write"] | ["write", "memory"] | ["copy", "running-config", "startup-config"]:
                self.device.save()
                return "Copy completed successfully."
            case ["reload", "now"]:
                self.device.reload()
                return ""
        return super().privileged_exec(text)

    def _locked(self) -> str:
        holder = self.device.lock
        if holder is None or holder is self:
            return ""
        return f"% Unable to configure: configuration is locked by user {self.device.login.user} on another session"

    def _take_lock(self) -> str:
        self.device.lock = self
        return ""

    def _configure(self) -> str:
        said = self._locked()
        self.config = not said
        return said

    def _open(self, name: str) -> str:
        said = self._locked()
        if said:
            return said
        sessions = self.device.sessions
        if name not in sessions:
            if len(sessions) >= MAX_PENDING:
                return "% Maximum number of pending sessions has been reached. Please commit or abort previous sessions"
            sessions[name] = ConfigSession(self.device.running.copy())
        elif sessions[name].pending:
            return f"% Session {name} is waiting for its commit timer"
        self.session, self.config, self.where = name, True, ""
        return ""

    def _confirm(self, name: str) -> str:
        session = self.device.sessions.get(name)
        if session is None:
            return f"% Session {name} does not exist"
        if session.pending:
            self.device.confirm()
        else:
            self.device.install(session.tree)
        del self.device.sessions[name]
        return ""

    def _abort(self, name: str) -> str:
        session = self.device.sessions.pop(name, None)
        if session is None:
            return f"% Session {name} does not exist"
        if session.pending:
            self.device.revert()
        return ""

    def leave(self, text: str) -> bool:
        """A session ends by its commit or abort; `end` and `exit` leave it waiting."""
        timer = re.match(r"^commit timer (\d\d):(\d\d):(\d\d)$", text)
        if self.session and (text in ("commit", "abort") or timer):
            name, session = self.session, self.device.sessions[self.session]
            if timer and self.device.timed:
                self.warning = "% Another session is waiting for its commit timer"
                return True
            self.session, self.config, self.where = "", False, ""
            if text == "commit":
                del self.device.sessions[name]
                self.device.install(session.tree)
            elif text == "abort":
                del self.device.sessions[name]
            elif timer:
                hours, minutes, seconds = map(int, timer.groups())
                before = self.device.running
                session.pending = True
                self.device.install(session.tree)
                self.device.start_timer(hours * 60 + minutes + seconds / 60, before, lambda: self._forget(name))
            return True
        if super().leave(text):
            if not self.config:
                self.session = ""
            return True
        return False

    def _forget(self, name: str) -> None:
        self.device.sessions.pop(name, None)

    def left(self) -> None:
        """A lock that was taken outside configuration mode stays."""

    def top(self, text: str) -> None:
        """Lines at the top that only EOS has."""
        if self.session and text == "rollback clean-config":
            self.tree.sections = {}
            return
        super().top(text)

    def entry(self, children: list[str], text: str) -> None:
        """A list is numbered anew from inside on EOS."""
        words = text.split()
        if words[0] == "resequence" and len(words) in (1, 3):
            start, step = words[1:] or ("10", "10")
            self.renumber(self.where, start, step)
            return
        super().entry(children, text)

    def display(self, command: str) -> str:  # noqa: PLR0911 - a table of commands
        """Show commands that only EOS has."""
        device = self.device
        match command.split():
            case ["ip", "route", address]:
                return routes.eos(device.running, address)
            case ["configuration", "sessions", *_]:
                rows = [f"  {name:20} {'pendingCommitTimer' if one.pending else 'pending'}" for name, one in
                        device.sessions.items()]  # fmt: skip
                return "\n".join([f"Maximum number of pending sessions: {MAX_PENDING}", "", "  Name  State", *rows])
            case ["configuration", "lock"]:
                return self._locked() or "Configuration is not locked"
            case ["session-config", "diffs"] if self.session:
                return _diff(device.running, self.tree)
            case ["running-config", "diffs"]:
                return _diff(device.startup, device.running)
            case ["ip", "access-lists"]:
                return "\n".join(
                    line
                    for header, children in device.running.sections.items()
                    if header.startswith("ip access-list ")
                    for line in (f"IP Access List {header.split()[-1]}", *(f"        {one}" for one in children))
                )
            case ["version"]:
                return "Arista twin (simulated, not an image of the OS)\nSoftware image version: 4.32.0F"
        return super().display(command)

    def shown(self, tree: Tree) -> str:
        """With the lines that EOS prints around it."""
        return f"! Command: show running-config\n! device: {tree.hostname()}\n!\n{tree.text(self.indent)}\n!\nend"


def _diff(before: Tree, after: Tree) -> str:
    lines = difflib.unified_diff(before.text().splitlines(), after.text().splitlines(), lineterm="")
    return "\n".join(lines)


SHELL = EosShell
