"""A strict reader of `nft -j list ruleset`: what it does not know is an error with table, chain and handle."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from toolkit.errors import ConfigError, Place
from toolkit.platforms._nft_model import (
    NUMBER_FIELDS,
    SOURCE_NAT,
    Base,
    Chain,
    Interval,
    Match,
    Rule,
    Ruleset,
    fault,
    guard_of,
    make_rule,
    reach_forwarded,
)
from toolkit.platforms._nft_names import (
    CT_STATES,
    ETHER_TYPES,
    ICMP_CODES,
    ICMP_TYPES,
    NFPROTO_IPV6,
    NFPROTOS,
    PROTOCOLS,
)
from toolkit.platforms._nft_rule import FRAGMENT_MASK, TRANSPORTS
from toolkit.platforms._nft_text import HOOKS

NAMES: dict[str, dict[str, int]] = {
    "protocol": PROTOCOLS,
    "icmp type": ICMP_TYPES,
    "icmp code": ICMP_CODES,
    "ether type": ETHER_TYPES,
    "nfproto": NFPROTOS,
}
# What an object may say; a table that is dormant, or a chain on several devices, says more.
KEYS = {
    "metainfo": {"version", "release_name", "json_schema_version"},
    "table": {"family", "name", "handle", "comment"},
    "chain": {"family", "table", "name", "handle", "type", "hook", "prio", "policy", "dev", "comment"},
    "rule": {"family", "table", "chain", "handle", "index", "comment", "expr"},
}
META = {
    "iif": "iifname",
    "oif": "oifname",
    "iifname": "iifname",
    "oifname": "oifname",
    "l4proto": "protocol",
    "nfproto": "nfproto",
    "protocol": "ether type",
}
PAYLOAD = {
    ("ip", "saddr"): "ip saddr",
    ("ip", "daddr"): "ip daddr",
    ("ip", "protocol"): "protocol",
    ("ether", "type"): "ether type",
    ("icmp", "type"): "icmp type",
    ("icmp", "code"): "icmp code",
}


OBJECTS = {
    *("counter", "ct expectation", "ct helper", "ct timeout", "element", "flowtable", "limit", "map", "quota"),
    *("secmark", "set", "synproxy"),
}
# Of a set that does not change by itself.
SET_KEYS = {"auto-merge", "comment", "elem", "family", "flags", "handle", "name", "policy", "size", "table", "type"}
Sets = dict[tuple[str, str, str], list[Any]]


def read_listing(text: str, device: str) -> Ruleset:
    """The ruleset that `nft -j list ruleset` printed.

    Raises:
        ConfigError: it is not JSON, or something in it is not fully understood.
    """
    try:
        ruleset = _read(json.loads(text)["nftables"], device)
    except (ValueError, KeyError, TypeError, AttributeError) as caught:
        message = f"no JSON listing of nft: {type(caught).__name__} {caught}"
        raise ConfigError(message, place=Place(device)) from None
    problem = fault(ruleset)
    if problem:
        raise ConfigError(problem, place=Place(device))
    unclear = next((rule.fault for rule in reach_forwarded(ruleset) if rule.fault is not None), None)
    if unclear is not None:
        raise unclear
    return ruleset


def _read(items: list[dict[str, Any]], device: str) -> Ruleset:
    ruleset = Ruleset()
    sets: Sets = {}
    for item in items:
        ((kind, body),) = item.items()
        if kind in OBJECTS:
            if kind == "set" and _is_plain(body):
                sets[body["family"], body["table"], body["name"]] = body.get("elem", [])
            continue
        if kind not in KEYS:
            raise ConfigError(f"{kind} {body.get('name', '')!r} is not understood", place=Place(device))
        for key in sorted(set(body) - KEYS[kind]):
            name = body.get("name", body.get("handle", ""))
            raise ConfigError(f"{kind} {name!r}: {key} {body[key]!r} is not understood", place=Place(device))
        if kind == "metainfo" and body["json_schema_version"] != 1:
            raise ConfigError(f"schema version {body['json_schema_version']} is not understood", place=Place(device))
        if kind == "table":
            ruleset = ruleset.with_table_in_place((body["family"], body["name"]), {})
        elif kind == "chain":
            ruleset = ruleset.with_chain((body["family"], body["table"]), _chain(body, device))
        elif kind == "rule":
            key = (body["family"], body["table"])
            rules = ruleset.tables[key][body["chain"]].rules
            ruleset = ruleset.with_rules(key, body["chain"], (*rules, _Reader(body, device, sets).read()))
    return ruleset


def _is_plain(body: dict[str, Any]) -> bool:
    """Whether the elements of a set are all that it holds, now and later."""
    flags = set(body.get("flags", ()))
    return (
        body.get("type") in ("ipv4_addr", "inet_service")
        and set(body) <= SET_KEYS
        and flags <= {"interval", "constant"}
    )


def _chain(body: dict[str, Any], device: str) -> Chain:
    if "hook" not in body:
        return Chain(body["name"])
    if body["hook"] not in HOOKS or not isinstance(body.get("dev", ""), str):
        place = Place(f"{device}: table {body['family']} {body['table']} chain {body['name']}")
        raise ConfigError(f"hook {body['hook']} on {body.get('dev', 'no device')} is not understood", place=place)
    base = Base(body["type"], body["hook"], int(body["prio"]), body.get("policy", "accept"), body.get("dev", ""))
    return Chain(body["name"], base)


class _Reader:
    """Reads the expressions of one rule."""

    def __init__(self, body: dict[str, Any], device: str, sets: Sets) -> None:
        self.body = body
        self.sets = sets
        where = f"{device}: table {body['family']} {body['table']} chain {body['chain']} handle {body['handle']}"
        self.place = where
        self.matches: dict[str, Match] = {}
        self.verdict = self.target = self.log = ""

    def error(self, message: str) -> ConfigError:
        return ConfigError(message, place=Place(self.place))

    def read(self) -> Rule:
        """The rule; where it is not understood, its text with the reason."""
        try:
            return self.rule()
        except ConfigError as error:
            nat = next((kind for expression in self.body["expr"] for kind in expression if kind in SOURCE_NAT), "")
            place, raw = f"handle {self.body['handle']}", json.dumps(self.body["expr"])
            return Rule((), nat, place=place, handle=self.body["handle"], raw=raw, fault=error)

    def rule(self) -> Rule:
        for expression in self.body["expr"]:
            ((kind, value),) = expression.items()
            if kind == "match":
                self.match(value)
            elif kind in ("counter", "limit"):
                pass
            elif kind == "log":
                self.log = (value or {}).get("prefix", "log")
            elif kind in ("accept", "drop", "return"):
                self.verdict = kind
            elif kind == "reject":
                self.verdict = kind
                self.reject(value or {})
            elif kind in ("jump", "goto"):
                self.verdict, self.target = kind, value["target"]
            else:
                raise self.error(f"statement {kind!r} is not understood")
        if self.verdict and any("limit" in expression for expression in self.body["expr"]):
            raise self.error(
                "statement 'limit' is not understood beside a verdict: it then holds for some packets only"
            )
        extra = {"comment": self.body.get("comment", ""), "log": self.log, "handle": self.body["handle"]}
        try:
            return make_rule(
                self.matches.values(), self.verdict, self.target, place=f"handle {self.body['handle']}", **extra
            )
        except ValueError as caught:
            raise self.error(f"not understood: {caught}") from None

    def reject(self, value: dict[str, Any]) -> None:
        """The answer is of no interest; that some answers limit the rule to a protocol is."""
        kind = value.get("type", "icmpx")
        if kind == "tcp reset":
            self.add(Match.numbers("protocol", [(TRANSPORTS["tcp"], TRANSPORTS["tcp"])]))
        elif kind == "icmpv6":
            self.add(Match.numbers("nfproto", [(NFPROTO_IPV6, NFPROTO_IPV6)]))
        elif kind not in ("icmp", "icmpx"):
            raise self.error(f"reject with {kind!r} is not understood")

    def match(self, value: dict[str, Any]) -> None:
        left, right, sign = value["left"], value["right"], value["op"]
        if "&" in left:
            self.masked(left["&"], right, sign)
        elif "ct" in left and left["ct"].get("key") == "state" and not left["ct"].get("dir"):
            self.words("ct state", right, sign, CT_STATES)
        elif "meta" in left and left["meta"]["key"] in META:
            name = META[left["meta"]["key"]]
            if name in ("iifname", "oifname"):
                self.words(name, right, sign)
            else:
                self.numbers(name, right, sign)
        elif "payload" in left:
            self.payload(left["payload"], right, sign)
        else:
            raise self.error(f"match on {json.dumps(left)} is not understood")

    def payload(self, left: dict[str, Any], right: Any, sign: str) -> None:
        protocol, name = left.get("protocol"), left.get("field")
        if protocol in TRANSPORTS or protocol == "icmp":
            number = TRANSPORTS.get(str(protocol), 1)
            self.add(Match.numbers("protocol", [(number, number)]))
        if (protocol, name) in PAYLOAD:
            self.numbers(PAYLOAD[str(protocol), str(name)], right, sign)
            guard = guard_of(self.body["family"])
            if (protocol, name) == ("ip", "protocol") and guard is not None:
                self.add(guard)
        elif protocol in (*TRANSPORTS, "th") and name in ("sport", "dport"):
            self.numbers(str(name), right, sign)
        elif (protocol, name) == ("tcp", "flags") and sign in ("in", "!="):
            self.flags(right, sign)
        else:
            raise self.error(f"match on {protocol} {name} is not understood")

    def flags(self, right: Any, sign: str) -> None:
        names = right if isinstance(right, list) else right.get("|", ()) if isinstance(right, dict) else (right,)
        if sign != "in" or set(names) != {"ack", "rst"}:
            raise self.error(f"tcp flags {right!r} are not understood; only ack with rst is")
        self.add(Match.numbers("tcp established", [(1, 1)]))

    def masked(self, parts: list[Any], right: Any, sign: str) -> None:
        left, mask = parts
        payload = left.get("payload", {}) if isinstance(left, dict) else {}
        key = (payload.get("protocol"), payload.get("field"))
        if key == ("ip", "frag-off") and mask == FRAGMENT_MASK and right == 0 and sign in ("==", "!="):
            self.add(Match.numbers("ip frag-off", [(1, 1)], negated=sign == "=="))
        elif key == ("tcp", "flags") and right == 0 and sign == "!=":
            self.add(Match.numbers("protocol", [(6, 6)]))
            self.flags(mask, "in")
        else:
            raise self.error(f"match on {json.dumps(parts)} is not understood")

    def words(self, name: str, right: Any, sign: str, known: tuple[str, ...] = ()) -> None:
        values = right["set"] if isinstance(right, dict) and "set" in right else right
        values = values if isinstance(values, list) else [values]
        for value in values:
            if not isinstance(value, str) or (known and value not in known) or "*" in value:
                raise self.error(f"{name} {value!r} is not understood")
        if sign not in ("==", "in", "!="):
            raise self.error(f"{name} {sign} is not understood")
        self.add(Match.words(name, values, negated=sign == "!="))

    def numbers(self, name: str, right: Any, sign: str) -> None:
        values = right["set"] if isinstance(right, dict) and "set" in right else [right]
        if isinstance(right, str) and right.startswith("@"):
            values = self.sets.get((self.body["family"], self.body["table"], right[1:]), values)
        intervals = [self.interval(name, value) for value in values]
        top = NUMBER_FIELDS[name]
        if sign in ("==", "!="):
            self.add(Match.numbers(name, intervals, negated=sign == "!="))
            return
        low, high = intervals[0]
        bounds = {">=": (low, top), "<=": (0, high), ">": (high + 1, top), "<": (0, low - 1)}.get(sign)
        if bounds is None or len(intervals) > 1 or bounds[0] > bounds[1]:
            raise self.error(f"{name} {sign} is not understood")
        self.add(Match.numbers(name, [bounds]))

    def interval(self, name: str, value: Any) -> Interval:
        if isinstance(value, bool):
            raise self.error(f"{name} {value!r} is not understood")
        if isinstance(value, int):
            return value, value
        if isinstance(value, dict) and "range" in value:
            (low, _), (_, high) = (self.interval(name, end) for end in value["range"])
            return low, high
        if isinstance(value, dict) and "prefix" in value:
            network = IPv4Network((value["prefix"]["addr"], value["prefix"]["len"]))
            return int(network.network_address), int(network.broadcast_address)
        if isinstance(value, str) and value in NAMES.get(name, {}):
            return NAMES[name][value], NAMES[name][value]
        if isinstance(value, str) and name in ("ip saddr", "ip daddr"):
            try:
                return int(IPv4Address(value)), int(IPv4Address(value))
            except ValueError:
                pass
        raise self.error(f"{name} {value!r} is not understood")

    def add(self, match: Match) -> None:
        known = self.matches.get(match.field)
        if known is not None and known != match:
            raise self.error(f"the rule matches {match.field} twice, in different ways")
        self.matches[match.field] = match
