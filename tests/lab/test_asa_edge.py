"""The multi-vendor lab with another ASA at its edge: equal levels, an outbound list of somebody, lists of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
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


EDGE_ROWS = """*,internet,tcp,135,denied,,EDGE-3
*,internet,tcp,139,denied,,EDGE-3
*,internet,tcp,445,denied,,EDGE-3
internet,*,*,*,denied,,From level 0 to any other
"""


@pytest.fixture
def site(tmp_path):
    """The site of the lab with another edge: two interfaces of one level that may talk, and an outbound list."""
    folder = tmp_path / "asa-edge"
    shutil.copytree(ROOT / "labs" / "multi-vendor", folder)
    (folder / "configs" / "edge1.cfg").write_text(EDGE, encoding="utf-8")
    settings = folder / "site.yaml"
    text = settings.read_text(encoding="utf-8")
    text = text.replace("../../inventory", str(ROOT / "inventory"))
    # A port that the outbound list denies is measured too.
    settings.write_text(text.replace("extra_ports: [", "extra_ports: [tcp/445, "), encoding="utf-8")
    rows = folder / "expectations.csv"
    kept, edge, rest = rows.read_text(encoding="utf-8").partition("# ---- not ours: ")
    last = rest[rest.index("# ---- the rest") :]
    assert edge
    rows.write_text(f"{kept}# ---- not ours\n{EDGE_ROWS}{last}", encoding="utf-8")
    return folder


def run(site, *arguments):
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", str(site), *arguments, "--json"],
        cwd=site.parent, capture_output=True, text=True, timeout=300, check=False,
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
        rows.read_text(encoding="utf-8").replace("internet,*,*,*,denied", "internet,jump_server,*,*,denied")
    )
    code, found = run(site)
    assert (code, found["ok"]) == (4, False)
    assert found["matrix"]["wrong"] > 50
