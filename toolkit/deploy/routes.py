"""Routing is declared: here it is compared with what the devices do, since a permit elsewhere opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.deploy.session import read_routes
from toolkit.errors import DeployError
from toolkit.platforms import get, names
from toolkit.platforms.base import NextHop, RouteQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ipaddress import IPv4Address

    from toolkit.deploy.target import Target
    from toolkit.paths import Hop, PathFinder

MAX_SHOWN = 3


def declared_hops(finder: PathFinder) -> dict[str, dict[RouteQuery, frozenset[NextHop]]]:
    """What each routing device should do with the packets of every path that has been found, by device.

    The paths of failures count where they ask a device for what it does today: a standby is asked as well.
    """
    found: dict[str, dict[RouteQuery, frozenset[NextHop]]] = {}
    for one in finder.failing():
        for source, goal, paths in one.found():
            sender = finder.topology.nodes[source].addresses[0]
            routed = {hop for path in paths for hop in path.hops if _is_routed(finder, hop)}
            for hop in routed:
                expected = _usual(finder, one, hop.device, goal)
                if expected:
                    found.setdefault(hop.device, {})[RouteQuery(goal, sender, hop.in_interface)] = expected
    return found


def _is_routed(finder: PathFinder, hop: Hop) -> bool:
    return not finder.topology.interface((hop.device, hop.in_interface)).switched


def _usual(finder: PathFinder, failing: PathFinder, device: str, goal: IPv4Address) -> frozenset[NextHop]:
    """What a device does with a destination today, where it would do the same under a failure; empty where not."""
    usual = finder.next_hops(device, goal)
    same = failing is finder or failing.next_hops(device, goal) == usual
    return frozenset(NextHop(*one) for one in usual) if same else frozenset()


def check_routes(target: Target) -> None:
    """Compare each hop of the paths that the policies stand on with the device's own route.

    Raises:
        DeployError: a device sends a packet elsewhere than the inventory declares, or not at all.
    """
    declared = declared_hops(target.finder)
    answers = target.run(declared, read_routes, queries={device: tuple(one) for device, one in declared.items()})
    shown = {device: _as_shown(target.finder, device, one) for device, one in declared.items()}
    wrong = list(_mismatches(shown, answers))
    if wrong:
        more = f" (and {len(wrong) - MAX_SHOWN} more)" if len(wrong) > MAX_SHOWN else ""
        raise DeployError(
            "routes differ from the inventory, so the rules would stand in the wrong places: "
            f"{'; '.join(wrong[:MAX_SHOWN])}{more}; correct the routes in hosts.yaml, or on the device"
        )


def _as_shown(
    finder: PathFinder, device: str, hops: Mapping[RouteQuery, frozenset[NextHop]]
) -> dict[RouteQuery, frozenset[NextHop]]:
    """Declared hops with interfaces named as the device names them."""
    platform = finder.topology.nodes[device].platform
    spelled = get(platform).spelled_out if platform in names() else str
    return {
        query: frozenset(NextHop(spelled(hop.interface), hop.via) for hop in wanted) for query, wanted in hops.items()
    }


def _mismatches(
    declared: Mapping[str, Mapping[RouteQuery, frozenset[NextHop]]],
    answers: Mapping[str, tuple[frozenset[NextHop], ...]],
) -> Iterable[str]:
    for device, expected in declared.items():
        seen: set[tuple[str, str]] = set()
        for (query, wanted), real in zip(expected.items(), answers[device], strict=True):
            what = (_words(real), _words(wanted))
            if real != wanted and what not in seen:
                seen.add(what)
                yield (
                    f"{device} sends {query.source} -> {query.destination} (in by {query.interface}) {what[0]}, "
                    f"the inventory says {what[1]}"
                )


def _words(hops: frozenset[NextHop]) -> str:
    if not hops:
        return "nowhere"
    ways = sorted(f"out by {one.interface}{f' via {one.via}' if one.via else ''}" for one in hops)
    return " or ".join(ways)
