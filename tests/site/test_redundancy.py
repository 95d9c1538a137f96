"""Mistakes in the redundancy groups of a site, each with the answer it gets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from toolkit.errors import SiteError
from toolkit.redundancy import RedundancyMode
from toolkit.site import load_site

ROOT = Path(__file__).resolve().parents[2]
SECOND = "\n  - {name: NAME, mode: active_standby, members: [fw2, fw1], virtual: [ADDRESS]}\n\nlinks:\n"

MISTAKES = [
    ("mode: active_standby", "mode: active_passive", r"mode: Input should be 'active_standby' or 'active_active'"),
    ("state_sync: false", "state_snyc: false", r"unknown key 'state_snyc'; did you mean 'state_sync'"),
    ("state_sync: false", "symmetric_hashing: true", r"redundancy gateways: symmetric_hashing shares out load"),
    ("members: [fw1, fw2]", "members: [fw1]", r"redundancy\.0\.members: Tuple should have at least 2 items"),
    ("members: [fw1, fw2]", "members: [fw1, fw1]", r"redundancy gateways: a member is named twice"),
    (
        "members: [fw1, fw2]",
        "members: [fw1, fw3]",
        r"redundancy gateways: 'fw3' is no device with addresses \(those: fw1, fw2\)",
    ),
    ("members: [fw1, fw2]", "members: [fw1, jump1]", r"'jump1' is no device with addresses"),
    ("members: [fw1, fw2]", "members: [fw1, leaf1]", r"'leaf1' is no device with addresses"),
    ("virtual: [10.30.1.1, ", "virtual: [10.30.1.2, ", r"10\.30\.1\.2 is an address of fw1 itself"),
    ("virtual: [10.30.1.1, ", "virtual: [10.30.1.11, ", r"10\.30\.1\.11 is an address of server1 itself"),
    ("virtual: [10.30.1.1, ", "virtual: [10.99.1.1, ", r"fw1 has no interface in the subnet of 10\.99\.1\.1"),
    ("virtual: [10.30.1.1, ", "virtual: ['fd00::1', ", r"redundancy\.0\.virtual\.0: Input is not a valid IPv4 address"),
    (
        "\nlinks:\n",
        SECOND.replace("NAME", "gateways").replace("ADDRESS", "10.30.1.9"),
        r"two redundancy groups are named 'gateways'",
    ),
    (
        "\nlinks:\n",
        SECOND.replace("NAME", "more").replace("ADDRESS", "10.30.1.1"),
        r"redundancy more: 10\.30\.1\.1 belongs to the group gateways already",
    ),
]


@pytest.fixture
def lab(tmp_path):
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    return shutil.copytree(ROOT / "labs" / "multi-node-ha", tmp_path / "labs" / "multi-node-ha")


@pytest.mark.parametrize(("old", "new", "answer"), MISTAKES)
def test_a_mistake_is_answered_with_its_line(lab, old, new, answer):
    path = lab / "site.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        load_site(lab)
    assert re.search(rf"site\.yaml:\d+: .*{answer}", str(caught.value)), str(caught.value)


def test_the_lab_as_it_stands_has_one_group(lab):
    (group,) = load_site(lab).topology.groups
    assert (group.mode, group.members, len(group.virtual)) == (RedundancyMode.ACTIVE_STANDBY, ("fw1", "fw2"), 6)


def test_a_metric_is_a_number_that_linux_takes(lab):
    path = lab / "hosts.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("via: 10.30.1.1}", "via: 10.30.1.1, metric: -1}", 1), encoding="utf-8")
    with pytest.raises(SiteError, match=r"hosts\.yaml:\d+: routes\.0\.metric: Input should be greater than or equal"):
        load_site(lab)
    path.write_text(text.replace("via: 10.30.1.1}", "via: 10.30.1.1, metric: 20}", 1), encoding="utf-8")
    assert load_site(lab).topology.nodes["server1"].routes[0].metric == 20
