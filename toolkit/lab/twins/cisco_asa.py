"""ASA: lines take effect one by one; access lists are flat lines, bound by `access-group`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins import connections, routes
from toolkit.lab.twins.ace import RejectedError, Words, read_ace
from toolkit.lab.twins.cisco import CiscoShell, caret
from toolkit.lab.twins.judge import read_groups

if TYPE_CHECKING:
    from toolkit.lab.twins.tree import Tree

GROUP = re.compile(r"^access-group (?P<acl>\S+) (?:(?P<side>in|out) interface (?P<name>\S+)|global)$")
PARTS = {
    "access-list": ("access-list ",),
    "access-group": ("access-group ",),
    "object": ("object ",),
    "object-group": ("object-group ",),
    "interface": ("interface ",),
    "same-security-traffic": ("same-security-traffic ",),
}


class AsaShell(CiscoShell):
    """A login on an ASA."""

    os: ClassVar[str] = "asa"
    more = "<--- More --->"
    submodes: ClassVar[dict[str, str]] = {
        "interface": "-if",
        "object-group network": "-network-object-group",
        "object-group service": "-service-object-group",
        "object network": "-network-object",
        "object service": "-service-object",
    }
    denied: ClassVar[str] = "Invalid password"

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The words of an ASA."""
        if caught.incomplete:
            return "ERROR: % Incomplete command"
        return f"{caret(self.prompt, line, caught)}\nERROR: % Invalid input detected at '^' marker."

    def exec(self, text: str) -> str:
        """Lines that an ASA knows beside those of the others."""
        match text.split():
            case ["show", "curpriv"]:
                level = 15 if self.privileged else 1
                mode = "P_PRIV" if self.privileged else "P_UNPR"
                return (
                    f"Username : {self.device.login.user}\nCurrent privilege level : {level}\nCurrent Mode/s : {mode}"
                )
            case ["terminal", "pager", lines] if lines.isdecimal():
                self.page = int(lines)
                return ""
            case ["login"]:
                return self.ask("Username: ", self._user)
        return super().exec(text)

    def _user(self, name: str) -> str:
        def check(given: str) -> str:
            login = self.device.login
            if (name, given) == (login.user, login.password):
                self.privileged = True
                return ""
            return "Login incorrect"

        return self.ask("Password: ", check, hidden=True)

    def privileged_exec(self, text: str) -> str:
        """Lines of the privileged mode."""
        match text.split():
            case ["configure", "terminal"]:
                self.config = True
                return ""
            case ["write"] | ["write", "memory"]:
                self.device.save()
                return (
                    "Building configuration...\nCryptochecksum: 2dd2a4e1 5b1d7c40 9c1f2a3e 00aa11bb\n\n"
                    "3456 bytes copied in 0.20 secs\n[OK]"
                )
            case ["reload"]:
                return self.ask("Proceed with reload? [confirm] ", self._reload)
            case ["clear", "conn", *_]:
                return connections.clear(text, self.device.connections)
        return super().privileged_exec(text)

    def _reload(self, _: str) -> str:
        self.device.reload()
        return ""

    def configure(self, text: str, column: int) -> None:
        """The terminal may be set in configuration mode too."""
        if re.match(r"^terminal (width|pager) \d+$", text):
            return
        super().configure(text, column)

    def group(self, words: list[str]) -> bool:
        """See `CiscoShell`."""
        kinds = {"object-group network": 3, "object network": 3, "object service": 3}
        if words[:2] == ["object-group", "service"] and len(words) == 4 and words[3] in ("tcp", "udp", "tcp-udp"):  # noqa: PLR2004
            self.tree.sections.setdefault(" ".join(words), [])
            self.where = " ".join(words)
            return True
        return self._open_group(words, kinds | {"object-group service": 3})

    def group_line(self, children: list[str], text: str) -> None:
        """An object holds one value, a group many."""
        if self.where.startswith("object network ") and not text.startswith("no "):
            children.clear()
        super().group_line(children, text)

    def acl_line(self, text: str) -> None:
        """Lines of access lists and their bindings.

        Raises:
            RejectedError: not understood.
        """
        words = Words(text)
        match text.split():
            case ["access-list", name, "line", number, *_] if number.isdecimal():
                words.at = 4
                self.tree.insert_flat(self._entry(name, words), int(number), f"access-list {name} ")
            case ["access-list", name, *_]:
                words.at = 2
                line = self._entry(name, words)
                if line in self.tree.sections:
                    self.warning = f"WARNING: <{name}> found duplicate element"
                else:
                    self.tree.sections[line] = []
            case ["no", "access-list", name, *_]:
                words.at = 3
                if words.next == "line":
                    words.at += 2
                self._drop(self._entry(name, words), name)
            case ["clear", "configure", "access-list", name]:
                for header in [one for one in self.tree.sections if one.startswith(f"access-list {name} ")]:
                    del self.tree.sections[header]
                self._unbind(name)
            case ["access-group", *_] | ["no", "access-group", *_]:
                self._bind(text)
            case ["same-security-traffic", "permit", "inter-interface" | "intra-interface"]:
                self.tree.sections.setdefault(text, [])
            case _:
                raise RejectedError(0)

    def _entry(self, name: str, words: Words) -> str:
        """The flat line of an entry as an ASA prints it."""
        kind = words.take()
        if kind == "remark":
            return f"access-list {name} remark {' '.join(word for word, _ in words.words[words.at :])}"
        if kind != "extended":
            raise words.reject()
        return (
            f"access-list {name} extended {read_ace(words, self.os, read_groups(self.tree, self.os).kinds).text('asa')}"
        )

    def _drop(self, line: str, name: str) -> None:
        if line not in self.tree.sections:
            self.warning = "ERROR: specified ACE does not exist"
            return
        del self.tree.sections[line]
        if not any(one.startswith(f"access-list {name} ") for one in self.tree.sections):
            self._unbind(name)

    def _unbind(self, name: str) -> None:
        """An ASA takes the binding away with the last entry of its list."""
        self.tree.replace_flat(f"access-group {name} ", None)

    def _bind(self, text: str) -> None:
        positive = text.removeprefix("no ")
        binding = GROUP.match(positive)
        if binding is None:
            raise RejectedError(len("access-group "))
        name = binding["acl"]
        if text != positive:
            if positive not in self.tree.sections:
                self.warning = "ERROR: access-group not configured"
            self.tree.sections.pop(positive, None)
            return
        if not any(one.startswith(f"access-list {name} ") for one in self.tree.sections):
            self.warning = f"ERROR: access-list <{name}> does not exist"
            return
        if binding["name"] is not None and not self._named(binding["name"]):
            self.warning = f"ERROR: interface <{binding['name']}> does not exist"
            return
        # Another list on the same place is replaced in one step.
        end = positive.split(maxsplit=2)[2]
        for header in [
            one for one in self.tree.sections if one.startswith("access-group ") and one.endswith(f" {end}")
        ]:
            del self.tree.sections[header]
        self.tree.sections[positive] = []

    def _named(self, name: str) -> bool:
        return any(f"nameif {name}" in children for children in self.tree.sections.values())

    def _entries(self) -> list[str]:
        return [one for one in self.tree.sections if one.startswith("access-list ")]

    def display(self, command: str) -> str:  # noqa: PLR0911 - a table of commands
        """Show commands that only an ASA has."""
        match command.split():
            case ["conn", "count"]:
                number = len(self.device.connections.listed())
                return f"{number} in use, {max(number, 1)} most used"
            case ["conn", "long"]:
                return connections.long_listing(self.device.running, self.device.connections)
            case ["nameif"]:
                return routes.asa_names(self.device.running)
            case ["route", address]:
                return routes.asa(self.device.running, address)
            case ["running-config", part] if part in PARTS:
                return self._part(PARTS[part])
            case ["running-config", "access-list", name]:
                return self._part((f"access-list {name} ",))
            case ["running-config", "all"]:
                return self.shown(self.device.running)
            case ["version"]:
                return "Cisco Adaptive Security Appliance twin (simulated, not an image of the OS) Version 9.16(4)"
        return super().display(command)

    def _part(self, starts: tuple[str, ...]) -> str:
        sections = self.device.running.sections
        chosen = {header: children for header, children in sections.items() if header.startswith(starts)}
        return _spaced(type(self.device.running)(chosen).text(self.indent))

    def shown(self, tree: Tree) -> str:
        """With the lines that an ASA prints around it."""
        return f": Saved\n\n: Serial Number: TWIN\n:\nASA Version 9.16(4) \n!\n{_spaced(tree.text(self.indent))}\n: end"


def _spaced(text: str) -> str:
    """An ASA prints a space after each entry."""
    return "\n".join(f"{line} " if line.startswith("access-list ") else line for line in text.split("\n"))


SHELL = AsaShell
