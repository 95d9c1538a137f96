"""Interval decision diagrams: sets of points as shared, canonical graphs of integers.

A node splits one dimension (its level) into intervals, each with a child of a deeper level; `NONE` and `ALL` are the
two ends. These hold for every node, and `Diagram._node`, the only place that makes one, keeps them:

1. the intervals cover the dimension from 0 to its maximum, in order and without gaps;
2. neighbouring intervals have different children, so there are at least two;
3. equal nodes are one node (hash-consing).

By induction over the levels, two sets of points are equal exactly when their nodes are the same number. The depth of
every recursion is the number of dimensions.

An ordered list of boxes is not built up by unions: it is cut, dimension after dimension, into pieces with the
sublist of entries that reach them, and equal sublists are built once (`build`). The memo stays, so a list that
differs in one line costs little after its predecessor. Nothing is ever freed; a diagram lives as long as a question.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import contextmanager
from enum import Enum
from itertools import groupby
from math import inf, prod
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import BudgetError
from toolkit.packets.sweep import pieces, pieces_alike, spliced, stretches, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolkit.packets.box import Interval

Node = tuple[int, tuple[int, ...], tuple[int, ...]]  # level, last value of each interval, child of each interval
# First value, last value, suffix of the next level, whether it matches everything; whether it does so in all dimensions
# but the last, and a bit for each value of the last one that it may match there.
Suffix = tuple[int, int, int, bool, bool, int]
Items = tuple[int, ...]  # first match wins; an item is (suffix number * 2 + 1 for permit, + 0 for deny)

NONE: Final = 0
ALL: Final = 1
CROWDED: Final = 8  # pieces in which an item lies on average, from which on a list is worth a pass of its own
PATCHED: Final = 4  # a node is changed rather than built where fewer than one item in so many came or went
BUDGET_VARIABLE: Final = "TOOLKIT_BUDGET"
CHEAP: Final = 8  # items that are passed over for the price of one that is placed
WHOLE: Final = 3  # indices of fields of a suffix
WIDE: Final = 4
MASK: Final = 5


class Operation(Enum):
    """Two sets in, one set out."""

    AND = "and"
    OR = "or"
    MINUS = "minus"


class Edges(NamedTuple):
    """Where a cut happens: ends of the pieces (exclusive), for each item the numbers of its pieces, how many in all."""

    stops: list[int]
    spans: list[Interval]
    places: int


class Diagram:
    """All nodes over dimensions that go from 0 to `maxima`, and every result so far."""

    def __init__(self, maxima: Sequence[int]) -> None:
        self.maxima = tuple(maxima)
        self.depth = len(self.maxima)
        self.nodes: list[Node] = [(self.depth, (), ()), (self.depth, (), ())]
        self.suffixes: list[list[Suffix]] = [[] for _ in range(self.depth + 1)]
        self.every = (2 << self.maxima[-1]) - 1  # all values of the last dimension, which is small, as bits
        self.suffixes[self.depth].append((0, 0, 0, True, True, self.every))
        self._node_number: dict[Node, int] = {}
        self._suffix_number: list[dict[tuple[int, int, int], int]] = [{} for _ in self.maxima]
        self._several: list[dict[int, tuple[Interval, ...]]] = [{} for _ in self.maxima]  # suffixes of some intervals
        self._several_number: list[dict[tuple[tuple[Interval, ...], int], int]] = [{} for _ in self.maxima]
        self._built: list[dict[Items, int]] = [{} for _ in range(self.depth + 1)]
        self._built_as_given: list[dict[Items, int]] = [{} for _ in range(self.depth + 1)]
        self._combined: dict[Operation, dict[tuple[int, int], int]] = {operation: {} for operation in Operation}
        self.crowded, self.patched = CROWDED, PATCHED  # tests lower them
        self._steps = self._allowed = 0
        self._limit = inf

    # ---- building -------------------------------------------------------------------------

    def prefixed(self, level: int, interval: Interval, following: int | None) -> int | None:
        """Number of the suffix that an interval and a suffix of the next level make; 0 is the empty one at the end.

        None where the interval lies outside the maxima, or `following` is None. So boxes share what they agree on
        from a level on.
        """
        low, high = interval
        top = self.maxima[level]
        if following is None or low > top:
            return None
        high = min(high, top)
        key = (low, high, following)
        number = self._suffix_number[level].get(key)
        if number is None:
            number = self._suffix_number[level][key] = len(self.suffixes[level])
            if level == self.depth - 1:
                wide, mask = True, (2 << high) - (1 << low)
            else:
                *_, wide, mask = self.suffixes[level + 1][following]
                wide = wide and low == 0 and high == top
            self.suffixes[level].append((low, high, following, wide and mask == self.every, wide, mask))
        return number

    def prefixed_all(self, level: int, intervals: Sequence[Interval], following: int | None) -> int | None:
        """As `prefixed`, for several disjoint intervals in order; None where all of them lie outside the maxima."""
        top = self.maxima[level]
        kept = tuple(intervals)
        if kept and kept[-1][1] > top:
            kept = tuple((low, min(high, top)) for low, high in kept if low <= top)
        if following is None or len(kept) <= 1:
            return self.prefixed(level, kept[0], following) if kept else None
        number = self._several_number[level].get((kept, following))
        if number is None:
            number = self._several_number[level][kept, following] = len(self.suffixes[level])
            mask = self.suffixes[level + 1][following][MASK]
            self.suffixes[level].append((kept[0][0], kept[-1][1], following, False, False, mask))
            self._several[level][number] = kept
        return number

    def intervals(self, level: int, number: int) -> tuple[Interval, ...]:
        """Intervals of a suffix at its level, in order."""
        several = self._several[level].get(number)
        return several or (self.suffixes[level][number][:2],)

    def build(self, level: int, items: Items) -> int:
        """Node of what a first-match list permits, over the dimensions from `level` on; the default is deny."""
        node = self._built_as_given[level].get(items)
        if node is None:
            shortened = self._shorten(level, items)
            node = self._built[level].get(shortened)
            if node is None:
                node = self._built[level][shortened] = self._build(level, shortened)
            self._built_as_given[level][items] = node
        return node

    def _build(self, level: int, items: Items) -> int:
        if not items:
            return NONE
        if self.suffixes[level][items[0] >> 1][WHOLE]:
            return items[0] & 1
        rest = [self.suffixes[level][item >> 1][2] << 1 | item & 1 for item in items]
        if self._several[level]:
            lasts, found = self._cut_alike(level, items, rest)
        else:
            edges = self._edges(level, items)
            if edges.places > self.crowded * len(items) and level < self.depth - 1:
                return self._build_crowded(level, items, rest)
            lasts, found = self._place(edges, rest)
        return self._node(level, lasts, [self.build(level + 1, tuple(piece)) if piece else NONE for piece in found])

    def _build_crowded(self, level: int, items: Items, rest: list[int]) -> int:
        """As `_build`, where items lie in many pieces: a piece's node is the one before it, changed where items do."""
        following = [self.intervals(level + 1, item >> 1) for item in rest]
        known = self._built_as_given[level + 1]
        lasts: list[int] = []
        children = [NONE]  # of what lies before the first turn
        for turn in turns([self.intervals(level, item >> 1) for item in items], rest):
            lasts.append(turn.value - 1)
            piece = tuple(turn.labels)
            node = known.get(piece) if piece else NONE
            if node is None and len(turn.active) < self.patched * len(turn.changed):
                node = self.build(level + 1, piece)
            elif node is None:
                node = children[-1]
                for stretch in stretches(turn.changed, following):
                    node = self._patched(level + 1, node, stretch, turn.active, following, rest)
                known[piece] = node
            children.append(node)
        top = self.maxima[level]
        if lasts[-1] == top:
            children.pop()
        else:
            lasts.append(top)
        if lasts[0] < 0:
            del lasts[0], children[0]
        return self._node(level, lasts, children)

    def _patched(
        self,
        level: int,
        node: int,
        stretch: Interval,
        active: Sequence[int],
        intervals: Sequence[Sequence[Interval]],
        rest: Sequence[int],
    ) -> int:
        """A node with another content in one stretch: what the active items say there."""
        suffixes = self.suffixes[level]
        ends, found = pieces(active, intervals, stretch)
        lasts, children = self._split(level, node)
        self.spend((len(active) + len(lasts)) // CHEAP + sum(map(len, found)))
        inside = [
            self.build(level + 1, tuple([suffixes[rest[one] >> 1][2] << 1 | rest[one] & 1 for one in piece]))
            if piece
            else NONE
            for piece in found
        ]
        return self._node(level, *spliced(lasts, children, stretch, ends, inside))

    def _shorten(self, level: int, items: Iterable[int]) -> Items:
        """The same meaning in fewer words, so that more lists meet in the memo.

        Repeats and whatever follows an entry that matches everything (or everything with some flags, where it has these
        flags as well) are never reached; trailing denies are the default; permits before a permit of everything add
        nothing; neighbours of one action may change places.
        """
        suffixes, every = self.suffixes[level], self.every
        reached: dict[int, int] = {}
        covered = 0
        for item in items:
            number = item >> 1
            if number not in reached:
                _, _, _, _, wide, mask = suffixes[number]
                if covered and not mask & ~covered:
                    continue
                reached[number] = item
                if wide:
                    covered |= mask
                    if covered == every:
                        break
        kept = list(reached.values())
        while kept and not kept[-1] & 1:
            kept.pop()
        if kept and suffixes[kept[-1] >> 1][WHOLE]:
            while len(kept) > 1 and kept[-2] & 1:
                del kept[-2]
        ordered: list[int] = []
        for _, run in groupby(kept, _is_permit):
            ordered += sorted(run)
        return tuple(ordered)

    def cut(self, level: int, items: Sequence[int], labels: Sequence[int]) -> tuple[list[int], list[list[int]]]:
        """Cut a dimension where any item begins or ends.

        Returns the last value of each piece, and for each piece the labels of the items that cover it, in order.
        """
        if self._several[level]:
            return self._cut_alike(level, items, labels)
        return self._place(self._edges(level, items), labels)

    def _edges(self, level: int, items: Sequence[int]) -> Edges:
        suffixes = self.suffixes[level]
        spans = [(suffixes[item >> 1][0], suffixes[item >> 1][1] + 1) for item in items]
        stops = sorted({self.maxima[level] + 1, *[low for low, _ in spans], *[stop for _, stop in spans]} - {0})
        index = {stop: number + 1 for number, stop in enumerate(stops)}
        index[0] = 0
        places = [(index[low], index[stop]) for low, stop in spans]
        return Edges(stops, places, sum([stop - first for first, stop in places]))

    def _place(self, edges: Edges, labels: Iterable[int]) -> tuple[list[int], list[list[int]]]:
        self.spend(edges.places)
        found: list[list[int]] = [[] for _ in edges.stops]
        for (first, stop), label in zip(edges.spans, labels, strict=True):
            for piece in found[first:stop]:
                piece.append(label)
        return [stop - 1 for stop in edges.stops], found

    def _cut_alike(self, level: int, items: Sequence[int], labels: Sequence[int]) -> tuple[list[int], list[list[int]]]:
        """As `cut`, where items have several intervals: those with the same ones are placed together."""
        intervals = [self.intervals(level, item >> 1) for item in items]
        lasts, found = pieces_alike(intervals, labels, self.maxima[level])
        self.spend(sum(map(len, found)))
        return lasts, found

    def _node(self, level: int, lasts: Sequence[int], children: Sequence[int]) -> int:
        kept = [number for number in range(len(children) - 1) if children[number] != children[number + 1]]
        if not kept:
            return children[-1]
        kept.append(len(children) - 1)
        key = (level, tuple([lasts[number] for number in kept]), tuple([children[number] for number in kept]))
        node = self._node_number.get(key)
        if node is None:
            node = self._node_number[key] = len(self.nodes)
            self.nodes.append(key)
        return node

    # ---- combining ------------------------------------------------------------------------

    def known(self, operation: Operation, one: int, other: int) -> int | None:
        """Node of an operation that costs nothing, None where it has to be worked out."""
        obvious = _obvious(operation, one, other)
        return self._combined[operation].get((one, other)) if obvious is None else obvious

    def combine(self, operation: Operation, one: int, other: int) -> int:
        """Node of an operation on two nodes."""
        node = self.known(operation, one, other)
        if node is None:
            level = min(self.nodes[one][0], self.nodes[other][0])
            lasts, children = [], []
            for _, last, left, right in self._aligned(level, one, other):
                lasts.append(last)
                children.append(self.combine(operation, left, right))
            self.spend(len(lasts))
            node = self._combined[operation][one, other] = self._node(level, lasts, children)
        return node

    def _split(self, level: int, node: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Intervals and children of a node at a level; a node of a deeper level does not look at this one."""
        mine, lasts, children = self.nodes[node]
        return (lasts, children) if mine == level else ((self.maxima[level],), (node,))

    def _aligned(self, level: int, one: int, other: int) -> Iterator[tuple[int, int, int, int]]:
        """(first value, last value, child of one, child of other) of the common pieces of two nodes."""
        lasts, children = self._split(level, one)
        other_lasts, other_children = self._split(level, other)
        first = i = j = 0
        while i < len(lasts):
            last = min(lasts[i], other_lasts[j])
            yield first, last, children[i], other_children[j]
            i += lasts[i] == last
            j += other_lasts[j] == last
            first = last + 1

    # ---- asking ---------------------------------------------------------------------------

    def holds(self, node: int, at: Sequence[int]) -> bool:
        """Whether a node holds a point."""
        while node > ALL:
            level, lasts, children = self.nodes[node]
            node = children[bisect_left(lasts, at[level])]
        return node == ALL

    def common(self, one: int, other: int) -> tuple[Interval, ...] | None:
        """The first box that lies in two nodes, as intervals; None where they have no point in common."""
        apart: set[tuple[int, int]] = set()

        def search(level: int, left: int, right: int) -> tuple[Interval, ...] | None:
            if NONE in (left, right) or (left, right) in apart:
                return None
            if level == self.depth:
                return ()
            for first, last, left_child, right_child in self._aligned(level, left, right):
                rest = search(level + 1, left_child, right_child)
                if rest is not None:
                    return ((first, last), *rest)
            apart.add((left, right))
            return None

        return search(0, one, other)

    def boxes(self, node: int, level: int = 0) -> Iterator[tuple[Interval, ...]]:
        """Disjoint boxes, as intervals from `level` on, that together are the node."""
        if node == NONE:
            return
        if level == self.depth:
            yield ()
            return
        first = 0
        for last, child in zip(*self._split(level, node), strict=True):
            for rest in self.boxes(child, level + 1):
                yield ((first, last), *rest)
            first = last + 1

    def count(self, node: int, dimensions: int) -> int:
        """Number of points over the first `dimensions` dimensions that some point of the node begins with."""
        known: dict[tuple[int, int], int] = {}

        def below(level: int, node: int) -> int:
            if node == NONE or level == dimensions:
                return int(node != NONE)
            if node == ALL:
                return prod(top + 1 for top in self.maxima[level:dimensions])
            if (level, node) not in known:
                total, first = 0, 0
                for last, child in zip(*self._split(level, node), strict=True):
                    total += (last + 1 - first) * below(level + 1, child)
                    first = last + 1
                known[level, node] = total
            return known[level, node]

        return below(0, node)

    # ---- budget ---------------------------------------------------------------------------

    @contextmanager
    def budget(self, steps: int) -> Iterator[None]:
        """Allow so many steps inside the block; a step is one entry in one piece of a cut, or one piece of a node.

        Of budgets within each other the one that ends first counts.
        """
        before = self._limit, self._allowed
        if self._steps + steps < self._limit:
            self._limit, self._allowed = self._steps + steps, steps
        try:
            yield
        finally:
            self._limit, self._allowed = before

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            BudgetError: more than the enclosing `budget` allows. Results so far stay valid.
        """
        self._steps += steps
        if self._steps > self._limit:
            raise BudgetError(
                f"the entries overlap too much: an exact answer takes more than {self._allowed} steps, and none is "
                f"guessed; ask about fewer entries at a time, or allow more with the variable {BUDGET_VARIABLE}"
            )


def _is_permit(item: int) -> int:
    return item & 1


def _obvious(operation: Operation, one: int, other: int) -> int | None:
    """Result where one operand is an end of the diagram or both are the same."""
    if operation is Operation.MINUS:
        if one in (NONE, other) or other == ALL:
            return NONE
        return one if other == NONE else None
    absorbing, neutral = (NONE, ALL) if operation is Operation.AND else (ALL, NONE)
    if absorbing in (one, other):
        return absorbing
    if one in (neutral, other):
        return other
    return one if other == neutral else None
