"""The embedded backend: every node of the topology file is a network namespace of this process tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from toolkit.errors import LabError
from toolkit.lab.devices import Device, make_keys
from toolkit.lab.namespaces import STATE, USER, check_permission, check_programs, enter_network, program, run_inside
from toolkit.lab.topology_file import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from toolkit.lab.topology_file import LabNode, LabPlan

MANAGEMENT: Final = "mgmt0"
SYSCTLS: Final = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "100000",
    "net/ipv4/icmp_msgs_burst": "100000",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/ipv4/ip_unprivileged_port_start": "0",
}
# Management is a network of its own: its route stands in a table that only eth0 and the device itself ask, so
# that nothing is forwarded there, and no host reaches a device's login through a data interface.
MANAGEMENT_TABLE: Final = 100
MANAGEMENT_RULES: Final = (
    "rule add pref 10 from all lookup local",
    "rule add pref 1 to {network} iif eth0 lookup local",
    "rule add pref 2 to {network} iif lo lookup local",
    "rule add pref 3 to {network} iif lo lookup {table}",
    "rule add pref 4 to {network} blackhole",
    "rule add pref 5 iif eth0 blackhole",
    "rule del pref 0",
)


class NetnsLab:
    """A running lab; use it as a context manager inside `namespaces.run_inside`."""

    def __init__(self, plan: LabPlan, site_folder: Path) -> None:
        self.plan = plan
        self.site_folder = site_folder
        self.namespaces: dict[str, int] = {}
        self.devices: dict[str, Device] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._up = True

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # ---- use ------------------------------------------------------------------------------

    @property
    def user(self) -> str:
        """Login name on the devices."""
        return USER

    @property
    def key_file(self) -> Path:
        """Private key for the devices."""
        return STATE / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of the devices."""
        return STATE / "known_hosts"

    @property
    def state(self) -> Path:
        """Folder of the lab's own files: in memory, and gone with its mounts."""
        return STATE

    @property
    def python(self) -> str:
        """The Python of the nodes: this one."""
        return sys.executable

    def program(self, name: str) -> str:
        """What a node calls a program by: nodes see the programs of this machine."""
        return program(name)

    def inner(self, node: str) -> Path:
        """Folder of a node's files as its programs see it: they see the same files."""
        return self.root(node)

    def root(self, node: str) -> Path:
        """Folder of a node's files."""
        folder = STATE / "nodes" / node
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, node: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the network of a node and wait for it."""
        return subprocess.run(
            [*self._enter(node), *argv], input=text, text=True, capture_output=True, check=False, timeout=60
        )

    def inside(self, device: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as somebody logged in to a device would: its network, its own /etc."""
        return self.devices[device].inside(list(argv), text)

    def spawn(self, node: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program in the network of a node; it ends with the lab. Its output goes to a file."""
        name = Path(argv[0]).name
        with (self.root(node) / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._enter(node), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def logs(self, node: str) -> str:
        """The last words of a node's programs."""
        texts = [path.read_text(encoding="utf-8", errors="replace")[-300:] for path in self.root(node).glob("*.log")]
        return " | ".join(text.strip() for text in texts if text.strip()) or "no log"

    def reboot(self, device: str) -> None:
        """Stop a device's processes, forget its filter, and boot it from its own files."""
        one = self.devices[device]
        one.stop()
        one.boot()
        self.wait_for_ssh([device])

    def wait_for_ssh(self, names: Iterable[str], timeout: float = 10.0) -> None:
        """Wait until each device answers on its management address.

        Raises:
            LabError: one does not.
        """
        import socket

        deadline = time.monotonic() + timeout
        for name in names:
            address = self.plan.node(name).management or ""
            while True:
                try:
                    with socket.create_connection((address, 22), timeout=1) as connection:
                        if connection.recv(4) == b"SSH-":
                            break
                except OSError:
                    pass
                if time.monotonic() > deadline:
                    raise LabError(f"{name} does not answer over SSH: {self.devices[name].log()}")
                time.sleep(0.01)

    def down(self) -> None:
        """End everything; what is left goes with the namespaces. A second call does nothing."""
        if not self._up:
            return
        self._up = False
        for device in self.devices.values():
            device.stop()
        for process in self.processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        for process in self.processes:
            process.wait(timeout=10)
        for fd in self.namespaces.values():
            os.close(fd)
        names = list(self.namespaces)
        self.namespaces, self.devices, self.processes = {}, {}, []
        if names:
            _ip([f"netns del {name}" for name in names])
            _ip([f"link del {MANAGEMENT}"])
        os.close(self.home)

    # ---- building -------------------------------------------------------------------------

    def _enter(self, node: str) -> list[str]:
        return [program("nsenter"), f"--net=/run/netns/{node}", "--"]

    def _build(self) -> None:
        plan = self.plan
        management = plan.management
        gateway = f"{management.network_address + 1}/{management.prefixlen}"
        root = [
            "link set lo up",
            f"link add {MANAGEMENT} type bridge stp_state 0 forward_delay 0",
            f"addr add {gateway} dev {MANAGEMENT}",
            f"link set {MANAGEMENT} up",
            *(f"netns add {node.name}" for node in plan.nodes),
        ]
        for (a, port_a), (b, port_b) in plan.links:
            root.append(f"link add {port_a} netns {a} mtu 1500 type veth peer name {port_b} netns {b} mtu 1500")
        for number, device in enumerate(plan.devices):
            root.append(f"link add mg{number} type veth peer name eth0 netns {device.name}")
            root += [f"link set mg{number} master {MANAGEMENT}", f"link set mg{number} up"]
        _ip(root)
        for node in plan.nodes:
            self.namespaces[node.name] = os.open(f"/run/netns/{node.name}", os.O_RDONLY)
            self._sysctls(node)
        # Ports of switches before endpoints: an endpoint that is up first is blind for a second.
        for node in sorted(plan.nodes, key=lambda one: not one.bridges):
            _ip(list(self._interfaces(node)), node.name)
        make_keys()
        for node in plan.devices:
            self.devices[node.name] = Device(node, self.site_folder, self.root(node.name))
        for booting in self.devices.values():
            booting.boot()
        self.wait_for_ssh(self.devices)

    def _interfaces(self, node: LabNode) -> Iterable[str]:
        yield "link set lo up"
        for bridge in dict.fromkeys(name for _, name in node.bridges):
            yield f"link add {bridge} type bridge stp_state 0 forward_delay 0"
            yield f"link set {bridge} up"
        for interface, bridge in node.bridges:
            yield f"link set {interface} master {bridge}"
            yield f"link set {interface} up"
        for interface, address in node.addresses:
            yield f"addr add {address} dev {interface}"
        for interface in dict.fromkeys(name for name, _ in node.addresses):
            yield f"link set {interface} up"
        if node.management is not None:
            network = self.plan.management
            yield f"addr add {node.management}/{network.prefixlen} dev eth0 noprefixroute"
            yield "link set eth0 up"
            yield f"route add {network} dev eth0 src {node.management} table {MANAGEMENT_TABLE}"
            yield from (rule.format(network=network, table=MANAGEMENT_TABLE) for rule in MANAGEMENT_RULES)
        for prefix, via in node.routes:
            yield f"route add {prefix} via {via}"

    def _sysctls(self, node: LabNode) -> None:
        settings = dict(SYSCTLS)
        # Said either way: a new namespace starts with what the machine has, and one that runs containers forwards.
        settings["net/ipv4/ip_forward"] = "1" if node.kind in ("firewall", "router") else "0"
        enter_network(self.namespaces[node.name])
        try:
            for name, value in settings.items():
                # `sysctl -w` reports an error and exits 0; a file that cannot be written says so.
                path = Path("/proc/sys") / name
                if path.exists():
                    path.write_text(value, encoding="ascii")
        finally:
            enter_network(self.home)


def _ip(lines: list[str], namespace: str | None = None) -> None:
    """Run `ip -batch`, which is an order of magnitude faster than one call per line.

    Raises:
        LabError: a line was refused.
    """
    where = ["-n", namespace] if namespace else []
    done = subprocess.run(
        [program("ip"), *where, "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"ip{' -n ' + namespace if namespace else ''}: {done.stderr.strip()}")


class NetnsBackend:
    """Labs of namespaces; see `backends.base.Backend`."""

    def check(self) -> None:
        """Look for the programs, and for the right to make namespaces."""
        check_programs()
        check_permission()

    def run(self, function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
        """Run a function inside fresh namespaces."""
        return run_inside(function, started)

    def topology_path(self, name: str) -> Path:
        """In memory, like everything of the lab."""
        return STATE / f"{name}.clab.yml"

    def open(self, topology: Path, site_folder: Path) -> NetnsLab:
        """A lab of a topology file."""
        return NetnsLab(read(topology), site_folder)


BACKEND: Final = NetnsBackend()
