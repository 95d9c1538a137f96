"""A twin's data plane: the kernel does with real frames what the twin's own reading of its text says."""

from __future__ import annotations

import os
import re

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
    """A running configuration with one list on eth1, and on an ASA levels on the others."""
    lines = draw(st.lists(entries(os), min_size=1, max_size=6))
    if os == "asa":
        text = GROUPS[os] + "".join(f"access-list TEST extended {line}\n" for line in lines)
        text += "access-group TEST in interface one\n"
        for number, (name, level) in enumerate((("one", 50), ("two", 100), ("three", 0)), 1):
            text += f"interface eth{number}\n nameif {name}\n security-level {level}\n"
        return text
    listed = "".join(f" {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    return f"{GROUPS[os]}{HEADER[os]}\n{listed}interface eth1\n {BIND[os]}\ninterface eth2\ninterface eth3\n"


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


def differences(live, running, short, ruling, sent, *, bridge):
    """What the kernel does otherwise, twice in a row: on a busy machine a frame may come too late to be seen."""
    script = compile_rules(running, short, "twin1", CABLES, bridge=bridge)
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
def test_an_asa_judges_first_packets_by_its_list_and_by_levels_where_it_has_none(live):
    """Frames of the generated matrix go from eth1 to where `live.ROUTES` sends them."""
    whole = SENT.map(lambda sent: [(i, p) for i, p in sent if not p.fragment and not p.established])

    @FRAMES
    @given(configs("asa"), whole)
    def check(text, sent):
        running = Tree.read(text)
        one = [(interface, packet) for interface, packet in sent if interface == "eth1"]

        def ruling(interface, packet):
            return judge(running, "asa", interface, packet)

        assert not differences(live, running, "asa", ruling, one, bridge=False)

    check()


def test_levels_of_an_asa_without_a_list():
    text = "".join(
        f"interface eth{n}\n nameif n{n}\n security-level {level}\n" for n, level in ((1, 50), (2, 100), (3, 0))
    )
    script = compile_rules(Tree.read(text), "asa", "asa1", CABLES, bridge=False)
    assert 'oifname "eth2" log group 7 prefix "asa1:security-level" counter drop' in script
    assert 'oifname "eth3" counter accept' in script
    same = compile_rules(Tree.read(text.replace("100", "50")), "asa", "asa1", CABLES, bridge=False)
    assert re.search(r'chain in0 \{\n\t\toifname "eth2" log', same)
    both = text.replace("100", "50") + "same-security-traffic permit inter-interface\n"
    assert re.search(
        r'chain in0 \{\n\t\toifname "eth2" counter accept',
        compile_rules(Tree.read(both), "asa", "asa1", CABLES, bridge=False),
    )


def test_what_cannot_be_carried_over_is_an_error():
    bad = "ip access-list extended TEST\n 10 permit ip any any dscp ef\ninterface eth1\n ip access-group TEST in\n"
    with pytest.raises(RejectedError):
        compile_rules(Tree.read(bad), "ios", "r1", CABLES, bridge=False)
    excepted = (
        "set firewall family inet filter F term t from source-address 10.0.0.0/8 except\n"
        "set firewall family inet filter F term t then accept\nset interfaces eth1 unit 0 family inet filter input F"
    )
    with pytest.raises(NotImplementedError, match="except"):
        compile_rules(Statements.read(excepted), "junos", "r1", CABLES, bridge=False)
