"""Lines inside the sections of a configuration: interfaces, groups and access lists of IOS, EOS, NX-OS and ASA."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins.ace import RejectedError, Words, read_ace
from toolkit.lab.twins.judge import network_member, read_groups, service_member
from toolkit.lab.twins.shell import Shell
from toolkit.lab.twins.tree import Tree, insert_entry, resequence, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device

INTERFACE_LINES = re.compile(
    r"^(no )?(description|ip address|shutdown|switchport|nameif|security-level|mtu|speed|duplex|vrf|channel-group)\b"
)


class SectionLines(Shell):
    """A shell that knows the lines of sections; `where` is the header of the one that lines go to, empty at the top."""

    os: ClassVar[str]

    def __init__(self, device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> None:
        super().__init__(device, write, hang_up)
        self.where = ""

    @property
    def tree(self) -> Tree:
        """What is being configured."""
        tree: Tree = self.device.running
        return tree

    def missing(self, text: str) -> None:
        """Something is to be removed that is not there; IOS and its kin say nothing.

        Raises:
            RejectedError: the OS minds.
        """

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
