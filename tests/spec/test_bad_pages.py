"""Pages that cannot be read, or lines of them, each with the exact answer."""

from __future__ import annotations

import pytest

from toolkit.errors import PageError
from toolkit.spec.reader import read_page_file, read_spec_page

NO_TABLE = (
    "page: no port table found; a table needs a column of ports, and headers such as Port, Protocol, Source, Purpose"
)
HEAD = "# Ports\n\n| Port | Protocol | Source | Destination |\n|---|---|---|---|\n"

REFUSED = {
    "empty": (b"", "page: the page is empty"),
    "blank": (b"\xef\xbb\xbf \r\n\t\n", "page: the page is empty"),
    "utf-16": ("# Ports".encode("utf-16"), "page: the page is UTF-16; save it as UTF-8"),
    "latin-1": (b"# Ports\n\ncaf\xe9\n", "page:3: the page is not UTF-8 (byte 0xe9); save it as UTF-8"),
    "binary": (b"PK\x03\x04\x00\x00", "page: the page is no text: it holds zero bytes"),
    "no table": (b"# Ports\n\nOpen TCP port 443 from clients to the load balancer.\n", NO_TABLE),
    "sizes only": (b"| Node | vCPU | RAM | Ports |\n|---|---|---|---|\n| a | 4 | 16 GB | 2 |\n", NO_TABLE),
    "network cards": (b"| Model | Ports |\n|---|---|\n| A | 2 x 10GbE |\n", NO_TABLE),
    "code block": (b"```\n| Port | Protocol |\n|---|---|\n| 443 | TCP |\n```\n", NO_TABLE),
    "comment": (b"<!--\n| Port | Protocol |\n|---|---|\n| 443 | TCP |\n-->\ntext\n", NO_TABLE),
    "html without table": (b"<!DOCTYPE html><html><body><p>443/tcp</p></body></html>", NO_TABLE),
    "header only": (b"| Port | Protocol |\n|---|---|\n", NO_TABLE),
}

ROWS = {
    "above the range": (
        "| 70000 | TCP | clients | nodes |",
        "error port_impossible 5 '70000' is no port: ports go from 1 to 65535; no requirement is made of it",
    ),
    "glued mark without a footnote": (
        "| 300701 | TCP | clients | nodes |",
        "error port_impossible 5 '300701' is no port: ports go from 1 to 65535; no requirement is made of it",
    ),
    "zero": (
        "| 0 | UDP | clients | nodes |",
        "error port_impossible 5 '0' is no port: ports go from 1 to 65535; no requirement is made of it",
    ),
    "backwards": (
        "| 2380-2379 | TCP | nodes | nodes |",
        "error port_impossible 5 '2380-2379' is no port: the range runs backwards; no requirement is made of it",
    ),
    "letter for a digit": (
        "| 4O3 | TCP | clients | nodes |",
        "error port_unreadable 5 '4O3' is no port: it is no number; no requirement is made of it",
    ),
    "words": (
        "| the usual ones | TCP | clients | nodes |",
        "error port_unreadable 5 'the usual ones' is no port: no port number in it; no requirement is made of it",
    ),
    "elsewhere": (
        "| see table 7 | TCP | clients | nodes |",
        "error port_unreadable 5 'see table 7' is no port: it refers to another place; no requirement is made of it",
    ),
    "no port": ("| - | TCP | clients | nodes |", "error port_unreadable 5 '-' is no port for tcp"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_page_that_cannot_be_read(name):
    data, message = REFUSED[name]
    with pytest.raises(PageError) as caught:
        read_spec_page(data, "page")
    assert str(caught.value) == message
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_gives_nothing_usable(read, name):
    row, message = ROWS[name]
    proposal = read(f"{HEAD}{row}\n| 443 | TCP | clients | nodes |\n")
    errors = [one for one in proposal.findings if one.severity.value == "error"]
    assert [f"error {one.code} {one.line} {one.message}" for one in errors] == [message]
    assert [one.id for one in proposal.requirements] == ["tcp-443"]
    assert proposal.has_errors


def test_good_entries_of_a_cell_survive_a_bad_one(read):
    proposal = read(f"{HEAD}| 80, 99999, 443 | TCP | clients | nodes |\n")
    assert [one.ports for one in proposal.requirements] == ["80", "443"]
    assert proposal.has_errors


def test_a_glued_mark_is_only_split_off_when_one_footnote_fits(read):
    page = HEAD + "| 844312 | TCP | clients | nodes |\n\n1 One note about this.\n\n{}\n"
    twelve = read(page.format("12 Another note about this."))
    assert [one.ports for one in twelve.requirements] == ["8443"]
    assert [one.footnotes for one in twelve.requirements] == [("12",)]
    two = read(HEAD + "| 655351 | TCP | a | b |\n\n1 One note about this.\n\n51 Another note about this.\n")
    assert [one.code for one in two.findings if one.severity.value == "error"] == ["port_impossible"]


def test_a_valid_number_is_never_shortened(read):
    proposal = read(HEAD + "| 4431 | TCP | clients | nodes |\n\n1 Open port 443 at night.\n")
    assert [one.ports for one in proposal.requirements] == ["4431"]


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(PageError, match=r"nowhere\.md: no such file"):
        read_page_file(tmp_path / "nowhere.md")
    with pytest.raises(PageError, match="cannot be read: Is a directory"):
        read_page_file(tmp_path)


def test_nothing_of_a_port_table_is_dropped_silently(read):
    rows = ["| x1 | TCP | a | b |", "| 443 | ??? | a | b |", "| | | | |", "| 8443 | TCP | - | - |", "| 1 | 2 | 3 |"]
    proposal = read(HEAD + "\n".join(rows) + "\n")
    spoken = {one.lines[0] for one in proposal.requirements} | {one.line for one in proposal.findings}
    assert spoken >= {5, 6, 8, 9}
