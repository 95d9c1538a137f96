"""The reference site with its devices' platform switched, so that its real policies reach every vendor's renderer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from toolkit.render.work import Work

INVENTORY = Path(__file__).parents[2] / "inventory"


def switched(folder, platform, *, firewalls, only_firewalls=False):
    """A copy of the site: the kind of its two firewalls, the platform of all devices (or of the firewalls only)."""
    shutil.copytree(INVENTORY, folder)
    hosts = (folder / "hosts.yaml").read_text(encoding="utf-8")
    hosts = re.sub(r"    filter:\n(      .*\n)+", "", hosts)
    groups = (folder / "groups.yaml").read_text(encoding="utf-8")
    site = (folder / "site.yaml").read_text(encoding="utf-8").replace("{linux_nftables: os}", "{}")
    groups = groups.replace("kind: firewall", f"kind: {firewalls}")
    if not only_firewalls:
        groups = groups.replace("platform: linux_nftables", f"platform: {platform}")
    else:
        groups = groups.replace("firewalls:\n  groups: [linux_devices]", f"firewalls:\n  platform: {platform}")
    for name, text in (("hosts", hosts), ("groups", groups), ("site", site)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Work(folder)
