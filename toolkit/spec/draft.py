"""One row -> proposed requirements, one for each protocol and port entry, and the findings of the row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.spec.applies import Condition, condition
from toolkit.spec.columns import Kind
from toolkit.spec.context import BOTH, direction_in
from toolkit.spec.ends import Ends, resolve
from toolkit.spec.model import Constraint, Reply, Severity
from toolkit.spec.page import Cell
from toolkit.spec.proposal import Proposed, slug
from toolkit.spec.services import ServiceReader
from toolkit.spec.statements import asks_for_nothing, constraints, denies, withholds

if TYPE_CHECKING:
    from toolkit.spec.rows import Record
    from toolkit.spec.services import Drafts, Service, Surroundings

# UDP services whose port is the destination in both directions: nothing comes back to a source port.
_ONE_WAY: Final = re.compile(r"\b(?:vxlan|geneve|overlay)\b", re.IGNORECASE)
_ONE_WAY_PORTS: Final = frozenset({"4789", "6081", "8472"})
_CHANGEABLE: Final = re.compile(
    r"\bports? (?:numbers? )?(?:can|may|could) be "
    r"(?:changed|configured|customi[sz]ed|overridden|adjusted|chosen|set)\b|"
    r"\bports? (?:is|are) (?:configurable|customi[sz]able|chosen by|set by|up to)\b|\bconfigurable port\b|"
    r"^(?:user-)?configurable$|(?:^|[.;] )(?:default[,;:]? |it |this )?can be (?:changed|overridden|customi[sz]ed)\b",
    re.IGNORECASE,
)
_THROUGH: Final = re.compile(
    r"([^;\n]+?)[\s,(]+(?:through|via|behind|by way of)\s+(?:the |an? )?(?:\w+ )?(?:load[- ]?balancers?|lbs?|vips?)\)?",
    re.IGNORECASE,
)
_NOBODY: Final = re.compile(r"^(?:none|nobody|no one|not applicable)$", re.IGNORECASE)
_YES: Final = re.compile(r"^(?:yes|y|true|x|optional|\u2713|\u2714)$", re.IGNORECASE)
_OPTIONAL: Final = re.compile(r"^(?:optional|no \(optional\)|recommended)$", re.IGNORECASE)
CONSTRAINT_ORDER: Final = tuple(Constraint)


def draft(record: Record, around: Surroundings, out: Drafts) -> None:
    """Read one row into `out`; a row that gives nothing always leaves a finding."""
    legs = _legs(record)
    for leg in legs:
        _RowReader(leg, around, out).read()
    if len(legs) > 1:
        out.find(
            "balancer_legs",
            Severity.INFO,
            record.line,
            "read as two flows, to the load balancer and from it to the pool",
        )


def _legs(record: Record) -> tuple[Record, ...]:
    """A row of a load balancer with a port of its own and one behind it asks for two flows."""
    behind, source = record.cell(Kind.BACKEND_PORT), record.cell(Kind.SOURCE)
    balancer = (Cell("load balancer", record.line),)
    way = _THROUGH.fullmatch(source.flat) if source else None
    if behind is None and source and way:
        front = {**record.cells, Kind.SOURCE: (replace(source, text=way[1]),), Kind.DESTINATION: balancer}
        return replace(record, cells=front), replace(record, cells={**record.cells, Kind.SOURCE: balancer})
    if behind is None:
        return (record,)
    pool = record.cells.get(Kind.DESTINATION) or (Cell("nodes", record.line),)
    front = {**record.cells, Kind.DESTINATION: balancer}
    back = {**record.cells, Kind.PORT: (behind,), Kind.SOURCE: balancer, Kind.DESTINATION: pool}
    return replace(record, cells=front), replace(record, cells=back)


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
        reader = ServiceReader(self._record, self._around, self._out)
        services, site = reader.read()
        self._lines, self._marks = reader.lines, reader.marks
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
        if action and withholds(action.flat):
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

    def _require(self, services: list[Service], ends: Ends, site: bool) -> None:  # noqa: FBT001 - private, called once
        record = self._record
        self._derived(ends)
        notes = self._footnotes()
        said = self._condition(notes)
        remarks = [part.strip() for text in (record.text(Kind.NOTES, Kind.PURPOSE), *notes) for part in text.split(";")]
        site = site or any(_CHANGEABLE.search(one) for one in remarks)
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
