"""What an ASA does to a new packet, worked out from its lines alone; shares nothing with the package."""

from __future__ import annotations

import ipaddress

PROTOCOLS = {"ip": None, "tcp": 6, "udp": 17, "icmp": 1}
PORTS = {"ssh": 22, "https": 443, "domain": 53}


def passes(text, packet, enters, leaves):
    """Whether a packet that enters by one interface and would leave by another passes."""
    lines = [line.split() for line in text.splitlines()]
    levels, name = {}, ""
    for words in lines:
        if words[:1] == ["nameif"]:
            name = words[1]
        elif words[:1] == ["security-level"]:
            levels[name] = int(words[1])
    bound = {(words[-1], words[2]): words[1] for words in lines if words[:1] == ["access-group"]}
    same = {words[2] for words in lines if words[:1] == ["same-security-traffic"]}
    lists = [bound[key] for key in ((enters, "in"), ("global", "global")) if key in bound]
    verdict = None
    for one in lists:
        verdict = _list(lines, one, packet) if verdict is None else verdict
    if lists and not verdict:
        return False
    if enters == leaves:
        allowed = "intra-interface" in same
    elif levels[enters] == levels[leaves]:
        allowed = "inter-interface" in same
    else:
        allowed = bool(lists) or levels[enters] > levels[leaves]
    outbound = bound.get((leaves, "out"))
    return allowed and (outbound is None or bool(_list(lines, outbound, packet)))


def _list(lines, name, packet):
    """True, False, or None where nothing matches."""
    for words in lines:
        mine = words[:2] == ["access-list", name] and words[2] == "extended" and "inactive" not in words
        if mine and _matches(lines, words[4:], packet):
            return words[3] == "permit"
    return None


def _matches(lines, words, packet):
    words = list(words)
    protocol = PROTOCOLS[words.pop(0)]
    hit = protocol is None or protocol == packet["protocol"]
    for side in ("src", "dst"):
        hit &= _address(lines, words, packet[side])
        if words and words[0] in ("eq", "range", "gt", "neq"):
            port = packet["sport" if side == "src" else "dport"]
            operator, low = words.pop(0), _port(words.pop(0))
            high = _port(words.pop(0)) if operator == "range" else low
            inside = {"eq": port == low, "range": low <= port <= high, "gt": port > low, "neq": port != low}[operator]
            hit &= inside and not packet["fragment"]
    if words and words[0] == "echo":
        hit &= packet["type"] == 8 and not packet["fragment"]
    return hit


def _port(word):
    return PORTS[word] if word in PORTS else int(word)


def _address(lines, words, address):
    kind = words.pop(0)
    if kind in ("any", "any4"):
        return True
    if kind == "host":
        return address == words.pop(0)
    if kind == "object-group":
        return _group(lines, words.pop(0), address)
    return ipaddress.ip_address(address) in ipaddress.ip_network(f"{kind}/{words.pop(0)}")


def _group(lines, name, address):
    inside = found = False
    for words in lines:
        if words[0] == "object-group":
            inside = words[2] == name
        elif words[0] != "network-object":
            inside = False
        elif inside:
            found |= _address(lines, words[1:], address)
    return found
