"""Names and numbers of nft's language."""

from __future__ import annotations

from typing import Final

from toolkit.net import PROTOCOL_NUMBERS

CT_STATES: Final = ("new", "established", "related", "invalid", "untracked")
ETHER_IP: Final = 0x0800
NFPROTO_IPV4: Final = 2
NFPROTO_IPV6: Final = 10
ETHER_TYPES: Final = {"ip": ETHER_IP, "arp": 0x0806, "ip6": 0x86DD}
NFPROTOS: Final = {"ipv4": NFPROTO_IPV4, "ipv6": NFPROTO_IPV6}
# Names under which nft lists further protocols, from /etc/protocols of Debian.
PROTOCOLS: Final[dict[str, int]] = {
    **PROTOCOL_NUMBERS,
    "ggp": 3, "ipencap": 4, "st": 5, "egp": 8, "igp": 9, "pup": 12, "hmp": 20, "xns-idp": 22, "rdp": 27,
    "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6": 41, "ipv6-route": 43, "ipv6-frag":
    44, "idrp": 45, "rsvp": 46, "skip": 57, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73,
    "vmtp": 81, "ax.25": 93, "ipip": 94, "etherip": 97, "encap": 98, "ipcomp": 108, "l2tp": 115, "isis": 124,
    "fc": 133, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "hip": 139, "shim6":
    140, "wesp": 141, "rohc": 142, "ethernet": 143,
}  # fmt: skip
# Protocols that nft names by itself; it looks others up in /etc/protocols, which a device may not have.
BUILT_IN_PROTOCOLS: Final = ("icmp", "esp", "ah", "tcp", "udp", "sctp")
ICMP_TYPES: Final = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
}
ICMP_CODES: Final = {
    "net-unreachable": 0,
    "host-unreachable": 1,
    "prot-unreachable": 2,
    "port-unreachable": 3,
    "frag-needed": 4,
    "net-prohibited": 9,
    "host-prohibited": 10,
    "admin-prohibited": 13,
}
