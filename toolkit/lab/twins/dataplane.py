"""The running access lists of a twin as rules of the kernel under it, so that a twin filters what crosses it.

Read with the twin's own eyes (`judge`, `ace`), like everything here: no part of `toolkit.platforms` or
`toolkit.packets` is used, so that what passes in a lab is a second opinion about the text that was pushed. A construct
that cannot be carried over is an error, and the data plane then keeps what it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from toolkit.lab.twins.ace import ALL, LAST, TCP, Ace, Address, Ports, Words, dotted, read_ace
from toolkit.lab.twins.judge import Groups, acl_lines, bound, read_groups
from toolkit.lab.twins.levels import name_of, outbound, passes
from toolkit.lab.twins.statements import Statements, read_ports
from toolkit.lab.twins.words import JUNOS_ICMP_TYPES, JUNOS_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from toolkit.lab.twins.tree import Tree

TABLE: Final = "twin"
CABLE: Final = "eth"  # what the names of cables begin with; the routed interface of a bridge is called like the bridge
ICMP: Final = 1
WHOLE: Final = "ip frag-off & 8191 == 0 "
LATER: Final = "ip frag-off & 8191 != 0 "
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a twin: its name in the configuration, and the name of the cable under it."""

    name: str
    cable: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Kernel conditions, each ending with a space, and what happens then."""

    conditions: str
    permit: bool


def compile_rules(
    running: Tree | Statements, os: str, device: str, ports: Iterable[Port], bridged: Collection[str] = ()
) -> str:
    """A transaction that replaces the data plane's rules; `bridged` are the cables of the ports that switch.

    `os` is the twin's short name (`ios`, `eos`, `nxos`, `asa`, `junos`). Denials are logged to group 7 with the device
    and the list that denied, as those of a Linux device are.

    Raises:
        RejectedError, NotImplementedError: a line cannot be carried over.
    """
    every = tuple(ports)
    switching = [port for port in every if port.cable in bridged]
    routing = [port for port in every if port.cable not in bridged]
    if os == "asa":
        assert not isinstance(running, Statements)  # noqa: S101 - Junos alone has statements
        # What is no IPv4 is not what these lists are about. A firewall knows its connections, and takes no TCP packet
        # for the first of one but a SYN.
        late = f'log group 7 prefix "{device}:tcp-not-syn" counter drop'
        known = f"\t\tct state established,related accept\n\t\ttcp flags & (syn | ack | rst | fin) != syn {late}\n"
        return _table("inet", "forward", known, *_asa_chains(running, device, tuple(routing)))
    # A packet that a switch itself routes never passes the hook for what is switched through.
    hook = "prerouting" if switching and routing else "forward"
    tables = []
    if switching:
        tables.append(_table("bridge", hook, "", *_chains(running, os, device, switching)))
    if routing:
        # Where the kernel shows bridged frames to this hook too, they go from a bridge to itself; routed ones do not.
        svis = [port.cable for port in routing if switching and not port.cable.startswith(CABLE)]
        through = "".join(f'\t\tiifname "{name}" oifname "{name}" accept\n' for name in svis)
        tables.append(_table("inet", "forward", through, *_chains(running, os, device, routing)))
    return "".join(tables)


def _table(family: str, hook: str, first: str, chains: Iterable[str], jumps: Iterable[str]) -> str:
    guard = "ether type != ip accept" if family == "bridge" else "meta nfproto != ipv4 accept"
    base = f"\tchain {hook} {{\n\t\ttype filter hook {hook} priority 0; policy accept;\n\t\t{guard}\n{first}"
    table = f"table {family} {TABLE}"
    return f"{table} {{\n}}\ndelete {table}\n{table} {{\n{''.join(chains)}{base}{''.join(jumps)}\t}}\n}}\n"


def _chains(running: Tree | Statements, os: str, device: str, ports: Iterable[Port]) -> tuple[list[str], list[str]]:
    """Chains of the interfaces that have a list, and the rules that jump there."""
    chains, jumps = [], []
    for number, port in enumerate(ports):
        lists = list(_junos(running, port.name) if isinstance(running, Statements) else _cisco(running, os, port.name))
        if not lists:
            continue
        rules = [*(rule for _, some in lists for rule in some), Rule("", permit=False)]
        name = "+".join(name for name, _ in lists)
        chains.append(_chain(f"in{number}", (_line(rule, device, name) for rule in rules)))
        jumps.append(f'\t\tiifname "{port.cable}" jump in{number}\n')
    return chains, jumps


def _chain(name: str, lines: Iterable[str]) -> str:
    return f"\tchain {name} {{\n{''.join(f'{chr(9)}{chr(9)}{line}{chr(10)}' for line in lines)}\t}}\n"


def _line(rule: Rule, device: str, name: str, permit: str = "accept") -> str:
    if rule.permit:
        return f"{rule.conditions}counter {permit}"
    return f'{rule.conditions}log group 7 prefix "{device}:{name}"'[:200] + " counter drop"


# ---- IOS, EOS, NX-OS, ASA ------------------------------------------------------------------


def _cisco(tree: Tree, os: str, interface: str) -> Iterator[tuple[str, list[Rule]]]:
    """(name, rules) of each list that judges what enters by an interface."""
    groups = read_groups(tree, os)
    for name in bound(tree, os, interface):
        entries = _entries(tree, os, name, groups)
        if not entries and os in ("ios", "asa"):
            continue  # a list without any entry filters nothing there
        yield name, [rule for ace in entries for rule in _rules(ace, groups, os)]


def _entries(tree: Tree, os: str, name: str, groups: Groups) -> list[Ace]:
    found = []
    for line in acl_lines(tree, os, name):
        words = Words(line)
        if words.next.isdecimal():
            words.take()
        if words.next in ("permit", "deny"):
            found.append(read_ace(words, os, groups.kinds))
    return found


def _rules(ace: Ace, groups: Groups, os: str) -> Iterator[Rule]:
    if ace.inactive:
        return
    protocol = "" if ace.protocol is None else f"ip protocol {ace.protocol} "
    for source, destination in product(_hosts(ace.source, groups), _hosts(ace.destination, groups)):
        ends = f"{source.format('saddr')}{destination.format('daddr')}"
        if ace.fragments:
            yield Rule(f"{protocol}{ends}{LATER}", ace.permit)
            continue
        if not ace.looks_at_ports:
            yield Rule(f"{protocol}{ends}", ace.permit)
            continue
        for upper in _upper(ace, groups):
            yield Rule(f"{protocol}{ends}{WHOLE}{upper}", ace.permit)
        # No ports are there to look at: a permit lets later fragments through. An ASA puts them together first.
        if ace.permit and os != "asa":
            yield Rule(f"{protocol}{ends}{LATER}", permit=True)


def _hosts(address: Address, groups: Groups) -> Iterator[str]:
    """Conditions on an address, with `{}` for its side."""
    if address.group:
        for member in _members(address.group.split()[-1], groups):
            if isinstance(member, Address):
                yield from _hosts(member, groups)
            else:
                yield f"ip {{}} {_dotted(member[0])}-{_dotted(member[1])} "
    elif address.care == 0:
        yield ""
    elif address.care == ALL:
        yield f"ip {{}} {_dotted(address.value)} "
    else:
        yield f"ip {{}} & {_dotted(address.care)} == {_dotted(address.value)} "


def _members(name: str, groups: Groups) -> Iterator[Address | Span]:
    for member in groups.networks.get(name, ()):
        if isinstance(member, str):
            yield from _members(member, groups)
        else:
            yield member


def _upper(ace: Ace, groups: Groups) -> Iterator[str]:
    """Conditions on what only a packet with its transport header has."""
    if ace.service:
        yield from _services(ace.service.split()[-1], groups)
        return
    flags = "tcp flags & (ack | rst) != 0 " if ace.established else ""
    kind = ""
    if ace.icmp is not None:
        kind = f"icmp type {ace.icmp[0]} " + ("" if ace.icmp[1] is None else f"icmp code {ace.icmp[1]} ")
    sources, destinations = (_spans(ports, groups) for ports in (ace.source_ports, ace.destination_ports))
    yield f"{_ports('sport', sources)}{_ports('dport', destinations)}{flags}{kind}"


def _services(name: str, groups: Groups) -> Iterator[str]:
    for member in groups.services.get(name, ()):
        if isinstance(member, str):
            yield from _services(member, groups)
            continue
        protocol = "" if member.protocol is None else f"ip protocol {member.protocol} "
        if member.icmp is not None:
            protocol += f"icmp type {member.icmp[0]} "
            protocol += "" if member.icmp[1] is None else f"icmp code {member.icmp[1]} "
        if member.protocol is None and not (member.source.any and member.destination.any):
            protocol = "ip protocol { 6, 17 } "
        ports = (
            _ports(side, _spans(one, groups)) for side, one in (("sport", member.source), ("dport", member.destination))
        )
        yield protocol + "".join(ports)


def _spans(ports: Ports, groups: Groups) -> list[Span] | None:
    """Ranges of ports, None for every port."""
    if ports.group:
        members = groups.services.get(ports.group, ())
        inner = (Ports(group=one) if isinstance(one, str) else one.destination for one in members)
        return [span for one in inner for span in _spans(one, groups) or [(0, LAST)]]
    first = ports.values[0] if ports.values else 0
    edges = sorted({-1, *ports.values, LAST + 1})
    return {
        "eq": [(value, value) for value in ports.values],
        "neq": [(low + 1, high - 1) for low, high in pairwise(edges) if high - low > 1],
        "gt": [(first + 1, LAST)] if first < LAST else [],
        "lt": [(0, first - 1)] if first else [],
        "range": [(first, ports.values[-1] if ports.values else 0)],
    }.get(ports.operator)


def _ports(side: str, spans: list[Span] | None) -> str:
    if spans is None:
        return ""
    if not spans:
        return f"th {side} 1 th {side} 2 "  # nothing has two ports at once
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in _joined(spans)]
    return f"th {side} {texts[0]} " if len(texts) == 1 else f"th {side} {{ {', '.join(texts)} }} "


def _joined(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _asa_chains(tree: Tree, device: str, ports: tuple[Port, ...]) -> tuple[list[str], list[str]]:
    """An ASA: levels, then the list of the interface and the global one, then the list where the packet leaves."""
    chains, jumps, leaving = [], [], []
    groups = read_groups(tree, "asa")
    for number, port in enumerate(ports):
        name = outbound(tree, name_of(tree, port.name))
        entries = _entries(tree, "asa", name, groups) if name is not None else []
        if name is not None and entries:
            rules = [*(rule for ace in entries for rule in _rules(ace, groups, "asa")), Rule("", permit=False)]
            chains.append(_chain(f"out{number}", (_line(rule, device, name) for rule in rules)))
            leaving.append(f'oifname "{port.cable}" goto out{number}')
    chains.append(_chain("leaving", [*leaving, "accept"]))
    for number, port in enumerate(ports):
        lists = list(_cisco(tree, "asa", port.name))
        shut = [
            f'oifname "{other.cable}" '
            for other in ports
            if not passes(tree, name_of(tree, port.name), name_of(tree, other.name), listed=bool(lists))
        ]
        body = [_line(Rule(condition, permit=False), device, "security-level") for condition in shut]
        rules = [rule for _, some in lists for rule in some]
        name = "+".join(name for name, _ in lists)
        body += [_line(rule, device, name, "goto leaving") for rule in rules]
        body.append(_line(Rule("", permit=not lists), device, name, "goto leaving"))
        chains.append(_chain(f"in{number}", body))
        jumps.append(f'\t\tiifname "{port.cable}" jump in{number}\n')
    return chains, jumps


def _dotted(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


# ---- Junos ---------------------------------------------------------------------------------


def _junos(statements: Statements, interface: str) -> Iterator[tuple[str, list[Rule]]]:
    base, _, unit = interface.partition(".")
    items = statements.active()
    for words in items:
        here = words[:2] == ("interfaces", base) and words[2:4] == ("unit", unit or "0") and words[4:5] == ("family",)
        if here and words[6:8] == ("filter", "input"):
            yield words[8], list(_terms(items, words[5], words[8]))
        elif here and words[6:8] == ("filter", "input-list"):
            raise NotImplementedError("input-list is no part of this twin")


def _terms(items: list[tuple[str, ...]], family: str, name: str) -> Iterator[Rule]:
    starts = [("firewall", "family", family, "filter", name), *([("firewall", "filter", name)] * (family == "inet"))]
    terms: dict[str, list[tuple[str, ...]]] = {}
    for words in items:
        for start in starts:
            if words[: len(start)] == start and words[len(start) : len(start) + 1] == ("term",):
                terms.setdefault(words[len(start) + 1], []).append(words[len(start) + 2 :])
    for lines in terms.values():
        then = [line[1:] for line in lines if line[0] == "then"]
        if ("next", "term") in then:
            continue
        verbs = [line[0] for line in then]
        permit = "discard" not in verbs and "reject" not in verbs
        conditions: dict[str, list[tuple[str, ...]]] = {}
        for line in lines:
            if line[0] == "from":
                conditions.setdefault(line[1].removeprefix("ip-"), []).append(line[2:])  # as on a switch
        for one in _conditions(conditions, items):
            yield Rule(one, permit)


def _conditions(kinds: Mapping[str, list[tuple[str, ...]]], items: list[tuple[str, ...]]) -> Iterator[str]:
    """Every combination of one value of each kind."""
    parts: list[list[str]] = []
    left = dict(kinds)
    needs_header = False
    for side, field in (("source", "saddr"), ("destination", "daddr")):
        named = left.pop(f"{side}-prefix-list", None)
        addresses = left.pop(f"{side}-address", [])
        prefixes = [value[0] for value in addresses]
        excepted = [value for value in [*addresses, *(named or [])] if value[1:]]
        if excepted:
            raise NotImplementedError("`except` is no part of this data plane")
        for value in named or ():
            start = ("policy-options", "prefix-list", value[0])
            prefixes += [words[3] for words in items if words[:3] == start and len(words) > 3]  # noqa: PLR2004
        if prefixes:
            parts.append([f"ip {field} {{ {', '.join(_networks(prefixes))} }} "])
        elif named is not None:
            return  # a list without prefixes matches nothing
    protocols: set[int] | None = None  # every protocol
    for kind, values in left.items():
        text, header, only = _condition(kind, [value[0] for value in values if value])
        needs_header |= header
        parts.append(text)
        if only is not None:
            protocols = only if protocols is None else protocols & only
    if protocols == set() or (needs_header and "is-fragment" in left):
        return  # no packet is both
    ip = "" if protocols is None else f"ip protocol {{ {', '.join(map(str, sorted(protocols)))} }} "
    for combination in product(*parts):
        yield (WHOLE if needs_header else "") + ip + "".join(combination)


def _networks(prefixes: Iterable[str]) -> list[str]:
    """Prefixes without those inside others, which a set of the kernel would refuse."""
    spans = []
    for prefix in prefixes:
        base, _, length = prefix.partition("/")
        care = (ALL << (32 - int(length or 32))) & ALL
        value = (dotted(base) or 0) & care
        spans.append((value, value | (care ^ ALL)))
    return [f"{_dotted(low)}-{_dotted(high)}" if low != high else _dotted(low) for low, high in _joined(spans)]


def _condition(kind: str, values: list[str]) -> tuple[list[str], bool, set[int] | None]:  # noqa: PLR0911 - a table
    """(alternatives, whether the transport header must be there, protocols) of one kind of condition."""
    spans = [one for one in map(read_ports, values) if one is not None] if kind.endswith("port") else []
    match kind:
        case "ether-type":
            return [""] if "ipv4" in values else [], False, None
        case "protocol":
            return [""], False, {JUNOS_PROTOCOLS.get(word) or int(word) for word in values}
        case "source-port":
            return [_ports("sport", spans)], True, None
        case "destination-port":
            return [_ports("dport", spans)], True, None
        case "tcp-established":
            return ["tcp flags & (ack | rst) != 0 "], True, {TCP}
        case "tcp-initial":
            return ["tcp flags & (ack | rst) == 0 "], True, {TCP}
        case "is-fragment":
            return [LATER], False, None
        case "icmp-type":
            numbers = sorted({JUNOS_ICMP_TYPES[word] if word in JUNOS_ICMP_TYPES else int(word) for word in values})
            return [f"icmp type {{ {', '.join(map(str, numbers))} }} "], True, {ICMP}
        case "icmp-code":
            return [f"icmp code {{ {', '.join(values)} }} "], True, {ICMP}
    raise NotImplementedError(f"condition {kind} is no part of this data plane")
