"""Where a device sends packets, read from what its own command line says about one address after the other.

Each output follows its command on a line of its own, in the order of the questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from toolkit.errors import ConfigError, Place
from toolkit.platforms._cisco_names import interface_key
from toolkit.platforms.base import NextHop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolkit.platforms.base import RouteQuery

Hops = frozenset[NextHop]
_ADDRESS: Final = r"(\d+\.\d+\.\d+\.\d+)"
_PREFIX: Final = r"\d+\.\d+\.\d+\.\d+/\d+"

IOS_COMMAND: Final = "show ip cef {}"
EOS_COMMAND: Final = "show ip route {}"
NXOS_COMMAND: Final = "show ip route {}"
NXOS_CONNECTED: Final = "show ip route direct"

_CEF_HEAD: Final = re.compile(rf"{_PREFIX}(?:, .*)?")
_CEF_HOP: Final = re.compile(rf"nexthop {_ADDRESS} (\S+)(?: .*)?")
_CEF_ATTACHED: Final = re.compile(r"attached to (\S+)")
_CEF_NONE: Final = re.compile(
    r"receive(?: for \S+)?|no route|drop|discard|unresolved|%.*not in (?:the )?(?:FIB|table).*"
)
_EOS_HEAD: Final = re.compile(rf" {{1,2}}\S[\S ]*? +{_PREFIX} (.*)")
_EOS_HOP: Final = re.compile(rf"(?:\[\d+/\d+\] )?via {_ADDRESS}, (\S+)")
_EOS_DIRECT: Final = re.compile(r"(?:is )?directly connected, (\S+)")
_EOS_NOISE: Final = re.compile(
    r"VRF: \S+|Codes: .*|Gateway of last resort.*|(?:[A-Z][A-Za-z0-9 ]{0,3} - .*)|WARNING: .*|"
    r"[A-Z]\S{0,3} - .*"
)
_NX_HEAD: Final = re.compile(rf"({_PREFIX}), ubest/mbest: \d+/\d+(.*)")
_NX_HOP: Final = re.compile(rf"\*?\*?via (?:{_ADDRESS}(?:%\S+)?, )?(?:([A-Za-z]\S*), )?\[\d+/\d+\], .*")
_NX_NOISE: Final = re.compile(
    r"IP Route Table for VRF .*|'.*' denotes .*|'.*' in via output denotes .*|Route not found"
)


@dataclass(frozen=True, slots=True)
class Questions:
    """How an OS is asked for routes: a command for each destination, further ones, and who reads the answers."""

    command: str
    reader: Callable[[Sequence[RouteQuery], str, str], tuple[Hops, ...]]
    more: tuple[str, ...] = ()

    def ask(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """One command for each question, and further ones."""
        return "\n".join([*(self.command.format(query.destination) for query in queries), *self.more]), ""


def read_cef(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[Hops, ...]:
    """Answers of IOS; its forwarding table names the interface also where a route names the next router only."""
    return tuple(_cef(body, device) for body in _answers(queries, IOS_COMMAND, (), output, device))


def read_eos(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[Hops, ...]:
    """Answers of EOS."""
    return tuple(_eos(body, device) for body in _answers(queries, EOS_COMMAND, (), output, device))


def read_nxos(queries: Sequence[RouteQuery], output: str, device: str) -> tuple[Hops, ...]:
    """Answers of NX-OS; where a static route names no interface, the connected subnets tell it."""
    *bodies, direct = _answers(queries, NXOS_COMMAND, (NXOS_CONNECTED,), output, device)
    connected = _nx_connected(direct, device)
    return tuple(_nx(body, connected, device) for body in bodies)


def _answers(
    queries: Sequence[RouteQuery], command: str, more: tuple[str, ...], output: str, device: str
) -> list[list[str]]:
    """The lines that follow each command.

    Raises:
        ConfigError: a command is missing, or another one stands in its place.
    """
    wanted = [*(command.format(query.destination) for query in queries), *more]
    found: list[list[str]] = []
    for line in output.splitlines():
        if len(found) < len(wanted) and line.strip() == wanted[len(found)]:
            found.append([])
        elif found and line.strip():
            found[-1].append(line.rstrip())
        elif line.strip():
            raise _unclear(line, device)
    if len(found) != len(wanted):
        raise ConfigError(f"{len(found)} of {len(wanted)} questions about routes were answered", place=Place(device))
    return found


def _unclear(line: str, device: str) -> ConfigError:
    return ConfigError(f"its answer about routes is not understood: {line.strip()!r}", place=Place(device))


def _cef(body: list[str], device: str) -> Hops:
    hops: set[NextHop] = set()
    known = False
    for number, line in enumerate(body):
        text = line.strip()
        hop, attached = _CEF_HOP.fullmatch(text), _CEF_ATTACHED.fullmatch(text)
        if hop:
            hops.add(_hop(hop[2], hop[1]))
        elif attached:
            if attached[1] != "Null0":
                hops.add(NextHop(interface_key(attached[1]), None))
            known = True
        elif _CEF_NONE.fullmatch(text):
            known = True
        elif number or not _CEF_HEAD.fullmatch(text):
            raise _unclear(line, device)
    if not hops and not known:
        raise ConfigError("its answer about a route says nothing", place=Place(device))
    return frozenset(hops)


def _eos(body: list[str], device: str) -> Hops:
    hops: set[NextHop] = set()
    seen = False
    for line in body:
        text = line.strip()
        head = _EOS_HEAD.fullmatch(line)
        rest = head[1].strip() if head else text
        hop, direct = _EOS_HOP.fullmatch(rest), _EOS_DIRECT.fullmatch(rest)
        if (head or seen) and (hop or direct):
            if head and seen:
                raise _unclear(line, device)  # one address has one route
            if hop:
                hops.add(_hop(hop[2], hop[1]))
            elif direct and direct[1] != "Null0":
                hops.add(NextHop(interface_key(direct[1]), None))
            seen = True
        elif seen or head or not _EOS_NOISE.fullmatch(text):
            raise _unclear(line, device)
    return frozenset(hops)


def _nx(body: list[str], connected: dict[IPv4Network, str], device: str) -> Hops:
    hops: set[NextHop] = set()
    attached = seen = False
    for line in body:
        text = line.strip()
        head, hop = _NX_HEAD.fullmatch(text), _NX_HOP.fullmatch(text)
        if head and not seen:
            seen, attached = True, "attached" in head[2]
        elif hop and seen:
            if hop[2] == "Null0":
                continue
            if attached:
                hops.add(NextHop(interface_key(hop[2] or ""), None))
            elif not hop[1]:
                raise _unclear(line, device)
            else:
                hops.add(_hop(hop[2] or _behind(IPv4Address(hop[1]), connected, device), hop[1]))
        elif seen or not _NX_NOISE.fullmatch(text):
            raise _unclear(line, device)
    return frozenset(hops)


def _nx_connected(body: list[str], device: str) -> dict[IPv4Network, str]:
    found: dict[IPv4Network, str] = {}
    prefix: IPv4Network | None = None
    for line in body:
        text = line.strip()
        head, hop = _NX_HEAD.fullmatch(text), _NX_HOP.fullmatch(text)
        if head:
            prefix = IPv4Network(head[1])
        elif hop and prefix is not None and hop[2]:
            found[prefix] = hop[2]
        elif not _NX_NOISE.fullmatch(text):
            raise _unclear(line, device)
    return found


def _behind(router: IPv4Address, connected: dict[IPv4Network, str], device: str) -> str:
    found = [name for prefix, name in connected.items() if router in prefix]
    if len(found) != 1:
        raise ConfigError(
            f"it names no interface towards {router}, which is in no connected subnet", place=Place(device)
        )
    return found[0]


def _hop(interface: str, router: str) -> NextHop:
    return NextHop(interface_key(interface), IPv4Address(router))


IOS: Final = Questions(IOS_COMMAND, read_cef)
EOS: Final = Questions(EOS_COMMAND, read_eos)
# The connected subnets last, for static routes that name no interface.
NXOS: Final = Questions(NXOS_COMMAND, read_nxos, (NXOS_CONNECTED,))
