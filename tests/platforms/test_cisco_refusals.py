"""Lines of IOS, EOS and NX-OS that must be refused, with their number, since nobody knows whether they filter."""

from __future__ import annotations

import pytest

from tests.platforms.cisco import NAMES, PORTS, make_context, port_of, read
from toolkit.errors import ConfigError

LINES = [  # (systems, line in a list, what the message says)
    (NAMES, "permit tcp any any dscp ef", "'dscp'"),
    (NAMES, "permit ip any any ttl eq 5", "'ttl'"),
    (NAMES, "permit ip any any time-range NIGHT", "'time-range'"),
    (NAMES, "permit tcp any any syn", "'syn'"),
    (NAMES, "permit tcp any any ack", "'ack'"),
    (NAMES, "permit ip any any precedence critical", "'precedence'"),
    (NAMES, "permit udp any any established", "established of protocol udp"),
    (NAMES, "permit tcp any any eq 80 fragments", "fragments stands beside ports"),
    (NAMES, "permit ip any any log log", "a second 'log'"),
    (NAMES, "permit ip any any eq 80", "ports of protocol ip"),
    (NAMES, "permit tcp any any eq", "a port is missing"),
    (NAMES, "permit tcp any any eq webby", "port 'webby' of protocol tcp"),
    (NAMES, "permit tcp any any eq 70000", "port '70000'"),
    (NAMES, "permit tcp any any range 10 5", "range 10 5, which ends before it begins"),
    (NAMES, "permit tcp any any gt 65535", "gt 65535, which no port is"),
    (NAMES, "permit tcp any any lt 0", "lt 0, which no port is"),
    (NAMES, "permit udp any any eq www", "port 'www' of protocol udp"),
    (NAMES, "permit tcp any", "an address is missing"),
    (NAMES, "permit tcp any host", "a host's address is missing"),
    (NAMES, "permit tcp any host 10.0.0.256", "address '10.0.0.256'"),
    (NAMES, "permit tcp any 10.0.0.1", "a wildcard mask is missing"),
    (NAMES, "permit tcp any 10.0.0.1 0.0.0.x", "address '0.0.0.x'"),
    (NAMES, "permit tcp any 10.0.0.1 0.255.255.0", "wildcard mask 0.255.255.0 stands for more than 1024 ranges"),
    (NAMES, "permit ip 10.0.0.1 0.0.255.0 10.0.0.1 0.0.255.0", "more than 4096 ranges"),
    (NAMES, "permit vlan any any", "protocol 'vlan'"),
    (NAMES, "permit 256 any any", "protocol '256'"),
    (NAMES, "permit icmp any any shrug", "'shrug'"),
    (NAMES, "permit icmp any any 300", "ICMP type 300"),
    (NAMES, "permit icmp any any 3 300", "ICMP code 300"),
    (NAMES, "evaluate RETURNING", "'evaluate RETURNING' in list X"),
    (NAMES, "permit tcp any any reflect R", "'reflect'"),
    (NAMES, "dynamic X permit ip any any", "in list X"),
    (NAMES, "0 permit ip any any", "0 is no sequence number"),
    (NAMES, "10 permit ip any any", "sequence number 10 stands twice"),
    (NAMES, "no permit udp any any eq 9", "no line 'permit udp any any eq 9' to take away"),
    (NAMES, "no 99", "no line '99' to take away"),
    (("cisco_ios",), "permit ip 10.0.0.0/8 any", "address '10.0.0.0/8'"),
    (("cisco_ios",), "permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11", "more than 10 ports after eq"),
    (("cisco_ios",), "permit object-group NONE any any", "the service group NONE is not there"),
    (("cisco_ios",), "permit ip object-group NONE any", "the network group NONE is not there"),
    (("cisco_nxos",), "permit ip addrgroup NONE any", "the network group NONE is not there"),
    (("cisco_nxos",), "permit tcp any any portgroup NONE", "the port group NONE is not there"),
    (("cisco_nxos",), "permit tcp any any eq 80 443", "'443'"),
    (("cisco_nxos",), "fragments permit-all", "'fragments permit-all' in list X"),
    (("arista_eos",), "permit ip object-group A any", "address 'object-group'"),
    (("arista_eos",), "permit ip 10.0.0.0/33 any", "prefix '10.0.0.0/33'"),
    (("arista_eos",), "permit ip any any tracked", "'tracked'"),
    (("arista_eos",), "no fragment-rules", "'no fragment-rules' in list X"),
]


@pytest.mark.parametrize(("name", "line", "words"), [(n, line, words) for many, line, words in LINES for n in many])
def test_a_line_of_a_list_that_is_not_understood_is_refused_with_its_number(name, line, words):
    device = make_context(name)
    kind = "extended " if name == "cisco_ios" else ""
    text = f"hostname dev1\nip access-list {kind}X\n  10 permit ip any any\n  {line}\n"
    bound = f"interface {port_of(device)}\n ip access-group X in\n"
    with pytest.raises(ConfigError) as caught:
        read(device, text + bound)
    assert words in str(caught.value)
    assert str(caught.value).startswith("running.cfg:4: ")
    read(device, "\n".join(text.splitlines()[:3]) + f"\n{bound}")  # without the line it is fine
    read(device, text)  # and a list that filters nothing may say what it likes


HEADS = [  # (systems, text, line, words)
    (NAMES, "hostname a\nfrobnicate all\n", 2, "'frobnicate all' (nothing is known of it; it may filter)"),
    (NAMES, "vlan access-map M 10\n match ip address X\nvlan filter M vlan-list 10\n", 3, "VLAN access maps filter"),
    (NAMES, "interface PORT\n ip nat inside\n", 2, "NAT changes addresses"),
    (NAMES, "interface PORT\n description a\n service-policy input QOS\n", 3, "policy map QOS is not there"),
    (NAMES, "interface PORT\n ip verify unicast source reachable-via rx\n", 2, "reverse path checks"),
    (NAMES, "interface PORT\n mac access-group M in\n", 2, "a MAC list"),
    (NAMES, "interface PORT\n frobnicate\n", 2, "'frobnicate' (nothing is known"),
    (NAMES, "interface PORT\n ip access-group X sideways\n", 2, "'ip access-group X sideways'"),
    (NAMES, "interface PORT\n ip access-group X in common\n", 2, "'ip access-group X in common'"),
    (NAMES, "interface PORT\n no ip access-group X in\n", 2, "PORT has no list X in to take off"),
    (NAMES, "hostname a\ninterface PORT\n ip access-group X in\n", 3, "PORT in: list X is not there"),
    (NAMES, "interface range Ethernet1 - 2\n", 1, "name one interface"),
    (NAMES, "banner motd #never\nends\n", 1, "a banner does not end"),
    (("cisco_ios",), "ip access-list X\n", 1, "a list is standard or extended"),
    (("cisco_ios",), "zone-pair security A source B destination C\n", 1, "zone-based firewalls filter"),
    (("cisco_ios",), "interface PORT\n zone-member security A\n", 2, "zone-based firewalls filter"),
    (("cisco_ios",), "interface PORT\n ip port access-group X in\n", 2, "'ip port access-group X in'"),
    (("cisco_ios",), "access-list 2800 permit 0000.0000.0000 ffff.ffff.ffff\n", 1, "no numbered list of IP packets"),
    (
        ("cisco_ios",),
        "access-list 101 permit tcp any any ttl eq 1\ninterface PORT\n ip access-group 101 in\n",
        1,
        "'ttl'",
    ),
    (("cisco_ios",), "access-list 1 permit tcp any any\ninterface PORT\n ip access-group 1 in\n", 1, "address 'tcp'"),
    (
        ("cisco_ios",),
        "object-group network uipath_G\n 10.0.0.0 255.0.255.0\n",
        2,
        "mask 255.0.255.0, which is no mask of a prefix",
    ),
    (("cisco_ios",), "object-group network G\n group-object G\n", 1, "object group G holds itself"),
    (
        ("cisco_ios",),
        "object-group network A\n group-object B\nobject-group network B\n group-object A\n",
        1,
        "object group A holds itself (A, B)",
    ),
    (
        ("cisco_ios",),
        "object-group network uipath_A\n group-object B\nhostname a\n",
        1,
        "the network group B is not there",
    ),
    (("cisco_ios",), "object-group service uipath_S\n tcp-udp eq www\n", 2, "port 'www' of protocol udp"),
    (
        ("cisco_ios",),
        "object-group security S\n tag 5\nip access-list extended uipath_X\n permit ip object-group S any\n",
        1,
        "no object group that is known here",
    ),
    (
        ("cisco_ios",),
        "ip access-list extended X\n remark only\ninterface PORT\n ip access-group X in\n",
        4,
        "list X has no entries",
    ),
    (
        ("cisco_ios",),
        "ip access-list standard X\n permit host 1.1.1.1\nip access-list extended X\n",
        3,
        "of the other kind",
    ),
    (
        ("cisco_nxos",),
        "object-group ip address uipath_G\n range 10.0.0.1 10.0.0.9\n",
        2,
        "member 'range 10.0.0.1 10.0.0.9'",
    ),
    (("cisco_nxos",), "object-group ip port uipath_G\n 10 about 5\n", 2, "'about 5'"),
    (("cisco_nxos",), "ip access-list standard X\n", 1, "'ip access-list standard X'"),
    (("arista_eos",), "traffic-policies\n traffic-policy X\n", 1, "traffic policies filter"),
    (("arista_eos",), "object-group network X\n", 1, "no object group that is known here"),
    (("arista_eos",), "ip access-list extended X\n", 1, "'ip access-list extended X'"),
]


@pytest.mark.parametrize(("name", "text", "line", "words"), [(n, *rest) for many, *rest in HEADS for n in many])
def test_what_may_filter_and_is_not_understood_is_refused(name, text, line, words):
    port = f"{PORTS[name]}1"
    with pytest.raises(ConfigError) as caught:
        read(make_context(name), text.replace("PORT", port))
    assert words.replace("PORT", port) in str(caught.value)
    assert str(caught.value).startswith(f"running.cfg:{line}: ")
