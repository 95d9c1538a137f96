"""What an ASA does to forwarded packets: lists, the global list, security levels and implicit rules together.

A packet that enters passes the interface's list, then the global one, and is denied behind them; where there is
neither, it passes to interfaces of a lower level. Between interfaces of one level, and back out of the interface that
it came in by, it needs `same-security-traffic`, whatever a list says. An outbound list comes last.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.net import ANY_SERVICE, ICMP, TCP, UDP, Action, Direction, Service
from toolkit.packets import Box
from toolkit.platforms._asa_entries import Reader
from toolkit.platforms._asa_text import GLOBAL, Config, Level, Line
from toolkit.platforms._rules import Rule, first, listed, permitted
from toolkit.platforms._sizes import ListSize
from toolkit.platforms.base import ConnState, Decision, DeviceContext, EntryList, ListedEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space

TRACKED: Final = (TCP, UDP)
IMPLICIT: Final = "implicit rules"


@dataclass(frozen=True, slots=True)
class AsaState:
    """A configuration for one device; `rules` holds what each bound list does."""

    context: DeviceContext
    config: Config
    names: Mapping[str, str]  # interface of the inventory -> its name on the device
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict, compare=False)

    # ---- FilterState ----------------------------------------------------------------------

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:
        """See `FilterState`."""
        if state is ConnState.RELATED:
            return space.full
        found = self._new(space, interface)
        if state is ConnState.NEW:
            return found
        return found | space.union(Box.of(Service(number)) for number in self._tracked())

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:
        """See `FilterState`."""
        known = packet.protocol in self._tracked() if state is ConnState.ESTABLISHED else state is ConnState.RELATED
        new = self._decide(interface, packet)
        if known and new.action is Action.DENY:
            return Decision(Action.PERMIT, "connections", "part of a known connection", "")
        return new

    def filters_ipv6(self, interface: str) -> bool:
        """Whether IPv6 that no rule permits is dropped: by a list without `any` at its end, or by security levels."""
        mine = self.level(interface)
        names = [self.list_of(interface, "in"), self.list_of(*GLOBAL)]
        bound = [name for name in names if name is not None]
        if not bound:
            return any(self.level(other).level > mine.level for other in self.context.interfaces)
        wide = (("permit", "ip", "any", "any"), ("permit", "ip", "any6", "any6"))
        return not any(line.words[1:5] in wide for name in bound for line in self.config.lists[name])

    def fingerprint(self) -> str:
        """See `FilterState`."""
        config = self.config
        mine = sorted(self.names.values())
        bound = {key: name for key, (name, _) in config.bound.items() if name in self.rules}
        parts = [
            f"{[(n, *config.interfaces[n][:3]) for n in mine]} {config.inter} {config.intra} {config.icmp}",
            f"reverse path {sorted(config.reverse & set(mine))}",
            *(f"{key} {name}" for key, name in sorted(bound.items())),
            *(repr((name, [(r.action, *r.boxes()) for r in rules])) for name, rules in sorted(self.rules.items())),
            *(f"{name} {len(config.lists[name])}" for name in sorted(config.lists) if self.is_ours(name)),
            *(" ".join(key) for key in sorted(config.objects) if self.is_ours(key[1])),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def owned(self) -> AsaState | None:
        """See `FilterState`."""
        config = self.config
        lists = {name: self._part(name, ours=True) for name in config.lists}
        lists = {name: lines for name, lines in lists.items() if lines or self.is_ours(name)}
        objects = {key: lines for key, lines in config.objects.items() if self.is_ours(key[1])}
        bound = {key: value for key, value in config.bound.items() if self.is_ours(value[0])}
        if not lists and not objects and not bound:
            return None
        return read(self.context, replace(config, objects=objects, lists=lists, bound=bound))

    def without_owned(self) -> AsaState:
        """See `FilterState`."""
        config = self.config
        lists = {name: self._part(name, ours=False) for name in config.lists if not self.is_ours(name)}
        objects = {key: lines for key, lines in config.objects.items() if not self.is_ours(key[1])}
        bound = {key: value for key, value in config.bound.items() if not self.is_ours(value[0])}
        return read(self.context, replace(config, objects=objects, lists=lists, bound=bound))

    def _part(self, name: str, *, ours: bool) -> tuple[Line, ...]:
        """Lines of a list that are ours, or those that are not."""
        lines = self.config.lists[name]
        if self.is_ours(name):
            return lines if ours else ()
        marked = self.marked(name)
        return tuple(line for number, line in enumerate(lines) if (number in marked) is ours)

    def lists(self) -> tuple[EntryList, ...]:
        """See `FilterState`."""
        reader = Reader(self.config.objects, self.config.names)
        bound: dict[str, list[str]] = {name: [] for name in self.config.lists}
        for (name, direction), (target, _) in self.config.bound.items():
            bound[target].append(direction if (name, direction) == GLOBAL else f"{name} {direction}")
        found = []
        for name, lines in self.config.lists.items():
            where, unread = tuple(sorted(bound[name])), ""
            entries: tuple[ListedEntry, ...] = ()
            try:
                entries = listed(reader.rules(name, lines))
            except ConfigError as error:
                unread = str(error)
            found.append(EntryList(name, where, entries, Action.DENY, unread=unread))
        return tuple(found)

    def text(self) -> str:
        """See `FilterState`."""
        config = self.config
        lists, bound = dict(sorted(config.lists.items())), dict(sorted(config.bound.items()))
        ordered = Config(objects=dict(sorted(config.objects.items())), lists=lists, bound=bound)
        return "".join(f"{line}\n" for line in (*write_objects(ordered), *write_lists(ordered)))

    def sizes(self) -> tuple[ListSize, ...]:
        """See `FilterState`; the global list has no interface."""
        places = {name: interface for interface, name in self.names.items()}
        found = []
        for (name, way), (target, _) in self.config.bound.items():
            if target not in self.rules:
                continue
            rules = self.rules[target]
            elements = sum(rule.combinations()[0] for rule in rules)
            written = sum(line.words[0] != "remark" for line in self.config.lists[target])
            direction = Direction.OUT if way == "out" else Direction.IN
            found.append(ListSize(places.get(name, ""), direction, target, written, elements, elements, rules))
        return tuple(found)

    def whole(self) -> str:
        """See `FilterState`."""
        from toolkit.platforms._asa_whole import HEAD, device_lines, route_lines

        filters = (*write_objects(self.config), *write_lists(self.config))
        named = [f"name {address} {name}" for name, address in self.config.names.items()]
        lines = (HEAD, "!", *device_lines(self), *(("names", *named) if named else ()), *filters, *route_lines(self))
        return "".join(f"{line}\n" for line in lines)

    # ---- the rest -------------------------------------------------------------------------

    def is_ours(self, name: str) -> bool:
        """Whether a name begins with the toolkit's prefix."""
        return name.startswith(f"{self.context.prefix}_")

    def marked(self, name: str) -> frozenset[int]:
        """Numbers (from 0) of the lines of somebody's list that are ours: remarks that name the entry behind them.

        A remark whose entry somebody removed or changed is ours alone; the entry behind it is not.
        """
        lines = self.config.lists[name]
        found: set[int] = set()
        for number, line in enumerate(lines):
            if line.words[:2] != ("remark", self.context.prefix) or len(line.words) < 3:  # noqa: PLR2004 - the digest
                continue
            found.add(number)
            behind = lines[number + 1 : number + 2]
            if behind and behind[0].words[0] == "extended" and line.words[2] == entry_digest(behind[0]):
                found.add(number + 1)
        return frozenset(found)

    def level(self, interface: str) -> Level:
        """The name, level and hardware behind an interface of the inventory."""
        return self.config.interfaces[self.names[interface]]

    def list_of(self, interface: str, direction: str) -> str | None:
        """The list bound somewhere, None where there is none."""
        key = GLOBAL if direction == GLOBAL[1] else (self.names[interface], direction)
        return self.config.bound[key][0] if key in self.config.bound else None

    def entering(self, interface: str) -> tuple[Rule, ...] | None:
        """The interface's list and the global one behind it; None where there is neither."""
        names = [self.list_of(interface, "in"), self.list_of(*GLOBAL)]
        found = [self.rules[name] for name in names if name is not None]
        return tuple(rule for rules in found for rule in rules) if found else None

    def gate(self, interface: str, other: str) -> tuple[bool, bool]:
        """(what passes between two interfaces without a list, whether anything passes with one)."""
        mine, theirs = self.level(interface).level, self.level(other).level
        if interface == other:
            return self.config.intra, self.config.intra
        if mine == theirs:
            return self.config.inter, self.config.inter
        return mine > theirs, True

    def check_ways(self, interface: str) -> None:
        """Refuse where equal-cost interfaces are filtered differently: which one a packet takes is not known.

        Raises:
            ConfigError: they are.
        """
        domains = self.context.domains
        names = [name for name in self.context.interfaces if domains.get(name)]
        for number, one in enumerate(names):
            for other in names[number + 1 :]:
                kinds = {(self.gate(interface, name), self.list_of(name, "out")) for name in (one, other)}
                if len(kinds) > 1 and any(a.overlaps(b) for a in domains[one] for b in domains[other]):
                    message = f"{one} and {other} are equal-cost, but have other levels or outbound lists"
                    raise ConfigError(message, place=Place(self.context.device))

    def _tracked(self) -> tuple[int, ...]:
        return (*TRACKED, ICMP) if self.config.icmp else TRACKED

    def _new(self, space: Space, interface: str) -> PacketSet:
        self.check_ways(interface)
        rules = self.entering(interface)
        listed = space.full if rules is None else permitted(space, rules, Action.DENY)
        found, rest = space.empty, space.full
        for other in self.context.interfaces:
            leaving = space.union(Box.of(ANY_SERVICE, dst=prefix) for prefix in self.context.domains.get(other, ()))
            rest = rest - leaving
            without_list, with_list = self.gate(interface, other)
            if not (without_list if rules is None else with_list):
                continue
            outbound = self.list_of(other, "out")
            passing = leaving & listed
            if outbound is not None:
                passing = passing & permitted(space, self.rules[outbound], Action.DENY)
            found = found | passing
        found = found | (rest & listed)  # what no route leads anywhere is not forwarded at all
        if self.names[interface] not in self.config.reverse:
            return found
        return found & space.union(Box.of(src=prefix) for prefix in self.context.domains.get(interface, ()))

    def _decide(self, interface: str, packet: Packet) -> Decision:
        self.check_ways(interface)
        rules = self.entering(interface)
        known = self.context.domains.get(interface, ())
        if self.names[interface] in self.config.reverse and not any(packet.src in prefix for prefix in known):
            return Decision(Action.DENY, IMPLICIT, "the source is not routed back (ip verify reverse-path)", "")
        name = self.list_of(interface, "in") or self.list_of(*GLOBAL) or IMPLICIT
        decision = Decision(Action.PERMIT, IMPLICIT, "no list is bound", "")
        if rules is not None:
            rule = first(rules, packet)
            if rule is None:
                return Decision(Action.DENY, name, "implicit deny at the end", "")
            decision = Decision(rule.action, rule.text.split()[1], rule.text, rule.place)
            if rule.action is Action.DENY:
                return decision
        ways = [
            one for one in self.context.interfaces if any(packet.dst in p for p in self.context.domains.get(one, ()))
        ]
        for other in ways[:1]:
            without_list, with_list = self.gate(interface, other)
            if not (without_list if rules is None else with_list):
                levels = f"security level {self.level(interface).level} to {self.level(other).level} ({other})"
                return Decision(Action.DENY, IMPLICIT, levels, "")
            outbound = self.list_of(other, "out")
            if outbound is not None:
                rule = first(self.rules[outbound], packet)
                if rule is None:
                    return Decision(Action.DENY, outbound, "implicit deny at the end", "")
                if rule.action is Action.DENY or rules is None:
                    decision = Decision(rule.action, outbound, rule.text, rule.place)
        return decision


def empty(context: DeviceContext) -> AsaState:
    """A device without any filter: one security level for all, and all of it may talk."""
    interfaces = {_name_for(name): Level(name, 0) for name in context.interfaces}
    return read(context, Config(interfaces, inter=True, intra=True, icmp=True))


def _name_for(interface: str) -> str:
    """What a device without a recorded configuration may call an interface: `inside` so, a port by another name."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", interface)
    return re.sub(r"(?<=[A-Za-z])(?=[0-9])", "-", name) if name == interface else name


def read(context: DeviceContext, config: Config) -> AsaState:
    """The state that a configuration makes; every bound list is read now.

    Raises:
        ConfigError: a list is not fully understood, or an interface of the inventory is not there.
    """
    hardware = {level.hardware: name for name, level in config.interfaces.items()}
    names: dict[str, str] = {}
    for interface in context.interfaces:
        name = interface if interface in config.interfaces else hardware.get(interface)
        if name is None:
            known = ", ".join(f"{name} ({level.hardware})" for name, level in config.interfaces.items()) or "none"
            message = f"interface {interface} is not there, or has no nameif (there are: {known})"
            raise ConfigError(message, place=Place(context.device))
        unfit = config.interfaces[name].unfit
        if unfit is not None:
            message = f"interface {interface} is {' '.join(unfit.words)}, which is not understood"
            raise ConfigError(message, place=unfit.place)
        names[interface] = name
    _check_nat(config, frozenset(names.values()))
    reader = Reader(config.objects, config.names)
    rules: dict[str, tuple[Rule, ...]] = {}
    relevant = {(name, direction) for name in names.values() for direction in ("in", "out")} | {GLOBAL}
    for key, (target, place) in config.bound.items():
        if target not in config.lists:
            raise ConfigError(f"there is no access-list {target!r}", place=place)
        if key in relevant:
            rules[target] = reader.rules(target, config.lists[target])
    return AsaState(context, config, names, rules)


def _check_nat(config: Config, names: frozenset[str]) -> None:
    """Refuse translations that packets of the device's interfaces meet: a list sees other addresses than they have."""
    for line, real, mapped, both in config.nats:
        if {mapped, *((real,) if both else ())} & (names | {"any"}):
            message = "it translates destinations, so a list's addresses are not those of packets"
            raise ConfigError(f"{' '.join(line.words)[:80]!r} is not understood: {message}", place=line.place)


def entry_digest(line: Line) -> str:
    """A short name for what an entry of ours means, whatever names the device shows for numbers.

    A group counts by its name: one that somebody edited is still ours, and is repaired.
    """
    named = {}
    for kind, name in pairwise(line.words):
        if kind == "object-group":
            address = IPv4Address(hashlib.sha256(name.encode()).digest()[:4])
            named["object-group network", name] = (Line(("network-object", "host", str(address)), line.place),)
    try:
        rules = Reader(named, {}).rules("", (line,))
    except ConfigError:
        return ""  # an entry as we never write one
    return hashlib.sha256(repr([(rule.action, *rule.boxes()) for rule in rules]).encode()).hexdigest()[:8]


def write_objects(config: Config) -> list[str]:
    """Objects and groups as lines."""
    found = []
    for (kind, name), lines in config.objects.items():
        typed = "".join(f" {' '.join(line.words[1:])}" for line in lines if line.words[0] == "transport")
        found.append(f"{kind} {name}{typed}")
        found += [f" {' '.join(line.words)}" for line in lines if line.words[0] != "transport"]
    return found


def write_lists(config: Config) -> list[str]:
    """Lists and where they are bound, as lines."""
    found = [f"access-list {name} {' '.join(line.words)}" for name, lines in config.lists.items() for line in lines]
    for key, (name, _) in config.bound.items():
        found.append(bind(key, name))
    return found


def bind(key: tuple[str, str], name: str) -> str:
    """The command that binds a list."""
    return f"access-group {name} global" if key == GLOBAL else f"access-group {name} {key[1]} interface {key[0]}"
