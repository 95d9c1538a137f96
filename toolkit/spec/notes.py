"""Footnotes of a page: which paragraphs define them, and what each mark says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.spec.page import MARK, Prose, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolkit.spec.page import Block

_MARKED: Final = re.compile(
    r"^(?:⟦(?P<mark>[^⟧]+)⟧|\[(?P<square>\d{1,2}|[a-z])\]|\((?P<round>\d{1,2}|[a-z*])\)|"
    r"(?P<sign>[*†‡§]{1,3})(?=\s?\S))\s*:?\s*(?P<text>\S.*)$",
    re.DOTALL,
)
# `1 If an external registry ...`: a bare number before a sentence, below a table.
_BARE: Final = re.compile(
    r"^(?:notes?\s+)?(?P<mark>\d{1,2}|[a-z](?=[)\]:]))[)\]:]?\s+(?P<text>[A-Z\"“].{8,})$", re.DOTALL
)
_BARE_NOTE: Final = re.compile(
    r"^(?:foot)?notes?\s+(?P<mark>\d{1,2}|[a-z])\s*[).:\]]\s*(?P<text>\S.*)$", re.DOTALL | re.IGNORECASE
)
_DIGIT_LIST: Final = re.compile(r"^\d{1,2}$")


@dataclass(frozen=True, slots=True)
class Footnote:
    """What a mark says, and the lines that say it."""

    mark: str
    text: str
    lines: tuple[int, ...]


def footnotes_of(blocks: Sequence[Block]) -> dict[str, Footnote]:
    """Footnotes by their mark, the first definition of each."""
    used = {
        mark
        for block in blocks
        if isinstance(block, Table)
        for row in block.rows
        for cell in row.cells
        for mark in cell.marks
    }
    used |= {mark for block in blocks if isinstance(block, Table) for cell in block.header.cells for mark in cell.marks}
    found: dict[str, Footnote] = {}
    below_table = False
    for block in blocks:
        if isinstance(block, Table):
            below_table = True
            for row in block.rows:
                _add(found, _in_row(block, row.text, row.line))
        elif isinstance(block, Prose):
            for one in _definitions(block, used, below_table=below_table):
                _add(found, one)
    return found


def _add(found: dict[str, Footnote], one: Footnote | None) -> None:
    if one is not None:
        found.setdefault(one.mark, one)


def _definitions(block: Prose, used: set[str], *, below_table: bool) -> list[Footnote]:
    """Definitions in one paragraph; several may follow each other, one a line."""
    if (
        block.bullet
        and (block.bullet in used or _DIGIT_LIST.match(block.bullet))
        and below_table
        and block.bullet in used
    ):
        return [Footnote(block.bullet, block.text, _lines(block))]
    pieces: list[tuple[str, str, list[int]]] = []
    for line, text in block.pieces:
        start = _start(text, below_table=below_table)
        if start:
            pieces.append((*start, [line]))
        elif pieces:
            mark, before, lines = pieces[-1]
            pieces[-1] = (mark, f"{before} {text}", [*lines, line])
        else:
            return []
    return [Footnote(mark, MARK.sub("", text).strip(), tuple(lines)) for mark, text, lines in pieces]


def _start(text: str, *, below_table: bool) -> tuple[str, str] | None:
    marked = _MARKED.match(text)
    if marked:
        return marked["mark"] or marked["square"] or marked["round"] or marked["sign"], marked["text"]
    for pattern in (_BARE, _BARE_NOTE) if below_table else ():
        found = pattern.match(text)
        if found:
            return found["mark"], found["text"]
    return None


def _in_row(table: Table, text: str, line: int) -> Footnote | None:
    """A footnote that stands as the last rows of its table, in one cell."""
    row = next(one for one in table.rows if one.line == line and one.text == text)
    filled = {cell.flat for cell in row.cells if cell.text}
    if len(filled) != 1 or len(row.cells) == 1:
        return None
    marks = row.cells[0].marks
    start = (marks[0], row.cells[0].flat) if marks else _start(next(iter(filled)), below_table=True)
    return Footnote(start[0], start[1], (line,)) if start and len(start[1].split()) > 3 else None  # noqa: PLR2004 - a sentence


def _lines(block: Prose) -> tuple[int, ...]:
    return tuple(line for line, _ in block.pieces)


def is_footnote_row(footnotes: Mapping[str, Footnote], line: int, texts: set[str]) -> bool:
    """Whether a row of a table is the definition of a footnote."""
    return len(texts) == 1 and any(line in one.lines for one in footnotes.values())
