"""Graphviz as a subprocess: text that is safe to put into DOT, and SVG that is safe to put into a page."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from toolkit.errors import MissingProgramError, ToolkitError

TIMEOUT: Final = 60.0  # seconds; a picture within the limit takes well under one
SVG_NAMESPACE: Final = "http://www.w3.org/2000/svg"
# All that dot draws. Anything else (script, foreignObject, image, use, a) has no place in a report.
ELEMENTS: Final = frozenset({"svg", "g", "title", "path", "polygon", "polyline", "ellipse", "text"})
REFERENCES: Final = ("href", "style", "src")


def quote(text: str) -> str:
    """A DOT string that shows exactly this text: no escape sequence, no HTML entity, no end of string in it."""
    plain = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    escaped = plain.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def run_dot(source: str) -> str:
    """Lay out DOT text; returns the `<svg>` element alone, without XML declaration and document type.

    Raises:
        MissingProgramError: Graphviz is not installed.
        ToolkitError: Graphviz refuses the text or takes too long.
    """
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"],
            input=source,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=TIMEOUT,
        )
    except FileNotFoundError:
        raise MissingProgramError("dot", "graphviz") from None
    except subprocess.TimeoutExpired:
        raise ToolkitError(f"dot did not finish in {TIMEOUT:.0f} s; draw fewer flows, or collapse to roles") from None
    start = done.stdout.find("<svg")
    if done.returncode or start < 0:
        raise ToolkitError(f"dot cannot draw this: {done.stderr.strip()[:300]}")
    return checked_svg(re.sub(r"<!--.*?-->\n?", "", done.stdout[start:], flags=re.DOTALL))


def checked_svg(text: str) -> str:
    """Return SVG text if it holds drawing elements only: no script, event handler, link, style or entity.

    Raises:
        ToolkitError: it is not well-formed, or holds anything else.
    """
    from xml.etree import ElementTree as ET

    if "<!" in text or "<?" in text:
        raise ToolkitError("a picture may hold no declaration, entity or comment")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except ET.ParseError as caught:
        raise ToolkitError(f"a picture is not well-formed SVG: {caught}") from None
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name not in ELEMENTS:
            raise ToolkitError(f"a picture may not hold <{name}> (allowed: {', '.join(sorted(ELEMENTS))})")
        for attribute in element.attrib:
            plain = attribute.rpartition("}")[2].lower()
            if plain.startswith("on") or plain in REFERENCES:
                raise ToolkitError(f"a picture may not hold the attribute {plain!r}")
    if root.tag.rpartition("}")[2] != "svg":
        raise ToolkitError("a picture must be one <svg> element")
    return text


def for_html(svg: str) -> str:
    """The same picture for use inside an HTML page, where an SVG needs no namespace declarations."""
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", checked_svg(svg))
