"""JUnit: what failed, what nobody knows, and how many of each."""

# ruff: noqa: S314 - the XML is what this room has just written

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from toolkit.lab.timeline import Event
from toolkit.report.junit import junit_xml, write_junit
from toolkit.report.model import RunReport, Step


@pytest.fixture(scope="module")
def root(report):
    return ET.fromstring(junit_xml(report))


def suite(root, name):
    return next(one for one in root if one.get("name") == name)


def test_steps_are_cases(root):
    steps = suite(root, "steps")
    assert [case.get("name") for case in steps] == ["lab up", "matrix"]
    assert (steps.get("tests"), steps.get("failures"), steps.get("errors")) == ("2", "1", "0")
    assert steps[0].get("time") == "1.25"
    assert steps[1].find("failure").get("message") == "1 wrong"


def test_pairs_of_roles_and_bad_cells_are_cases(root):
    matrix = suite(root, "matrix")
    by_class = [case.get("classname") for case in matrix]
    assert by_class.count("matrix.roles") == 5
    assert by_class.count("matrix.cell") == 2
    # One pair holds both bad cells: a failure of its own, the wrong cell's failure, the inconclusive cell's error.
    assert (matrix.get("tests"), matrix.get("failures"), matrix.get("errors")) == ("7", "2", "1")
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("9", "3", "1")


def test_a_bad_cell_says_who_said_what(root):
    cases = {case.get("name"): case for case in suite(root, "matrix")}
    wrong = cases["node2 -> smtp1 tcp/587"].find("failure").get("message")
    assert wrong == (
        "wrong: live; intent permitted, model permitted, expectation permitted, live denied; evidence: none"
    )
    assert "silence" in cases["node1 -> smtp1 tcp/25"].find("error").get("message")
    assert "2 probes" in cases["node -> smtp_server"].find("system-out").text


def test_a_good_run_has_no_failure(report):
    good = replace(report, steps=report.steps[:1], matrix=report.matrix[:4])
    root = ET.fromstring(junit_xml(good))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "0", "0")


def test_text_that_xml_cannot_hold_is_replaced(tmp_path):
    hostile = "a<b>&\"'\x00\x1b[31m\ud800"
    write_junit(RunReport(hostile, "s", "d", steps=(Step(hostile, ok=False, detail=hostile),)), tmp_path / "junit.xml")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert root[0][0].get("name") == "a<b>&\"'  [31m "


def test_every_expectation_of_a_scenario_is_a_case(report):
    events = (
        Event(0.0, "now", "do", "push", "applied", ok=True),
        Event(1.0, "now", "expect", "losses 0", "0 lost", ok=True),
        Event(2.0, "now", "expect", "etcd healthy", "broken", ok=False),
        Event(3.0, "now", "do", "reboot leaf1", "could not be done", ok=False),
    )
    timeline = suite(ET.fromstring(junit_xml(replace(report, timeline=events))), "timeline")
    assert [case.get("name") for case in timeline] == ["now: losses 0", "now: etcd healthy", "now: reboot leaf1"]
    assert [case.find("failure") is None for case in timeline] == [True, False, False]
    assert timeline[1].find("failure").get("message") == "broken"
