"""Where a Junos device sends packets, asked of its own routing table: all equal-cost next hops of the active route."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms.base import NextHop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.platforms.base import RouteQuery

TABLE: Final = re.compile(r"(\S+): \d+ destinations?, \d+ routes? \(.*\)")
LEGEND: Final = "+ = Active Route, - = Last Active, * = Both"
ROUTE: Final = re.compile(r"([\d.]+/\d+)\s+[*+]\[[\w-]+/\d+(/\d+)?\].*")
LEG: Final = re.compile(r">?\s*(?:to ([\d.]+) )?via ([^\s,]+)(?:, .*)?")
KEPT: Final = re.compile(r"(Local via \S+|Reject|Discard|Receive|MultiRecv)", re.IGNORECASE)


def ask(queries: Sequence[RouteQuery]) -> tuple[str, str]:
    """One command for each destination, a line each."""
    return "".join(f"show route table inet.0 {one.destination} active-path\n" for one in queries), ""


def read(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[frozenset[NextHop], ...]:
    """The answers, in the order of the questions; none where the device would not forward.

    A destination without a route is answered with nothing at all; the prefix of the next answer tells which
    question it belongs to.

    Raises:
        ConfigError: a line is not understood, or an answer belongs to no question.
    """
    answers = list(_routes(output, device))
    units = any(one.interface.endswith(".0") for one in queries)
    found: list[frozenset[NextHop]] = []
    for query in queries:
        if answers and query.destination in answers[0][0]:
            _, legs = answers.pop(0)
            found.append(frozenset(NextHop(_name(name, units=units), via) for name, via in legs))
        else:
            found.append(frozenset())
    if answers:
        message = f"its answer about {answers[0][0]} belongs to no question about routes"
        raise ConfigError(message, place=Place(device))
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
