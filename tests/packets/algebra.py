"""What lists of entries mean, read once more, without `toolkit.packets`: as truth tables and as binary diagrams.

Two algebras answer `between(level, low, high)`, and the rest is `&`, `|` and `^` on their values. `Table` holds one bit
for every point of a small universe, so it is brute force; `Binary` is OxiDD, over the 106 bits of the whole packet
space. `reading` is the definition of a match, said the way `oracle.matches` says it for one point (a condition on a
field that a packet lacks does not hold).
"""

from __future__ import annotations

from functools import cache
from itertools import product

from oxidd.bdd import BDDManager

from toolkit.packets import Block

ICMP, TCP, PORTED = 1, 6, (6, 17, 132)
PROTOCOL, DST, SRC, DPORT, SPORT, FLAGS = range(6)


class Table:
    """Sets of points of a small universe as integers, one bit for each point."""

    def __init__(self, maxima):
        self.maxima = maxima
        self.points = list(product(*(range(top + 1) for top in maxima)))
        self.full, self.empty = (1 << len(self.points)) - 1, 0
        self.values = [[0] * (top + 1) for top in maxima]
        for number, point in enumerate(self.points):
            for level, value in enumerate(point):
                self.values[level][value] |= 1 << number
        self.between = cache(self._between)

    def _between(self, level, low, high):
        found = 0
        for mask in self.values[level][low : high + 1]:
            found |= mask
        return found

    def masked(self, level, address, wildcard):
        """Values that agree with an address in the bits that a wildcard mask leaves set."""
        found = 0
        for value, mask in enumerate(self.values[level]):
            if (value ^ address) & ~wildcard & 0xFFFFFFFF == 0:
                found |= mask
        return found

    def holds(self, values, point):
        number = 0
        for value, top in zip(point, self.maxima, strict=True):
            number = number * (top + 1) + value
        return bool(values >> number & 1)

    def pick(self, rng, values):
        """A point, as likely in the set as not where both are possible."""
        wanted = values if rng.random() < 0.5 else self.full ^ values
        bit = (wanted or self.full) >> rng.randrange(len(self.points))
        if not bit:
            bit = wanted or self.full
            return self.points[(bit & -bit).bit_length() - 1]
        shift = (wanted or self.full).bit_length() - bit.bit_length()
        return self.points[shift + (bit & -bit).bit_length() - 1]


class Binary:
    """Sets of points of the whole packet space as binary decision diagrams of OxiDD."""

    def __init__(self, maxima, nodes=1 << 20, cache_size=1 << 18):
        self.maxima = maxima
        self.widths = [top.bit_length() for top in maxima]
        self.manager = BDDManager(nodes, cache_size, 1)
        self.bits = []
        for width in self.widths:
            self.bits.append([self.manager.var(number) for number in self.manager.add_vars(width)])
        self.full, self.empty = self.manager.true(), self.manager.false()
        self.between = cache(self._between)

    def _between(self, level, low, high):
        high = min(high, self.maxima[level])
        return self._most(level, high) & ~self._most(level, low - 1) if low <= high else self.empty

    def _most(self, level, most):
        """Values up to `most`, from the lowest bit upwards."""
        if most < 0:
            return self.empty
        found = self.full
        for place, bit in enumerate(reversed(self.bits[level])):
            found = found | ~bit if most >> place & 1 else found & ~bit
        return found

    def masked(self, level, address, wildcard):
        found = self.full
        for place, bit in enumerate(reversed(self.bits[level])):
            if not wildcard >> place & 1:
                found &= bit if address >> place & 1 else ~bit
        return found

    def holds(self, values, point):
        bits = [
            value >> place & 1 == 1
            for width, value in zip(self.widths, point, strict=True)
            for place in reversed(range(width))
        ]
        return values.eval(enumerate(bits))

    def pick(self, rng, values):
        cube = (values if rng.random() < 0.5 else ~values).pick_cube()
        if cube is None:
            cube = [None] * sum(self.widths)
        point, at = [], 0
        for width in self.widths:
            value = 0
            for bit in cube[at : at + width]:
                value = value << 1 | (rng.getrandbits(1) if bit is None else bit)
            at += width
            point.append(value)
        return tuple(point)


def reading(algebra, box, dst=None, src=None):
    """The points whose packets a box (or block) matches; `dst` and `src` replace its addresses."""
    between, full = algebra.between, algebra.full
    fragment = between(FLAGS, 2, 3)
    ported = between(PROTOCOL, 6, 6) | between(PROTOCOL, 17, 17) | between(PROTOCOL, 132, 132)
    ack = between(PROTOCOL, TCP, TCP) & between(FLAGS, 1, 1)
    flags = algebra.empty
    for value, those in ((0, full ^ (fragment | ack)), (1, ack), (2, fragment)):
        if box.flags[0] <= value <= box.flags[1]:
            flags |= those
    found = between(PROTOCOL, *box.protocol) & flags
    found &= _addresses(algebra, DST, box.dst) if dst is None else dst
    found &= _addresses(algebra, SRC, box.src) if src is None else src
    for level, interval, has in (
        (DPORT, box.dport, ported | between(PROTOCOL, ICMP, ICMP)),
        (SPORT, box.sport, ported),
    ):
        if interval[0] > 0 or interval[1] < algebra.maxima[level]:
            found &= between(level, *interval) & has & (full ^ fragment)
    return found


def _addresses(algebra, level, intervals):
    found = algebra.empty
    for low, high in (intervals,) if not intervals or isinstance(intervals[0], int) else intervals:
        found |= algebra.between(level, low, high)
    return found


def first_match(algebra, matches):
    """What each entry decides, and what is left for the default."""
    left, decided = algebra.full, []
    for match in matches:
        decided.append(left & match)
        left &= algebra.full ^ match
    return decided, left


def meaning_of(algebra, entries, matches, default):
    """What a first-match list permits; `entries` gives the actions."""
    decided, left = first_match(algebra, matches)
    found = left if default else algebra.empty
    for permits, mine in zip(entries, decided, strict=True):
        if permits:
            found |= mine
    return found


def of_node(algebra, diagram, node, known):
    """The points of a node of `toolkit.packets`, interval by interval; `known` keeps what was converted."""
    if node <= 1:
        return algebra.full if node else algebra.empty
    found = known.get(node)
    if found is None:
        level, lasts, children = diagram.nodes[node]
        found, first = algebra.empty, 0
        for last, child in zip(lasts, children, strict=True):
            if child:
                found |= algebra.between(level, first, last) & of_node(algebra, diagram, child, known)
            first = last + 1
        known[node] = found
    return found


__all__ = ["Binary", "Block", "Table", "first_match", "meaning_of", "of_node", "reading"]
