"""The container engine, asked over its socket: what is there, and taking away what a lab left.

containerlab knows its labs by their containers only. A deployment that ended early leaves a network without any,
so what is left is looked up here, by label and by name.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from toolkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET: Final = "/var/run/docker.sock"
LABEL: Final = "containerlab"  # containers carry the lab's name in it, networks carry it empty
TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class LeftContainer:
    """A container of a lab; `topology` is the file that it was deployed from."""

    identifier: str
    name: str
    topology: str


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


class Engine:
    """A Docker engine on this machine; `path` is its socket, by default that of DOCKER_HOST."""

    def __init__(self, path: str | None = None) -> None:
        host = os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"
        if path is None and not host.startswith("unix://"):
            raise LabError(
                f"DOCKER_HOST is {host}: a lab needs an engine on this machine; unset it, or name a unix:// one"
            )
        self.path = path or host.removeprefix("unix://")

    def check(self) -> None:
        """Find out whether the engine answers.

        Raises:
            LabError: it does not, or this user may not ask it; the message names the remedy.
        """
        try:
            status, _ = self._ask("GET", "/_ping")
        except PermissionError:
            raise LabError(f"this user may not talk to the container engine at {self.path}; run as root") from None
        except OSError as caught:
            raise LabError(
                f"no container engine answers at {self.path} ({caught.strerror or caught}); "
                "install one (apt-get install docker.io) and start it, or name its socket in DOCKER_HOST"
            ) from None
        if status != http.client.OK:
            raise LabError(f"the container engine at {self.path} is not well: it answers a ping with {status}")

    def has_image(self, name: str) -> bool:
        """Whether an image is there."""
        return self._ask("GET", f"/images/{quote(name)}/json")[0] == http.client.OK

    def containers(self, lab: str) -> list[LeftContainer]:
        """All containers of a lab, running or not."""
        query = urlencode({"all": "true", "filters": json.dumps({"label": [f"{LABEL}={lab}"]})})
        return [
            LeftContainer(one["Id"], one["Names"][0].lstrip("/"), one["Labels"].get("clab-topo-file", ""))
            for one in self._must("GET", f"/containers/json?{query}")
        ]

    def remove_container(self, identifier: str) -> None:
        """Kill and remove a container; one that is gone already is fine."""
        self._must("DELETE", f"/containers/{identifier}?force=true&v=true", gone={404, 409})

    def network(self, name: str) -> Mapping[str, Any] | None:
        """A network by its exact name: its `Labels`, and its `Containers`; None where there is none."""
        status, body = self._ask("GET", f"/networks/{quote(name)}")
        return body if status == http.client.OK and body["Name"] == name else None

    def remove_network(self, name: str) -> None:
        """Remove a network; one that is gone already is fine."""
        self._must("DELETE", f"/networks/{quote(name)}", gone={404})

    def _must(self, method: str, path: str, gone: frozenset[int] | set[int] = frozenset()) -> Any:
        try:
            status, body = self._ask(method, path)
        except OSError as caught:
            raise LabError(f"the container engine at {self.path} does not answer: {caught}") from None
        if status >= http.client.BAD_REQUEST and status not in gone:
            words = body.get("message", body) if isinstance(body, dict) else body
            raise LabError(f"the container engine refuses {method} {path.partition('?')[0]}: {words}")
        return body

    def _ask(self, method: str, path: str) -> tuple[int, Any]:
        connection = _Connection(self.path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except http.client.HTTPException as caught:
            raise LabError(f"the container engine at {self.path} talks nonsense: {caught!r}") from None
        finally:
            connection.close()
        if answer.getheader("Content-Type", "").startswith("application/json"):
            return answer.status, json.loads(text)
        return answer.status, text
