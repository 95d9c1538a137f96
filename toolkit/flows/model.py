"""Flows as values: between roles, between single endpoints, and between whole groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.net import ICMP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv4Network

    from toolkit.net import Service
    from toolkit.spec.model import Reply

LOAD_BALANCER = "load_balancer"
ANY_ROLE = "any"
SNAT, TRANSPARENT, DSR = "snat", "transparent", "dsr"  # modes of a load balancer


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a flow: a host with the addresses it uses here, or prefixes behind a host.

    `at` names the host where the traffic enters or leaves the network; None means everywhere (role `any`).
    `towards` is the address that leads there where `at` has none of `prefixes` itself: a balancer passes on the
    addresses of its clients, and with `dsr` its own virtual address.
    """

    name: str
    prefixes: tuple[IPv4Network, ...]
    at: str | None
    towards: IPv4Address | None = None

    @property
    def address(self) -> IPv4Address:
        """First address, as an example of them all."""
        return self.prefixes[0].network_address


@dataclass(frozen=True, slots=True)
class RoleFlow:
    """A flow between roles, because of one requirement."""

    source: str
    destination: str
    service: Service
    requirement: str
    reply: Reply
    health_check: bool = False
    client: str | None = None  # role whose connections a balancer passes on by this leg, where its mode matters


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow between endpoints; `requirements` are the ids of all requirements that ask for it.

    `answerers` are the endpoints that answer it; None where the destination does, as it mostly does.
    """

    source: Endpoint
    destination: Endpoint
    service: Service
    reply: Reply
    requirements: tuple[str, ...] = ()
    answerers: tuple[Endpoint, ...] | None = None

    @property
    def is_passed_on(self) -> bool:
        """Whether it is a balancer's second leg that keeps an address of somebody else."""
        return self.source.towards is not None or self.destination.towards is not None

    def sort_key(self) -> tuple[str, str, tuple[int, ...]]:
        """Order: source, destination, service."""
        return self.source.name, self.destination.name, self.service.sort_key()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Flows on one service from every endpoint of a group to every one of another, because of the same requirements.

    Flows of a host to itself are local and left out. Bundles of the same groups share their tuples. `rank` is the
    place of the first requirement that asks for them.
    """

    sources: tuple[Endpoint, ...]
    destinations: tuple[Endpoint, ...]
    service: Service
    reply: Reply
    answerers: tuple[Endpoint, ...] | None = None
    requirements: tuple[str, ...] = ()
    rank: int = 0

    def flows(self) -> Iterator[Flow]:
        """The flows, one by one."""
        for source in self.sources:
            for destination in self.destinations:
                if source.name != destination.name:
                    yield Flow(source, destination, self.service, self.reply, self.requirements, self.answerers)

    @property
    def is_passed_on(self) -> bool:
        """Whether it is a balancer's second leg that keeps an address of somebody else."""
        return any(end.towards is not None for end in (*self.sources, *self.destinations))


def is_error_message(service: Service) -> bool:
    """Whether a service is an ICMP error (unreachable, time exceeded, parameter problem): an answer by nature."""
    return service.protocol == ICMP and service.icmp is not None and service.icmp.type in (3, 11, 12)
