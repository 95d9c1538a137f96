"""Sets of addresses: the same addresses whatever way they are written, and never one more."""

from __future__ import annotations

import random
from ipaddress import IPv4Network

import pytest

from toolkit.addresses import WRITTEN_OUT, Prefixes, Universe, bits, intervals_of, joined


def addresses(intervals):
    return {one for low, high in intervals for one in range(low, high + 1)}


def of(prefixes):
    return addresses((int(one.network_address), int(one.broadcast_address)) for one in prefixes)


@pytest.mark.parametrize("seed", range(4))
def test_a_set_is_exactly_its_members(seed):
    rng = random.Random(seed)
    base = int(IPv4Network("10.0.0.0/22").network_address)
    pool = {
        IPv4Network((base + (rng.randrange(1024) >> (32 - length) << (32 - length)), length))
        for length in rng.choices((32, 32, 32, 31, 30, 28), k=200)
    }
    universe = Universe(pool)
    for _ in range(15):
        some = rng.sample(sorted(pool), rng.randint(0, len(pool)))
        mask = universe.mask(some)
        found = universe.prefixes_of(mask)
        assert of(found) == of(some)
        assert addresses(found.intervals) == of(some)
        assert found.intervals == tuple(joined(found.intervals))
        assert list(found) == sorted(found)
        assert [universe.prefixes[number] for number in bits(mask)] == sorted(some)
        assert universe.prefixes_of(mask) is found
        if len(some) <= WRITTEN_OUT:
            assert found == tuple(sorted(some)), "a short set is written as it was given"


def test_a_long_set_is_written_shorter():
    hosts = [IPv4Network(f"10.0.0.{octet}") for octet in range(64, 128)]
    universe = Universe([*hosts, IPv4Network("10.0.0.129")])
    assert universe.prefixes_of(universe.mask(hosts)) == (IPv4Network("10.0.0.64/26"),)
    without = universe.prefixes_of(universe.mask(hosts) ^ universe.mask([hosts[7]]))
    assert of(without) == of(hosts) - of([hosts[7]])
    assert without.intervals == intervals_of(tuple(without))


def test_prefixes_are_a_tuple():
    plain = (IPv4Network("10.0.0.2"), IPv4Network("10.0.0.1"))
    assert Prefixes(plain) == plain
    assert hash(Prefixes(plain)) == hash(plain)
    assert Prefixes(plain) != (IPv4Network("10.0.0.2"),)
    assert {plain: 1}[Prefixes(plain)] == 1
    assert intervals_of(plain) == intervals_of(Prefixes(plain)) == ((10 << 24 | 1, 10 << 24 | 2),)
