"""Mode *extend*: terms of ours between the terms of somebody's filter, the fewest at the right places.

A term of ours has a name that begins with the prefix; `insert` puts it before the term that would deny its packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import PolicyError
from toolkit.net import Action
from toolkit.packets import Space
from toolkit.platforms._junos_render import Lists, conditions, refuse, term_name
from toolkit.platforms._junos_state import content_at
from toolkit.platforms._junos_text import control_plane, join
from toolkit.platforms.base import CandidateConfig
from toolkit.policy import Entry, Extension, Permit, plan_extension
from toolkit.policy.extend import check_overrides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.packets import PacketSet
    from toolkit.platforms._junos_heads import Words
    from toolkit.platforms._junos_state import Bound, JunosState
    from toolkit.policy import Acl, DevicePolicy


def extend(policy: DevicePolicy, foreign: JunosState) -> CandidateConfig:
    """Terms of ours for somebody's filters, for a device without any of ours.

    Raises:
        PolicyError: a term denies explicitly what is required, or a filter judges more than one interface.
    """
    refuse(policy)
    _check_names(policy, foreign)
    space = Space()
    required = space.union(box for acl in policy.acls for ace in acl.entries for box in ace.boxes())
    beyond = space.union(policy.scope) - required
    shared = Lists(policy, plain=foreign.context.node.filter.plain)
    existing: dict[str, Extension] = {}
    lines: list[str] = []
    names: dict[str, tuple[str, ...]] = {}
    for acl in policy.acls:
        bound = foreign.bound.get((acl.interface, "input"))
        plan = _plan(policy, acl, bound, beyond, foreign.context.node.filter.override)
        existing[acl.interface] = plan
        names[acl.interface] = (bound.name,) if bound else ()
        if bound is not None and plan.insertions:
            _check_shared(policy, acl, bound, foreign)
            lines += _lines(policy, acl, bound, plan, foreign, shared)
    text = "#RANCID-CONTENT-TYPE: juniper\n"
    text += f"# {policy.device}: terms named {policy.prefix}_ are the toolkit's, the rest is not touched\n"
    used = {word for line in lines for word in line.split()}
    text += "".join(f"set {join(words)}\n" for words in shared.statements() if words[2] in used)
    text += "".join(f"{line}\n" for line in lines)
    acls = tuple(dict.fromkeys(name for found in names.values() for name in found))
    return CandidateConfig(policy.device, policy.platform, text, acls, names, existing)


def _check_names(policy: DevicePolicy, foreign: JunosState) -> None:
    known = [
        _names(bound.name, term.name)
        for (name, direction), bound in foreign.bound.items()
        for term in bound.terms
        if direction == "input" and name in foreign.context.interfaces and term.action is Action.DENY
        if not (term.unconditional and term is bound.terms[-1])
    ]
    check_overrides(foreign.context.node.filter.override, known, policy.device)


def _names(filter_name: str, term: str) -> tuple[str, str]:
    return f"{filter_name} term {term}", term


def _plan(
    policy: DevicePolicy, acl: Acl, bound: Bound | None, beyond: PacketSet, overrides: tuple[str, ...]
) -> Extension:
    space = beyond.space
    permits = [Permit(space.union(ace.boxes()), ace.comment, ace.requirements) for ace in acl.entries]
    terms = bound.terms if bound else ()
    entries = [
        Entry(
            space.union(box for rule in term.rules for box in rule.boxes()) if term.action else space.empty,
            term.action,
            _names(bound.name if bound else "", term.name),
            slot,
            term.place,
            default=term.action is Action.DENY and term.unconditional and slot == len(terms) - 1,
        )
        for slot, term in enumerate(terms)
    ]
    if bound is None:
        default = Entry(space.full, Action.PERMIT, ("not filtered here",), 0, default=True)
    else:
        default = Entry(space.full, Action.DENY, (f"end of {bound.name}",), len(terms), default=True)
    try:
        return plan_extension(entries, default, permits, beyond, overrides)
    except PolicyError as caught:
        raise PolicyError(f"{policy.device} {acl.interface}: {caught}") from None


def _check_shared(policy: DevicePolicy, acl: Acl, bound: Bound, foreign: JunosState) -> None:
    """A term in a filter that judges other packets too would open them as well."""
    others = [
        f"{name} {direction}"
        for (name, direction), other in foreign.bound.items()
        if (other.family, other.name) == (bound.family, bound.name) and (name, direction) != (acl.interface, "input")
    ]
    where = f"{policy.device} {acl.interface}: filter {bound.name}"
    if bound.name in control_plane(foreign.statements):
        raise PolicyError(f"{where} guards the control plane as well; bind another one to {acl.interface} first")
    if others:
        raise PolicyError(
            f"{where} is bound to {', '.join(others)} as well, where a new term would open more than is required; "
            "give the interface a filter of its own first"
        )


def _lines(
    policy: DevicePolicy, acl: Acl, bound: Bound, plan: Extension, foreign: JunosState, shared: Lists
) -> Iterator[str]:
    head = _head(bound, foreign)
    for count, (slot, number) in enumerate(plan.insertions, 1):
        ace = acl.entries[number]
        term = ("term", term_name(count * 10, ace.comment, f"{policy.prefix}_"))
        yield from (f"set {join((*head, *term, 'from', *words))}" for words in conditions(ace, bound.family, shared))
        yield f"set {join((*head, *term, 'then', 'accept'))}"
        if slot < len(bound.terms):
            yield f"insert {join((*head, *term))} before term {join((bound.terms[slot].name,))}"


def _head(bound: Bound, foreign: JunosState) -> Words:
    """The words that name a filter, as its own statements have them: with a family, or without."""
    for words in foreign.statements:
        if words[0] == "firewall":
            at = content_at(words)
            family = words[2] if words[1] == "family" else "inet"
            if (family, words[at - 1]) == (bound.family, bound.name):
                return words[:at]
    raise PolicyError(f"there is no filter {bound.name}")
