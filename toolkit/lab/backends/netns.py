"""The embedded backend: every node of the topology file is a network namespace of this process tree."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.kinds import LINUX
from toolkit.lab.addressing import interface_lines, ip_batch, set_sysctls, switches_first
from toolkit.lab.backends._built import BuiltLab
from toolkit.lab.devices import Device, Place, make_keys, private_etc, private_view
from toolkit.lab.namespaces import STATE, attach, check_permission, check_programs, program, run_inside
from toolkit.lab.plan import read
from toolkit.lab.ready import wait_for_ssh, wait_healthy
from toolkit.lab.twins.power import TwinDevice

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from toolkit.lab.plan import LabPlan

MANAGEMENT: Final = "mgmt0"


class NetnsLab(BuiltLab):
    """A running lab; use it as a context manager inside `namespaces.run_inside`."""

    def __init__(self, plan: LabPlan, site_folder: Path) -> None:
        self.plan = plan
        self.site_folder = site_folder
        self.namespaces: dict[str, int] = {}
        self.devices: dict[str, Device | TwinDevice] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._up = True

    # ---- use ------------------------------------------------------------------------------

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

    def inside(self, device: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as somebody logged in to a device would: its network, its own /etc."""
        return self.devices[device].inside(list(argv), text)

    def reboot(self, device: str) -> None:
        """Stop a device's processes, forget its filter, and boot it from its own files."""
        one = self.devices[device]
        one.stop()
        one.boot()
        self._wait([device])

    def down(self) -> None:
        """End everything; what is left goes with the namespaces. A second call does nothing."""
        if not self._up:
            return
        self._up = False
        for device in self.devices.values():
            device.stop()
        self._kill()
        for process in self.processes:
            process.wait(timeout=10)
        for fd in self.namespaces.values():
            os.close(fd)
        names = list(self.namespaces)
        self.namespaces, self.devices, self.processes = {}, {}, []
        if names:
            ip_batch([f"netns del {name}" for name in names])
            ip_batch([f"link del {MANAGEMENT}"])
        os.close(self.home)

    def _wait(self, names: Iterable[str]) -> None:
        nodes = [self.plan.node(name) for name in names]
        wait_healthy(self, nodes)
        wait_for_ssh(self, nodes)

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
            root.append(f"link add name {port_a} netns {a} mtu 1500 type veth peer name {port_b} netns {b} mtu 1500")
        for number, device in enumerate(plan.devices):
            root.append(f"link add mg{number} type veth peer name eth0 netns {device.name}")
            root += [f"link set mg{number} master {MANAGEMENT}", f"link set mg{number} up"]
        ip_batch(root)
        for node in plan.nodes:
            self.namespaces[node.name] = os.open(f"/run/netns/{node.name}", os.O_RDONLY)
            set_sysctls(node, self.namespaces[node.name])
        for node in switches_first(plan.nodes):
            ip_batch(list(interface_lines(node, plan)), self._enter(node.name), node.name)
        make_keys(STATE)
        for node in plan.devices:
            folder = self.root(node.name)
            if node.system is not None:
                self.devices[node.name] = TwinDevice(node, folder, self._enter(node.name), self.site_folder, STATE)
                continue
            private_etc(folder / "etc", node.name)
            place = Place(folder, folder / "etc", folder, private_view(node.name, folder / "etc"))
            self.devices[node.name] = Device(node, place, self.site_folder, STATE)
        for booting in self.devices.values():
            booting.boot()
        self._wait(self.devices)


class NetnsBackend:
    """Labs of namespaces; see `backends.base.Backend`."""

    def check(self) -> None:
        """Look for the programs, and for the right to make namespaces."""
        check_programs()
        check_permission()

    def run(self, function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
        """Run a function inside fresh namespaces."""
        return run_inside(function, started)

    def attach(self, pid: int, function: Callable[[], int]) -> int:
        """Run a function inside the namespaces of a lab that is up."""
        return attach(pid, function)

    def topology_path(self, name: str) -> Path:
        """In memory, like everything of the lab."""
        return STATE / f"{name}.clab.yml"

    def open(self, topology: Path, site_folder: Path) -> NetnsLab:
        """A lab of a topology file.

        Raises:
            LabError: a device of it is a vendor's image, which is no namespace.
        """
        plan = read(topology)
        for node in plan.nodes:
            if node.os != LINUX:
                raise LabError(
                    f"{node.name} runs the image {node.image} of kind {node.os}, which the embedded lab cannot; "
                    "use --backend containerlab, or take it out of lab.images in site.yaml"
                )
        return NetnsLab(plan, site_folder)


BACKEND: Final = NetnsBackend()
