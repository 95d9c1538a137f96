"""`toolkit render` says how many entries each device gets, against what it holds."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import yaml

from tests.cli.test_contract import ROOT, ask, toolkit
from toolkit.render.sizes import BUDGET_COLUMNS, LIST_COLUMNS, budget_lines, device_sizes, list_lines
from toolkit.render.work import Work

MULTI_VENDOR = ROOT / "labs" / "multi-vendor"


@pytest.fixture
def vendors(tmp_path):
    """The site of the multi-vendor lab, with room for so many entries as a test says."""
    folder = tmp_path / "labs" / "site"
    shutil.copytree(MULTI_VENDOR, folder)
    shutil.copytree(ROOT / "inventory" / "specs", tmp_path / "inventory" / "specs")
    path = folder / "site.yaml"

    def with_capacity(**capacity):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document.setdefault("deploy", {})["capacity"] = capacity
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return folder

    return with_capacity


def test_sizes_are_listed_by_interface_and_direction(tmp_path, vendors):
    folder = vendors(cisco_nxos=2000)
    code, listed = ask("render", "-i", str(folder), "-o", str(tmp_path / "out"))
    assert code == 0
    by_platform = {one["platform"]: one["sizes"] for one in listed["devices"]}
    nexus = by_platform["cisco_nxos"]
    (budget,) = nexus["budgets"]
    assert (budget["direction"], budget["capacity"], budget["today"]) == (None, 2000, 0)
    assert budget["then"] == budget["together"] == sum(one["counted"] for one in nexus["lists"]) > 0
    assert budget["percent"] == round(100 * budget["together"] / 2000, 1)
    for one in nexus["lists"]:
        assert one["percent"] == round(100 * one["counted"] / 2000, 1)
        assert (one["direction"], one["counted"] >= one["written"] > 0) == ("in", True)
    assert len({one["interface"] for one in nexus["lists"]}) == len(nexus["lists"]) > 1
    assert "outwards" in nexus["counting"]
    assert by_platform["arista_eos"]["budgets"][0]["capacity"] is None
    assert by_platform["arista_eos"]["budgets"][0]["percent"] is None
    for platform in ("juniper_junos", "cisco_ios", "cisco_asa", "arista_eos"):
        assert all(one["counted"] > 0 for one in by_platform[platform]["lists"])
    told = toolkit("render", "-i", str(folder), "-o", str(tmp_path / "out"), "--sizes").stdout
    assert [name.upper() for name in BUDGET_COLUMNS] == told.splitlines()[1].split()
    assert f"{budget['percent']} %" in told
    assert "\n" + "  ".join(name.upper() for name in LIST_COLUMNS).split("  ", maxsplit=1)[0] in told
    assert all(one["acl"] in told for one in nexus["lists"])


def test_a_platform_that_holds_too_little_is_refused_with_the_rule(tmp_path, vendors):
    folder = vendors(cisco_nxos={"in": 3})
    done = toolkit("render", "-i", str(folder), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "entries inwards, old and new together" in done.stderr
    assert "do not fit into its capacity of 3 (filter.capacity); groups are written out" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_capacity_for_a_platform_that_nobody_has_is_a_mistake(vendors):
    folder = vendors(cisco_nxos=2000, cisco_iosxr=9)
    done = toolkit("render", "-i", str(folder))
    assert done.returncode == 2
    assert "site.yaml:" in done.stderr
    assert "capacity names 'cisco_iosxr', which no device has as its platform (they have: arista_eos," in done.stderr


def test_what_runs_today_counts_until_it_is_replaced():
    work = Work(MULTI_VENDOR)
    rendered = next(one for one in work.rendered.values() if one.candidate.platform == "cisco_ios")
    again = device_sizes(rendered, rendered.after).budgets[0]
    assert again.today == again.then == again.together > 0
    lists = rendered.after.config.acls
    name = next(iter(lists))
    shorter = replace(lists[name], lines=lists[name].lines[:-1])
    older = replace(rendered.after, config=replace(rendered.after.config, acls={**lists, name: shorter}))
    changed = device_sizes(rendered, older)
    (budget,) = changed.budgets
    one = next(row for row in changed.rows if row.acl == name)
    assert budget.together == budget.then + one.counted - 1
    assert len(list(budget_lines(changed))) == 1
    assert len(list(list_lines(changed))) == len(changed.rows) == len(rendered.after.config.bindings)
