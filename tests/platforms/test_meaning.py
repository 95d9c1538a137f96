"""What a ruleset does to forwarded packets: as a set, rule by rule, and in cases worked out by hand."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.rulesets import packets, rulesets
from toolkit.errors import ConfigError
from toolkit.net import ICMP, TCP, UDP, Action, IcmpKind, Packet
from toolkit.packets import Space
from toolkit.platforms.base import ConnState
from toolkit.platforms.linux_nftables import PLATFORM
from toolkit.topology import Kind

NEW, KNOWN = ConnState.NEW, ConnState.ESTABLISHED


def state_of(text, context):
    return PLATFORM.parse_config(text, "file.nft", context, PLATFORM.empty(context))


def passes(state, packet, interface="eth1", conn=NEW):
    """The verdict, on which the set and the walk must agree."""
    inside = packet in state.permitted(Space(), interface, conn)
    assert inside == (state.decide(interface, packet, conn).action is Action.PERMIT)
    return inside


def packet(protocol=TCP, dport=22, src="10.0.1.5", dst="10.0.2.8", **extra):
    return Packet(IPv4Address(src), IPv4Address(dst), protocol, 40000, dport, **extra)


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_the_set_and_the_walk_agree_on_generated_rulesets(device, family):
    context = device(Kind.FIREWALL if family == "inet" else Kind.SWITCH)

    @settings(max_examples=150, deadline=None)
    @given(rulesets(family), st.lists(packets(), min_size=10, max_size=30))
    def check(text, sent):
        state = state_of(text, context)
        space = Space()
        for interface in context.interfaces:
            for conn in ConnState:
                permitted = state.permitted(space, interface, conn)
                for one in sent:
                    decision = state.decide(interface, one, conn)
                    assert (one in permitted) == (decision.action is Action.PERMIT), f"{one} at {interface}: {decision}"

    check()


def chain(*rules, policy="drop", hook="forward", name="c", family="inet", more=""):
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    head = f"type filter hook {hook} priority 0; policy {policy};"
    return f"table {family} {name} {{\n{more}\tchain c {{\n\t\t{head}\n{body}\t}}\n}}\n"


def test_every_base_chain_must_accept(firewall):
    both = state_of(chain("tcp dport 22 accept") + chain("tcp dport { 22, 80 } accept", name="d"), firewall)
    assert passes(both, packet(dport=22))
    assert not passes(both, packet(dport=80))


@pytest.mark.parametrize("hook", ["prerouting", "postrouting"])
def test_filter_chains_before_and_after_routing_count(firewall, hook):
    assert not passes(state_of(chain(policy="drop", hook=hook), firewall), packet())


@pytest.mark.parametrize("hook", ["input", "output"])
def test_chains_for_the_device_itself_do_not_count(firewall, hook):
    assert passes(state_of(chain(policy="drop", hook=hook), firewall), packet())


def test_families_count_where_their_packets_go(firewall, switch):
    for family, routed, bridged in (("inet", 1, 0), ("ip", 1, 0), ("ip6", 0, 0), ("bridge", 0, 1), ("arp", 0, 0)):
        hook = "input" if family == "arp" else "forward"
        text = chain(policy="drop", family=family, hook=hook)
        assert passes(state_of(text, firewall), packet()) == (not routed), family
        assert passes(state_of(text, switch), packet()) == (not bridged), family


def test_ingress_of_a_device_counts_for_its_interface_only(firewall, switch):
    text = chain(policy="drop", family="netdev", hook='ingress device "eth1"')
    for context in (firewall, switch):
        assert not passes(state_of(text, context), packet(), "eth1")
        assert passes(state_of(text, context), packet(), "eth2")


def test_a_chain_that_translates_sources_is_passed_over_unless_it_drops(firewall):
    text = chain("masquerade", policy="accept", hook="postrouting").replace("type filter", "type nat")
    assert passes(state_of(text, firewall), packet())
    for bad in (text.replace("policy accept", "policy drop"), text.replace("masquerade", "drop")):
        with pytest.raises(ConfigError, match="type 'nat' is not understood"):
            passes(state_of(bad, firewall), packet())


def test_a_chain_that_rewrites_packets_is_not_understood(firewall):
    text = chain(policy="accept", hook="prerouting").replace("type filter", "type nat")
    with pytest.raises(ConfigError, match="type 'nat' is not understood"):
        state_of(text, firewall).permitted(Space(), "eth1", NEW)


def test_jump_comes_back_and_goto_does_not(firewall):
    sub = "\tchain s {\n\t\ttcp dport 22 accept\n\t\ttcp dport 23 return\n\t}\n"
    jump = state_of(chain("jump s", "tcp dport 23-24 accept", more=sub), firewall)
    goto = state_of(chain("goto s", "tcp dport 23-24 accept", more=sub), firewall)
    assert [passes(jump, packet(dport=n)) for n in (22, 23, 24, 25)] == [True, True, True, False]
    assert [passes(goto, packet(dport=n)) for n in (22, 23, 24, 25)] == [True, False, False, False]


def test_a_goto_behind_a_jump_returns_to_where_the_jump_was(firewall):
    sub = "\tchain last {\n\t\ttcp dport 22 drop\n\t}\n\tchain s {\n\t\tgoto last\n\t\tdrop\n\t}\n"
    state = state_of(chain("jump s", "accept", more=sub), firewall)
    assert [passes(state, packet(dport=n)) for n in (22, 23)] == [False, True]


def test_connection_states(firewall):
    state = state_of(
        chain("ct state invalid drop", "ct state established,related accept", "tcp dport 22 accept"), firewall
    )
    assert passes(state, packet(dport=22), conn=NEW)
    assert not passes(state, packet(dport=80), conn=NEW)
    assert passes(state, packet(dport=80), conn=KNOWN)
    related = state_of(chain("ct state related accept"), firewall)
    assert not passes(related, packet(), conn=KNOWN)


def test_a_switch_knows_no_connections(switch):
    state = state_of(chain("ct state established accept", family="bridge"), switch)
    with pytest.raises(ConfigError, match=r"file\.nft:4: ct state is not known"):
        state.permitted(Space(), "eth1", NEW)


def test_output_interfaces_stand_for_the_destinations_behind_them(firewall):
    state = state_of(chain('oifname "eth2" accept'), firewall)
    assert passes(state, packet(dst="10.0.2.8"))
    assert not passes(state, packet(dst="10.0.1.8"))
    others = state_of(chain('oifname != "eth2" accept'), firewall)
    assert not passes(others, packet(dst="10.0.2.8"))
    assert passes(others, packet(dst="192.0.2.1"))


def test_output_interfaces_are_refused_where_they_are_not_known(firewall, switch):
    early = state_of(chain('oifname "eth2" accept', hook="prerouting"), firewall)
    bridged = state_of(chain('oifname "eth2" accept', family="bridge"), switch)
    for state in (early, bridged):
        with pytest.raises(ConfigError, match="no route is known"):
            state.permitted(Space(), "eth1", NEW)


def test_one_of_several_equal_cost_interfaces_is_refused(firewall):
    from dataclasses import replace

    context = replace(firewall, domains={**firewall.domains, "eth1": firewall.domains["eth2"]})
    with pytest.raises(ConfigError, match="equal-cost"):
        state_of(chain('oifname "eth2" accept'), context).decide("eth1", packet(), NEW)


def test_later_fragments_carry_no_ports(switch):
    piece = packet(dport=0, fragment=True)
    assert not passes(state_of(chain("tcp dport 22 accept", family="bridge"), switch), piece)
    assert not passes(state_of(chain("tcp dport != 80 accept", family="bridge"), switch), piece)
    assert not passes(state_of(chain("tcp flags ack,rst accept", family="bridge"), switch), piece)
    assert passes(state_of(chain("meta l4proto tcp accept", family="bridge"), switch), piece)
    assert passes(state_of(chain("ip frag-off & 0x1fff != 0 accept", family="bridge"), switch), piece)
    assert not passes(state_of(chain("ip frag-off & 0x1fff == 0 accept", family="bridge"), switch), piece)


def test_icmp_kinds_and_tcp_flags(switch):
    kinds = state_of(chain("icmp type 3 icmp code 4 accept", "icmp type 8 accept", family="bridge"), switch)
    sent = [(3, 4), (3, 1), (8, 0), (8, 9), (0, 0)]
    assert [passes(kinds, packet(ICMP, 0, icmp=IcmpKind(*one))) for one in sent] == [True, False, True, True, False]
    flags = state_of(chain("tcp sport 40000 tcp flags ack,rst accept", family="bridge"), switch)
    assert passes(flags, packet(established=True))
    assert not passes(flags, packet())
    assert not passes(flags, packet(UDP))


def test_rules_for_ipv6_do_not_touch_ipv4(firewall, switch):
    for rule in ("meta nfproto ipv6 drop", "reject with icmpv6 no-route"):
        assert passes(state_of(chain(rule, policy="accept"), firewall), packet())
    assert passes(
        state_of(chain("ether type ip6 drop", "meta protocol arp drop", policy="accept", family="bridge"), switch),
        packet(),
    )
    assert not passes(state_of(chain("reject with tcp reset", policy="accept"), firewall), packet())
    assert passes(state_of(chain("reject with tcp reset", policy="accept"), firewall), packet(UDP))


@pytest.mark.parametrize(
    ("rules", "policy", "filtered"),
    [
        ((), "accept", False),
        ((), "drop", True),
        (("drop",), "accept", True),
        (("meta nfproto ipv4 drop",), "accept", False),
        (("ip saddr 10.0.0.0/8 drop",), "accept", False),
        (('iifname "eth2" drop',), "accept", False),
        (('iifname "eth1" meta nfproto ipv6 drop',), "accept", True),
        (("tcp dport 22 drop",), "accept", False),
    ],
)
def test_ipv6_that_nobody_filters_is_known(firewall, rules, policy, filtered):
    assert state_of(chain(*rules, policy=policy), firewall).filters_ipv6("eth1") is filtered


def test_fingerprints_see_what_decides_and_nothing_else(firewall):
    plain = state_of(chain("tcp dport 22 accept"), firewall).fingerprint()
    assert state_of(chain('tcp dport 22 accept comment "x"'), firewall).fingerprint() == plain
    assert state_of(chain("tcp dport 22 counter packets 5 bytes 9 accept"), firewall).fingerprint() == plain
    assert state_of(chain("tcp dport { 22 } accept"), firewall).fingerprint() == plain
    for other in (
        chain("tcp dport 23 accept"),
        chain("tcp dport 22 accept", policy="accept"),
        chain("tcp dport 22 drop"),
    ):
        assert state_of(other, firewall).fingerprint() != plain
    ipv4, ipv6 = (state_of(chain(f"meta nfproto {name} drop"), firewall).fingerprint() for name in ("ipv4", "ipv6"))
    assert ipv4 != ipv6
