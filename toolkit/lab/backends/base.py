"""What every lab backend offers: the same calls, whether nodes are namespaces or containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolkit.lab.topology_file import LabPlan


class Lab(Protocol):
    """A lab that is up. Sockets and taps get into a node by `setns` on its descriptor in `namespaces`."""

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

    def root(self, node: str) -> Path:
        """Folder of a node's files, gone with the lab."""

    def run(self, node: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the network of a node, with `text` as its input, and wait for it."""

    def spawn(self, node: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program in the network of a node; it ends with the lab. Its output goes to a file in `root`."""

    def logs(self, node: str) -> str:
        """The last words of a node's programs."""

    def reboot(self, device: str) -> None:
        """Stop a device's processes, forget its filter, and boot it from its own files."""

    def down(self) -> None:
        """End everything; a second call does nothing."""
