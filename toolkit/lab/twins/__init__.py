"""Twins: stateful SSH command lines of vendors' devices, good enough for netmiko's own drivers.

A twin is a rehearsal stage, not the OS: what it shows about push order, refusals, rollback and the meaning of an access
list is this project's second reading of the vendors' manuals (certificate level `twin`). It shares no code with
`toolkit.platforms` or `toolkit.packets`, so that a misreading on either side shows as a difference.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from toolkit.lab.twins.boot import SHORT, load
from toolkit.lab.twins.device import Device, Faults, Login
from toolkit.lab.twins.judge import Ruling
from toolkit.lab.twins.judge import judge as judge_tree
from toolkit.lab.twins.judge_junos import judge as judge_statements
from toolkit.lab.twins.shells import SYSTEMS, check
from toolkit.lab.twins.statements import Statements
from toolkit.lab.twins.tree import Tree

if TYPE_CHECKING:
    from toolkit.net import Packet

__all__ = ["SYSTEMS", "Device", "Faults", "Login", "Ruling", "judge", "make_twin"]


def make_twin(name: str, system: str, config: str, login: Login, **settings: float) -> Device:
    """A twin that runs, and would boot, a configuration text.

    Raises:
        LabError: there is no twin of this OS, or it would not take the configuration.
    """
    check(system)
    device = Device(name, system, load(name, system, config), login)
    if "minute" in settings:
        device.minute = settings["minute"]
    return device


def judge(device: Device, interface: str, packet: Packet, config: str | None = None) -> Ruling:
    """What a device does with a packet that enters by an interface, or would under another configuration text."""
    running = device.running if config is None else _read(device.os, config)
    if isinstance(running, Statements):
        return judge_statements(running, interface, packet)
    return judge_tree(running, SHORT[device.os], interface, packet)


@lru_cache(maxsize=256)  # the moments of a change are judged for many packets; nobody changes what is read here
def _read(system: str, config: str) -> Tree | Statements:
    return Statements.read(config) if system == "juniper_junos" else Tree.read(config)
