"""Inline markup to plain text: emphasis, links, code, breaks, entities; footnote marks become `⟦1⟧`."""

from __future__ import annotations

import html
import re
from typing import Final

from toolkit.spec.page import MARK, Cell

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SIGNS: Final = "*†‡§"
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_SUBSTITUTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"<!--.*?-->"), ""),
    (
        re.compile(
            r"<sup[^>]*>\s*(?:<a[^>]*>)?\s*[\[(]?([0-9]{1,2}|[a-z]|[*†‡§]+)[\])]?\s*(?:</a>)?\s*</sup>", re.IGNORECASE
        ),
        r"⟦\1⟧",
    ),
    (re.compile(r"\[\^([^\]\s]{1,6})\]:?"), r"⟦\1⟧"),
    (re.compile(r"<(?:br|/li|/p|/div)\s*/?>\s*(?=\S)|<li[^>]*>", re.IGNORECASE), "\n"),
    (re.compile(r"<(?:del|s|strike)>.*?</(?:del|s|strike)>|~~[^~]+~~", re.IGNORECASE), ""),
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\((?:[^()]|\([^)]*\))*\)(?:\{[^}]*\})?"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\[[^\]]*\]"), r"\1"),
    (re.compile(r"<((?:https?|mailto):[^>\s]+)>"), r"\1"),
    (re.compile(r"</?[a-z][a-z0-9-]*(?:\s[^<>]*)?/?>", re.IGNORECASE), ""),
    (re.compile(r"\*\*\*([^*]+)\*\*\*"), r"\1"),
    (re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)"), r"\1"),
    (re.compile(r"(?<![*\w])\*(?=[^\s*])([^*]+?)(?<=[^\s*])\*(?![*\w])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_]+?)(?<=\S)_(?!\w)"), r"\1"),
)


def plain(text: str) -> str:
    """Text of a piece of Markdown; footnote marks as `⟦1⟧`, `<br>` and list items as newlines."""
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"\ue000{len(kept) - 1}\ue001"

    text = re.sub(r"(`+)(.+?)\1", lambda found: keep(found[2].strip()), text)
    text = _ESCAPED.sub(lambda found: keep(found[1]), text)
    for pattern, replacement in _SUBSTITUTIONS:
        text = pattern.sub(replacement, text)
    text = html.unescape(text)
    text = re.sub("\ue000(\\d+)\ue001", lambda found: kept[int(found[1])], text)
    return tidy(text)


def tidy(text: str) -> str:
    """Spaces made plain, invisible characters dropped, superscript digits turned into marks."""
    text = re.sub("[\u00ad\u200b-\u200f\u2060\ufeff]", "", text)
    text = re.sub("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\t]", " ", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"⟦{found[0].translate(_SUPERSCRIPTS)}⟧", text)
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()


def cell(text: str, line: int, *, merged: bool = False) -> Cell:
    """A cell from its plain text; marks, and a `*` or `†` at either end, are taken out of it."""
    marks = MARK.findall(text)
    rest = MARK.sub("", text).strip()
    if rest.strip(_SIGNS):
        lead = re.match(rf"[{_SIGNS}]+(?=\s?\w)", rest)
        tail = re.search(rf"(?<=[\w)])\s?([{_SIGNS}]+)$", rest)
        if lead:
            marks.append(lead[0])
            rest = rest[lead.end() :].strip()
        if tail and not lead:
            marks.append(tail[1])
            rest = rest[: tail.start()].strip()
    rest = "\n".join(part for part in rest.split("\n") if part.strip())
    return Cell(rest, line, tuple(dict.fromkeys(marks)), merged)
