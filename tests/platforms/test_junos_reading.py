"""juniper_junos: what is read of a configuration, what is refused with its line, and answers about routes."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.platforms.junos_cases import (
    BIND,
    BOUND,
    NEW,
    PLATFORM,
    T,
    filtered,
    make_context,
    packet,
    passes,
    running,
)
from toolkit.errors import ConfigError
from toolkit.net import ICMP, UDP, IcmpKind
from toolkit.platforms.base import NextHop, RouteQuery
from toolkit.topology import Kind


# ---- what is read ------------------------------------------------------------------------------
def test_the_end_discards_and_a_term_without_action_accepts():
    state = filtered("a from protocol tcp", "a then count c")
    assert passes(state, packet())
    assert not passes(state, packet(UDP))
    assert state.decide("ge-0/0/0", packet(UDP), NEW).entry == "the end of the filter discards"


def test_values_are_alternatives_and_conditions_hold_together():
    state = filtered(
        "a from protocol tcp", "a from protocol udp", "a from destination-port 22", "a from destination-port 80-90",
        "a from source-address 10.0.2.0/24", "a then accept",
    )  # fmt: skip
    assert passes(state, packet(dport=85))
    assert passes(state, packet(UDP, 22))
    assert not passes(state, packet(dport=91))
    assert not passes(state, packet(src="10.0.3.7"))


def test_next_term_decides_nothing():
    state = filtered(
        "a from protocol tcp", "a then count c", "a then next term", "b from protocol tcp", "b then reject"
    )
    assert not passes(state, packet())


def test_of_nested_prefixes_the_longest_counts():
    state = filtered(
        "a from source-address 10.0.0.0/8", "a from source-address 10.0.2.0/24 except",
        "a from source-address 10.0.2.7/32", "a then accept",
    )  # fmt: skip
    assert passes(state, packet(src="10.0.2.7"))
    assert not passes(state, packet(src="10.0.2.8"))
    assert passes(state, packet(src="10.0.3.8"))
    assert not passes(filtered("a from source-address 10.0.2.0/24 except", "a then accept"), packet(src="10.9.9.9"))


def test_either_end():
    state = filtered("a from address 10.0.9.9/32", "a then discard", "b then accept")
    assert not passes(state, packet(src="10.0.9.9"))
    assert not passes(state, packet(dst="10.0.9.9"))
    assert passes(state, packet())
    ports = filtered("a from protocol udp", "a from port 53", "a then accept")
    assert passes(ports, packet(UDP, 53))
    assert passes(ports, packet(UDP, 9, sport=53))
    assert not passes(ports, packet(UDP, 9))


def test_prefix_lists_and_exceptions():
    more = (
        "set policy-options prefix-list L 10.0.0.0/16\nset policy-options prefix-list M 10.0.2.0/24\n"
        'set policy-options prefix-list UNUSED apply-path "interfaces <*> unit <*> family inet address <*>"\n'
    )
    state = filtered("a from source-prefix-list L", "a from source-prefix-list M except", "a then accept", more=more)
    assert passes(state, packet(src="10.0.1.1"))
    assert not passes(state, packet(src="10.0.2.1"))
    assert not passes(state, packet(src="10.1.1.1"))


def test_except_of_numbers():
    state = filtered("a from protocol tcp", "a from destination-port-except 20-25", "a then accept")
    assert not passes(state, packet())
    assert passes(state, packet(dport=26))
    protocols = filtered("a from protocol-except tcp", "a then accept")
    assert not passes(protocols, packet())
    assert passes(protocols, packet(UDP))


def test_established_and_icmp():
    state = filtered("a from protocol tcp", "a from tcp-established", "a then accept")
    assert passes(state, packet(established=True))
    assert not passes(state, packet())
    flags = filtered("a from protocol tcp", 'a from tcp-flags "(ack | rst)"', "a then accept")
    assert passes(flags, packet(established=True))
    assert not passes(flags, packet())
    kinds = filtered(
        "a from protocol icmp", "a from icmp-type unreachable", "a from icmp-code fragmentation-needed", "a then accept"
    )
    assert passes(kinds, packet(ICMP, 0, icmp=IcmpKind(3, 4)))
    assert not passes(kinds, packet(ICMP, 0, icmp=IcmpKind(3, 1)))


def test_layer2_conditions():
    state = filtered(
        "a from ether-type arp", "a then accept", "b from ether-type ipv4", "b from ip-protocol tcp",
        "b from ip-destination-address 10.0.1.11/32", "b then discard", "c then accept", kind=Kind.SWITCH,
    )  # fmt: skip
    assert not passes(state, packet())
    assert passes(state, packet(UDP))


def test_output_filters_stand_at_the_destinations_behind_them():
    state = filtered("a from protocol tcp", "a then discard", "b then accept", direction="output", interface="ge-0/0/1")
    assert not passes(state, packet(dst="10.0.4.9"))
    assert passes(state, packet(dst="10.0.3.9"))
    assert passes(state, packet(UDP, dst="10.0.4.9"))


def test_ipv6_filters_are_known():
    state = running("set interfaces ge-0/0/0 unit 0 family inet6 filter input V6\n", make_context())
    assert state.filters_ipv6("ge-0/0/0")
    assert not state.filters_ipv6("ge-0/0/1")


def test_inactive_statements_decide_nothing():
    state = running(BOUND + "deactivate interfaces ge-0/0/0 unit 0 family inet filter\n", make_context())
    assert passes(state, packet())
    assert not passes(running(BOUND, make_context()), packet())


REAL = """
set version 21.4R3.15
set groups global system login message "do not enter; { } #"
set apply-groups global
set system host-name mx1
set system services ssh root-login deny
set chassis aggregated-devices ethernet device-count 2
set interfaces ge-0/0/0 description "to \\"core\\""
set interfaces ge-0/0/0 mtu 9192
set interfaces ge-0/0/0 apply-groups global
set interfaces ge-0/0/0 unit 0 family inet apply-groups global
set interfaces ge-0/0/0 unit 0 family inet address 10.0.1.1/24
set interfaces ge-0/0/0 unit 0 family inet filter input CORP-IN
set interfaces ge-0/0/2 flexible-vlan-tagging
set interfaces ge-0/0/2 unit 30 vlan-id 30
set interfaces ge-0/0/2 unit 30 family inet address 10.0.3.1/24
set interfaces lo0 unit 0 family inet filter input PROTECT-RE
set interfaces fxp0 unit 0 family inet filter input MGMT
set snmp community public
set routing-options static route 0.0.0.0/0 next-hop 10.0.1.254
set protocols ospf area 0.0.0.0 interface ge-0/0/0.0
set policy-options prefix-list MGMT-NETS 10.99.0.0/16
set policy-options policy-statement EXPORT term 1 then accept
set firewall policer P1M if-exceeding bandwidth-limit 1m
set firewall family inet filter CORP-IN interface-specific
set firewall family inet filter CORP-IN term mgmt from source-prefix-list MGMT-NETS
set firewall family inet filter CORP-IN term mgmt from protocol tcp
set firewall family inet filter CORP-IN term mgmt from destination-port [IN]
set firewall family inet filter CORP-IN term mgmt then count mgmt
set firewall family inet filter CORP-IN term mgmt then accept
set firewall family inet filter CORP-IN term smb from protocol tcp
set firewall family inet filter CORP-IN term smb from destination-port netbios-ssn
set firewall family inet filter CORP-IN term smb from destination-port 445
set firewall family inet filter CORP-IN term smb then reject administratively-prohibited
set firewall family inet filter CORP-IN term rest then accept
set firewall family inet filter PROTECT-RE term x from tcp-initial
set firewall family inet filter PROTECT-RE term x then policer P1M
""".replace("[IN]", "ssh")


def test_a_real_looking_configuration_is_read():
    state = PLATFORM.parse_running({PLATFORM.show_commands[0]: REAL}, make_context())
    assert not passes(state, packet(dport=445))
    assert not passes(state, packet(dport=139))
    assert passes(state, packet(dport=80))
    assert state.decide("ge-0/0/0", packet(dport=445), NEW).acl == "CORP-IN"
    assert state.decide("ge-0/0/0", packet(dport=445), NEW).place == "dev1:31"


# ---- refusals of the reader --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{T}from ttl 1\n{BIND}", r"dev1:3: from ttl is not understood"),
        (f"{T}from destination-port 22\n{BIND}", r"dev1:3: term a asks for a port without naming a protocol"),
        (f"{T}from protocol ospf\n{T}from source-port 22\n{BIND}", r"dev1:3: term a asks for a port without"),
        (f"{T}from protocol-except udp\n{T}from port 22\n{BIND}", r"dev1:3: term a asks for a port without"),
        (f"{T}from tcp-established\n{BIND}", r"dev1:3: term a asks for TCP flags without"),
        (f"{T}from protocol udp\n{T}from tcp-established\n{BIND}", r"TCP flags without"),
        (f"{T}from icmp-type 8\n{BIND}", r"an ICMP type without"),
        (f"{T}from protocol icmp\n{T}from icmp-code port-unreachable\n{BIND}", r"dev1:4: .*needs icmp-type 3"),
        (f"{T}from protocol tcp\n{T}from tcp-initial\n{BIND}", r"dev1:4: from tcp-initial is not understood"),
        (f'{T}from protocol tcp\n{T}from tcp-flags "syn & !ack"\n{BIND}', r"dev1:4: tcp-flags .* only \(ack \| rst\)"),
        (f"{T}from source-address 10.0.0.1/255.0.255.0\n{BIND}", r"dev1:3: .* is no IPv4 prefix"),
        (f"{T}from source-address 10.0.0.1/24\n{BIND}", r"dev1:3: '10.0.0.1/24' is no IPv4 prefix"),
        (f"{T}from source-address 2001:db8::/32\n{BIND}", r"is no IPv4 prefix"),
        (f"{T}from source-prefix-list NONE\n{BIND}", r"dev1:3: prefix list 'NONE' is not there, or is empty"),
        (f"set policy-options prefix-list E\n{T}from source-prefix-list E\n{BIND}", r"dev1:4: .* or is empty"),
        (f'set policy-options prefix-list P apply-path "x"\n{T}from prefix-list P\n{BIND}', r"dev1:3: .* is no IPv4 prefix"),
        (f"{T}from protocol bogus\n{BIND}", r"dev1:3: 'bogus' is no value here"),
        (f"{T}from protocol tcp\n{T}from destination-port 70000\n{BIND}", r"dev1:4: '70000' is no value"),
        (f"{T}from protocol tcp\n{T}from destination-port 90-80\n{BIND}", r"dev1:4: '90-80' is no value"),
        (f"{T}then policer P\n{BIND}", r"dev1:3: then policer P is not understood: it may drop packets"),
        (f"{T}then routing-instance R\n{BIND}", r"dev1:3: then routing-instance R .* another way"),
        (f"{T}then reject bogus\n{BIND}", r"dev1:3: then reject bogus is not understood"),
        (f"{T}then accept\n{T}then next term\n{BIND}", r"dev1:3: term a has more than one verdict"),
        (f"{T}filter G\n{BIND}", r"dev1:3: 'filter G' in a term is not understood"),
        (f"set firewall family inet filter F physical-interface-filter\n{BIND}", r"dev1:3: .* in a filter is not"),
        (BIND, r"dev1:3: there is no filter 'F' of family inet"),
        ("set interfaces ge-0/0/0 unit 0 family inet filter input-list F\n", r"dev1:3: .*filter input-list is not"),
        ("set interfaces ge-0/0/0 unit 0 family inet policer input P\n", r"dev1:3: .*policer input is not understood"),
        ("set interfaces ge-0/0/0 unit 0 family inet rpf-check\n", r"dev1:3: .*rpf-check is not understood"),
        ("set interfaces ge-0/0/0 unit 0 family inet simple-filter input P\n", r"simple-filter input is not understood"),
        ("set interfaces ge-0/0/0 unit 0 family mpls filter input F\n", r"family mpls filter input is not understood"),
        ("set interfaces ge-0/0/0 unit 0 filter input F\n", r"dev1:3: interfaces ge-0/0/0: filter input is not"),
        ("set interfaces interface-range R unit 0 family inet filter input F\n", r"dev1:3: interfaces interface-range"),
        ("set groups G interfaces <ge-*> unit 0 family inet filter input F\n", r"dev1:3: group G holds interfaces"),
        ("set groups G firewall family inet filter F term a then accept\n", r"dev1:3: group G holds firewall"),
        ("set forwarding-options family inet filter input F\n", r"dev1:3: a filter under forwarding-options"),
        ("set vlans V forwarding-options filter input F\n", r"dev1:3: a filter under vlans is not understood"),
        ("set routing-instances R forwarding-options family inet filter input F\n", r"a filter under routing-instances"),
        ("set security policies from-zone a to-zone b policy p then permit\n", r"dev1:3: security policies: a session"),
        ("set logical-systems L1 firewall\n", r"dev1:3: hierarchy 'logical-systems' is not known"),
        ("set firewall magic x\n", r"dev1:3: firewall magic is not known"),
        ("set policy-options magic x\n", r"dev1:3: policy-options magic is not known"),
        ("firewall {\n", r"dev1:3: 'firewall' begins no line in `display set` form"),
        ('set system login message "open\n', r"dev1:3: a quote is not closed"),
        ("## ACCESS-DENIED\n", r"dev1:3: .*may not be read"),
        ("insert firewall family inet filter F term a before term b\n", r"dev1:3: there is no term 'a' here"),
        ("insert policy-options x before y\n", r"dev1:3: only `insert"),
        (f"{T.replace('inet', 'ethernet-switching')}then accept\n{BIND.replace('inet', 'ethernet-switching')}", r"the inventory makes it one of family inet"),
    ],
)  # fmt: skip
def test_reading_refuses(text, words):
    with pytest.raises(ConfigError, match=words):
        running(text, make_context())


def test_a_device_that_shows_nothing_is_refused():
    with pytest.raises(ConfigError, match="shows no configuration at all"):
        PLATFORM.parse_running({PLATFORM.show_commands[0]: "\n"}, make_context())


def test_layer2_output_filters_are_refused():
    with pytest.raises(ConfigError, match=r"dev1:4: .*not understood on a layer-2 port"):
        filtered("a then accept", kind=Kind.SWITCH, direction="output")


def test_insert_moves_a_term():
    context = make_context()
    state = running(BOUND, context)
    line = "insert firewall family inet filter CORP term z before term a\n"
    assert passes(PLATFORM.parse_config(line, "x", context, state), packet())
    assert not passes(state, packet())


# ---- routes ------------------------------------------------------------------------------------
FOUR = """
inet.0: 12 destinations, 12 routes (12 active, 0 holddown, 0 hidden)
+ = Active Route, - = Last Active, * = Both

10.0.4.0/22        *[Static/5] 1w2d 03:04:05
                    >  to 10.0.2.254 via ge-0/0/1.0
                       to 10.0.3.254 via ge-0/0/2.30
"""
ONE = """
inet.0: 12 destinations, 12 routes (12 active, 0 holddown, 0 hidden)
+ = Active Route, - = Last Active, * = Both

10.0.1.0/24        *[Direct/0] 1w2d 03:04:05
                    >  via ge-0/0/0.0
"""


def queries(*targets):
    return [RouteQuery(IPv4Address(one), IPv4Address("10.0.2.7"), "ge-0/0/1") for one in targets]


def answers(asked, *outputs):
    """What a session hands over: each command's line, then its output."""
    command, text = PLATFORM.ask_routes(asked)
    assert text == ""
    both = zip(command.splitlines(), outputs, strict=True)
    return PLATFORM.read_routes(asked, "".join(f"{line}\n{output}\n" for line, output in both), "", "dev1")


def test_routes_are_read_with_all_their_next_hops():
    asked = queries("10.0.4.9", "192.0.2.1", "10.0.1.5")
    assert PLATFORM.ask_routes(asked)[0].splitlines()[0] == "show route table inet.0 10.0.4.9 active-path"
    assert answers(asked, FOUR, "\n", ONE) == (
        frozenset({NextHop("ge-0/0/1", IPv4Address("10.0.2.254")), NextHop("ge-0/0/2.30", IPv4Address("10.0.3.254"))}),
        frozenset(),
        frozenset({NextHop("ge-0/0/0", None)}),
    )


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        (queries("10.0.1.5"), FOUR),
        (queries("10.0.1.5"), ONE + FOUR),
        (queries("10.0.1.5"), ONE + "error: x\n"),
        (queries("10.0.1.5"), ONE.replace("inet.0:", "vrf.inet.0:", 1)),
        (queries("10.0.4.9"), FOUR.replace("to 10.0.2.254", "indirect 10.0.2.254")),
    ],
)
def test_routes_that_are_not_understood_are_refused(asked, output):
    with pytest.raises(ConfigError, match="dev1"):
        answers(asked, output)


def test_an_answer_without_its_command_is_refused():
    with pytest.raises(
        ConfigError, match=r"dev1: it did not answer to 'show route table inet\.0 10\.0\.1\.5 active-path'"
    ):
        PLATFORM.read_routes(queries("10.0.1.5"), "", "", "dev1")
    with pytest.raises(ConfigError, match="dev1: its answer is not understood"):
        PLATFORM.read_routes(queries("10.0.1.5"), ONE, "", "dev1")


def test_its_own_address_and_a_discard_route_lead_nowhere():
    for what in ("Local via ge-0/0/0.0", "Discard"):
        text = f"\n10.0.1.1/32  *[Local/0] 1w2d 03:04:05\n    {what}\n"
        assert answers(queries("10.0.1.1"), text) == (frozenset(),)
