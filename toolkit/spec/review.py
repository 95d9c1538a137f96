"""Rows compared with each other, and with what other editions and the products underneath are known to say.

Everything here is a finding for the reviewer; nothing is ever added to the requirements.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Final

from toolkit.net import PortRange
from toolkit.spec.model import Constraint, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.spec.page import Page
    from toolkit.spec.proposal import Proposed
    from toolkit.spec.services import Drafts, Service

_WIDE: Final = frozenset({"any", "internet"})
_CLOSED_OFF: Final = frozenset({Constraint.NO_INTERNET, Constraint.PRIVATE_ONLY})
# Services that are known to use TCP and UDP on one port.
_DUAL_PORTS: Final = """
    53 88 111 135 137 138 139 389 445 464 500 514 636 749 1812 1813 2049 3478 4648 5060 5349 6783
    7946 8301 8302 8600 9998
"""
_DUAL: Final = frozenset(_DUAL_PORTS.split())


def compare(out: Drafts) -> None:
    """Find rows that contradict each other."""
    for requirement in out.requirements:
        for service, line in out.closed:
            if _meet(requirement, service):
                out.find(
                    "contradiction",
                    Severity.WARNING,
                    line,
                    f"line {requirement.lines[0]} asks for {_name(requirement)}, this row wants it closed",
                )
    for one, other in _with_ports_in_common(out):
        if one.lines[0] == other.lines[0]:
            continue
        if one.lines[0] in other.lines or other.lines[0] in one.lines:
            continue  # one row runs on in the other
        reason = _contradiction(one, other) if one.protocol == other.protocol else _two_protocols(one, other)
        if reason:
            out.find(
                "contradiction",
                Severity.WARNING,
                max(one.lines[0], other.lines[0]),
                f"{reason} (lines {one.lines[0]} and {other.lines[0]})",
            )


def _with_ports_in_common(out: Drafts) -> Iterator[tuple[Proposed, Proposed]]:
    """Pairs of requirements with a port in common, in the order of the page, found by sweeping over first ports."""
    ranged = [(PortRange.parse(one.ports), at) for at, one in enumerate(out.requirements) if one.ports]
    pairs: list[tuple[int, int]] = []
    open_: list[tuple[PortRange, int]] = []
    for ports, at in sorted(ranged):
        open_ = [(other, index) for other, index in open_ if other.last >= ports.first]
        pairs += [(min(at, index), max(at, index)) for _, index in open_]
        open_.append((ports, at))
    bare = [at for at, one in enumerate(out.requirements) if one.ports is None]
    pairs += combinations(bare, 2)
    return ((out.requirements[one], out.requirements[other]) for one, other in sorted(pairs))


def _meet(requirement: Proposed, service: Service) -> bool:
    if requirement.protocol != service.protocol or requirement.icmp != service.icmp:
        return False
    return _overlap(requirement.ports, service.ports)


def _overlap(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one == other
    a, b = PortRange.parse(one), PortRange.parse(other)
    return a.first <= b.last and b.first <= a.last


def _name(one: Proposed) -> str:
    return f"{one.protocol} {one.ports or one.icmp or ''}".strip()


def _contradiction(one: Proposed, other: Proposed) -> str | None:
    """Why two rows of one protocol with ports in common cannot both be meant."""
    if not set(one.destinations) & set(other.destinations):
        reverse = (one.sources, one.destinations) == (other.destinations, other.sources) and one.ports == other.ports
        if (
            reverse
            and one.purpose
            and one.purpose.lower() == other.purpose.lower()
            and Constraint.BIDIRECTIONAL not in one.constraints
        ):
            return f"{_name(one)} runs in opposite directions in two rows with the same purpose"
        return None
    for closed, wide in ((one, other), (other, one)):
        if set(closed.constraints) & _CLOSED_OFF and _WIDE & set(wide.sources):
            return (
                f"{_name(one)} is kept from the internet in one row and open to "
                f"{', '.join(sorted(_WIDE & set(wide.sources)))} in another"
            )
    same = (
        one.ports == other.ports
        and one.sources == other.sources
        and one.destinations == other.destinations
        and one.icmp == other.icmp
    )
    if same and one.ports and one.condition != other.condition and one.purpose.lower() == other.purpose.lower():
        return f"{_name(one)} is asked for twice with different conditions"
    return None


def _two_protocols(one: Proposed, other: Proposed) -> str | None:
    same = one.ports == other.ports and one.sources == other.sources and one.destinations == other.destinations
    if not same or one.ports is None or "-" in one.ports or one.ports in _DUAL or not one.purpose:
        return None
    if {one.protocol, other.protocol} == {"tcp", "udp"} and one.purpose.lower() == other.purpose.lower():
        return f"port {one.ports} is {one.protocol} in one row and {other.protocol} in another, with the same purpose"
    return None


def annotate(page: Page, out: Drafts) -> None:
    """Findings about what the page leaves open and what other editions say."""
    from toolkit.spec.page import Prose, Table

    words = " ".join(
        b.text if isinstance(b, Prose) else " ".join(row.text for row in b.rows) if isinstance(b, Table) else b.text
        for b in page.blocks
    )
    by_port: dict[str, Proposed] = {}
    for one in out.requirements:
        if one.ports:
            by_port.setdefault(f"{one.protocol}/{one.ports}", one)
    _clients(out, by_port)
    for one in out.requirements:
        if "smtp_server" in one.destinations and one.lines and one.ports:
            out.find(
                "port_is_site_choice",
                Severity.INFO,
                one.lines[0],
                f"{one.ports} is what the page says; the port of the site's own SMTP server is the site's choice",
            )
    if {"tcp/9345", "tcp/6443"} <= by_port.keys():
        _rke2(out, by_port, words)


def _clients(out: Drafts, by_port: dict[str, Proposed]) -> None:
    https = by_port.get("tcp/443")
    said = {"client", "any", "internet"}
    if (
        https
        and "load_balancer" in https.destinations
        and not any(said & set(one.sources) for one in out.requirements if one.ports == "443")
    ):
        out.find(
            "client_access_unstated",
            Severity.INFO,
            https.lines[0],
            "nothing says who may open 443 on the load balancer from outside; clients need it, but the "
            "page does not say so: decide",
        )


def _rke2(out: Drafts, by_port: dict[str, Proposed], words: str) -> None:
    """RKE2 underneath: its own list says more, and less, than this page."""

    def differ(key: str, message: str) -> None:
        out.find("edition_differs", Severity.INFO, by_port[key].lines[0] if key in by_port else None, message)

    for key in ("tcp/2379", "tcp/2380"):
        if key in by_port and by_port[key].destinations == ("node",):
            differ(key, f"RKE2's own list limits etcd ({key}) to server nodes; this page names every node")
    for key in ("tcp/6443", "tcp/9345"):
        if "node" in by_port[key].destinations:
            differ(key, f"RKE2's own list sends {key} to server nodes only; this page names every node")
    if re.search(r"\bcilium\b", words, re.IGNORECASE) and "tcp/4240" not in by_port:
        key = "udp/8472" if "udp/8472" in by_port else "tcp/6443"
        differ(
            key,
            "RKE2's own list adds 4240/tcp and ICMP echo between nodes for Cilium's health checks; "
            "this page does not, so they are not added",
        )
    if "temporary_registry" in by_port.get("tcp/30070", by_port["tcp/6443"]).destinations:
        differ(
            "tcp/30070",
            "other editions send 30070 to the server pool (2023.10) instead of a temporary registry "
            "pool; check the edition that is installed",
        )
