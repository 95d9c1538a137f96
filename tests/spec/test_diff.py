"""Editions compared: what came, went and changed, and what that means for a site whose spec was reviewed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from toolkit.errors import PageError, SpecError
from toolkit.spec.diff import Kind, compare, move_on, read_edition
from toolkit.spec.model import load_spec

PAGE = """\
# Ports

| Port | Protocol | Source | Destination | Purpose |
| --- | --- | --- | --- | --- |
| 443 | TCP | node | load balancer | web |
| 1433 | TCP | node | SQL server | database |
| 8472 | UDP | node | node | overlay |
"""


@pytest.fixture
def edition(tmp_path):
    def write(name, old="", new=""):
        assert old in PAGE
        path = tmp_path / name
        path.write_text(PAGE.replace(old, new, 1), encoding="utf-8")
        return path

    return write


def changes(one, other):
    return compare(read_edition(one).requirements, read_edition(other).requirements)


def test_the_same_page_has_no_difference(edition):
    assert changes(edition("a.md"), edition("b.md")) == ()


def test_words_and_places_are_no_difference(edition):
    assert changes(edition("a.md"), edition("b.md", "# Ports\n", "# Ports\n\nRead this first.\n")) == ()
    assert changes(edition("c.md"), edition("d.md", "| database |", "| the database |")) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("| 8472 | UDP | node | node | overlay |\n", "", [(Kind.REMOVED, "udp-8472", {"ports"})]),
        (
            "| overlay |",
            "| overlay |\n| 6443 | TCP | node | node | api |",
            [(Kind.ADDED, "tcp-6443", {"ports", "sources"})],
        ),
        ("| SQL server |", "| node |", [(Kind.CHANGED, "tcp-1433", {"destinations"})]),
        ("| 1433 |", "| 1434 |", [(Kind.ADDED, "tcp-1434", {"ports"}), (Kind.REMOVED, "tcp-1433", {"ports"})]),
    ],
)
def test_what_came_went_and_changed(edition, old, new, expected):
    found = changes(edition("a.md"), edition("b.md", old, new))
    assert [(one.kind, one.id) for one in found] == [(kind, name) for kind, name, _ in expected]
    for one, (_, _, fields) in zip(found, expected, strict=True):
        assert fields <= {name for name, _, _ in one.fields}
    changed = [one for one in found if one.kind is Kind.CHANGED]
    assert all(
        {name for name, _, _ in one.fields} == fields for one, (_, _, fields) in zip(changed, expected, strict=False)
    )


def test_a_page_with_an_error_is_not_compared(edition):
    with pytest.raises(SpecError, match=r"b\.md:6: .*settle that first"):
        changes(edition("a.md"), edition("b.md", "| 1433 |", "| 99999 |"))
    nothing = edition("c.md")
    nothing.write_text("# Ports\n\nAsk your vendor.\n", encoding="utf-8")
    with pytest.raises(PageError):
        read_edition(nothing)


def committed(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(
        "name: vendor\ndocument: {title: Ports}\nrequirements:\n"
        "  - {id: tcp-443, protocol: tcp, ports: '443', sources: [node], destinations: [load_balancer], purpose: ours,\n"
        "     decisions: [{reason: operators look as well, add_sources: [jump_server]}]}\n"
        "  - {id: tcp-1433, protocol: tcp, ports: '1433', sources: [node], destinations: [sql_server]}\n"
        "  - {id: udp-8472, protocol: udp, ports: '8472', sources: [node], destinations: [node], reply: one_way}\n",
        encoding="utf-8",
    )
    return load_spec(path)[0]


def test_a_reviewed_spec_is_moved_on_and_keeps_what_its_operator_decided(edition, tmp_path):
    new = edition("b.md", "| node | load balancer | web |", "| node | node | web |")
    moved = move_on(committed(tmp_path), changes(edition("a.md"), new), read_edition(new))
    one = moved.requirement("tcp-443")
    assert (one.destinations, one.purpose) == (("node",), "ours")
    assert one.effective_sources == ("node", "jump_server")
    assert moved.requirement("udp-8472").reply == "one_way"
    assert moved.document.sha256 == read_edition(new).sha256


def test_a_change_of_what_the_reviewed_spec_does_not_have_is_an_error(edition, tmp_path):
    spec = committed(tmp_path)
    spec = spec.model_copy(update={"requirements": spec.requirements[1:]})
    new = edition("b.md", "| node | load balancer | web |", "| node | node | web |")
    with pytest.raises(SpecError, match="tcp-443 is changed, but vendor has no requirement of this id"):
        move_on(spec, changes(edition("a.md"), new), read_edition(new))


def run(*argv):
    return subprocess.run(
        [sys.executable, "-m", "toolkit", "spec", "diff", *map(str, argv)], capture_output=True, text=True, check=False
    )


def spoil(tmp_path, reference, old, new):
    text = (reference.folder / "specs" / "uipath-automation-suite.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "new.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return reference.folder / "specs" / "uipath-automation-suite.yaml", path


@pytest.mark.parametrize(
    ("old", "new", "risk", "more", "fewer"),
    [
        ("purpose: etcd clients", "purpose: who asks etcd", "none", 0, 0),
        ('ports: "10250"', 'ports: "10251"', "medium", 6, 6),
        (
            "    sources: [client]\n    destinations: [load_balancer]",
            "    sources: [client]\n    destinations: [node]",
            "high",
            3,
            1,
        ),
    ],
)
def test_a_site_says_what_an_edition_would_open_and_close(tmp_path, reference, old, new, risk, more, fewer):
    done = run(*spoil(tmp_path, reference, old, new), "-i", reference.folder, "--json")
    found = json.loads(done.stdout)
    assert (found["risk"], len(found["flows"]["added"]), len(found["flows"]["removed"])) == (risk, more, fewer)
    assert done.returncode == (0 if risk == "none" else 3)
    for device in found["devices"]:
        assert bool(device["opens"]) == (device["opened"] is not None)
        assert bool(device["closes"]) == (device["closed"] is not None)
    if risk == "medium":
        assert {one["device"] for one in found["devices"]} == {"leaf1", "leaf2", "fw1"}
        assert {one["opened"]["dport"] for one in found["devices"]} == {10251}
        assert {one["closed"]["dport"] for one in found["devices"]} == {10250}


def test_an_edition_that_only_closes_is_of_low_risk(tmp_path, reference):
    text = (reference.folder / "specs" / "uipath-automation-suite.yaml").read_text(encoding="utf-8")
    start = text.index("  - id: client-https")
    path = tmp_path / "new.yaml"
    path.write_text(text[:start] + text[text.index("\nfindings:") + 1 :], encoding="utf-8")
    done = run(reference.folder / "specs" / "uipath-automation-suite.yaml", path, "-i", reference.folder, "--json")
    found = json.loads(done.stdout)
    assert found["risk"] == "low"
    assert [one["kind"] for one in found["requirements"]] == ["removed"]
    assert all(one["opens"] == 0 < one["closes"] for one in found["devices"])
