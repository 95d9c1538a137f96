"""cisco_asa against an evaluator that shares nothing with the package, and render, parse back, equal."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms import asa_oracle
from tests.platforms.asa_cases import (
    HEAD,
    NEW,
    PLATFORM,
    make_context,
    make_policy,
    net,
    rendered,
    running,
    tcp,
)
from toolkit.net import ANY_SERVICE, ICMP, TCP, UDP, Action, IcmpKind, Packet, PortRange, Service
from toolkit.packets import Space
from toolkit.policy import Ace

GROUP = "object-group network G\n network-object host 10.0.1.11\n network-object 10.0.2.0 255.255.255.0\n"
ENDS = ["any", "any4", "host 10.0.1.11", "10.0.2.0 255.255.255.0", "10.0.0.0 255.255.0.0", "object-group G"]
ENTRY = st.builds(
    lambda action, protocol, source, sport, destination, dport, kind, tail: "extended "
    + " ".join(
        word
        for word in (
            action, protocol, source, sport if protocol in ("tcp", "udp") else "", destination,
            dport if protocol in ("tcp", "udp") else "", kind if protocol == "icmp" else "", tail,
        )
        if word
    ),
    st.sampled_from(["permit", "permit", "deny"]), st.sampled_from(["ip", "tcp", "tcp", "udp", "icmp"]), st.sampled_from(ENDS),
    st.sampled_from(["", "", "gt 1023", "eq 22"]), st.sampled_from(ENDS),
    st.sampled_from(["", "eq 22", "range 20 25", "neq 22", "eq domain"]), st.sampled_from(["", "echo"]),
    st.sampled_from(["", "", "", "log", "inactive"]),
)  # fmt: skip
POINTS = [("inside", "in"), ("dmz", "in"), ("outside", "in"), ("dmz", "out"), ("outside", "out"), None]
PACKETS = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from([6, 6, 17, 1, 47]),
        "src": st.sampled_from(["10.0.1.11", "10.0.1.9", "10.0.2.3", "192.0.2.7"]),
        "dst": st.sampled_from(["10.0.1.11", "10.0.1.9", "10.0.2.3", "192.0.2.7"]),
        "sport": st.sampled_from([22, 1023, 1024]),
        "dport": st.sampled_from([22, 25, 26, 53]),
        "fragment": st.sampled_from([False, False, False, True]),
        "type": st.sampled_from([0, 8]),
    }
)


@st.composite
def configurations(draw):
    """Levels, lists and where they are bound, as lines."""
    text = HEAD.replace("security-level 50", f"security-level {draw(st.sampled_from([0, 50, 100]))}") + GROUP
    for number, point in enumerate(draw(st.lists(st.sampled_from(POINTS), max_size=3, unique=True))):
        entries = draw(st.lists(ENTRY, min_size=1, max_size=4))
        text += "".join(f"access-list L{number} {entry}\n" for entry in entries)
        where = "global" if point is None else f"{point[1]} interface {point[0]}"
        text += f"access-group L{number} {where}\n"
    for word in draw(st.lists(st.sampled_from(["inter-interface", "intra-interface"]), max_size=2, unique=True)):
        text += f"same-security-traffic permit {word}\n"
    return text


@settings(max_examples=200, deadline=None)
@given(configurations(), st.lists(PACKETS, min_size=5, max_size=15), st.sampled_from(["inside", "dmz", "outside"]))
def test_reading_agrees_with_an_evaluator_of_its_own(text, sent, enters):
    state = running("", head=text)
    permitted = state.permitted(Space(), enters, NEW)
    for one in sent:
        leaves = {"10.0.1": "inside", "10.0.2": "dmz"}.get(one["dst"].rpartition(".")[0], "outside")
        at = Packet(
            IPv4Address(one["src"]), IPv4Address(one["dst"]), one["protocol"], one["sport"], one["dport"],
            icmp=IcmpKind(one["type"], 0) if one["protocol"] == 1 else None, fragment=one["fragment"],
        )  # fmt: skip
        plain = {**one, "type": one["type"] if one["protocol"] == 1 else None}
        expected = asa_oracle.passes(text, plain, enters, leaves)
        assert (at in permitted) is expected
        assert (state.decide(enters, at, NEW).action is Action.PERMIT) is expected


PREFIXES = ["10.0.1.0/24", "10.0.1.8/29", "10.0.1.11/32", "10.0.2.0/24", "0.0.0.0/0"]
ACES = st.builds(
    lambda service, sources, destinations, sport, action: Ace(
        action,
        service,
        tuple(sorted({net(one) for one in sources})),
        tuple(sorted({net(one) for one in destinations})),
        sport if service.protocol in (TCP, UDP) else PortRange(0, 65535),
        comment="x",
    ),
    st.sampled_from([tcp(22), tcp(20, 25), Service(TCP), Service(UDP, PortRange(53, 53)), Service(ICMP, icmp=IcmpKind(8)), Service(ICMP), ANY_SERVICE, Service(89)]),
    st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=4),
    st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=4),
    st.sampled_from([PortRange(0, 65535), PortRange(1024, 65535), PortRange(22, 22)]),
    st.sampled_from([Action.PERMIT, Action.PERMIT, Action.DENY]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(ACES, max_size=8), st.booleans())
def test_render_and_parse_back_is_equal(aces, plain):
    """Over all packets, first the entries, then what was there before."""
    context = make_context(plain=plain)
    before = PLATFORM.empty(context)
    candidate, _, after = rendered(context, {"dmz": tuple(aces)}, before=before)
    space = Space()
    asked = space.acl(((ace.action, box) for ace in aces for box in ace.boxes()), Action.PERMIT)
    assert after.permitted(space, "dmz", NEW) == asked
    assert after.permitted(space, "inside", NEW) == space.full
    assert candidate.acls == tuple(candidate.bindings[name][0] for name in context.interfaces)
    assert make_policy(context, {}).platform == candidate.platform
