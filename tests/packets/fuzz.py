"""Random lists, every operation of packet sets, and the answers of two other engines: `make fuzz`.

    python -m tests.packets.fuzz [--cases 100000] [--seed 1] [--jobs 2]

Each case is two lists (the second often the first with one line changed), judged by `algebra.Table` (every point of a
small universe) or by `algebra.Binary` (OxiDD, the whole packet space), in turn. The same code with fewer cases is
`test_independent.py`. A wrong answer ends the run and prints the seed that repeats it.
"""

# ruff: noqa: T201 - a program that prints its figures
from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

from tests.packets.algebra import DST, SRC, Binary, Table, first_match, meaning_of, of_node, reading
from tests.packets.oracle import DENY, EDGES, FULL_MAXIMA, PERMIT, matches, small_box
from toolkit.packets import Audit, Block, Box, DeadKind, Space, point
from toolkit.platforms._cisco_model import wildcard_intervals

SMALL = (18, 7, 3, 2, 2, 3)  # room for wildcard masks with holes
TOGETHER = 100  # cases that share a space, so that results of one list are used by the next
LONGEST = 12
MANY = 500  # boxes: so many take longer than all other questions


@dataclass
class World:
    """An algebra, and random entries for it."""

    algebra: Any
    maxima: tuple[int, ...]
    whole: bool

    def box(self, rng):
        if not self.whole:
            return small_box(rng, self.maxima)
        intervals = [list(rng.choice(edges)) for edges in EDGES]
        for level in (DST, SRC):
            if rng.random() < 0.6:
                length = rng.choice((8, 16, 24, 25, 31, 32))
                low = (
                    (10 << 24 | rng.choice((0, 0, 128, 256, 65535, rng.getrandbits(24)))) >> 32 - length << 32 - length
                )
                intervals[level] = [low, low + (1 << 32 - length) - 1]
        for level in (3, 4):
            if rng.random() < 0.3:
                intervals[level] = sorted((rng.randrange(65536), rng.randrange(65536)))
        return Box(*(tuple(one) for one in intervals))

    def wildcard(self, rng, level):
        """(address, mask) of which the mask has holes."""
        if not self.whole:
            top = self.maxima[level]
            return rng.randint(0, top), rng.randint(0, top)
        mask = rng.choice((0x0000FF00, 0x00000101, 0x00010000, 0x01000003, 0x000000FE, 0x80000000, 0x00FF0000))
        return 10 << 24 | rng.getrandbits(12), mask | (1 << rng.randrange(8)) - 1

    def entry(self, rng):
        """(permits, what the engine is given, what the algebra says)."""
        permits, kind = rng.random() < 0.5, rng.random()
        box = self.box(rng)
        if kind < 0.75:
            return permits, box, reading(self.algebra, box)
        if kind < 0.9:  # wildcard masks on one side or both
            sides, sets = [], []
            for level, own in ((DST, box.dst), (SRC, box.src)):
                if rng.random() < 0.7:
                    address, mask = self.wildcard(rng, level)
                    sides.append(wildcard_intervals(address, mask, 1024))
                    sets.append(self.algebra.masked(level, address, mask))
                else:
                    sides.append((own,))
                    sets.append(None)
            block = Block(box.protocol, *(tuple(sorted(side)) for side in sides), box.dport, box.sport, box.flags)
            return permits, block, reading(self.algebra, box, *sets)
        several = tuple(self.box(rng) for _ in range(rng.randint(0, 3)))
        means = self.algebra.empty
        for one in several:
            means |= reading(self.algebra, one)
        return permits, several, means


def flat(entries):
    """The entries as sets are built from them: one box or block each."""
    for permits, match, _ in entries:
        for one in match if isinstance(match, tuple) else (match,):
            yield (PERMIT if permits else DENY), one


def around(part, at):
    """The boxes of a block that hold the addresses of a point; a box is its own."""
    if isinstance(part, Box):
        return [part]
    sides = [
        [one for one in side if one[0] <= at[level] <= one[1]] for level, side in ((DST, part.dst), (SRC, part.src))
    ]
    return [Box(part.protocol, dst, src, part.dport, part.sport, part.flags) for dst in sides[0] for src in sides[1]]


class Case:
    """Two lists of one world in one space, and every question about them."""

    def __init__(self, world, space, known, seed):
        self.world, self.algebra, self.space, self.known = world, world.algebra, space, known
        self.rng = random.Random(seed)
        self.done: Counter[str] = Counter()

    def check(self, name, *, right):
        self.done[name] += 1
        if not right:
            raise AssertionError(name)

    def means(self, packets):
        return of_node(self.algebra, self.space.diagram, packets.node, self.known)

    def run(self):
        rng = self.rng
        one = [self.world.entry(rng) for _ in range(rng.randint(0, rng.choice((4, LONGEST, LONGEST))))]
        again = rng.random() < 0.7
        other = self.changed(one) if again else [self.world.entry(rng) for _ in range(rng.randint(0, 5))]
        default = rng.random() < 0.3
        action = PERMIT if default else DENY
        truths = [
            meaning_of(self.algebra, [e[0] for e in entries], [e[2] for e in entries], default)
            for entries in (one, other)
        ]
        sets = [self.space.acl(flat(entries), action) for entries in (one, other)]
        for name, packets, truth in zip(("build", "re-check" if again else "build"), sets, truths, strict=True):
            self.check(name, right=self.means(packets) == truth)
        self.operations(sets, truths)
        self.witnesses(sets, truths)
        self.points(one, sets[0], truths[0], action)
        self.audit(one, default)
        return self.done

    def changed(self, entries):
        """The list with one line flipped, added, gone, or at another place."""
        rng, found = self.rng, list(entries)
        number = rng.randrange(len(found) + 1)
        if number == len(found) or rng.random() < 0.25:
            found.insert(number, self.world.entry(rng))
        elif rng.random() < 0.4:
            found[number] = (not found[number][0], *found[number][1:])
        elif rng.random() < 0.5:
            del found[number]
        else:
            found.insert(rng.randrange(len(found)), found.pop(number))
        return found

    def operations(self, sets, truths):
        (a, b), (x, y), full = sets, truths, self.algebra.full
        self.check("equality", right=(a == b) == (x == y))
        self.check("union", right=self.means(a | b) == x | y)
        self.check("intersection", right=self.means(a & b) == x & y)
        self.check("difference", right=self.means(a - b) == x & (full ^ y))
        self.check("complement", right=self.means(~a) == full ^ x)
        self.check("subset", right=(a <= b) == (x & (full ^ y) == self.algebra.empty))
        self.check("subset", right=(a & b <= b <= a | b))
        self.check("emptiness", right=a.is_empty == (x == self.algebra.empty))
        boxes = list(islice((a - b).boxes(), MANY))
        if len(boxes) < MANY:
            self.check("boxes", right=self.space.union(boxes) == a - b)

    def witnesses(self, sets, truths):
        (a, b), (x, y) = sets, truths
        packet = (a - b).witness()
        extra = x & (self.algebra.full ^ y)
        if packet is None:
            self.check("witness", right=extra == self.algebra.empty)
        else:
            self.check("witness", right=self.algebra.holds(extra, point(packet)))

    def points(self, entries, packets, truth, default):
        """Single packets: in the set or not, and who decides."""
        rng = self.rng
        audit = Audit(self.space, [(PERMIT if p else DENY, match) for p, match, _ in entries], default)
        plain = [list(flat([entry])) for entry in entries]
        for _ in range(3):
            at = self.algebra.pick(rng, truth)
            self.check("point", right=self.space.diagram.holds(packets.node, at) == self.algebra.holds(truth, at))
            expected = next((i for i, entry in enumerate(entries) if self.algebra.holds(entry[2], at)), None)
            self.check("decider", right=audit._decider.at(at) == expected)
            for parts, (_, _, means) in zip(plain, entries, strict=True):  # the reading itself, point by point
                slow = any(matches(box, at, self.world.maxima) for _, part in parts for box in around(part, at))
                self.check("reading", right=slow == self.algebra.holds(means, at))

    def audit(self, entries, default):
        """Dead entries by their definition, entry by entry."""
        algebra, nothing = self.algebra, self.algebra.empty
        actions, means = [e[0] for e in entries], [e[2] for e in entries]
        audit = Audit(
            self.space,
            [(PERMIT if permits else DENY, match) for permits, match, _ in entries],
            PERMIT if default else DENY,
        )
        found = {one.index: one for one in audit.dead()}
        decided, _ = first_match(algebra, means)
        truth = meaning_of(algebra, actions, means, default)
        for index, mine in enumerate(means):
            rest = [*means[:index], nothing, *means[index + 1 :]]
            missed = truth ^ meaning_of(algebra, actions, rest, default)
            self.check("dead", right=(missed == nothing) == (index in found))
            self.check("decides", right=self.means(audit.decides(index)) == decided[index])
            self.check("missed", right=self.means(audit.missed(index)) == missed)
            self.check(
                "overruled", right=self.means(audit.overruled(index)) == self._against(index, actions, mine, decided)
            )
            if index in found:
                self.check("reasons", right=self._reasons(index, found[index], actions, mine, decided, rest))

    def _against(self, index, actions, mine, decided):
        found = self.algebra.empty
        for earlier in range(index):
            if actions[earlier] != actions[index]:
                found |= decided[earlier] & mine
        return found

    def _reasons(self, index, dead, actions, mine, decided, rest):
        nothing = self.algebra.empty
        if dead.reached != (decided[index] != nothing):
            return False
        if dead.reached:
            without, _ = first_match(self.algebra, rest)
            by = [one for one, those in enumerate(without) if one > index and those & mine != nothing]
            return dead.kind is DeadKind.REDUNDANT and dead.by == tuple(by)
        by = [one for one in range(index) if decided[one] & mine != nothing]
        overruled = any(actions[one] != actions[index] for one in by)
        return dead.by == tuple(by) and dead.kind is (DeadKind.SHADOWED if overruled else DeadKind.REDUNDANT)


def run(seed, cases):
    """That many cases from a seed on, half of them in each world; counts of what was checked.

    Raises:
        AssertionError: a wrong answer, with the seed of its case.
    """
    table = World(Table(SMALL), SMALL, whole=False)
    total: Counter[str] = Counter()
    for start in range(0, cases, TOGETHER):
        block = (seed + start) // TOGETHER
        world = table if block % 2 else World(Binary(FULL_MAXIMA), FULL_MAXIMA, whole=True)
        space, known = Space(world.maxima), {}
        if block % 4 < 2:
            space.diagram.crowded = space.diagram.patched = (
                0  # every list is built in the way of lists that overlap very much
            )
        for number in range(start, min(start + TOGETHER, cases)):
            try:
                total += Case(world, space, known, seed + number).run()
            except Exception as error:
                raise AssertionError(
                    f"case {seed + number} ({'OxiDD' if world.whole else 'points'}): {error!r}"
                ) from error
            total["OxiDD" if world.whole else "every point"] += 1
    return total


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="first case; a multiple of 100 repeats a run's neighbours")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(arguments)
    size = 1000
    total: Counter[str] = Counter()
    began, done = perf_counter(), 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        starts = range(0, asked.cases, size)
        sizes = [min(size, asked.cases - start) for start in starts]
        for counts in pool.map(run, [asked.seed + start for start in starts], sizes):
            total += counts
            done += counts["OxiDD"] + counts["every point"]
            if sys.stderr.isatty():
                print(f"\r{done} of {asked.cases} cases", end="", file=sys.stderr)
    worlds = {name: total.pop(name) for name in ("OxiDD", "every point")}
    print(f"{done} cases, no wrong answer, {perf_counter() - began:.0f} s with {asked.jobs} processes")
    print("judged by " + ", ".join(f"{name}: {count}" for name, count in worlds.items()))
    print(f"{sum(total.values())} answers compared: " + ", ".join(f"{name} {n}" for name, n in sorted(total.items())))


if __name__ == "__main__":
    main()
