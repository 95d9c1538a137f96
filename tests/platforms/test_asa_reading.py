"""cisco_asa: what is read of a configuration, what is refused with its line, and answers about routes."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from tests.platforms.asa_cases import (
    HEAD,
    INSPECT,
    KNOWN,
    NEW,
    PLATFORM,
    RELATED,
    make_context,
    packet,
    passes,
    running,
)
from toolkit.errors import ConfigError
from toolkit.net import ICMP, TCP, UDP, IcmpKind
from toolkit.platforms.base import NextHop, RouteQuery

LINES = HEAD.count("\n")
BIND = "access-group A in interface dmz\n"


def bound(*entries, more=""):
    return running(more + "".join(f"access-list A {entry}\n" for entry in entries) + BIND)


# ---- levels, lists and the global list -------------------------------------------------------


def test_without_lists_traffic_goes_down_the_levels():
    state = running("")
    assert passes(state, packet(src="10.0.1.5", dst="10.0.2.5"), "inside")
    assert not passes(state, packet(src="10.0.2.5", dst="10.0.1.5"), "dmz")
    assert state.decide("dmz", packet(), NEW).entry == "security level 50 to 100 (inside)"


def test_a_list_ends_the_implicit_permit_and_ends_with_a_deny():
    state = bound("extended permit tcp any host 10.0.1.11 eq ssh")
    assert passes(state, packet())
    assert not passes(state, packet(dport=23))
    assert not passes(state, packet(dst="198.51.100.1"))
    assert state.decide("dmz", packet(dport=23), NEW).entry == "implicit deny at the end"


def test_the_global_list_comes_behind_the_interfaces_own():
    more = "access-list G extended permit udp any any\naccess-list G extended permit tcp any any eq 23\naccess-group G global\n"
    state = bound("extended deny tcp any any eq 23", more=more)
    assert passes(state, packet(UDP))
    assert not passes(state, packet(dport=23))
    assert passes(state, packet(dport=23, src="10.0.1.5", dst="10.0.2.5"), "inside")
    assert not passes(state, packet(dport=24, src="10.0.1.5", dst="10.0.2.5"), "inside")


@pytest.mark.parametrize("interface", ["dmz", "inside"])
def test_equal_levels_and_hairpins_need_their_own_permit(interface):
    head = HEAD.replace("security-level 50", "security-level 100")
    any_any = f"access-list A extended permit ip any any\naccess-group A in interface {interface}\n"
    here, there = ("10.0.2.5", "10.0.1.5") if interface == "dmz" else ("10.0.1.5", "10.0.2.5")
    for text in ("", any_any):
        assert not passes(running(text, head=head), packet(src=here, dst=there), interface)
        assert not passes(running(text, head=head), packet(src=here, dst=here), interface)
        inter = text + "same-security-traffic permit inter-interface\n"
        assert passes(running(inter, head=head), packet(src=here, dst=there), interface)
        assert not passes(running(inter, head=head), packet(src=here, dst=here), interface)
        intra = text + "same-security-traffic permit intra-interface\n"
        assert passes(running(intra, head=head), packet(src=here, dst=here), interface)


def test_outbound_lists_judge_what_leaves():
    state = running("access-list O extended permit tcp any any eq 80\naccess-group O out interface outside\n")
    assert passes(state, packet(dport=80, src="10.0.1.5", dst="198.51.100.1"), "inside")
    assert not passes(state, packet(dport=81, src="10.0.1.5", dst="198.51.100.1"), "inside")
    assert passes(state, packet(dport=81, src="10.0.1.5", dst="10.0.2.5"), "inside")


def test_known_connections_pass_and_icmp_only_where_it_is_inspected():
    state = running("")
    assert passes(state, packet(), "dmz", KNOWN)
    echo = packet(ICMP, 0, icmp=IcmpKind(0, 0))
    assert not passes(state, echo, "dmz", KNOWN)
    assert passes(running(INSPECT), echo, "dmz", KNOWN)
    assert not passes(running(INSPECT.replace("service-policy global_policy global\n", "")), echo, "dmz", KNOWN)
    assert not passes(state, packet(47, 0), "dmz", KNOWN)
    assert passes(state, packet(ICMP, 0, icmp=IcmpKind(3, 4)), "dmz", RELATED)


def test_ipv6_that_is_filtered_is_known():
    assert running("").filters_ipv6("dmz")
    assert not running("").filters_ipv6("inside")
    assert bound("extended permit tcp any any").filters_ipv6("dmz")
    assert not bound("extended permit ip any any").filters_ipv6("dmz")


# ---- entries, objects and groups -------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "good", "bad"),
    [
        ("extended permit tcp 10.0.2.0 255.255.255.0 any gt 1023", packet(dport=1024), packet(dport=1023)),
        ("extended permit tcp any lt 1024 any", packet(sport=1023), packet(sport=1024)),
        ("extended permit tcp any any neq www", packet(dport=81), packet(dport=80)),
        ("extended permit udp any any range 10 domain", packet(UDP, 53), packet(UDP, 54)),
        ("extended permit icmp any any unreachable 4", packet(ICMP, icmp=IcmpKind(3, 4)), packet(ICMP, icmp=IcmpKind(3, 1))),
        ("extended permit icmp any any echo log", packet(ICMP, icmp=IcmpKind(8, 0)), packet(ICMP, icmp=IcmpKind(0, 0))),
        ("extended permit 112 any any", packet(112, 0), packet()),
        ("extended permit ip any4 any4 log 4 interval 60", packet(dport=1), packet(dport=1, dst="10.0.2.9")),
        ("extended permit tcp object HOST object-group NETS eq https", packet(dport=443), packet(dport=443, src="10.0.2.8")),
        ("extended permit tcp any object-group NETS object-group WEB", packet(dport=8081), packet(dport=8082)),
        ("extended permit object-group MIXED any any", packet(UDP, 123), packet(UDP, 124)),
        ("extended permit object-group MIXED any any", packet(sport=20, dport=2000), packet(sport=21, dport=2000)),
        ("extended permit object-group MIXED any any", packet(ICMP, icmp=IcmpKind(8, 0)), packet(ICMP, icmp=IcmpKind(5, 0))),
        ("extended permit object SSH any any", packet(), packet(dport=23)),
        ("extended permit object-group PROTOS any any", packet(UDP, 9), packet(47, 0)),
        ("extended permit object-group PROTOS any any eq domain", packet(UDP, 53), packet(UDP, 54)),
        ("extended permit object-group PROTOS any any object-group BOTH", packet(TCP, 53), packet(TCP, 54)),
        ("extended permit icmp any any object-group PINGS", packet(ICMP, icmp=IcmpKind(0, 0)), packet(ICMP, icmp=IcmpKind(3, 0))),
        ("extended permit tcp any object RANGE", packet(dst="10.0.1.12"), packet(dst="10.0.1.13")),
        ("extended permit udp any any object-group BOTH", packet(UDP, 53), packet(UDP, 54)),
    ],
)  # fmt: skip
def test_entries(entry, good, bad):
    more = """object network HOST
 host 10.0.2.7
 description the \
jump server
object network RANGE
 range 10.0.1.10 10.0.1.12
object network NAT
 subnet 10.0.2.0 255.255.255.0
object network NAT
 nat (dmz,outside) dynamic interface
object service SSH
 service tcp destination eq ssh
object-group network INNER
 network-object host 10.0.1.11
object-group network NETS
 network-object 10.0.9.0 255.255.255.0
 network-object object RANGE
 group-object INNER
object-group service WEB tcp
 port-object eq www
 port-object range 8080 8081
object-group service BOTH tcp-udp
 port-object eq domain
object-group service MIXED
 service-object udp destination eq ntp
 service-object tcp source eq ftp-data destination gt 1023
 service-object icmp echo
 service-object object SSH
object-group protocol PROTOS
 protocol-object tcp
 protocol-object udp
object-group icmp-type PINGS
 icmp-object echo
 icmp-object echo-reply
"""
    state = bound(entry, more=more)
    assert passes(state, good)
    assert not passes(state, bad)


def test_inactive_entries_remarks_and_ipv6_decide_nothing():
    state = bound(
        "remark permit ip any any", "extended permit tcp any any eq 22 inactive", "extended permit ip any6 any6",
        "extended permit tcp any any eq 23",
    )  # fmt: skip
    assert not passes(state, packet())
    assert passes(state, packet(dport=23))


def test_line_numbers_insert_and_a_second_entry_is_not_taken():
    text = "access-list A extended permit ip any any\naccess-list A line 1 extended deny tcp any any\n" + BIND
    state = running(text + "access-list A extended permit ip any any\n")
    assert not passes(state, packet())
    assert passes(state, packet(UDP))
    assert len(state.config.lists["A"]) == 2


def test_later_fragments_are_only_matched_by_entries_without_ports():
    state = bound("extended permit tcp any any eq 22", "extended permit udp any any")
    assert not passes(state, packet(fragment=True))
    assert passes(state, packet(UDP, fragment=True))


REAL = """domain-name example.net
enable password $sha512$5000$x== pbkdf2
names
no mac-address auto
ftp mode passive
clock timezone CET 1
object network obj_any
 subnet 0.0.0.0 0.0.0.0
object-group network WEBSERVERS
 network-object host 10.0.2.80
access-list OUTSIDE-IN remark --- web, CHG0012345 ---
access-list OUTSIDE-IN extended permit tcp any object-group WEBSERVERS eq https log
access-list OUTSIDE-IN extended permit icmp any any time-exceeded
access-list SPLIT standard permit 10.0.0.0 255.0.0.0
pager lines 24
logging enable
mtu inside 1500
icmp unreachable rate-limit 1 burst-size 1
no arp permit-nonconnected
object network obj_any
 nat (any,outside) dynamic interface
access-group OUTSIDE-IN in interface outside
access-group MGMT in interface inside control-plane
route outside 0.0.0.0 0.0.0.0 192.0.2.254 1
timeout xlate 3:00:00
aaa-server RADIUS protocol radius
user-identity default-domain LOCAL
http server enable
snmp-server enable traps snmp authentication linkup linkdown coldstart warmstart
crypto ipsec security-association pmtu-aging infinite
ssh 10.99.0.0 255.255.0.0 inside
username admin password $sha512$x pbkdf2 privilege 15
prompt hostname context
Cryptochecksum:0123456789abcdef0123456789abcdef
: end
"""


def test_a_real_looking_configuration_is_read():
    state = running(INSPECT + REAL)
    assert passes(state, packet(dport=443, src="198.51.100.1", dst="10.0.2.80"), "outside")
    assert not passes(state, packet(dport=80, src="198.51.100.1", dst="10.0.2.80"), "outside")
    assert passes(state, packet(src="10.0.1.5", dst="198.51.100.1"), "inside")
    decision = state.decide("outside", packet(dport=443, src="198.51.100.1", dst="10.0.2.80"), NEW)
    assert decision.acl == "OUTSIDE-IN"
    assert decision.place == f"dev1:{LINES + INSPECT.count(chr(10)) + 12}"


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("access-list A extended permit tcp any any established\n" + BIND, r":1: .* holds 'established', which is not"),
        ("access-list A extended permit ip any any time-range WORK\n" + BIND, r":1: .* holds 'time-range'"),
        ("access-list A extended permit tcp 10.0.0.0 0.0.0.255 any\n" + BIND, r":1: '10.0.0.0 0.0.0.255' is no network"),
        ("access-list A extended permit tcp 10.0.0.1 255.255.255.0 any\n" + BIND, r":1: .* is no network with its mask"),
        ("access-list A extended permit tcp any any eq bogus\n" + BIND, r":1: .* names port 'bogus'"),
        ("access-list A extended permit tcp any any eq 70000\n" + BIND, r":1: .* names port '70000'"),
        ("access-list A extended permit tcp any any range 90 80\n" + BIND, r":1: .* has no ports behind range"),
        ("access-list A extended permit tcp any any eq\n" + BIND, r":1: .* has no ports behind eq"),
        ("access-list A extended permit ip any any eq 80\n" + BIND, r":1: .* a protocol that has none"),
        ("access-list A extended permit bogus any any\n" + BIND, r":1: .* names protocol 'bogus'"),
        ("access-list A extended permit tcp any\n" + BIND, r":1: .* is no extended entry|ends too early"),
        ("access-list A extended permit tcp host any any\n" + BIND, r":1: 'any' is no IPv4 address"),
        ("access-list A extended permit tcp interface outside any\n" + BIND, r":1: 'interface outside' is no network"),
        ("access-list A extended permit tcp user CORP\\bob any any\n" + BIND, r":1: .* is no network"),
        ("access-list A extended permit icmp any any bogus\n" + BIND, r":1: .* holds 'bogus'"),
        ("access-list A extended permit icmp any any 300\n" + BIND, r":1: .* names ICMP type '300'"),
        ("access-list A extended permit ip object-group NO any\n" + BIND, r":1: .* object-group network NO, which is not"),
        ("access-list A extended permit object NO any any\n" + BIND, r":1: .* object NO, which is not there"),
        ("object network N\n fqdn v4 example.net\naccess-list A extended permit ip object N any\n" + BIND, r":2: 'fqdn"),
        ("object-group network N\naccess-list A extended permit ip object-group N any\n" + BIND, r":2: .* which is empty"),
        ("object-group network N\n group-object N\naccess-list A extended permit ip object-group N any\n" + BIND, r":2: "),
        ("object-group service S tcp\n port-object eq 80\naccess-list A extended permit udp any any object-group S\n" + BIND, r":3: "),
        ("object-group protocol P\n protocol-object tcp\n protocol-object udp\naccess-list A extended permit object-group P any any eq ssh\n" + BIND, r":4: .* names port 'ssh'"),
        ("object-group protocol P\n protocol-object tcp\n protocol-object icmp\naccess-list A extended permit object-group P any any eq 53\n" + BIND, r":4: .* has none"),
        ("access-list A standard permit any\n" + BIND, r":1: .* is no extended entry|is no list entry"),
        ("access-list A ethertype permit ipx any any\n" + BIND, r":1: .* is no extended entry"),
        (BIND, r":1: there is no access-list 'A'"),
        ("access-list A extended permit ip any any\naccess-group A in interface dmz per-user-override\n", r":2: .* not understood"),
        ("nat (inside,outside) source static A B\n", r":1: .* it translates destinations"),
        ("object network O\n host 10.0.1.9\n nat (inside,outside) static 192.0.2.9\n", r":3: .* it translates destinations"),
        ("nat (inside,outside) source dynamic A B destination static C D\n", r":1: .* it translates destinations"),
        ("ip verify reverse-path outside\n", r":1: .* is not understood"),
        ("established tcp 4000 0\n", r":1: .* is not known"),
        ("firewall transparent\n", r":1: .* is not known"),
        ("dynamic-filter enable\n", r":1: .* is not known"),
        ("no nat (inside,outside) source static A B\n", r":1: .* is not understood"),
        ("same-security-traffic permit everything\n", r":1: .* is not understood"),
        ("interface GigabitEthernet0/1\n nameif dmz\n magic 1\n", r":3: interface dmz is magic 1, which is not understood"),
        ("interface GigabitEthernet0/3\n nameif x\n security-level 101\n", r":3: .* is no security level"),
        ("interface GigabitEthernet0/1\n nameif dmz\n zone-member Z\n", r":3: interface dmz is zone-member"),
        ("interface GigabitEthernet0/1\n nameif dmz\n management-only\n", r":3: interface dmz is management-only"),
        ("clear configure all\n", r":1: .* is not understood"),
    ],
)  # fmt: skip
def test_reading_refuses(text, words):
    with pytest.raises(ConfigError) as caught:
        running(text)
    message = str(caught.value)
    place, _, rest = message.partition(": ")
    if place != "dev1":
        message = f":{int(place.removeprefix('dev1:')) - LINES}: {rest}"
    assert re.search(words, message), message


def test_an_interface_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"interface dmz is not there, .*inside \(GigabitEthernet0/0\)"):
        running("", head=HEAD.replace("nameif dmz", "nameif other"))
    with pytest.raises(ConfigError, match="shows no interface with a name"):
        PLATFORM.parse_running({PLATFORM.show_commands[0]: ""}, make_context())


# ---- routes ----------------------------------------------------------------------------------

NAMES = """Interface                Name                     Security
GigabitEthernet0/0       inside                   100
GigabitEthernet0/2       outside                    0
"""
FAR = """
Routing entry for 0.0.0.0 0.0.0.0, supernet
  Known via "static", distance 1, metric 0, candidate default path
  Routing Descriptor Blocks:
  * 192.0.2.254, via outside
      Route metric is 0, traffic share count is 1
"""
NEAR = """
Routing entry for 10.0.1.0 255.255.255.0
  Known via "connected", distance 0, metric 0 (connected, via interface)
  Routing Descriptor Blocks:
  * directly connected, via inside
      Route metric is 0, traffic share count is 1
"""


def queries(interface, *targets):
    return [RouteQuery(IPv4Address(one), IPv4Address("10.0.1.7"), interface) for one in targets]


def answers(asked, *outputs):
    command, _ = PLATFORM.ask_routes(asked)
    both = zip(command.splitlines(), (NAMES, *outputs), strict=True)
    return PLATFORM.read_routes(asked, "".join(f"{line}\n{output}\n" for line, output in both), "", "dev1")


def test_routes_are_read_by_the_names_that_the_inventory_uses():
    gateway = IPv4Address("192.0.2.254")
    asked = ("198.51.100.1", "10.0.1.5", "10.9.9.9")
    for interface, names in (
        ("inside", ("outside", "inside")),
        ("GigabitEthernet0/0", ("GigabitEthernet0/2", "GigabitEthernet0/0")),
    ):
        found = answers(queries(interface, *asked), FAR, NEAR, "% Network not in table")
        assert found == (frozenset({NextHop(names[0], gateway)}), frozenset({NextHop(names[1], None)}), frozenset())


@pytest.mark.parametrize(
    "output",
    [NEAR, FAR + "ERROR: x\n", FAR.replace("via outside", "via elsewhere"), FAR.replace("* 192", "* tunnel 192")],
)
def test_routes_that_are_not_understood_are_refused(output):
    with pytest.raises(ConfigError, match="dev1"):
        answers(queries("inside", "198.51.100.1"), output)


def test_a_reverse_path_check_asks_the_declared_routes_for_new_packets_only():
    state = bound("extended permit ip any any", more="ip verify reverse-path interface dmz\n")
    assert passes(state, packet(src="10.0.2.7"))
    assert not passes(state, packet(src="10.0.1.7"))
    assert passes(state, packet(src="10.0.1.7"), conn=KNOWN)
    assert "reverse-path" in state.decide("dmz", packet(src="10.0.1.7"), NEW).entry
    assert state.fingerprint() != bound("extended permit ip any any").fingerprint()


@pytest.mark.parametrize(
    ("nat", "refused"),
    [
        ("nat (inside,outside) source static A A destination static B B no-proxy-arp route-lookup", False),
        ("nat (inside,outside) source dynamic any interface", False),
        ("nat (inside,outside) 2 source static A C inactive", False),
        ("nat (inside,elsewhere) source static A C", False),
        ("nat (inside,outside) source static A C", True),
        ("nat (inside,any) source static A C", True),
        ("nat source static A C", True),
        ("nat (dmz,elsewhere) source static A A destination static B C", True),
        ("nat (elsewhere,dmz) source static A A destination static B C", True),
        ("nat (elsewhere,other) source static A A destination static B C", False),
        ("nat (inside,outside) source static A A service S T", True),
        ("nat (inside,outside) source static A A service S S", False),
        ("object network W\n host 10.0.2.80\n nat (dmz,outside) static 192.0.2.80", True),
        ("object network W\n host 10.0.2.80\n nat (dmz,elsewhere) static 192.0.2.80", False),
    ],
)
def test_translations_matter_where_a_packet_meets_them(nat, refused):
    if not refused:
        assert passes(running(nat + "\n"), packet(src="10.0.1.5", dst="10.0.2.5"), "inside")
        return
    with pytest.raises(ConfigError, match=r"dev1:\d+: .*it translates destinations"):
        running(nat + "\n")


def test_names_of_addresses_stand_for_them():
    names = "names\nname 10.0.1.11 node1 description the first\nname 10.9.0.0 branch\n"
    entries = ("extended permit tcp host node1 branch 255.255.0.0", "extended permit udp any object-group G")
    group = "object-group network G\n network-object host node1\n network-object branch 255.255.255.0\n"
    state = bound(*entries, more=names + group)
    assert passes(state, packet(src="10.0.1.11", dst="10.9.200.1"))
    assert not passes(state, packet(src="10.0.1.12", dst="10.9.200.1"))
    assert passes(state, packet(UDP, dst="10.0.1.11"))
    assert not passes(state, packet(UDP, dst="10.9.1.11"))
    with pytest.raises(ConfigError, match="'node1' is no IPv4 address"):
        bound(*entries, more=group)


def test_half_a_running_configuration_is_refused():
    whole = f": Saved\n{HEAD}: end\n"
    PLATFORM.parse_running({"show running-config": whole}, make_context())
    with pytest.raises(ConfigError, match="is not complete: no line ': end' ends it"):
        PLATFORM.parse_running({"show running-config": whole.removesuffix(": end\n")}, make_context())
