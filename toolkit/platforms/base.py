"""What every network OS answers: the contract of a file in this folder.

No I/O happens here: text and command output go in, values and text come out. `deploy` is the only room
that talks to devices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.net import Action, Direction, Packet
    from toolkit.packets import Block, Box, PacketSet, Space
    from toolkit.platforms._sizes import Counting, ListSize
    from toolkit.policy import DevicePolicy, Extension
    from toolkit.topology import Node


class ConnState(StrEnum):
    """Of a packet, as a stateful device sees it; a stateless one treats both alike."""

    NEW = "new"
    ESTABLISHED = "established"
    RELATED = "related"  # ICMP errors about a known connection, above all


@dataclass(frozen=True, slots=True)
class DeviceContext:
    """What a reader of a configuration must know of the device beside its text.

    `domains` maps an interface to the destination prefixes that leave by it.
    """

    device: str
    interfaces: tuple[str, ...]
    stateful: bool
    prefix: str
    node: Node
    domains: Mapping[str, tuple[IPv4Network, ...]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What decided a packet on a device: the ACL, its entry as text, and where the entry stands."""

    action: Action
    acl: str
    entry: str
    place: str


@dataclass(frozen=True, slots=True)
class CandidateConfig:
    """A rendered configuration: exactly the text that would be sent to a device in its recorded state.

    `bindings` maps an interface to the names of the ACLs bound there. In *extend* and *jump* mode `existing` tells for
    each interface what somebody's list permits already of what is required, and what is missing.
    """

    device: str
    platform: str
    text: str
    acls: tuple[str, ...]
    bindings: Mapping[str, tuple[str, ...]]
    existing: Mapping[str, Extension] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """The change of one device, as values: what to send, how to undo it, what to keep for the next boot.

    `apply` and `rollback` are complete inputs of the platform's load command, or on a command line (`transport`
    "cli") lines typed at the privileged prompt that enter and leave configuration mode, session commit included; both
    empty when nothing changes. `startup` maps a file (or configuration name) to its new content, None to remove it.
    `confirm` are the lines that confirm a timed commit, empty where `apply` commits for good; `save` those that save
    the startup configuration, empty where it is a file or saves itself. `diff` is for people.
    """

    device: str
    apply: str
    rollback: str
    startup: Mapping[str, str | None]
    diff: str
    confirm: str = ""
    save: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs to be sent."""
        return not self.apply


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network OS can do, as far as a plan must know; `fragments` and `commit_note` are sentences for people.

    `routed` and `switched` are the directions in which a routed interface and a layer-2 port take an ACL.
    `fragments` is the rule for non-initial fragments. `commit_confirm` tells whether an unconfirmed change undoes
    itself; `commit_note` says what that means for a push. `counting` is how entries are counted against what it holds.
    """

    routed: tuple[Direction, ...]
    switched: tuple[Direction, ...]
    log: bool
    established: bool
    fragments: str
    commit_confirm: bool
    commit_note: str
    counting: Counting


class RouteQuery(NamedTuple):
    """A packet whose way out of a device is asked for: addresses, and the interface that it enters by."""

    destination: IPv4Address
    source: IPv4Address
    interface: str


class NextHop(NamedTuple):
    """Where a device sends a packet: interface, and the next router's address; None in a connected subnet."""

    interface: str
    via: IPv4Address | None


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry of a list as it is written, where it stands, and what it matches (the union of its parts).

    `keep` says why it must stay although other entries decide all of its packets.
    """

    action: Action
    text: str
    place: str
    parts: tuple[Box | Block, ...]
    keep: str = ""


@dataclass(frozen=True, slots=True)
class EntryList:
    """An ordered list, first match wins, as some packets meet it; `default` decides what no entry matches.

    `bound` says where it is bound, for people; empty where nothing meets it. `view` says which packets these are,
    where entries look at more than a packet: a list then has an `EntryList` for each view, with the same entries in the
    same order. `unread` says why a list was not understood; it has no entries then.
    """

    name: str
    bound: tuple[str, ...]
    entries: tuple[ListedEntry, ...]
    default: Action
    view: str = ""
    unread: str = ""


class FilterState(Protocol):
    """A device's filter, parsed: everything that decides forwarded packets, whoever wrote it."""

    @property
    def context(self) -> DeviceContext:
        """The device that it was read for."""

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:
        """Packets that entering by `interface` pass every filter of the device in this state (exact)."""

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:
        """The entry that decides one packet, found by walking the rules and not by packet sets."""

    def fingerprint(self) -> str:
        """SHA-256 over the parsed filters, objects, bindings and implicit rules; not over counters or handles."""

    def owned(self) -> FilterState | None:
        """Only what the toolkit owns (by prefix), None where there is nothing."""

    def without_owned(self) -> FilterState:
        """The state as if the toolkit had never been there."""

    def lists(self) -> tuple[EntryList, ...]:
        """Every ordered list of the device, bound or not, entry by entry."""

    def text(self) -> str:
        """The whole filter in the platform's own language, normalised, for people and for diffs."""

    def sizes(self) -> tuple[ListSize, ...]:
        """The size of each list where it is bound, whoever wrote it."""

    def whole(self) -> str | None:
        """A complete configuration of the device, for programs that know nothing of the toolkit.

        What the inventory declares, and all filters, whoever wrote them. None where no such program reads the language.
        """


class Platform(Protocol):
    """One network OS.

    With `transport` "exec" commands run on a channel of their own and `load_command` reads a text from its input; with
    "cli" lines are typed at a prompt, `block_size` of them at once, and `load_command` is empty. `netmiko_driver` is
    netmiko's name of the OS. `failure_indicators` are substrings of the OS's own error words.
    """

    name: ClassVar[str]
    transport: ClassVar[Literal["exec", "cli"]]
    netmiko_driver: ClassVar[str]
    block_size: ClassVar[int]
    capabilities: ClassVar[Capabilities]
    show_commands: ClassVar[tuple[str, ...]]
    load_command: ClassVar[str]
    failure_indicators: ClassVar[tuple[str, ...]]

    def empty(self, context: DeviceContext) -> FilterState:
        """A device without any filter."""

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> FilterState:
        """The state after loading a configuration file on top of `before`.

        Raises:
            ConfigError: a line is not fully understood (with file and line).
        """

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> FilterState:
        """The state that a device reports: output of each of `show_commands`.

        Raises:
            ConfigError: something in it is not fully understood.
        """

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """The configuration that makes a device in the state `running` enforce the policy.

        Raises:
            PolicyError: the policy cannot be enforced in the way that the device is owned.
        """

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to send to a device in the state `running`, and how to undo it."""

    def spelled_out(self, interface: str) -> str:
        """An interface's name as the device itself shows it, from how an inventory may write it (`Gi0/1`)."""

    def ask_routes(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """A command that asks a device where it would send packets, and the text for its standard input."""

    def read_routes(
        self, queries: Sequence[RouteQuery], output: str, errors: str, device: str
    ) -> tuple[frozenset[NextHop], ...]:
        """The answers to `queries`, in their order: all equal-cost next hops, none where it would not forward.

        Raises:
            ConfigError: an answer is not fully understood.
        """

    def restore(self, target: FilterState, running: FilterState) -> str:
        """What to send to a device in the state `running` so that what is ours becomes as in `target`.

        Empty where it is so already. Needed besides the rollback of a `ChangeSet` because some rules can only
        be named by the handles that the device has given them since. It commits for good: no timer is confirmed.
        """

    def startup(self, state: FilterState) -> Mapping[str, str | None]:
        """Startup files that bring back what is ours in a state after a reboot; None removes a file."""
