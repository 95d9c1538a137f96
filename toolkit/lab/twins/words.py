"""Names that network OSes use for ports, protocols and ICMP messages, written down from their own manuals.

A twin prints a port by its name where its OS does, so that whoever reads a running configuration must know the names.
"""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final = {
    "ahp": 51,
    "eigrp": 88,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "igmp": 2,
    "ospf": 89,
    "pim": 103,
    "tcp": 6,
    "udp": 17,
    "vrrp": 112,
    "sctp": 132,
}

_SHARED_TCP: Final = {
    "bgp": 179, "chargen": 19, "cmd": 514, "daytime": 13, "discard": 9, "domain": 53, "echo": 7, "exec": 512,
    "finger": 79, "ftp": 21, "ftp-data": 20, "gopher": 70, "hostname": 101, "ident": 113, "irc": 194, "klogin": 543,
    "kshell": 544, "login": 513, "lpd": 515, "nntp": 119, "pim-auto-rp": 496, "pop2": 109, "pop3": 110, "smtp": 25,
    "sunrpc": 111, "tacacs": 49, "talk": 517, "telnet": 23, "time": 37, "uucp": 540, "whois": 43, "www": 80,
}  # fmt: skip
_SHARED_UDP: Final = {
    "biff": 512, "bootpc": 68, "bootps": 67, "discard": 9, "dnsix": 195, "domain": 53, "echo": 7, "isakmp": 500,
    "mobile-ip": 434, "nameserver": 42, "netbios-dgm": 138, "netbios-ns": 137, "netbios-ss": 139,
    "non500-isakmp": 4500, "ntp": 123, "pim-auto-rp": 496, "rip": 520, "snmp": 161, "snmptrap": 162, "sunrpc": 111,
    "syslog": 514, "tacacs": 49, "talk": 517, "tftp": 69, "time": 37, "who": 513, "xdmcp": 177,
}  # fmt: skip
_EOS_TCP: Final = _SHARED_TCP | {"ssh": 22, "https": 443, "ldap": 389, "ldaps": 636, "msdp": 639, "imap": 143}
_ASA_TCP: Final = {
    "aol": 5190, "bgp": 179, "chargen": 19, "cifs": 3020, "citrix-ica": 1494, "cmd": 514, "ctiqbe": 2748,
    "daytime": 13, "discard": 9, "domain": 53, "echo": 7, "exec": 512, "finger": 79, "ftp": 21, "ftp-data": 20,
    "gopher": 70, "h323": 1720, "hostname": 101, "https": 443, "ident": 113, "imap4": 143, "irc": 194,
    "kerberos": 750, "klogin": 543, "kshell": 544, "ldap": 389, "ldaps": 636, "login": 513, "lotusnotes": 1352,
    "lpd": 515, "netbios-ssn": 139, "nfs": 2049, "nntp": 119, "pcanywhere-data": 5631, "pim-auto-rp": 496,
    "pop2": 109, "pop3": 110, "pptp": 1723, "rsh": 514, "rtsp": 554, "sip": 5060, "smtp": 25, "sqlnet": 1521,
    "ssh": 22, "sunrpc": 111, "tacacs": 49, "talk": 517, "telnet": 23, "uucp": 540, "whois": 43, "www": 80,
}  # fmt: skip
_ASA_UDP: Final = {
    "biff": 512, "bootpc": 68, "bootps": 67, "cifs": 3020, "discard": 9, "dnsix": 195, "domain": 53, "echo": 7,
    "isakmp": 500, "kerberos": 750, "mobile-ip": 434, "nameserver": 42, "netbios-dgm": 138, "netbios-ns": 137,
    "nfs": 2049, "ntp": 123, "pcanywhere-status": 5632, "pim-auto-rp": 496, "radius": 1645, "radius-acct": 1646,
    "rip": 520, "secureid-udp": 5510, "sip": 5060, "snmp": 161, "snmptrap": 162, "sunrpc": 111, "syslog": 514,
    "tacacs": 49, "talk": 517, "tftp": 69, "time": 37, "vxlan": 4789, "who": 513, "www": 80, "xdmcp": 177,
}  # fmt: skip
PORTS: Final[dict[str, dict[int, dict[str, int]]]] = {
    "ios": {6: _SHARED_TCP, 17: _SHARED_UDP},
    "nxos": {6: _SHARED_TCP, 17: _SHARED_UDP},
    "eos": {6: _EOS_TCP, 17: _SHARED_UDP},
    "asa": {6: _ASA_TCP, 17: _ASA_UDP},
}
JUNOS_PORTS: Final = {
    "bgp": 179, "bootpc": 68, "bootps": 67, "domain": 53, "ftp": 21, "ftp-data": 20, "http": 80, "https": 443,
    "imap": 143, "kerberos-sec": 88, "ldap": 389, "ntp": 123, "pop3": 110, "radius": 1812, "smtp": 25, "snmp": 161,
    "snmptrap": 162, "ssh": 22, "syslog": 514, "tacacs": 49, "telnet": 23, "tftp": 69,
}  # fmt: skip
JUNOS_PROTOCOLS: Final = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "pim": 103, "vrrp": 112,
    "sctp": 132,
}  # fmt: skip

# name -> (type, code); code None where the name means every code of the type
ICMP: Final[dict[str, tuple[int, int | None]]] = {
    "echo-reply": (0, None),
    "unreachable": (3, None),
    "net-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "packet-too-big": (3, 4),
    "administratively-prohibited": (3, 13),
    "source-quench": (4, None),
    "redirect": (5, None),
    "echo": (8, None),
    "router-advertisement": (9, None),
    "router-solicitation": (10, None),
    "time-exceeded": (11, None),
    "ttl-exceeded": (11, 0),
    "reassembly-timeout": (11, 1),
    "parameter-problem": (12, None),
    "timestamp-request": (13, None),
    "timestamp-reply": (14, None),
}
JUNOS_ICMP_TYPES: Final = {
    "echo-reply": 0, "unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
    "parameter-problem": 12, "timestamp": 13, "timestamp-reply": 14,
}  # fmt: skip
