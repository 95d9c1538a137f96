"""Other people's traffic is watched by a child: it counts what is lost, and one that does not end is an error."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from ipaddress import IPv4Address

import pytest

from toolkit.errors import LabError
from toolkit.lab import heartbeat
from toolkit.lab.heartbeat import Beat, Heartbeat

HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def own_network():
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield {"here": fd}
    os.close(fd)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """The namespace is the one that we are in, so nobody need enter it."""
    monkeypatch.setattr("toolkit.lab.wire.enter_network", lambda fd: None)


def answering(stop):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((str(HERE), 0))
    server.settimeout(0.05)

    def serve():
        while not stop.is_set():
            try:
                data, sender = server.recvfrom(2000)
            except TimeoutError:
                continue
            server.sendto(data, sender)
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return server.getsockname()[1], thread


def test_what_is_answered_is_not_lost_and_what_nobody_answers_is(own_network, tmp_path):
    stop = threading.Event()
    port, thread = answering(stop)
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind((str(HERE), 0))
    nobody = closed.getsockname()[1]
    closed.close()  # every second send is refused: the kernel has told that nobody listens
    beats = [Beat("here", "there", HERE, port), Beat("here", "there", HERE, nobody)]
    beat = Heartbeat(beats, own_network, tmp_path / "beats.json")
    time.sleep(0.3)
    good, bad = beat.stop()
    stop.set()
    thread.join()
    assert good.sent > 3
    assert good.lost == 0
    assert bad.lost == bad.sent > 3


def test_a_child_that_does_not_end_is_an_error_and_ends_all_the_same(own_network, tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "ENDS", 0.2)
    monkeypatch.setattr(
        Heartbeat, "_send", lambda self: (signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(60))
    )
    beat = Heartbeat([], own_network, tmp_path / "beats.json")
    pid = beat._pid
    time.sleep(0.1)
    with pytest.raises(LabError, match="losses are not known"):
        beat.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
