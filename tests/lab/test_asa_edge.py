"""The lab of four vendors with an ASA at its edge: levels, an outbound list of somebody, and lists of ours above them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
PORTS = ("eth1", "eth2", "eth3")
EDGE = """ASA Version 9.16(3)
hostname edge1
interface GigabitEthernet0/0
 nameif inside
 security-level 100
 ip address 10.10.255.2 255.255.255.252
interface GigabitEthernet0/1
 nameif clients
 security-level 100
 ip address 10.20.0.1 255.255.255.0
interface GigabitEthernet0/2
 nameif outside
 security-level 0
 ip address 203.0.113.1 255.255.255.0
same-security-traffic permit inter-interface
access-list EDGE-3 extended deny tcp any any eq 135
access-list EDGE-3 extended deny tcp any any eq 139
access-list EDGE-3 extended deny tcp any any eq 445
access-list EDGE-3 extended permit ip any any
access-group EDGE-3 out interface outside
class-map inspection_default
 match default-inspection-traffic
policy-map global_policy
 class inspection_default
  inspect icmp
service-policy global_policy global
route inside 10.10.0.0 255.255.0.0 10.10.255.1 1
"""


@pytest.fixture
def site(tmp_path):
    """The site of the lab, its edge firewall an ASA; what comes from its lowest level reaches nobody."""
    folder = tmp_path / "asa-edge"
    shutil.copytree(ROOT / "labs" / "multi-vendor", folder)
    (folder / "configs" / "edge1.cfg").write_text(EDGE, encoding="utf-8")
    hosts, groups, links, rows = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("hosts.yaml", "groups.yaml", "site.yaml", "expectations.csv")
    )
    before, edge, after = hosts.partition("\nedge1:\n")
    for number, port in enumerate(PORTS):
        after = after.replace(f"      {port}:", f"      GigabitEthernet0/{number}:")
        links = links.replace(f"edge1:{port}", f"edge1:GigabitEthernet0/{number}")
    after = after.replace("configs/edge1.nft", "configs/edge1.cfg")
    groups = groups.replace("platform: linux_nftables", "platform: cisco_asa")
    links = links.replace("linux_nftables: os", "cisco_asa: twin").replace("../../inventory", str(ROOT / "inventory"))
    rest = "*,*,*,*,permitted,,Nobody filters it today"
    assert rest in rows
    rows = rows.replace(rest, f"internet,*,*,*,denied,,It has the lowest level\n{rest}")
    texts = {"hosts.yaml": before + edge + after, "groups.yaml": groups, "site.yaml": links, "expectations.csv": rows}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(site, *arguments):
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", str(site), *arguments, "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_whole_matrix_holds_behind_an_asa(site):
    code, found = run(site)
    assert (code, found["matrix"]["wrong"], found["matrix"]["inconclusive"]) == (0, 0, 0)
    assert found["matrix"]["permitted"] > 800
    assert found["matrix"]["denied"] > 1000
    assert found["twins"]["edge1"] == "cisco_asa"
    assert found["certificate"]["levels"]["edge1"] == "twin"


def test_what_levels_deny_is_missed_where_the_hand_written_rows_permit_it(site):
    rows = site / "expectations.csv"
    rows.write_text(
        rows.read_text(encoding="utf-8").replace(
            "internet,*,*,*,denied,,It has", "internet,jump_server,*,*,denied,,It has"
        )
    )
    code, found = run(site)
    assert (code, found["ok"]) == (4, False)
    assert found["matrix"]["wrong"] > 50
