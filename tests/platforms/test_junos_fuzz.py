"""juniper_junos against an evaluator that shares nothing with the package, and render, parse back, equal."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.junos_cases import BIND, NEW, make_context, net, rendered, running, tcp
from tests.platforms.junos_oracle import plain_verdict
from toolkit.net import ANY_SERVICE, ICMP, TCP, UDP, Action, IcmpKind, Packet, PortRange, Service
from toolkit.packets import Space
from toolkit.policy import Ace
from toolkit.topology import Kind

# ---- against an evaluator that shares nothing with the package ---------------------------------
PREFIXES = ["10.0.1.0/24", "10.0.1.8/29", "10.0.1.11/32", "10.0.2.0/24", "0.0.0.0/0"]


@st.composite
def terms(draw):
    """Conditions and action of a term, as lines."""
    kind = draw(st.sampled_from(["tcp", "udp", "icmp", "ospf", "any"]))
    lines = [] if kind == "any" else [f"from protocol {kind}"]
    for side in ("source", "destination"):
        chosen = draw(st.lists(st.sampled_from(PREFIXES), max_size=3, unique=True))
        lines += [f"from {side}-address {prefix}" + draw(st.sampled_from(["", "", " except"])) for prefix in chosen]
        if kind in ("tcp", "udp"):
            word = draw(st.sampled_from(["port", "port", "port-except"]))
            values = draw(st.lists(st.sampled_from(["22", "20-25", "1024-65535"]), max_size=2, unique=True))
            lines += [f"from {side}-{word} {value}" for value in values]
    if kind == "tcp" and draw(st.booleans()):
        lines.append("from tcp-established")
    if kind == "icmp" and draw(st.booleans()):
        lines.append("from icmp-type 8")
    if draw(st.integers(0, 4)) == 0:
        lines.append("from is-fragment")
    lines.append(
        draw(st.sampled_from(["then accept", "then discard", "then reject", "then count c", "then next term"]))
    )
    return lines


PACKETS = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from([6, 6, 17, 1, 89]),
        "src": st.sampled_from(["10.0.1.11", "10.0.1.9", "10.0.1.77", "10.0.2.3", "192.0.2.1"]),
        "dst": st.sampled_from(["10.0.1.11", "10.0.1.9", "10.0.1.77", "10.0.2.3", "192.0.2.1"]),
        "sport": st.sampled_from([22, 26, 1024, 65535]),
        "dport": st.sampled_from([22, 20, 26, 1023, 1024]),
        "ack": st.booleans(),
        "fragment": st.sampled_from([False, False, False, True]),
        "type": st.sampled_from([0, 8]),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.lists(terms(), min_size=1, max_size=6), st.lists(PACKETS, min_size=5, max_size=20))
def test_reading_agrees_with_an_evaluator_of_its_own(listed, sent):
    lines = [f"set firewall family inet filter F term t{n} {line}" for n, term in enumerate(listed) for line in term]
    state = running("\n".join(lines) + "\n" + BIND, make_context())
    permitted = state.permitted(Space(), "ge-0/0/0", NEW)
    for one in sent:
        at = Packet(
            IPv4Address(one["src"]), IPv4Address(one["dst"]), one["protocol"], one["sport"], one["dport"],
            established=one["ack"] and one["protocol"] == 6 and not one["fragment"], icmp=IcmpKind(one["type"], 0) if one["protocol"] == 1 else None,
            fragment=one["fragment"],
        )  # fmt: skip
        expected = plain_verdict(lines, "F", one)
        assert (at in permitted) is expected
        assert (state.decide("ge-0/0/0", at, NEW).action is Action.PERMIT) is expected


ACES = st.builds(
    lambda service, sources, destinations, sport, established, action: Ace(
        action,
        service,
        tuple(sorted({net(one) for one in sources})),
        tuple(sorted({net(one) for one in destinations})),
        sport if service.protocol in (TCP, UDP) else PortRange(0, 65535),
        established=established and service.protocol == TCP,
        comment="x",
        log=action is Action.DENY,
    ),
    st.sampled_from([tcp(22), tcp(20, 25), Service(TCP), Service(UDP, PortRange(53, 53)), Service(ICMP, icmp=IcmpKind(8)), Service(ICMP), ANY_SERVICE, Service(89)]),
    st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3),
    st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3),
    st.sampled_from([PortRange(0, 65535), PortRange(1024, 65535), PortRange(22, 22)]),
    st.booleans(),
    st.sampled_from([Action.PERMIT, Action.PERMIT, Action.DENY]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(ACES, max_size=8), st.sampled_from([Kind.ROUTER, Kind.SWITCH]))
def test_render_and_parse_back_is_equal(aces, kind):
    """Over all packets; later fragments of port protocols may be denied where the list ends with a default."""
    context = make_context(kind)
    permits = [ace for ace in aces if ace.action is Action.PERMIT]
    entries = [*permits, *(ace for ace in aces if ace.action is Action.DENY)]
    _, _, after = rendered(context, {"ge-0/0/0": tuple(entries)})
    space = Space()
    asked = space.acl(((ace.action, box) for ace in entries for box in ace.boxes()), Action.PERMIT)
    assert after.permitted(space, "ge-0/0/0", NEW) == asked
    assert after.permitted(space, "ge-0/0/1", NEW) == space.full
