"""A plan says how each changed device commits, and that some cannot take a change back by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.cli.plan import plan_row, print_plan
from toolkit.deploy.plan import DeviceChange, Plan
from toolkit.platforms import get, names


def plan_for(platform, apply):
    change = DeviceChange("dev1", platform, "f", "text", apply, "undo" if apply else "", {}, "+x\n" if apply else "")
    return Plan("id", "site", "install", "1", "f", (("dev1",),), (change,))


@pytest.mark.parametrize("platform", names())
def test_a_changed_device_says_how_it_commits(platform, capsys):
    note = get(platform).capabilities.commit_note
    print_plan(plan_for(platform, "line\n"), diff=True)
    assert f"  {platform}: {note}\n" in capsys.readouterr().out
    assert plan_row(plan_for(platform, "line\n"))["devices"][0]["commit"] == note


@pytest.mark.parametrize("platform", names())
def test_an_unchanged_device_says_nothing_about_it(platform, capsys):
    print_plan(plan_for(platform, ""), diff=True)
    assert get(platform).capabilities.commit_note not in capsys.readouterr().out
    assert plan_row(plan_for(platform, ""))["devices"][0]["commit"] == ""


def test_what_was_chosen_for_a_device_is_said_behind_it(capsys):
    plan = plan_for("cisco_ios", "line\n")
    plan = replace(plan, changes=(replace(plan.changes[0], note="without a timer: a reason"),))
    print_plan(plan, diff=False)
    assert capsys.readouterr().out.endswith("nobody else has changed anything; here without a timer: a reason\n")


def test_what_has_no_timed_commit_says_so():
    assert "no timed commit" in get("cisco_asa").capabilities.commit_note
    assert "commit confirmed 10" in get("juniper_junos").capabilities.commit_note


def test_waves_that_were_computed_say_why(capsys):
    plan = replace(
        plan_for("cisco_ios", "line\n"), waves=(("dev1",), ("dev2",)), order=("dev2 waits for dev1: a reason",)
    )
    print_plan(plan, diff=False)
    assert "  wave 2: dev2\n  dev2 waits for dev1: a reason\n" in capsys.readouterr().out
    assert plan_row(plan)["order"] == ["dev2 waits for dev1: a reason"]
