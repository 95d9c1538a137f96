"""A twin on its own in the network of a lab's device: `python -m toolkit.lab.twins.serve ORDERS.json`.

It answers over SSH on the device's management address, and gives the kernel under it the rules that its running
configuration asks for, each time that this changes. Powered off and on again it boots from what it has saved.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolkit.lab.twins import make_twin
from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.boot import SHORT
from toolkit.lab.twins.connections import KernelConnections
from toolkit.lab.twins.dataplane import Port, compile_rules
from toolkit.lab.twins.device import Device, Login
from toolkit.lab.twins.parts import in_parts
from toolkit.lab.twins.server import TwinServer

TOO_LONG = "Message too long"
ENDS = {signal.SIGTERM, signal.SIGINT}


class Filtering:
    """Keeps the kernel's rules as a device's running configuration asks for."""

    def __init__(self, device: Device, orders: dict[str, Any]) -> None:
        self.device = device
        self.nft = orders["nft"]
        self.ports = [Port(name, cable) for name, cable in orders["names"]]
        self.bridged = frozenset(orders["bridged"])
        self.loaded = ""

    def refresh(self) -> None:
        """Load the rules where they have changed; what cannot be carried over leaves those that are there."""
        short = SHORT.get(self.device.os, "junos")
        try:
            text = compile_rules(self.device.running, short, self.device.name, self.ports, self.bridged)
        except (RejectedError, NotImplementedError) as caught:
            self._say(f"not carried over: {caught}")
            return
        if text == self.loaded:
            return
        refused = self._load(text)
        if TOO_LONG in refused:
            refused = next(filter(None, map(self._load, in_parts(text))), "")
        if refused:
            self._say(f"the kernel refuses: {refused}")
            return
        self.loaded = text

    def _load(self, text: str) -> str:
        """Load one transaction; what the kernel says against it, empty where nothing."""
        done = subprocess.run([self.nft, "-f", "-"], input=text, text=True, capture_output=True, check=False)
        return done.stderr.strip() or "no reason given" if done.returncode != 0 else ""

    def _say(self, words: str) -> None:
        sys.stderr.write(f"{self.device.name}: {words}\n")
        sys.stderr.flush()


def main() -> int:
    """Serve until the end."""
    orders = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    startup = Path(orders["startup"])
    login = Login(user=orders["user"], keys=(Path(orders["keys"]).read_text(encoding="ascii"),))
    device = make_twin(orders["name"], orders["system"], startup.read_text(encoding="utf-8"), login)
    device.connections = KernelConnections(program=orders["conntrack"])
    filtering = Filtering(device, orders)
    device.report_to(on_change=filtering.refresh, on_save=lambda text: _keep(startup, text))
    filtering.refresh()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # before there are threads, which inherit it
    with TwinServer([device], orders["address"], {device.name: 22}, host_key=Path(orders["host_key"])):
        signal.sigwait(ENDS)
    return 0


def _keep(startup: Path, text: str) -> None:
    """Write what the twin boots from, whole or not at all."""
    new = startup.with_suffix(".new")
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(startup)


if __name__ == "__main__":
    sys.exit(main())
