"""The same questions to several engines, each in a process of its own: `python -m tests.benchmarks.peers ENGINE KIND LINES`.

One JSON line for each question: seconds of processor time and the answer; `over` where the budget did not suffice.
Binary diagrams get the 88 bits that the lists look at, most significant first in our order of fields, without
reordering (which made them slower); entries are joined from the last to the first. Aerleon has no sets of packets:
`aclcheck` answers for a packet, and its policy finds terms that one earlier term contains.
"""

# ruff: noqa: T201 - a program that prints its figures
from __future__ import annotations

import json
import logging
import signal
import sys
from functools import cache
from hashlib import sha256
from ipaddress import IPv4Address, ip_network, summarize_address_range
from time import perf_counter, process_time

from tests.benchmarks.acls import KINDS, PERMIT, asked, one_line_changed, same_meaning
from toolkit.errors import BudgetError
from toolkit.net import Packet
from toolkit.packets import Box, Space, dead_entries

TICKS = 0.1  # seconds: below it the clock is the better measure
BUDGET = 20  # seconds of processor time for each question
QUERIES, FEW_QUERIES = 1000, 20
REPEATED = 5
WIDTHS = (8, 32, 32, 16)  # protocol, dst, src, dport


class OverError(Exception):
    """The budget is used up."""


def timed(work):
    """(result, seconds of processor time; of the clock where they are few, because processor time comes in ticks)."""
    began, clock = process_time(), perf_counter()
    found = work()
    spent, passed = process_time() - began, perf_counter() - clock
    return found, spent if spent > TICKS else passed


def best(work):
    """As `timed`, the shortest of a few times: what is short is measured by the clock, which others disturb."""
    return min((timed(work) for _ in range(REPEATED)), key=lambda one: one[1])


class Ours:
    """`toolkit.packets`."""

    def start(self, entries):
        self.space = Space()
        self.packets = self.space.acl(entries)

    def equal(self, entries):
        return self.space.acl(entries) == self.packets

    def points(self, points):
        packets = [Packet(IPv4Address(src), IPv4Address(dst), proto, 40_000, port) for proto, dst, src, port in points]
        return best(lambda: [packet in self.packets for packet in packets])

    def dead(self, entries):
        found = dead_entries(Space(), entries)
        return [one.index for one in found], [one.index for one in found if not one.reached]


class Diagrams:
    """A library of binary decision diagrams: true, false, a variable, and whether a function holds at a point."""

    def start(self, entries):
        self.open()
        self.bits = []
        for width in WIDTHS:
            first = sum(map(len, self.bits))
            self.bits.append([self.variable(number) for number in range(first, first + width)])
        self.between = cache(self._between)
        self.packets = self.acl(entries)

    def equal(self, entries):
        return self.acl(entries) == self.packets

    def acl(self, entries):
        found = self.false
        for action, box in reversed(entries):
            match = self.match(box)
            found = match | found if action is PERMIT else found & ~match
        return found

    def match(self, box):
        found = self.true
        for level, interval in reversed(list(enumerate((box.protocol, box.dst, box.src, box.dport)))):
            found = self.between(level, *interval) & found
        return found

    def _between(self, level, low, high):
        bits, size = self.bits[level], high - low + 1
        if size & size - 1 or low & size - 1:
            return self._most(bits, high) & ~self._most(bits, low - 1) if low else self._most(bits, high)
        found = self.true
        for place in range(len(bits) - 1, size.bit_length() - 2, -1):  # a prefix
            bit = bits[len(bits) - 1 - place]
            found = found & (bit if low >> place & 1 else ~bit)
        return found

    def _most(self, bits, most):
        found = self.true
        for place, bit in enumerate(reversed(bits)):
            found = found | ~bit if most >> place & 1 else found & ~bit
        return found

    def points(self, points):
        rows = []
        for point in points:
            values = [v >> p & 1 == 1 for w, v in zip(WIDTHS, point, strict=True) for p in reversed(range(w))]
            rows.append(list(enumerate(values)))
        return best(lambda: [self.holds(row) for row in rows])

    def dead(self, entries):
        """By definition: what is left of each entry after the earlier ones, against what the later ones say."""
        self.start([])
        matches = [self.match(box) for _, box in entries]
        later = [self.false]
        for (action, _), match in zip(reversed(entries), reversed(matches), strict=True):
            later.append(match | later[-1] if action is PERMIT else later[-1] & ~match)
        later = later[-2::-1]
        before, dead, unreached = self.false, [], []
        for index, ((action, _), match) in enumerate(zip(entries, matches, strict=True)):
            mine = match & ~before
            if mine == self.false:
                unreached.append(index)
            if (mine & (~later[index] if action is PERMIT else later[index])) == self.false:
                dead.append(index)
            before = before | match
        return dead, unreached


class Oxidd(Diagrams):
    """OxiDD, written in Rust."""

    def open(self):
        from oxidd.bdd import BDDManager

        self.manager = BDDManager(1 << 25, 1 << 22, 1)
        self.manager.add_vars(sum(WIDTHS))
        self.true, self.false, self.variable = self.manager.true(), self.manager.false(), self.manager.var

    def holds(self, row):
        return self.packets.eval(row)


class Dd(Diagrams):
    """dd with CUDD, written in C; its own diagrams in Python where the package has no CUDD."""

    def open(self):
        try:
            from dd.cudd import BDD
        except ImportError:
            from dd.autoref import BDD
        self.manager = BDD()
        self.manager.configure(reordering=False)
        names = [f"x{number}" for number in range(sum(WIDTHS))]
        self.manager.declare(*names)
        self.true, self.false = self.manager.true, self.manager.false
        self.variable = lambda number: self.manager.var(f"x{number}")

    def holds(self, row):
        return self.manager.let({f"x{number}": value for number, value in row}, self.packets) == self.true


class Aclcheck:
    """Aerleon's policies, and its `aclcheck`."""

    def start(self, entries):
        self.policy = self._policy(entries)

    def _policy(self, entries, *, shades=False):
        from absl import logging as absl_logging
        from aerleon.lib import naming, policy, policy_builder

        absl_logging.set_verbosity(absl_logging.WARNING if shades else absl_logging.ERROR)
        networks, services, terms = {}, {}, []
        for number, (action, box) in enumerate(entries):
            term = {"name": f"t{number}", "action": "accept" if action is PERMIT else "deny"}
            for side, (low, high) in (("source", box.src), ("destination", box.dst)):
                if high - low < 2**32 - 1:
                    (prefix,) = summarize_address_range(IPv4Address(low), IPv4Address(high))
                    name = f"N{low}_{prefix.prefixlen}"
                    networks[name] = {"values": [{"address": str(prefix)}]}
                    term[f"{side}-address"] = name
            if box.protocol[0] == box.protocol[1]:
                word = {6: "tcp", 17: "udp"}[box.protocol[0]]
                name = f"S{word}_{box.dport[0]}_{box.dport[1]}"
                services[name] = [{"protocol": word, "port": f"{box.dport[0]}-{box.dport[1]}"}]
                term |= {"protocol": word, "destination-port": name}
            terms.append(term)
        names = naming.Naming()
        names.ParseDefinitionsObject({"networks": networks, "services": services}, "lists")
        filters = [{"header": {"targets": {"juniper": "filter"}}, "terms": terms}]
        builder = policy_builder.PolicyBuilder({"filters": filters, "filename": "list"}, names, shade_check=shades)
        return policy.FromBuilder(builder)

    def points(self, points):
        rows = [(str(IPv4Address(src)), str(IPv4Address(dst)), port, proto) for proto, dst, src, port in points]
        return timed(lambda: [self._verdict(*row) for row in rows])

    def _verdict(self, src, dst, port, proto):
        from aerleon.lib.aclcheck import AclCheck

        word = {6: "tcp", 17: "udp"}[proto]
        exact = AclCheck(self.policy, src=src, dst=dst, sport=40_000, dport=port, proto=word).ExactMatches()
        return bool(exact) and exact[0].action == "accept"

    def wholes(self, boxes):
        """Whether everything passes between two prefixes, which it can be asked as well: any destination port."""
        found = []
        for box in boxes:
            sides = [ip_network(next(summarize_address_range(*map(IPv4Address, side)))) for side in (box.src, box.dst)]
            found.append(self._verdict(*map(str, sides), "any", box.protocol[0]))
        return found

    def dead(self, entries):
        shaded = []
        handler = logging.Handler()
        handler.emit = lambda record: shaded.append(int(record.getMessage().split()[0][1:]))
        logging.getLogger("absl").addHandler(handler)
        self._policy(entries, shades=True)
        found = sorted(set(shaded))
        return found, found


ENGINES = {"toolkit": Ours, "OxiDD": Oxidd, "dd": Dd, "aclcheck": Aclcheck}


def pairs(entries, how_many, seed=3):
    """Boxes of whole conversations: the addresses and the protocol of entries with one port, but every port."""
    narrow = [box for _, box in asked_boxes(entries) if box.dport[0] == box.dport[1]]
    return [Box(box.protocol, box.dst, box.src, flags=(0, 1)) for box in narrow[:how_many]]


def asked_boxes(entries):
    """The entries that permit and name a protocol."""
    return [(action, box) for action, box in entries if action is PERMIT and box.protocol[0] == box.protocol[1]]


def measure(engine, kind, lines, budget=BUDGET):
    """Ask everything, and print an answer for each question."""
    entries = KINDS[kind](lines)
    one = ENGINES[engine]()
    sets = engine != "aclcheck"
    queries = asked(entries, QUERIES if sets else FEW_QUERIES)

    def tell(question, work):
        signal.setitimer(signal.ITIMER_PROF, budget)
        over = None
        try:
            (answer, own), seconds = timed(work)
        except (OverError, BudgetError, MemoryError) as error:
            over = str(error) or type(error).__name__
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        row = {"over": over} if over else {"seconds": own or seconds, "answer": answer}
        print(json.dumps({"question": question, **row}), flush=True)
        return not over

    def cold():
        one.start(entries)
        return (one.equal(same_meaning(entries)) if sets else None), None

    def points():
        found, seconds = one.points(queries)
        return [digest(found[:FEW_QUERIES]), digest(found)], seconds / len(queries)

    if tell("equality" if sets else "load", cold):
        if sets:
            tell("re-check", lambda: (one.equal(one_line_changed(entries)), None))
        tell("point", points)
        boxes = pairs(entries, FEW_QUERIES)
        if engine == "toolkit":
            tell("wholes", lambda: ([one.space.union([box]) <= one.packets for box in boxes], None))
        elif not sets:
            tell("wholes", lambda: (one.wholes(boxes), None))
    tell("dead", lambda: ([[len(some), digest(some)] for some in ENGINES[engine]().dead(entries)], None))


def digest(answers):
    """A short text that differs where answers do."""
    return sha256(json.dumps(answers).encode()).hexdigest()[:16]


def _over(*_):
    raise OverError


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _over)
    measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else BUDGET)
