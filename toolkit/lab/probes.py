"""What a probe is, and what can become of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from toolkit.lab.wire import FlowKey, Watcher
from toolkit.net import PROTOCOL_NUMBERS, Verdict

if TYPE_CHECKING:
    from ipaddress import IPv4Address


class Outcome(StrEnum):
    """What a probe met."""

    ANSWERED = "answered"  # TCP handshake completed, UDP or echo reply received
    ARRIVED = "arrived"  # a one-way datagram reached the listener
    REFUSED = "refused"  # reset or port unreachable, sent by the destination: the path is open, the port closed
    REJECTED = "rejected"  # ICMP error from a device on the way
    UNROUTED = "unrouted"  # the source itself has no way to the destination
    SILENT = "silent"  # nothing came back in time

    @property
    def verdict(self) -> Verdict:
        """The verdict that this outcome alone supports."""
        if self in (Outcome.ANSWERED, Outcome.ARRIVED, Outcome.REFUSED):
            return Verdict.PERMITTED
        return Verdict.DENIED if self is Outcome.REJECTED else Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. `protocol` is tcp, udp or icmp (echo; `port` is then 0).

    `source_address` None lets the source's routing choose; `sport` 0 lets the prober choose. A `one_way`
    probe expects no reply, so its arrival at the listener counts. `expect_hint` permitted asks for a second,
    more patient try before silence is believed.
    """

    source: str
    source_address: IPv4Address | None
    destination: str
    destination_address: IPv4Address
    protocol: str
    port: int = 0
    sport: int = 0
    one_way: bool = False
    expect_hint: Verdict | None = None

    @property
    def key(self) -> FlowKey:
        """Key of the first packet; without a source address its first part is empty."""
        source = "" if self.source_address is None else str(self.source_address)
        protocol = PROTOCOL_NUMBERS[self.protocol]
        return FlowKey(source, str(self.destination_address), protocol, self.sport, self.port)


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a probe: `probe` has source address and source port filled in, `seconds` is its duration.

    `detail` says who sent an ICMP error and of which type and code.
    """

    probe: Probe
    outcome: Outcome
    seconds: float
    detail: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict that the outcome alone supports."""
        return self.outcome.verdict

    @property
    def key(self) -> FlowKey:
        """Key of the probe's first packet, to look for evidence."""
        return self.probe.key


class Arrivals(Watcher, Protocol):
    """Where the arrival of UDP datagrams is reported (`listeners.Listeners`)."""

    arrived: set[FlowKey]
