"""Junos configuration in its `set` form: statements in order, and what of them can decide forwarded packets.

Which hierarchies those are is in `_junos_heads`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms._junos_heads import CONTROL_PLANE, Words, is_kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Statements in the order of the configuration, each with the place where it was read.
Statements = dict[Words, str]

HEAD: Final = "#RANCID-CONTENT-TYPE: juniper\n"  # the language does not show at once
DIRECTIONS: Final = ("input", "output")
FAMILIES: Final = ("inet", "inet6", "ethernet-switching")
TERMINATING: Final = ("accept", "discard", "reject")
# What stands around a configuration that somebody copied: prompts, which of two engines answers, the place in it.
FRAME: Final = re.compile(r"[\w.-]+@[\w.-]+[>#]( ?(show|exit|quit).*)?|\{[\w:-]+\}(\[edit[^\]]*\])?|\[edit[^\]]*\]")
WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)')
PLAIN: Final = re.compile(r"[^\s\"#;{}\[\]()&|!]+")


def split(line: str, place: Place) -> Words:
    """The words of a line, quotes taken off.

    Raises:
        ConfigError: a quote is not closed.
    """
    if '"' not in line:
        return tuple(line.split())
    found, end = [], 0
    for match in WORD.finditer(line):
        if line[end : match.start()].strip():
            break
        found.append(re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2])
        end = match.end()
    if line[end:].strip():
        raise ConfigError("a quote is not closed", place=place)
    return tuple(found)


def join(words: Words) -> str:
    """Words as a line, with quotes where Junos needs them."""
    return " ".join(word if PLAIN.fullmatch(word) else '"' + re.sub(r'(["\\])', r"\\\1", word) + '"' for word in words)


def apply_script(text: str, file: str, before: Statements) -> tuple[Statements, tuple[Words, ...]]:
    """The statements after loading `set`, `delete`, `insert`, `deactivate` and `activate` lines on top of others.

    Inactive statements are gone, since they decide nothing; their paths are the second value.

    Raises:
        ConfigError: a line is not understood.
    """
    found = dict(before)
    inactive: dict[Words, None] = {}
    for verb, path, place in _lines(text, file):
        if verb == "set":
            if is_kept(path, place):
                _set(found, path, str(place))
        elif verb == "deactivate":
            inactive[path] = None
        elif verb == "activate":
            inactive.pop(path, None)
        elif verb == "delete":
            found = {words: at for words, at in found.items() if words[: len(path)] != path}
        elif verb == "insert":
            found = _insert(found, path, place)
        elif verb == "protect":
            continue  # nobody may change it, whatever it says
        else:
            what = "set, delete, insert, activate or deactivate"
            raise ConfigError(f"{verb!r} begins no line in `display set` form ({what})", place=place)
    for path in inactive:
        found = {words: at for words, at in found.items() if words[: len(path)] != path}
    return found, tuple(inactive)


def _lines(text: str, file: str) -> Iterator[tuple[str, Words, Place]]:
    """(verb, path, place) of each line that is no comment."""
    # Only a newline ends a line of a device: others may stand in a description.
    for number, raw in enumerate(text.split("\n"), 1):
        line, place = raw.strip(), Place(file, number)
        if "ACCESS-DENIED" in line:
            raise ConfigError("a part of the configuration may not be read by this user", place=place)
        if line and line[0] != "#" and not FRAME.fullmatch(line):
            words = split(line, place)
            yield words[0], words[1:], place


def _set(found: Statements, words: Words, at: str) -> None:
    """Add a statement; where only one value can stand, it takes the other's place."""
    if words in found:
        return
    if words[0] == "interfaces" and words[-2] in ("input", "output"):
        for other in [one for one in found if one[:-1] == words[:-1]]:
            del found[other]
    elif words[0] == "firewall":
        start = 8 if words[1] == "family" else 6  # firewall family F filter N term T then
        if words[start - 1 : start] == ("then",) and words[start : start + 1] and words[start] in TERMINATING:
            for verdict in TERMINATING:
                found.pop((*words[:start], verdict), None)
    found[words] = at


def _insert(found: Statements, path: Words, place: Place) -> Statements:
    """`insert ... term A before term B`: all of A moves."""
    where = next((word for word in ("before", "after") if word in path), None)
    split_at = path.index(where) if where else 0
    moved, goal = path[:split_at], path[split_at + 1 :]
    if where is None or len(moved) < 2 or len(goal) != 2 or moved[-2] != "term" or goal[0] != "term":  # noqa: PLR2004
        raise ConfigError("only `insert ... term X before term Y` (or after) is understood", place=place)
    fixed = (*moved[:-1], goal[1])
    ours = {words: at for words, at in found.items() if words[: len(moved)] == moved}
    rest = [(words, at) for words, at in found.items() if words[: len(moved)] != moved]
    hits = [number for number, (words, _) in enumerate(rest) if words[: len(fixed)] == fixed]
    if not ours or not hits:
        raise ConfigError(f"there is no term {moved[-1] if not ours else goal[1]!r} here", place=place)
    index = hits[0] if where == "before" else hits[-1] + 1
    return dict([*rest[:index], *ours.items(), *rest[index:]])


def bindings(found: Iterable[Words]) -> Iterator[tuple[str, str, str, str, Words]]:
    """(interface with unit, family, input or output, filter, statement) of every filter of forwarded packets."""
    for words in found:
        if words[0] == "interfaces" and not CONTROL_PLANE.fullmatch(words[1]) and binds(words):
            _, name, _, unit, _, family, _, direction, target = words
            yield f"{name}.{unit}", family, direction, target, words


def binds(words: Words) -> bool:
    """Whether a statement below an interface binds a filter; others are kept because they are not understood."""
    if len(words) != 9 or words[5] not in FAMILIES:  # noqa: PLR2004 - interfaces NAME unit N family F filter D NAME
        return False
    return words[2::2] == ("unit", "family", "filter", words[8]) and words[7] in DIRECTIONS


def control_plane(found: Iterable[Words]) -> frozenset[str]:
    """Names of the filters that judge what the device itself receives."""
    return frozenset(
        word for words in found if words[0] == "interfaces" and CONTROL_PLANE.fullmatch(words[1]) for word in words[2:]
    )
