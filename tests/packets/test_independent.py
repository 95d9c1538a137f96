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
        "boxes", "point", "decider", "dead", "reasons", "decides", "missed", "overruled", "reading",
    }  # fmt: skip
    assert checked <= set(counts)
    assert counts["OxiDD"] + counts["every point"] == 60 * FUZZ


def wrong_place(place):
    """Entries end one value too early."""

    def changed(self, edges, labels):
        lasts, pieces = place(self, edges, labels)
        return [*(last - 1 for last in lasts[:-1]), lasts[-1]], pieces

    return changed


def wrong_union(_):
    return lambda self, other: self - other


def forgetful(pieces):
    """What the last addresses of a stretch meet is what is met before them."""

    def changed(active, intervals, stretch):
        lasts, found = pieces(active, intervals, stretch)
        return lasts, [*found[:-1], found[-2] if len(found) > 1 else found[-1]]

    return changed


def late(turns):
    """An entry that ends is still there for one turn."""

    def changed(intervals, labels):
        for turn in turns(intervals, labels):
            active = sorted({*turn.active, *turn.changed})
            yield turn._replace(active=active, labels=[labels[one] for one in active])

    return changed


def short_sighted(meeting):
    """Neighbours that begin before an entry are overlooked."""
    return lambda self, intervals: {
        number for starts in self.sizes.values() for low, number in starts if any(a <= low <= b for a, b in intervals)
    }


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (diagram.Diagram, "_place", wrong_place),
        (diagram, "pieces", forgetful),
        (diagram, "turns", late),
        (PacketSet, "__or__", wrong_union),
        (survey, "pieces", forgetful),
        (_Index, "meeting", short_sighted),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("starts", [range(0, 1000, 200), range(100, 1000, 200)], ids=["OxiDD", "every point"])
def test_a_fault_is_found(monkeypatch, owner, name, fault, starts):
    """The checkers can say no: each fault ends a run of few cases, whichever of the two engines judges."""
    monkeypatch.setattr(owner, name, fault(getattr(owner, name)))
    with pytest.raises(AssertionError, match=r"case \d+"):
        list(map(fuzz.run, starts, [100] * len(starts)))
