"""The site as a snapshot for an analyser of configurations, such as Batfish, that shares no code with the toolkit.

`configs/` holds the complete configuration of each device after the change, what others wrote included, and `hosts/`
who sends and receives. A language that no analyser reads is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolkit.render import Rendered
    from toolkit.site import Site
    from toolkit.topology import Node


def write_snapshot(site: Site, rendered: Mapping[str, Rendered], folder: Path) -> tuple[str, ...]:
    """Write the snapshot; files of devices and hosts that are there already are replaced.

    Returns the devices that are left out.
    """
    texts = {device: one.after.whole() for device, one in rendered.items()}
    for name in ("configs", "hosts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for device, text in texts.items():
        if text is not None:
            (folder / "configs" / f"{device}.cfg").write_text(text, encoding="utf-8")
    for host in site.topology.hosts:
        text = json.dumps(_host(host), indent=2)
        (folder / "hosts" / f"{host.name}.json").write_text(f"{text}\n", encoding="utf-8")
    return tuple(device for device, text in texts.items() if text is None)


def _host(host: Node) -> dict[str, Any]:
    """A host as Batfish wants it: https://batfish.readthedocs.io/en/latest/formats.html#modeling-hosts."""
    default = next((route.via for route in host.routes if route.prefix.prefixlen == 0), None)
    through = host.connected(default) if default is not None else None
    interfaces: dict[str, Any] = {}
    for interface in host.interfaces.values():
        if not interface.addresses:
            continue
        first, *others = map(str, interface.addresses)
        interfaces[interface.name] = {"name": interface.name, "prefix": first, "otherPrefixes": others}
        if interface is through:
            interfaces[interface.name]["gateway"] = str(default)
    return {"hostname": host.name, "hostInterfaces": interfaces}
