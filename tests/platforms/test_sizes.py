"""How large lists are, as written and as hardware counts them; and that shortening them never widens them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, summarize_address_range

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms import asa_cases, cisco, junos_cases
from tests.platforms.conftest import make_context as nft_context
from toolkit.addresses import WRITTEN_OUT, Universe, fewest
from toolkit.errors import PolicyError
from toolkit.net import TCP, Direction
from toolkit.packets import Box, Space
from toolkit.platforms import get
from toolkit.platforms._sizes import budgets, check_fits, masked
from toolkit.platforms.base import ConnState
from toolkit.topology import Kind

CONTEXTS = {
    "cisco_ios": lambda **data: cisco.make_context("cisco_ios", **data),
    "cisco_nxos": lambda **data: cisco.make_context("cisco_nxos", **data),
    "arista_eos": lambda **data: cisco.make_context("arista_eos", **data),
    "juniper_junos": lambda **data: junos_cases.make_context(Kind.ROUTER, **data),
    "cisco_asa": asa_cases.make_context,
    "linux_nftables": nft_context,
}
EACH = pytest.mark.parametrize("name", CONTEXTS)
SCOPE = "10.0.1.0/24", "10.0.2.0/24"


# ---- counting, by hand -------------------------------------------------------------------------
@given(st.integers(0, 65535), st.integers(0, 65535))
def test_values_under_masks_are_the_fewest_prefixes_of_sixteen_bits(one, other):
    low, high = min(one, other), max(one, other)
    base = int(IPv4Address("10.0.0.0"))
    assert masked((low, high)) == len(list(summarize_address_range(IPv4Address(base + low), IPv4Address(base + high))))


def test_a_manual_says_how_many_entries_a_range_takes():
    # Dell's reference of access lists: 4000 to 8000 is eight entries, below 1024 is one.
    assert masked((4000, 8000)) == 8
    assert masked((0, 1023)) == 1
    assert masked((1024, 65535)) == 6


LISTS = {
    # 2 x 3 pairs; the range is one, or six values under masks, twice with `established`; a wildcard with holes is one.
    "cisco_ios": (
        (
            "object-group network A\n host 10.0.1.1\n host 10.0.1.2\n"
            "object-group network B\n 10.0.2.0 255.255.255.0\n host 10.0.3.1\n group-object A2\n"
            "object-group network A2\n host 10.0.4.4\n"
            "ip access-list extended L\n remark x\n permit tcp object-group A object-group B eq 443\n"
            " permit tcp any 10.0.0.1 0.0.255.0 range 1024 65535 established\n deny ip any any\n"
            "interface GigabitEthernet0/1\n ip access-group L in\ninterface GigabitEthernet0/2\n ip access-group L out\n"
        ),
        [("GigabitEthernet0/1", "in", 3, 6 + 1 + 1, 6 + 12 + 1), ("GigabitEthernet0/2", "out", 3, 8, 19)],
    ),
    "cisco_nxos": (
        (
            "object-group ip address A\n host 10.0.1.1\n host 10.0.1.2\n"
            "ip access-list L\n 10 permit tcp addrgroup A any range 1024 65535\n 20 permit udp any any gt 1023\n"
            "interface Ethernet1/1\n ip access-group L in\ninterface Ethernet1/2\n ip access-group L out\n"
        ),
        [("Ethernet1/1", "in", 2, 3, 18), ("Ethernet1/2", "out", 2, 3, 18)],
    ),
    "arista_eos": (
        (
            "ip access-list L\n   10 permit tcp 10.0.1.0/24 any eq 22 80 443\n   20 permit ip any any\n"
            "interface Ethernet1\n   ip access-group L in\n"
        ),
        [("Ethernet1", "in", 2, 4, 4)],
    ),
    "juniper_junos": (
        (
            "set policy-options prefix-list P 10.0.1.1/32\nset policy-options prefix-list P 10.0.1.2/32\n"
            "set firewall family inet filter F term a from source-prefix-list P\n"
            "set firewall family inet filter F term a from protocol tcp\n"
            "set firewall family inet filter F term a from destination-port 22\n"
            "set firewall family inet filter F term a from destination-port 1024-65535\n"
            "set firewall family inet filter F term a then accept\n"
            "set firewall family inet filter F term b then discard\n"
            "set interfaces ge-0/0/0 unit 0 family inet filter input F\n"
        ),
        [("ge-0/0/0", "in", 2, 5, 2 * 7 + 1)],
    ),
    "cisco_asa": (
        (
            "object-group network A\n network-object host 10.0.1.1\n network-object host 10.0.1.2\n"
            "access-list L remark x\n"
            "access-list L extended permit tcp object-group A any range 1024 65535\n"
            "access-list L extended deny ip any any\naccess-group L in interface inside\n"
        ),
        [("inside", "in", 2, 3, 3)],
    ),
    "linux_nftables": (
        (
            'table inet t {\n chain forward {\n type filter hook forward priority 0; policy accept;\n iifname "eth1" jump c\n'
            " }\n chain c {\n ip saddr { 10.0.1.1, 10.0.1.3 } tcp dport 1024-65535 accept\n drop\n }\n}\n"
        ),
        [("", "in", 1, 1, 1), ("eth1", "in", 2, 2, 2)],
    ),
}


def state_of(context, text):
    platform = get(context.node.platform)
    return platform.parse_config(text, "running.cfg", context, platform.empty(context))


@EACH
def test_counted_by_hand(name):
    text, expected = LISTS[name]
    found = state_of(CONTEXTS[name](), text).sizes()
    assert [(one.interface, one.direction.value, one.written, one.entries, one.expanded) for one in found] == expected


def test_nexus_compares_ranges_inwards_only():
    state = state_of(CONTEXTS["cisco_nxos"](), LISTS["cisco_nxos"][0])
    counting = get("cisco_nxos").capabilities.counting
    assert [one.counted(counting, expand=False) for one in state.sizes()] == [3, 18]
    assert [one.counted(counting, expand=True) for one in state.sizes()] == [18, 18]


def test_a_list_counts_where_it_is_bound_and_on_an_asa_once():
    ios = state_of(CONTEXTS["cisco_ios"](), LISTS["cisco_ios"][0])
    assert budgets(ios, ios, get("cisco_ios").capabilities.counting)[0].then == 16
    asa = state_of(CONTEXTS["cisco_asa"](), LISTS["cisco_asa"][0] + "access-group L in interface dmz\n")
    assert len(asa.sizes()) == 2
    assert budgets(asa, asa, get("cisco_asa").capabilities.counting)[0].then == 3


# ---- old and new together ----------------------------------------------------------------------
def lists(*sizes, binds=("in",)):
    """Lists of hosts on the first interfaces of an IOS device; `sizes` are their entries."""
    text = ""
    for number, size in enumerate(sizes, 1):
        entries = "".join(f" permit tcp host 10.{number}.{size % 256}.{n} any range 1024 65535\n" for n in range(size))
        text += f"ip access-list extended L{number}_{size}\n{entries}interface GigabitEthernet0/{number}\n"
        text += "".join(f" ip access-group L{number}_{size} {way}\n" for way in binds)
    return text


@pytest.mark.parametrize(
    ("old", "new", "today", "then", "together"),
    [((), (5,), 0, 5, 5), ((5,), (5,), 5, 5, 5), ((5,), (6,), 5, 6, 11), ((5, 7), (6, 7), 12, 13, 18), ((5,), (), 5, 0, 5)],
)  # fmt: skip
def test_what_stays_counts_once(old, new, today, then, together):
    context = CONTEXTS["cisco_ios"]()
    (one,) = budgets(
        state_of(context, lists(*old)), state_of(context, lists(*new)), get("cisco_ios").capabilities.counting
    )
    assert (one.today, one.then, one.together) == (today, then, together)
    assert one.fits


@pytest.mark.parametrize(
    ("capacity", "ranges", "words"),
    [
        (11, "compared", None),
        (10, "compared", r"11 entries, old and new together \(5 today, 6 then\), do not fit into its capacity of 10"),
        (66, "expanded", None),
        (65, "expanded", "66 entries, old and new together"),
        ({"in": 11, "out": 11}, "compared", None),
        ({"out": 10}, "compared", "11 entries outwards"),
        ({"in": 10}, "compared", "11 entries inwards"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(capacity, ranges, words):
    context = cisco.make_context("cisco_ios", capacity=capacity, port_ranges=ranges)
    way = ("in", "out") if isinstance(capacity, dict) else ("in",)
    old, new = (state_of(context, lists(size, binds=way)) for size in (5, 6))
    counting = get("cisco_ios").capabilities.counting
    if words is None:
        check_fits(old, new, counting)
    else:
        with pytest.raises(PolicyError, match=words):
            check_fits(old, new, counting)


# ---- shortening never widens -------------------------------------------------------------------
HOSTS = st.sets(st.integers(0, 255), min_size=1, max_size=120)


@settings(max_examples=200)
@given(HOSTS, st.booleans())
def test_a_set_of_addresses_is_written_exactly(octets, dense):
    """Long sets are written in the fewest prefixes: not one address more, and not one less."""
    chosen = {one for one in range(256) if one not in octets} if dense else octets
    universe = Universe(IPv4Network((int(IPv4Address("10.0.1.0")) + one, 32)) for one in range(256))
    written = universe.prefixes_of(universe.mask(universe.prefixes[one] for one in chosen))
    found = [int(address) & 255 for prefix in written for address in prefix]
    assert sorted(found) == sorted(chosen)
    if len(chosen) > WRITTEN_OUT:
        runs = [(min(run), max(run)) for run in _runs(sorted(chosen))]
        assert len(written) == sum(len(fewest(run)) for run in runs) <= len(chosen)


def _runs(numbers):
    run = []
    for one in numbers:
        if run and one != run[-1] + 1:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def address_set(base, octets):
    universe = Universe(IPv4Network((int(IPv4Address(base)) + one, 32)) for one in range(256))
    return universe.prefixes_of(universe.mask(universe.prefixes[one] for one in octets))


@EACH
@settings(max_examples=25, deadline=None)
@given(sources=HOSTS, destinations=HOSTS, plain=st.booleans())
def test_a_rendered_list_permits_exactly_the_pairs_that_are_asked_for(name, sources, destinations, plain):
    """Object groups, prefix lists, sets and aggregation: host by host, what passes is what was asked for."""
    context = CONTEXTS[name](plain=plain)
    inside = context.interfaces[0]
    service = cisco.tcp(443)
    ends = address_set("10.0.1.0", sources), address_set("10.0.2.0", destinations)
    entries = tuple(
        cisco.permit(one, tuple(map(str, ends[0])), tuple(map(str, ends[1])), requirements=("r",), comment="c")
        for one in (service, cisco.tcp(6443), cisco.tcp(9345))  # three uses, so that groups are worth their lines
    )
    denies = (cisco.deny(sources=SCOPE[:1], comment="d"), cisco.deny(destinations=SCOPE[1:], comment="d"))
    policy = cisco.make_policy(context, {inside: (*entries, *denies)})
    platform = get(name)
    before = platform.empty(context)
    candidate = platform.render(policy, before)
    after = platform.parse_config(candidate.text, "dev1.cfg", context, before)
    space = Space()
    asked = [
        Box((TCP, TCP), (high, high), (low, low), (443, 443))
        for low in (int(IPv4Address("10.0.1.0")) + one for one in sources)
        for high in (int(IPv4Address("10.0.2.0")) + one for one in destinations)
    ]
    scope = space.union(
        [Box((TCP, TCP), _all("10.0.2.0"), _all("10.0.1.0"), (443, 443), flags=(0, 0))]
    )  # first fragments of new connections between the two networks
    assert after.permitted(space, inside, ConnState.NEW) & scope == space.union(asked) & scope
    sizes = [one for one in after.sizes() if one.interface == inside and one.direction is Direction.IN]
    assert sizes
    assert all(0 < one.written <= one.entries <= one.expanded for one in sizes)


def _all(base):
    low = int(IPv4Address(base))
    return low, low + 255
