"""Where an ASA sends packets, asked of its routing table: all next hops of the longest match."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms._answers import by_command
from toolkit.platforms.base import NextHop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.platforms.base import RouteQuery

NAMES: Final = "show nameif"
MISSING: Final = re.compile(r"% ?(Network|Subnet) not in table")
ENTRY: Final = re.compile(r"Routing entry for ([\d.]+)[ /]([\d.]+).*")
LEG: Final = re.compile(
    r"\*?\s*(?:([\d.]+)(?:, from [\d.]+)?(?:, [\d:wdhms. ]+ ago)?, via (\S+)|directly connected, via (\S+))"
)
NOISE: Final = re.compile(
    r"(Known via |Redistributing via |Advertised by |Last update |Routing Descriptor Blocks:|Route metric is |"
    r"Total delay |Reliability |Loading |Route tag |Tag |Hops )"
)


def _commands(queries: Sequence[RouteQuery]) -> list[str]:
    return [NAMES, *(f"show route {one.destination}" for one in queries)]


def ask(queries: Sequence[RouteQuery]) -> tuple[str, str]:
    """The names of the interfaces, then one command for each destination."""
    return "".join(f"{command}\n" for command in _commands(queries)), ""


def read(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[frozenset[NextHop], ...]:
    """The answers, in the order of the questions; none where there is no route.

    Raises:
        ConfigError: a line is not understood, or an answer is about something else.
    """
    names, *answers = by_command(_commands(queries), output, device)
    hardware = dict(_names(names, device))
    by_hardware = any(query.interface not in hardware for query in queries)
    found: list[frozenset[NextHop]] = []
    for query, answer in zip(queries, answers, strict=True):
        legs = list(_legs(query, answer, device))
        unknown = [name for name, _ in legs if name not in hardware]
        if unknown:
            raise ConfigError(f"it routes by {unknown[0]}, which is no interface of its", place=Place(device))
        found.append(frozenset(NextHop(hardware[name] if by_hardware else name, via) for name, via in legs))
    return tuple(found)


def _names(text: str, device: str) -> Iterator[tuple[str, str]]:
    """(nameif, hardware) of every interface."""
    for line in text.splitlines():
        words = line.split()
        if not words or words == ["Interface", "Name", "Security"]:
            continue
        if len(words) != 3 or not words[2].isdecimal():  # noqa: PLR2004 - hardware, name, level
            raise ConfigError(f"its answer about names is not understood: {line.strip()[:80]}", place=Place(device))
        yield words[1], words[0]


def _legs(query: RouteQuery, answer: str, device: str) -> Iterator[tuple[str, IPv4Address | None]]:
    entries = 0
    for raw in answer.splitlines():
        line = raw.strip()
        entry, leg = ENTRY.match(line), LEG.fullmatch(line)
        if entry:
            entries += 1
            if query.destination not in IPv4Network(f"{entry[1]}/{entry[2]}"):
                raise ConfigError(f"its answer about {query.destination} is about {entry[1]}", place=Place(device))
        elif leg and entries == 1:
            yield leg[2] or leg[3], IPv4Address(leg[1]) if leg[1] else None
        elif line and not MISSING.match(line) and not (entries and NOISE.match(line)):
            raise ConfigError(f"its answer about routes is not understood: {line[:80]}", place=Place(device))
