"""How fast a vendor's text is written and read back: 10,000 lines and entries; run by `make benchmark`."""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from time import perf_counter
from types import SimpleNamespace

import pytest

from tests.platforms import asa_cases, cisco, junos_cases
from toolkit.net import TCP, UDP, Action, PortRange, Service
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.platforms.base import ConnState
from toolkit.policy import Ace, Requiredness

pytestmark = pytest.mark.benchmark

ENTRIES = 10_000
CASES = {
    "juniper_junos": (junos_cases, "ge-0/0/0"),
    "cisco_asa": (asa_cases, "inside"),
    **{
        name: (
            SimpleNamespace(
                make_context=partial(cisco.make_context, name), make_policy=cisco.make_policy, PLATFORM=get(name)
            ),
            f"{cisco.PORTS[name]}1",
        )
        for name in cisco.NAMES
    },
}


def entries(count, seed=1):
    """Permits of one host, one target and one port each, as expanded lists have them."""
    rng = random.Random(seed)
    hosts = [IPv4Network((10 << 24 | rng.randrange(1 << 16), 32)) for _ in range(300)]
    return tuple(
        Ace(
            Action.PERMIT,
            Service(rng.choice((TCP, UDP)), PortRange(port, port)),
            (rng.choice(hosts),),
            (rng.choice(hosts),),
            comment=f"requirement-{number} (page line {number})",
        )
        for number in range(count)
        for port in [rng.randrange(1, 30_000)]
    )


def timed(work, *args):
    """(seconds, result)."""
    start = perf_counter()
    result = work(*args)
    return perf_counter() - start, result


@pytest.mark.parametrize("name", CASES)
def test_render_and_read_back(name):
    cases, interface = CASES[name]
    context = cases.make_context()
    aces = entries(ENTRIES)
    policy = cases.make_policy(context, {})
    acls = tuple(replace(acl, entries=aces) if acl.interface == interface else acl for acl in policy.acls)
    policy = replace(policy, acls=acls, required={acl.interface: Requiredness() for acl in acls})
    platform = cases.PLATFORM
    before = platform.empty(context)
    rendering, candidate = timed(platform.render, policy, before)
    text = candidate.text.splitlines()
    show = platform.show_commands[0]
    whole, state = timed(platform.parse_running, {show: candidate.text}, context)
    # A listing of 10,000 lines: as many entries as fill it, and what binds them.
    few = int(ENTRIES * ENTRIES / len(text)) or 1
    cut = replace(
        policy, acls=tuple(replace(acl, entries=acl.entries[:few]) if acl.entries else acl for acl in policy.acls)
    )
    listing = platform.render(cut, before).text
    reading, _ = timed(platform.parse_running, {show: listing}, context)
    space = Space()
    asked = space.acl(((ace.action, box) for ace in aces for box in ace.boxes()), Action.PERMIT)
    assert state.permitted(space, interface, ConnState.NEW) == asked
    print(
        f"\n{name}: render of {ENTRIES} entries: {rendering:.2f} s ({len(text)} lines); read back: {whole:.2f} s; "
        f"a listing of {len(listing.splitlines())} lines: {reading:.2f} s"
    )
