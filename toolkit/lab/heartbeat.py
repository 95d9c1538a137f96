"""A continuous probe of other people's traffic: datagrams that must all be answered while we change devices."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from toolkit.errors import LabError
from toolkit.lab.wire import network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Address
    from pathlib import Path

INTERVAL: Final = 0.02  # seconds between two datagrams of a flow
ENDS: Final = 10.0  # seconds until the child must have ended
PAUSE: Final = 0.01
GRACE: Final = 2.0  # seconds that the last answers may take, on a machine that has other things to do
SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class Beat:
    """A UDP flow to watch: source host, destination host, address and port."""

    source: str
    destination: str
    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} udp/{self.port}"


@dataclass(frozen=True, slots=True)
class Pulse:
    """What became of one flow: datagrams sent and answers that never came."""

    flow: str
    sent: int
    lost: int


class Heartbeat:
    """A child process that sends; `stop` ends it and gives the counts. It cannot outlive its parent."""

    def __init__(self, beats: Sequence[Beat], namespaces: Mapping[str, int], result: Path) -> None:
        self.beats = tuple(beats)
        self.result = result
        self._sockets = [_open(beat, namespaces[beat.source]) for beat in self.beats]
        self._pid = os.fork()
        if self._pid == 0:
            self._send()
        for one in self._sockets:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> tuple[Pulse, ...]:
        """End it; the counts of each flow.

        Raises:
            LabError: it does not end, so that nothing is known of the losses.
        """
        if self._pid:
            pid, self._pid = self._pid, 0
            os.kill(pid, signal.SIGTERM)
            _wait(pid)
        rows = json.loads(self.result.read_text(encoding="utf-8"))
        return tuple(Pulse(str(beat), sent, lost) for beat, (sent, lost) in zip(self.beats, rows, strict=True))

    def _send(self) -> None:
        """The child's loop; it never returns."""
        running = True

        def stop(*_: object) -> None:
            nonlocal running
            running = False

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        waiting: list[set[int]] = [set() for _ in self._sockets]
        sent = [0] * len(self._sockets)
        try:
            while running:
                for index, one in enumerate(self._sockets):
                    with contextlib.suppress(OSError):  # no way just now: the datagram is lost, and counted so
                        one.send(f"{sent[index]:0{SIZE}}".encode())
                    waiting[index].add(sent[index])
                    sent[index] += 1
                self._collect(waiting, INTERVAL)
            self._collect(waiting, GRACE, last=True)
            rows = [[count, len(missing)] for count, missing in zip(sent, waiting, strict=True)]
            self.result.write_text(json.dumps(rows), encoding="utf-8")
        finally:
            os._exit(0)

    def _collect(self, waiting: list[set[int]], seconds: float, *, last: bool = False) -> None:
        """Take answers for so long; the last time only until every one is there."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (last and not any(waiting)):
            ready, _, _ = select.select(self._sockets, [], [], left)
            for one in ready:
                index = self._sockets.index(one)
                try:
                    waiting[index].discard(int(one.recv(SIZE)))
                except OSError:
                    continue  # an ICMP error: the datagram stays unanswered


def _wait(pid: int) -> None:
    deadline = time.monotonic() + ENDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise LabError("what watches other people's traffic did not end, so its losses are not known")
        time.sleep(PAUSE)


def _open(beat: Beat, namespace: int) -> socket.socket:
    with network(namespace):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((str(beat.address), beat.port))
    return one
