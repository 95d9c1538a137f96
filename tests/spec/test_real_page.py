"""The vendor's page as Markdown and as HTML says what a careful engineer reads in it, and what the committed spec says."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from toolkit.spec.model import load_spec
from toolkit.spec.page import Heading, Prose, read_page_bytes
from toolkit.spec.reader import read_spec_page

ROOT = Path(__file__).resolve().parents[2]
NODES = ("node",)
BOTH = ("node", "load_balancer")
PRIVATE = {"no_internet", "private_only"}
OFFLINE_INSTALL = "offline and not external_registry and phase in (install, upgrade)"
# id -> protocol, ports, sources, destinations, constraints, condition; written from the page by hand.
EXPECTED = {
    "tcp-22": ("tcp", "22", ("jump_server", "client"), NODES, {"no_internet"}, None),
    "tcp-443": ("tcp", "443", BOTH, BOTH, {"bidirectional"}, None),
    "tcp-2379": ("tcp", "2379", NODES, NODES, PRIVATE, None),
    "tcp-2380": ("tcp", "2380", NODES, NODES, PRIVATE, None),
    "tcp-6443": ("tcp", "6443", NODES, NODES, {"bidirectional"}, None),
    "udp-8472": ("udp", "8472", NODES, NODES, PRIVATE, None),
    "tcp-9090": ("tcp", "9090", NODES, NODES, {"bidirectional"}, None),
    "tcp-9345": ("tcp", "9345", BOTH, BOTH, {"bidirectional"}, None),
    "tcp-10250": ("tcp", "10250", NODES, NODES, PRIVATE, None),
    "tcp-30071": ("tcp", "30071", NODES, NODES, PRIVATE, None),
    "tcp-80": ("tcp", "80", NODES, ("smtp_server",), PRIVATE, "offline"),
    "tcp-587": ("tcp", "587", NODES, ("smtp_server",), PRIVATE, "offline"),
    "tcp-30070": ("tcp", "30070", ("install_machine",), ("temporary_registry",), set(), OFFLINE_INSTALL),
    "sql-server": ("tcp", "1433", NODES, ("sql_server",), set(), None),
    "lb-health-9345": ("tcp", "9345", ("load_balancer",), NODES, {"health_check"}, None),
    "direct-kube-api-6443": ("tcp", "6443", ("client",), NODES, set(), "direct_kube_api"),
}
LINES = {
    "tcp-22": {10, 1}, "tcp-443": {11}, "tcp-2379": {12}, "tcp-2380": {13}, "tcp-6443": {14}, "udp-8472": {15},
    "tcp-9090": {16}, "tcp-9345": {17}, "tcp-10250": {18}, "tcp-30071": {19}, "tcp-80": {25, 21},
    "tcp-587": {26, 21}, "tcp-30070": {27, 29, 21}, "sql-server": {31}, "lb-health-9345": {31},
    "direct-kube-api-6443": {31},
}  # fmt: skip
TRAPS = {
    ("node_firewall", 3), ("header_row_merged", 10), ("header_row_merged", 25), ("port_footnote_glued", 27),
    ("misprint", 31), ("prose_requirement", 31), ("port_left_to_site", 31), ("port_forbidden", 31),
    ("client_access_unstated", 11), ("port_is_site_choice", 25), ("port_is_site_choice", 26),
    *{("destination_derived", line) for line in (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 25, 26, 27, 31)},
    *{("edition_differs", line) for line in (12, 13, 14, 15, 17, 27)}, ("source_derived", 31),
}  # fmt: skip


def meaning(one):
    return (one.protocol, one.ports, one.sources, one.destinations, {c.value for c in one.constraints}, one.condition)


def as_html(page, *, sup: bool, thead: bool, close: bool) -> str:
    """The page as HTML, as a vendor's site or a saved copy of it would have it."""
    out = ["<!DOCTYPE html>", "<html><body>"]
    for block in page.blocks:
        if isinstance(block, Heading):
            out.append(f"<h{block.level}>{html.escape(block.text)}</h{block.level}>")
        elif isinstance(block, Prose):
            out.append("<p>" + "\n".join(html.escape(text) for _, text in block.pieces) + "</p>")
        else:
            out.append("<table>" + "<thead>" * thead)
            out.append("<tr>" + "".join(f"<th>{cell.text}" + "</th>" * close for cell in block.header.cells))
            out.append("</tr></thead><tbody>" if thead else "")
            for row in block.rows:
                texts = [html.escape(cell.text) for cell in row.cells]
                texts = [text.replace("300701", "30070<sup>1</sup>") if sup else text for text in texts]
                out.append("<tr>\n" + "\n".join(f"<td>{text}" + "</td>" * close for text in texts) + "\n</tr>" * close)
            out.append("</tbody>" * thead + "</table>")
    return "\n".join([*out, "</body></html>"])


def test_every_row_and_prose_rule_of_the_page_and_no_other(real_page):
    proposal = read_spec_page(real_page, "page.md")
    assert {one.id: meaning(one) for one in proposal.requirements} == EXPECTED
    assert not proposal.has_errors


def test_each_requirement_cites_its_row_and_what_shaped_it(real_page):
    proposal = read_spec_page(real_page, "page.md")
    assert {one.id: set(one.lines) for one in proposal.requirements} == LINES
    assert all(one.lines[0] == min(LINES[one.id] - {1, 21}) for one in proposal.requirements)
    assert {one.id: one.footnotes for one in proposal.requirements if one.footnotes} == {"tcp-30070": ("1",)}


def test_each_trap_is_a_finding_with_its_line(real_page):
    found = {(one.code, one.line) for one in read_spec_page(real_page, "page.md").findings}
    assert found == TRAPS


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark_change_nothing(real_page, ends, mark):
    proposal = read_spec_page(mark + real_page.replace(b"\n", ends), "page")
    assert {one.id: (*meaning(one), set(one.lines)) for one in proposal.requirements} == {
        name: (*EXPECTED[name], LINES[name]) for name in EXPECTED
    }


@pytest.mark.parametrize("sup", [True, False])
@pytest.mark.parametrize(("thead", "close"), [(True, True), (False, True), (False, False)])
def test_the_same_page_as_html_says_the_same(real_page, sup, thead, close):
    text = as_html(read_page_bytes(real_page, "page.md"), sup=sup, thead=thead, close=close)
    proposal = read_spec_page(text.encode(), "page.md")
    assert {one.id: meaning(one) for one in proposal.requirements} == EXPECTED
    codes = {one.code for one in proposal.findings}
    # What is broken in the Markdown only is whole here.
    expected = {code for code, _ in TRAPS} - {"header_row_merged"} - ({"port_footnote_glued"} if sup else set())
    assert codes == expected
    lines = text.split("\n")
    for one in proposal.requirements[:13]:
        assert lines[one.lines[0] - 1].lstrip().startswith("<t"), one.id


def test_the_committed_spec_says_what_the_page_says(real_page):
    proposal = read_spec_page(real_page, "page.md")
    spec, _ = load_spec(ROOT / "inventory/specs/uipath-automation-suite.yaml")
    committed = {one.id: one for one in spec.requirements if one.added_by_operator is None}
    imported = {one.id: one for one in proposal.requirements}
    assert spec.document.sha256 == proposal.sha256
    assert committed.keys() == imported.keys()
    for name, one in imported.items():
        other = committed[name]
        assert meaning(other) == meaning(one), name
        assert set(other.lines) == set(one.lines), name
        assert (other.footnotes, other.reply, other.port_setting) == (one.footnotes, one.reply, one.port_setting), name
        assert other.purpose
        assert other.purpose.lower() != one.purpose.lower(), f"{name}: the purpose is to be in our own words"
    assert dict(spec.forbidden_ports) == dict(proposal.forbidden_ports)
    assert {(one.code, one.line) for one in spec.findings} >= {
        key for key in TRAPS if key != ("destination_derived", 31)
    }


def test_what_the_operator_decided_is_kept_apart_from_the_page():
    spec, _ = load_spec(ROOT / "inventory/specs/uipath-automation-suite.yaml")
    assert spec.requirement("tcp-22").effective_sources == ("jump_server",)
    assert spec.requirement("tcp-30070").effective_sources == ("install_machine", "node")
    added = [one for one in spec.requirements if one.added_by_operator]
    assert [(one.id, one.sources, one.destinations, one.ports) for one in added] == [
        ("client-https", ("client",), ("load_balancer",), "443")
    ]
