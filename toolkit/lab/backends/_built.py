"""What the labs of all backends do alike: entering and leaving, logins, programs that end with the lab.

A backend says where things are (`state`, `root`) and how to get into a node (`_enter`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

from toolkit.lab.namespaces import USER

if TYPE_CHECKING:
    from collections.abc import Sequence


class BuiltLab(ABC):
    """A lab that is built when it is entered, and gone when it is left."""

    processes: list[subprocess.Popen[bytes]]

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def user(self) -> str:
        """Login name on the devices."""
        return USER

    @property
    @abstractmethod
    def state(self) -> Path:
        """Folder of the lab's own files, gone with the lab."""

    @property
    def key_file(self) -> Path:
        """Private key for the devices."""
        return self.state / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of the devices."""
        return self.state / "known_hosts"

    @abstractmethod
    def root(self, node: str) -> Path:
        """Folder of a node's files."""

    def run(self, node: str, argv: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program on a node and wait for it."""
        return subprocess.run(
            [*self._enter(node), *argv], input=text, text=True, capture_output=True, check=False, timeout=60
        )

    def spawn(self, node: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program on a node; it ends with the lab. Its output goes to a file."""
        with (self.root(node) / f"{Path(argv[0]).name}.log").open("ab") as log:
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

    @abstractmethod
    def down(self) -> None:
        """End everything; a second call does nothing."""

    @abstractmethod
    def _build(self) -> None:
        """Make everything, and wait until devices let people log in."""

    @abstractmethod
    def _enter(self, node: str) -> list[str]:
        """What to put before a program so that it runs on a node."""

    def _kill(self) -> None:
        """End the programs of the nodes."""
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
