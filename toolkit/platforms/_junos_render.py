"""Policy -> Junos statements: a filter of ours on every interface, in `set` form.

Citations are the names of terms: annotations do not appear in `display set`, names do.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANY_SERVICE, ANYWHERE, ICMP, TCP, UDP, Action
from toolkit.platforms._junos_heads import CONTROL_PLANE
from toolkit.platforms._junos_names import PROTOCOL_NAMES
from toolkit.platforms._junos_state import unit_of
from toolkit.platforms._junos_text import HEAD, bindings, join
from toolkit.platforms._junos_whole import device_statements
from toolkit.platforms.base import CandidateConfig
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from toolkit.net import PortRange
    from toolkit.platforms._junos_heads import Words
    from toolkit.platforms._junos_state import JunosState
    from toolkit.policy import Ace, Acl, DevicePolicy

NAME_LIMIT: Final = 64
FRAGMENT: Final = 2  # the bit of the flags dimension
FRAGMENT_COMMENT: Final = "default deny later fragments carry no ports"
REST_COMMENT: Final = "rest outside the scope"


def render(policy: DevicePolicy, running: JunosState) -> CandidateConfig:
    """Filters of ours for every interface, within what the inventory declares of the device; others stay as they are.

    Raises:
        PolicyError: the device is not owned in this way, or a filter of somebody stands where ours must.
    """
    refuse(policy)
    _refuse_own(policy, running)
    shared = Lists(policy, plain=running.context.node.filter.plain)
    filters, bound, names = [], [], {}
    for acl in policy.acls:
        bridged = running.context.node.interfaces[acl.interface].switched
        family = "ethernet-switching" if bridged else "inet"
        names[acl.interface] = name = filter_name(acl.name)
        filters += [("firewall", "family", family, "filter", name, *words) for words in _terms(acl, family, shared)]
        interface, _, unit = unit_of(acl.interface).rpartition(".")
        bound.append(("interfaces", interface, "unit", unit, "family", family, "filter", "input", name))
    head = (
        f"{HEAD}"
        f"# {policy.device}: filters and prefix lists named {policy.prefix}_ are owned by the toolkit, the rest is not "
        "touched\n"
    )
    whole = (*device_statements(running.context.node), *shared.statements(), *filters, *bound)
    text = head + "".join(f"set {join(words)}\n" for words in whole)
    acls = tuple(names.values())
    return CandidateConfig(
        policy.device, policy.platform, text, acls, {interface: (name,) for interface, name in names.items()}
    )


def filter_name(name: str) -> str:
    """A name that Junos takes for a filter: letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def refuse(policy: DevicePolicy) -> None:
    """Refuse what no filter of a Junos device can be.

    Raises:
        PolicyError: a mode, a state or an interface that it does not have.
    """
    if policy.ownership is Ownership.JUMP:
        raise PolicyError(f"{policy.device}: mode jump is for nftables; a Junos filter is owned or extended")
    if policy.stateful:
        raise PolicyError(
            f"{policy.device}: a Junos firewall filter knows no connections; give the device the kind switch or router"
        )
    for acl in policy.acls:
        if CONTROL_PLANE.fullmatch(acl.interface):
            raise PolicyError(f"{policy.device} {acl.interface}: filters of the control plane are never touched")


def _refuse_own(policy: DevicePolicy, running: JunosState) -> None:
    taken = {
        name: target
        for name, _, direction, target, _ in bindings(running.statements)
        if direction == "input" and not target.startswith(f"{policy.prefix}_")
    }
    names = Counter(filter_name(acl.name) for acl in policy.acls)
    for acl in policy.acls:
        unit, name = unit_of(acl.interface), filter_name(acl.name)
        if unit in taken:
            raise PolicyError(
                f"{policy.device} {acl.interface}: somebody's filter {taken[unit]} is bound there; mode own would take "
                "its place"
            )
        if names[name] > 1 or len(name) > NAME_LIMIT:
            why = "longer than 64 characters" if len(name) > NAME_LIMIT else "the name of two interfaces' filters"
            raise PolicyError(f"{policy.device} {acl.interface}: {name} is {why}; choose a shorter acl_prefix")


def _terms(acl: Acl, family: str, shared: Lists) -> Iterator[Words]:
    """Statements of a filter, from the word `term` on."""
    number = 0
    for ace, later in (*_fragments(acl), *((ace, ()) for ace in acl.entries)):
        number += 10
        term = ("term", term_name(number, FRAGMENT_COMMENT if later else ace.comment))
        yield from ((*term, "from", *words) for words in conditions(ace, family, shared, later))
        if ace.log:
            yield from ((*term, "then", *words) for words in (("count", term[1]), ("log",), ("syslog",)))
        yield (*term, "then", "accept" if ace.action is Action.PERMIT else "discard")
    yield ("term", term_name(number + 10, REST_COMMENT), "then", "accept")


def term_name(number: int, comment: str, prefix: str = "") -> str:
    """A term's name: its number, then the citation in letters, digits and hyphens, at most 64 characters."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", comment).strip("-")
    return f"{prefix}{number:04}-{slug}"[:NAME_LIMIT].rstrip("-")


def _fragments(acl: Acl) -> Iterator[tuple[Ace, tuple[int, ...]]]:
    """Denies of later fragments, with the protocols they are for; they stand before any port is looked at.

    Later fragments carry no ports, but older chips compare what stands where the ports would be, so that a crafted
    fragment would pass a port term. Protocols of which a permit lets fragments pass are left out.
    """
    permits = [ace for ace in acl.entries if ace.action is Action.PERMIT]
    passing = {box.protocol for ace in permits for box in ace.boxes() if box.flags[1] >= FRAGMENT}
    later = tuple(
        number
        for number in (ICMP, TCP, UDP)
        if any(ace.service.protocol == number for ace in permits)
        and not any(low <= number <= high for low, high in passing)
    )
    for ace in acl.entries:
        if later and ace.action is Action.DENY and ace.service == ANY_SERVICE:
            yield ace, later


def conditions(ace: Ace, family: str, shared: Lists, later: tuple[int, ...] = ()) -> Iterator[Words]:
    """What a term asks for, each without the word `from`; `later` are protocols whose later fragments are meant."""
    ip = "ip-" if family == "ethernet-switching" else ""
    if ip:
        yield ("ether-type", "ipv4")  # without it the term would catch ARP and IPv6
    for side, prefixes in (("source", ace.sources), ("destination", ace.destinations)):
        name = shared.name(prefixes)
        if name is not None:
            yield (f"{side}-prefix-list", name)
        elif ANYWHERE not in prefixes:
            yield from ((f"{ip}{side}-address", str(prefix)) for prefix in prefixes)
    protocols = later if ace.service.protocol is None else (ace.service.protocol,)
    yield from ((f"{ip}protocol", PROTOCOL_NAMES.get(number, str(number))) for number in protocols)
    yield from (("is-fragment",),) * bool(later)
    yield from _inside(ace)


def _inside(ace: Ace) -> Iterator[Words]:
    """Conditions on what follows the IP header."""
    for side, ports in (("source", ace.sport), ("destination", ace.service.ports)):
        if ports != ANY_PORT:
            yield (f"{side}-port", _port(ports))
    icmp = ace.service.icmp
    if icmp is not None:
        yield ("icmp-type", str(icmp.type))
        if icmp.code is not None:
            yield ("icmp-code", str(icmp.code))
    if ace.established:
        yield ("tcp-established",)


def _port(ports: PortRange) -> str:
    return str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"


class Lists:
    """Prefix lists for what would otherwise be written again and again; named by content, so that they stay."""

    def __init__(self, policy: DevicePolicy, *, plain: bool) -> None:
        uses = Counter(
            prefixes
            for acl in policy.acls
            for ace in (*(ace for ace, _ in _fragments(acl)), *acl.entries)
            for prefixes in (ace.sources, ace.destinations)
            if ANYWHERE not in prefixes
        )
        self.names = {
            prefixes: f"{policy.prefix}_{hashlib.sha256(' '.join(map(str, prefixes)).encode()).hexdigest()[:8]}"
            for prefixes, count in uses.items()
            if not plain and len(prefixes) + count < len(prefixes) * count
        }

    def name(self, prefixes: tuple[IPv4Network, ...]) -> str | None:
        """The list that holds exactly these prefixes, None where they are written out."""
        return self.names.get(prefixes)

    def statements(self) -> Iterator[Words]:
        """The lists as statements."""
        for prefixes, name in self.names.items():
            yield from (("policy-options", "prefix-list", name, str(prefix)) for prefix in prefixes)
