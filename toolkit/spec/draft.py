"""One row -> proposed requirements, one for each protocol and port entry, and the findings of the row."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.spec import ports, protocols
from toolkit.spec.columns import Kind
from toolkit.spec.context import BOTH, direction_in
from toolkit.spec.ends import Ends, resolve
from toolkit.spec.model import Constraint, Finding, Reply, Severity
from toolkit.spec.proposal import Proposed, slug
from toolkit.spec.statements import Condition, asks_for_nothing, condition, constraints, denies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.spec.notes import Footnote
    from toolkit.spec.ports import PortCell
    from toolkit.spec.rows import Record

# UDP services whose port is the destination in both directions: nothing comes back to a source port.
_ONE_WAY: Final = re.compile(r"\b(?:vxlan|geneve|overlay)\b", re.IGNORECASE)
_ONE_WAY_PORTS: Final = frozenset({"4789", "6081", "8472"})
_UDP_BY_HABIT: Final = re.compile(r"\b(?:vxlan|geneve|ntp|snmp|dhcp|tftp|wireguard|ike)\b", re.IGNORECASE)
_CHANGEABLE: Final = re.compile(
    r"\bports? (?:numbers? )?(?:can|may|could) be "
    r"(?:changed|configured|customi[sz]ed|overridden|adjusted|chosen|set)\b|"
    r"\bports? (?:is|are) (?:configurable|customi[sz]able|chosen by|set by|up to)\b|\bconfigurable port\b",
    re.IGNORECASE,
)
_NOBODY: Final = re.compile(r"^(?:none|nobody|no one|not applicable)$", re.IGNORECASE)
_YES: Final = re.compile(r"^(?:yes|y|true|x|optional|\u2713|\u2714)$", re.IGNORECASE)
_OPTIONAL: Final = re.compile(r"^(?:optional|no \(optional\)|recommended)$", re.IGNORECASE)
CONSTRAINT_ORDER: Final = tuple(Constraint)


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


def draft(record: Record, around: Surroundings, out: Drafts) -> None:
    """Read one row into `out`; a row that gives nothing always leaves a finding."""
    reader = _RowReader(record, around, out)
    reader.read()


class _RowReader:
    """Reads one row."""

    def __init__(self, record: Record, around: Surroundings, out: Drafts) -> None:
        self._record = record
        self._around = around
        self._out = out
        self._lines: list[int] = list(record.lines)
        self._marks = list(record.marks)

    def _find(self, code: str, severity: Severity, message: str) -> None:
        self._out.find(code, severity, self._record.line, message)

    def read(self) -> None:
        """Services first, then who they are between, then what is demanded of them."""
        before = len(self._out.findings)
        services, site = self._services()
        ends = resolve(self._record, self._around.title)
        nothing = self._nothing(ends)
        if nothing:
            # Why a number in a closed row is odd does not matter any more.
            del self._out.findings[before:]
            self._out.closed += [(service, self._record.line) for service in services]
            names = ", ".join(
                f"{one.protocol} {one.ports or one.icmp or ''}".strip() for one in services
            ) or self._record.text(Kind.PORT)
            self._find("nothing_required", Severity.INFO, f"{names}: nothing to open, {nothing}")
            return
        if services:
            self._require(services, ends, site)
        elif len(self._out.findings) == before:
            self._find(
                "row_unreadable",
                Severity.ERROR,
                f"no port can be read from this row: {' | '.join(self._record.texts)[:120]}",
            )

    def _nothing(self, ends: Ends) -> str | None:
        record = self._record
        action = record.cell(Kind.ACTION)
        if record.context.closed_line is not None:
            return f"line {record.context.closed_line} wants these ports closed"
        if action and denies(action.flat):
            return f"its action is {action.flat!r}"
        if ends.local:
            return "it is for the host itself only"
        for kind in (Kind.DIRECTION, Kind.SOURCE, Kind.DESTINATION, Kind.PEER):
            cell = record.cell(kind)
            if cell and (
                _NOBODY.match(cell.flat)
                or (
                    kind is Kind.DIRECTION
                    and (asks_for_nothing(cell.flat) or cell.flat.lower() in ("local", "internal", "loopback"))
                )
            ):
                return f"its {kind.value} is {cell.flat!r}"
        remarks = (Kind.NOTES, Kind.PURPOSE, Kind.CONDITION)
        reasons = (asks_for_nothing(cell.flat) for kind in remarks for cell in record.cells.get(kind, ()))
        beside_port = record.text(Kind.PORT)
        return next(
            (one for one in reasons if one),
            asks_for_nothing(beside_port) if re.search(r"\d.*[a-z]", beside_port) else None,
        )

    # -- services ------------------------------------------------------------------------------------------------

    def _services(self) -> tuple[list[Service], bool]:
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
        self._marks.append(mark)
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
            self._lines.remove(cell.line)  # the cell above was not followed
        if default and default_line is not None and not spoken:
            self._lines.append(default_line)
            return (default,)
        if default and spoken:
            return spoken
        return self._guessed(read, text)

    def _only_here(self, line: int) -> bool:
        """Whether the protocol is the only cell that came from a line above."""
        others = (cell for kind, cells in self._record.cells.items() if kind is not Kind.PROTOCOL for cell in cells)
        return line in self._lines and not any(cell.text and cell.line == line for cell in others)

    def _guessed(self, read: PortCell, text: str) -> tuple[str, ...]:
        words = self._record.text(Kind.PURPOSE, Kind.NOTES)
        named = next((entry.protocols for entry in reversed(read.entries) if entry.protocols), ())
        stated = named or protocols.stated_in(f"{text} {words}")
        guess = stated or (("udp",) if _UDP_BY_HABIT.search(words) else ("tcp",))
        self._find("protocol_missing", Severity.WARNING, f"the row states no protocol; taken as {' and '.join(guess)}")
        return tuple(guess)

    # -- requirement ---------------------------------------------------------------------------------------------

    def _require(self, services: list[Service], ends: Ends, site: bool) -> None:  # noqa: FBT001 - private, called once
        record = self._record
        self._derived(ends)
        notes = self._footnotes()
        said = self._condition(notes)
        site = site or _CHANGEABLE.search(" ".join([record.text(Kind.NOTES, Kind.PURPOSE), *notes])) is not None
        words = " ".join([record.text(Kind.NOTES, Kind.PURPOSE, Kind.CONDITION, Kind.OTHER), *notes])
        sources = tuple(one.name for one in ends.source.parties)
        demanded = set(constraints(words, balancer=set(sources) == {"load_balancer"}))
        for line, text in record.context.notes:
            more = set(constraints(text, balancer=False)) - {Constraint.BIDIRECTIONAL}
            if more:
                demanded |= more
                self._lines.append(line)
        cell = record.cell(Kind.DIRECTION)
        if ends.bidirectional or (cell and direction_in(cell.flat) == BOTH):
            demanded.add(Constraint.BIDIRECTIONAL)
        self._contradicts_itself(sources, demanded)
        for service in services:
            self._add(service, ends, said, demanded, site=site)

    def _derived(self, ends: Ends) -> None:
        for name, end in (("source", ends.source), ("destination", ends.destination)):
            named = ", ".join(one.name for one in end.parties)
            if end.reason:
                self._find(f"{name}_derived", Severity.INFO, f"no {name} is stated; taken as {named}: {end.reason}")
            if end.doubtful:
                self._find(
                    f"{name}_unknown",
                    Severity.WARNING,
                    f"the {name} is nowhere on the page; {named} is wider than anybody needs, decide who it is",
                )
            self._lines += end.lines
            for one in end.parties:
                if not one.known:
                    self._find(
                        "role_unknown", Severity.INFO, f"no role fits {one.name!r}; the page's words are kept as {name}"
                    )

    def _footnotes(self) -> list[str]:
        found: list[str] = []
        for mark in dict.fromkeys(self._marks):
            note = self._around.footnotes.get(mark)
            if note is None:
                self._find(
                    "footnote_missing",
                    Severity.WARNING,
                    f"the footnote mark {mark} stands here, but the page has no such footnote",
                )
                continue
            found.append(note.text)
            self._lines += note.lines
        return found

    def _condition(self, notes: list[str]) -> Condition:
        record = self._record
        found = record.context.condition
        if found.text:
            self._lines += record.context.condition_lines
        for text in (record.text(Kind.PURPOSE), record.text(Kind.NOTES), record.text(Kind.OTHER), *notes):
            found |= condition(text)
        found |= condition(record.text(Kind.CONDITION), whole=True)
        if not found.words and self._is_optional():
            found |= Condition((), ("optional",))
        if found.words:
            self._find(
                "condition_unknown",
                Severity.INFO,
                f"no site setting stands for {' and '.join(map(repr, found.words))}; the page's words are "
                f"kept as condition",
            )
        return found

    def _is_optional(self) -> bool:
        """Whether a column says that the row may be left out: `Required: no`, `Optional: yes`."""
        needed, optional = self._record.text(Kind.NEEDED), self._record.text(Kind.OPTIONAL)
        return denies(needed) or _OPTIONAL.match(needed) is not None or _YES.match(optional) is not None

    def _contradicts_itself(self, sources: tuple[str, ...], demanded: set[Constraint]) -> None:
        open_to = {"internet", "any"} & set(sources)
        if open_to and demanded & {Constraint.NO_INTERNET, Constraint.PRIVATE_ONLY}:
            self._find(
                "contradiction",
                Severity.WARNING,
                f"the source is {', '.join(sorted(open_to))}, yet the row keeps the internet out",
            )

    def _add(self, service: Service, ends: Ends, said: Condition, demanded: set[Constraint], *, site: bool) -> None:
        record = self._record
        destinations = tuple(one.name for one in ends.destination.parties)
        setting = None
        if site and service.protocol in ("tcp", "udp", "sctp"):
            setting = (
                "_".join([*slug(destinations[0]).split("-")][:4])
                if service.ports is None or "sql_server" in destinations
                else None
            )
            usual = f", {service.ports} unless it says otherwise" if service.ports else ""
            self._find("port_left_to_site", Severity.WARNING, f"the site chooses this port{usual}; confirm it")
        self._out.requirements.append(
            Proposed(
                id=_name(service),
                protocol=service.protocol,
                ports=service.ports,
                sources=tuple(one.name for one in ends.source.parties),
                destinations=destinations,
                constraints=tuple(one for one in CONSTRAINT_ORDER if one in demanded),
                condition=said.text,
                purpose=record.text(Kind.PURPOSE) or record.text(Kind.NOTES),
                lines=tuple(dict.fromkeys(self._lines)),
                footnotes=tuple(mark for mark in dict.fromkeys(self._marks) if mark in self._around.footnotes),
                icmp=service.icmp,
                reply=_reply(service, record.text(Kind.PURPOSE)),
                port_setting=setting,
            )
        )


def _reply(service: Service, purpose: str) -> Reply | None:
    one_way = service.ports in _ONE_WAY_PORTS or _ONE_WAY.search(purpose) is not None
    return Reply.ONE_WAY if service.protocol == "udp" and one_way else None


def _name(service: Service) -> str:
    if service.protocol.isdecimal():
        return f"ip-{service.protocol}"
    what = service.ports or (service.icmp or "").replace("/", "-").replace("*", "any")
    return (
        "-".join(part for part in (service.protocol, what) if part)
        if what or service.protocol in ("icmp", "any")
        else service.protocol
    )
