"""`labs/<name>/expectations.csv`: who may reach what, written by hand from the page and held against the lab.

Columns `source,destination,protocol,port,verdict,line,why`. Source and destination are host names, role names,
`*`, or `host/address` for a further address of a host. Protocol is tcp, udp, icmp or `*`; port a number, a range
or `*`; `line` the line of the vendor's page, empty where the site itself decided. The first matching row
decides. Lines that start with `#` are comments.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from itertools import product
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError, Place
from toolkit.net import ANY_PORT, PortRange, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

COLUMNS: Final = ("source", "destination", "protocol", "port", "verdict", "line", "why")
PROTOCOLS: Final = ("tcp", "udp", "icmp")
VERDICTS: Final = (Verdict.PERMITTED, Verdict.DENIED)
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One row. `sources` and `destinations` are host names, `protocols` a subset of tcp, udp and icmp.

    None for either end means every host. A row with a port does not speak about ICMP.
    """

    place: Place
    sources: frozenset[str] | None
    destinations: frozenset[str] | None
    protocols: tuple[str, ...]
    ports: PortRange
    verdict: Verdict
    line: int | None
    why: str

    def matches(self, source: str, destination: str, protocol: str, port: int) -> bool:
        """Whether the row speaks about this exchange."""
        return (
            protocol in self.protocols
            and (self.sources is None or source in self.sources)
            and (self.destinations is None or destination in self.destinations)
            and (protocol == "icmp" or port in self.ports)
        )


@dataclass(frozen=True, slots=True)
class Expectations:
    """All rows, in order."""

    rows: tuple[Expectation, ...]

    def find(self, source: str, destination: str, protocol: str, port: int) -> Expectation | None:
        """The first row that matches; None when no row does."""
        return next((row for row in self.rows if row.matches(source, destination, protocol, port)), None)


def read_expectations(path: Path, roles_of: Mapping[str, Collection[str]]) -> Expectations:
    """Read the file. `roles_of` maps each host of the lab to its roles.

    Raises:
        InputError: with file and line: a missing or unknown column, an unknown name, a bad protocol, port,
            verdict or line, or a row that never decides because earlier ones match all that it does.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError("no such file", place=Place(str(path))) from None
    except (OSError, UnicodeDecodeError) as caught:
        raise InputError(f"cannot be read: {caught}", place=Place(str(path))) from caught
    names = _names(roles_of)
    rows = []
    header: list[str] | None = None
    for place, cells in _records(str(path), lines):
        if header is None:
            header = _header(cells, place)
            continue
        if len(cells) != len(header):
            raise InputError(f"has {len(cells)} cells, the header has {len(header)}", place=place)
        rows.append(_row(dict(zip(header, cells, strict=True)), names, place))
    if header is None or not rows:
        raise InputError("holds no expectations", place=Place(str(path)))
    _check_reachable(rows, roles_of)
    return Expectations(tuple(rows))


def _records(file: str, lines: Iterable[str]) -> Iterator[tuple[Place, list[str]]]:
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                cells = next(csv.reader([line], strict=True))
            except csv.Error as caught:
                raise InputError(f"not CSV: {caught}", place=Place(file, number)) from None
            yield Place(file, number), [cell.strip() for cell in cells]


def _header(cells: list[str], place: Place) -> list[str]:
    missing = [name for name in COLUMNS if name not in cells]
    if missing:
        raise InputError(f"missing columns: {', '.join(missing)} (needed: {', '.join(COLUMNS)})", place=place)
    unknown = [name for name in cells if name not in COLUMNS]
    if unknown or len(set(cells)) != len(cells):
        raise InputError(f"unknown or repeated columns (needed, each once: {', '.join(COLUMNS)})", place=place)
    return cells


def _names(roles_of: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """The hosts that each name stands for; a host's own name goes before a role of the same name."""
    names: dict[str, set[str]] = defaultdict(set)
    for host, roles in roles_of.items():
        for role in roles:
            names[role].add(host)
    return {
        **{role: frozenset(hosts) for role, hosts in names.items()},
        **{host: frozenset({host}) for host in roles_of},
    }


def _row(cells: Mapping[str, str], names: Mapping[str, frozenset[str]], place: Place) -> Expectation:
    protocol = cells["protocol"]
    if protocol != ALL and protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r} (choose {', '.join(PROTOCOLS)} or *)", place=place)
    protocols: tuple[str, ...] = PROTOCOLS if protocol == ALL else (protocol,)
    if cells["port"] != ALL:
        protocols = tuple(one for one in protocols if one != "icmp")
        if not protocols:
            raise InputError(f"icmp has no ports, but port {cells['port']!r} is given; write *", place=place)
    if cells["verdict"] not in VERDICTS:
        raise InputError(f"unknown verdict {cells['verdict']!r} (choose {' or '.join(VERDICTS)})", place=place)
    if cells["line"] and not (cells["line"].isdecimal() and int(cells["line"])):
        raise InputError(f"{cells['line']!r} is no line of the page; count from 1 or leave it empty", place=place)
    if not cells["why"]:
        raise InputError("says not why; a reviewer needs the reason", place=place)
    return Expectation(
        place,
        _hosts(cells["source"], names, place),
        _hosts(cells["destination"], names, place),
        protocols,
        _ports(cells["port"], place),
        Verdict(cells["verdict"]),
        int(cells["line"]) if cells["line"] else None,
        cells["why"],
    )


def _hosts(text: str, names: Mapping[str, frozenset[str]], place: Place) -> frozenset[str] | None:
    if text == ALL:
        return None
    host, slash, address = text.partition("/")
    if slash and host in names:
        try:
            IPv4Address(address)
        except AddressValueError:
            raise InputError(f"{text!r} is no further address of {host}; write {host}/1.2.3.4", place=place) from None
        return frozenset({text})
    if text not in names:
        raise InputError(f"unknown host or role {text!r} (known: *, {', '.join(sorted(names))})", place=place)
    return names[text]


def _ports(text: str, place: Place) -> PortRange:
    if text == ALL:
        return ANY_PORT
    try:
        return PortRange.parse(text)
    except InputError as caught:
        raise InputError(caught.message, place=place) from None


def _check_reachable(rows: Iterable[Expectation], hosts: Iterable[str]) -> None:
    """Walk the rows with what earlier ones have taken; one that adds nothing would be read and never meant."""
    everyone = {*hosts, *(name for row in rows for name in (*(row.sources or ()), *(row.destinations or ())))}
    taken: dict[tuple[str, str, str], list[PortRange]] = defaultdict(list)
    for row in rows:
        decides = False
        ends = product(row.sources or everyone, row.destinations or everyone, row.protocols)
        for source, destination, protocol in ends:
            if source.partition("/")[0] != destination.partition("/")[0]:
                cell = taken[source, destination, protocol]
                decides = decides or not _covered(row.ports, cell)
                cell.append(row.ports)
        if not decides:
            raise InputError("never decides: earlier rows match all that this one does", place=row.place)


def _covered(ports: PortRange, by: Iterable[PortRange]) -> bool:
    free = ports.first
    for one in sorted(by):
        if one.first > free:
            break
        free = max(free, one.last + 1)
    return free > ports.last
