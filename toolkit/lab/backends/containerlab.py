"""The containerlab backend: every node of the topology file is a container.

containerlab makes the containers and the links. Everything else enters the containers' namespaces from outside and
is the code of the embedded backend: addresses, kernel settings, devices, services, probes.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError, MissingProgramError
from toolkit.kinds import LINUX
from toolkit.lab.addressing import interface_lines, ip_batch, set_sysctls, switches_first
from toolkit.lab.backends._built import BuiltLab
from toolkit.lab.clab import Containerlab, find
from toolkit.lab.devices import Device, Place, make_keys, mount_namespace, pids_sharing
from toolkit.lab.engine import LABEL, Engine
from toolkit.lab.leftovers import (
    BASE,
    begin_deployment,
    check_routes,
    claim,
    claims,
    end_deployment,
    lock,
    remove,
    strangers,
    unclaim,
    unlock,
)
from toolkit.lab.namespaces import check_programs, die_with, fork_and_wait, program, stop_on_signals
from toolkit.lab.plan import LabNode, LabPlan, read
from toolkit.lab.ready import wait_for_ssh, wait_healthy
from toolkit.lab.topology_file import DEVICE_IMAGE, HOST_IMAGE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence

INNER: Final = Path("/run/lab")  # a node's files, inside its container; the images have this folder
PROGRAMS: Final = ("ip", "nsenter", "setpriv", "ssh-keygen")
FOLDERS: Final = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
CLEAN_ENVIRONMENT: Final = ("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root")


class ContainerlabLab(BuiltLab):
    """A running lab of containers; use it as a context manager inside the backend's `run`."""

    def __init__(self, plan: LabPlan, topology: Path, site_folder: Path) -> None:
        self.plan = plan
        self.topology = topology
        self.site_folder = site_folder
        self.namespaces: dict[str, int] = {}
        self.devices: dict[str, Device] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._pids: dict[str, int] = {}
        self._clab = Containerlab(self.state)
        self._engine = Engine()
        self._lock: int | None = None
        self._stranger = False
        self._up = True

    # ---- use ------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        """Folder of the lab's own files, that of its topology file."""
        return self.topology.parent

    @property
    def python(self) -> str:
        """The Python of the image for hosts; it has aiosmtpd."""
        return "/usr/bin/python3"

    def program(self, name: str) -> str:
        """Programs are those of the images; a full path, as sshd wants to be called by one."""
        for pid in self._pids.values():
            for folder in FOLDERS:
                if os.access(_seen_by(pid, f"{folder}/{name}"), os.X_OK):
                    return f"{folder}/{name}"
        raise MissingProgramError(name, f"{name} in labs/images, then make images")

    def root(self, node: str) -> Path:
        """Folder of a node's files, looked at through its first process."""
        return _seen_by(self._pids[node], INNER)

    def inner(self, node: str) -> Path:  # noqa: ARG002 - the same in every container
        """The same folder as the container sees it."""
        return INNER

    def inside(self, device: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """As `run`: a container has an /etc of its own anyway."""
        return self.run(device, argv, text)

    def reboot(self, device: str) -> None:
        """Stop a device's processes, forget its filter, and boot it from its own files; its cables stay."""
        one = self.devices[device]
        one.stop()
        one.boot()
        self._wait([one.node])

    def down(self) -> None:
        """End everything that this lab made; a second call does nothing.

        Raises:
            LabError: something of it is left, by name.
        """
        if not self._up:
            return
        self._up = False
        self._kill()
        for fd in self.namespaces.values():
            os.close(fd)
        self.namespaces, self.devices = {}, {}
        try:
            if self._stranger:
                shutil.rmtree(self.state, ignore_errors=True)
            elif self._lock is not None:
                remove(self.plan.name, self.topology, self._clab, self._engine)
        finally:
            for process in self.processes:
                process.wait(timeout=10)
            if self._lock is not None:
                unlock(self.plan.name, self._lock)
            os.close(self.home)

    # ---- building -------------------------------------------------------------------------

    def _enter(self, node: str) -> list[str]:
        into = ("--mount", "--uts", "--ipc", "--net", "--pid")
        return [program("nsenter"), "--target", str(self._pids[node]), *into, "--", *CLEAN_ENVIRONMENT]

    def _build(self) -> None:
        plan = self.plan
        self._lock = lock(plan.name)
        self._refuse_strangers()
        remove(plan.name, self.topology, self._clab, self._engine, keep_state=True)
        check_routes(plan.management)
        self._check_images()
        begin_deployment(self.state)
        self._clab.deploy(self.topology, plan.name)
        end_deployment(self.state)
        self._read_back()
        ours = [node for node in plan.nodes if node.os == LINUX]
        for node in plan.nodes:
            self.namespaces[node.name] = os.open(f"/proc/{self._pids[node.name]}/ns/net", os.O_RDONLY)
        for node in switches_first(ours):
            set_sysctls(node, self.namespaces[node.name])
            net = [program("nsenter"), f"--net=/proc/{self._pids[node.name]}/ns/net", "--"]
            # The engine's address comes with a route for everybody; ours stands in a table of its own.
            first = ["addr flush dev eth0"] if node.management else []
            ip_batch([*first, *interface_lines(node, plan)], net, node.name)
        make_keys(self.state)
        devices = [node for node in ours if node.is_device]
        for node in devices:
            self.devices[node.name] = Device(node, self._place(node), self.site_folder, self.state)
        for booting in self.devices.values():
            booting.boot()
        self._wait(devices)

    def _place(self, node: LabNode) -> Place:
        pid = self._pids[node.name]
        keep = frozenset(pids_sharing(mount_namespace(pid)))
        return Place(self.root(node.name), _seen_by(pid, "/etc"), INNER, self._enter(node.name), keep)

    def _wait(self, nodes: Iterable[LabNode]) -> None:
        wait_healthy(self, nodes)
        wait_for_ssh(self, nodes)

    def _refuse_strangers(self) -> None:
        """A lab of this name that was deployed from another file is somebody else's: it stays."""
        for one in self._engine.containers(self.plan.name):
            if one.topology != str(self.topology):
                self._stranger = True
                raise LabError(
                    f"a lab {self.plan.name} is up that somebody deployed from {one.topology or 'an unknown file'}; "
                    f"end it first: containerlab destroy -t {one.topology or 'FILE'}"
                )
        network = self._engine.network(self.plan.name)
        if network is not None and (LABEL not in network["Labels"] or strangers(network, self.plan.name)):
            self._stranger = True
            who = ", ".join(strangers(network, self.plan.name)) or "containerlab did not make it"
            raise LabError(
                f"a network {self.plan.name} is there that is not this lab's ({who}); "
                f"end what uses it, then: docker network rm {self.plan.name}"
            )

    def _check_images(self) -> None:
        for image in dict.fromkeys(node.image for node in self.plan.nodes):
            if not self._engine.has_image(image):
                way = "make images" if image in (HOST_IMAGE, DEVICE_IMAGE) else "load it into the container engine"
                raise LabError(f"image {image} is not here; to get it: {way}")

    def _read_back(self) -> None:
        """Look at what was really deployed, and that commands run in it."""
        found = {one.node: one for one in self._clab.inspect(self.plan.name)}
        for node in self.plan.nodes:
            one = found.get(node.name)
            if one is None or one.state != "running" or one.pid <= 0:
                state = "missing" if one is None else f"{one.state} ({one.status})"
                raise LabError(f"the lab came up by half: {node.name} is {state}")
            self._pids[node.name] = one.pid
        answers = self._clab.exec(self.plan.name, "nft --version")
        for node in self.plan.nodes:
            answer = answers.get(found[node.name].name)
            if node.os == LINUX and (answer is None or answer.code != 0):
                words = answer.stderr.strip() or answer.stdout.strip() if answer else "no answer"
                raise LabError(
                    f"{node.name}: the image {node.image} cannot run nft ({words}); build it with: make images"
                )


class ContainerlabBackend:
    """Labs of containers; see `backends.base.Backend`."""

    def check(self) -> None:
        """Look for the programs, the engine, and the right to use them.

        Raises:
            LabError: one is missing; the message names the remedy.
        """
        find()
        check_programs(PROGRAMS)
        if os.geteuid() != 0:
            raise LabError(
                "the containerlab backend needs root, to make links and to enter the containers' networks: "
                "run it with sudo, or use --backend netns, which needs no root"
            )
        Engine().check()

    def run(self, function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
        """Run a function in a process of its own that cleans up when it is told to end, or when this one is killed.

        When that process is killed itself, this one cleans up.
        """
        self.check()
        parent = os.getpid()
        worker: list[int] = []

        def work() -> int:
            os.setsid()  # Ctrl-C reaches this process's parent only, which passes it on
            stop_on_signals()
            die_with(parent, signal.SIGTERM)
            try:
                return function()
            finally:
                _bury(os.getpid())  # what was claimed, and told to end before it was a lab

        def remember(pid: int) -> None:
            worker.append(pid)
            if started is not None:
                started(pid)

        try:
            return fork_and_wait(work, remember)
        finally:
            if worker:
                _bury(worker[0])

    def attach(self, pid: int, function: Callable[[], int]) -> int:
        """Run a function beside a lab that is up: its devices answer on this machine's own network."""
        if not Path(f"/proc/{pid}").exists():
            raise LabError(f"the lab's process {pid} is gone")

        def work() -> int:
            stop_on_signals()
            return function()

        return fork_and_wait(work)

    def topology_path(self, name: str) -> Path:
        """In the lab's own folder, which goes with it; the folder is claimed for this process."""
        folder = BASE / f"toolkit-{name}"
        claim(folder)
        return folder / f"{name}.clab.yml"

    def open(self, topology: Path, site_folder: Path) -> ContainerlabLab:
        """A lab of a topology file.

        Raises:
            LabError: a device has a vendor's command line, and the site names no image for it.
        """
        plan = read(topology)
        twins = [node.name for node in plan.devices if node.system is not None]
        if twins:
            raise LabError(
                f"{', '.join(twins)}: twins of vendors' devices live in the netns backend only; name an image and its "
                "kind for each in lab.images of site.yaml, and containerlab runs the real thing"
            )
        return ContainerlabLab(plan, topology, site_folder)


def _seen_by(pid: int, path: str | Path) -> Path:
    """Where a file stands that a process sees at `path`."""
    return Path("/proc", str(pid), "root", *Path(path).parts[1:])


def _bury(pid: int) -> None:
    """Take away what a process that ended has claimed and not taken away itself."""
    for folder in claims(pid):
        try:
            held = lock(folder.name)
        except LabError:
            unclaim(folder, pid)  # it came second; the lab belongs to the process that came first
            continue
        try:
            topology = next(folder.glob("*.clab.yml"), folder / "none.clab.yml")
            remove(folder.name, topology, Containerlab(folder), Engine())
        finally:
            unlock(folder.name, held)


BACKEND: Final = ContainerlabBackend()
