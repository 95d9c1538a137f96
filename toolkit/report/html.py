"""One self-contained HTML page of a run: no request leaves it, and it reads well without its script.

The page carries its own Content-Security-Policy: nothing is loaded, and the only style and script that may
run are the two it holds, named by their hashes. So a hostile name in an inventory stays text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit import __version__
from toolkit.report.dot import for_html
from toolkit.report.model import by_role, tally
from toolkit.report.templating import own_text, render

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.report.model import Cell, RunReport


def html_page(report: RunReport) -> str:
    """The page as text.

    Raises:
        InputError: a row of the matrix lacks a column.
        ToolkitError: a picture holds more than drawing.
    """
    from markupsafe import Markup

    style, script = own_text("report.css"), own_text("report.js")
    groups = by_role(report)
    return render(
        "report.html.j2",
        report=report,
        totals=report.totals,
        version=__version__,
        # S704: our own files, and SVG that was just checked element by element.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        pictures=[(title, Markup(for_html(svg))) for title, svg in report.pictures],  # noqa: S704
        pairs=[(f"pair-{number}", ends, cells, tally(cells)) for number, (ends, cells) in enumerate(groups.items())],
        bad=[cell for cells in groups.values() for cell in cells if cell.bad],
        grid=_grid(groups),
        is_mapping=lambda value: isinstance(value, Mapping),
        show=_show,
        data=_data(report),
    )


def write_html(report: RunReport, path: Path) -> None:
    """Write the page to a file, as UTF-8; what UTF-8 cannot hold (half a surrogate pair) becomes a question mark."""
    path.write_text(html_page(report), encoding="utf-8", errors="replace")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _grid(groups: Mapping[tuple[str, str], tuple[Cell, ...]]) -> dict[str, Any]:
    """Source roles down, destination roles across; each field has its counts and the name of its details."""
    return {
        "rows": sorted({source for source, _ in groups}),
        "columns": sorted({destination for _, destination in groups}),
        "fields": {pair: (f"pair-{number}", tally(cells)) for number, (pair, cells) in enumerate(groups.items())},
    }


def _show(value: Any) -> str:
    """A single value for people: yes and no, seconds to the millisecond, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(_show(one) for one in value)
    return "-" if value is None else str(value)


def _data(report: RunReport) -> dict[str, Any]:
    """The summary for programs, embedded as JSON."""
    return {
        "title": report.title,
        "site": report.site,
        "date": report.date,
        "ok": report.ok,
        "version": __version__,
        "steps": [{"name": one.name, "ok": one.ok, "seconds": one.seconds} for one in report.steps],
        "matrix": report.totals,
        "certificate": {name: _plain(value) for name, value in report.certificate.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else _show(value)
