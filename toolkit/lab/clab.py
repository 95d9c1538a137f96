"""A thin caller of the `containerlab` program: a command goes out, its JSON comes back as values.

Written for containerlab 0.79. Its exit code alone says little: a node that dies right after it has started, or a
command that fails inside a node, still gives 0. So the callers read back what is there.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import LabError
from toolkit.lab.namespaces import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME: Final = "containerlab"
TIMEOUT: Final = 300.0
WORDS: Final = 600  # characters of its log that go into a message


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a lab: its node, its first process as this machine numbers it, and whether it runs."""

    name: str
    node: str
    pid: int
    state: str
    status: str
    topology: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command inside a node gave."""

    code: int
    stdout: str
    stderr: str


class Containerlab:
    """The program; `base` is the folder that it may put its lab folders into."""

    def __init__(self, base: Path, path: str | None = None) -> None:
        self.path = path or find()
        # The first variable spares a look at the internet, three seconds where there is none.
        self.environment = {**os.environ, "CLAB_VERSION_CHECK": "disable", "CLAB_LABDIR_BASE": str(base)}

    def deploy(self, topology: Path, lab: str) -> tuple[str, ...]:
        """Create containers and links, and give the names of the containers that it counts as running.

        Raises:
            LabError: it says that it failed.
        """
        # Without --reconfigure it takes up what an earlier run left, and leaves such nodes as they are.
        argv = ["deploy", "-t", str(topology), "--reconfigure", "--format", "json"]
        rows = self._json(argv, lab)
        return tuple(str(row["name"]) for row in rows if row["state"] == "running")

    def inspect(self, lab: str) -> tuple[Container, ...]:
        """The containers of a lab; none where the lab is not there."""
        return tuple(
            Container(
                name=row["Names"][0],
                node=row["Labels"]["clab-node-name"],
                pid=int(row["Pid"]),
                state=row["State"],
                status=row["Status"],
                topology=row["Labels"].get("clab-topo-file", ""),
            )
            for row in self._json(["inspect", "--name", lab, "--details", "--format", "json"], lab)
        )

    def exec(self, lab: str, command: str) -> dict[str, Answer]:
        """Run a command in every node; the answer of each, by the container's name. Its own exit code is always 0."""
        done = self._call(["exec", "--name", lab, "--cmd", command, "--format", "json"])
        found = self._document("exec", done)
        try:
            return {
                name: Answer(int(rows[0]["return-code"]), rows[0]["stdout"], rows[0]["stderr"])
                for name, rows in found.items()
            }
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as caught:
            raise LabError(f"containerlab exec answers with JSON that is not known: {caught!r}") from None

    def destroy(self, topology: Path) -> None:
        """Take a lab away; a lab that is not there is fine.

        Never with `--cleanup`: without containers that removes the first lab folder beside the topology file,
        whoever owns it.

        Raises:
            LabError: it says that it failed.
        """
        done = self._call(["destroy", "-t", str(topology)])
        if done.returncode != 0:
            raise LabError(f"containerlab destroy failed: {_words(done.stderr)}")

    def _json(self, argv: Sequence[str], lab: str) -> list[dict[str, Any]]:
        done = self._call(argv)
        document = self._document(argv[0], done)
        rows = document.get(lab, []) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise LabError(f"containerlab {argv[0]} answers with JSON that is not known: {_words(done.stdout)}")
        return rows

    @staticmethod
    def _document(verb: str, done: subprocess.CompletedProcess[str]) -> Any:
        if done.returncode != 0:
            raise LabError(f"containerlab {verb} failed: {_words(done.stderr)}")
        try:
            return json.loads(done.stdout or "{}")
        except ValueError:
            raise LabError(
                f"containerlab {verb} answers with something else than JSON: {_words(done.stdout)}"
            ) from None

    def _call(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # When this process is killed, so is the program: nothing goes on building behind the back of a clean-up.
        guarded = [program("setpriv"), "--pdeathsig", "KILL", self.path, *argv]
        try:
            return subprocess.run(
                guarded, env=self.environment, text=True, capture_output=True, check=False, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"containerlab {argv[0]} did not end within {TIMEOUT:.0f} s") from None


def find() -> str:
    """Path of the program.

    Raises:
        LabError: it is not installed; names the way to it.
    """
    import shutil

    found = shutil.which(os.environ.get("CONTAINERLAB", NAME))
    if found is None:
        raise LabError(
            "program 'containerlab' is not installed; see https://containerlab.dev/install, put it on the PATH, "
            "or name it in the variable CONTAINERLAB; --backend netns needs no such program"
        )
    return found


def _words(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines())[-WORDS:] or "no message"
