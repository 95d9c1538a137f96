"""What a Junos configuration does with a packet, by the twin's own reading of its statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.lab.twins.ace import ALL, TCP, dotted
from toolkit.lab.twins.judge import Ruling
from toolkit.lab.twins.statements import Statements, Words, join, read_ports
from toolkit.lab.twins.words import JUNOS_ICMP_TYPES, JUNOS_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.net import Packet


def judge(statements: Statements, interface: str, packet: Packet) -> Ruling:
    """What happens to a packet that enters by an interface (`ge-0/0/1`, or `ge-0/0/1.10` for a unit of it)."""
    base, _, unit = interface.partition(".")
    items = statements.active()
    for words in items:
        if words[:2] == ("interfaces", base) and words[2:4] == ("unit", unit or "0") and words[4:5] == ("family",):
            if words[6:8] == ("filter", "input"):
                return _filter(items, words[5], words[8], packet)
            if words[6:8] == ("filter", "input-list"):
                raise NotImplementedError("input-list is no part of this twin")
    return Ruling(permit=True, line="")


def _filter(items: list[Words], family: str, name: str, packet: Packet) -> Ruling:
    starts = [("firewall", "family", family, "filter", name), *([("firewall", "filter", name)] * (family == "inet"))]
    terms: dict[str, list[Words]] = {}
    for words in items:
        for start in starts:
            if words[: len(start)] == start and words[len(start) : len(start) + 1] == ("term",):
                terms.setdefault(words[len(start) + 1], []).append(words[len(start) + 2 :])
    for term, lines in terms.items():
        if not _matches([line[1:] for line in lines if line[0] == "from"], packet, items):
            continue
        then = [line[1:] for line in lines if line[0] == "then"]
        verbs = [line[0] for line in then]
        if ("next", "term") in then:
            continue
        permit = "discard" not in verbs and "reject" not in verbs
        return Ruling(permit, f"{name} term {term}: {'; '.join(join(line) for line in then) or 'accept'}")
    return Ruling(permit=False, line=f"{name}: implicit discard")


def _matches(conditions: list[Words], packet: Packet, items: list[Words]) -> bool:
    """Conditions of different kinds must all hold, of values of one kind any."""
    kinds: dict[str, list[Words]] = {}
    for one in conditions:
        kinds.setdefault(one[0].removeprefix("ip-"), []).append(one[1:])  # as family ethernet-switching calls them
    src, dst = int(packet.src), int(packet.dst)
    # An address and a prefix list of one side are values of one kind.
    sides: tuple[tuple[str, Callable[[list[Words]], bool]], ...] = (
        ("source", lambda values: _addresses(values, src)),
        ("destination", lambda values: _addresses(values, dst)),
    )
    for side, test in sides:
        values = kinds.pop(f"{side}-address", []) + _listed(kinds.pop(f"{side}-prefix-list", None), items)
        if values and not test(values):
            return False
    return all(_holds(kind, values, packet) for kind, values in kinds.items())


def _listed(values: list[Words] | None, items: list[Words]) -> list[Words]:
    """Prefixes of prefix lists; one that is empty or missing matches nothing."""
    if values is None:
        return []
    found: list[Words] = []
    for name, *rest in values:
        start = ("policy-options", "prefix-list", name)
        found += [(words[3], *rest) for words in items if words[:3] == start and len(words) > 3]  # noqa: PLR2004
    return found or [("255.255.255.255/32", "except")]


def _addresses(values: list[Words], address: int) -> bool:
    """The longest prefix that holds the address decides; `except` turns it round."""
    best, verdict = -1, False
    for prefix, *rest in values:
        base, _, length = prefix.partition("/")
        bits = int(length or 32)
        care = (ALL << (32 - bits)) & ALL
        value = dotted(base)
        if value is not None and address & care == value & care and bits > best:
            best, verdict = bits, not rest
    return verdict


def _holds(kind: str, values: list[Words], packet: Packet) -> bool:  # noqa: C901, PLR0911 - a table of conditions
    first = [value[0] for value in values if value]
    known = not packet.fragment  # what stands beyond the first fragment's header is not there to look at
    match kind:
        case "ether-type":
            return "ipv4" in first  # only IPv4 packets are judged here
        case "protocol":
            return packet.protocol in [JUNOS_PROTOCOLS.get(word) or int(word) for word in first]
        case "source-port":
            return known and _ports(first, packet.sport)
        case "destination-port":
            return known and _ports(first, packet.dport)
        case "port":
            return known and (_ports(first, packet.sport) or _ports(first, packet.dport))
        case "tcp-established":
            return known and packet.protocol == TCP and packet.established
        case "tcp-initial":
            return known and packet.protocol == TCP and not packet.established
        case "is-fragment":
            return packet.fragment
        case "icmp-type":
            types = [JUNOS_ICMP_TYPES[word] if word in JUNOS_ICMP_TYPES else int(word) for word in first]
            return known and packet.icmp is not None and packet.icmp.type in types
        case "icmp-code":
            return known and packet.icmp is not None and str(packet.icmp.code) in first
    raise NotImplementedError(f"condition {kind} is no part of this twin")


def _ports(words: list[str], port: int) -> bool:
    ranges = [read_ports(word) for word in words]
    return any(one is not None and one[0] <= port <= one[1] for one in ranges)
