"""Real services in the lab's hosts: an etcd cluster, HAProxy, an SMTP server, a docker registry, SSH.

Everything else that the matrix asks for is a plain listener of the prober; the report says which was which.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import LabError
from toolkit.lab.balancers import Balancers
from toolkit.lab.namespaces import USER, enter_network

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toolkit.lab.backends.base import Lab
    from toolkit.lab.plan import LabNode

REGISTRY: Final = """\
version: 0.1
log:
  level: error
storage:
  filesystem:
    rootdirectory: {folder}/registry
http:
  addr: {address}:{port}
"""
SSHD: Final = """\
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers {user}
StrictModes no
UseDNS no
MaxStartups 1000
"""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a service is: `healthy`, and in words."""

    name: str
    healthy: bool
    detail: str


class Services:
    """The real services of one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.plan = lab.plan
        self.closed: frozenset[str] = frozenset()  # services that nothing may reach just now
        self.balancers = Balancers(lab, self.spawn)
        self._home = lab.home
        self._started: dict[str, list[tuple[Sequence[str], subprocess.Popen[bytes]]]] = {}

    def start(self) -> None:
        """Start them all; nobody waits here."""
        self._start_etcd()
        self.balancers.start()
        self._start_registry()
        self._start_smtp()
        self._start_ssh()

    def occupied(self) -> dict[str, set[int]]:
        """TCP ports per host that a real service answers on."""
        found = {node.name: {port for _, ports in node.ports for port in ports} for node in self.plan.hosts}
        for balancer, ports in self.balancers.occupied().items():
            found[balancer] |= ports
        return found

    def stop(self, node: str) -> None:
        """Kill the services of a node, as a power cut would."""
        for _, process in self._started.get(node, ()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each is a session of its own
            process.wait(timeout=10)

    def resume(self, node: str) -> None:
        """Start the services of a node again, with the files that they have; those that run are left alone."""
        started = self._started.pop(node, [])
        for argv, process in started:
            if process.poll() is None:
                self._started.setdefault(node, []).append((argv, process))
            else:
                self.spawn(node, argv)

    # ---- starting -------------------------------------------------------------------------

    def spawn(self, node: str, argv: Sequence[str]) -> None:
        """Start a service of a node, so that it ends and comes back with the node."""
        self._started.setdefault(node, []).append((argv, self.lab.spawn(node, argv)))

    def script(self, node: str, name: str) -> list[str]:
        """How a node runs a server of this folder: it may have no toolkit, so the file goes there alone."""
        shutil.copy(Path(__file__).with_name(name), self.lab.root(node))
        return [self.lab.python, str(self.lab.inner(node) / name)]

    def _start_etcd(self) -> None:
        members = self.plan.with_service("etcd")
        cluster = ",".join(f"{node.name}=http://{node.address}:2380" for node in members)
        for node in members:
            self.spawn(
                node.name,
                [
                    self.lab.program("etcd"),
                    f"--name={node.name}",
                    f"--data-dir={self.lab.inner(node.name)}/etcd",
                    f"--listen-client-urls=http://{node.address}:2379,http://127.0.0.1:2379",
                    f"--advertise-client-urls=http://{node.address}:2379",
                    f"--listen-peer-urls=http://{node.address}:2380",
                    f"--initial-advertise-peer-urls=http://{node.address}:2380",
                    f"--initial-cluster={cluster}",
                    "--initial-cluster-state=new",
                    "--heartbeat-interval=50",
                    "--election-timeout=500",
                    "--log-level=error",
                ],
            )

    def _start_registry(self) -> None:
        for node, port in self._ports("registry"):
            folder, inner = self.lab.root(node.name), self.lab.inner(node.name)
            text = REGISTRY.format(folder=inner, address=node.address, port=port)
            (folder / "registry.yml").write_text(text, encoding="ascii")
            self.spawn(node.name, [self.lab.program("docker-registry"), "serve", str(inner / "registry.yml")])

    def _start_smtp(self) -> None:
        for node in self.plan.with_service("smtp"):
            ports = [str(port) for one, port in self._ports("smtp") if one is node]
            (self.lab.root(node.name) / "mail").mkdir(exist_ok=True)
            folder = str(self.lab.inner(node.name) / "mail")
            self.spawn(node.name, [*self.script(node.name, "smtpd.py"), folder, node.address, *ports])

    def _start_ssh(self) -> None:
        for node in self.plan.with_service("ssh"):
            folder, inner = self.lab.root(node.name), self.lab.inner(node.name)
            shutil.copy(self.lab.key_file, folder / "host_key")
            (folder / "host_key").chmod(0o600)
            shutil.copy(f"{self.lab.key_file}.pub", folder / "authorized_keys")
            config = SSHD.format(address=node.address, folder=inner, user=USER)
            (folder / "sshd_config").write_text(config, encoding="ascii")
            self.spawn(node.name, [self.lab.program("sshd"), "-D", "-e", "-f", str(inner / "sshd_config")])

    def _ports(self, service: str) -> Iterator[tuple[LabNode, int]]:
        for node in self.plan.with_service(service):
            for name, ports in node.ports:
                if name == service:
                    for port in ports:
                        yield node, port

    # ---- asking ---------------------------------------------------------------------------

    def status(self) -> list[ServiceStatus]:
        """How each service is right now."""
        return [self.etcd(), self.haproxy(), self.registry(), self.mail()]

    def wait_healthy(self, timeout: float = 15.0) -> list[ServiceStatus]:
        """Ask until all are healthy or the time is over; the last answers."""
        deadline = time.monotonic() + timeout
        checks: list[Callable[[], ServiceStatus]] = [self.etcd, self.haproxy, self.registry, self.mail]
        found: dict[int, ServiceStatus] = {}
        while True:
            for number, check in enumerate(checks):
                if number not in found or not found[number].healthy:
                    found[number] = check()
            if all(one.healthy for one in found.values()) or time.monotonic() > deadline:
                return [found[number] for number in sorted(found)]
            time.sleep(0.05)

    def etcd(self) -> ServiceStatus:
        """Whether the cluster has one leader that all members know."""
        return self._etcd(self._leaders())

    def _etcd(self, leaders: Mapping[str, str]) -> ServiceStatus:
        members = self.plan.with_service("etcd")
        if not members:
            return ServiceStatus("etcd", healthy=True, detail="the site has none")
        healthy = len(leaders) == len(members) and len(set(leaders.values())) <= 1
        return ServiceStatus("etcd", healthy, f"{len(leaders)} of {len(members)} members know a leader")

    def etcd_state(self) -> tuple[str, str]:
        """`healthy` (every member, each takes a write), `degraded` (a write is kept), `broken`; and what was seen."""
        members = self.plan.with_service("etcd")
        with ThreadPoolExecutor(max_workers=max(1, len(members))) as pool:  # a write that is not kept takes a second
            kept = pool.map(self._write, [node.name for node in members])
            took = [node.name for node, good in zip(members, kept, strict=True) if good]
        whole = self._etcd(self._leaders())
        state = "healthy" if whole.healthy and len(took) == len(members) else "degraded" if took else "broken"
        return state, f"{whole.detail}, a write is kept by {', '.join(took) or 'none'}"

    def _leaders(self) -> dict[str, str]:
        leaders: dict[str, str] = {}
        for node in self.plan.with_service("etcd"):
            answer = self._ask(node.name, "127.0.0.1", 2379, "/v3/maintenance/status", "{}")
            leader = answer.get("leader", "0") if answer else "0"
            if leader != "0":
                leaders[node.name] = leader
        return leaders

    def _write(self, member: str) -> bool:
        """Whether the cluster keeps what a member is told: it answers once most members have it on disk."""
        key, value = (base64.b64encode(text.encode()).decode() for text in ("lab", member))
        answer = self._ask(member, "127.0.0.1", 2379, "/v3/kv/put", json.dumps({"key": key, "value": value}))
        return answer is not None and "header" in answer

    def haproxy(self) -> ServiceStatus:
        """Whether the balancers see every server up, by their own health checks."""
        up, expected = self.balancers.servers_up()
        ports = ", ".join(str(port) for port, _ in self.plan.balanced)
        return ServiceStatus("haproxy", up == expected, f"{up} of {expected} servers up on {ports}")

    def server_state(self, server: str, port: int) -> str:
        """How each balancer sees a server on a port, as its health check says: `UP`, `DOWN`, both, or `unknown`."""
        return self.balancers.server_state(server, port)

    def registry(self) -> ServiceStatus:
        """Whether a node gets an answer to `/v2/` from the temporary registry; where that is closed, whether none."""
        clients = self.plan.with_service("ssh")
        answers = [self._http_status(clients[0].name, one.address, port) for one, port in self._ports("registry")]
        detail = f"/v2/ answers {', '.join(str(status or 'nothing') for status in answers)}"
        if not answers:
            return ServiceStatus("registry", healthy=True, detail="the site has none")
        if "registry" in self.closed:
            return ServiceStatus("registry", not any(answers), f"{detail}; it is closed in this phase")
        return ServiceStatus("registry", all(status == http.HTTPStatus.OK for status in answers), detail)

    def mail(self) -> ServiceStatus:
        """Whether a mail that a node sends is delivered."""
        clients = self.plan.with_service("ssh")
        sent: list[str] = []
        for server, port in self._ports("smtp"):
            before = self._mails(server)
            try:
                with self._inside(clients[0].name):
                    client = smtplib.SMTP(server.address, port, local_hostname=clients[0].name, timeout=0.5)
                with client:
                    client.sendmail(f"suite@{clients[0].name}", "ops@example.net", f"Subject: lab {port}\n\nhello\n")
            except (OSError, smtplib.SMTPException):
                continue
            if self._mails(server) == before + 1:
                sent.append(str(port))
        if not list(self._ports("smtp")):
            return ServiceStatus("smtp", healthy=True, detail="the site has none")
        wanted = [] if "smtp" in self.closed else [str(port) for _, port in self._ports("smtp")]
        return ServiceStatus("smtp", sent == wanted, f"mail delivered on {', '.join(sent) or 'no port'}")

    def _mails(self, server: LabNode) -> int:
        return len(list((self.lab.root(server.name) / "mail").glob("*.eml")))

    @contextlib.contextmanager
    def _inside(self, node: str) -> Iterator[None]:
        """Create sockets in the network of a node; they stay there."""
        enter_network(self.lab.namespaces[node])
        try:
            yield
        finally:
            enter_network(self._home)

    def _ask(self, node: str, address: str, port: int, path: str, body: str) -> dict[str, Any] | None:
        connection = http.client.HTTPConnection(address, port, timeout=1)
        try:
            with self._inside(node):
                connection.connect()
            connection.request("POST", path, body)
            answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else None

    def _http_status(self, node: str, address: str, port: int) -> int:
        connection = http.client.HTTPConnection(address, port, timeout=0.5)
        try:
            with self._inside(node):
                connection.connect()
            connection.request("GET", "/v2/")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def flush_connections(lab: Lab, device: str) -> None:
    """Forget what a device knows of connections, as a reboot would.

    Raises:
        LabError: the device refuses.
    """
    done = lab.run(device, [lab.program("conntrack"), "-F"])
    if done.returncode != 0:
        raise LabError(f"{device}: {done.stderr.strip()}")


__all__ = ["ServiceStatus", "Services", "flush_connections"]
