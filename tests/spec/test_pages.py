"""Pages of many shapes, in words of our own, each beside the reading that a careful engineer would give it.

`pages/<name>.expected` was printed by the reader, then read against its page by eye; no test writes it. A requirement is
`line: protocol ports sources > destinations [constraints] {condition} (other lines that shaped it)`; a finding is
`severity code line`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.spec.model import load_spec
from toolkit.spec.reader import read_page_file

PAGES = sorted(path for path in (Path(__file__).parent / "pages").iterdir() if path.suffix in (".md", ".html"))


def shown(one) -> str:
    ports = one.icmp if one.protocol == "icmp" else one.ports
    parts = [f"{one.lines[0]}: {one.protocol} {ports or '-'} {','.join(one.sources)} > {','.join(one.destinations)}"]
    parts += [f"[{','.join(constraint.value for constraint in one.constraints)}]"] if one.constraints else []
    parts += [f"{{{one.condition}}}"] if one.condition else []
    parts += [f"({','.join(map(str, sorted(one.lines[1:])))})"] if one.lines[1:] else []
    return " ".join(parts)


def reading(proposal) -> list[str]:
    found = [shown(one) for one in proposal.requirements]
    return [*found, *(f"{one.severity.value} {one.code} {one.line}" for one in proposal.findings)]


def test_there_are_enough_shapes():
    assert len(PAGES) >= 25


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page(path):
    expected = path.with_suffix(f"{path.suffix}.expected").read_text(encoding="utf-8").splitlines()
    assert reading(read_page_file(path)) == expected


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_proposal_is_a_spec_that_loads(path, tmp_path):
    proposal = read_page_file(path)
    target = tmp_path / "proposed.yaml"
    target.write_text(proposal.as_yaml(), encoding="utf-8")
    spec, _ = load_spec(target)
    assert [one.id for one in spec.requirements] == [one.id for one in proposal.requirements]
    assert [one.lines for one in spec.requirements] == [one.lines for one in proposal.requirements]
    assert [one.protocol for one in spec.requirements] == [one.protocol for one in proposal.requirements]
