"""Interfaces and policy maps as they are read: where lists are bound, and what else there may filter.

What is not understood counts only where it can decide a packet that is judged: on an interface of the inventory, or on
a port in front of one. An access switch has many ports, and a firewall's guest network is nobody's business here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.net import Direction
from toolkit.platforms._cisco_heads import FILTERS_THERE, HARMLESS_THERE, lookup
from toolkit.platforms._cisco_model import Bound
from toolkit.platforms._cisco_names import interface_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from toolkit.errors import ConfigError
    from toolkit.platforms._cisco_dialect import Dialect
    from toolkit.platforms._cisco_model import Place

# Interfaces that are no ports: nothing enters a VLAN by them.
ROUTED: Final = re.compile(
    r"(Vlan|Loopback|Tunnel|Null|BDI|BVI|Dialer|Management|mgmt|nve|Vxlan|Virtual-|Serial|Multilink|Cellular|Async|ATM)"
    r".*|.*\.\d+",
    re.ASCII,
)
# What a class of a policy map may do without dropping anything by its class: mark, queue, shape.
QUEUING: Final = frozenset(
    """
    bandwidth class congestion-control description exit fair-queue mtu multicast-optimize no pause priority
    queue-buffers queue-limit random-detect set shape trust
    """.split()  # noqa: SIM905 - a table
)
INSIDE: Final = frozenset(("access-group", "service-policy", "policy", "verify", "traffic-policy"))
POLICY_TYPES: Final = ("", "qos", "queuing", "quality-of-service")


@dataclass(slots=True)
class Port:
    """What is known of an interface beside its lists; unless it is an access port, it may carry any VLAN."""

    routed: bool = False
    switched: bool = False  # somebody says so, beside `no ip address`
    shut: bool = False
    access: bool = False
    vlan: str = "1"
    voice: str = ""
    channel: str = ""
    faults: list[ConfigError] = field(default_factory=list)
    policies: list[tuple[str, ConfigError]] = field(default_factory=list)

    def carries(self, vlans: Collection[str]) -> bool:
        """Whether packets may enter one of these VLANs by it."""
        if (self.routed and not self.switched) or self.shut:
            return False
        return bool({self.vlan, self.voice} & set(vlans)) if self.access else bool(vlans)


class PortReader:
    """Reads the interfaces and policy maps of one text; `error` makes an error of a message, at the line of now."""

    def __init__(self, dialect: Dialect, before: Mapping[Place, Bound], error: Callable[..., ConfigError]) -> None:
        self.dialect = dialect
        self.error = error
        self.bindings = dict(before)
        self.lines: dict[Place, int] = {}  # where a list was bound
        self.ports: dict[str, Port] = {}
        self.policies: dict[str, str] = {}  # policy map -> what of it may drop by class, empty where nothing may
        self.nested: dict[str, list[str]] = {}
        self.interface = self.policy = ""

    # ---- interfaces -----------------------------------------------------------------------

    def open_interface(self, words: list[str]) -> None:
        if len(words) < 2 or words[1] == "range":  # noqa: PLR2004 - interface and its name
            raise self.error(f"not understood: {' '.join(words)!r}; name one interface")
        apart = len(words) > 2 and words[2][0].isdigit()  # noqa: PLR2004 - `interface Ethernet 1`
        self.interface = interface_key("".join(words[1:3]) if apart else words[1])
        # `interface defaults` of EOS is no interface.
        routed = ROUTED.fullmatch(self.interface) is not None or self.interface == "defaults"
        # Ports of IOS may become trunks by themselves, those of the others are in VLAN 1 until somebody says more.
        self.ports[self.interface] = self.port = Port(routed, access=self.dialect.groups != "ios")

    def in_interface(self, words: list[str]) -> None:
        # `default` says what the system does anyway; EOS shows such lines where somebody asked for all of them.
        bare = words[1:] if words[0] in ("no", "default") else words
        if bare[:2] == ["ip", "access-group"] or bare[:3] == ["ip", "port", "access-group"]:
            self.bind(bare, taken=bare != words)
            return
        self.note(words, bare)
        if bare[:1] == ["service-policy"]:
            if bare == words:
                self.policy_of(words)
            return
        why = lookup(bare, FILTERS_THERE)
        if why is not None and bare == words:
            self.fault(words, FILTERS_THERE[why])
        elif why is None and bare and lookup(bare, HARMLESS_THERE) is None:
            self.fault(words, "nothing is known of it; it may filter")

    def deeper(self, words: list[str]) -> None:
        """A line of a mode inside an interface: what filters there would filter a part of its packets."""
        if set(words) & INSIDE:
            self.fault(words, "it is further in than the lines before it, and may filter")

    def fault(self, words: list[str], why: str) -> None:
        self.port.faults.append(self.error(f"not understood: {' '.join(words)!r} ({why})"))

    def note(self, words: list[str], bare: list[str]) -> None:
        """What tells whether packets enter a VLAN here."""
        port, line = self.port, " ".join(words)
        if line == "no switchport":
            port.routed, port.switched = True, False
        elif bare[:2] in (["ip", "address"], ["ip", "unnumbered"]):
            port.routed = True
        elif line == "shutdown":
            port.shut = True
        elif words[0] == "switchport":
            port.switched = True
            if words[1:3] == ["access", "vlan"]:
                port.vlan = words[-1]
            elif words[1:3] == ["voice", "vlan"]:
                port.voice = words[-1]
            elif words[1:2] == ["mode"]:
                port.access = words[2:] == ["access"]
        elif words[0] == "channel-group" and len(words) > 1:
            port.channel = f"Port-channel{words[1]}"

    def bind(self, words: list[str], *, taken: bool) -> None:
        port = words[1] == "port"
        rest = words[3:] if port else words[2:]
        if len(rest) != 2 or rest[1] not in tuple(Direction) or (port and not self.dialect.port_lists):  # noqa: PLR2004
            self.port.faults.append(self.error(f"not understood: {' '.join(words)!r}"))
            return
        place = (self.interface, Direction(rest[1]))
        now = self.error("").place
        self.lines[place] = (now and now.line) or 0
        if not taken:
            self.bindings[place] = Bound(rest[0], port)
        elif self.bindings.get(place) == Bound(rest[0], port):
            del self.bindings[place]
        else:
            raise self.error(f"{self.interface} has no list {rest[0]} {rest[1]} to take off")

    # ---- policy maps ----------------------------------------------------------------------

    def open_policy(self, words: list[str]) -> None:
        self.policy = words[-1]
        inner = words[2] if len(words) > 3 and words[1] == "type" else ""  # noqa: PLR2004 - policy-map type T N
        self.policies[self.policy] = "" if inner in POLICY_TYPES else f"is of type {inner}"
        self.nested[self.policy] = []

    def in_policy(self, words: list[str]) -> None:
        if words[0] == "service-policy":
            self.nested[self.policy].append(words[-1])
        elif words[0] not in QUEUING and not words[0].isdecimal():
            self.policies[self.policy] = self.policies[self.policy] or f"holds {' '.join(words)!r}"

    def policy_of(self, words: list[str]) -> None:
        rest = words[1:]
        if rest[:1] == ["type"] and len(rest) > 1 and rest[1] in POLICY_TYPES:
            rest = rest[2:]
        if len(rest) not in (2, 3) or rest[0] not in ("input", "output") or rest[2:] not in ([], ["no-stats"]):
            self.fault(words, FILTERS_THERE["service-policy"])
            return
        self.port.policies.append((rest[1], self.error(f"not understood: {' '.join(words)!r}")))

    def drops(self, name: str, above: tuple[str, ...] = ()) -> str:
        """Why a policy map may drop by class; empty where it only marks and queues."""
        if name in above or name not in self.policies:
            return f"policy map {name} is not there"
        if self.policies[name]:
            return f"policy map {name} {self.policies[name]}, and may drop by class"
        return next((why for one in self.nested[name] if (why := self.drops(one, (*above, name)))), "")

    # ---- the whole ------------------------------------------------------------------------

    def problems(self, names: Collection[str]) -> Iterator[ConfigError]:
        """What may filter packets that enter or leave by the interfaces `names`, and is not understood."""
        vlans = {name.removeprefix("Vlan") for name in names if name.startswith("Vlan")}
        for name, port in self.ports.items():
            faults = [*port.faults, *(error for error in map(self._policy, port.policies) if error)]
            if name in names:
                yield from faults
                continue
            behind = self._behind(port, names, vlans)
            if not behind:
                continue
            tail = f"; {name} is not in the inventory, but stands before {behind}, which is"
            for error in faults:
                yield type(error)(f"{error.message}{tail}", place=error.place)
            for place, bound in self.bindings.items():
                if place[0] == name:
                    yield self.error(f"list {bound.acl} is bound to {name}{tail}", self.lines.get(place))

    def _behind(self, port: Port, names: Collection[str], vlans: set[str]) -> str:
        """The interface of the inventory that packets enter by way of a port; empty where there is none."""
        if port.channel in names and not port.shut:
            return port.channel
        if port.carries(vlans):
            return "Vlan" + next((vlan for vlan in (port.vlan, port.voice) if vlan in vlans), min(vlans))
        return ""

    def _policy(self, one: tuple[str, ConfigError]) -> ConfigError | None:
        name, error = one
        why = self.drops(name)
        return type(error)(f"{error.message} ({why})", place=error.place) if why else None
