"""The services of one row: its protocols and ports, repaired where the page supports it, findings where in doubt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.spec import ports, protocols
from toolkit.spec.columns import Kind
from toolkit.spec.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.spec.notes import Footnote
    from toolkit.spec.ports import PortCell
    from toolkit.spec.proposal import Proposed
    from toolkit.spec.rows import Record

_UDP_BY_HABIT: Final = re.compile(r"\b(?:vxlan|geneve|ntp|snmp|dhcp|tftp|wireguard|ike)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol with its port entry, or ICMP kind."""

    protocol: str
    ports: str | None
    icmp: str | None = None


@dataclass
class Drafts:
    """What has been read so far; `closed` are services that a row wants closed, with the line of that row."""

    requirements: list[Proposed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    closed: list[tuple[Service, int]] = field(default_factory=list)

    def find(self, code: str, severity: Severity, line: int | None, message: str) -> None:
        """Add a finding, once."""
        one = Finding(code=code, severity=severity, message=message, line=line)
        if one not in self.findings:
            self.findings.append(one)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the page says of all rows: its title, footnotes, and the default protocol with the line that states it."""

    title: str
    footnotes: Mapping[str, Footnote]
    default: str | None = None
    default_line: int | None = None


class ServiceReader:
    """Reads the services of one row; `lines` and `marks` collect what shaped them."""

    def __init__(self, record: Record, around: Surroundings, out: Drafts) -> None:
        self.lines: list[int] = list(record.lines)
        self.marks: list[str] = list(record.marks)
        self._record = record
        self._around = around
        self._out = out

    def _find(self, code: str, severity: Severity, message: str) -> None:
        self._out.find(code, severity, self._record.line, message)

    def read(self) -> tuple[list[Service], bool]:
        """Services that the row names, and whether their port is left to the site."""
        found: list[Service] = []
        site = False
        for kind, fixed in ((Kind.PORT, None), (Kind.TCP_PORT, "tcp"), (Kind.UDP_PORT, "udp")):
            cells = self._record.cells.get(kind, ())
            for cell in cells:
                read = ports.read(cell.text)
                if fixed and read.blank:
                    continue
                named = (fixed,) if fixed else self._column_protocols(read, cell.flat)
                found += self._of_cell(read, cell.flat, named)
                site = site or read.site
        return list(dict.fromkeys(found)), site

    def _of_cell(self, read: PortCell, text: str, named: tuple[str, ...]) -> list[Service]:
        portless = tuple(dict.fromkeys([*(name for name in named if not protocols.has_ports(name)), *read.portless]))
        ported = tuple(name for name in named if protocols.has_ports(name))
        found = [service for name in portless for service in self._portless(name, text, alone=not ported)]
        for doubt in read.doubts:
            self._find("port_in_doubt", Severity.WARNING, doubt)
        if portless and not ported and not any(entry.protocols for entry in read.entries):
            return found
        for entry in read.entries:
            inline = self._inline(entry.protocols, ported)
            found += [Service(name, entry.ports) for name in self._spread(inline or ported, entry.ports)]
        for bad in read.bad:
            found += self._repaired(bad, ported)
        if not read.entries and not read.bad and ported:
            found += self._without_number(read, ported)
        return found

    def _without_number(self, read: PortCell, ported: tuple[str, ...]) -> list[Service]:
        if read.site:
            return [Service(name, None) for name in ported if name != "any"] or [Service("tcp", None)]
        if ported == ("any",):
            return [Service("any", None)]
        if not self._record.text(Kind.PORT):
            self._find("port_missing", Severity.ERROR, f"the row names {', '.join(ported)} but no port")
        else:
            self._find(
                "port_unreadable",
                Severity.ERROR,
                f"{self._record.text(Kind.PORT)!r} is no port for {', '.join(ported)}",
            )
        return []

    def _inline(self, inline: tuple[str, ...], column: tuple[str, ...]) -> tuple[str, ...]:
        stated = self._record.cell(Kind.PROTOCOL)
        if inline and stated and column and "any" not in column and not set(inline) <= set(column):
            self._find(
                "contradiction",
                Severity.WARNING,
                f"the port cell says {', '.join(inline)}, the protocol cell {stated.flat}; the port cell is followed",
            )
        return inline

    def _spread(self, names: tuple[str, ...], entry: str) -> tuple[str, ...]:
        """`any` with a port means the protocols that have ports; with every port it stays what it is."""
        if "any" not in names or entry == "any":
            return names
        self._find("protocol_any", Severity.WARNING, f"any protocol is asked for on port {entry}; read as TCP and UDP")
        return tuple(dict.fromkeys(("tcp", "udp", *(name for name in names if name != "any"))))

    def _portless(self, name: str, text: str, *, alone: bool) -> list[Service]:
        if name != "icmp":
            return [Service(name, None)]
        words = " ".join((self._record.text(Kind.PURPOSE, Kind.NOTES), self._record.text(Kind.PROTOCOL)))
        return [Service("icmp", None, kind) for kind in ports.icmp_kinds(text if alone else "", words)] or [
            Service("icmp", None)
        ]

    def _repaired(self, bad: ports.Bad, ported: tuple[str, ...]) -> list[Service]:
        fixed = ports.repair(bad.text, frozenset(self._around.footnotes))
        if fixed is None:
            code = "port_impossible" if bad.text.replace("-", "").isdecimal() else "port_unreadable"
            self._find(code, Severity.ERROR, f"{bad.text!r} is no port: {bad.reason}; no requirement is made of it")
            return []
        port, mark = fixed
        self._find(
            "port_footnote_glued",
            Severity.WARNING,
            f"{bad.text} is no port; it is read as {port} with footnote mark {mark}, which the page has",
        )
        self.marks.append(mark)
        return [Service(name, port) for name in self._spread(bad.protocols or ported, port)]

    def _column_protocols(self, read: PortCell, text: str) -> tuple[str, ...]:
        """Protocols of the row: its cell, the page's default, its words; TCP with a warning where none is stated."""
        record, around = self._record, self._around
        cell = record.cell(Kind.PROTOCOL)
        default = record.context.protocol or around.default
        default_line = record.context.protocol_line if record.context.protocol else around.default_line
        if cell and (record.filled_protocol or not default):
            stated = protocols.read(cell.flat)
            if stated.ipv6:
                self._find(
                    "ipv6", Severity.WARNING, "ICMPv6 is asked for; IPv6 is not supported and gives no requirement"
                )
            if stated.derived:
                self._find(
                    "protocol_derived",
                    Severity.INFO,
                    f"{cell.flat!r} is an application; taken as {' and '.join(stated.names)}",
                )
            if stated.unknown:
                self._find("protocol_unknown", Severity.WARNING, f"{cell.flat!r} is no protocol that is known here")
            if stated.names or stated.ipv6:
                return stated.names
        inline = {name for entry in read.entries for name in entry.protocols} | set(read.portless)
        if inline and all(entry.protocols for entry in read.entries):
            return ()
        spoken = protocols.stated_in(f"{text} {record.text(Kind.NOTES, Kind.PURPOSE)}")
        if default and cell and cell.line != record.line and self._only_here(cell.line):
            self.lines.remove(cell.line)  # the cell above was not followed
        if default and default_line is not None and not spoken:
            self.lines.append(default_line)
            return (default,)
        if default and spoken:
            return spoken
        return self._guessed(read, text)

    def _only_here(self, line: int) -> bool:
        """Whether the protocol is the only cell that came from a line above."""
        others = (cell for kind, cells in self._record.cells.items() if kind is not Kind.PROTOCOL for cell in cells)
        return line in self.lines and not any(cell.text and cell.line == line for cell in others)

    def _guessed(self, read: PortCell, text: str) -> tuple[str, ...]:
        words = self._record.text(Kind.PURPOSE, Kind.NOTES)
        named = next((entry.protocols for entry in reversed(read.entries) if entry.protocols), ())
        stated = named or protocols.stated_in(f"{text} {words}")
        guess = stated or (("udp",) if _UDP_BY_HABIT.search(words) else ("tcp",))
        self._find("protocol_missing", Severity.WARNING, f"the row states no protocol; taken as {' and '.join(guess)}")
        return tuple(guess)
