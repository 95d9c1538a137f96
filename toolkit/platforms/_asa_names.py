"""Names and numbers of the ASA's command line, and the heads of its running configuration.

A name that is missing here is refused by the reader, which is safe; a wrong number would not be. Sources: the ASA
command reference (protocols, TCP and UDP ports, ICMP types) and IANA's registries, which it follows.
"""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final[dict[str, int | None]] = {
    "ip": None, "icmp": 1, "igmp": 2, "ipinip": 4, "nos": 94, "tcp": 6, "igrp": 9, "udp": 17, "gre": 47, "pptp": 47,
    "esp": 50, "ipsec": 50, "ah": 51, "icmp6": 58, "eigrp": 88, "ospf": 89, "pim": 103, "pcp": 108, "snp": 109,
    "sctp": 132,
}  # fmt: skip
PROTOCOL_NAMES: Final[dict[int | None, str]] = {
    None: "ip", 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 88: "eigrp", 89: "ospf",
    103: "pim",
}  # fmt: skip
BOTH: Final = {
    "cifs": 3020, "discard": 9, "domain": 53, "echo": 7, "http": 80, "kerberos": 750, "nfs": 2049, "pim-auto-rp": 496,
    "sip": 5060, "sunrpc": 111, "tacacs": 49, "talk": 517, "www": 80,
}  # fmt: skip
TCP_PORTS: Final = {
    **BOTH, "aol": 5190, "bgp": 179, "chargen": 19, "citrix-ica": 1494, "cmd": 514, "ctiqbe": 2748, "daytime": 13,
    "exec": 512, "finger": 79, "ftp": 21, "ftp-data": 20, "gopher": 70, "h323": 1720, "hostname": 101, "https": 443,
    "ident": 113, "imap4": 143, "irc": 194, "klogin": 543, "kshell": 544, "ldap": 389, "ldaps": 636, "login": 513,
    "lotusnotes": 1352, "lpd": 515, "netbios-ssn": 139, "nntp": 119, "pcanywhere-data": 5631, "pop2": 109, "pop3": 110,
    "pptp": 1723, "rsh": 514, "rtsp": 554, "smtp": 25, "sqlnet": 1521, "ssh": 22, "telnet": 23, "uucp": 540,
    "whois": 43,
}  # fmt: skip
UDP_PORTS: Final = {
    **BOTH, "biff": 512, "bootpc": 68, "bootps": 67, "dnsix": 195, "isakmp": 500, "mobile-ip": 434, "nameserver": 42,
    "netbios-dgm": 138, "netbios-ns": 137, "ntp": 123, "pcanywhere-status": 5632, "radius": 1645, "radius-acct": 1646,
    "rip": 520, "secureid-udp": 5510, "snmp": 161, "snmptrap": 162, "syslog": 514, "tftp": 69, "time": 37, "who": 513,
    "xdmcp": 177,
}  # fmt: skip
ICMP_TYPES: Final = {
    "echo-reply": 0, "unreachable": 3, "source-quench": 4, "redirect": 5, "alternate-address": 6, "echo": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "information-request": 15, "information-reply": 16,
    "mask-request": 17, "mask-reply": 18, "traceroute": 30, "conversion-error": 31, "mobile-redirect": 32,
}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Commands without any say in what passes from one interface to another, whatever stands below them.
IGNORED: Final = _words("""
    ! : ASA Cryptochecksum aaa aaa-server aaa-server-group app-agent arp as-path asdm asp auth-prompt banner bgp
    boot call-home checkheaps class-map client-update clock cluster community-list compression configuration console
    coredump crashinfo crypto cts ddns dhcp-client dhcpd dhcprelay dns dns-group dns-group-map domain-name
    dynamic-access-policy-record dynamic-map enable end event failover fips flow-export forward-reference fragment
    ftp group-policy hostname hpm http icmp ipsec ipv6 isakmp jumbo-frame key l2tp lacp ldap license logging
    mac-address mac-list management-access memory monitor-interface mtu multicast-routing names ntp nve
    object-group-search pager passwd password-policy policy-list prefix-list priority-queue privilege prompt quota
    regex route route-map router service service-module sla smart-tunnel smtp-server snmp snmp-map snmp-server sntp
    ssh ssl sysopt tcp-map telnet terminal tftp-server threat-detection time-range timeout tls-proxy track
    tunnel-group uc-ime user-identity user-storage username virtual vpdn vpn-addr-assign vpn-sessiondb webvpn xlate
    zonelabs-integrity
""")
# Sub-commands of an interface that do not filter.
INTERFACE: Final = _words("""
    description speed duplex shutdown channel-group vlan ip mac-address delay bandwidth standby ospf rip eigrp isis pim
    igmp flowcontrol lacp port-channel member-interface redundant switchport authentication summary-address
    hello-interval hold-time split-horizon dhcp dhcprelay ddns no nve-only policy-route pppoe cts media-type hold-queue
    fec negotiation link-debounce
""")
