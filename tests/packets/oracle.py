"""The slow truth: entries evaluated one by one for one point, without a diagram and without `toolkit.packets.box`.

`TOOLKIT_FUZZ=20 pytest tests/packets` runs twenty times as many cases as usual.
"""

from __future__ import annotations

import os
from itertools import product

from hypothesis import strategies as st

from toolkit.net import Action
from toolkit.packets import Box

FUZZ = int(os.environ.get("TOOLKIT_FUZZ", "1"))

ICMP, TCP, UDP, SCTP = 1, 6, 17, 132
PORTED = (TCP, UDP, SCTP)
FULL_MAXIMA = (255, 2**32 - 1, 2**32 - 1, 65535, 65535, 3)
SMALL_MAXIMA = (18, 1, 1, 2, 2, 3)  # holds ICMP, TCP, UDP, protocols between them, and one above
TINY_MAXIMA = (7, 1, 0, 1, 1, 3)

PERMIT, DENY = Action.PERMIT, Action.DENY


def points(maxima):
    return list(product(*(range(top + 1) for top in maxima)))


def fields(point):
    """(sport, dport, flags) that the packet at a point has; None for a field that it lacks."""
    protocol, _, _, dport, sport, flags = point
    if flags & 2:
        return None, None, 2
    ack = flags & 1 if protocol == TCP else 0
    return (
        sport if protocol in PORTED else None,
        dport if protocol in (*PORTED, ICMP) else None,
        ack,
    )


def matches(box, point, maxima):
    """Whether a box matches the packet at a point: every condition must hold, on a field that is there."""
    sport, dport, flags = fields(point)

    def port_ok(interval, top, value):
        unconditional = interval[0] == 0 and interval[1] >= top
        return unconditional or (value is not None and interval[0] <= value <= interval[1])

    inside = all(
        low <= value <= high for (low, high), value in zip((box.protocol, box.dst, box.src), point[:3], strict=True)
    )
    return (
        inside
        and box.flags[0] <= flags <= box.flags[1]
        and port_ok(box.dport, maxima[3], dport)
        and port_ok(box.sport, maxima[4], sport)
    )


def first_match(entries, point, maxima, skip=None):
    """Index of the first entry that matches, None where none does."""
    return next((i for i, (_, box) in enumerate(entries) if i != skip and matches(box, point, maxima)), None)


def permits(entries, point, maxima, default=DENY, skip=None):
    index = first_match(entries, point, maxima, skip)
    return (default if index is None else entries[index][0]) is PERMIT


# ---- random entries -----------------------------------------------------------------------


def interval(random, top):
    if random.random() < 0.4:
        return (0, top)
    low, high = sorted((random.randint(0, top), random.randint(0, top)))
    return (low, high)


def protocol(random, top):
    chosen = random.choice((ICMP, TCP, UDP, None, "range"))
    if chosen is None:
        return (0, 255)
    return interval(random, top) if chosen == "range" or chosen > top else (chosen, chosen)


def small_box(random, maxima=SMALL_MAXIMA):
    return Box(protocol(random, maxima[0]), *(interval(random, top) for top in maxima[1:]))


def small_entries(random, longest=7, maxima=SMALL_MAXIMA):
    return [(random.choice((PERMIT, DENY)), small_box(random, maxima)) for _ in range(random.randint(0, longest))]


# ---- boxes over the full domains, with few distinct edges so that all cells can be visited -----

EDGES = (
    ((0, 255), (TCP, TCP), (UDP, UDP), (ICMP, ICMP), (0, 0), (47, 255), (0, 17)),
    ((0, 2**32 - 1), (0, 0), (2**32 - 1, 2**32 - 1), (10 << 24, (11 << 24) - 1), (0, 2**31 - 1)),
    ((0, 2**32 - 1), (0, 255), (2**32 - 256, 2**32 - 1), (2**31, 2**32 - 1)),
    ((0, 65535), (0, 0), (65535, 65535), (443, 443), (2048, 2303), (0, 1023)),
    ((0, 65535), (1024, 65535), (0, 1023), (65535, 65535)),
    ((0, 3), (0, 1), (1, 1), (0, 0), (2, 3), (3, 3), (1, 2)),
)
# One protocol of each kind, and the edges of the kinds.
PROTOCOLS = (0, 1, 2, 6, 7, 17, 18, 47, 132, 133, 255)

full_boxes = st.builds(Box, *(st.sampled_from(edges) for edges in EDGES))
full_entries = st.lists(st.tuples(st.sampled_from((PERMIT, DENY)), full_boxes), max_size=4)


def cells(*lists):
    """One point of every cell into which the boxes cut the full space: no two lists differ inside a cell only."""
    boxes = [box for entries in lists for _, box in entries]
    cuts = [set(PROTOCOLS)]
    for name, top in zip(("dst", "src", "dport", "sport"), FULL_MAXIMA[1:5], strict=True):
        ends = {one for box in boxes for one in (getattr(box, name)[0], getattr(box, name)[1] + 1)}
        cuts.append({0} | {one for one in ends if one <= top})
    return product(*map(sorted, cuts), range(4))


def edge_points(random, boxes, how_many):
    """Points whose coordinates are first or last values of boxes, one beside them, or ends of the domain."""
    coordinates = []
    for dimension, top in enumerate(FULL_MAXIMA):
        ends = [one for box in boxes for edge in box.intervals[dimension] for one in (edge - 1, edge, edge + 1)]
        coordinates.append([0, top, *(one for one in ends if 0 <= one <= top)])
    return [tuple(random.choice(values) for values in coordinates) for _ in range(how_many)]
