"""Where a Junos device sends packets, asked of its own routing table: all equal-cost next hops of the active route."""

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

TABLE: Final = re.compile(r"(\S+): \d+ destinations?, \d+ routes? \(.*\)")
LEGEND: Final = "+ = Active Route, - = Last Active, * = Both"
ROUTE: Final = re.compile(r"([\d.]+/\d+)\s+[*+]\[[\w-]+/\d+(/\d+)?\].*")
LEG: Final = re.compile(r">?\s*(?:to ([\d.]+) )?via ([^\s,]+)(?:, .*)?")
KEPT: Final = re.compile(r"(Local via \S+|Reject|Discard|Receive|MultiRecv)", re.IGNORECASE)


def _commands(queries: Sequence[RouteQuery]) -> list[str]:
    return [f"show route table inet.0 {one.destination} active-path" for one in queries]


def ask(queries: Sequence[RouteQuery]) -> tuple[str, str]:
    """One command for each destination, a line each."""
    return "".join(f"{command}\n" for command in _commands(queries)), ""


def read(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[frozenset[NextHop], ...]:
    """The answers, in the order of the questions; none where the device would not forward.

    Raises:
        ConfigError: a line is not understood, or an answer is about something else.
    """
    units = any(one.interface.endswith(".0") for one in queries)
    found: list[frozenset[NextHop]] = []
    for query, answer in zip(queries, by_command(_commands(queries), output, device), strict=True):
        routes = list(_routes(answer, device))
        if len(routes) > 1 or any(query.destination not in prefix for prefix, _ in routes):
            raise ConfigError(f"its answer about {query.destination} is not understood", place=Place(device))
        legs = [leg for _, legs in routes for leg in legs]
        found.append(frozenset(NextHop(_name(name, units=units), via) for name, via in legs))
    return tuple(found)


def _name(interface: str, *, units: bool) -> str:
    """The interface as the inventory writes it: with its unit only where that is not 0, or is written there."""
    return interface if units else interface.removesuffix(".0")


def _routes(output: str, device: str) -> Iterator[tuple[IPv4Network, list[tuple[str, IPv4Address | None]]]]:
    current: tuple[IPv4Network, list[tuple[str, IPv4Address | None]]] | None = None
    for number, raw in enumerate(output.splitlines(), 1):
        line = raw.strip()
        table, route, leg = TABLE.fullmatch(line), ROUTE.fullmatch(line), LEG.fullmatch(line)
        if not line or line == LEGEND or (table and table[1] == "inet.0"):
            continue
        if route:
            if current:
                yield current
            current = IPv4Network(route[1]), []
        elif current and leg:
            current[1].append((leg[2], IPv4Address(leg[1]) if leg[1] else None))
        elif not (current and KEPT.fullmatch(line)):
            raise ConfigError(f"its answer about routes is not understood: {line[:80]}", place=Place(device, number))
    if current:
        yield current
