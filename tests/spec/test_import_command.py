"""`toolkit spec import`: what goes to stdout, to stderr and to files, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

GOOD = "# Ports\n\n| Port | Protocol | Source | Destination |\n|---|---|---|---|\n| 443 | TCP | clients | load balancer |\n"
BAD = GOOD + "| 70000 | TCP | clients | nodes |\n| 8/0 | ICMP | any | nodes |\n"
KEYS = [
    "id",
    "protocol",
    "ports",
    "sources",
    "destinations",
    "constraints",
    "condition",
    "purpose",
    "lines",
    "footnotes",
]


@pytest.fixture
def run(tmp_path):
    def call(text: str | None, *arguments: str):
        page = tmp_path / "page.md"
        if text is not None:
            page.write_text(text, encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "toolkit", "spec", "import", str(page), *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    return call


def test_json_is_the_contract(run):
    done = run(GOOD, "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert list(answer) == ["document", "sha256", "requirements", "findings"]
    assert answer["document"] == "page.md"
    (requirement,) = answer["requirements"]
    assert list(requirement) == KEYS
    assert requirement["lines"] == [5]
    assert done.stderr == ""


def test_json_is_printed_with_errors_too(run):
    done = run(BAD, "--json")
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert [one["id"] for one in answer["requirements"]] == ["tcp-443", "icmp-8-0"]
    icmp = answer["requirements"][1]
    assert (icmp["ports"], icmp["icmp"]) == (None, "8/0")
    (error,) = [one for one in answer["findings"] if one["severity"] == "error"]
    assert list(error) == ["code", "severity", "message", "line"]
    assert (error["code"], error["line"]) == ("port_impossible", 6)


def test_a_page_without_a_port_table_is_one_line_and_exit_2(run):
    done = run("# Nothing\n", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "no port table found" in done.stderr


def test_a_missing_page_is_exit_2(run):
    done = run(None)
    assert done.returncode == 2
    assert "no such file" in done.stderr


def test_without_output_nothing_is_written(run, tmp_path):
    assert run(GOOD).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_a_reviewed_file_is_never_overwritten_by_accident(run, tmp_path):
    from toolkit.spec.model import load_spec

    target = tmp_path / "spec.yaml"
    assert run(GOOD, "-o", str(target)).returncode == 0
    spec, _ = load_spec(target)
    assert [one.id for one in spec.requirements] == ["tcp-443"]
    target.write_text("mine", encoding="utf-8")
    done = run(GOOD, "-o", str(target))
    assert done.returncode == 2
    assert "the file exists; use --force" in done.stderr
    assert target.read_text(encoding="utf-8") == "mine"
    assert run(GOOD, "-o", str(target), "--force").returncode == 0
    assert target.read_text(encoding="utf-8") != "mine"


def test_people_get_a_table_and_the_findings_on_stderr(run):
    done = run(BAD)
    assert done.returncode == 2
    header, first, *_ = done.stdout.splitlines()
    assert header.split() == ["LINE", "ID", "PROTOCOL", "PORT", "FROM", "TO", "CONSTRAINTS", "CONDITION"]
    assert first.split() == ["5", "tcp-443", "tcp", "443", "client", "load_balancer"]
    assert "error: port_impossible (line 6)" in done.stderr
