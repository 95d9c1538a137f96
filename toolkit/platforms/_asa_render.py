"""Policy -> ASA lists: one on the input of every interface, and what keeps other traffic's verdict.

Lists and groups are named by their content, so that a changed list has another name: it is complete before it is
bound, and the one before it is removed afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANYWHERE, ICMP
from toolkit.platforms._asa_names import PROTOCOL_NAMES
from toolkit.platforms._asa_state import bind
from toolkit.platforms._asa_text import GLOBAL
from toolkit.platforms._asa_whole import HEAD, device_lines, route_lines
from toolkit.platforms.base import CandidateConfig
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from ipaddress import IPv4Network

    from toolkit.net import PortRange
    from toolkit.platforms._asa_state import AsaState
    from toolkit.policy import Ace, Acl, DevicePolicy

REMARK_LIMIT: Final = 100
DIGEST: Final = 8
REST: Final = "rest: outside the scope"


def render(policy: DevicePolicy, running: AsaState) -> CandidateConfig:
    """Lists of ours for every interface, within a whole configuration of the device.

    Raises:
        PolicyError: the device is not owned in this way, or other traffic's verdict could not be kept.
    """
    refuse(policy, running)
    for acl in policy.acls:
        name = running.list_of(acl.interface, "in")
        if name is not None:
            raise PolicyError(
                f"{policy.device} {acl.interface}: somebody's list {name} is bound there; mode own would take its place"
            )
        _refuse_ipv6(policy.device, acl.interface, running)
    groups = Groups(policy, plain=running.context.node.filter.plain)
    lists, bound, names = [], [], {}
    for acl in policy.acls:
        body = [*_entries(acl, groups), *_rest(running, acl.interface)]
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '-', acl.name)}_{_digest(body)}"
        names[acl.interface] = name
        lists += [f"access-list {name} {line}" for line in body]
        bound.append(bind((running.names[acl.interface], "in"), name))
    head = [HEAD, f"! names that begin with {policy.prefix}_ are the toolkit's", "!"]
    whole = [*head, *device_lines(running), *groups.lines(), *lists, *bound, *route_lines(running)]
    return CandidateConfig(
        policy.device,
        policy.platform,
        "".join(f"{line}\n" for line in whole),
        tuple(names.values()),
        {interface: (name,) for interface, name in names.items()},
    )


def refuse(policy: DevicePolicy, running: AsaState) -> None:
    """Refuse what no list of an ASA can be.

    Raises:
        PolicyError: a mode, a state or an interface that it does not have.
    """
    device = policy.device
    if policy.ownership is Ownership.JUMP:
        raise PolicyError(f"{device}: mode jump is for nftables; a list of an ASA is owned or extended")
    if not policy.stateful:
        raise PolicyError(f"{device}: an ASA tracks connections; give the device the kind firewall")
    for acl in policy.acls:
        if running.context.node.interfaces[acl.interface].switched:
            raise PolicyError(f"{device} {acl.interface}: an ASA that bridges is not supported; only routed mode is")
        if any(ace.established for ace in acl.entries):
            raise PolicyError(f"{device} {acl.interface}: an ASA has no `established`; it knows its connections")


def refuse_uninspected(policy: DevicePolicy) -> None:
    """Without inspection an answer to a ping belongs to no connection, and an entry for it would let anybody's pass.

    Raises:
        PolicyError: a requirement asks for such answers.
    """
    for interface, asked in policy.required.items():
        first = {one for one, _ in asked.initiating}
        for one, requirements in asked.established:
            if one.protocol == (ICMP, ICMP) and one not in first:
                raise PolicyError(
                    f"{policy.device} {interface}: {', '.join(requirements)} asks for answers to ICMP, and the device "
                    "does not inspect ICMP; add `inspect icmp` to its global policy first (policy-map global_policy, "
                    "class inspection_default)"
                )


def _refuse_ipv6(device: str, interface: str, running: AsaState) -> None:
    """A list ends the implicit permit for IPv6 too, and `any` would open what levels deny."""
    levels = [running.gate(interface, other)[0] for other in running.context.interfaces if other != interface]
    if running.level(interface).ipv6 and not all(levels) and running.list_of(*GLOBAL) is None:
        raise PolicyError(
            f"{device} {interface}: it speaks IPv6, and a list there would end what its security level permits; "
            "bind a list for IPv6 first, and use mode extend"
        )


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST]


def _entries(acl: Acl, groups: Groups) -> Iterator[str]:
    remark = ""
    for ace in acl.entries:
        text = remark_text(ace.comment)
        if text and text != remark:
            yield f"remark {text}"
        remark = text
        for source in groups.written(ace.sources):
            for destination in groups.written(ace.destinations):
                yield f"extended {entry_words(ace, source, destination)}"


def remark_text(text: str) -> str:
    """A text as a remark takes it: one line of ASCII, and no question mark, which asks the command line for help."""
    return re.sub(r"[?\s]+", " ", text.encode("ascii", "ignore").decode())[:REMARK_LIMIT].strip()


def entry_words(ace: Ace, source: str, destination: str) -> str:
    """An entry behind the word `extended`."""
    service = ace.service
    protocol = PROTOCOL_NAMES.get(service.protocol, str(service.protocol))
    icmp = "" if service.icmp is None else f" {service.icmp.type}"
    if service.icmp is not None and service.icmp.code is not None:
        icmp += f" {service.icmp.code}"
    log = " log" if ace.log else ""
    return f"{ace.action} {protocol} {source}{_ports(ace.sport)} {destination}{_ports(service.ports)}{icmp}{log}"


def _ports(ports: PortRange) -> str:
    if ports == ANY_PORT:
        return ""
    return f" eq {ports.first}" if ports.first == ports.last else f" range {ports.first} {ports.last}"


def _rest(running: AsaState, interface: str) -> Iterator[str]:
    """Entries that keep what security levels did to all other traffic; the global list does it where there is one."""
    if running.list_of(*GLOBAL) is not None:
        return
    running.check_ways(interface)
    yield f"remark {REST}"
    closed = [name for name in running.context.interfaces if name != interface and not running.gate(interface, name)[0]]
    for name in closed:
        if running.gate(interface, name)[1]:
            for prefix in running.context.domains.get(name, ()):
                yield f"extended deny ip any4 {_address(prefix)}"
    yield "extended permit ip any4 any4" if closed else "extended permit ip any any"


def _address(prefix: IPv4Network) -> str:
    if prefix == ANYWHERE:
        return "any4"
    if prefix.prefixlen == prefix.max_prefixlen:
        return f"host {prefix.network_address}"
    return f"{prefix.network_address} {prefix.netmask}"


class Groups:
    """Network groups for what would otherwise be written again and again; named by content, so that they stay."""

    def __init__(self, policy: DevicePolicy, *, plain: bool) -> None:
        uses: Counter[tuple[IPv4Network, ...]] = Counter()
        for acl in policy.acls:
            for ace in acl.entries:
                uses[ace.sources] += len(ace.destinations)
                uses[ace.destinations] += len(ace.sources)
        self.names = {
            prefixes: f"{policy.prefix}_{_digest([str(one) for one in prefixes])}"
            for prefixes, count in uses.items()
            if not plain and ANYWHERE not in prefixes and count + len(prefixes) + 1 < len(prefixes) * count
        }

    def written(self, prefixes: tuple[IPv4Network, ...]) -> list[str]:
        """The words for a list of prefixes, one entry each."""
        if prefixes in self.names:
            return [f"object-group {self.names[prefixes]}"]
        return ["any4"] if ANYWHERE in prefixes else [_address(prefix) for prefix in prefixes]

    def lines(self, used: Container[str] | None = None) -> Iterator[str]:
        """The groups, or those of certain names."""
        for prefixes, name in self.names.items():
            if used is not None and name not in used:
                continue
            yield f"object-group network {name}"
            for prefix in prefixes:
                yield f" network-object {_address(prefix)}"
