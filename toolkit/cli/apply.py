"""`toolkit apply ID`: push a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, note, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.deploy import Outcome


@click.command()
@click.argument("plan_id", metavar="ID")
@click.option("--resume", is_flag=True, help="Go on with an apply that was interrupted.")
@click.option("--without-lab", is_flag=True, help="Push without a lab certificate; the journal keeps that.")
@click.option("--no-save", is_flag=True, help="Leave the startup configuration alone.")
@click.option("--save-anyway", is_flag=True, help="Save it even where it differed from the running one before.")
@inventory_option
@json_option
def apply(
    inventory: Path,
    plan_id: str,
    resume: bool,
    without_lab: bool,
    no_save: bool,
    save_anyway: bool,
    as_json: bool,
) -> None:
    """Push a plan: canary, waves, read-back and proof over new sessions, rollback at the first failure."""
    from toolkit import deploy
    from toolkit.deploy import Options
    from toolkit.verify.live import RUNS, make_target

    work = Work(inventory)
    plan = deploy.load_plan(RUNS, plan_id)
    target = make_target(work)
    try:
        options = Options(resume=resume, without_lab=without_lab, save=not no_save, save_anyway=save_anyway)
        outcome = deploy.apply(plan, RUNS / plan_id, target, candidates_of(work, plan), options)
    finally:
        target.close()
    if as_json:
        print_json({"plan": plan_id, **outcome_row(outcome)})
    else:
        print_outcome(outcome)


def candidates_of(work: Work, plan: Any) -> dict[str, Any]:
    """The candidates that a plan holds.

    Raises:
        DeployError: the site has changed since the plan was made.
    """
    from toolkit.errors import DeployError
    from toolkit.platforms.base import CandidateConfig

    found = {}
    for change in plan.changes:
        if change.device not in work.policies:
            raise DeployError(f"{change.device} of plan {plan.id} is no device of this site; plan again")
        found[change.device] = CandidateConfig(change.device, change.platform, change.candidate, (), {})
    return found


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """What an apply or rollback did, as JSON."""
    return {
        "changed": list(outcome.changed),
        "unchanged": list(outcome.unchanged),
        "rolled_back": list(outcome.rolled_back),
        "ended_sessions": outcome.ended_sessions,
        "notes": list(outcome.notes),
    }


def print_outcome(outcome: Outcome) -> None:
    """What an apply or rollback did, for people."""
    if outcome.changed:
        print(f"changed, read back and proved: {', '.join(outcome.changed)}")
    if outcome.rolled_back:
        print(f"restored to the first state: {', '.join(outcome.rolled_back)}")
    if not outcome.changed and not outcome.rolled_back:
        print("no change: every device is as it should be")
    if outcome.ended_sessions:
        print(f"sessions that the policy denies, ended: {outcome.ended_sessions}")
    for text in outcome.notes:
        note(text)
