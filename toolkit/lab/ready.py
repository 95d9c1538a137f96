"""Waiting for nodes: by the health checks of the topology file, and by what sshd says, never by time alone."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolkit.lab.backends.base import Lab
    from toolkit.lab.plan import LabNode

PAUSE: Final = 0.02
TIMEOUT: Final = 20.0


def wait_healthy(lab: Lab, nodes: Iterable[LabNode], timeout: float = TIMEOUT) -> None:
    """Wait until the health check of each node succeeds; nodes without one are ready.

    Raises:
        LabError: one does not; with its check and the last words of its programs.
    """
    deadline = time.monotonic() + timeout
    for node in nodes:
        while node.health is not None and lab.run(node.name, ["/bin/sh", "-c", node.health]).returncode != 0:
            if time.monotonic() > deadline:
                raise LabError(f"{node.name} is not healthy ({node.health}): {lab.logs(node.name)}")
            time.sleep(PAUSE)


def wait_for_ssh(lab: Lab, nodes: Iterable[LabNode], timeout: float = TIMEOUT) -> None:
    """Wait until each device answers on its management address.

    Raises:
        LabError: one does not.
    """
    deadline = time.monotonic() + timeout
    for node in nodes:
        while not _answers(node.management or ""):
            if time.monotonic() > deadline:
                raise LabError(f"{node.name} does not answer over SSH: {lab.logs(node.name)}")
            time.sleep(PAUSE)


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
