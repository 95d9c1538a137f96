"""What the page reader proposes: requirements in roles or in the page's words, and findings; as JSON, YAML or Spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import SpecError
from toolkit.spec.condition import check_condition
from toolkit.spec.model import Constraint, Finding, Reply, Severity
from toolkit.spec.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEYWORDS: Final = frozenset(
    {
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "for",
        "with",
        "lambda",
        "none",
        "true",
        "false",
        "while",
        "from",
        "as",
    }
)
_MAX_ID: Final = 56


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposed requirement; roles that do not exist and conditions that match no setting are the page's words."""

    id: str
    protocol: str
    ports: str | None
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    condition: str | None = None
    purpose: str = ""
    lines: tuple[int, ...] = ()
    footnotes: tuple[str, ...] = ()
    icmp: str | None = None
    reply: Reply | None = None
    port_setting: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The requirement as `spec import --json` prints it."""
        found: dict[str, Any] = {
            "id": self.id,
            "protocol": self.protocol,
            "ports": self.ports,
            "sources": list(self.sources),
            "destinations": list(self.destinations),
            "constraints": [one.value for one in self.constraints],
            "condition": self.condition,
            "purpose": self.purpose,
            "lines": list(self.lines),
            "footnotes": list(self.footnotes),
        }
        if self.icmp is not None:
            found["icmp"] = self.icmp
        return found


@dataclass(frozen=True, slots=True)
class Proposal:
    """A page as read: what it requires, and everything a reviewer must know."""

    document: str
    title: str
    sha256: str
    requirements: tuple[Proposed, ...]
    findings: tuple[Finding, ...]
    forbidden_ports: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def has_errors(self) -> bool:
        """Whether a line of the page gave nothing usable."""
        return any(one.severity is Severity.ERROR for one in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The object that `spec import --json` prints."""
        return {
            "document": self.document,
            "sha256": self.sha256,
            "requirements": [one.as_json() for one in self.requirements],
            "findings": [one.model_dump(mode="json") for one in self.findings],
        }

    def as_yaml(self) -> str:
        """The proposal as a spec file for review; parties and conditions in the page's words become declared names.

        Such a name stands for something that the operator must decide: a role wants a binding, a condition
        a site setting, and the toolkit refuses to run until both exist.
        """
        import yaml

        used = dict.fromkeys(role for one in self.requirements for role in (*one.sources, *one.destinations))
        declared = {slug(role): f"the page says: {role}" for role in used if role not in ROLES}
        data: dict[str, Any] = {
            "name": slug(self.title)[:_MAX_ID] or "imported",
            "document": {"title": self.title, "sha256": self.sha256},
        }
        if declared:
            data["roles"] = declared
        if self.forbidden_ports:
            data["forbidden_ports"] = {name: list(numbers) for name, numbers in self.forbidden_ports}
        data["requirements"] = [_yaml_requirement(one) for one in self.requirements]
        data["findings"] = [_without_empty(one.model_dump(mode="json")) for one in self.findings]
        head = (
            "# Proposed from a vendor's page. Review each requirement, write purposes in your own "
            "words, add `decisions`,\n"
            "# then commit it: the committed spec is what runs.\n"
        )
        return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [], "", ())}


def _yaml_requirement(one: Proposed) -> dict[str, Any]:
    values = one.as_json()
    values["sources"] = [role if role in ROLES else slug(role) for role in one.sources]
    values["destinations"] = [role if role in ROLES else slug(role) for role in one.destinations]
    values["condition"] = None if one.condition is None else _as_condition(one.condition)
    values["reply"] = None if one.reply is None else one.reply.value
    values["port_setting"] = one.port_setting
    return _without_empty(values)


def _as_condition(text: str) -> str:
    """A condition that the spec format accepts: the page's words become one setting name."""
    try:
        return check_condition(text)
    except SpecError:
        known = re.match(
            r"((?:(?:not )?(?:offline|external_registry|direct_kube_api)|phase (?:in \([^)]*\)|== '\w+'))(?: and |$))*",
            text,
        )
        head = known[0] if known else ""
        name = slug(text[len(head) :]).replace("-", "_").replace(".", "_")
        name = f"page_{name}" if not name or name[0].isdigit() or name in _KEYWORDS else name
        return f"{head}{name}"


def slug(text: str) -> str:
    """A name of letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return plain[:_MAX_ID].strip("-.") or "page"


def unique_ids(wanted: Sequence[str]) -> list[str]:
    """Ids as wanted, with `-2`, `-3`, ... behind those that were taken before."""
    taken: set[str] = set()
    found: list[str] = []
    for name in wanted:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        found.append(candidate)
    return found
