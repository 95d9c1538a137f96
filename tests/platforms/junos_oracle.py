"""What a Junos filter does to a packet, worked out from its lines alone; shares nothing with the package."""

from __future__ import annotations

import ipaddress

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ospf": 89}
SIDES = {"source": ("src", "sport"), "destination": ("dst", "dport")}


def plain_verdict(lines, name, packet):
    """Whether a filter of family inet accepts a packet (a dict of its fields)."""
    terms = {}
    for line in lines:
        words = line.split()
        if words[:5] == ["set", "firewall", "family", "inet", "filter"] and words[5] == name:
            terms.setdefault(words[7], []).append(words[8:])
    for statements in terms.values():
        action = "accept"
        conditions = {}
        for words in statements:
            if words[0] == "from":
                conditions.setdefault(words[1], []).append(words[2:])
            elif words[1] != "count":
                action = words[1]
        if action != "next" and all(_holds(key, values, packet) for key, values in conditions.items()):
            return action == "accept"
    return False


def _holds(key, values, packet):
    side, _, what = key.partition("-")
    if key == "protocol":
        return packet["protocol"] in [PROTOCOLS[value[0]] for value in values]
    if key == "is-fragment":
        return packet["fragment"]
    if what == "address":
        return _in_prefixes(ipaddress.ip_address(packet[SIDES[side][0]]), values)
    return not packet["fragment"] and _holds_inside(key, values, packet)


def _holds_inside(key, values, packet):
    side, _, what = key.partition("-")
    if key == "tcp-established":
        return packet["ack"]
    if key == "icmp-type":
        return packet["type"] in [int(value[0]) for value in values]
    assert what in ("port", "port-except"), key
    return _in_ranges(packet[SIDES[side][1]], values) != what.endswith("except")


def _in_prefixes(address, values):
    """The longest prefix counts; `except` wins where two are equal."""
    found = [(ipaddress.ip_network(value[0]).prefixlen, value[1:] != ["except"]) for value in values
             if address in ipaddress.ip_network(value[0])]  # fmt: skip
    longest = max((length for length, _ in found), default=None)
    return bool(found) and all(wanted for length, wanted in found if length == longest)


def _in_ranges(port, values):
    return any(int(v[0].split("-")[0]) <= port <= int(v[0].split("-")[-1]) for v in values)
