"""Which shell answers for which OS: one file each, named as netmiko names the driver."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.device import Device
    from toolkit.lab.twins.shell import Shell

SYSTEMS: Final = ("arista_eos", "cisco_asa", "cisco_ios", "cisco_nxos", "juniper_junos")


def make(device: Device, write: Callable[[str], None], hang_up: Callable[[], None]) -> Shell:
    """A new login on a device.

    Raises:
        LabError: there is no twin of its OS.
    """
    check(device.os)
    shell: Shell = import_module(f"toolkit.lab.twins.{device.os}").SHELL(device, write, hang_up)
    return shell


def check(system: str) -> None:
    """Refuse an OS that has no twin.

    Raises:
        LabError: it has none; lists those that have.
    """
    if system not in SYSTEMS:
        raise LabError(f"no twin of {system!r} (twins: {', '.join(SYSTEMS)})")
