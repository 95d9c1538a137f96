"""The spec: requirements with citations, as a document states them and an operator decided on them.

An importer proposes a `Spec` from a vendor's page; the operator reviews it and commits it as YAML in
`inventory/specs/`; the committed file is what runs. Two kinds of statement are kept apart on purpose:
what the document says (`sources`, `destinations`, ...) and what the operator decided on top of it
(`decisions`), so that importing a newer edition can be compared with the page and not with opinions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from toolkit.errors import InputError, SpecError
from toolkit.files import FileModel, load
from toolkit.net import ICMP, WITH_PORTS, IcmpKind, PortRange, Service, protocol_number
from toolkit.spec.condition import check_condition
from toolkit.spec.roles import ROLES

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.files import Document


class Constraint(StrEnum):
    """What a requirement demands beyond its flow."""

    NO_INTERNET = "no_internet"
    PRIVATE_ONLY = "private_only"
    BIDIRECTIONAL = "bidirectional"
    HEALTH_CHECK = "health_check"


class Reply(StrEnum):
    """How the far end answers; decides what a stateless switch must let back.

    TCP is always answered on its connection. `request_reply` mirrors the source port (DNS, NTP).
    `one_way` expects nothing back: VXLAN uses 8472 as destination in both directions, with hashed
    source ports.
    """

    REQUEST_REPLY = "request_reply"
    ONE_WAY = "one_way"


class Severity(StrEnum):
    """How much a finding matters; `error` makes the command exit 2."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(FileModel):
    """Something a careful engineer would point at; `line` counts from 1 in the document."""

    code: str
    severity: Severity
    message: str
    line: int | None = None


def _readable_ports(text: str) -> str:
    PortRange.parse(text)
    return text


def _readable_protocol(text: str) -> str:
    protocol_number(text)
    return text


def _readable_icmp(text: str) -> str:
    IcmpKind.parse(text)
    return text


def _as_value_error(check: object) -> object:
    """Hand our own error to pydantic as the ValueError that it understands, text kept."""

    def checked(text: str) -> str:
        try:
            return check(text)  # type: ignore[operator, no-any-return]
        except InputError as caught:
            raise ValueError(caught.message) from None

    return checked


Ports = Annotated[str, AfterValidator(_as_value_error(_readable_ports))]
ProtocolName = Annotated[str, AfterValidator(_as_value_error(_readable_protocol))]
IcmpText = Annotated[str, AfterValidator(_as_value_error(_readable_icmp))]
Condition = Annotated[str, AfterValidator(_as_value_error(check_condition))]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]


class Decision(FileModel):
    """What the operator decided on top of the document, always with a reason that a reviewer can judge."""

    reason: Annotated[str, Field(min_length=10)]
    add_sources: tuple[str, ...] = ()
    drop_sources: tuple[str, ...] = ()
    add_destinations: tuple[str, ...] = ()
    drop_destinations: tuple[str, ...] = ()
    ports: Ports | None = None


class Requirement(FileModel):
    """One row or prose rule of a document, with its citation.

    `sources` and `destinations` are role names; `ports` is text such as `443` or `2379-2380`, null for
    ICMP and for a port that the site chooses (`port_setting` names it); `lines` counts from 1 in the document.
    """

    id: Identifier
    protocol: ProtocolName
    ports: Ports | None = None
    icmp: IcmpText | None = None
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    destinations: Annotated[tuple[str, ...], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()
    condition: Condition | None = None
    purpose: str = ""
    lines: tuple[Annotated[int, Field(ge=1)], ...] = ()
    footnotes: tuple[str, ...] = ()
    reply: Reply | None = None
    port_setting: str | None = None
    decisions: tuple[Decision, ...] = ()
    added_by_operator: Annotated[str, Field(min_length=10)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        number = protocol_number(self.protocol)
        if self.icmp is not None and number != ICMP:
            raise ValueError(f"{self.id}: icmp is given, but the protocol is {self.protocol}")
        if self.ports not in (None, "any") and number not in WITH_PORTS:
            raise ValueError(f"{self.id}: {self.protocol} has no ports, but {self.ports} is given")
        if number in WITH_PORTS and self.ports is None and self.port_setting is None:
            raise ValueError(f"{self.id}: {self.protocol} needs ports, or port_setting to name the site's choice")
        return self

    @property
    def effective_sources(self) -> tuple[str, ...]:
        """Source roles after the operator's decisions."""
        roles = list(self.sources)
        for decision in self.decisions:
            roles = [role for role in [*roles, *decision.add_sources] if role not in decision.drop_sources]
        return tuple(dict.fromkeys(roles))

    @property
    def effective_destinations(self) -> tuple[str, ...]:
        """Destination roles after the operator's decisions."""
        roles = list(self.destinations)
        for decision in self.decisions:
            roles = [role for role in [*roles, *decision.add_destinations] if role not in decision.drop_destinations]
        return tuple(dict.fromkeys(roles))

    def service(self, site_ports: dict[str, str] | None = None) -> Service:
        """The service asked for; `site_ports` maps a `port_setting` to the port that the site chose.

        Raises:
            SpecError: the site must choose the port and has not.
        """
        number = protocol_number(self.protocol)
        if number == ICMP:
            return Service(ICMP, icmp=None if self.icmp is None else IcmpKind.parse(self.icmp))
        chosen = (site_ports or {}).get(self.port_setting or "")
        text = chosen or next((d.ports for d in reversed(self.decisions) if d.ports), self.ports)
        if number in WITH_PORTS and text is None:
            raise SpecError(f"requirement {self.id}: the site must set the port {self.port_setting!r} in site.yaml")
        return Service(number, PortRange.parse(text)) if text else Service(number)

    @property
    def reply_kind(self) -> Reply:
        """How the far end answers; UDP that does not say so is taken as request and reply."""
        return self.reply or Reply.REQUEST_REPLY


class SourceDocument(FileModel):
    """The document that a spec was read from."""

    title: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    edition: str | None = None


BASELINE_TOPICS = (
    "dns",
    "ntp",
    "dhcp",
    "directory",
    "storage",
    "backup",
    "monitoring",
    "icmp_unreachable",
    "icmp_time_exceeded",
    "load_balancer_redundancy",
)


class Spec(FileModel):
    """A reviewed list of requirements.

    `roles` declares role names beyond the built-in ones (name -> what it is). `baseline`, in the site's
    own spec only, answers each topic of `BASELINE_TOPICS` with requirement ids or with the word `none`.
    """

    name: Identifier
    document: SourceDocument
    roles: dict[Identifier, str] = Field(default_factory=dict)
    forbidden_ports: dict[str, tuple[Annotated[int, Field(ge=0, le=65535)], ...]] = Field(default_factory=dict)
    requirements: tuple[Requirement, ...]
    findings: tuple[Finding, ...] = ()
    baseline: dict[str, tuple[Identifier, ...] | Literal["none"]] | None = None

    def requirement(self, identifier: str) -> Requirement:
        """The requirement with this id.

        Raises:
            SpecError: there is none.
        """
        for one in self.requirements:
            if one.id == identifier:
                return one
        raise SpecError(f"spec {self.name} has no requirement {identifier!r}")


def load_spec(path: Path) -> tuple[Spec, Document]:
    """Read a committed spec and check what its model alone cannot: ids, roles, baseline answers.

    Raises:
        SpecError: with file, line and the valid choices.
    """
    spec, document = load(path, Spec, error=SpecError)
    known = {*ROLES, *spec.roles}
    seen: dict[str, int] = {}
    for index, one in enumerate(spec.requirements):
        if one.id in seen:
            raise SpecError(f"requirement id {one.id!r} stands twice", place=document.place("requirements", index))
        seen[one.id] = index
        for key, roles in (("sources", one.effective_sources), ("destinations", one.effective_destinations)):
            for role in roles:
                if role not in known:
                    raise SpecError(
                        f"unknown role {role!r} in {key} of {one.id} (valid roles: {', '.join(sorted(known))})",
                        place=document.place("requirements", index, key),
                    )
    for topic, answer in (spec.baseline or {}).items():
        if topic not in BASELINE_TOPICS:
            raise SpecError(
                f"unknown baseline topic {topic!r} (valid topics: {', '.join(BASELINE_TOPICS)})",
                place=document.place("baseline", topic),
            )
        for identifier in () if answer == "none" else answer:
            if identifier not in seen:
                raise SpecError(
                    f"baseline topic {topic!r} names the requirement {identifier!r}, which is not in this file",
                    place=document.place("baseline", topic),
                )
    return spec, document
