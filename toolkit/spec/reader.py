"""A vendor's page -> a proposed spec. The importer proposes; an operator reviews and commits what then runs.

The rooms of the reading: `page` and its two readers make a neutral document; `columns` says what a table's
columns hold; `context` what stands around it; `rows`, `services`, `ends`, `applies` and `draft` read one row;
`prose` reads what is only said in sentences; `review` compares rows with each other and with what other editions say.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import PageError, Place
from toolkit.spec import columns, ports, prose, protocols, review
from toolkit.spec.context import Context, direction_in, tables_with_context
from toolkit.spec.draft import draft
from toolkit.spec.model import Severity
from toolkit.spec.notes import footnotes_of
from toolkit.spec.page import Heading, Page, Prose, Row, Table, read_page_bytes
from toolkit.spec.proposal import Proposal, unique_ids
from toolkit.spec.rows import records
from toolkit.spec.services import Drafts, Surroundings
from toolkit.spec.spans import joined
from toolkit.spec.statements import sentences

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.spec.columns import Kind

_PORT_IN_CELL: Final = re.compile(r"\b(?:tcp|udp)\s*[:/ ]\s*\d{1,5}\b|\b\d{1,5}\s*/\s*(?:tcp|udp)\b", re.IGNORECASE)


def read_page_file(path: Path) -> Proposal:
    """Read a vendor's page from a file.

    Raises:
        PageError: the file cannot be read, is no UTF-8 text, or holds no port table.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PageError("no such file", place=Place(str(path))) from None
    except OSError as caught:
        raise PageError(f"cannot be read: {caught.strerror}", place=Place(str(path))) from None
    return read_spec_page(data, path.name)


def read_spec_page(data: bytes, name: str) -> Proposal:
    """Read a vendor's page; `name` is what findings and the JSON call the document.

    Raises:
        PageError: no UTF-8 text, or no port table in it.
    """
    page = read_page_bytes(data, name)
    out = Drafts(findings=list(page.repairs))
    around = _surroundings(page)
    if not _read_tables(page, around, out):
        raise PageError(
            "no port table found; a table needs a column of ports, and headers such as Port, Protocol, Source, Purpose",
            place=Place(name),
        )
    forbidden = prose.read(page, around, out)
    review.compare(out)
    review.annotate(page, out)
    ids = unique_ids([one.id for one in out.requirements])
    requirements = tuple(replace(one, id=name) for one, name in zip(out.requirements, ids, strict=True))
    findings = sorted(out.findings, key=lambda one: (one.line or 0, one.code))
    return Proposal(name, page.title, page.sha256, requirements, tuple(dict.fromkeys(findings)), forbidden)


def _surroundings(page: Page) -> Surroundings:
    default, line = None, None
    texts = [(one.text, one.line) for one in page.blocks if isinstance(one, Heading)]
    texts += [
        (sentence, one.line_at(at))
        for one in page.blocks
        if isinstance(one, Prose)
        for at, sentence in sentences(one.marked)
    ]
    texts += [(one.caption.text, one.caption.line) for one in page.blocks if isinstance(one, Table) and one.caption]
    for text, at in texts:
        stated = protocols.default_in(text)
        if stated and default is None:
            default, line = stated, at
    return Surroundings(page.title, footnotes_of(page.blocks), default, line)


def _read_tables(page: Page, around: Surroundings, out: Drafts) -> int:
    """Read every port table; a table that is none is left out, unless ports stand in its cells."""
    count = 0
    unread: list[Table] = []
    for table, context in tables_with_context(page.blocks):
        found = _as_port_table(table, out)
        if found is None:
            if _PORT_IN_CELL.search(" ".join(row.text for row in table.rows)):
                unread.append(table)
            continue
        count += 1
        _read_table(*found, _directed(table, *found, context), around, out)
    for table in unread if count else ():
        out.find(
            "table_unread",
            Severity.ERROR,
            table.line,
            "ports stand in this table, but not in a column of their own; read it by hand",
        )
    return count


def _as_port_table(page_table: Table, out: Drafts) -> tuple[Table, tuple[Kind, ...]] | None:
    table = joined(page_table)
    kinds = columns.kinds_of(table)
    if kinds is not None:
        return table, kinds
    headless = Table(Row((), table.line), (table.header, *table.rows), table.line, table.caption)
    header_is_data = any(ports.read(cell.flat).entries for cell in table.header.cells)
    guessed = columns.infer(headless if header_is_data else table)
    if guessed is None:
        return None
    out.find(
        "header_missing",
        Severity.WARNING,
        table.line,
        "no header names the columns; ports and protocols are known by sight",
    )
    return (headless if header_is_data else table), guessed


def _directed(table: Table, read: Table, kinds: tuple[Kind, ...], context: Context) -> Context:
    """A header such as `Inbound:` over unnamed columns says the direction of all rows."""
    named = {columns.kind_of(cell.flat) for cell in table.header.cells if cell.text}
    if (
        context.direction is not None
        or read is not table
        or named & set(kinds) & {columns.Kind.PORT, columns.Kind.TCP_PORT}
    ):
        return context
    text = " ".join(cell.flat for cell in table.header.cells)
    return replace(context, direction=direction_in(text, heading=True), direction_line=table.line)


def _read_table(table: Table, kinds: tuple[Kind, ...], context: Context, around: Surroundings, out: Drafts) -> None:
    before = len(out.requirements), len(out.findings)
    for record in records(table, kinds, context, around.footnotes, around.title):
        draft(record, around, out)
    if before == (len(out.requirements), len(out.findings)):
        out.find("table_empty", Severity.WARNING, table.line, "the port table has no rows")
