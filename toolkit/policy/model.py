"""Vendor-neutral ACLs, and all that one device must enforce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.addresses import intervals_of
from toolkit.net import ANY_PORT, ANY_SERVICE, ANYWHERE, Action, Direction, PortRange, Service
from toolkit.packets import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network

    from toolkit.packets import Box
    from toolkit.site import Enforcement
    from toolkit.topology import Ownership


@dataclass(frozen=True, slots=True)
class Ace:
    """One access control entry: what it matches is the product of its sources and destinations.

    `established` matches TCP with ACK or RST set. `requirements` are the ids that the entry serves,
    empty for the entries of the default. `comment` is what a device shows beside the entry.
    """

    action: Action
    service: Service = ANY_SERVICE
    sources: tuple[IPv4Network, ...] = (ANYWHERE,)
    destinations: tuple[IPv4Network, ...] = (ANYWHERE,)
    sport: PortRange = ANY_PORT
    established: bool = False
    requirements: tuple[str, ...] = ()
    comment: str = ""
    log: bool = False

    def boxes(self) -> Iterator[Block]:
        """The packets that it matches: one block, whose cost is that of its addresses and not of their product."""
        sources, destinations = intervals_of(self.sources), intervals_of(self.destinations)
        yield Block.of(self.service, sources, destinations, self.sport, established=self.established)


@dataclass(frozen=True, slots=True)
class Acl:
    """An ordered list of entries bound to one interface and direction of a device.

    What no entry matches is none of our business: it is left to whatever else filters there.
    """

    name: str
    device: str
    interface: str
    direction: Direction
    entries: tuple[Ace, ...]


Asked = tuple[tuple["Box | Block", tuple[str, ...]], ...]  # what is required, with the ids of who requires it


@dataclass(frozen=True, slots=True)
class Requiredness:
    """What must pass an interface inwards: new packets (or all, on a stateless device), and answers.

    `established` holds what a stateful device sees on known connections: both directions of a flow.
    Each item is a box or a block with the ids of the requirements that ask for it.
    """

    initiating: Asked = ()
    established: Asked = ()


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """All that one device must enforce.

    `acls` come in the order of the device's interfaces, one for each linked interface. `scope` is the
    protected set as boxes: only packets inside it may ever be denied by us. `domains` maps an interface
    to the destinations that leave by it (declared routes), for foreign rules that name an output interface.
    """

    device: str
    platform: str
    ownership: Ownership
    stateful: bool
    enforcement: Enforcement
    prefix: str
    acls: tuple[Acl, ...]
    required: Mapping[str, Requiredness]
    scope: tuple[Box | Block, ...]
    domains: Mapping[str, tuple[IPv4Network, ...]]
