"""Generated lists, walked by an evaluator that shares nothing with the toolkit's own reading of them.

Each generated line comes with a Python predicate over plain dictionaries, written from the vendors' manuals.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.cisco import NAMES, NEW, make_context, port_of, read
from toolkit.net import IcmpKind, Packet
from toolkit.packets import Space

EACH = pytest.mark.parametrize("name", NAMES)
HOSTS = ["10.0.1.11", "10.0.1.12", "10.0.2.11", "10.1.1.11", "10.3.1.75", "192.0.2.1", "10.0.0.0", "10.255.255.255"]
PORTS = [0, 1, 21, 22, 23, 25, 53, 79, 80, 81, 443, 444, 1023, 1024, 8443, 65534, 65535]
NAMED = {
    "tcp": {"www": 80, "ftp": 21, "telnet": 23, "domain": 53, "smtp": 25},
    "udp": {"domain": 53, "ntp": 123, "tftp": 69},
}
KINDS = {"echo": (8, None), "echo-reply": (0, None), "unreachable": (3, None), "packet-too-big": (3, 4), "ttl-exceeded": (11, 0),
         "port-unreachable": (3, 3), "administratively-prohibited": (3, 13), "redirect": (5, None)}  # fmt: skip


def bits(text):
    a, b, c, d = (int(part) for part in text.split("."))
    return f"{a:08b}{b:08b}{c:08b}{d:08b}"


def alike(address, pattern, wildcard):
    """Bit by bit: where the wildcard has a 0, the address must have the pattern's bit."""
    return all(w == "1" or a == p for a, p, w in zip(bits(address), bits(pattern), bits(wildcard), strict=True))


@st.composite
def ends(draw, name, groups):
    """(text, predicate over an address in dotted form)."""
    kinds = ["any", "host", "mask", "holes"] + ["prefix"] * (name != "cisco_ios") + ["group"] * bool(groups)
    kind = draw(st.sampled_from(kinds))
    host = draw(st.sampled_from(HOSTS))
    if kind == "any":
        return "any", lambda a: True
    if kind == "host":
        return f"host {host}", lambda a: a == host
    if kind == "group":
        group, members = draw(st.sampled_from(sorted(groups.items())))
        word = "addrgroup" if name == "cisco_nxos" else "object-group"
        return f"{word} {group}", lambda a: any(one(a) for _, one in members)
    if kind == "prefix":
        length = draw(st.sampled_from([0, 7, 8, 16, 24, 31, 32]))
        return f"{host}/{length}", lambda a: bits(a)[:length] == bits(host)[:length]
    masks = ["0.0.0.0", "0.0.0.255", "0.255.255.255", "255.255.255.255"] if kind == "mask" else ["0.0.7.0", "0.3.0.64", "128.0.0.1", "0.6.0.0"]  # fmt: skip
    wildcard = draw(st.sampled_from(masks))
    return f"{host} {wildcard}", lambda a: alike(a, host, wildcard)


@st.composite
def members(draw, name):
    """A member of a network group."""
    host = draw(st.sampled_from(HOSTS))
    if draw(st.booleans()):
        return f"host {host}", lambda a: a == host
    length = draw(st.sampled_from([8, 16, 24, 30]))
    if name == "cisco_nxos":
        return f"{host}/{length}", lambda a: bits(a)[:length] == bits(host)[:length]
    mask = int("1" * length + "0" * (32 - length), 2)
    dotted = ".".join(str(mask >> shift & 255) for shift in (24, 16, 8, 0))
    return f"{host} {dotted}", lambda a: bits(a)[:length] == bits(host)[:length]


@st.composite
def ports(draw, name, protocol):  # noqa: PLR0911 - one for each operator
    """(text, predicate over a port); None asks for nothing."""
    operator = draw(st.sampled_from(["", "", "eq", "neq", "lt", "gt", "range", "several", "name"]))
    one = draw(st.sampled_from(PORTS))
    if operator == "eq":
        return f"eq {one}", lambda p: p == one
    if operator == "neq":
        return f"neq {one}", lambda p: p != one
    if operator == "lt" and one > 0:
        return f"lt {one}", lambda p: p < one
    if operator == "gt" and one < 65535:
        return f"gt {one}", lambda p: p > one
    if operator == "range":
        low, high = sorted((one, draw(st.sampled_from(PORTS))))
        return f"range {low} {high}", lambda p: low <= p <= high
    if operator == "several" and name != "cisco_nxos":
        some = draw(st.lists(st.sampled_from(PORTS), min_size=2, max_size=5, unique=True))
        negated = draw(st.booleans())
        return f"{'neq' if negated else 'eq'} {' '.join(map(str, some))}", lambda p: (p in some) is not negated
    if operator == "name":
        word, number = draw(st.sampled_from(sorted(NAMED[protocol].items())))
        return f"eq {word}", lambda p: p == number
    return "", None


@st.composite
def lines(draw, name, groups):  # noqa: C901 - one line has many parts
    """(text of an entry, function of a packet: True permit, False deny, None no match)."""
    action = draw(st.sampled_from(["permit", "deny"]))
    protocol = draw(st.sampled_from(["ip", "tcp", "udp", "icmp", "ospf", "112"]))
    number = {"ip": None, "tcp": 6, "udp": 17, "icmp": 1, "ospf": 89, "112": 112}[protocol]
    source, from_source = draw(ends(name, groups))
    destination, to_destination = draw(ends(name, groups))
    sport = dport = icmp = ""
    from_port = to_port = kind = None
    if protocol in ("tcp", "udp"):
        sport, from_port = draw(ports(name, protocol))
        dport, to_port = draw(ports(name, protocol))
    if protocol == "icmp" and draw(st.booleans()):
        icmp, kind = draw(
            st.sampled_from([*sorted(KINDS.items()), ("8", (8, None)), ("3 4", (3, 4)), ("42", (42, None))])
        )
    established = protocol == "tcp" and draw(st.booleans())
    fourth = bool(from_port or to_port or kind or established)
    fragments = not fourth and draw(st.integers(0, 4)) == 0
    log = draw(st.booleans())
    words = [action, protocol, source, sport, destination, dport, icmp, "established" * established, "fragments" * fragments, "log" * log]  # fmt: skip

    def verdict(packet):  # noqa: PLR0911 - as the manual says it, one condition after the other
        if number is not None and packet["protocol"] != number:
            return None
        if not (from_source(packet["src"]) and to_destination(packet["dst"])):
            return None
        if packet["fragment"]:
            if not fourth:
                return action == "permit"
            # Layer 3 agrees, so a permit lets it pass and a deny looks on.
            return True if action == "permit" else None
        if fragments or (established and not packet["ack"]):
            return None
        if (from_port and not from_port(packet["sport"])) or (to_port and not to_port(packet["dport"])):
            return None
        if kind and (packet["kind"] != kind[0] or kind[1] not in (None, packet["code"])):
            return None
        return action == "permit"

    return " ".join(word for word in words if word), verdict


@st.composite
def packets(draw):
    protocol = draw(st.sampled_from([6, 6, 17, 1, 89, 112, 47]))
    kind, code = draw(st.sampled_from([(8, 0), (0, 0), (3, 4), (3, 3), (3, 13), (11, 0), (11, 1), (5, 1), (42, 7)]))
    return {
        "src": draw(st.sampled_from(HOSTS)),
        "dst": draw(st.sampled_from(HOSTS)),
        "protocol": protocol,
        "sport": draw(st.sampled_from(PORTS)),
        "dport": draw(st.sampled_from([*PORTS, 123, 69])),
        "ack": protocol == 6 and draw(st.booleans()),
        "kind": kind,
        "code": code,
        "fragment": draw(st.integers(0, 3)) == 0,
    }


def as_packet(one):
    whole, ported = not one["fragment"], one["protocol"] in (6, 17)
    return Packet(
        IPv4Address(one["src"]),
        IPv4Address(one["dst"]),
        one["protocol"],
        one["sport"] if whole and ported else 0,
        one["dport"] if whole and ported else 0,
        established=whole and one["ack"],
        icmp=IcmpKind(one["kind"], one["code"]) if whole and one["protocol"] == 1 else None,
        fragment=one["fragment"],
    )


@EACH
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_generated_list_means_what_the_manual_says(name, data):
    device = make_context(name)
    groups = {}
    if name != "arista_eos":
        groups = {
            f"G{n}": data.draw(st.lists(members(name), min_size=1, max_size=3, unique_by=lambda one: one[0]))
            for n in range(data.draw(st.integers(0, 2)))
        }
    found = data.draw(st.lists(lines(name, groups), min_size=1, max_size=8, unique_by=lambda one: one[0]))
    head = {"cisco_nxos": "object-group ip address"}.get(name, "object-group network")
    text = "".join(f"{head} {group}\n" + "".join(f"  {m}\n" for m, _ in body) for group, body in groups.items())
    text += f"ip access-list {'extended ' if name == 'cisco_ios' else ''}LIST\n"
    text += "".join(f"  {n * 10} {line}\n" for n, (line, _) in enumerate(found, 1))
    text += f"interface {port_of(device)}\n  ip access-group LIST in\n"
    state = read(device, text)
    allowed = state.permitted(Space(), port_of(device), NEW)
    for one in data.draw(st.lists(packets(), min_size=6, max_size=12)):
        wanted = next((v for v in (verdict(one) for _, verdict in found) if v is not None), False)
        packet = as_packet(one)
        assert (state.decide(port_of(device), packet, NEW).action == "permit") is wanted, (text, one)
        assert (packet in allowed) is wanted, (text, one)
    again = read(device, state.text())
    assert again.text() == state.text()
    assert again.fingerprint() == state.fingerprint()
    assert again.permitted(Space(), port_of(device), NEW).count() == allowed.count()
