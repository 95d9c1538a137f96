"""Sessions that are opened and kept while a lab changes: one TCP connection, asked again and again over HTTP."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final, Self

from toolkit.errors import LabError
from toolkit.lab.wire import network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address

PATIENCE: Final = 1.5  # seconds without an answer: longer than the first retransmissions


class OneConnection(http.client.HTTPConnection):
    """HTTP over one TCP connection from a namespace; it never connects a second time by itself."""

    auto_open = 0

    def __init__(self, namespace: int, address: IPv4Address, port: int, timeout: float = PATIENCE) -> None:
        super().__init__(str(address), port, timeout=timeout)
        with network(namespace):
            self.connect()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            OSError: no answer in time, or the connection is gone.
        """
        try:
            self.request(method, path, body or None, dict(headers or {}))
            answer = self.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except http.client.HTTPException as caught:
            raise ConnectionError(f"{type(caught).__name__}: {caught}") from None


class Answer:
    """Status, headers (by name in small letters) and body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class KeptSession:
    """A session that stays open; `look` says whether it still lives."""

    def __init__(self, namespace: int, address: IPv4Address, port: int, path: str) -> None:
        self.path = path
        try:
            self._connection = OneConnection(namespace, address, port)
        except OSError as caught:
            raise LabError(f"no session to {address} port {port}: {caught}") from None

    def look(self) -> tuple[bool, str]:
        """Whether the other end answers over the same connection, and what was seen."""
        try:
            answer = self._connection.ask("GET", self.path)
        except TimeoutError:
            return False, f"cut: no answer within {PATIENCE} s"
        except OSError as caught:
            return False, f"cut: {caught}"
        return True, f"open: HTTP status {answer.status} over the same connection"

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
