"""What a plan says of brownfield devices: what passes already, and what is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from toolkit.cli._common import print_table
from toolkit.render.existing import Today, existing_rows

if TYPE_CHECKING:
    from toolkit.packets import Space
    from toolkit.verify.live import Planned


def existing_json(planned: Planned, device: str, space: Space) -> dict[str, Any]:
    """One device as JSON: its required entries by how they fare; empty where the filter is our own."""
    rendered = planned.rendered[device]
    if not rendered.candidate.existing:
        return {}
    found: dict[str, Any] = {"mode": rendered.policy.ownership.value, **{state.value: [] for state in Today}}
    for row in existing_rows(rendered, planned.running[device], space):
        found[row.today.value].append(
            {
                "interface": row.interface,
                "entry": row.text,
                "requirements": list(row.requirements),
                "by" if row.today is Today.PERMITTED else "against": list(row.entries),
            }
        )
    return {"existing": found}


def print_existing(planned: Planned, space: Space) -> None:
    """All brownfield devices for people."""
    for device, rendered in planned.rendered.items():
        if not rendered.candidate.existing:
            continue
        rows = list(existing_rows(rendered, planned.running[device], space))
        counts = Counter(row.today for row in rows)
        said = ", ".join(f"{counts[state]} {state.value}" for state in Today)
        print_table(
            ("today", "interface", "required", "for", "entries of others"),
            [
                (r.today.value, r.interface, r.text, ", ".join(r.requirements), ", ".join(r.entries))
                for state in Today
                for r in rows
                if r.today is state
            ],
            f"{device} ({rendered.policy.ownership.value}), of {len(rows)} required entries: {said}",
        )
