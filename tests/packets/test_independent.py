"""A sample of `make fuzz`: every operation against OxiDD and against every point, and the checkers against faults."""

from __future__ import annotations

import pytest

from tests.packets import fuzz
from tests.packets.oracle import FUZZ
from toolkit.packets import diagram, survey
from toolkit.packets.dead import _Index
from toolkit.packets.sets import PacketSet


@pytest.mark.parametrize("start", [0, 100, 1_000_000, 1_000_100])
def test_no_answer_differs(start):
    counts = fuzz.run(start, 60 * FUZZ)
    checked = {
        "build", "re-check", "equality", "union", "difference", "intersection", "complement", "subset", "emptiness", "witness",
        "boxes", "point", "decider", "dead", "reasons", "decides", "missed", "reading",
    }  # fmt: skip
    assert checked <= set(counts)
    assert counts["OxiDD"] + counts["every point"] == 60 * FUZZ


def wrong_cut(cut):
    """Entries end one value too early."""

    def changed(self, level, items, labels):
        lasts, pieces = cut(self, level, items, labels)
        return [last - 1 if last < self.maxima[level] else last for last in lasts], pieces

    return changed


def wrong_union(_):
    return lambda self, other: self - other


def forgetful(cells):
    """The last list of entries that sources meet is not looked at."""
    return lambda self, active, low, high: list(cells(self, active, low, high))[:-1]


def short_sighted(meeting):
    """Neighbours that begin before an entry are overlooked."""
    return lambda self, intervals: {
        number for starts in self.sizes.values() for low, number in starts if any(a <= low <= b for a, b in intervals)
    }


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (diagram.Diagram, "cut", wrong_cut),
        (PacketSet, "__or__", wrong_union),
        (survey._Plane, "_cells", forgetful),
        (_Index, "meeting", short_sighted),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("start", [0, 100], ids=["OxiDD", "every point"])
def test_a_fault_is_found(monkeypatch, owner, name, fault, start):
    """The checkers can say no: each fault ends a run of a hundred cases, whichever of the two engines judges."""
    monkeypatch.setattr(owner, name, fault(getattr(owner, name)))
    with pytest.raises(AssertionError, match=r"case \d+"):
        fuzz.run(start, 100)
