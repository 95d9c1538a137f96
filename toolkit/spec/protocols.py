"""Protocol cells: `TCP`, `TCP & UDP`, `HTTPS (TCP)`, `IP protocol 50`, `ICMP`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from toolkit.net import MAX_OCTET, PROTOCOL_NAMES, PROTOCOL_NUMBERS, WITH_PORTS

# Names that pages use for IP protocols, beyond those that ACLs use.
_ALIASES: Final = {
    "tcp": "tcp",
    "tcpv4": "tcp",
    "tcp4": "tcp",
    "udp": "udp",
    "udpv4": "udp",
    "udp4": "udp",
    "icmpv4": "icmp",
    "icmp4": "icmp",
    "ping": "icmp",
    "ipsec esp": "esp",
    "ipip": "4",
    "ip-in-ip": "4",
    "ipinip": "4",
    "ipencap": "4",
    "carp": "vrrp",
    **{name: name for name in PROTOCOL_NUMBERS},
}
# What runs over a transport that a page names instead of it.
_OVER_UDP: Final = "quic http/3 http3 vxlan geneve ntp snmp dhcp tftp wireguard dtls ike radius"
_OVER_TCP: Final = """
    http https http/1.1 http/2 http2 h2 grpc grpcs ssh sftp scp ftp ftps smtp smtps imap imaps pop3 ldap ldaps tls
    ssl mtls wss ws websocket websockets amqp amqps mqtt mqtts nfs smb cifs rdp jdbc tds postgresql mysql iscsi git
    rest xmpp bgp rpc msrpc soap winrm telnet rtmp rtsp
"""
_OVER: Final = {"udp": _OVER_UDP.split(), "tcp": _OVER_TCP.split()}
_APPLICATIONS: Final = {name: transport for transport, names in _OVER.items() for name in names}
_WORD: Final = re.compile(r"ip-in-ip|ipsec esp|http/[123](?:\.\d)?|[a-z][a-z0-9]*(?:-[a-z]+)*")
_NUMBER: Final = re.compile(
    r"(?:\bip )?\bprotocol (?:number |no\.? |id )?#?(\d{1,3})\b|^#?(\d{1,3})\b(?=\s*(?:$|[(/,]))"
)
_ICMPV6: Final = re.compile(r"\b(?:ipv6[ -]?icmp|icmp[ -]?(?:for )?(?:ip)?v?6)\b")
_ANY: Final = re.compile(r"^(?:any|all|\*|all protocols|any protocol|ip|ipv4|all traffic|any/all)$")
_LETTERS: Final = re.compile(r"^[tu](?:\s*(?:[/,;&+|]|and|or)?\s*[tu])?$")
_NONE: Final = re.compile(
    r"^(?:[-\u2013\u2014.]+|n/?a|none|not applicable|unspecified|\?|tbd|unknown|various|varies)?$"
)


@dataclass(frozen=True, slots=True)
class Protocols:
    """What a protocol cell says: names as in ACLs, `any` for all; `derived` when only an application is named."""

    names: tuple[str, ...] = ()
    derived: bool = False
    ipv6: bool = False
    unknown: str | None = None


def is_transport(text: str) -> bool:
    """Whether a text is nothing but names of IP protocols."""
    words = re.findall(r"[a-z0-9-]+", re.sub(r"\b(?:and|or)\b", " ", text.lower()))
    return bool(words) and all(word in _ALIASES or word in ("any", "ipv4") for word in words)


def read(text: str) -> Protocols:
    """Read a protocol cell; an empty one, or one that says that it says nothing, gives no names."""
    low = " ".join(text.lower().split())
    if _NONE.match(low):
        return Protocols()
    if _ANY.match(low):
        return Protocols(("any",))
    if _LETTERS.match(low):
        return Protocols(tuple(name for name in ("tcp", "udp") if name[0] in low))
    return _named(low, text)


def _named(low: str, text: str) -> Protocols:
    words = _WORD.findall(_ICMPV6.sub(" ", low))
    named = list(dict.fromkeys(_ALIASES[word] for word in words if word in _ALIASES and word != "ping"))
    if named:
        return Protocols(tuple(named), ipv6=_ICMPV6.search(low) is not None)
    if _ICMPV6.search(low):
        return Protocols(ipv6=True)
    number = _NUMBER.search(low)
    if number and int(number[1] or number[2]) <= MAX_OCTET:
        value = int(number[1] or number[2])
        return Protocols((PROTOCOL_NAMES.get(value, str(value)),))
    if "ping" in words:
        return Protocols(("icmp",))
    over = list(dict.fromkeys(_APPLICATIONS[word] for word in words if word in _APPLICATIONS))
    if "dns" in words:
        return Protocols(("tcp", "udp"), derived=True)
    return Protocols(tuple(over), derived=True) if over else Protocols(unknown=text)


def stated_in(text: str) -> tuple[str, ...]:
    """Transport protocols that a sentence or heading names as words of their own."""
    return tuple(dict.fromkeys(_ALIASES[word] for word in re.findall(r"\b(?:tcp|udp|sctp|icmp)\b", text.lower())))


def has_ports(name: str) -> bool:
    """Whether a protocol of this name has ports; `any` may."""
    return name == "any" or PROTOCOL_NUMBERS.get(name) in WITH_PORTS


_DEFAULT: Final = re.compile(
    r"\b(?P<all>all|every|each|any|these|the|following|listed|default)\b[^.;]{0,80}?\b(?:ports?|"
    r"rows?|entries|rules|connections|traffic|protocol)\b[^.;]{0,60}?"
    r"\b(?P<protocol>tcp|udp)\b(?P<rest>[^.;]*)",
    re.IGNORECASE,
)
_EXCEPT: Final = re.compile(
    r"\b(?:unless|except|otherwise|by default|if not|where no|when no|only|all|every|each|default|default protocol)\b",
    re.IGNORECASE,
)


def default_in(sentence: str) -> str | None:
    """The protocol that a sentence states for all ports: `All ports are TCP unless noted otherwise`."""
    low = sentence.lower()
    both = {"tcp", "udp"} <= set(stated_in(low))
    leading = re.search(
        r"\b(?:unless|except where|if not|where not)\b[^,.]{0,60}\b(?:noted|stated|specified|"
        r"indicated|mentioned|listed|marked|given|shown|otherwise)\b[^,.]{0,30},?[^.]*\b(tcp|udp)\b",
        low,
    )
    if leading and not both:
        return leading[1]
    found = _DEFAULT.search(sentence)
    if found is None or re.search(r"\d{2,}", sentence):
        return None
    rest = found["rest"].lower()
    other = "udp" if found["protocol"].lower() == "tcp" else "tcp"
    if re.search(rf"\b(?:and|or|/|&)\s*{other}\b|^\s*/\s*{other}", rest):
        return None
    return found["protocol"].lower() if _EXCEPT.search(sentence) else None
