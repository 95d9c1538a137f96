"""What the command lines of IOS, EOS, NX-OS and ASA have in common: modes, and lines at the top of a configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.sections import SectionLines
from toolkit.lab.twins.shell import piped

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device
    from toolkit.lab.twins.tree import Tree

VIRTUAL = re.compile(r"^(Vlan|vlan|Loopback|loopback|Port-channel|Port-Channel|port-channel|Tunnel)\d+$")


class CiscoShell(SectionLines):
    """A shell whose configuration is a `Tree`."""

    acl_header: ClassVar[str] = "ip access-list"
    indent: ClassVar[str] = " "
    # The word in the prompt of each kind of section.
    submodes: ClassVar[dict[str, str]] = {}

    def __init__(self, device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> None:
        super().__init__(device, write, hang_up)
        self.config = False
        self.warning = ""

    # ---- modes ----------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """What stands in the brackets of the prompt, empty outside configuration mode."""
        if not self.config:
            return ""
        word = next((word for start, word in self.submodes.items() if self.where.startswith(f"{start} ")), "")
        return f"config{word}" if self.where else "config"

    @property
    def prompt(self) -> str:
        """Name, mode and sign."""
        name = self.device.running.hostname()
        if self.config:
            return f"{name}({self.mode})#"
        return f"{name}{'#' if self.privileged else '>'}"

    def command(self, line: str) -> str:
        """Carry out a line in its mode."""
        text = line.strip()
        if text.startswith("!"):
            return ""
        if not self.config:
            return self.exec(text)
        if text.startswith("do ") and self.os != "asa":
            return self.exec(text[3:])
        self.warning = ""
        if self.leave(text):
            return self.warning
        self.configure(text, line.index(text[0]))
        return self.warning

    def leave(self, text: str) -> bool:
        """Lines that go up or out of configuration mode."""
        if text == "exit" and self.where:
            self.where = ""
            return True
        if text in ("end", "exit"):
            self.config, self.where = False, ""
            self.left()
            return True
        return False

    def left(self) -> None:
        """Configuration mode has been left."""
        if self.device.lock is self:
            self.device.lock = None

    def exec(self, text: str) -> str:  # noqa: PLR0911 - a table of lines
        """Lines outside configuration mode that all of them know.

        Raises:
            RejectedError: not known.
        """
        words = text.split()
        match words:
            case ["enable"]:
                return self._enable()
            case ["disable"]:
                self.privileged = False
                return ""
            case ["exit" | "logout" | "quit"]:
                self.drop()
                return ""
            case ["terminal", "length", number] if number.isdecimal():
                self.page = int(number)
                return self.paging(self.page)
            case ["terminal", "width", number] if number.isdecimal():
                return self.width(int(number))
            case ["show", *rest] if self.privileged:
                command, _, pipe = " ".join(rest).partition(" | ")
                output = self.display(command)
                return piped(output, pipe) if pipe else output
            case _ if not self.privileged:
                raise RejectedError(0)
        return self.privileged_exec(text)

    def paging(self, lines: int) -> str:
        """What is said when the page length is set."""
        del lines
        return ""

    def width(self, columns: int) -> str:
        """What is said when the width is set."""
        del columns
        return ""

    def privileged_exec(self, text: str) -> str:
        """Further lines for the privileged.

        Raises:
            RejectedError: not known.
        """
        raise RejectedError(_second(text))

    def display(self, command: str) -> str:
        """Output of a show command, without the word `show`.

        Raises:
            RejectedError: not known.
        """
        match command.split():
            case ["running-config"]:
                return self.shown(self.device.running)
            case ["startup-config"]:
                return self.shown(self.device.startup)
            case ["running-config", "section", *pattern]:
                return piped(self.shown(self.device.running), f"section {' '.join(pattern)}")
        raise RejectedError(len("show "))

    def shown(self, tree: Tree) -> str:
        """A configuration as it is printed."""
        return tree.text(self.indent)

    def _enable(self) -> str:
        if self.privileged or not self.device.login.enable:
            self.privileged = True
            return ""

        def check(given: str) -> str:
            self.privileged = given == self.device.login.enable
            return "" if self.privileged else self.denied

        return self.ask("Password: ", check, hidden=True)

    denied: ClassVar[str] = "% Access denied"

    # ---- configuration --------------------------------------------------------------------

    def configure(self, text: str, column: int) -> None:
        """A line of configuration, in a section or at the top.

        Raises:
            RejectedError: not understood.
        """
        if self.where:
            try:
                self.child(text)
            except RejectedError:
                if not self._is_top(text):
                    raise
            else:
                self.device.note()
                return
        self.top(text)
        self.device.note()
        del column

    def _is_top(self, text: str) -> bool:
        """Whether a line that a section does not know belongs to the top: the OS then leaves the section."""
        where, self.where = self.where, ""
        before = self.tree.copy()
        try:
            self.top(text)
        except RejectedError:
            self.where = where
            return False
        finally:
            self.tree.sections = before.sections
        self.where = ""
        return True

    def top(self, text: str) -> None:
        """A line at the top of the configuration.

        Raises:
            RejectedError: not understood.
        """
        words = text.split()
        sections = self.tree.sections
        match words:
            case ["hostname", name]:
                self.tree.replace_flat("hostname ", f"hostname {name}")
            case ["interface", *name]:
                header = f"interface {' '.join(name)}"
                if header not in sections:
                    if not VIRTUAL.match(" ".join(name)):
                        raise RejectedError(len("interface "))
                    sections[header] = []
                self.where = header
            case ["object-group" | "object", *_] if self.group(words):
                pass
            case ["no", "object-group" | "object", *rest]:
                self._remove(f"{words[1]} {' '.join(rest)}", text)
            case _:
                self.acl_line(text)

    def group(self, words: list[str]) -> bool:
        """Open a group, where the OS has groups of this kind."""
        return self._open_group(words, {"object-group network": 3, "object-group service": 3})

    def _open_group(self, words: list[str], kinds: dict[str, int]) -> bool:
        header = " ".join(words)
        if not any(header.startswith(f"{kind} ") and len(words) == count for kind, count in kinds.items()):
            return False
        self.tree.sections.setdefault(header, [])
        self.where = header
        return True

    def acl_line(self, text: str) -> None:
        """Lines about access lists at the top: here those of named ones.

        Raises:
            RejectedError: not understood.
        """
        start = f"{self.acl_header} "
        sections = self.tree.sections
        if text.startswith(start) and len(text[len(start) :].split()) == 1:
            sections.setdefault(text, [])
            self.where = text
        elif text.startswith(f"no {start}") and len(text[len(start) + 3 :].split()) == 1:
            self._remove(text.removeprefix("no "), text)
        else:
            raise RejectedError(_second(text) if text.split(maxsplit=1)[0] in ("ip", "no") else 0)

    def _remove(self, header: str, text: str) -> None:
        """Remove a section; one that is not there cannot be.

        Raises:
            RejectedError: there is none.
        """
        found = next((one for one in self.tree.sections if one == header or one.startswith(f"{header} ")), None)
        if found is None:
            self.missing(text)
            return
        if found.startswith("object") and self._used(found.split()):
            raise RejectedError(0)
        del self.tree.sections[found]
        if self.where == found:
            self.where = ""

    def _used(self, header: list[str]) -> bool:
        name = next((word for word in reversed(header) if word not in ("tcp", "udp", "tcp-udp")), "")
        mentions = (f" {name} ", f" {name}\n")
        lines = "".join(f"{line}\n" for line in self._entries())
        return any(one in lines for one in mentions)

    def _entries(self) -> list[str]:
        """All lines in which a group may be used."""
        return [
            child
            for section, children in self.tree.sections.items()
            if section.startswith("ip access-list")
            for child in children
        ]


def _second(text: str) -> int:
    """Where the second word begins, which is where a known command goes wrong."""
    words = text.split()
    return text.index(words[1], len(words[0])) if len(words) > 1 else len(text)


def caret(prompt: str, line: str, caught: RejectedError) -> str:
    """The line with the mark under the word that is not understood."""
    return " " * (len(prompt) + min(caught.column, len(line))) + "^"
