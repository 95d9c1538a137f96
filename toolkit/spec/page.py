"""A vendor's page as a neutral document: blocks with the lines they stand on, whatever markup they came in.

Markdown and HTML readers both produce this model, so that everything that understands ports is written once.
Markup is gone from all text; what is kept of it is footnote marks (`Cell.marks`), line breaks inside
cells (as newlines) and cells that continue a cell above (`Cell.merged`). Lines count from 1.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.errors import PageError, Place

if TYPE_CHECKING:
    from toolkit.spec.model import Finding

MARK: Final = re.compile(r"⟦([^⟧]{1,6})⟧")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: text without markup, the line it starts on, its footnote marks."""

    text: str
    line: int
    marks: tuple[str, ...] = ()
    merged: bool = False

    @property
    def flat(self) -> str:
        """Text on one line."""
        return " ".join(self.text.split())


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    cells: tuple[Cell, ...]
    line: int

    @property
    def text(self) -> str:
        """All cells on one line."""
        return " ".join(cell.flat for cell in self.cells if cell.text)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `header` is the row that names the columns, as far as the markup says so."""

    header: Row
    rows: tuple[Row, ...]
    line: int
    caption: Prose | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the page's title, 7 stands for a line in bold type."""

    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph or list item: pieces of text with the line of each. Footnote marks are kept as `⟦1⟧`."""

    pieces: tuple[tuple[int, str], ...]
    bullet: str = ""

    @property
    def marked(self) -> str:
        """Text on one line, with its footnote marks."""
        return " ".join(text for _, text in self.pieces)

    @property
    def text(self) -> str:
        """Text on one line."""
        return MARK.sub("", self.marked).strip()

    @property
    def line(self) -> int:
        """First line."""
        return self.pieces[0][0]

    def line_at(self, offset: int) -> int:
        """Line of a character of `marked`."""
        end = -1
        for line, text in self.pieces:
            end += len(text) + 1
            if offset <= end:
                return line
        return self.pieces[-1][0]


Block = Heading | Prose | Table


@dataclass(frozen=True, slots=True)
class Page:
    """A document: `kind` is `markdown` or `html`; `repairs` are findings about its markup."""

    name: str
    kind: str
    sha256: str
    blocks: tuple[Block, ...]
    repairs: tuple[Finding, ...] = field(default=())

    @property
    def title(self) -> str:
        """The first heading, or the name of the document."""
        return next((block.text for block in self.blocks if isinstance(block, Heading)), self.name)


def decode(data: bytes, name: str) -> str:
    """Text of a document: UTF-8 with or without BOM; every kind of line end becomes a newline.

    Raises:
        PageError: the document is empty, is not UTF-8 or is no text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PageError("the page is UTF-16; save it as UTF-8", place=Place(name))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as caught:
        line = data[: caught.start].count(b"\n") + 1
        raise PageError(
            f"the page is not UTF-8 (byte {data[caught.start]:#04x}); save it as UTF-8", place=Place(name, line)
        ) from None
    if "\0" in text:
        raise PageError("the page is no text: it holds zero bytes", place=Place(name))
    if not text.strip():
        raise PageError("the page is empty", place=Place(name))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_page_bytes(data: bytes, name: str) -> Page:
    """Read a document; whether it is Markdown or HTML is judged by its content, never by its name.

    Raises:
        PageError: see `decode`.
    """
    text = decode(data, name)
    digest = hashlib.sha256(data).hexdigest()
    try:
        kind, blocks, repairs = _read(text)
    except RecursionError:
        raise PageError("the page's tags are nested too deeply to be read", place=Place(name)) from None
    return Page(name, kind, digest, blocks, repairs)


def _read(text: str) -> tuple[str, tuple[Block, ...], tuple[Finding, ...]]:
    if is_html(text):
        from toolkit.spec.html import read_html

        return "html", read_html(text), ()
    from toolkit.spec.markdown import read_markdown

    return "markdown", *read_markdown(text)


_PREAMBLE: Final = re.compile(r"\A(?:\s|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)
_HTML_START: Final = re.compile(
    r"<(?:!doctype|html|head|body|main|article|section|div|table|h[1-6]|p)\b", re.IGNORECASE
)
_MARKDOWN_SIGN: Final = re.compile(r"^(?:#{1,6} |[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\|)", re.MULTILINE)


def is_html(text: str) -> bool:
    """Whether a text is HTML: a document tag, or block tags at its start and no sign of Markdown."""
    body = text[_PREAMBLE.match(text).end() :]  # type: ignore[union-attr]
    start = _HTML_START.match(body)
    if start is None:
        # A saved page may have a line of its own above the document.
        return re.search(r"<!doctype html|<html[\s>]", body[:2000], re.IGNORECASE) is not None
    if re.match(r"<(?:!doctype|html)", body, re.IGNORECASE):
        return True
    return _MARKDOWN_SIGN.search(text) is None
