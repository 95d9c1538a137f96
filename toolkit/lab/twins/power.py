"""A twin as a device of a lab: powered on and off, with its own disk, in the network of its node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import toolkit
from toolkit.lab.devices import keygen
from toolkit.lab.namespaces import USER, program
from toolkit.lab.twins.initial import initial_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.lab.plan import LabNode


class TwinDevice:
    """One twin; `boot` may be called again after `stop`. `enter` comes before what runs in its network."""

    def __init__(self, node: LabNode, folder: Path, enter: Sequence[str], site_folder: Path, state: Path) -> None:
        self.node = node
        self.folder = folder
        self.enter = list(enter)
        self._process: subprocess.Popen[bytes] | None = None
        startup = folder / "startup.cfg"
        text = (site_folder / node.running).read_text(encoding="utf-8") if node.running else initial_config(node)
        startup.write_text(text, encoding="utf-8")
        keygen(state / f"{node.name}_host_key", node.name)
        shutil.copy(state / f"{node.name}_host_key", folder / "host_key")
        public = (state / f"{node.name}_host_key.pub").read_text(encoding="ascii").split()
        with (state / "known_hosts").open("a", encoding="ascii") as known:
            known.write(f"{node.management} {public[0]} {public[1]}\n")
        orders = {
            "name": node.name,
            "system": node.system,
            "address": node.management,
            "user": USER,
            "keys": str(state / "id_ed25519.pub"),
            "host_key": str(folder / "host_key"),
            "startup": str(startup),
            "names": node.names,
            "bridged": [cable for cable, _ in node.bridges],
            "nft": program("nft"),
            "conntrack": program("conntrack"),
        }
        (folder / "orders.json").write_text(json.dumps(orders), encoding="utf-8")

    def boot(self) -> None:
        """Power on."""
        root = str(Path(toolkit.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        with (self.folder / "twin.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.enter, sys.executable, "-P", "-m", "toolkit.lab.twins.serve", str(self.folder / "orders.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )

    def stop(self) -> None:
        """Power off: no process, no filter."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None
            self.inside([program("nft"), "flush", "ruleset"])

    def inside(self, argv: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the twin's network; a twin has no shell of its own to run it in."""
        return subprocess.run([*self.enter, *argv], input=text, text=True, capture_output=True, check=False, timeout=60)

    def log(self) -> str:
        """The last lines that it wrote."""
        path = self.folder / "twin.log"
        return path.read_text(encoding="utf-8", errors="replace")[-500:] if path.exists() else "no log"
