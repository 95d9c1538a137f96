"""Tables with a column for the first port of a range and one for the last: read as one column of ports."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.spec.page import Cell

if TYPE_CHECKING:
    from toolkit.spec.page import Row, Table

_FIRST: Final = r"(?:start(?:ing)?|first|from|begin(?:ning)?|low(?:er|est)?|min(?:imum)?)"
_LAST: Final = r"(?:end(?:ing)?|last|to|high(?:er|est)?|upper|max(?:imum)?|through)"
_NOTHING: Final = re.compile(r"^(?:[-\u2013\u2014]+|n/?a|none)?$", re.IGNORECASE)


def joined(table: Table) -> Table:
    """The table with `Start port | End port` as `Ports`, whose cells are texts such as `2379-2380`; else as it is."""
    headers = [_plain(cell.flat) for cell in table.header.cells]
    pair = [[index for index, text in enumerate(headers) if _names(which, text)] for which in (_FIRST, _LAST)]
    if [len(found) for found in pair] != [1, 1]:
        return table
    (first,), (last,) = pair
    header = _join(table.header, first, last, "Ports")
    return replace(table, header=header, rows=tuple(_join(row, first, last) for row in table.rows))


def _plain(header: str) -> str:
    return " ".join(re.sub(r"[^a-z]", " ", header.lower()).split())


def _names(which: str, header: str) -> bool:
    ends = rf"(?:{which} (?:tcp |udp )?ports?(?: numbers?)?|ports? (?:range )?{which})"
    return re.fullmatch(ends, header) is not None


def _join(row: Row, first: int, last: int, header: str | None = None) -> Row:
    """A row with both cells in the first one's place; the last one's is taken out."""
    cells = [*row.cells, *(Cell("", row.line) for _ in range(max(first, last) + 1 - len(row.cells)))]
    one, other = cells[first], cells[last]
    text = header
    if text is None:
        single = _NOTHING.match(other.flat) or other.flat == one.flat
        text = one.text if single else f"{one.flat}-{other.flat}"
    marks = tuple(dict.fromkeys((*one.marks, *other.marks)))
    cells[first] = Cell(text, one.line, marks, one.merged and other.merged)
    del cells[last]
    return replace(row, cells=tuple(cells))
