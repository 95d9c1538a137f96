"""HTML to the neutral document, line by line: headings, paragraphs, list items, tables with merged cells.

Vendors' pages leave end tags out and nest lists in cells; a cell's text therefore stops where the next cell
or row begins, whoever is nested in whom.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from toolkit.spec.inline import cell, tidy
from toolkit.spec.page import Block, Cell, Heading, Prose, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_SKIPPED: Final = frozenset(
    {"script", "style", "nav", "noscript", "template", "svg", "head", "button", "select", "del", "s"}
)
_BLOCK_TAGS: Final = """
    address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer
    form header hr html li main ol p pre section summary td th tr ul
"""
_BLOCKS: Final = frozenset(_BLOCK_TAGS.split())
_IN_CELL_BREAKS: Final = frozenset({"br", "li", "p", "div", "dd", "dt", "ul", "ol"})
_CELLS: Final = ("td", "th")
_LEVELS: Final = {f"h{level}": level for level in range(1, 7)}
_BOLD_LEVEL: Final = 7
_MAX_SPAN: Final = 1000


def read_html(text: str) -> tuple[Block, ...]:
    """Blocks of an HTML document or fragment, in document order."""
    from toolkit.spec.soup import Soup

    walker = _Walker()
    walker.walk(Soup(text))
    walker.flush()
    return tuple(walker.blocks)


class _Walker:
    """Collects blocks; `line` follows the reading position, exact at every tag."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._pieces: list[tuple[int, str]] = []
        self._bold = True
        self._line = 1
        self._bullet = ""

    def walk(self, node: Any) -> None:
        """Read the children of a tag."""
        for child in node.children:
            if child.name is None:
                self._text(child)
            else:
                self._tag(child)

    def _text(self, node: Any) -> None:
        raw = str(node)
        if type(node).__name__ == "NavigableString":
            for number, part in enumerate(raw.split("\n")):
                if tidy(part):
                    self._pieces.append((self._line + number, part))
                    self._bold = self._bold and any(up.name in ("b", "strong") for up in node.parents)
        self._line += raw.count("\n")

    def _tag(self, tag: Any) -> None:
        self._line = tag.sourceline or self._line
        if tag.name in _SKIPPED or _hidden(tag):
            return
        if tag.name in _LEVELS:
            self.flush()
            found = cell(_inline(tag), self._line).flat
            if found:
                self.blocks.append(Heading(_LEVELS[tag.name], found, self._line))
        elif tag.name == "table":
            self.flush()
            self._table(tag)
        elif tag.name == "sup":
            self._pieces.append((self._line, _inline(tag, root=True)))
        elif tag.name in _BLOCKS:
            self.flush()
            self._bullet = _bullet(tag)
            self.walk(tag)
            self.flush()
        else:
            if tag.name == "br":
                self._pieces.append((self._line, " "))
            self.walk(tag)

    def flush(self) -> None:
        """End the paragraph that is being read."""
        lines: dict[int, str] = {}
        for line, text in self._pieces:
            lines[line] = lines.get(line, "") + text
        pieces = tuple((line, tidy(text)) for line, text in lines.items() if tidy(text))
        bold, self._bold, self._pieces = self._bold, True, []
        if not pieces:
            return
        block = Prose(pieces, self._bullet)
        self._bullet = ""
        short = len(block.text) <= 80 and not block.text.endswith(".")  # noqa: PLR2004 - a line in bold type, not a warning
        self.blocks.append(Heading(_BOLD_LEVEL, block.text.rstrip(":"), block.line) if bold and short else block)

    def _table(self, tag: Any) -> None:
        if any(inner.find("tr") for inner in tag.find_all("table")):
            # A table around tables is layout: its cells are read as text around the inner ones.
            self.walk(tag)
            self.flush()
            return
        table = _read_table(tag)
        if table is not None:
            self.blocks.append(table)
        last = [one.sourceline for one in tag.find_all() if one.sourceline]
        self._line = max([self._line, *last])


def _hidden(tag: Any) -> bool:
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return tag.has_attr("hidden") or "display:none" in style


def _bullet(tag: Any) -> str:
    """The mark that a list item stands for: its number in an ordered list."""
    if tag.name != "li" or tag.parent is None or tag.parent.name != "ol":
        return ""
    items = list(tag.parent.find_all("li", recursive=False))
    start = str(tag.parent.get("start") or "1")
    return str(items.index(tag) + int(start)) if tag in items and start.isdecimal() else ""


def _inline(tag: Any, *, root: bool = False) -> str:
    """Plain text of a tag up to the next cell or row; marks as `⟦1⟧`, breaks as newlines."""
    if root and tag.name == "sup":
        content = tag.get_text().strip().strip("[]()")
        return f"⟦{content}⟧" if re.fullmatch(r"\d{1,2}|[a-z]|[*†‡§]+", content) else tag.get_text()
    parts: list[str] = []
    for child in tag.children:
        if child.name is None:
            if type(child).__name__ == "NavigableString":
                parts.append(re.sub(r"\s+", " ", str(child)))
        elif child.name == "sup":
            parts.append(_inline(child, root=True))
        elif child.name not in (*_CELLS, "tr", "tbody", "thead", "tfoot") and child.name not in _SKIPPED:
            edge = "\n" if child.name in _IN_CELL_BREAKS else ""
            parts.append(edge + _inline(child) + (edge if child.name != "br" else ""))
    return tidy("".join(parts)) if root else "".join(parts)


def _rows_of(tag: Any) -> Iterator[tuple[Any, list[Any]]]:
    for tr in tag.find_all("tr"):
        if tr.find_parent("table") is tag:
            cells = [one for one in tr.find_all(_CELLS) if one.find_parent("tr") is tr]
            if cells and not _hidden(tr):
                yield tr, cells


def _read_table(tag: Any) -> Table | None:
    """A table with rowspan and colspan laid out; None where it has no rows."""
    grid: list[Row] = []
    heads: list[bool] = []
    pending: dict[int, tuple[int, Cell]] = {}
    for tr, cells in _rows_of(tag):
        group = tr.find_parent(("thead", "tbody", "tfoot", "table"))
        new_group = tr.find_previous_sibling("tr") is None and group is not None and group.name != "table"
        if new_group and group.find_previous_sibling(("thead", "tbody")) is not None:
            pending = {}  # a rowspan ends with its row group
        grid.append(Row(tuple(_lay_out(cells, pending, tr.sourceline)), tr.sourceline))
        heads.append(group.name == "thead" or all(one.name == "th" for one in cells))
    if not grid:
        return None
    caption = tag.find("caption")
    title = None
    if caption is not None and caption.find_parent("table") is tag and tidy(_inline(caption)):
        title = Prose(((caption.sourceline, tidy(_inline(caption)).replace("\n", " ")),))
    count = 1
    while count < len(grid) and heads[0] and heads[count] and _is_second_header(grid[count]):
        count += 1
    return Table(_merge_headers(grid[:count]), tuple(grid[count:]), tag.sourceline, title)


def _lay_out(cells: list[Any], pending: dict[int, tuple[int, Cell]], line: int) -> Iterator[Cell]:
    """Cells of one row in column order; `pending` holds what merged cells of rows above still cover."""
    column = 0
    queue = list(cells)
    while queue or any(at >= column for at in pending):
        if column in pending:
            left, above = pending.pop(column)
            if left > 1:
                pending[column] = (left - 1, above)
            yield Cell(above.text, above.line, above.marks, merged=True)
            column += 1
            continue
        if not queue:
            yield Cell("", line)
            column += 1
            continue
        tag = queue.pop(0)
        found = cell(tidy(_inline(tag)), tag.sourceline)
        down = _span(tag, "rowspan")
        for index in range(_span(tag, "colspan")):
            if down > 1:
                pending[column] = (down - 1, found)
            yield found if index == 0 else Cell(found.text, found.line, found.marks, merged=True)
            column += 1


def _span(tag: Any, name: str) -> int:
    text = str(tag.get(name) or "1").strip()
    if not text.isdecimal():
        return 1
    # rowspan="0" means: to the end of the row group.
    return min(int(text) or _MAX_SPAN, _MAX_SPAN)


def _is_second_header(row: Row) -> bool:
    return not any(re.search(r"\d{2,}", one.text) for one in row.cells)


def _merge_headers(rows: list[Row]) -> Row:
    """One header from several header rows: the texts of each column, each once."""
    if len(rows) == 1:
        return rows[0]
    width = max(len(row.cells) for row in rows)
    cells: list[Cell] = []
    for column in range(width):
        parts = [row.cells[column] for row in rows if column < len(row.cells)]
        text = " ".join(dict.fromkeys(part.flat for part in parts if part.text))
        cells.append(Cell(text, parts[0].line if parts else rows[0].line))
    return Row(tuple(cells), rows[0].line)
