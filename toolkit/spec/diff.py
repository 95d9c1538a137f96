"""Two editions of a document: which requirements came, went and changed, and a reviewed spec moved on by that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import SpecError
from toolkit.spec.model import Requirement, Spec, load_spec
from toolkit.spec.reader import read_page_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from toolkit.spec.proposal import Proposal, Proposed

    Row = Requirement | Proposed

# What a requirement asks for, in the order in which people read it. Purposes, lines and footnotes are words.
FIELDS: Final = ("protocol", "ports", "icmp", "sources", "destinations", "constraints", "condition", "reply")
MADE_BY_OPERATOR: Final = ("decisions", "added_by_operator")
SPEC_FILES: Final = (".yaml", ".yml")


class Kind(StrEnum):
    """What happened to a requirement between two editions."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RequirementChange:
    """One requirement that differs: its id, what it asks for before and after (`fields`: name, old, new), its lines."""

    kind: Kind
    id: str
    fields: tuple[tuple[str, str, str], ...] = ()
    old_lines: tuple[int, ...] = ()
    new_lines: tuple[int, ...] = ()
    new: Row | None = None

    def as_json(self) -> dict[str, Any]:
        """The change as `spec diff --json` prints it."""
        return {
            "kind": self.kind.value,
            "id": self.id,
            "fields": [{"field": name, "old": old, "new": new} for name, old, new in self.fields],
            "old_lines": list(self.old_lines),
            "new_lines": list(self.new_lines),
        }


def read_edition(path: Path) -> Spec | Proposal:
    """A spec file (`.yaml`), or a vendor's page.

    Raises:
        SpecError, PageError: it cannot be read; or a line of the page gave nothing usable, so that a difference
            could be a misreading.
    """
    if path.suffix.lower() in SPEC_FILES:
        return load_spec(path)[0]
    page = read_page_file(path)
    broken = next((one for one in page.findings if one.severity.value == "error"), None)
    if broken is not None:
        raise SpecError(f"{path}:{broken.line}: {broken.message}; import the page and settle that first")
    return page


def compare(old: Sequence[Row], new: Sequence[Row]) -> tuple[RequirementChange, ...]:
    """Changes from one edition to another, in the order of the new one, removed requirements last.

    Requirements are the same when they have the same id; failing that, when one of each edition is left that asks for
    the same protocol and port.
    """
    pairs = dict(_pairs(old, new))
    gone = [one for one in old if one.id not in pairs.values()]
    before = {one.id: one for one in old}
    changes = []
    for one in new:
        former = before.get(pairs.get(one.id, ""))
        if former is None:
            changes.append(
                RequirementChange(Kind.ADDED, one.id, _fields(None, one), new_lines=tuple(one.lines), new=one)
            )
        elif differing := _fields(former, one):
            ends = (tuple(former.lines), tuple(one.lines))
            changes.append(RequirementChange(Kind.CHANGED, former.id, differing, *ends, new=one))
    changes += [RequirementChange(Kind.REMOVED, one.id, _fields(one, None), tuple(one.lines)) for one in gone]
    return tuple(changes)


def _pairs(old: Sequence[Row], new: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """(new id, old id) of requirements that are the same."""
    left = {one.id: one for one in old}
    rest = []
    for one in new:
        if one.id in left:
            del left[one.id]
            yield one.id, one.id
        else:
            rest.append(one)
    for one in rest:
        alike = [former for former in left.values() if _service(former) == _service(one)]
        if len(alike) == 1 == sum(_service(other) == _service(one) for other in rest):
            del left[alike[0].id]
            yield one.id, alike[0].id


def _service(one: Row) -> tuple[str, str | None, str | None]:
    return one.protocol, one.ports, one.icmp


def _fields(old: Row | None, new: Row | None) -> tuple[tuple[str, str, str], ...]:
    both = isinstance(old, Requirement) and isinstance(new, Requirement)
    names = (*FIELDS, *(MADE_BY_OPERATOR if both else ()))
    rows = ((name, _words(old, name), _words(new, name)) for name in names)
    return tuple(row for row in rows if row[1] != row[2])


def _words(one: Row | None, name: str) -> str:
    value = getattr(one, name, None)
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(sorted(str(part) for part in value))
    return str(value)


def move_on(committed: Spec, changes: Iterable[RequirementChange], edition: Proposal) -> Spec:
    """A reviewed spec with the changes between two editions of its page; decisions and additions stay.

    Raises:
        SpecError: a change concerns a requirement that the reviewed spec does not have, or brings what no spec can
            hold, such as a role in the page's own words: the operator must decide first.
    """
    import yaml

    rows = {one.id: one for one in committed.requirements}
    proposed = {one["id"]: one for one in yaml.safe_load(edition.as_yaml())["requirements"]}
    for change in changes:
        if change.kind is not Kind.ADDED and change.id not in rows:
            raise SpecError(
                f"{change.id} is {change.kind.value}, but {committed.name} has no requirement of this id; "
                "compare two spec files instead"
            )
        if change.new is None:
            del rows[change.id]
            continue
        fresh = Requirement.model_validate(proposed[change.new.id])
        if change.kind is Kind.CHANGED:
            kept = rows[change.id].model_dump()
            update = {name: getattr(fresh, name) for name, _, _ in change.fields}
            fresh = Requirement.model_validate({**kept, **update, "lines": fresh.lines})
        rows[change.id] = fresh
    document = committed.document.model_copy(update={"sha256": edition.sha256, "title": edition.title})
    return committed.model_copy(update={"requirements": tuple(rows.values()), "document": document})
