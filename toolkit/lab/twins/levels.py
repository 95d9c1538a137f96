"""What an ASA asks beside its lists: security levels, `same-security-traffic`, and the list on the way out.

Between interfaces of one level, and back out of the interface that it came in by, nothing passes without
`same-security-traffic`, whatever a list permits. A list on the way in takes the place of the other levels' rule: to
lower ones it permits, to higher ones it denies. A list on the way out comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.lab.twins.tree import Tree


def name_of(tree: Tree, interface: str) -> str:
    """The name (`nameif`) of an interface; one without is called as it is."""
    lines = tree.sections.get(f"interface {interface}", ())
    return next((line.split()[1] for line in lines if line.startswith("nameif ")), interface)


def level(tree: Tree, name: str) -> int:
    """The security level of a named interface, 0 where nothing is said."""
    for header, lines in tree.sections.items():
        if header.startswith("interface ") and name_of(tree, header.split()[1]) == name:
            return next((int(line.split()[1]) for line in lines if line.startswith("security-level ")), 0)
    return 0


def passes(tree: Tree, name: str, other: str, *, listed: bool) -> bool:
    """Whether anything passes from one named interface to another; `listed` where a list judges what enters."""
    if name == other:
        return "same-security-traffic permit intra-interface" in tree.sections
    mine, theirs = level(tree, name), level(tree, other)
    if mine == theirs:
        return "same-security-traffic permit inter-interface" in tree.sections
    return listed or mine > theirs


def outbound(tree: Tree, name: str) -> str | None:
    """The list that judges what leaves by a named interface, None where there is none."""
    end = f" out interface {name}"
    return next(
        (line.split()[1] for line in tree.sections if line.startswith("access-group ") and line.endswith(end)), None
    )
