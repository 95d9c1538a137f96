"""Policy -> lists of our own, with object groups where they are shorter; refused where they would not do."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANYWHERE, Action, Direction
from toolkit.packets import Space
from toolkit.platforms._cisco_dialect import ANY, entry_text, icmp_text, port_text, protocol_text
from toolkit.platforms._cisco_eval import View
from toolkit.platforms._cisco_model import AccessList, Bound, Config, Entry, Group, Match, Remark, Side
from toolkit.platforms._cisco_names import interface_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Network

    from toolkit.net import PortRange
    from toolkit.packets import Interval
    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import Ace, Acl, DevicePolicy

NAME_LIMIT: Final = 63  # characters of a list or a group
REMARK_LIMIT: Final = 100
STEP: Final = 10
FRAGMENT_REMARK: Final = "default deny: later fragments carry no ports"
REST_REMARK: Final = "outside the scope: left alone"
Prefixes = tuple["IPv4Network", ...]


def render_own(policy: DevicePolicy, context: DeviceContext, dialect: Dialect, before: Config) -> Config:
    """What is ours, for a device that has `before` of others.

    Raises:
        PolicyError: somebody's list stands in the way, or the system cannot filter there.
    """
    check_place(policy, context, dialect)
    for acl in policy.acls:
        bound = before.bindings.get((interface_key(acl.interface), acl.direction))
        if bound is not None:
            raise PolicyError(
                f"{policy.device} {acl.interface}: somebody's list {bound.acl} is bound there "
                f"({acl.direction.value}wards), so binding ours would take it off; use filter.mode extend"
            )
    _refuse_denies(policy, context, dialect, before)
    shared = Shortener(policy, context, dialect)
    acls: dict[str, AccessList] = {}
    bindings = {}
    for acl in policy.acls:
        made = shared.acl(acl)
        acls[made.name] = made
        bindings[interface_key(acl.interface), acl.direction] = bound_as(made.name, context, dialect, acl.interface)
    return Config(acls, shared.groups(), bindings)


def check_place(policy: DevicePolicy, context: DeviceContext, dialect: Dialect) -> None:
    """Refuse what the system cannot do at all."""
    if policy.stateful:
        raise PolicyError(
            f"{policy.device}: {dialect.name} tracks no connections, so a firewall's policy does not fit it; "
            "declare it as kind router or switch"
        )
    for acl in policy.acls:
        switched = context.node.interfaces[acl.interface].switched
        if switched and acl.direction is Direction.OUT:
            raise PolicyError(f"{policy.device} {acl.interface}: a layer-2 port takes lists inwards only")


def bound_as(name: str, context: DeviceContext, dialect: Dialect, interface: str) -> Bound:
    """How a list is bound to an interface of the inventory."""
    return Bound(name, port=dialect.port_lists and context.node.interfaces[interface].switched)


def _refuse_denies(policy: DevicePolicy, context: DeviceContext, dialect: Dialect, before: Config) -> None:
    """No permit of ours can undo what somebody's list denies on the way out."""
    if not any(direction is Direction.OUT for _, direction in before.bindings):
        return
    space = Space()
    for interface, required in policy.required.items():
        view = View(before, dialect, context, interface)
        packet = (space.union(box for box, _ in required.initiating) - view.permitted(space)).witness()
        if packet is not None:
            decision = view.decide(packet)
            raise PolicyError(
                f"{policy.device} {interface}: another team denies {packet} ({decision.acl}: {decision.entry}, "
                f"{decision.place}), which is required; settle it with them"
            )


class Shortener:
    """Writes the lists of one device, and finds which sets of prefixes become object groups."""

    def __init__(self, policy: DevicePolicy, context: DeviceContext, dialect: Dialect) -> None:
        self.policy = policy
        self.dialect = dialect
        self.context = context
        self.grouped: dict[Prefixes, str] = {}
        self._sides: dict[Prefixes, tuple[Side, ...]] = {}
        # Object groups do not work in lists of layer-2 ports.
        usable = [acl for acl in policy.acls if not context.node.interfaces[acl.interface].switched]
        self.usable = {acl.name for acl in usable}
        if dialect.groups and not context.node.filter.plain:
            self._choose([ace for acl in usable for ace in acl.entries])

    def groups(self) -> dict[str, Group]:
        """The object groups that were chosen, by name."""
        made = (network_group(self.policy.prefix, prefixes, self.dialect) for prefixes in self.grouped)
        return {group.name: group for group in made}

    def _choose(self, aces: Sequence[Ace]) -> None:
        """All sets of several prefixes become groups, except those that would save no line."""
        uses = Counter((ace.sources, ace.destinations) for ace in aces)
        sets = {one for pair in uses for one in pair if len(one) > 1 and ANYWHERE not in one}
        lines = {one: [pair for pair in uses if one in pair] for one in sets}
        chosen = set(sets)
        for one in sorted(sets, key=lambda each: (len(each), each)):
            without = chosen - {one}
            saved = sum(uses[pair] * (_size(pair, without) - _size(pair, chosen)) for pair in lines[one])
            if saved <= len(one) + 1:
                chosen = without
        for one in sorted(chosen):
            self.grouped[one] = group_name(self.policy.prefix, one)

    def acl(self, acl: Acl) -> AccessList:
        """One list, named after its content: a changed list has another name, so it never replaces one in use."""
        lines: list[Entry | Remark] = []
        seq, seen = 0, set()
        for line in self._lines(acl):
            if isinstance(line, Entry):
                text = line.text.removesuffix(" log")
                if text in seen:
                    continue  # a device keeps one of two equal entries
                seen.add(text)
            has_number = isinstance(line, Entry) or self.dialect.numbered
            seq += STEP if has_number else 0
            lines.append(_numbered(line, seq if has_number else 0))
        return named(acl.name, lines, self.dialect)

    def _lines(self, acl: Acl) -> Iterator[Entry | Remark]:
        groups = acl.name in self.usable
        denies = [n for n, ace in enumerate(acl.entries) if ace.action is Action.DENY]
        permits = acl.entries[: denies[0]] if denies else acl.entries
        rest = acl.entries[len(permits) :]
        # An entry without ports meets later fragments too, so it comes before these are denied.
        looking = [ace for ace in permits if _looks(ace)]
        whole = [ace for ace in rest if ace.action is Action.DENY and not _looks(ace)]
        if looking and whole and self.context.node.filter.fragments == "deny":
            yield from self._block([ace for ace in permits if not _looks(ace)], groups=groups)
            yield Remark(FRAGMENT_REMARK)
            for ace in whole:
                yield from self._entries(ace, groups=groups, fragments=True)
            permits = tuple(looking)
        yield from self._block(permits, groups=groups)
        yield from self._block(rest, groups=groups)
        yield Remark(REST_REMARK)
        yield Entry(0, Action.PERMIT, Match(None), ANY, ANY, "permit ip any any")

    def _block(self, aces: Iterable[Ace], *, groups: bool) -> Iterator[Entry | Remark]:
        last = ""
        for ace in aces:
            remark = remark_text(ace.comment)
            if remark and remark != last:
                yield Remark(remark)
            last = remark
            yield from self._entries(ace, groups=groups)

    def _entries(self, ace: Ace, *, groups: bool, fragments: bool = False) -> Iterator[Entry]:
        yield from entries_of(
            ace,
            self._side(ace.sources, groups=groups),
            self._side(ace.destinations, groups=groups),
            self.dialect,
            fragments=fragments,
        )

    def _side(self, prefixes: Prefixes, *, groups: bool) -> tuple[Side, ...]:
        if groups and prefixes in self.grouped:
            return (self.dialect.group_side(self.grouped[prefixes]),)
        if ANYWHERE in prefixes:
            return (ANY,)
        found = self._sides.get(prefixes)
        if found is None:
            found = self._sides[prefixes] = tuple(self.dialect.side(*_interval(prefix)) for prefix in prefixes)
        return found


def group_name(prefix: str, prefixes: Prefixes) -> str:
    """What a group of ours is called: its name tells its members."""
    return f"{prefix}_net_{hashlib.sha256(' '.join(map(str, prefixes)).encode()).hexdigest()[:8]}"


def network_group(prefix: str, prefixes: Prefixes, dialect: Dialect) -> Group:
    """An object group of ours."""
    intervals = tuple(_interval(one) for one in prefixes)
    lines = tuple(dialect.member(low, high) for low, high in intervals)
    return Group("network", group_name(prefix, prefixes), lines, intervals)


def entries_of(
    ace: Ace, sources: Sequence[Side], destinations: Sequence[Side], dialect: Dialect, *, fragments: bool = False
) -> Iterator[Entry]:
    """The entries of one permit or deny, one for each pair of ends."""
    service = ace.service
    sports = None if ace.sport == ANY_PORT else _ports(ace.sport)
    dports = None if service.ports == ANY_PORT else _ports(service.ports)
    ends = (port_text(sports) if sports else "", port_text(dports) if dports else "")
    inside = sports is not None or dports is not None
    if service.icmp is not None:
        first = service.icmp.type * 256 + (service.icmp.code or 0)
        dports = ((first, first if service.icmp.code is not None else first + 255),)
        ends, inside = (ends[0], icmp_text(dports)), True
    match = Match(service.protocol, sports or _ports(ANY_PORT), dports or _ports(ANY_PORT), inside, ace.established)
    if service.protocol not in (None, *dialect.with_ports) and (sports or (dports and service.icmp is None)):
        raise PolicyError(f"{dialect.name} looks at no ports of {protocol_text(service.protocol)}")
    protocol = protocol_text(service.protocol)
    marks = ("established" * ace.established, "fragments" * fragments, "log" * ace.log)
    for source in sources:
        for destination in destinations:
            text = entry_text(ace.action, (protocol, source.text, ends[0], destination.text, ends[1], *marks))
            yield Entry(0, ace.action, match, source, destination, text, fragments)


def named(base: str, lines: Sequence[Entry | Remark], dialect: Dialect) -> AccessList:
    """A list whose name ends with a digest of what it says."""
    said = "\n".join(f"remark {line.text}" if isinstance(line, Remark) else line.text for line in lines)
    digest = hashlib.sha256(said.encode()).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", base)[: NAME_LIMIT - 9]
    return AccessList(f"{stem}_{digest}", tuple(lines), numbered=dialect.numbered)


def remark_text(comment: str) -> str:
    """A comment as a remark: plain ASCII on one line without `?`, which asks a command line for help."""
    text = comment.encode("ascii", "replace").decode().replace("?", ".")
    return " ".join(re.sub(r"[^\x20-\x7e]", " ", text).split())[:REMARK_LIMIT].rstrip()


def _numbered(line: Entry | Remark, seq: int) -> Entry | Remark:
    if isinstance(line, Remark):
        return Remark(line.text, seq)
    return Entry(seq, line.action, line.match, line.source, line.destination, line.text, line.fragments)


def _looks(ace: Ace) -> bool:
    """Whether an entry looks at what later fragments lack."""
    return ace.service.ports != ANY_PORT or ace.sport != ANY_PORT or ace.service.icmp is not None or ace.established


def _size(pair: tuple[Prefixes, Prefixes], chosen: set[Prefixes]) -> int:
    """Lines of an entry."""
    one, other = (1 if side in chosen or ANYWHERE in side else len(side) for side in pair)
    return one * other


def _ports(ports: PortRange) -> tuple[Interval, ...]:
    return ((ports.first, ports.last),)


def _interval(prefix: IPv4Network) -> Interval:
    return int(prefix.network_address), int(prefix.broadcast_address)
