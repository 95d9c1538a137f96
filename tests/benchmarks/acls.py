"""Lists of entries to measure with: kinds and sizes, the same text for every engine."""

from __future__ import annotations

import random

from toolkit.net import TCP, UDP, Action
from toolkit.packets import NOT_FRAGMENT, Box

PERMIT, DENY = Action.PERMIT, Action.DENY
LAST = [(DENY, Box())]


def expanded(lines, seed=1):
    """What object groups expand to: single hosts and ports, mostly permits, sorted by nothing."""
    rng = random.Random(seed)
    hosts = [[base << 24 | rng.randrange(1 << 16) for _ in range(300)] for base in (10, 11)]
    ports = [rng.randrange(1, 30_000) for _ in range(40)]
    return [
        _entry(rng, *((one, one) for one in map(rng.choice, (*hosts, ports))), 0.9) for _ in range(lines - 1)
    ] + LAST


def scattered(lines, seed=1):
    """Prefixes from /8 to /32 anywhere, one side of ten `any`, ports of every kind, in no order."""
    rng = random.Random(seed)

    def side():
        return (0, 2**32 - 1) if rng.random() < 0.1 else _prefix(rng, rng.getrandbits(32), rng.randint(8, 32))

    return [_entry(rng, side(), side(), _ports(rng), 0.6) for _ in range(lines - 1)] + LAST


def overlapping(lines, seed=1):
    """Prefixes nested in two /18, ports from one to all, specific entries before wide ones."""
    rng = random.Random(seed)

    def side(base):
        length = rng.choices((18, 20, 22, 24, 26, 28, 30, 32), (1, 1, 2, 8, 8, 10, 10, 60))[0]
        return _prefix(rng, base << 24 | rng.randrange(1 << 14), length)

    entries = [_entry(rng, side(10), side(11), _ports(rng), 0.5) for _ in range(lines)]
    return sorted(entries, key=lambda entry: _size(entry[1]))


def crossing(lines, seed=1):
    """Made to be hard: from one host to everybody and from everybody to one host in turn, each with ports of its own.

    Every pair of a source and a destination is decided in a way of its own, so no engine can share much.
    """
    rng = random.Random(seed)
    entries = []
    for number in range(lines - 1):
        host = 10 << 24 | number
        sides = ((host, host), (0, 2**32 - 1)) if number % 2 else ((0, 2**32 - 1), (host, host))
        low = rng.randrange(60_000)
        ports = (low, low + rng.randrange(1, 5_000))
        entries.append((rng.choice((PERMIT, DENY)), Box((TCP, TCP), *sides, ports, flags=NOT_FRAGMENT)))
    return entries + LAST


KINDS = {"expanded": expanded, "random": scattered, "overlapping": overlapping, "adversarial": crossing}


def same_meaning(entries):
    """Another text for the same list: neighbours of one action change places, and some entries stand twice."""
    other = list(entries)
    for number in range(0, len(other) - 1, 2):
        if other[number][0] is other[number + 1][0]:
            other[number], other[number + 1] = other[number + 1], other[number]
    return other[:-1] + other[: len(entries) // 100] + other[-1:]


def one_line_changed(entries):
    """The list with one action flipped."""
    changed = list(entries)
    number = len(entries) // 3
    action, box = changed[number]
    changed[number] = (DENY if action is PERMIT else PERMIT, box)
    return changed


def asked(entries, how_many, seed=2):
    """(protocol, dst, src, dport) of packets that entries match, to ask about one by one."""
    rng = random.Random(seed)
    found = []
    for _ in range(how_many):
        box = rng.choice(entries[:-1])[1]
        found.append((box.protocol[0], *(rng.randint(*interval) for interval in (box.dst, box.src, box.dport))))
    return found


def _entry(rng, dst, src, dport, permits):
    protocol = rng.choice((TCP, TCP, TCP, UDP))
    action = PERMIT if rng.random() < permits else DENY
    return action, Box((protocol, protocol), dst, src, dport, flags=NOT_FRAGMENT)


def _prefix(rng, address, length):
    low = address >> (32 - length) << (32 - length)
    return low, low + (1 << (32 - length)) - 1


def _ports(rng):
    one = rng.randrange(65_000)
    return rng.choices(((one, one), (0, 65535), (1024, 65535), (80, 443)), (8, 2, 1, 1))[0]


def _size(box):
    sizes = [high - low + 1 for low, high in (box.dst, box.src, box.dport)]
    return sizes[0] * sizes[1] * sizes[2]
