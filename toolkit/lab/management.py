"""Management addresses in the lab: the inventory's own where they lie in the lab's network, others where they do not.

A production device answers at a name or at an address of some management network. A lab must never call those, so
each such device gets a free address of `lab.management`, and the push is told to call that one instead.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from itertools import islice
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network

    from toolkit.lab.plan import LabPlan
    from toolkit.site import Site

SSH_PORT: Final = 22
FIRST: Final = 10  # free addresses are given out from here on: the low ones are for gateways


def management_addresses(site: Site) -> dict[str, str]:
    """Device -> its management address in the lab.

    Raises:
        LabError: a device has the address that the lab itself needs, or the network is too small.
    """
    network = site.file.lab.management
    gateway = network.network_address + 1
    found: dict[str, str] = {}
    for device in site.topology.devices:
        own = _inside(device.management, network)
        if own == gateway:
            raise LabError(f"{device.name} cannot have {gateway}: it is the lab's own address in {network}")
        if own is not None and str(own) not in found.values():
            found[device.name] = str(own)
    taken = set(found.values())
    free = (str(one) for one in islice(network.hosts(), FIRST, None) if str(one) not in taken)
    for device in site.topology.devices:
        if device.name not in found:
            address = next(free, None)
            if address is None:
                raise LabError(
                    f"{network} is too small for the devices of {site.name}; widen lab.management in site.yaml"
                )
            found[device.name] = address
    return found


def _inside(management: str | None, network: IPv4Network) -> IPv4Address | None:
    """The address of a device if the lab can use it; a name, or an address of another network, it cannot."""
    try:
        address = IPv4Address(management or "")
    except AddressValueError:
        return None
    usable = address in network and address not in (network.network_address, network.broadcast_address)
    return address if usable else None


def calls(plan: LabPlan) -> dict[str, tuple[str, int]]:
    """Device -> (address, port) that the push calls in a lab."""
    return {node.name: (node.management, SSH_PORT) for node in plan.devices if node.management is not None}


def as_text(addresses: Mapping[str, tuple[str, int]]) -> str:
    """Addresses as the variable TOOLKIT_ADDRESSES holds them: `leaf1=172.31.250.11:22,leaf2=...`."""
    return ",".join(f"{name}={address}:{port}" for name, (address, port) in addresses.items())
