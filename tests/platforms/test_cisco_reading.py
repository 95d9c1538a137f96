"""Running configurations as devices show them, and lines that must be refused with their number."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.platforms.cisco import NAMES, NEW, make_context, port_of, read
from toolkit.errors import ConfigError
from toolkit.net import TCP, UDP, Packet
from toolkit.packets import Space
from toolkit.platforms import get

SHOW = "show running-config"
IOS = r"""Building configuration...

Current configuration : 8765 bytes
!
! Last configuration change at 10:11:12 UTC Mon Nov 23 2026 by netops
!
version 17.9
service timestamps debug datetime msec
no service pad
platform qfp utilization monitor load 80
!
hostname dev1
!
boot-start-marker
boot-end-marker
!
vrf definition Mgmt-intf
 !
 address-family ipv4
 exit-address-family
!
no aaa new-model
!
object-group network BRANCHES
 description two branches and a host
 host 10.9.9.9
 10.9.0.0 255.255.254.0
 range 10.8.0.10 10.8.0.20
 group-object HQ
!
object-group network HQ
 10.7.0.0 255.255.0.0
!
object-group service WEB
 tcp eq www
 tcp eq 443
 tcp source eq 8443
 udp range 50 60
 icmp echo
!
crypto pki certificate chain SLA-TrustPoint
 certificate ca 01
  30820321 30820209 A0030201
  quit
!
banner motd ^C
ip access-list extended NOT-A-LIST
this is no configuration: permit ip any any
^C
!
interface Loopback0
 ip address 10.255.0.1 255.255.255.255
!
interface GigabitEthernet0/1
 description uplink
 ip address 10.0.1.1 255.255.255.0
 ip access-group CORP in
 ip ospf 1 area 0
 standby 1 ip 10.0.1.254
 negotiation auto
!
interface GigabitEthernet0/2
 ip address 10.0.2.1 255.255.255.0
 ip access-group 101 in
 ip access-group 7 out
!
interface GigabitEthernet0/3
 no ip address
 shutdown
!
router ospf 1
 distribute-list 10 in
 network 10.0.0.0 0.255.255.255 area 0
!
ip forward-protocol nd
no ip http server
ip route 0.0.0.0 0.0.0.0 10.0.1.2
!
ip access-list standard VTY
 permit 10.0.0.0 0.0.0.255
ip access-list extended CORP
 remark --- ticket 4711 ---
 10 permit tcp host 10.0.1.5 object-group BRANCHES eq 22 443 established
 20 deny   ip any 10.66.0.0 0.0.255.255 log-input
 30 permit object-group WEB any 10.0.2.0 0.0.0.255
 40 permit udp 10.0.1.0 0.0.0.255 any gt 1023
 50 deny   icmp any any redirect
 60 permit ip 10.0.1.0 0.0.0.254 any fragments
access-list 7 permit 10.0.1.0 0.0.0.255
access-list 7 deny   any log
access-list 101 remark numbered
access-list 101 permit tcp any any established
access-list 101 permit ip 10.0.0.1 0.0.255.0 any
!
ipv6 access-list V6
 permit ipv6 any any
!
control-plane
 service-policy input COPP
!
line vty 0 4
 access-class VTY in
 transport input ssh
!
end
"""
EOS = r"""! Command: show running-config
! device: dev1 (DCS-7050SX3-48YC12, EOS-4.31.2F)
!
! boot system flash:/EOS-4.31.2F.swi
!
no aaa root
!
transceiver qsfp default-mode 4x10G
!
service routing protocols model multi-agent
!
hostname dev1
!
spanning-tree mode mstp
!
vlan 10
   name nodes
!
interface Ethernet1
   description node1
   no switchport
   ip address 10.0.1.1/24
   ip access-group CORP in
!
interface Ethernet2
   no switchport
   ip address 10.0.2.1/24
   ip access-group MGMT in
!
interface Ethernet3
   switchport mode trunk
!
interface Management1
   ip address 192.0.2.2/24
!
ip access-list CORP
   statistics per-entry
   fragment-rules
   10 remark ticket 4711
   20 permit tcp 10.0.1.0/24 host 10.0.2.9 eq ssh https 8443
   30 permit udp any range 1024 65535 any eq domain ntp
   40 deny icmp any any redirect
   50 permit vrrp host 10.0.1.2 host 224.0.0.18
   60 permit ip 10.4.0.1 255.0.0.3 any log
!
ip access-list standard MGMT
   10 permit host 10.0.2.7
   20 permit 10.3.0.0/16
!
ip routing
!
ip route 0.0.0.0/0 10.0.1.2
!
management api http-commands
   no shutdown
   !
   vrf default
      no shutdown
!
end
"""
NXOS = r"""
!Command: show running-config
!Running configuration last done at: Mon Nov 23 10:00:00 2026
!Time: Mon Nov 23 10:11:12 2026

version 10.3(4a) Bios:version 05.47
hostname dev1
vdc dev1 id 1
  limit-resource vlan minimum 16 maximum 4094

feature interface-vlan
banner motd #User Access Verification
permit ip any any
#

ip domain-lookup
object-group ip address BRANCHES
  10 host 10.9.9.9
  20 10.9.0.0/23
  30 10.8.0.0 0.0.0.255
object-group ip port WEB
  10 eq 80
  20 range 8000 8010
  30 gt 65000
ip access-list CORP
  statistics per-entry
  10 remark ticket 4711
  20 permit tcp 10.0.1.0/24 addrgroup BRANCHES portgroup WEB
  30 permit tcp any eq 22 10.0.2.0/24 established
  40 deny udp any 10.0.2.0 0.0.0.3 neq 53 log
  50 permit ip 10.4.0.1 255.0.0.3 any
copp profile strict
vrf context management
  ip route 0.0.0.0/0 192.0.2.1

interface Vlan1

interface Ethernet1/1
  no switchport
  ip access-group CORP in
  ip address 10.0.1.1/24
  no shutdown

interface Ethernet1/2
  no switchport
  ip address 10.0.2.1/24

interface Ethernet1/3
  no switchport
  ip address 10.0.3.1/24

interface mgmt0
  vrf member management
line console
line vty
boot nxos bootflash:/nxos64-cs.10.3.4a.M.bin
"""
RUNNING = {"cisco_ios": IOS, "arista_eos": EOS, "cisco_nxos": NXOS}
EACH = pytest.mark.parametrize("name", NAMES)


def running(name, text=None):
    device = make_context(name)
    return get(name).parse_running({SHOW: RUNNING[name] if text is None else text}, device)


def passes(state, number, src, dst, protocol=TCP, sport=40000, dport=0, **extra):
    packet = Packet(IPv4Address(src), IPv4Address(dst), protocol, sport, dport, **extra)
    port = port_of(state.context, number)
    answer = state.decide(port, packet, NEW).action == "permit"
    assert answer is (packet in state.permitted(Space(), port, NEW))
    return answer


def test_ios_as_a_router_shows_it():
    state = running("cisco_ios")
    assert passes(state, 1, "10.0.1.5", "10.9.1.7", dport=22, established=True)
    assert passes(state, 1, "10.0.1.5", "10.7.200.1", dport=443, established=True)  # the group in the group
    assert passes(state, 1, "10.0.1.5", "10.8.0.20", dport=443, established=True)
    assert not passes(state, 1, "10.0.1.5", "10.8.0.21", dport=443, established=True)
    assert not passes(state, 1, "10.0.1.5", "10.9.1.7", dport=22)
    assert passes(state, 1, "10.0.1.5", "10.0.2.9", dport=80)
    assert passes(state, 1, "10.0.1.5", "10.0.2.9", sport=8443, dport=1)
    assert not passes(state, 1, "10.0.1.5", "10.0.2.9", dport=81)
    assert passes(state, 1, "10.0.1.4", "10.5.5.5", UDP, dport=1024)
    assert not passes(state, 1, "10.0.1.4", "10.66.5.5", UDP, dport=1024)
    assert passes(state, 1, "10.0.1.4", "10.5.5.5", TCP, 0, 0, fragment=True)
    assert not passes(state, 1, "10.0.1.5", "10.5.5.5", TCP, 0, 0, fragment=True)  # the mask asks for an even address
    # Numbered lists in and out of the second interface, and a mask with holes.
    assert passes(state, 2, "10.0.77.1", "10.0.3.1", dport=5)
    assert not passes(state, 2, "10.0.77.2", "10.0.3.1", dport=5)
    assert not passes(state, 1, "10.0.2.5", "10.0.2.9", UDP, dport=55)  # leaves by the second, whose list wants 10.0.1
    assert passes(state, 3, "1.2.3.4", "10.0.1.1", dport=5)


def test_eos_as_a_switch_shows_it():
    state = running("arista_eos")
    assert passes(state, 1, "10.0.1.77", "10.0.2.9", dport=22)
    assert passes(state, 1, "10.0.1.77", "10.0.2.9", dport=8443)
    assert not passes(state, 1, "10.0.1.77", "10.0.2.9", dport=8444)
    assert passes(state, 1, "10.0.1.77", "10.5.5.5", UDP, dport=123)
    assert not passes(state, 1, "10.0.1.77", "10.5.5.5", UDP, 1023, 123)
    assert passes(state, 1, "10.0.1.2", "224.0.0.18", 112, 0)
    assert passes(state, 1, "77.4.0.2", "1.1.1.1", dport=9)
    assert not passes(state, 1, "77.4.0.4", "1.1.1.1", dport=9)
    assert passes(state, 2, "10.3.200.1", "1.1.1.1", dport=9)
    assert not passes(state, 2, "10.2.200.1", "1.1.1.1", dport=9)
    assert passes(state, 1, "10.0.1.77", "10.0.2.9", TCP, 0, 0, fragment=True)
    assert not passes(state, 1, "10.0.1.77", "10.0.2.8", TCP, 0, 0, fragment=True)


def test_nxos_as_a_switch_shows_it():
    state = running("cisco_nxos")
    assert passes(state, 1, "10.0.1.77", "10.9.1.255", dport=8005)
    assert passes(state, 1, "10.0.1.77", "10.8.0.3", dport=65001)
    assert not passes(state, 1, "10.0.1.77", "10.8.0.3", dport=65000)
    assert passes(state, 1, "9.9.9.9", "10.0.2.1", sport=22, dport=9, established=True)
    assert passes(state, 1, "77.4.0.2", "10.0.2.1", UDP, dport=53)
    assert not passes(state, 1, "77.4.0.2", "10.0.2.1", UDP, dport=54)
    # A permit with ports lets later fragments pass, a deny with ports looks on.
    assert passes(state, 1, "10.0.1.77", "10.9.1.255", TCP, 0, 0, fragment=True)
    assert passes(state, 1, "77.4.0.2", "10.0.2.1", UDP, 0, 0, fragment=True)


@EACH
def test_what_was_read_is_written_and_read_again_the_same(name):
    state = running(name)
    again = read(state.context, state.text())
    assert again.text() == state.text()
    assert again.fingerprint() == state.fingerprint()


@EACH
def test_the_fingerprint_is_of_the_filters_only(name):
    text = RUNNING[name]
    first = running(name)
    for old, new, same in (
        ("ticket 4711", "ticket 4712", True),
        ("10:11:12", "10:11:13", True),
        ("hostname dev1", "hostname dev2", True),
        ("permit ip 10", "deny ip 10", False),
        ("10.9.9.9", "10.9.9.8", False),
        ("10.0.1.0", "10.0.0.0", False),
    ):
        if old in text:
            assert (running(name, text.replace(old, new)).fingerprint() == first.fingerprint()) is same, old


def test_names_and_numbers_of_interfaces_meet():
    device = make_context("cisco_ios")
    for spelled in ("GigabitEthernet0/1", "Gi0/1", "gigabitethernet 0/1", "gig0/1"):
        state = read(device, f"access-list 5 deny any\ninterface {spelled}\n ip access-group 5 in\n")
        assert state.permitted(Space(), port_of(device), NEW).is_empty
    other = read(device, "access-list 5 deny any\ninterface Te0/1\n ip access-group 5 in\n")
    assert not other.permitted(Space(), port_of(device), NEW).is_empty


def test_sequence_numbers_order_a_list_not_its_lines():
    for name in NAMES:
        device = make_context(name)
        kind = "extended " if name == "cisco_ios" else ""
        text = f"ip access-list {kind}X\n 20 deny ip any any\n 10 permit tcp any any\ninterface {port_of(device)}\n ip access-group X in\n"
        state = read(device, text)
        assert passes(state, 1, "1.1.1.1", "2.2.2.2")
        assert not passes(state, 1, "1.1.1.1", "2.2.2.2", UDP)
        later = get(name).parse_config(
            f"ip access-list {kind}X\n no 10\n 15 deny tcp any any\n permit tcp any any\n", "x", device, state
        )
        assert not passes(later, 1, "1.1.1.1", "2.2.2.2")
        assert [entry.seq for entry in later.config.acls["X"].entries] == [15, 20, 30]


# ---- what is incomplete or inconsistent -----------------------------------------------------------------


@EACH
def test_half_a_running_configuration_is_refused(name):
    get(name).parse_running({SHOW: RUNNING[name]}, make_context(name))
    with pytest.raises(ConfigError, match="is not complete"):
        running(name, "\n")
    if name != "cisco_nxos":  # which ends with no line of its own
        with pytest.raises(ConfigError, match="no line 'end' ends it"):
            running(name, RUNNING[name].removesuffix("end\n"))
    with pytest.raises(ConfigError, match=r"dev1: show running-config:2: .*Invalid"):
        running(name, "hostname a\n% Invalid input detected at '^' marker.\nend\n")


def test_nxos_binds_port_lists_to_layer_2_ports_only():
    text = "ip access-list X\n  10 deny ip any any\ninterface Ethernet1/1\n  ip {}access-group X in\n"
    switched, routed = make_context("cisco_nxos", switched=True), make_context("cisco_nxos")
    assert read(switched, text.format("port ")).permitted(Space(), "Ethernet1/1", NEW).is_empty
    assert read(routed, text.format("")).permitted(Space(), "Ethernet1/1", NEW).is_empty
    with pytest.raises(ConfigError, match="takes 'ip port access-group'"):
        read(switched, text.format(""))
    with pytest.raises(ConfigError, match="takes 'ip access-group'"):
        read(routed, text.format("port "))


def test_lists_of_equal_cost_ways_out_must_agree():
    device = make_context("arista_eos")
    twin = {**device.domains, port_of(device, 2): device.domains[port_of(device, 3)]}
    object.__setattr__(device, "domains", twin)
    text = "ip access-list A\n 10 deny ip any any\nip access-list B\n 10 permit ip any any\ninterface Ethernet2\n ip access-group A out\n"
    with pytest.raises(ConfigError, match="one of several equal-cost interfaces"):
        read(device, text).permitted(Space(), "Ethernet1", NEW)
    both = read(device, text + "interface Ethernet3\n ip access-group A out\n")
    assert Packet(IPv4Address("10.0.1.5"), IPv4Address("10.0.3.5"), TCP) not in both.permitted(
        Space(), "Ethernet1", NEW
    )
    assert Packet(IPv4Address("10.0.3.5"), IPv4Address("10.0.1.5"), TCP) in both.permitted(Space(), "Ethernet1", NEW)


@EACH
def test_an_interface_of_the_inventory_that_the_device_does_not_show_is_refused(name):
    device = make_context(name)
    lines = [f"interface {port}\n" for port in device.interfaces]
    get(name).parse_running({SHOW: f"hostname a\n{''.join(lines)}end\n"}, device)
    with pytest.raises(ConfigError, match=f"interface {port_of(device, 3)} is not there \\(there are: "):
        get(name).parse_running({SHOW: f"hostname a\n{''.join(lines[:2])}end\n"}, device)
