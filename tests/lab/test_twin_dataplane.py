"""A twin's data plane: the kernel does with real frames what the twin's own reading of its text says."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Address

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.platforms.rulesets import packets
from tests.platforms.test_kernel_agrees import send
from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.dataplane import Port, compile_rules
from toolkit.lab.twins.judge import judge
from toolkit.lab.twins.judge_junos import judge as judge_junos
from toolkit.lab.twins.statements import Statements
from toolkit.lab.twins.tree import Tree
from toolkit.net import TCP, Packet

FRAMES = settings(
    max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
# The kernel compares bytes of later fragments where a rule does not ask first; here every rule does.
SENT = st.lists(st.tuples(st.sampled_from(["eth1", "eth2", "eth3"]), packets()), min_size=60, max_size=120)
ADDRESSES = {
    "ios": ["any", "host 10.0.1.1", "10.0.1.0 0.0.0.255", "10.0.0.1 0.0.255.0", "object-group HOSTS"],
    "eos": ["any", "host 10.0.1.1", "10.0.1.0/24", "10.0.0.1 0.0.255.0"],
    "nxos": ["any", "host 10.0.1.1", "10.0.1.0/24", "10.0.0.1 0.0.255.0", "addrgroup HOSTS"],
    "asa": ["any", "host 10.0.1.1", "10.0.1.0 255.255.255.0", "object-group HOSTS"],
}
GROUPS = {
    "ios": "object-group network HOSTS\n host 10.0.1.1\n 10.0.2.0 255.255.255.0\n",
    "nxos": "object-group ip address HOSTS\n 10 host 10.0.1.1\n 20 10.0.2.0/24\n",
    "asa": "object-group network HOSTS\n network-object host 10.0.1.1\n network-object 10.0.2.0 255.255.255.0\n",
    "eos": "",
}
PORTS = ["", "eq 22", "range 20 80", "gt 1023", "lt 25", "neq 53"]
HEADER = {"ios": "ip access-list extended TEST", "eos": "ip access-list TEST", "nxos": "ip access-list TEST"}
BIND = {"ios": "ip access-group TEST in", "eos": "ip access-group TEST in", "nxos": "ip access-group TEST in"}


@st.composite
def entries(draw, os):
    """A line of an access list."""
    action, address = draw(st.sampled_from(["permit", "deny"])), st.sampled_from(ADDRESSES[os])
    protocol = draw(st.sampled_from(["ip", "tcp", "udp", "icmp", "47"]))
    words = [action, protocol, draw(address)]
    if protocol in ("tcp", "udp"):
        words.append(draw(st.sampled_from(PORTS)))
    words.append(draw(address))
    if protocol in ("tcp", "udp"):
        words.append(draw(st.sampled_from(PORTS)))
    if protocol == "tcp" and os != "asa":
        words.append(draw(st.sampled_from(["", "established"])))
    if protocol == "icmp":
        words.append(draw(st.sampled_from(["", "echo", "unreachable"])))
    if protocol == "ip" and os != "asa":
        words.append(draw(st.sampled_from(["", "fragments"])))
    return " ".join(filter(None, words))


@st.composite
def configs(draw, os):
    """A running configuration with one list on eth1."""
    lines = draw(st.lists(entries(os), min_size=1, max_size=6))
    listed = "".join(f" {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    return f"{GROUPS[os]}{HEADER[os]}\n{listed}interface eth1\n {BIND[os]}\ninterface eth2\ninterface eth3\n"


ASA_WAYS = """interface eth1
 nameif one
 security-level {}
 ip address 10.0.1.254 255.255.255.0
interface eth2
 nameif two
 security-level {}
 ip address 10.0.2.254 255.255.255.0
interface eth3
 nameif three
 security-level {}
 ip address 10.9.9.1 255.255.255.0
route two 10.0.4.0 255.255.252.0 10.0.2.253 1
route three 0.0.0.0 0.0.0.0 10.9.9.2 1
"""


@st.composite
def asa_configs(draw):
    """Lists on the way in, everywhere and on the way out, levels, and what is permitted between equal ones."""
    lines = [ASA_WAYS.format(*draw(st.tuples(*[st.sampled_from([0, 50, 100])] * 3))), GROUPS["asa"]]
    for name, where in (("IN", "in interface one"), ("ALL", "global"), ("OUT", "out interface three")):
        if draw(st.booleans()):
            drawn = draw(st.lists(entries("asa"), min_size=1, max_size=5))
            lines += [*(f"access-list {name} extended {line}\n" for line in drawn), f"access-group {name} {where}\n"]
    for kind in ("inter", "intra"):
        lines += [f"same-security-traffic permit {kind}-interface\n"] * draw(st.booleans())
    return "".join(lines)


TERMS = st.fixed_dictionaries(
    {},
    optional={
        "protocol": st.sampled_from(["tcp", "udp", "icmp"]),
        "source-address": st.sampled_from(["10.0.1.0/24", "10.0.1.1/32"]),
        "destination-prefix-list": st.just("HOSTS"),
        "destination-port": st.sampled_from(["22", "20-80", "domain"]),
        "source-port": st.sampled_from(["1024-65535"]),
        "tcp-established": st.just(""),
        "is-fragment": st.just(""),
        "icmp-type": st.sampled_from(["echo-request", "unreachable"]),
    },
)


@st.composite
def junos(draw, family):
    start = f"firewall family {family} filter TEST term"
    lines = ["set policy-options prefix-list HOSTS 10.0.1.1/32", "set policy-options prefix-list HOSTS 10.0.2.0/24"]
    for number, drawn in enumerate(draw(st.lists(TERMS, min_size=1, max_size=4))):
        ports = "destination-port" in drawn or "source-port" in drawn
        conditions = {**drawn, "protocol": drawn.get("protocol", "tcp").replace("icmp", "tcp")} if ports else drawn
        lines += [f"set {start} t{number} from {kind} {value}".strip() for kind, value in conditions.items()]
        lines.append(f"set {start} t{number} then {draw(st.sampled_from(['accept', 'discard']))}")
    lines.append(f"set interfaces eth1 unit 0 family {family} filter input TEST")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def live():
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun is not there, or not open to this user")
    return send


CABLES = [Port(f"eth{n}", f"eth{n}") for n in (1, 2, 3)]
BRIDGED = tuple(port.cable for port in CABLES)


def differences(live, running, short, ruling, sent, *, bridge):
    """What the kernel does otherwise, twice in a row: on a busy machine a frame may come too late to be seen."""
    script = compile_rules(running, short, "twin1", CABLES, BRIDGED if bridge else ())
    for _ in range(2):
        passed = live(bridge, script, sent)
        wrong = [
            (interface, one, really)
            for (interface, one), really in zip(sent, passed, strict=True)
            if ruling(interface, one).permit != really
        ]
        if not wrong:
            return []
        sent = [(interface, one) for interface, one, _ in wrong]
    return [
        f"{one} at {interface}: passed {really}, but {ruling(interface, one)}\n{script}"
        for interface, one, really in wrong
    ]


@pytest.mark.lab
@pytest.mark.parametrize(("short", "bridge"), [("ios", False), ("eos", True), ("nxos", True)])
def test_lists_of_cisco_and_arista(live, short, bridge):
    verdicts = set()

    @FRAMES
    @given(configs(short), SENT)
    def check(text, sent):
        running = Tree.read(text)

        def ruling(interface, packet):
            return judge(running, short, interface, packet)

        assert not differences(live, running, short, ruling, sent, bridge=bridge)
        verdicts.update(ruling(interface, one).permit for interface, one in sent)

    check()
    assert verdicts == {True, False}


@pytest.mark.lab
@pytest.mark.parametrize(("family", "bridge"), [("inet", False), ("ethernet-switching", True)])
def test_filters_of_junos(live, family, bridge):
    verdicts = set()

    @FRAMES
    @given(junos(family), SENT)
    def check(text, sent):
        running = Statements.read(text)

        def ruling(interface, packet):
            return judge_junos(running, interface, packet)

        assert not differences(live, running, "junos", ruling, sent, bridge=bridge)
        verdicts.update(ruling(interface, one).permit for interface, one in sent)

    check()
    assert verdicts == {True, False}


@pytest.mark.lab
def test_an_asa_judges_first_packets_by_lists_levels_and_ways(live):
    """Frames go from one interface to where `live.ROUTES` sends them, which may be the one that they came from."""
    whole = SENT.map(lambda sent: [(i, p) for i, p in sent if not p.fragment and not p.established])
    said = set()

    @FRAMES
    @given(asa_configs(), whole)
    def check(text, sent):
        running = Tree.read(text)

        def ruling(interface, packet):
            return judge(running, "asa", interface, packet)

        assert not differences(live, running, "asa", ruling, sent, bridge=False)
        said.update(re.split(r"[: ]", ruling(interface, one).line)[0] for interface, one in sent)

    check()
    assert {"security", "permit", "deny"} <= said


@pytest.mark.lab
def test_an_asa_takes_no_packet_from_the_middle_of_a_connection_it_does_not_know(live):
    text = ASA_WAYS.format(50, 50, 50) + "same-security-traffic permit inter-interface\n"
    sent = [
        ("eth1", Packet(IPv4Address("10.0.1.1"), IPv4Address("10.0.2.1"), TCP, 40000, 80, established=established))
        for established in (True, False)
    ]
    bridge = False
    script = compile_rules(Tree.read(text), "asa", "asa1", CABLES, BRIDGED if bridge else ())
    assert live(bridge, script, sent) == [False, True]
    assert live(bridge, compile_rules(Tree.read(text), "ios", "r1", CABLES, BRIDGED if bridge else ()), sent) == [
        True,
        True,
    ]


LEVELS = [
    # levels of eth1 and eth2, lines, from where to where, and whether anything passes
    (100, 50, "", "eth1", "10.0.2.1", True),
    (50, 100, "", "eth1", "10.0.2.1", False),
    (50, 50, "", "eth1", "10.0.2.1", False),
    (50, 50, "same-security-traffic permit intra-interface\n", "eth1", "10.0.2.1", False),
    (50, 50, "same-security-traffic permit inter-interface\n", "eth1", "10.0.2.1", True),
    (100, 50, "", "eth1", "10.0.1.1", False),
    (100, 50, "same-security-traffic permit inter-interface\n", "eth1", "10.0.1.1", False),
    (100, 50, "same-security-traffic permit intra-interface\n", "eth1", "10.0.1.1", True),
]
LISTED = "access-list IN extended permit ip any any\naccess-group IN in interface one\n"


@pytest.mark.parametrize(("one", "two", "lines", "interface", "goal", "passes"), LEVELS)
@pytest.mark.parametrize("listed", [False, True])
def test_levels_of_an_asa_with_and_without_a_list(one, two, lines, interface, goal, passes, listed):
    """A list takes the place of what levels say between unequal ones; equal ones and the same one ask all the same."""
    running = Tree.read(ASA_WAYS.format(one, two, 0) + lines + LISTED * listed)
    packet = Packet(IPv4Address("10.0.1.7"), IPv4Address(goal), TCP, 40000, 80)
    expected = passes or (listed and one != two and goal != "10.0.1.1")
    assert judge(running, "asa", interface, packet).permit is expected


def test_the_list_on_the_way_out_of_an_asa_comes_last():
    out = "access-list OUT extended permit tcp any any eq 80\naccess-group OUT out interface two\n"
    running = Tree.read(ASA_WAYS.format(100, 50, 0) + out)

    def ruling(port, goal="10.0.2.1"):
        return judge(running, "asa", "eth1", Packet(IPv4Address("10.0.1.7"), IPv4Address(goal), TCP, 40000, port))

    assert (ruling(80).permit, ruling(81).permit, ruling(81, "10.9.9.9").permit) == (True, False, True)


def test_what_cannot_be_carried_over_is_an_error():
    bad = "ip access-list extended TEST\n 10 permit ip any any dscp ef\ninterface eth1\n ip access-group TEST in\n"
    with pytest.raises(RejectedError):
        compile_rules(Tree.read(bad), "ios", "r1", CABLES)
    excepted = (
        "set firewall family inet filter F term t from source-address 10.0.0.0/8 except\n"
        "set firewall family inet filter F term t then accept\nset interfaces eth1 unit 0 family inet filter input F"
    )
    with pytest.raises(NotImplementedError, match="except"):
        compile_rules(Statements.read(excepted), "junos", "r1", CABLES)
