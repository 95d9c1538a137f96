"""An HTML tree in which end tags that were left out are put back, as browsers do.

`html.parser` nests a cell in the cell before it where `</td>` is missing, and a whole table that way becomes as
deep as it is long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bs4 import BeautifulSoup

if TYPE_CHECKING:
    from bs4 import Tag

# Start tag -> open tags that it ends, and the tags that it does not look beyond (HTML standard, "optional tags").
_CELLS: Final = frozenset({"td", "th"})
_GROUPS: Final = frozenset({"thead", "tbody", "tfoot"})
_BOXES: Final = _CELLS | {"li", "dd", "table", "body", "div", "section", "article", "main", "blockquote", "caption"}
_ENDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    **dict.fromkeys(("td", "th"), (_CELLS | {"caption"}, frozenset({"tr", "table"}))),
    "tr": (_CELLS | {"tr", "caption"}, _GROUPS | {"table"}),
    **dict.fromkeys(sorted(_GROUPS), (_CELLS | {"tr", "caption"} | _GROUPS, frozenset({"table"}))),
    "li": (frozenset({"li"}), frozenset({"ul", "ol", "menu"})),
    **dict.fromkeys(("dt", "dd"), (frozenset({"dt", "dd"}), frozenset({"dl"}))),
    **dict.fromkeys(("p", "ul", "ol", "table", "div", "h1", "h2", "h3", "h4", "h5", "h6"), (frozenset({"p"}), _BOXES)),
}


class Soup(BeautifulSoup):
    """BeautifulSoup over `html.parser` with implied end tags."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "html.parser")

    def handle_starttag(self, name: str, *rest: Any, **named: Any) -> Tag | None:
        """Called by the parser at each start tag: end first what the new tag implies to be ended."""
        ended, border = _ENDS.get(name, (frozenset(), frozenset()))
        while ended:
            open_tag = self._nearest(ended, border)
            if open_tag is None:
                break
            self.handle_endtag(open_tag)
        return super().handle_starttag(name, *rest, **named)

    def _nearest(self, names: frozenset[str], border: frozenset[str]) -> str | None:
        """Name of the innermost open tag of these names, None when a border tag is further in."""
        tag = self.currentTag
        while tag is not None:
            if tag.name in names:
                return str(tag.name)
            if tag.name in border:
                return None
            tag = tag.parent
        return None
