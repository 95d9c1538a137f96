"""A twin's first configuration: read strictly, and kept in the words in which the OS would print it."""

from __future__ import annotations

from typing import Final

from toolkit.errors import LabError
from toolkit.lab.twins.ace import RejectedError, Words, read_ace
from toolkit.lab.twins.judge import read_groups
from toolkit.lab.twins.statements import Statements
from toolkit.lab.twins.tree import Tree

SHORT: Final = {"arista_eos": "eos", "cisco_asa": "asa", "cisco_ios": "ios", "cisco_nxos": "nxos"}


def load(name: str, system: str, config: str) -> Tree | Statements:
    """The configuration of a device of an OS.

    Raises:
        LabError: a line of an access list, group or filter is not what the OS would take; names it.
    """
    line = ""
    try:
        if system == "juniper_junos":
            return Statements.read(config)
        os = SHORT[system]
        tree = Tree.read(config)
        kinds = read_groups(tree, os).kinds
        found: dict[str, list[str]] = {}
        for header, children in tree.sections.items():
            line = header
            if header.startswith("access-list ") and os == "asa":
                found[_flat(header, kinds)] = []
            elif header.startswith("ip access-list "):
                found[header] = []
                for number, line in enumerate(children, 1):
                    found[header].append(_entry(line, os, kinds, number * 10))
            else:
                found[header] = children
        return Tree(found)
    except RejectedError as caught:
        where = f": {line!r}, column {caught.column}" if line else f": word {caught.column} of a statement"
        raise LabError(f"twin {name} cannot boot: {system} would not take its configuration{where}") from None


def _entry(line: str, os: str, kinds: dict[str, str], number: int) -> str:
    words = Words(line)
    if words.next.isdecimal():
        number = int(words.take())
    if words.next not in ("permit", "deny"):
        return line if words.next != "remark" or line[0].isdecimal() else f"{number} {line}"
    return f"{number} {read_ace(words, os, kinds).text(os)}"


def _flat(line: str, kinds: dict[str, str]) -> str:
    words = Words(line)
    words.at = 2
    if words.next != "extended":
        return line
    words.take()
    return f"{' '.join(line.split()[:3])} {read_ace(words, 'asa', kinds).text('asa')}"
