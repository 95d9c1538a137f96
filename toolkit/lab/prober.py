"""The prober: thousands of probes from all hosts of a lab at once, by one process with one epoll.

Each socket is created after entering the network namespace of its source. A completed exchange is permitted,
an ICMP error from a device on the way is denied, silence is inconclusive until a device's own record or a tap
explains it. Every probe has a source port of its own, so that such evidence belongs to exactly one probe.
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
import secrets
import selectors
import socket
import struct
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.namespaces import enter_network
from toolkit.lab.probes import Arrivals, Observation, Outcome, Probe
from toolkit.lab.wire import (
    ECHO_REPLY,
    IP_PKTINFO,
    IP_RECVERR,
    PACKET_INFO,
    PAYLOAD,
    FlowKey,
    Watcher,
    echo_request,
    enlarge_buffer,
    icmp_error,
    network,
)
from toolkit.net import ICMP, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Arrivals", "Observation", "Outcome", "Probe", "probe"]

FIRST_SPORT: Final = 20000
SPORTS: Final = 40000
AT_ONCE: Final = 3000  # probes in flight, at most
BURST: Final = 64  # probes launched between two looks at the answers
MOST_FILES: Final = 8192
SPARE_FILES: Final = 64
PORT_UNREACHABLE: Final = (3, 3)
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

# Numbers go on from call to call: a port used again too soon would meet the connection tracking of its last use.
_numbers = itertools.count(secrets.randbelow(SPORTS))


def probe(
    probes: Sequence[Probe],
    namespaces: Mapping[str, int],
    *,
    timeout: float = 0.3,
    patience: float = 1.5,
    watchers: Iterable[Watcher] = (),
    arrivals: Arrivals | None = None,
) -> list[Observation]:
    """Send all probes and tell what became of each, in the order given.

    `namespaces` maps each source host to the file descriptor of its network namespace. `timeout` is the wait
    for an answer, `patience` that of the second try (a lost SYN is repeated after one second); both in
    seconds. `watchers` are read all along, so that taps and log readers do not overflow.

    Raises:
        LabError: an unknown source or protocol, an address that the source does not have, or a one-way
            probe without `arrivals`.
    """
    _check(probes, namespaces, arrivals)
    if arrivals is not None:
        arrivals.drain()  # room for those to come
    with network(), _many_files() as files:
        engine = _Engine(namespaces, [*watchers, *([arrivals] if arrivals else [])], arrivals, min(files, AT_ONCE))
        found = engine.run(probes, timeout)
        again = [
            index
            for index, one in enumerate(found)
            if one.outcome is Outcome.SILENT and one.probe.expect_hint is Verdict.PERMITTED
        ]
        if again:
            for index, one in zip(again, engine.run([probes[index] for index in again], patience), strict=True):
                found[index] = one
    return found


def _check(probes: Sequence[Probe], namespaces: Mapping[str, int], arrivals: Arrivals | None) -> None:
    for one in probes:
        if one.source not in namespaces:
            raise LabError(f"no namespace for the source {one.source!r} (known: {', '.join(namespaces)})")
        if one.protocol not in ("tcp", "udp", "icmp"):
            raise LabError(f"cannot probe with {one.protocol!r} (choose tcp, udp or icmp)")
        if one.one_way and one.protocol != "udp":
            raise LabError(f"{one.protocol} is always answered; only udp can be one_way")
        if one.one_way and arrivals is None:
            raise LabError("one-way probes need the listeners' arrivals; nothing else shows that they got through")


@contextmanager
def _many_files() -> Iterator[int]:
    """Raise the limit of open files for a while; gives how many probes may fly at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    usable = soft if soft == resource.RLIM_INFINITY else max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (usable, hard))
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only, of a folder that changes meanwhile
        yield max(1, (MOST_FILES if usable == resource.RLIM_INFINITY else usable) - used - SPARE_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass(slots=True, eq=False)
class _Flight:
    """A probe on its way."""

    index: int
    probe: Probe
    sock: socket.socket | None  # None for ICMP, where all probes of a host share one
    started: float


class _Engine:
    """One run of probes; all state of it."""

    def __init__(
        self, namespaces: Mapping[str, int], watchers: Sequence[Watcher], arrivals: Arrivals | None, at_once: int
    ) -> None:
        self.namespaces = namespaces
        self.watchers = watchers
        self.arrivals = arrivals
        self.at_once = at_once
        self.here: str | None = None

    def run(self, probes: Sequence[Probe], timeout: float) -> list[Observation]:
        self.selector = selectors.EpollSelector()
        self.flights: dict[FlowKey, _Flight] = {}
        self.waiting: deque[tuple[float, FlowKey, _Flight]] = deque()
        self.echoes: dict[str, socket.socket] = {}
        self.found: dict[int, Observation] = {}
        self.one_way: set[FlowKey] = set()
        self.taken = {one.port for one in probes}
        try:
            for watcher in self.watchers:
                self.selector.register(watcher.fileno(), selectors.EVENT_READ, watcher)
            # Grouped by source: entering a namespace costs more than a probe.
            queue = deque(sorted(enumerate(probes), key=lambda item: item[1].source))
            while queue or self.flights:
                self._launch_some(queue, timeout)
                self._collect(busy=bool(queue) and len(self.flights) < self.at_once)
                self._expire()
        finally:
            for sock in (*self.echoes.values(), *(one.sock for one in self.flights.values() if one.sock)):
                sock.close()
            self.selector.close()
        return [self.found[index] for index in range(len(probes))]

    def _launch_some(self, queue: deque[tuple[int, Probe]], timeout: float) -> None:
        for _ in range(min(BURST, len(queue), self.at_once - len(self.flights))):
            index, one = queue.popleft()
            if one.source != self.here:
                enter_network(self.namespaces[one.source])
                self.here = one.source
            flight = self._icmp(index, one) if one.protocol == "icmp" else self._socket(index, one)
            if flight is not None:
                key = flight.probe.key
                self.flights[key] = flight
                if one.one_way:
                    self.one_way.add(key)
                self.waiting.append((flight.started + timeout, key, flight))

    def _socket(self, index: int, one: Probe) -> _Flight | None:
        """Send a TCP or UDP probe; None when it failed at once, which is then noted."""
        tcp = one.protocol == "tcp"
        sock = socket.socket(socket.AF_INET, (socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) | socket.SOCK_NONBLOCK)
        started = time.monotonic()
        try:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            self._bind(sock, one)
            number = sock.connect_ex((str(one.destination_address), one.port))
            address, sport = sock.getsockname()
            filled = replace(one, source_address=IPv4Address(address), sport=sport)
            flight = _Flight(index, filled, sock, started)
            if number not in (0, errno.EINPROGRESS):
                self._finish(flight, *_failure(flight, number))
                return None
            self.selector.register(sock, selectors.EVENT_WRITE if tcp else selectors.EVENT_READ, flight)
            if not tcp:
                sock.send(PAYLOAD)
        except LabError:
            sock.close()
            raise
        except OSError as caught:
            self._finish(flight, *_failure(flight, caught.errno or errno.EIO))
            return None
        return flight

    def _bind(self, sock: socket.socket, one: Probe) -> None:
        address = "0.0.0.0" if one.source_address is None else str(one.source_address)
        for _ in range(SPORTS):
            try:
                sock.bind((address, one.sport or self._number()))
            except OSError as caught:
                if caught.errno == errno.EADDRINUSE and not one.sport:
                    continue
                port = f" and port {one.sport}" if one.sport else ""
                raise LabError(f"{one.source} cannot send from {address}{port}: {caught.strerror}") from caught
            return
        raise LabError(f"{one.source} has no free source port")

    def _number(self) -> int:
        while (number := FIRST_SPORT + next(_numbers) % SPORTS) in self.taken:
            pass
        return number

    def _icmp(self, index: int, one: Probe) -> _Flight | None:
        filled = replace(one, port=0, sport=one.sport or self._number(), source_address=_source_address(one))
        flight = _Flight(index, filled, None, time.monotonic())
        if filled.source_address is None:
            self._finish(flight, Outcome.UNROUTED, "no route")
            return None
        if one.source not in self.echoes:
            sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
            enlarge_buffer(sock, 4 << 20)
            self.echoes[one.source] = sock
            self.selector.register(sock, selectors.EVENT_READ, sock)
        try:
            # The packet info chooses the source address of this one packet.
            chosen = (socket.IPPROTO_IP, IP_PKTINFO, PACKET_INFO.pack(0, filled.source_address.packed, b"\0" * 4))
            to = (str(one.destination_address), 0)
            self.echoes[one.source].sendmsg([echo_request(filled.sport)], [chosen], 0, to)
        except OSError as caught:
            self._finish(flight, Outcome.UNROUTED, os.strerror(caught.errno or errno.EIO))
            return None
        return flight

    def _collect(self, *, busy: bool) -> None:
        wait = 0.0
        if not busy and self.waiting:
            wait = max(0.0, min(0.05, self.waiting[0][0] - time.monotonic()))
        for key, _ in self.selector.select(wait):
            if isinstance(key.data, _Flight):
                self._answer(key.data)
            elif isinstance(key.data, socket.socket):
                self._echo(key.data)
            else:
                key.data.drain()
                if key.data is self.arrivals:
                    self._arrivals()

    def _answer(self, flight: _Flight) -> None:
        if flight.sock is None:
            return
        number = flight.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number and flight.probe.protocol == "udp":
            try:
                flight.sock.recv(512)
            except BlockingIOError:
                return
            except OSError as caught:
                number = caught.errno or errno.EIO
        self._finish(flight, *(_failure(flight, number) if number else (Outcome.ANSWERED, "")))

    def _arrivals(self) -> None:
        if self.arrivals is not None:
            for key in self.one_way & self.arrivals.arrived:
                self.one_way.discard(key)
                if key in self.flights:
                    self._finish(self.flights[key], Outcome.ARRIVED, "")

    def _echo(self, sock: socket.socket) -> None:
        while True:
            try:
                data = sock.recv(512)
            except BlockingIOError:
                return
            start = (data[0] & 15) * 4
            echoed = data[start:] if data[start] == ECHO_REPLY else data[start + 8 :]
            if data[start] == ECHO_REPLY:
                ends, body = (data[16:20], data[12:16]), echoed
            elif data[start] in (3, 11) and len(echoed) >= 28:  # noqa: PLR2004 - an inner header and eight bytes
                ends, body = (echoed[12:16], echoed[16:20]), echoed[(echoed[0] & 15) * 4 :]
            else:
                continue
            source, destination = map(socket.inet_ntoa, ends)
            key = FlowKey(source, destination, ICMP, int.from_bytes(body[4:6], "big"), 0)
            if key in self.flights:
                sender = socket.inet_ntoa(data[12:16])
                blamed = _blame(self.flights[key], sender, data[start], data[start + 1])
                self._finish(self.flights[key], *((Outcome.ANSWERED, "") if data[start] == ECHO_REPLY else blamed))

    def _expire(self) -> None:
        now = time.monotonic()
        while self.waiting:
            deadline, key, flight = self.waiting[0]
            flying = self.flights.get(key) is flight
            if flying and deadline > now:
                return
            self.waiting.popleft()
            if flying:
                self._finish(flight, Outcome.SILENT, "")

    def _finish(self, flight: _Flight, outcome: Outcome, detail: str) -> None:
        self.flights.pop(flight.probe.key, None)
        self.found[flight.index] = Observation(flight.probe, outcome, time.monotonic() - flight.started, detail)
        if flight.sock is not None:
            if flight.sock.fileno() in self.selector.get_map():
                self.selector.unregister(flight.sock)
            if flight.probe.protocol == "tcp":
                # A reset ends the connection everywhere at once, connection tracking included.
                flight.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            flight.sock.close()


def _source_address(one: Probe) -> IPv4Address | None:
    """The address that the source would send from, asked of its routing when the probe does not say; None: no route."""
    if one.source_address is not None:
        return one.source_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if sock.connect_ex((str(one.destination_address), 9)) != 0:
            return None
        return IPv4Address(sock.getsockname()[0])


def _failure(flight: _Flight, number: int) -> tuple[Outcome, str]:
    """What an error of a socket means."""
    sent = None if flight.sock is None else icmp_error(flight.sock)
    if sent is not None:
        return _blame(flight, *sent)
    if number in (errno.ECONNRESET, errno.EPIPE):
        return Outcome.ANSWERED, "reset after the handshake"
    if number == errno.ECONNREFUSED:
        return Outcome.REFUSED, "reset by the destination"
    if number == errno.ETIMEDOUT:
        return Outcome.SILENT, ""
    return Outcome.UNROUTED, os.strerror(number)


def _blame(flight: _Flight, sender: str, icmp_type: int, icmp_code: int) -> tuple[Outcome, str]:
    text = f"ICMP {icmp_type}/{icmp_code} from {sender}"
    if sender == str(flight.probe.source_address):
        return Outcome.UNROUTED, text  # the source's own stack: nobody answers ARP
    if sender == str(flight.probe.destination_address) and (icmp_type, icmp_code) == PORT_UNREACHABLE:
        return Outcome.REFUSED, text
    return Outcome.REJECTED, text
