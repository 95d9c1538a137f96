"""TCP and UDP listeners in every destination namespace, served by one child process.

`python -m toolkit.lab.listeners` reads its orders as one JSON line, opens the sockets, answers with one JSON
line, and then writes a fixed-size record for each UDP datagram that arrives. It ends when its standard input
is closed, so it cannot outlive the process that started it. A port that a real service holds is left to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import toolkit
from toolkit.errors import LabError
from toolkit.lab.wire import IP_PKTINFO, PACKET_INFO, FlowKey, network
from toolkit.net import UDP

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

RECORD: Final = struct.Struct("!4s4sHH")
PR_SET_PDEATHSIG: Final = 1
MOST_FILES: Final = 16384
PIPE_SIZE: Final = 1 << 20  # bytes: room for 87,000 unread arrivals
GRACE: Final = 2.0  # seconds to end by itself

Occupied = tuple[str, str, int]  # (host, protocol, port)


class Listeners:
    """Handle on the listening process; a context manager.

    `occupied` lists the (host, protocol, port) that were left to the services holding them. `arrived` holds
    the UDP flows seen so far; `drain` reads those reported since. UDP ports in `silent` take datagrams
    and answer none, as one-way protocols do. `leave` names TCP ports per host that a real service has or
    is about to open, so that none of them finds its port taken.
    """

    def __init__(
        self,
        namespaces: Mapping[str, int],
        *,
        tcp: Collection[int] = (),
        udp: Collection[int] = (),
        silent: Collection[int] = (),
        leave: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        orders = {
            "namespaces": dict(namespaces),
            "tcp": sorted(set(tcp)),
            "udp": sorted({*udp, *silent}),
            "silent": sorted(set(silent)),
            "leave": {host: sorted(set(ports)) for host, ports in (leave or {}).items()},
        }
        root = str(Path(toolkit.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "toolkit.lab.listeners"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=tuple(namespaces.values()),
            env={**os.environ, "PYTHONPATH": path},
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self.arrived: set[FlowKey] = set()
        self.occupied: tuple[Occupied, ...] = ()
        self._rest = b""
        try:
            self._begin(orders)
        except BaseException:
            self.close()
            raise

    def _begin(self, orders: Mapping[str, Any]) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise LabError("the listeners have no pipes")
        text = json.dumps(orders).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):  # it ended at once: the empty answer says so
            while text:
                text = text[self._process.stdin.write(text) or 0 :]
        answer = b""
        while not answer.endswith(b"\n"):
            piece = self._process.stdout.read(1)  # byte by byte: records follow the line
            if not piece:
                raise LabError("the listeners ended while they were starting; their message stands above")
            answer += piece
        found = json.loads(answer)
        if "error" in found:
            raise LabError(f"the listeners cannot be opened: {found['error']}")
        self.occupied = tuple((host, protocol, port) for host, protocol, port in found["occupied"])
        os.set_blocking(self._process.stdout.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """File descriptor to wait on."""
        if self._process.stdout is None:
            raise LabError("the listeners have no pipes")
        return self._process.stdout.fileno()

    def drain(self) -> None:
        """Read the arrivals reported so far.

        Raises:
            LabError: the listening process has ended.
        """
        while True:
            try:
                data = os.read(self.fileno(), 1 << 16)
            except BlockingIOError:
                return
            if not data:
                raise LabError("the listeners have ended unexpectedly")
            data = self._rest + data
            whole = len(data) - len(data) % RECORD.size
            self._rest = data[whole:]
            for src, dst, sport, dport in RECORD.iter_unpack(data[:whole]):
                self.arrived.add(FlowKey(socket.inet_ntoa(src), socket.inet_ntoa(dst), UDP, sport, dport))

    def close(self) -> None:
        """End the process and wait for it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Server:
    """The listening process itself."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.occupied: list[Occupied] = []
        self.silent: frozenset[int] = frozenset()

    def open(self, orders: Mapping[str, Any]) -> None:
        """Open all sockets, each in its host's namespace."""
        self.silent = frozenset(orders["silent"])
        for host, fd in orders["namespaces"].items():
            left = orders["leave"].get(host, ())
            with network(fd):
                for port in orders["tcp"]:
                    if port in left:
                        self.occupied.append((host, "tcp", port))
                    else:
                        self._open(host, "tcp", port)
                for port in orders["udp"]:
                    self._open(host, "udp", port)

    def _open(self, host: str, protocol: str, port: int) -> None:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            if protocol == "tcp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                # Answers must come from the address that was asked, also on a host with a virtual address.
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            sock.bind(("0.0.0.0", port))
            if protocol == "tcp":
                sock.listen(512)
        except OSError as caught:
            sock.close()
            if caught.errno != errno.EADDRINUSE:
                raise
            self.occupied.append((host, protocol, port))
            return
        self.selector.register(sock, selectors.EVENT_READ, (protocol, port))

    def serve(self, control: int, report: int) -> None:
        """Answer until `control` is closed at the far end; arrivals are written to `report`."""
        self.selector.register(control, selectors.EVENT_READ, ("control", 0))
        while True:
            for key, _ in self.selector.select():
                protocol, port = key.data
                if protocol == "control":
                    if not os.read(control, 1):
                        return
                elif isinstance(key.fileobj, socket.socket):
                    with contextlib.suppress(BlockingIOError):
                        (_accept if protocol == "tcp" else self._answer)(key.fileobj, port, report)

    def _answer(self, sock: socket.socket, port: int, report: int) -> None:
        while True:
            data, ancillary, _, peer = sock.recvmsg(2048, 64)
            for level, kind, value in ancillary:
                if (level, kind) != (socket.IPPROTO_IP, IP_PKTINFO):
                    continue
                _, _, asked = PACKET_INFO.unpack(value[: PACKET_INFO.size])
                with contextlib.suppress(BlockingIOError):  # nobody has read for long: answering goes before reporting
                    os.write(report, RECORD.pack(socket.inet_aton(peer[0]), asked, peer[1], port))
                if port not in self.silent:
                    source = PACKET_INFO.pack(0, asked, b"\0" * 4)
                    with contextlib.suppress(OSError):  # a refused or unroutable answer is the prober's finding
                        sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, peer)


def _accept(sock: socket.socket, _port: int, _report: int) -> None:
    while True:
        try:
            connection, _ = sock.accept()
        except ConnectionError:
            continue
        connection.close()  # never by a reset: it could overtake the prober's look at its handshake


def _allow_many_files() -> None:
    """A lab has more ports than an ordinary user's usual limit of 1,024 open files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _main() -> None:
    """Body of the child process: orders on standard input, readiness and arrivals on standard output."""
    _allow_many_files()
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise LabError("cannot tie the listeners to their parent")
    control, report = sys.stdin.fileno(), sys.stdout.fileno()
    orders = json.loads(sys.stdin.buffer.readline())
    server = _Server()
    try:
        server.open(orders)
    except OSError as caught:
        os.write(report, json.dumps({"error": str(caught)}).encode() + b"\n")
        return
    os.write(report, json.dumps({"occupied": server.occupied}).encode() + b"\n")
    with contextlib.suppress(PermissionError):  # the administrator allows less; the default size is kept
        fcntl.fcntl(report, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    os.set_blocking(report, False)
    with contextlib.suppress(BrokenPipeError):
        server.serve(control, report)


if __name__ == "__main__":
    _main()
