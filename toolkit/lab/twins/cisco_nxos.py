"""NX-OS: configuration sessions for access lists, with `verify` and `commit`; no timer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins import routes
from toolkit.lab.twins.cisco import CiscoShell, caret
from toolkit.lab.twins.device import ConfigSession

if TYPE_CHECKING:
    from toolkit.lab.twins.ace import RejectedError
    from toolkit.lab.twins.tree import Tree

ENTER = "Enter configuration commands, one per line. End with CNTL/Z."


class NxosShell(CiscoShell):
    """A login on NX-OS."""

    os: ClassVar[str] = "nxos"
    indent: ClassVar[str] = "  "
    submodes: ClassVar[dict[str, str]] = {
        "ip access-list": "-acl",
        "interface": "-if",
        "object-group ip address": "-ipaddr-ogroup",
        "object-group ip port": "-port-ogroup",
    }
    session = ""

    @property
    def tree(self) -> Tree:
        """The session's own configuration while one is open."""
        if self.session:
            return self.device.sessions[self.session].tree
        return super().tree

    @property
    def mode(self) -> str:
        """With an s while a session is open."""
        return super().mode.replace("config", "config-s", 1) if self.session else super().mode

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The words of NX-OS."""
        what = "Incomplete" if caught.incomplete else "Invalid"
        return f"{caret(self.prompt, line, caught)}\n% {what} command at '^' marker."

    def duplicate(self) -> None:
        """See `CiscoShell`."""
        self.warning = "ERROR: Duplicate sequence number"

    def group(self, words: list[str]) -> bool:
        """See `CiscoShell`."""
        return self._open_group(words, {"object-group ip address": 4, "object-group ip port": 4})

    def group_line(self, children: list[str], text: str) -> None:
        """Members are numbered."""
        if text.startswith("no ") and text[3:].strip().isdecimal():
            children[:] = [child for child in children if child.split()[0] != text[3:].strip()]
            return
        number, _, rest = text.partition(" ")
        if not number.isdecimal() and not text.startswith("no "):
            taken = [int(child.split()[0]) for child in children if child.split()[0].isdecimal()]
            number, rest = str(max([*taken, 0]) + 10), text
        super().group_line(children, f"{number} {rest}")

    def privileged_exec(self, text: str) -> str:
        """Lines of the privileged mode."""
        match text.split():
            case ["configure"] | ["configure", "terminal"]:
                self.config = True
                return ENTER
            case ["configure", "session", name]:
                known = name in self.device.sessions
                self.device.sessions.setdefault(name, ConfigSession(self.device.running.copy()))
                self.session, self.config, self.where = name, True, ""
                return f"Config Session {'resumed' if known else 'started'}, Session ID is 1\n{ENTER}"
            case ["clear", "configuration", "session", name]:
                self.device.sessions.pop(name, None)
                return ""
            case ["copy", "running-config", "startup-config"]:
                self.device.save()
                return "[########################################] 100%\nCopy complete."
            case ["reload"]:
                return self.ask("This command will reboot the system. (y/n)?  [n] ", self._reload)
        return super().privileged_exec(text)

    def _reload(self, answer: str) -> str:
        if answer == "y":
            self.device.reload()
        return ""

    def leave(self, text: str) -> bool:
        """A session ends by its commit or abort; `end` and `exit` leave it open."""
        if self.session and text == "verify":
            self.warning = "Verification Successful"
            return True
        if self.session and text in ("commit", "abort"):
            session = self.device.sessions.pop(self.session)
            self.session, self.config, self.where = "", False, ""
            if text == "commit":
                self.device.install(session.tree)
                self.warning = "Commit Successful"
            return True
        if super().leave(text):
            if not self.config:
                self.session = ""
            return True
        return False

    def top(self, text: str) -> None:
        """Lines at the top that only NX-OS has."""
        match text.split():
            case ["resequence", "ip", "access-list", name, start, step]:
                self.renumber(f"{self.acl_header} {name}", start, step)
            case _:
                super().top(text)

    def display(self, command: str) -> str:
        """Show commands that only NX-OS has."""
        match command.split():
            case ["ip", "route", address]:
                return routes.nxos(self.device.running, address)
            case ["configuration", "session", "summary"]:
                rows = [f"{name:24} netops" for name in self.device.sessions]
                return "\n".join(["Name                     Session Owner", *rows]) if rows else "No sessions found"
            case ["running-config", "aclmgr"]:
                return self.shown(self.device.running)
            case ["version"]:
                return "Cisco Nexus twin (simulated, not an image of the OS)\n  NXOS: version 9.3(5)"
        return super().display(command)

    def shown(self, tree: Tree) -> str:
        """With the lines that NX-OS prints around it."""
        body = "\n".join(line for line in tree.text(self.indent).split("\n") if line != "!")
        return (
            f"\n!Command: show running-config\n!Time: Tue Nov 24 12:00:00 2026\n\nversion 9.3(5) Bios:version\n{body}\n"
        )


SHELL = NxosShell
