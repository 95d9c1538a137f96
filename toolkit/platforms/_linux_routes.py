"""Where a Linux device sends packets, asked of its own kernel: rules, tables and equal-cost next hops included."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms.base import NextHop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.platforms.base import RouteQuery

# One process for all questions; each that has no answer is a line of its own on standard error, and the exit status
# would say only that there was one. `fibmatch` gives the whole route, where a plain `get` picks one next hop.
COMMAND: Final = "/usr/sbin/ip -j -force -batch -; exit 0"
FAILED: Final = re.compile(r"^Command failed -:(\d+)$", re.MULTILINE)


def ask(queries: Sequence[RouteQuery]) -> tuple[str, str]:
    """The command and its input."""
    lines = [f"route get fibmatch {one.destination} from {one.source} iif {one.interface}\n" for one in queries]
    return COMMAND, "".join(lines)


def read(queries: Sequence[RouteQuery], output: str, errors: str, device: str) -> tuple[frozenset[NextHop], ...]:
    """The answers, in the order of the questions; none where the device would not forward.

    Raises:
        ConfigError: there are more or fewer answers than questions, or one is not understood.
    """
    unanswered = {int(number) for number in FAILED.findall(errors)}
    answers = iter([line for line in output.splitlines() if line.strip()])
    try:
        found = [
            frozenset() if number in unanswered else _next_hops(json.loads(next(answers, "")))
            for number in range(1, len(queries) + 1)
        ]
    except (ValueError, KeyError, TypeError) as caught:
        words = (errors.strip() or f"{type(caught).__name__}: {caught}").splitlines()[0]
        raise ConfigError(f"its answer about routes is not understood: {words}", place=Place(device)) from None
    if next(answers, None) is not None:
        raise ConfigError("it gave more answers about routes than there were questions", place=Place(device))
    return tuple(found)


def _next_hops(answer: list[dict[str, Any]]) -> frozenset[NextHop]:
    (route,) = answer
    if route.get("type", "unicast") != "unicast":
        return frozenset()  # its own address, a blackhole, a prohibition
    legs = route.get("nexthops") or [route]
    return frozenset(NextHop(leg["dev"], IPv4Address(leg["gateway"]) if "gateway" in leg else None) for leg in legs)
