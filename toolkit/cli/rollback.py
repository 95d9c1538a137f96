"""`toolkit rollback ID`: back to the state before a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli._common import Work, inventory_option, json_option, print_json
from toolkit.cli.apply import outcome_row, print_outcome

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("plan_id", metavar="ID")
@inventory_option
@json_option
def rollback(inventory: Path, plan_id: str, as_json: bool) -> None:
    """Restore every device that the plan's journal says was touched, and prove that it is as it was."""
    from toolkit import deploy
    from toolkit.verify.live import RUNS, make_target

    work = Work(inventory)
    plan = deploy.load_plan(RUNS, plan_id)
    target = make_target(work)
    try:
        outcome = deploy.rollback(plan, RUNS / plan_id, target)
    finally:
        target.close()
    if as_json:
        print_json({"plan": plan_id, **outcome_row(outcome)})
    else:
        print_outcome(outcome)
