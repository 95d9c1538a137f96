"""Markdown to the neutral document, line by line, with its own reading of tables.

Markdown libraries drop a table row that shares its line with the header rule; here it is kept and flagged. So
are rows that were glued together, wrapped over several lines or cut off by a blank line.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from toolkit.spec import tables
from toolkit.spec.inline import cell, plain
from toolkit.spec.model import Finding, Severity
from toolkit.spec.page import Block, Heading, Prose, Row, Table

_HEADING: Final = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*(?:\{[#.:][^}]*\})?\s*#*\s*$")
_SETEXT: Final = re.compile(r"^ {0,3}(=+|-+)\s*$")
_FENCE: Final = re.compile(r"^\s*(`{3,}|~{3,})")
_LIST: Final = re.compile(r"^\s*(?:([-+*•])|(\d{1,3})[.)])\s+(?=\S)")
_BOLD_LINE: Final = re.compile(r"^\s*(\*\*|__)(?=\S)([^*_]+?)(?<=\S)\1:?\s*$")
_GRID: Final = re.compile(r"^\s*\+[-=+:]{3,}\+\s*$")
_BARE_CELLS: Final = 3  # fewer between pipes, without one in front, may be a sentence such as "TCP | UDP"
_BOLD_LEVEL: Final = 7
_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(?:[\w-]+:.*\n|[ \t]+.*\n|- .*\n|\n|#.*\n)*?---[ \t]*(?:\n|\Z)")


def read_markdown(text: str) -> tuple[tuple[Block, ...], tuple[Finding, ...]]:
    """Blocks of a Markdown document, and what had to be repaired to read them."""
    reader = _Reader(_blank(text).split("\n"))
    reader.read()
    return tuple(reader.blocks), tuple(reader.repairs)


def _blank(text: str) -> str:
    """The text with front matter and comments emptied, lines kept in place."""

    def lines_only(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    text = _FRONT_MATTER.sub(lines_only, text, count=1)
    return re.sub(r"<!--.*?-->", lines_only, text, flags=re.DOTALL)


class _Reader:
    """Reads blocks from lines; `_at` is the index of the next line."""

    def __init__(self, lines: list[str]) -> None:
        self.blocks: list[Block] = []
        self.repairs: list[Finding] = []
        self._lines = [re.sub(r"^\s{0,3}(?:>\s?)+", "", line) for line in lines]
        self._at = 0
        self._pieces: list[tuple[int, str]] = []
        self._bullet = ""

    def read(self) -> None:
        """Read all lines."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip():
                self._flush()
                self._at += 1
            elif not (self._fence(line) or self._html(line) or self._table(line) or self._heading(line)):
                self._prose(line)
        self._flush()

    def _flush(self) -> None:
        if self._pieces:
            marked = [(number, plain(text).replace("\n", " ")) for number, text in self._pieces]
            pieces = tuple((number, text) for number, text in marked if text)
            if pieces:
                self.blocks.append(Prose(pieces, self._bullet))
        self._pieces, self._bullet = [], ""

    def _repair(self, code: str, line: int, message: str) -> None:
        self.repairs.append(Finding(code=code, severity=Severity.WARNING, message=message, line=line))

    def _fence(self, line: str) -> bool:
        found = _FENCE.match(line)
        if found is None:
            return False
        self._flush()
        self._at += 1
        while self._at < len(self._lines) and not self._lines[self._at].strip().startswith(found[1]):
            self._at += 1
        self._at += 1
        return True

    def _html(self, line: str) -> bool:
        """An HTML table inside Markdown is read as HTML, with its lines."""
        if not re.match(r"^\s*(?:<(?:div|figure|center|section)[^>]*>\s*)?<table\b", line, re.IGNORECASE):
            return False
        from toolkit.spec.html import read_html

        self._flush()
        end = self._at
        depth = 0
        while end < len(self._lines):
            depth += len(re.findall(r"<table\b", self._lines[end], re.IGNORECASE))
            depth -= len(re.findall(r"</table\s*>", self._lines[end], re.IGNORECASE))
            end += 1
            if depth <= 0:
                break
        self.blocks.extend(read_html("\n" * self._at + "\n".join(self._lines[self._at : end])))
        self._at = end
        return True

    def _heading(self, line: str) -> bool:
        found = _HEADING.match(line)
        bold = _BOLD_LINE.match(line) if not self._pieces else None
        number = self._at + 1
        if found:
            self._flush()
            self.blocks.append(Heading(len(found[1]), cell(plain(found[2]), number).flat, number))
        elif bold:
            self.blocks.append(Heading(_BOLD_LEVEL, cell(plain(bold[2]), number).flat.rstrip(":"), number))
        elif len(self._pieces) == 1 and not self._bullet and _SETEXT.match(line):
            number, text = self._pieces.pop()
            self.blocks.append(Heading(1 if "=" in line else 2, cell(plain(text), number).flat, number))
        else:
            return False
        self._at += 1
        return True

    def _prose(self, line: str) -> None:
        item = _LIST.match(line)
        if item:
            self._flush()
            self._bullet = item[1] or item[2]
            line = line[item.end() :]
        self._pieces.append((self._at + 1, line))
        self._at += 1

    def _table(self, line: str) -> bool:
        if _GRID.match(line):
            self._flush()
            self._grid()
            return True
        following = self._lines[self._at + 1] if self._at + 1 < len(self._lines) else ""
        start = tables.find_start(line, following)
        if start is None:
            return self._loose_rows(line)
        self._flush()
        first = self._at + 1
        raw: list[tuple[int, str]] = []
        if start.glued is not None:
            shared = first if start.lines == 1 else first + 1
            raw.append((shared, start.glued))
            self._repair(
                "header_row_merged",
                shared,
                "a data row shares its line with the header rule of the table; it is read as a row",
            )
        self._at += start.lines
        self._collect(raw, start.header, outer=line.lstrip().startswith("|"))
        self._finish(raw, Row(tuple(cell(plain(text), first) for text in start.header), first), first)
        return True

    def _collect(self, raw: list[tuple[int, str]], header: list[str], *, outer: bool) -> None:
        """Raw rows below a header; a row that was wrapped is put together again."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip() or _FENCE.match(line) or _HEADING.match(line) or _GRID.match(line):
                return
            above = raw[-1][1].strip() if raw else ""
            opened = outer and above.startswith("|") and not above.endswith("|")
            starts = line.lstrip().startswith("|")
            if opened and (not starts or len(tables.split(raw[-1][1])) < len(header)):
                self._repair(
                    "row_wrapped", raw[-1][0], "a table row is wrapped over several lines; it is read as one row"
                )
                raw[-1] = (raw[-1][0], f"{raw[-1][1].rstrip()} {line.strip()}")
            elif not tables.has_pipe(line) or (outer and not starts and len(tables.split(line)) < _BARE_CELLS):
                return
            else:
                raw.append((self._at + 1, line))
            self._at += 1

    def _finish(self, raw: list[tuple[int, str]], header: Row, first: int) -> None:
        width = len(header.cells)
        rows: list[Row] = []
        for number, line in raw:
            if tables.is_rule(line):
                continue
            pieces = tables.unglue(tables.split(line), width)
            if len(pieces) > 1:
                self._repair("rows_glued", number, f"{len(pieces)} table rows share one line; they are read one by one")
            for texts in pieces:
                if len(texts) > width:
                    self._repair(
                        "row_extra_cells",
                        number,
                        f"the row has {len(texts)} cells under {width} columns; the surplus is read as part of the "
                        f"last one",
                    )
                    texts[width - 1 :] = [" | ".join(texts[width - 1 :])]
                rows.append(Row(tuple(cell(plain(text), number) for text in texts), number))
        self.blocks.append(Table(header, tuple(rows), first))

    def _loose_rows(self, line: str) -> bool:
        """Rows between pipes without a header rule: they continue the table above, or are a table of their own."""
        if self._pieces or not tables.is_framed(line):
            return False
        end = self._at
        while end < len(self._lines) and tables.is_framed(self._lines[end]):
            end += 1
        raw = [(number + 1, self._lines[number]) for number in range(self._at, end)]
        width = len(tables.split(line))
        above = self.blocks[-1] if self.blocks else None
        first = self._at + 1
        self._at = end
        if isinstance(above, Table) and len(above.header.cells) == width:
            self._repair(
                "table_split", first, "a blank line cuts the table above; the rows below it are read as part of it"
            )
            self.blocks.pop()
            self._finish(raw, above.header, above.line)
            joined = self.blocks.pop()
            if isinstance(joined, Table):
                self.blocks.append(replace(joined, rows=above.rows + joined.rows))
            return True
        self._repair(
            "header_rule_missing", first, "the table has no rule below its header; its first row is read as the header"
        )
        header = Row(tuple(cell(plain(text), first) for text in tables.split(line)), first)
        self._finish(raw[1:], header, first)
        return True

    def _grid(self) -> None:
        """A grid table, `+---+---+` around rows that may take several lines."""
        first = self._at + 1
        rows: list[Row] = []
        group: list[list[str]] = []
        start = first
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if _GRID.match(line):
                if group:
                    width = max(len(texts) for texts in group)
                    texts = [" ".join(t[i] for t in group if i < len(t)) for i in range(width)]
                    rows.append(Row(tuple(cell(plain(text), start) for text in texts), start))
                group = []
            elif tables.is_framed(line):
                if not group:
                    start = self._at + 1
                group.append(tables.split(line))
            else:
                break
            self._at += 1
        if rows:
            self.blocks.append(Table(rows[0], tuple(rows[1:]), first))
