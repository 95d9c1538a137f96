"""`toolkit plan`: what would change, without sending anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, jobs_option, json_option, note, print_findings, print_json
from toolkit.cli._sizes import sizes_option

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.deploy import Plan
    from toolkit.deploy.plan import DeviceChange

CHANGES_PENDING = 3


@click.command()
@click.option("--diff/--no-diff", default=True, help="Print what would change on each device.")
@sizes_option
@jobs_option
@inventory_option
@json_option
def plan(inventory: Path, diff: bool, sizes: bool, jobs: int, as_json: bool) -> int:
    """Read the devices and say what would change, in which order, and how to undo it; exit 3 when something would."""
    from toolkit.cli._existing import existing_json, print_existing
    from toolkit.cli._sizes import print_sizes
    from toolkit.render.existing import existing_findings
    from toolkit.render.sizes import device_sizes
    from toolkit.verify.live import make_target, plan_change

    work = Work(inventory, workers=jobs)
    target = make_target(work)
    try:
        planned = plan_change(work, target)
    finally:
        target.close()
    findings = tuple(existing_findings(planned.rendered.values()))
    measured = {name: device_sizes(one, planned.running[name]) for name, one in planned.rendered.items()}
    if as_json:
        row = plan_row(planned.plan)
        for device in row["devices"]:
            device.update(existing_json(planned, device["device"], work.space))
            device["sizes"] = measured[device["device"]].row()
        listed = [finding.model_dump(mode="json") for finding in findings]
        print_json({**row, "findings": listed, "folder": str(planned.folder)})
    else:
        print_existing(planned, work.space)
        print_plan(planned.plan, diff=diff)
        print_sizes(tuple(measured.values()), every_list=sizes)
        print_findings(findings)
        note(f"plan {planned.plan.id} is in {planned.folder}; nothing was sent")
    return CHANGES_PENDING if planned.plan.changed else 0


def plan_row(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "id": plan.id,
        "fingerprint": plan.fingerprint,
        "phase": plan.phase,
        "waves": [list(wave) for wave in plan.waves],
        "order": list(plan.order),
        "changed": list(plan.changed),
        "devices": [
            {
                "device": c.device,
                "platform": c.platform,
                "diff": c.diff,
                "apply": c.apply,
                "rollback": c.rollback,
                "commit": commit_note(c),
            }
            for c in plan.changes
        ],
    }


def commit_note(change: DeviceChange) -> str:
    """What happens on the device between the first line and the confirmed change; empty where nothing is sent."""
    from toolkit.platforms import get

    if change.is_empty:
        return ""
    note = get(change.platform).capabilities.commit_note
    return f"{note}; here {change.note}" if change.note else note


def print_plan(plan: Plan, *, diff: bool) -> None:
    """A plan for people."""
    print(f"plan {plan.id} (phase {plan.phase})")
    for number, wave in enumerate(plan.waves, 1):
        print(f"  wave {number}: {', '.join(wave)}")
    for reason in plan.order:
        print(f"  {reason}")
    for change in plan.changes:
        if change.is_empty:
            print(f"{change.device}: no change")
            continue
        added = sum(line.startswith("+") and not line.startswith("+++") for line in change.diff.splitlines())
        removed = sum(line.startswith("-") and not line.startswith("---") for line in change.diff.splitlines())
        print(f"{change.device}: {added} lines added, {removed} removed")
        print(f"  {change.platform}: {commit_note(change)}")
        if diff:
            print(change.diff, end="")
