"""What the command lines of IOS, EOS, NX-OS and ASA have in common: modes, and the lines of their configurations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins.ace import RejectedError, Words, read_ace
from toolkit.lab.twins.judge import network_member, read_groups, service_member
from toolkit.lab.twins.shell import Shell, piped
from toolkit.lab.twins.tree import Tree, insert_entry, resequence, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device

INTERFACE_LINES = re.compile(
    r"^(no )?(description|ip address|shutdown|switchport|nameif|security-level|mtu|speed|duplex|vrf|channel-group)\b"
)
VIRTUAL = re.compile(r"^(Vlan|vlan|Loopback|loopback|Port-channel|Port-Channel|port-channel|Tunnel)\d+$")


class CiscoShell(Shell):
    """A shell whose configuration is a `Tree`."""

    os: ClassVar[str]
    acl_header: ClassVar[str] = "ip access-list"
    indent: ClassVar[str] = " "
    # The word in the prompt of each kind of section.
    submodes: ClassVar[dict[str, str]] = {}

    def __init__(self, device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> None:
        super().__init__(device, write, hang_up)
        self.config = False
        self.where = ""  # header of the section that lines go to
        self.warning = ""

    # ---- modes ----------------------------------------------------------------------------

    @property
    def tree(self) -> Tree:
        """What is being configured."""
        tree: Tree = self.device.running
        return tree

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

    def missing(self, text: str) -> None:
        """Something is to be removed that is not there; IOS and its kin say nothing.

        Raises:
            RejectedError: the OS minds.
        """

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

    def child(self, text: str) -> None:
        """A line inside a section.

        Raises:
            RejectedError: not understood there.
        """
        children = self.tree.sections[self.where]
        if self.where.startswith("interface "):
            self.interface_line(children, text)
        elif self.where.startswith("object"):
            self.group_line(children, text)
        else:
            self.entry(children, text)

    def interface_line(self, children: list[str], text: str) -> None:
        """A line of an interface.

        Raises:
            RejectedError: not understood.
        """
        binding = re.match(r"^(?P<no>no )?(?P<what>ip (port )?access-group)( (?P<name>\S+))? (?P<side>in|out)$", text)
        if binding is not None and not (binding["what"].startswith("ip port") and self.os != "nxos"):
            others = [c for c in children if not re.match(rf"^{binding['what']} \S+ {binding['side']}$", c)]
            if binding["no"]:
                children[:] = others
                return
            if binding["name"] is not None:
                children[:] = [*others, f"{binding['what']} {binding['name']} {binding['side']}"]
                return
        if not INTERFACE_LINES.match(text):
            raise RejectedError(0)
        positive = text.removeprefix("no ")
        kind = positive.split()[0]
        children[:] = [c for c in children if c.removeprefix("no ").split()[0] != kind]
        if positive == text or kind in ("switchport", "shutdown"):
            children.append(text)

    def group_line(self, children: list[str], text: str) -> None:
        """A member of a group.

        Raises:
            RejectedError: not understood.
        """
        if text.startswith("no "):
            if text[3:] in children:
                children.remove(text[3:])
            return
        words = self.where.split()
        if "service" in words or "port" in words:
            service_member(text, self.os, words[-1] if words[-1] in ("tcp", "udp") else "")
        else:
            network_member(text)
        if text not in children:
            children.append(text)

    def entry(self, children: list[str], text: str) -> None:
        """An entry of a named access list.

        Raises:
            RejectedError: not understood, or its number is taken.
        """
        words = Words(text)
        if text.startswith("no "):
            self._remove_entry(children, text[3:].strip())
            return
        if text in ("statistics per-entry", "counters per-entry"):
            if text not in children:
                children.insert(0, text)
            return
        number = int(words.take()) if words.next.isdecimal() else None
        if words.next == "remark":
            canonical = " ".join(text.split(" ")[1:] if number is not None else text.split(" "))
        else:
            kinds = read_groups(self.tree, self.os).kinds
            canonical = read_ace(words, self.os, kinds).text(self.os)
        if not insert_entry(children, canonical, number):
            self.duplicate()

    def duplicate(self) -> None:
        """The number of an entry is taken.

        Raises:
            RejectedError: always; its words say so.
        """
        raise RejectedError(0)

    def _remove_entry(self, children: list[str], text: str) -> None:
        if text.isdecimal():
            found = [child for child in children if sequence(child) == int(text)]
        else:
            words = Words(text)
            if words.next in ("permit", "deny"):
                text = read_ace(words, self.os, read_groups(self.tree, self.os).kinds).text(self.os)
            found = [child for child in children if re.sub(r"^\d+ ", "", child) == text or child == text]
        if not found:
            self.missing(text)
        for child in found:
            children.remove(child)

    def renumber(self, header: str, start: str, step: str) -> None:
        """Number a list anew.

        Raises:
            RejectedError: no such list, or no numbers.
        """
        if header not in self.tree.sections or not (start.isdecimal() and step.isdecimal()):
            raise RejectedError(0)
        self.tree.sections[header] = resequence(self.tree.sections[header], int(start), int(step))


def _second(text: str) -> int:
    """Where the second word begins, which is where a known command goes wrong."""
    words = text.split()
    return text.index(words[1], len(words[0])) if len(words) > 1 else len(text)


def caret(prompt: str, line: str, caught: RejectedError) -> str:
    """The line with the mark under the word that is not understood."""
    return " " * (len(prompt) + min(caught.column, len(line))) + "^"
