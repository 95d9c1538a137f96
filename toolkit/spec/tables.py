"""Pipe tables of Markdown: where one starts, its cells, and rows that share a line with something else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_RULE_CELL: Final = re.compile(r"^\s*:?-{2,}:?(?:\s+:?-{2,}:?)*\s*$")
_RULE: Final = re.compile(r"^[\s|:-]*-[\s|:-]*$")
# The rule, then a pipe and something that is no rule: the first row stands on the same line.
_GLUED_RULE: Final = re.compile(r"^(?P<rule>[\s|]*:?-{3,}:?(?:[\s|]+:?-{3,}:?)*)\s*(?P<row>\|.*[^\s|:-].*)$")
_PIPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\|")


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a table: header texts, how many lines header and rule take, a row glued to the rule."""

    header: list[str]
    lines: int
    glued: str | None = None


def has_pipe(line: str) -> bool:
    """Whether a line holds a pipe that is not escaped."""
    return _PIPE.search(line) is not None


def is_framed(line: str) -> bool:
    """Whether a line starts and ends with a pipe."""
    return re.match(r"^\s*\|.*[^\\]\|\s*$", line) is not None


def is_rule(line: str) -> bool:
    """Whether a line is nothing but a header rule."""
    return _RULE.match(line) is not None and line.count("-") > 1


def split(line: str) -> list[str]:
    """Texts of the cells of a line, outer pipes taken off, escaped pipes put back."""
    text = line.strip()
    text = text.removeprefix("|")
    if re.search(r"(?<!\\)\|$", text):
        text = text[:-1]
    return [part.replace("\\|", "|").strip() for part in re.split(r"(?<!\\)\|", text)]


def find_start(line: str, following: str) -> Start | None:
    """The table that starts on a line, None where none does."""
    if not has_pipe(line) or is_rule(line):
        return None
    header = split(line)
    if is_rule(following):
        groups = len(re.findall(r"-+", following))
        return Start(header, 2) if has_pipe(following) or groups == len(header) else None
    glued = _GLUED_RULE.match(following)
    if glued and len(re.findall(r"-{3,}", glued["rule"])) == len(header):
        return Start(header, 2, _without_doubled_pipe(glued["row"], len(header)))
    return _one_line(header)


def _without_doubled_pipe(row: str, width: int) -> str:
    """`||22|TCP|` after a rule: the first pipe closes the rule, the second opens the row."""
    cells = split(row)
    return row.lstrip()[1:] if len(cells) == width + 1 and not cells[0] else row


def _one_line(cells: list[str]) -> Start | None:
    """Header, rule and perhaps rows that all share one line."""
    at = [index for index, text in enumerate(cells) if _RULE_CELL.match(text)]
    if not at or at[-1] - at[0] + 1 != len(at):
        return None
    width = sum(len(re.findall(r"-{2,}", cells[index])) for index in at)
    header = [text for text in cells[: at[0]] if text]
    if len(header) != width:
        return None
    rest = cells[at[-1] + 1 :]
    if rest and not rest[0] and len(rest) > width:
        rest = rest[1:]
    return Start(header, 1, "|" + "|".join(text.replace("|", "\\|") for text in rest) + "|" if any(rest) else None)


def unglue(cells: list[str], width: int) -> list[list[str]]:
    """Rows that share one line: an empty cell between them, `... | | ...`, is where one ends."""
    if width > 1 and len(cells) > width and (len(cells) + 1) % (width + 1) == 0:
        borders = range(width, len(cells), width + 1)
        if all(not cells[index] for index in borders):
            return [cells[index : index + width] for index in range(0, len(cells), width + 1)]
    return [cells]
