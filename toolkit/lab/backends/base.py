"""What every lab backend offers: the same calls, whether nodes are namespaces or containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from toolkit.lab.plan import LabPlan


class Lab(Protocol):
    """A lab, up while it is entered. Sockets and taps get into a node by `setns` on its descriptor in `namespaces`."""

    def __enter__(self) -> Self:
        """Build it and wait until its devices let people log in.

        Raises:
            LabError: it cannot be built; what was begun is gone again.
        """

    def __exit__(self, *_: object) -> None:
        """As `down`."""

    @property
    def plan(self) -> LabPlan:
        """What was built."""

    @property
    def namespaces(self) -> Mapping[str, int]:
        """Open descriptor of each node's network namespace, by node name; closed by `down`."""

    @property
    def home(self) -> int:
        """Open descriptor of the network namespace of the lab's own process, to come back to."""

    @property
    def user(self) -> str:
        """Login name on the devices."""

    @property
    def key_file(self) -> Path:
        """Private key for the devices."""

    @property
    def known_hosts(self) -> Path:
        """Host keys of the devices."""

    @property
    def state(self) -> Path:
        """Folder of the lab's own files, gone with the lab."""

    def root(self, node: str) -> Path:
        """Folder of a node's files as this process sees it, gone with the lab."""

    def inner(self, node: str) -> Path:
        """The same folder as programs on the node see it: what stands in their configurations."""

    def program(self, name: str) -> str:
        """What a node calls a program by.

        Raises:
            MissingProgramError: it is not installed; names the Debian package.
        """

    @property
    def python(self) -> str:
        """The Python of the nodes; it has aiosmtpd."""

    def run(self, node: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the network of a node, with `text` as its input, and wait for it."""

    def inside(self, device: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as somebody logged in to a device would: its network, its own /etc."""

    def spawn(self, node: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program in the network of a node; it ends with the lab. Its output goes to a file in `root`."""

    def logs(self, node: str) -> str:
        """The last words of a node's programs."""

    def reboot(self, device: str) -> None:
        """Stop a device's processes, forget its filter, and boot it from its own files."""

    def down(self) -> None:
        """End everything; a second call does nothing."""


class Backend(Protocol):
    """A way to build labs: each module of this folder whose name has no underscore in front, apart from this one."""

    def check(self) -> None:
        """Find out whether a lab can run here.

        Raises:
            LabError: no; the message names the remedy.
        """

    def run(self, function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
        """Run a function where its lab lives, and return its exit code.

        SIGINT and SIGTERM let the function clean up. `started` is called with the process id of the lab's
        first process.

        Raises:
            LabError: no lab can run here.
        """

    def attach(self, pid: int, function: Callable[[], int]) -> int:
        """Run a function where a lab that is up lives, and return its exit code; `pid` is the lab's first process.

        Raises:
            LabError: the lab is gone, or is somebody else's.
        """

    def topology_path(self, name: str) -> Path:
        """Where the topology file of a lab is written, inside `run`."""

    def open(self, topology: Path, site_folder: Path) -> Lab:
        """A lab of a topology file, not yet up; for use inside `run`."""
