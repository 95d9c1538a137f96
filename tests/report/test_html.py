"""The page shows what it was given, loads nothing, and stays a page whatever names it is given."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from toolkit.errors import InputError, ToolkitError
from toolkit.lab.timeline import Event
from toolkit.report.html import html_page, write_html
from toolkit.report.model import AclRow, DeviceRow, EntryRow, FindingRow, RequirementRow, RunReport, Step

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"' onload='x' &amp; {{ 7 * 7 }}"
VOID = {"meta", "br", "input", "link", "img", "hr"}


class Page(HTMLParser):
    """Checks nesting, and gathers elements, attributes and ids."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.elements, self.attributes, self.ids, self.links = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and "svg" not in self.stack and tag != "svg"]
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def text(report):
    return html_page(report)


def test_the_page_is_well_formed_and_every_id_stands_once(text):
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert page.elements.count("h1") == 1


def test_every_link_leads_to_something_on_the_page(text):
    page = Page(text)
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_nothing_is_loaded_from_anywhere(text):
    page = Page(text)
    assert "http://" not in text
    assert "https://" not in text
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(page.elements)
    assert not [
        name for _, name, _ in page.attributes if name in ("src", "srcset", "style", "action") or name.startswith("on")
    ]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_allows_exactly_the_style_and_script_of_the_page(text, tag):
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    assert len(found) == 1
    digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
    assert f"{tag}-src &#39;sha256-{digest}&#39;" in text or f"{tag}-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert "unsafe-inline" not in text


def test_every_part_is_there(text):
    for part in ("summary", "matrix", "findings", "requirements", "flows", "devices", "run", "limits"):
        assert f'<section id="{part}">' in text
    assert text.count("<figure>") == 3
    assert "tcp-22 (uipath-automation-suite line 10,1)" in text
    assert "header_row_merged" in text
    assert "1 of 2 steps failed. 1 cell wrong. 1 cell inconclusive." in text


def test_wrong_cells_come_first(text):
    matrix = text[text.index('<section id="matrix">') :]
    rows = re.findall(r'<tr data-is="([^"]*)"><td>(\w+)</td>', matrix)
    assert rows[0] == ("denied wrong", "node2")
    assert rows[1] == ("inconclusive", "node1")
    assert "2 cells to look at" in matrix
    assert re.findall(r'<details class="pair" id="pair-\d+"( open)?>', matrix) == [" open", "", "", "", ""]


def test_the_overview_counts_by_role(text):
    assert '<a href="#pair-0">0 of 2, 2 bad</a>' in text  # node -> smtp_server
    assert re.search(r'<td class="open"><a href="#pair-\d">1 of 1</a>', text)


def test_a_run_without_a_bad_cell_is_green(report):
    good = replace(report, steps=(Step("matrix", ok=True),), matrix=report.matrix[:4])
    page = html_page(good)
    assert "Everything that was checked held." in page
    assert "cells to look at" not in page


def test_a_run_that_checked_nothing_is_not_green():
    empty = RunReport("Nothing", "site", "today")
    assert not empty.ok
    assert "Nothing was checked." in html_page(empty)


def test_hostile_text_stays_text():
    row = dict.fromkeys(
        (
            "source",
            "destination",
            "protocol",
            "port",
            "intent",
            "model",
            "expectation",
            "live",
            "wrong",
            "evidence",
            "requirements",
        ),
        HOSTILE,
    )
    report = RunReport(
        title=HOSTILE,
        site=HOSTILE,
        date=HOSTILE,
        steps=(Step(HOSTILE, ok=True, detail=HOSTILE),),
        findings=(FindingRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        requirements=(RequirementRow(*[HOSTILE] * 8, notes=(HOSTILE,)),),
        devices=(
            DeviceRow(
                HOSTILE, HOSTILE, (AclRow(*[HOSTILE] * 3, (EntryRow(*[HOSTILE] * 4, (HOSTILE,), HOSTILE),)),), HOSTILE
            ),
        ),
        limits=(HOSTILE,),
        matrix=(row,),
        services={HOSTILE: {HOSTILE: HOSTILE}},
        timings={HOSTILE: HOSTILE},
        certificate={HOSTILE: HOSTILE},
    )
    text = html_page(report)
    page = Page(text)
    assert page.elements.count("script") == 2
    assert "img" not in page.elements
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in text
    embedded = re.search(r'id="run-data">(.*?)</script>', text, re.DOTALL).group(1)
    assert "<" not in embedded
    assert json.loads(embedded)["title"] == HOSTILE


@pytest.mark.parametrize(
    ("svg", "said"),
    [
        ("<svg><script>alert(1)</script></svg>", "may not hold <script>"),
        ("<svg><foreignObject/></svg>", "may not hold <foreignObject>"),
        ("<svg onload='x'/>", "may not hold the attribute 'onload'"),
        ("<svg><g style='x'/></svg>", "may not hold the attribute 'style'"),
        ("<svg><a href='x'/></svg>", "may not hold <a>"),
        ("<!DOCTYPE svg><svg/>", "no declaration"),
        ("<svg><g></svg>", "not well-formed"),
        ("<g/>", "one <svg> element"),
    ],
)
def test_a_picture_that_does_more_than_draw_is_refused(svg, said):
    with pytest.raises(ToolkitError, match=re.escape(said)):
        html_page(RunReport("t", "s", "d", pictures=(("p", svg),)))


def test_a_row_without_its_verdict_is_refused():
    with pytest.raises(InputError, match="row 1 of the matrix has no live"):
        html_page(RunReport("t", "s", "d", matrix=({"source": "a", "destination": "b", "protocol": "tcp", "port": 1},)))


def test_counts_come_from_the_cells_where_there_are_any(report):
    assert replace(report, counts={"probes": 9, "wrong": 0}).totals["wrong"] == 1
    assert replace(report, matrix=(), counts={"probes": 9}).totals["probes"] == 9


def test_the_file_is_what_the_page_is(report, text, tmp_path):
    write_html(report, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text


def test_a_time_line_shows_what_was_expected_and_seen(report):
    events = (
        Event(0.0, "a moment", "do", "reboot leaf1", HOSTILE, ok=True),
        Event(1.25, "a moment", "expect", "etcd healthy", "healthy", ok=True),
        Event(2.5, "another", "expect", "losses 0", "3 lost", ok=False),
    )
    good = replace(report, steps=(), matrix=(), timeline=events[:2])
    bad = replace(good, timeline=events)
    assert not good.ok  # nothing was checked but a time line of a run without a step
    good, bad = (replace(one, steps=(Step("a moment", ok=True),)) for one in (good, bad))
    assert good.ok
    assert not bad.ok
    text = html_page(bad)
    page = Page(text)
    assert "alert(1)</script><img" not in text.split("<main>")[1]
    assert page.links[:2] == ["#summary", "#timeline"]
    assert "1 of 3 lines of the time line did not hold" in text
    rows = re.findall(r"<tr><td class=\"number\">(\d+\.\d\d)</td><td>(.*?)</td>.*?(yes|no|</td><td></td>)(?:<|$)", text)
    assert [(second, at) for second, at, _ in rows] == [("0.00", "a moment"), ("1.25", ""), ("2.50", "another")]
    assert [held for *_, held in rows] == ["</td><td></td>", "yes", "no"]
    assert "timeline" not in html_page(replace(good, timeline=()))
