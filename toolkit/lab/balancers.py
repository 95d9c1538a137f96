"""Load balancers of the lab, in the mode that the site declares.

`snat` and `transparent` are a real HAProxy with health checks; the second one speaks to the servers from its
clients' own addresses, so its kernel takes answers to those addresses for its own. `dsr` is a packet filter that
gives each frame a server's address and sends it on, as hardware does; the servers hold the virtual address.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.wire import network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from toolkit.lab.backends.base import Lab
    from toolkit.lab.plan import LabBalancer

HEAD: Final = """\
global
    maxconn 4000
    stats socket {folder}/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
"""
CHECK: Final = "check inter 300ms fall 2 rise 1"
OWN: Final = "_own"  # ends the names of backends that speak from the balancer's own address
# Answers to the clients of a transparent balancer find its sockets, and are delivered to it.
DIVERT: Final = """\
table inet toolkit_lab {
    chain divert {
        type filter hook prerouting priority mangle; policy accept;
        meta l4proto tcp socket transparent 1 meta mark set 1 accept
    }
}
"""
DIVERT_ROUTES: Final = ("rule add fwmark 1 lookup 101", "route add local default dev lo table 101")
# A server holds the virtual address too, and must not answer for it on the wire.
QUIET: Final = {"arp_ignore": "1", "arp_announce": "2"}


class Balancers:
    """The load balancers of one lab; `spawn` starts a program on a node."""

    def __init__(self, lab: Lab, spawn: Callable[[str, Sequence[str]], None]) -> None:
        self.lab = lab
        self.plan = lab.plan
        self._spawn = spawn

    def start(self) -> None:
        """Start them all.

        Raises:
            LabError: the kernel or the backend lacks what a mode needs.
        """
        for one in self.plan.balancers:
            if one.mode == "dsr":
                self._start_dispatcher(one)
            else:
                self._start_haproxy(one)

    def occupied(self) -> dict[str, set[int]]:
        """TCP ports that each of them answers on itself."""
        ports = {port for port, _ in self.plan.balanced}
        return {one.name: ports for one in self.plan.balancers if one.mode != "dsr"}

    def servers_up(self) -> tuple[int, int]:
        """Servers that health checks find up, and how many there should be, over all ports and balancers."""
        up = sum(self._answering(one) if one.mode == "dsr" else self._haproxy_up(one) for one in self.plan.balancers)
        return up, sum(len(pool) for _, pool in self.plan.balanced) * len(self.plan.balancers)

    def server_state(self, server: str, port: int) -> str:
        """How each balancer sees a server on a port, as its health check says: `UP`, `DOWN`, both, or `unknown`."""
        found = [
            row[17].split()[0]
            for one in self.plan.balancers
            for row in self._haproxy_rows(one.name)
            if row[:2] == [f"p{port}", server]
        ]
        return ", ".join(dict.fromkeys(found)) or "unknown"

    # ---- HAProxy --------------------------------------------------------------------------

    def _start_haproxy(self, one: LabBalancer) -> None:
        folder, inner = self.lab.root(one.name), self.lab.inner(one.name)
        if one.mode == "transparent":
            self._must(one.name, [self.lab.program("nft"), "-f", "-"], DIVERT)
            self._must(one.name, [self.lab.program("ip"), "-batch", "-"], "\n".join(DIVERT_ROUTES) + "\n")
        text = "".join([HEAD.format(folder=inner), *self._sections(one)])
        (folder / "haproxy.cfg").write_text(text, encoding="ascii")
        self._spawn(one.name, [self.lab.program("haproxy"), "-db", "-f", str(inner / "haproxy.cfg")])

    def _sections(self, one: LabBalancer) -> Iterator[str]:
        for port, pool in self.plan.balanced:
            servers = [(name, f"{self.plan.node(name).address}:{port}") for name in pool]
            if one.mode == "snat":
                yield f"listen p{port}\n    bind {one.virtual}:{port}\n    source {one.source}\n"
                yield from (f"    server {name} {where} {CHECK}\n" for name, where in servers)
                continue
            yield f"frontend f{port}\n    bind {one.virtual}:{port}\n    default_backend p{port}\n"
            if one.snat_clients:
                yield f"    use_backend p{port}{OWN} if {{ src {' '.join(one.snat_clients)} }}\n"
                yield f"backend p{port}{OWN}\n    source {one.source}\n"
                yield from (f"    server {name} {where} track p{port}/{name}\n" for name, where in servers)
            yield f"backend p{port}\n    source {one.source} usesrc clientip\n"
            yield from (f"    server {name} {where} {CHECK}\n" for name, where in servers)

    def _haproxy_up(self, one: LabBalancer) -> int:
        rows = [row for row in self._haproxy_rows(one.name) if row[1] not in ("FRONTEND", "BACKEND")]
        return sum(row[17].startswith("UP") for row in rows if not row[0].endswith(OWN))

    def _haproxy_rows(self, balancer: str) -> list[list[str]]:
        path = self.lab.root(balancer) / "haproxy.sock"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(path))
                connection.sendall(b"show stat\n")
                text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError:
            return []
        return [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]

    # ---- direct server return -------------------------------------------------------------

    def _start_dispatcher(self, one: LabBalancer) -> None:
        interface = next(name for name, address in self.plan.node(one.name).addresses if _is(address, one.virtual))
        own = self._mac(one.name, interface)
        pools = dict(self.plan.balanced)
        macs: dict[str, str] = {}
        for name in dict.fromkeys(name for pool in pools.values() for name in pool):
            (port, _), *_ = self.plan.node(name).addresses
            macs[name] = self._mac(name, port)
            self._hold(name, one.virtual)
        rules = "".join(
            f"        ip daddr {one.virtual} tcp dport {port} ether saddr set {own} ether daddr set "
            f"jhash ip saddr . tcp sport mod {len(pool)} map {{ "
            + ", ".join(f"{number} : {macs[name]}" for number, name in enumerate(pool))
            + f' }} fwd to "{interface}"\n'
            for port, pool in pools.items()
        )
        hook = f'type filter hook ingress device "{interface}" priority 0; policy accept;'
        text = f"table netdev toolkit_lab {{\n    chain dispatch {{\n        {hook}\n{rules}    }}\n}}\n"
        self._must(one.name, [self.lab.program("nft"), "-f", "-"], text)

    def _mac(self, node: str, interface: str) -> str:
        done = self._must(node, [self.lab.program("ip"), "-j", "link", "show", "dev", interface])
        return str(json.loads(done)[0]["address"])

    def _hold(self, node: str, virtual: str) -> None:
        """Give a server the virtual address, silently."""
        try:
            with network(self.lab.namespaces[node]):
                for name, value in QUIET.items():
                    Path(f"/proc/sys/net/ipv4/conf/all/{name}").write_text(value, encoding="ascii")
        except OSError as caught:
            raise LabError(f"{node} cannot hold the virtual address {virtual} of a dsr balancer: {caught}") from None
        self._must(node, [self.lab.program("ip"), "addr", "replace", f"{virtual}/32", "dev", "lo"])

    def _answering(self, one: LabBalancer) -> int:
        """Servers that take a connection from the balancer's own address, as its health checks would find them."""
        found = 0
        for port, pool in self.plan.balanced:
            for name in pool:
                with network(self.lab.namespaces[one.name]), socket.socket() as sock:
                    sock.settimeout(0.5)
                    sock.bind((one.source, 0))
                    found += sock.connect_ex((self.plan.node(name).address, port)) == 0
        return found

    def _must(self, node: str, argv: list[str], text: str | None = None) -> str:
        done = self.lab.run(node, argv, text)
        if done.returncode != 0:
            raise LabError(f"{node}: {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout


def _is(address: str, wanted: str) -> bool:
    return address.partition("/")[0] == wanted
