"""What a report of a run is made of: plain frozen values, filled by whoever ran it, shown by `html` and `junit`."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import InputError, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolkit.lab.timeline import Event

CELL_COLUMNS: Final = ("source", "destination", "protocol", "port", "live")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run; `seconds` is how long it took."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding and where it points: `place` is text such as `uipath-automation-suite line 10`."""

    code: str
    severity: str
    message: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class RequirementRow:
    """A requirement as the report shows it; `lines` is text such as `25, 21`, `notes` what the operator decided."""

    id: str
    service: str
    sources: str
    destinations: str
    purpose: str
    document: str
    lines: str
    condition: str = ""
    in_force: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An ACL entry; `citations` names requirement, document and line, one each."""

    action: str
    service: str
    sources: str
    destinations: str
    citations: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AclRow:
    """An ACL with the interface and direction that it is bound to."""

    name: str
    interface: str
    direction: str
    entries: tuple[EntryRow, ...]


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device and what it enforces; `about` is one line of text, `diff` what a change does to it."""

    name: str
    about: str
    acls: tuple[AclRow, ...] = ()
    diff: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that the evidence of a run shows.

    Attributes:
        title: headline, such as `Rehearsal of plan 1a2b3c`.
        site: name of the site.
        date: when, as text for people.
        steps: what was done, in order.
        findings: of the specs, the flows, the policies.
        requirements: of all specs, those not in force too.
        pictures: (title, SVG text) pairs; the SVG is checked again when it is shown.
        devices: what each device enforces.
        limits: what is not enforced or not proved, one sentence each.
        matrix: one mapping per cell with the columns of the matrix's CSV: source, destination, protocol, port,
            intent, model, expectation, live, verdict, wrong, evidence, requirements. `wrong` is empty when all agree.
        roles: host name -> the name that its cells are grouped under; its own name where it is missing.
        counts: probes, permitted, denied, wrong, inconclusive. Counted from `matrix` where that has cells, so
            that the two cannot contradict each other.
        services, timings, certificate: shown as they are; timings in seconds.
        timeline: what a scenario did, expected and saw, in order.
    """

    title: str
    site: str
    date: str
    steps: tuple[Step, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    requirements: tuple[RequirementRow, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    devices: tuple[DeviceRow, ...] = ()
    limits: tuple[str, ...] = ()
    matrix: tuple[Mapping[str, Any], ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    certificate: Mapping[str, Any] = field(default_factory=dict)
    timeline: tuple[Event, ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """Counts of the matrix, from its cells where there are any."""
        if self.matrix:
            return tally(cells_of(self.matrix))
        return {name: int(self.counts.get(name, 0)) for name in tally(())}

    @property
    def ok(self) -> bool:
        """Whether something was checked, every step and expectation held, and no cell is wrong or inconclusive."""
        totals = self.totals
        checked = bool(self.steps) or bool(totals["probes"])
        held = all(step.ok for step in self.steps) and all(event.ok for event in self.timeline)
        return checked and held and not (totals["wrong"] or totals["inconclusive"])


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix as text; `wrong` names who disagrees, empty when nobody does."""

    source: str
    destination: str
    service: str
    intent: str
    model: str
    expectation: str
    live: str
    wrong: str
    evidence: str
    requirements: str

    @property
    def bad(self) -> bool:
        """Whether somebody must look at it."""
        return bool(self.wrong) or self.live not in ("permitted", "denied")


def cells_of(rows: tuple[Mapping[str, Any], ...]) -> tuple[Cell, ...]:
    """Cells of matrix rows.

    Raises:
        InputError: a row lacks a column that a cell cannot be without.
    """
    cells = []
    for number, row in enumerate(rows, start=1):
        missing = [name for name in CELL_COLUMNS if row.get(name) is None]
        if missing:
            raise InputError(f"row {number} of the matrix has no {', '.join(missing)}")
        text = {name: _text(value) for name, value in row.items()}
        service = "icmp" if text["protocol"] == "icmp" else f"{text['protocol']}/{text['port']}"
        rest = {
            n: text.get(n, "") for n in ("intent", "model", "expectation", "live", "wrong", "evidence", "requirements")
        }
        cells.append(Cell(text["source"], text["destination"], service, **rest))
    return tuple(cells)


def _text(value: Any) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)


def tally(cells: tuple[Cell, ...]) -> dict[str, int]:
    """How many cells, and of them live permitted, live denied, wrong, and neither permitted nor denied."""
    live = Counter(cell.live for cell in cells)
    return {
        "probes": len(cells),
        "permitted": live["permitted"],
        "denied": live["denied"],
        "wrong": sum(bool(cell.wrong) for cell in cells),
        "inconclusive": len(cells) - live["permitted"] - live["denied"],
    }


def by_role(report: RunReport) -> dict[tuple[str, str], tuple[Cell, ...]]:
    """Cells by (source role, destination role), those that somebody must look at first, pairs and cells alike."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells_of(report.matrix):
        ends = [
            report.roles.get(name.partition("/")[0], name.partition("/")[0]) for name in (cell.source, cell.destination)
        ]
        groups.setdefault((ends[0], ends[1]), []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: (min(map(_urgency, item[1]))[:2], item[0]))
    return {ends: tuple(sorted(cells, key=_urgency)) for ends, cells in ordered}


def _urgency(cell: Cell) -> tuple[bool, bool, bool]:
    """Order of cells: wrong, inconclusive, permitted, denied."""
    return not cell.wrong, not cell.bad, cell.live != "permitted"


def read_matrix(path: Path) -> tuple[dict[str, str], ...]:
    """Read the CSV of a matrix.

    Raises:
        InputError: the file is missing, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in CELL_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"no matrix: the columns {', '.join(missing)} are missing", place=Place(str(path), 1))
            return tuple(reader)
    except FileNotFoundError:
        raise InputError("no such file; run toolkit lab run first", place=Place(str(path))) from None
