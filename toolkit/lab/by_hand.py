"""A topology file for people who deploy it without the toolkit: nodes give themselves their addresses and routes.

It is the file of `topology_file.write` with one `exec` line per Linux node. The backends need none: each costs the
engine a command of its own, and they set addresses from outside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.kinds import LINUX
from toolkit.lab.addressing import interface_lines
from toolkit.lab.plan import read
from toolkit.lab.topology_file import dump, write

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.site import Site


def write_by_hand(site: Site, path: Path) -> None:
    """Write the topology file of a site, with `exec` lines.

    Raises:
        LabError: a name in the site holds what containerlab would expand.
    """
    import yaml

    write(site, path)
    plan = read(path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for node in plan.nodes:
        if node.os == LINUX:
            # Management stays as the engine makes it: the network is internal, and devices cannot talk over it.
            lines = interface_lines(replace(node, management=None), plan)
            text = " && ".join(f"ip {line}" for line in lines)
            document["topology"]["nodes"][node.name]["exec"] = [f"sh -c '{text}'"]
    dump(document, path)
