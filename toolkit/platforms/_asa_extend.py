"""Mode *extend*: entries of ours between the entries of somebody's list, the fewest at the right places.

Each entry of ours stands behind a remark that begins with the prefix and names what the entry means, so that it is
known again, and nothing that somebody else wrote is ever taken for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.errors import Place, PolicyError
from toolkit.net import Action
from toolkit.packets import Space
from toolkit.platforms._asa_entries import Reader
from toolkit.platforms._asa_render import Groups, entry_words, refuse, remark_text
from toolkit.platforms._asa_state import entry_digest
from toolkit.platforms._asa_text import GLOBAL, Line
from toolkit.platforms.base import CandidateConfig, ConnState
from toolkit.policy import Entry, Extension, Permit, plan_extension
from toolkit.policy.extend import check_overrides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.packets import PacketSet
    from toolkit.platforms._asa_state import AsaState
    from toolkit.policy import Acl, DevicePolicy

DENY_ALL: Final = (("ip", "any", "any"), ("ip", "any4", "any4"))
NOWHERE: Final = Place("")


def extend(policy: DevicePolicy, foreign: AsaState) -> CandidateConfig:
    """Entries of ours for somebody's lists, for a device without any of ours.

    Raises:
        PolicyError: an entry denies explicitly what is required, a list judges more than one interface, or there is
            none to extend.
    """
    refuse(policy, foreign)
    _check_names(policy, foreign)
    space = Space()
    required = space.union(box for acl in policy.acls for ace in acl.entries for box in ace.boxes())
    beyond = space.union(policy.scope) - required
    groups = Groups(policy, plain=foreign.context.node.filter.plain)
    existing: dict[str, Extension] = {}
    names: dict[str, tuple[str, ...]] = {}
    lines: list[str] = []
    for acl in policy.acls:
        name = foreign.list_of(acl.interface, "in")
        plan = _plan(acl, foreign, beyond)
        existing[acl.interface] = plan
        names[acl.interface] = () if name is None else (name,)
        if plan.insertions:
            lines += _lines(acl, _only(acl, name, foreign), plan, groups, policy.prefix)
    used = {word for line in lines for word in line.split()}
    head = f"! {policy.device}: entries behind remarks that begin with {policy.prefix} are the toolkit's\n"
    text = head + "".join(f"{line}\n" for line in (*groups.lines(used), *lines))
    acls = tuple(dict.fromkeys(name for found in names.values() for name in found))
    return CandidateConfig(policy.device, policy.platform, text, acls, names, existing)


def _check_names(policy: DevicePolicy, foreign: AsaState) -> None:
    known = [
        entry.names
        for acl in policy.acls
        for entry in _entries(acl.interface, foreign, Space())
        if entry.action is Action.DENY and not entry.default
    ]
    check_overrides(foreign.context.node.filter.override, known, policy.device)


def _entries(interface: str, foreign: AsaState, space: Space) -> Iterator[Entry]:
    """The interface's list and the global one behind it, whose entries all come behind the first."""
    reader = Reader(foreign.config.objects, foreign.config.names)
    own = foreign.list_of(interface, "in")
    length = len(foreign.config.lists[own]) if own else 0
    for name in (own, foreign.list_of(*GLOBAL)):
        for number, line in enumerate(foreign.config.lists[name] if name else ()):
            rules = reader.rules(name or "", (line,))
            default = line.words[1:2] == ("deny",) and line.words[2:5] in DENY_ALL
            yield Entry(
                space.union(box for rule in rules for box in rule.boxes()),
                rules[0].action if rules else None,
                (f"{name} line {number + 1}", " ".join(line.words[1:])),
                number if name == own else length,
                str(line.place),
                default=default,
            )


def _plan(acl: Acl, foreign: AsaState, beyond: PacketSet) -> Extension:
    space = beyond.space
    permits = [Permit(space.union(ace.boxes()), ace.comment, ace.requirements) for ace in acl.entries]
    own = foreign.list_of(acl.interface, "in")
    if own is None and foreign.list_of(*GLOBAL) is None:
        passing = foreign.permitted(space, acl.interface, ConnState.NEW)
        entries = [Entry(passing, Action.PERMIT, ("security levels",), 0)]
        default = Entry(space.full, Action.DENY, ("security levels",), 0, default=True)
    else:
        entries = list(_entries(acl.interface, foreign, space))
        slot = len(foreign.config.lists[own]) if own else 0
        default = Entry(space.full, Action.DENY, ("implicit deny",), slot, default=True)
    try:
        return plan_extension(entries, default, permits, beyond, foreign.context.node.filter.override)
    except PolicyError as caught:
        raise PolicyError(f"{acl.device} {acl.interface}: {caught}") from None


def _only(acl: Acl, name: str | None, foreign: AsaState) -> str:
    """The list to extend, which judges nothing but what enters this interface."""
    where = f"{acl.device} {acl.interface}"
    if name is None:
        raise PolicyError(f"{where}: no list is bound there that could be extended; bind one first, or use mode own")
    points = [key for key, (target, _) in foreign.config.bound.items() if target == name]
    if len(points) > 1:
        others = ", ".join(" ".join(key).strip() for key in points)
        raise PolicyError(
            f"{where}: list {name} is bound more than once ({others}), where a new entry would open more than is "
            "required; give the interface a list of its own first"
        )
    return name


def _lines(acl: Acl, name: str, plan: Extension, groups: Groups, prefix: str) -> Iterator[str]:
    at = 1
    for slot, number in plan.insertions:
        ace = acl.entries[number]
        for source in groups.written(ace.sources):
            for destination in groups.written(ace.destinations):
                words = ("extended", *entry_words(ace, source, destination).split())
                digest = entry_digest(Line(words, NOWHERE))
                remark = remark_text(f"{prefix} {digest} {ace.comment}")
                yield f"access-list {name} line {slot + at} remark {remark}"
                yield f"access-list {name} line {slot + at + 1} {' '.join(words)}"
                at += 2
