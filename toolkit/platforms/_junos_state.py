"""A Junos device's filters as a value: what is bound where, what it does to packets, and what of it is ours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import ConfigError, Place
from toolkit.net import ANY_SERVICE, Action, Direction
from toolkit.packets import Box
from toolkit.platforms._junos_heads import CONTROL_PLANE, PREFIX_LIST, Words, is_binding
from toolkit.platforms._junos_terms import ReadTerm, filters, prefix_lists, read_filter
from toolkit.platforms._junos_text import HEAD, Statements, bindings, binds, join
from toolkit.platforms._rules import Rule, first, listed, permitted
from toolkit.platforms._sizes import ListSize
from toolkit.platforms.base import ConnState, Decision, DeviceContext, EntryList

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space

UNIT: Final = re.compile(r".*\.[0-9]+", re.ASCII)


class Bound(NamedTuple):
    """A filter that is bound somewhere, with its terms."""

    family: str
    name: str
    terms: tuple[ReadTerm, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What decides, in order; terms that go on to the next one do not."""
        return tuple(rule for term in self.terms if term.action is not None for rule in term.rules)


@dataclass(frozen=True, slots=True)
class JunosState:
    """Statements that decide forwarded packets, for one device; `bound` is what they come to.

    `bound` maps (interface, input or output) to a filter. `inactive` are the paths that the configuration holds
    deactivated.
    """

    context: DeviceContext
    statements: Statements
    inactive: tuple[Words, ...] = ()
    bound: dict[tuple[str, str], Bound] = field(default_factory=dict, compare=False)

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:
        """See `FilterState`; a firewall filter knows no connections."""
        del state
        result = space.full
        for (name, direction), bound in self.bound.items():
            rules = bound.rules
            if direction == "input" and name == interface:
                result = result & permitted(space, rules, Action.DENY)
            elif direction == "output":
                leaving = space.union(Box.of(ANY_SERVICE, dst=prefix) for prefix in self.context.domains[name])
                result = result - (leaving - permitted(space, rules, Action.DENY))
        return result

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:
        """See `FilterState`."""
        del state
        decision = Decision(Action.PERMIT, "no filter", "nothing filters here", "")
        passed = [self.bound.get((interface, "input"))]
        passed += [
            bound
            for (name, direction), bound in self.bound.items()
            if direction == "output" and any(packet.dst in prefix for prefix in self.context.domains[name])
        ]
        for one in passed:
            if one is None:
                continue
            rule = first(one.rules, packet)
            if rule is None:
                return Decision(Action.DENY, one.name, "the end of the filter discards", "")
            decision = Decision(rule.action, one.name, rule.text, rule.place)
            if rule.action is Action.DENY:
                return decision
        return decision

    def filters_ipv6(self, interface: str) -> bool:
        """Whether a filter for IPv6 is bound inwards; a layer-2 filter of ours lets it pass."""
        return any(
            name == unit_of(interface) and family == "inet6" and direction == "input"
            for name, family, direction, _, _ in bindings(self.statements)
        )

    def fingerprint(self) -> str:
        """See `FilterState`."""
        return hashlib.sha256("\n".join(map(join, self._deciding())).encode()).hexdigest()

    def owned(self) -> JunosState | None:
        """See `FilterState`."""
        ours = {words: at for words, at in self.statements.items() if self.is_ours(words)}
        return read(self.context, ours, self.inactive) if ours else None

    def without_owned(self) -> JunosState:
        """See `FilterState`."""
        rest = {words: at for words, at in self.statements.items() if not self.is_ours(words)}
        return read(self.context, rest, self.inactive)

    def lists(self) -> tuple[EntryList, ...]:
        """See `FilterState`; a filter for IPv6, and one of the control plane, is not read."""
        where: dict[tuple[str, str], list[str]] = {}
        for unit, family, direction, target, _ in bindings(self.statements):
            where.setdefault((family, target), []).append(f"{unit} {direction}")
        lists, found = prefix_lists(self.statements), []
        for (family, name), statements in filters(self.statements).items():
            bound, unread = tuple(sorted(where.get((family, name), ()))), ""
            if family not in ("inet", "ethernet-switching"):
                continue
            terms: tuple[ReadTerm, ...] = ()
            try:
                terms = read_filter(statements, lists)
            except ConfigError as error:
                unread = str(error)
            entries = listed(Bound(family, name, terms).rules)
            found.append(EntryList(name, bound, entries, Action.DENY, unread=unread))
        return tuple(found)

    def text(self) -> str:
        """See `FilterState`."""
        return "".join(f"set {join(words)}\n" for words in normal(self.statements))

    def sizes(self) -> tuple[ListSize, ...]:
        """See `FilterState`; written are its terms."""
        found = []
        for (name, direction), bound in self.bound.items():
            parts = [rule.combinations() for rule in bound.rules]
            entries, expanded = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0)
            way = Direction.IN if direction == "input" else Direction.OUT
            found.append(ListSize(name, way, bound.name, len(bound.terms), entries, expanded, bound.rules))
        return tuple(found)

    def whole(self) -> str:
        """See `FilterState`."""
        from toolkit.platforms._junos_whole import device_statements

        statements = (*device_statements(self.context.node), *normal(self.statements))
        return "".join((HEAD, *(f"set {join(words)}\n" for words in statements)))

    def is_ours(self, words: Words) -> bool:
        """Whether a statement is the toolkit's."""
        prefix = f"{self.context.prefix}_"
        if words[:2] == PREFIX_LIST:
            return words[2].startswith(prefix)
        if words[0] == "firewall":
            at = content_at(words)
            # In a filter of somebody else, terms of ours carry the prefix.
            return words[at - 1].startswith(prefix) or (
                words[at : at + 1] == ("term",) and words[at + 1].startswith(prefix)
            )
        return words[-1].startswith(prefix) and not CONTROL_PLANE.fullmatch(words[1])

    def _deciding(self) -> Iterator[Words]:
        """Bindings of the device's interfaces, with the filters and prefix lists behind them, and all that is ours."""
        units = {unit_of(name) for name in self.context.interfaces}
        bound = [one for one in bindings(self.statements) if one[0] in units]
        used = {(family, target) for _, family, _, target, _ in bound}
        filters = [w for w in self.statements if w[0] == "firewall" and (_key(w) in used or self.is_ours(w))]
        lists = {word for words in filters for word in words[-2:]}
        kept = {words for *_, words in bound} | set(filters)
        kept |= {w for w in self.statements if w[:2] == PREFIX_LIST and (w[2] in lists or self.is_ours(w))}
        yield from normal([words for words in self.statements if words in kept])


def normal(statements: Iterable[Words]) -> list[Words]:
    """Statements in an order that only their meaning gives: between terms it counts, within a term it does not.

    A device shows the statements of a term in the order of its own schema, whatever they were typed in.
    """
    words_of = list(statements)
    order = {
        term: number for number, term in enumerate(dict.fromkeys(term_key(w) for w in words_of if w[0] == "firewall"))
    }
    kinds = {"policy-options": 0, "firewall": 1, "interfaces": 2, "protocols": 3}
    return sorted(
        words_of,
        # Filters by their name: one that is deleted and set again stands last, and means what it meant.
        key=lambda w: (kinds[w[0]], *((_key(w), order[term_key(w)]) if w[0] == "firewall" else (("", ""), 0)), w),
    )


def content_at(words: Words) -> int:
    """Where the name of a filter is followed by its content."""
    return 5 if words[1] == "family" else 3


def _key(words: Words) -> tuple[str, str]:
    return (words[2] if words[1] == "family" else "inet", words[content_at(words) - 1])


def term_key(words: Words) -> tuple[tuple[str, str], Words]:
    return _key(words), words[content_at(words) : content_at(words) + 2]


def unit_of(interface: str) -> str:
    """An interface with its unit: 0 where the inventory names none."""
    return interface if UNIT.fullmatch(interface) else f"{interface}.0"


def read(context: DeviceContext, statements: Statements, inactive: tuple[Words, ...] = ()) -> JunosState:
    """The state that statements make; every filter that forwarded packets pass is read now.

    Raises:
        ConfigError: a filter is not fully understood, or stands where its meaning is not known.
    """
    names = {unit_of(name): name for name in context.interfaces}
    _check_others(names, statements)
    by_filter, lists = filters(statements), prefix_lists(statements)
    bound: dict[tuple[str, str], Bound] = {}
    for unit, family, direction, target, words in bindings(statements):
        name = names.get(unit)
        if family == "inet6":
            continue
        place = _place(statements[words])
        if name is None:
            _check_elsewhere(names, unit, family, place)
            continue
        wanted = "ethernet-switching" if context.node.interfaces[name].switched else "inet"
        if family != wanted:
            message = f"{unit} has a filter of family {family}, but the inventory makes it one of family {wanted}"
            raise ConfigError(message, place=place)
        if (family, target) not in by_filter:
            raise ConfigError(f"there is no filter {target!r} of family {family}", place=place)
        if direction == "output":
            _check_outwards(context, name, place)
        terms = read_filter(by_filter[family, target], lists)
        bound[name, direction] = Bound(family, target, terms)
    return JunosState(context, statements, inactive, bound)


def _check_others(names: Mapping[str, str], statements: Statements) -> None:
    """Statements beside filters that may keep packets out."""
    for words, at in statements.items():
        if words[0] == "interfaces" and not CONTROL_PLANE.fullmatch(words[1]) and not binds(words):
            _check_odd(names, words, _place(at))
        elif words[0] == "protocols":
            asked = words[words.index("interface") + 1]
            if asked == "all" or unit_of(asked) in names:
                message = f"802.1X on {asked} opens it, and binds filters, session by session, which is not modelled"
                raise ConfigError(message, place=_place(at))


def _check_odd(names: Mapping[str, str], words: Words, place: Place) -> None:
    """A statement that is not understood counts on an interface of the inventory, and before one."""
    port = words[1]
    unit = f"{port}.{words[3]}" if words[2] == "unit" and len(words) > 3 else ""  # noqa: PLR2004 - and its number
    # Older EX switches check the reverse path on every interface once one asks for it.
    everywhere = "rpf-check" in words
    if everywhere or unit in names or (not unit and any(name.rpartition(".")[0] == port for name in names)):
        is_binding(words, place)
    if {"filter", "policer"} & set(words):
        _check_elsewhere(names, unit or port, "ethernet-switching" if "inet" not in words else "inet", place)


def _check_elsewhere(names: Mapping[str, str], unit: str, family: str, place: Place) -> None:
    """A filter on a port that the inventory does not know may stand before a routed VLAN that it knows."""
    if family == "ethernet-switching" and any(name.startswith(("irb", "vlan")) for name in names):
        raise ConfigError(f"{unit} filters what enters a routed VLAN, but is not in the inventory", place=place)


def _check_outwards(context: DeviceContext, name: str, place: Place) -> None:
    """An output filter judges the packets that leave there, which the declared routes must tell apart."""
    if not context.domains:
        raise ConfigError(f"{name}: an output filter is not understood on a layer-2 port", place=place)
    others = [prefix for other, prefixes in context.domains.items() if other != name for prefix in prefixes]
    if any(one.overlaps(other) for one in context.domains.get(name, ()) for other in others):
        raise ConfigError(f"{name} has an output filter and is one of several equal-cost interfaces", place=place)


def _place(at: str) -> Place:
    file, _, line = at.rpartition(":")
    return Place(file, int(line))
