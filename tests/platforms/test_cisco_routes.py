"""Answers about routes, as each system words them; what is not understood is refused."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.platforms.cisco import NAMES
from toolkit.errors import ConfigError
from toolkit.platforms import get
from toolkit.platforms.base import NextHop, RouteQuery

EACH = pytest.mark.parametrize("name", NAMES)
CODES = """VRF: default
Codes: C - connected, S - static, K - kernel,
       O - OSPF, IA - OSPF inter area, E1 - OSPF external type 1,
       NG - Nexthop Group Static Route, V - VXLAN Control Service,

"""
NXCODES = """IP Route Table for VRF "default"
'*' denotes best ucast next-hop
'**' denotes best mcast next-hop
'[x/y]' denotes [preference/metric]
'%<string>' in via output denotes VRF <string>

"""
DIRECT = NXCODES + "10.0.9.0/24, ubest/mbest: 1/0, attached\n    *via 10.0.9.1, Eth1/9, [0/0], 1d02h, direct\n"
ANSWERS = {  # system -> (answer to one question, next hops)
    "cisco_ios": [
        ("10.1.2.0/24\n  nexthop 10.0.0.2 GigabitEthernet0/1\n", [("GigabitEthernet0/1", "10.0.0.2")]),
        ("0.0.0.0/0\n  nexthop 10.0.0.2 Gi0/1\n  nexthop 10.0.0.6 GigabitEthernet0/2\n", [("GigabitEthernet0/1", "10.0.0.2"), ("GigabitEthernet0/2", "10.0.0.6")]),
        ("10.1.2.3/32\n  attached to GigabitEthernet0/3\n", [("GigabitEthernet0/3", None)]),
        ("10.1.2.3/32\n  receive for GigabitEthernet0/3\n", []),
        ("0.0.0.0/0\n  no route\n", []),
        ("10.0.0.0/8\n  attached to Null0\n", []),
    ],
    "arista_eos": [
        (CODES + " S        10.1.2.0/24 [1/0] via 10.0.0.2, Ethernet1\n", [("Ethernet1", "10.0.0.2")]),
        (CODES + " O E2     0.0.0.0/0 [110/1] via 10.0.0.2, Ethernet1\n                            via 10.0.0.6, Ethernet2\n", [("Ethernet1", "10.0.0.2"), ("Ethernet2", "10.0.0.6")]),
        (CODES + " C        10.1.2.0/24 is directly connected, Ethernet3\n", [("Ethernet3", None)]),
        (CODES + " C        10.1.2.0/24\n           directly connected, Ethernet3\n", None),
        (CODES + " S        10.1.0.0/16 is directly connected, Null0\n", []),
        (CODES + "Gateway of last resort is not set\n\n", []),
    ],
    "cisco_nxos": [
        (NXCODES + "10.1.2.0/24, ubest/mbest: 1/0\n    *via 10.0.0.2, Eth1/1, [1/0], 00:01:02, static\n", [("Ethernet1/1", "10.0.0.2")]),
        (NXCODES + "0.0.0.0/0, ubest/mbest: 2/0\n    *via 10.0.0.2, Eth1/1, [1/0], 1d, static\n    *via 10.0.9.2, [1/0], 1d, static\n", [("Ethernet1/1", "10.0.0.2"), ("Ethernet1/9", "10.0.9.2")]),
        (NXCODES + "10.1.2.0/24, ubest/mbest: 1/0, attached\n    *via 10.1.2.1, Eth1/3, [0/0], 1d, direct\n", [("Ethernet1/3", None)]),
        (NXCODES + "10.1.0.0/16, ubest/mbest: 1/0\n    *via Null0, [1/0], 1d, static\n", []),
        (NXCODES + "Route not found\n", []),
        (NXCODES + "10.1.2.0/24, ubest/mbest: 1/0\n    *via 10.7.0.2, [1/0], 00:01:02, static\n", None),
    ],
}  # fmt: skip


def asked(name, count):
    queries = [RouteQuery(IPv4Address(f"10.1.2.{n}"), IPv4Address("10.9.9.9"), "x") for n in range(1, count + 1)]
    command, text = get(name).ask_routes(queries)
    assert text == ""
    return queries, command.splitlines()


def said(name, commands, answers):
    more = [DIRECT] * (len(commands) - len(answers))
    return "".join(f"{command}\n{answer}\n" for command, answer in zip(commands, [*answers, *more], strict=True))


@EACH
def test_answers_are_read_in_the_order_of_the_questions(name):
    good = [one for one in ANSWERS[name] if one[1] is not None]
    queries, commands = asked(name, len(good))
    output = said(name, commands, [answer for answer, _ in good])
    found = get(name).read_routes(queries, output, "", "dev1")
    expected = [{NextHop(port, via and IPv4Address(via)) for port, via in hops} for _, hops in good]
    assert list(found) == expected


@EACH
def test_what_is_not_understood_is_refused(name):
    queries, commands = asked(name, 1)
    good = ANSWERS[name][0][0]
    bad = [answer for answer, hops in ANSWERS[name] if hops is None]
    for answer in [*bad, good + "and some more words\n", "% Invalid input detected at '^' marker.\n", good + good]:
        with pytest.raises(ConfigError, match=r"^dev1: it"):
            get(name).read_routes(queries, said(name, commands, [answer]), "", "dev1")
    with pytest.raises(ConfigError, match="questions about routes were answered"):
        get(name).read_routes(queries, "", "", "dev1")
    with pytest.raises(ConfigError, match="not understood"):
        get(name).read_routes(queries, f"noise\n{said(name, commands, [good])}", "", "dev1")
