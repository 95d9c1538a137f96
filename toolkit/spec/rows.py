"""Rows of a port table as records: cells by what they hold, merged and empty cells filled from the row above."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toolkit.spec import ports, protocols
from toolkit.spec.columns import Kind
from toolkit.spec.context import Context, narrow
from toolkit.spec.notes import is_footnote_row
from toolkit.spec.page import Cell, Row, Table
from toolkit.spec.vocabulary import is_ditto

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolkit.spec.notes import Footnote

_REMARKS: Final = frozenset(
    {Kind.NOTES, Kind.CONDITION, Kind.NEEDED, Kind.OPTIONAL, Kind.ACTION, Kind.OTHER, Kind.SOURCE_PORT}
)
_PARTIES: Final = frozenset({Kind.SOURCE, Kind.DESTINATION, Kind.PEER, Kind.BETWEEN, Kind.SUBJECT})
_PORTS: Final = frozenset({Kind.PORT, Kind.BACKEND_PORT, Kind.TCP_PORT, Kind.UDP_PORT})


@dataclass(frozen=True, slots=True)
class Record:
    """One row that asks for something: `cells` by kind (several for purposes and notes), `lines` that shaped it."""

    line: int
    cells: Mapping[Kind, tuple[Cell, ...]]
    context: Context
    lines: tuple[int, ...]
    marks: tuple[str, ...]
    filled_protocol: bool = True
    texts: tuple[str, ...] = field(default=())

    def text(self, *kinds: Kind) -> str:
        """Texts of the cells of some kinds, joined."""
        return "; ".join(cell.flat for kind in kinds for cell in self.cells.get(kind, ()) if cell.text)

    def cell(self, kind: Kind) -> Cell | None:
        """The first cell of a kind that holds text."""
        return next((cell for cell in self.cells.get(kind, ()) if cell.text), None)


def records(
    table: Table, kinds: Sequence[Kind], context: Context, footnotes: Mapping[str, Footnote], title: str
) -> Iterator[Record]:
    """Records of a table in order; sub-headings between its rows narrow the context of those that follow."""
    above: dict[int, Cell] = {}
    inner = context
    header_marks = tuple(mark for cell in table.header.cells for mark in cell.marks)
    for row in table.rows:
        texts = {cell.flat for cell in row.cells if cell.text}
        if not texts or _repeats_header(row, table) or is_footnote_row(footnotes, row.line, texts):
            continue
        section = _section(row, kinds, texts)
        if section is not None:
            index, cell = section
            above = {}
            if kinds[index] in _PARTIES:
                above[index] = cell
            inner = narrow(context, cell.flat, row.line, title, first=True)
            continue
        yield _record(row, kinds, above, inner, header_marks, footnotes)


def _repeats_header(row: Row, table: Table) -> bool:
    return [cell.flat.lower() for cell in row.cells] == [cell.flat.lower() for cell in table.header.cells]


def _section(row: Row, kinds: Sequence[Kind], texts: set[str]) -> tuple[int, Cell] | None:
    """A row that is a sub-heading: one text over all columns, or alone in the first one."""
    if len(texts) != 1 or len(kinds) < 2:  # noqa: PLR2004 - in a single column every row looks like that
        return None
    filled = [index for index, cell in enumerate(row.cells) if cell.text]
    cell = row.cells[filled[0]]
    over_all = len(row.cells) == len(filled) and all(one.merged for one in row.cells[1:])
    if filled != [0] and not over_all:
        return None
    if kinds[0] in _PORTS and not over_all:
        found = ports.read(cell.flat)
        if found.entries or found.site or any(any(c.isdigit() for c in bad.text) for bad in found.bad):
            return None
    if kinds[0] is Kind.PROTOCOL and protocols.is_transport(cell.flat) and not over_all:
        return None
    return filled[0], cell


def _record(
    row: Row,
    kinds: Sequence[Kind],
    above: dict[int, Cell],
    context: Context,
    header_marks: tuple[str, ...],
    footnotes: Mapping[str, Footnote],
) -> Record:
    own = _own_cells(row, len(kinds), footnotes)
    key_missing = any(
        (not cell.text or cell.merged) and kind not in _REMARKS for cell, kind in zip(own, kinds, strict=True)
    )
    stands_alone = _stand_alone(own, kinds)
    cells: dict[Kind, tuple[Cell, ...]] = {}
    lines = [row.line]
    marks: list[str] = list(header_marks)
    filled_protocol = True
    for index, (cell, kind) in enumerate(zip(own, kinds, strict=True)):
        value = cell
        if (not cell.text and not cell.marks) or is_ditto(cell.text):
            # A remark belongs to its row; it only runs on where the row is visibly part of the one above.
            runs_on = (
                is_ditto(cell.text)
                or (kind not in _REMARKS and kind not in stands_alone)
                or (kind in _REMARKS and key_missing)
            )
            continues = index in above and runs_on
            value = above[index] if continues else Cell("", row.line)
            filled_protocol = filled_protocol and kind is not Kind.PROTOCOL
        if value.text:
            above[index] = value
        elif kind in _REMARKS:
            above.pop(index, None)  # a remark never runs on past a row without it
        if value.text and value.line != row.line and (cell.merged or value is not cell):
            lines.append(value.line)
        marks += value.marks
        cells[kind] = (*cells.get(kind, ()), value)
    return Record(
        row.line,
        cells,
        context,
        tuple(dict.fromkeys(lines)),
        tuple(dict.fromkeys(marks)),
        filled_protocol,
        tuple(cell.flat for cell in own),
    )


def _own_cells(row: Row, width: int, footnotes: Mapping[str, Footnote]) -> list[Cell]:
    cells = [_without_marks(cell, footnotes) for cell in row.cells[:width]]
    return cells + [Cell("", row.line)] * (width - len(cells))


def _without_marks(cell: Cell, footnotes: Mapping[str, Footnote]) -> Cell:
    """A cell whose last word is a mark in brackets, `8000 (1)`, if the page has such a footnote."""
    found = re.search(r"\s*[\[(](\d{1,2}|[a-z]|[*\u2020\u2021]+)[\])]$", cell.text)
    if found is None or found[1] not in footnotes or not found.start():
        return cell
    return replace(cell, text=cell.text[: found.start()], marks=(*cell.marks, found[1]))


def _stand_alone(own: Sequence[Cell], kinds: Sequence[Kind]) -> frozenset[Kind]:
    """Kinds whose empty cells say `none` here: a port beside ICMP, UDP beside a TCP port, what `53/udp` says."""
    stated = {kind: cell.flat for cell, kind in zip(own, kinds, strict=True) if cell.text}
    found: set[Kind] = set()
    named = protocols.read(stated.get(Kind.PROTOCOL, "")).names
    if named and not any(protocols.has_ports(name) for name in named):
        found.add(Kind.PORT)
    entries = ports.read(stated.get(Kind.PORT, "")).entries
    if entries and all(entry.protocols for entry in entries):
        found.add(Kind.PROTOCOL)
    if {Kind.TCP_PORT, Kind.UDP_PORT} & stated.keys():
        found |= {Kind.TCP_PORT, Kind.UDP_PORT}
    return frozenset(found)
