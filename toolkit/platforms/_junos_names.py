"""Names and numbers of Junos firewall filters, as its documentation of match conditions lists them."""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final[dict[str, int]] = {
    "hop-by-hop": 0, "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "ipv6": 41, "routing": 43,
    "fragment": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58, "icmpv6": 58, "no-next-header": 59,
    "dstopts": 60, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132,
}  # fmt: skip
PROTOCOL_NAMES: Final[dict[int, str]] = {
    number: name for name, number in PROTOCOLS.items() if name in
    ("icmp", "igmp", "tcp", "egp", "udp", "rsvp", "gre", "esp", "ah", "ospf", "pim", "vrrp", "sctp")
}  # fmt: skip
PORTS: Final[dict[str, int]] = {
    "afs": 1483, "bgp": 179, "biff": 512, "bootpc": 68, "bootps": 67, "cmd": 514, "cvspserver": 2401, "dhcp": 67,
    "domain": 53, "eklogin": 2105, "ekshell": 2106, "exec": 512, "finger": 79, "ftp": 21, "ftp-data": 20, "http": 80,
    "https": 443, "ident": 113, "imap": 143, "kerberos-sec": 88, "klogin": 543, "kpasswd": 761, "krb-prop": 754,
    "krbupdate": 760, "kshell": 544, "ldap": 389, "ldp": 646, "login": 513, "mobileip-agent": 434,
    "mobilip-mn": 435, "msdp": 639, "netbios-dgm": 138, "netbios-ns": 137, "netbios-ssn": 139, "nfsd": 2049,
    "nntp": 119, "ntalk": 518, "ntp": 123, "pop3": 110, "pptp": 1723, "printer": 515, "radacct": 1813, "radius": 1812,
    "rip": 520, "rkinit": 2108, "smtp": 25, "snmp": 161, "snmptrap": 162, "snpp": 444, "socks": 1080, "ssh": 22,
    "sunrpc": 111, "syslog": 514, "tacacs": 49, "tacacs-ds": 65, "talk": 517, "telnet": 23, "tftp": 69, "timed": 525,
    "who": 513, "xdmcp": 177,
}  # fmt: skip
ICMP_TYPES: Final[dict[str, int]] = {
    "echo-reply": 0, "unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicit": 10, "time-exceeded": 11, "parameter-problem": 12, "timestamp": 13,
    "timestamp-reply": 14, "info-request": 15, "info-reply": 16, "mask-request": 17, "mask-reply": 18,
}  # fmt: skip
# name -> (type, code): a code's name means something only together with its type.
ICMP_CODES: Final[dict[str, tuple[int, int]]] = {
    "network-unreachable": (3, 0), "host-unreachable": (3, 1), "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3), "fragmentation-needed": (3, 4), "source-route-failed": (3, 5),
    "destination-network-unknown": (3, 6), "destination-host-unknown": (3, 7), "source-host-isolated": (3, 8),
    "destination-network-prohibited": (3, 9), "destination-host-prohibited": (3, 10),
    "network-unreachable-for-tos": (3, 11), "host-unreachable-for-tos": (3, 12),
    "communication-prohibited-by-filtering": (3, 13), "host-precedence-violation": (3, 14),
    "precedence-cutoff-in-effect": (3, 15), "redirect-for-network": (5, 0), "redirect-for-host": (5, 1),
    "redirect-for-tos-and-net": (5, 2), "redirect-for-tos-and-host": (5, 3), "ttl-eq-zero-during-transit": (11, 0),
    "ttl-eq-zero-during-reassembly": (11, 1), "ip-header-bad": (12, 0), "required-option-missing": (12, 1),
}  # fmt: skip
ETHER_TYPES: Final[dict[str, int]] = {
    "aarp": 0x80F3, "appletalk": 0x809B, "arp": 0x0806, "ipv4": 0x0800, "ipv6": 0x86DD, "mpls-multicast": 0x8848,
    "mpls-unicast": 0x8847, "oam": 0x8902, "ppp": 0x880B, "pppoe-discovery": 0x8863, "pppoe-session": 0x8864,
    "sna": 0x80D5,
}  # fmt: skip
IPV4: Final = 0x0800
