"""Words of the Cisco-like command lines: protocols, ports, ICMP, interface types.

A word that is missing here is refused by the reader, which is safe; a wrong number would not be.
Sources: the vendors' command references and IANA's registries, which they follow.
"""

from __future__ import annotations

import re
from typing import Final

IcmpRange = tuple[int, int]  # type * 256 + code, first and last

PROTOCOLS: Final[dict[str, int | None]] = {
    "ip": None,
    "ipv4": None,
    "icmp": 1,
    "igmp": 2,
    "ipinip": 4,
    "tcp": 6,
    "igrp": 9,
    "udp": 17,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ahp": 51,
    "eigrp": 88,
    "ospf": 89,
    "nos": 94,
    "pim": 103,
    "pcp": 108,
    "vrrp": 112,
    "sctp": 132,
}
# Those that every one of the systems knows; all others are written as numbers.
WRITTEN: Final[dict[int | None, str]] = {
    None: "ip",
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    89: "ospf",
    103: "pim",
}

_BOTH: Final = {
    "discard": 9,
    "domain": 53,
    "echo": 7,
    "pim-auto-rp": 496,
    "sunrpc": 111,
    "tacacs": 49,
    "talk": 517,
    "time": 37,
}
TCP_PORTS: Final = {
    **_BOTH,
    "bgp": 179,
    "chargen": 19,
    "cmd": 514,
    "daytime": 13,
    "drip": 3949,
    "exec": 512,
    "finger": 79,
    "ftp": 21,
    "ftp-data": 20,
    "gopher": 70,
    "hostname": 101,
    "ident": 113,
    "irc": 194,
    "klogin": 543,
    "kshell": 544,
    "login": 513,
    "lpd": 515,
    "msrpc": 135,
    "nntp": 119,
    "onep-plain": 15001,
    "onep-tls": 15002,
    "pop2": 109,
    "pop3": 110,
    "smtp": 25,
    "syslog": 514,
    "telnet": 23,
    "uucp": 540,
    "whois": 43,
    "www": 80,
}
UDP_PORTS: Final = {
    **_BOTH,
    "biff": 512,
    "bootpc": 68,
    "bootps": 67,
    "dnsix": 195,
    "isakmp": 500,
    "mobile-ip": 434,
    "nameserver": 42,
    "netbios-dgm": 138,
    "netbios-ns": 137,
    "netbios-ss": 139,
    "non500-isakmp": 4500,
    "ntp": 123,
    "rip": 520,
    "ripv6": 521,
    "snmp": 161,
    "snmptrap": 162,
    "syslog": 514,
    "tftp": 69,
    "who": 513,
    "xdmcp": 177,
}
# EOS names more ports, and the same ones for both protocols.
EOS_PORTS: Final = {
    "bfd": 3784,
    "bfd-echo": 3785,
    "bgmp": 264,
    "dhcp-failover2": 847,
    "dhcpv6-client": 546,
    "dhcpv6-server": 547,
    "epp": 700,
    "ftps": 990,
    "ftps-data": 989,
    "http": 80,
    "https": 443,
    "imap": 143,
    "imaps": 993,
    "ipp": 631,
    "iso-tsap": 102,
    "kerberos": 88,
    "kerberos-adm": 749,
    "kpasswd": 464,
    "l2tp": 1701,
    "ldap": 389,
    "ldaps": 636,
    "ldp": 646,
    "lmp": 701,
    "micro-bfd": 6784,
    "microsoft-ds": 445,
    "mlag": 4432,
    "ms-sql-m": 1434,
    "ms-sql-s": 1433,
    "msdp": 639,
    "nfs": 2049,
    "nntps": 563,
    "openvpn": 1194,
    "pop3s": 995,
    "pptp": 1723,
    "ptp-event": 319,
    "ptp-general": 320,
    "radius": 1812,
    "radius-acct": 1813,
    "rsync": 873,
    "rtsp": 554,
    "snpp": 444,
    "ssh": 22,
    "submission": 587,
    "svrloc": 427,
    "systat": 11,
    "tcpmux": 1,
    "timed": 525,
    "vxlan": 4789,
}


def _kind(number: int, code: int | None = None) -> IcmpRange:
    return (number * 256, number * 256 + 255) if code is None else (number * 256 + code, number * 256 + code)


ICMP_KINDS: Final[dict[str, IcmpRange]] = {
    "administratively-prohibited": _kind(3, 13),
    "alternate-address": _kind(6),
    "conversion-error": _kind(31),
    "dod-host-prohibited": _kind(3, 10),
    "dod-net-prohibited": _kind(3, 9),
    "echo": _kind(8),
    "echo-reply": _kind(0),
    "general-parameter-problem": _kind(12, 0),
    "host-isolated": _kind(3, 8),
    "host-precedence-unreachable": _kind(3, 14),
    "host-redirect": _kind(5, 1),
    "host-tos-redirect": _kind(5, 3),
    "host-tos-unreachable": _kind(3, 12),
    "host-unknown": _kind(3, 7),
    "host-unreachable": _kind(3, 1),
    "information-reply": _kind(16),
    "information-request": _kind(15),
    "mask-reply": _kind(18),
    "mask-request": _kind(17),
    "mobile-redirect": _kind(32),
    "net-redirect": _kind(5, 0),
    "net-tos-redirect": _kind(5, 2),
    "net-tos-unreachable": _kind(3, 11),
    "net-unreachable": _kind(3, 0),
    "network-unknown": _kind(3, 6),
    "no-room-for-option": _kind(12, 2),
    "option-missing": _kind(12, 1),
    "packet-too-big": _kind(3, 4),
    "parameter-problem": _kind(12),
    "port-unreachable": _kind(3, 3),
    "precedence-unreachable": _kind(3, 15),
    "protocol-unreachable": _kind(3, 2),
    "reassembly-timeout": _kind(11, 1),
    "redirect": _kind(5),
    "router-advertisement": _kind(9),
    "router-solicitation": _kind(10),
    "source-quench": _kind(4),
    "source-route-failed": _kind(3, 5),
    "time-exceeded": _kind(11),
    "timestamp-reply": _kind(14),
    "timestamp-request": _kind(13),
    "traceroute": _kind(30),
    "ttl-exceeded": _kind(11, 0),
    "unreachable": _kind(3),
}
# The kinds that are written by name; others as numbers, which every one of the systems takes.
WRITTEN_KINDS: Final = {
    ICMP_KINDS[name]: name
    for name in ("echo", "echo-reply", "unreachable", "packet-too-big", "time-exceeded", "ttl-exceeded")
}

INTERFACE_TYPES: Final = (
    "AppGigabitEthernet",
    "BDI",
    "BVI",
    "Dialer",
    "Ethernet",
    "FastEthernet",
    "FiftyGigE",
    "FiveGigabitEthernet",
    "FortyGigabitEthernet",
    "FourHundredGigE",
    "GigabitEthernet",
    "HundredGigE",
    "Loopback",
    "Management",
    "Multilink",
    "NVI",
    "Null",
    "Port-channel",
    "Serial",
    "TenGigabitEthernet",
    "TwoHundredGigE",
    "Tunnel",
    "TwentyFiveGigE",
    "TwoGigabitEthernet",
    "Vlan",
    "Vxlan",
    "mgmt",
    "nve",
)
_INTERFACE: Final = re.compile(r"([A-Za-z-]+)\s*([0-9][0-9/.:]*)", re.ASCII)
_SHORT: Final = {"twe": "TwentyFiveGigE", "tw": "TwoGigabitEthernet", "ma": "Management", "mg": "mgmt"}


def interface_key(name: str) -> str:
    """An interface's name spelled out (`Gi0/1` is `GigabitEthernet0/1`), so that two spellings meet.

    A name of no known type is returned as it is.
    """
    found = _INTERFACE.fullmatch(name.strip())
    if found is None:
        return name
    word = found[1].lower()
    near = [one for one in INTERFACE_TYPES if one.lower() == word]
    near = near or ([_SHORT[word]] if word in _SHORT else [])
    near = near or [one for one in INTERFACE_TYPES if one.lower().startswith(word)]
    return f"{near[0]}{found[2]}" if len(near) == 1 else name
