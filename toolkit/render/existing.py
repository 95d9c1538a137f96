"""What a brownfield device permits already of what is required, what is missing, and what it permits beyond."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolkit.net import Action
from toolkit.platforms.base import ConnState
from toolkit.policy import Standing
from toolkit.spec.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toolkit.net import Packet
    from toolkit.packets import Space
    from toolkit.platforms.base import FilterState
    from toolkit.render import Rendered


class Today(StrEnum):
    """How a required entry fares on a device before a change."""

    PERMITTED = "permitted"  # by somebody else's entries
    ADDED = "added"  # by ours, from an earlier change
    PARTLY = "partly"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Row:
    """A required entry on an interface of a device; `entries` are those of others that permit or deny it today."""

    interface: str
    today: Today
    requirements: tuple[str, ...]
    text: str
    entries: tuple[str, ...]


def existing_rows(rendered: Rendered, running: FilterState, space: Space) -> Iterator[Row]:
    """Each required entry of a device in *extend* or *jump* mode, beside the filter that it has now."""
    for acl in rendered.policy.acls:
        if acl.interface not in rendered.candidate.existing:
            continue
        passing = running.permitted(space, acl.interface, ConnState.NEW)
        permits = [ace for ace in acl.entries if ace.action is Action.PERMIT]
        for ace, one in zip(permits, rendered.candidate.existing[acl.interface].wanted, strict=True):
            today = Today(one.standing.value)
            if one.standing is not Standing.PERMITTED and space.union(ace.boxes()) <= passing:
                today = Today.ADDED
            entries = one.by if one.standing is Standing.PERMITTED else one.against
            yield Row(acl.interface, today, one.requirements, one.text, entries)


def existing_findings(rendered: Iterable[Rendered]) -> Iterator[Finding]:
    """Older excess in scope, and explicit denies that ours come before; each entry of others once."""
    for one in rendered:
        extensions = one.candidate.existing.values()
        for entry in dict.fromkeys(entry for extension in extensions for entry in extension.overtaken):
            message = f"{one.policy.device}: {entry} denies what is required; filter.override lets ours come before it"
            yield Finding(code="deny_overridden", severity=Severity.WARNING, message=message)
        excess: dict[str, Packet] = {}
        for item in (item for extension in extensions for item in extension.excess):
            excess.setdefault(item.entry, item.packet)
        for entry, packet in excess.items():
            message = f"{one.policy.device}: {entry} permits {packet}, which is in scope and nothing requires"
            yield Finding(code="older_excess", severity=Severity.INFO, message=message)
