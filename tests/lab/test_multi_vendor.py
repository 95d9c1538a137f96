"""Five vendors' command lines pushed over SSH in a lab, each filtering by its own reading of what it was sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces
from toolkit.errors import LabError
from toolkit.lab.backends import load_backend
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.plan import read
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.tamper import permits
from toolkit.lab.topology_file import write
from toolkit.lab.twins.initial import initial_config
from toolkit.platforms import get
from toolkit.render.work import Work
from toolkit.verify import verify_live

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
SITE = ROOT / "labs" / "multi-vendor"
TWINS = {
    "leaf1": "arista_eos", "leaf2": "cisco_nxos", "leaf3": "juniper_junos", "core1": "cisco_ios", "edge1": "cisco_asa",
}  # fmt: skip


def run(place, *arguments):
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", str(SITE), *arguments, "--json"],
        cwd=place, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_whole_matrix_holds_on_five_vendors(tmp_path):
    code, found = run(tmp_path)
    assert (code, found["matrix"]["wrong"], found["matrix"]["inconclusive"]) == (0, 0, 0)
    assert found["matrix"]["probes"] > 2000
    assert found["matrix"]["denied"] > 1000
    assert all(one["healthy"] for one in found["services"].values())
    assert found["twins"] == TWINS
    levels = found["certificate"]["levels"]
    assert levels == dict.fromkeys(TWINS, "twin")


def test_twins_that_are_broken_on_purpose_are_found_out(tmp_path):
    code, found = run(tmp_path, "--break", "permit-any")
    assert (code, found["ok"]) == (4, False)
    assert found["matrix"]["wrong"] > 1000


def test_a_second_plan_is_empty_a_reboot_keeps_what_was_saved_and_rollback_restores(tmp_path):
    need_namespaces()

    def body():
        work = Work(SITE)
        with Rehearsal(work, STATE / "runs") as lab:
            first = {device: state.fingerprint() for device, state in lab.read().items()}
            planned = lab.make_plan()
            assert set(planned.plan.changed) == set(TWINS)
            assert planned.plan.waves == (("leaf2",), ("leaf1", "leaf3"), ("core1",), ("edge1",))
            assert "edge1 waits for core1: 18 ways close, and that is their near end" in planned.plan.order
            assert set(lab.push(planned).changed) == set(TWINS)
            assert lab.make_plan().plan.changed == ()
            for device in TWINS:
                lab.lab.reboot(device)
            lab.target.close()
            states = lab.read()
            assert all(proof.equivalent for proof in verify_live(work.policies, states, work.space, work.ordinary))
            rolled = lab.rollback(planned)
            assert set(rolled.rolled_back) == set(TWINS)
            assert {device: state.fingerprint() for device, state in lab.read().items()} == first
        return 0

    assert run_inside(body) == 0


def plan_of(tmp_path):
    path = tmp_path / "multi-vendor.clab.yml"
    write(Work(SITE).site, path)
    return path, read(path)


def test_cables_are_numbered_and_the_file_says_whose_they_are(tmp_path):
    _, plan = plan_of(tmp_path)
    assert dict(plan.node("leaf2").names) == {"Ethernet1/1": "eth1", "Ethernet1/2": "eth2", "Ethernet1/3": "eth3"}
    assert plan.node("leaf3").bridges == tuple((f"eth{number}", "services") for number in (1, 2, 3, 4))
    assert dict(plan.node("leaf2").addresses) == {
        "eth1": "10.10.2.1/28",
        "eth2": "10.10.2.17/28",
        "eth3": "10.10.255.6/30",
    }
    assert (("leaf2", "eth3"), ("core1", "eth3")) in plan.links
    assert {node.name: node.system for node in plan.devices if node.system} == TWINS


def test_a_switch_with_routed_ports_forwards_and_one_with_bridged_ports_does_not(tmp_path):
    _, plan = plan_of(tmp_path)
    assert dict(plan.node("leaf2").sysctls)["net.ipv4.ip_forward"] == "1"
    assert dict(plan.node("leaf1").sysctls)["net.ipv4.ip_forward"] == "0"


def test_containerlab_wants_images_for_vendors_devices(tmp_path):
    path, _ = plan_of(tmp_path)
    with pytest.raises(LabError, match=r"leaf1, leaf2, leaf3, core1, edge1: twins .* name an image"):
        load_backend("containerlab").open(path, SITE)


@pytest.mark.parametrize("device", [name for name in TWINS if name != "edge1"])  # which has a file of its own
def test_what_a_twin_boots_from_is_read_without_a_filter(tmp_path, device):
    _, plan = plan_of(tmp_path)
    work = Work(SITE)
    platform = get(TWINS[device])
    from toolkit.render import context

    where = context(work.site, work.finder, device)
    state = platform.parse_config(initial_config(plan.node(device)), f"{device}.cfg", where, platform.empty(where))
    assert state.fingerprint() == platform.empty(where).fingerprint()


def test_the_whole_demo_runs_on_vendors_devices_alone(tmp_path):
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "demo", "-i", str(SITE)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert sum(line.startswith("    ok (") for line in told) == 13
    assert not [line for line in told if "FAILED" in line]
    for line in (
        "    1 of 94 required flows are denied, live",
        "    differs from its policy: edge1",
        "    changed: edge1",
        "    every device is equal to its policy again",
        "    every filter has the fingerprint that it had before",
    ):
        assert line in told
    removed = next(line for line in told if "removed, typed over SSH by somebody else: " in line)
    assert re.search(r": no access-list uipath_\S+ extended permit tcp 10\.20\.0\.0 .* eq https$", removed)
    assert any(
        re.match(r"    probes: \d+, permitted: \d+, denied: \d+, wrong: 0, inconclusive: 0$", one) for one in told
    )


def test_an_entry_that_somebody_removes_is_found_and_mended_on_each_of_them():
    need_namespaces()

    def body():
        work = Work(SITE)
        with Rehearsal(work, STATE / "runs") as lab:
            lab.push(lab.make_plan())
            removed = {device: lab.remove_rule(device) for device in TWINS}
            assert removed["leaf3"].startswith("delete firewall family ethernet-switching filter uipath_ge-0-0-")
            assert re.match(r"ip access-list uipath_\S+; no permit ", removed["leaf1"])
            assert re.match(r"ip access-list extended uipath_\S+; no permit ", removed["core1"])
            proofs = verify_live(work.policies, lab.read(), work.space, work.ordinary)
            for proof in proofs:
                assert not proof.equivalent, f"{proof.device}: {removed[proof.device]}"
                assert {one.kind for one in proof.witnesses} == {"required_denied"}
                assert all(one.requirements for one in proof.witnesses), "nothing else was taken away"
            assert set(lab.push(lab.make_plan()).changed) == set(TWINS)
            again = verify_live(work.policies, lab.read(), work.space, work.ordinary)
            assert all(proof.equivalent for proof in again)
        return 0

    assert run_inside(body) == 0


def test_what_is_removed_is_an_initiation_that_a_page_asks_for():
    text = """ip access-list uipath_x
 10 remark tcp-22 (page line 9), answers
 20 permit tcp host 10.0.0.1 eq 22 any established
 30 remark dns (site-baseline)
 40 permit udp any any eq 53
 50 remark tcp-443 (page line 11)
 60 permit tcp any any eq 443
 70 deny ip any any
"""
    assert list(permits("cisco_nxos", text)) == [
        ("configure terminal", "ip access-list uipath_x", "no permit tcp any any eq 443", "end")
    ]
    assert list(permits("cisco_nxos", text.replace("(page line 11)", "(site-baseline)"))) == []
    terms = "set firewall family inet filter uipath_x term 0010-tcp-22-page-line-9{} then accept\n"
    assert list(permits("juniper_junos", terms.format("-answers"))) == []
    assert list(permits("juniper_junos", terms.format("").replace("accept", "discard"))) == []
    assert list(permits("juniper_junos", terms.format(""))) == [
        ("configure", "delete firewall family inet filter uipath_x term 0010-tcp-22-page-line-9", "commit", "exit")
    ]


SCENARIO = """---
about: a push to five vendors' devices breaks on the way, is taken back, is killed, and goes on
steps:
  - at: The router reboots right after it was changed, before anything was saved
    do:
      - push:
          faults:
            - at: {device: core1, step: sent}
              do: [reboot: core1]
    expect:
      - push: rolled back
      - journal: {leaf2: rolled_back, leaf1: rolled_back, leaf3: rolled_back, core1: rolled_back, edge1: untouched}
      - filters: {leaf1: old, leaf2: old, leaf3: old, core1: old, edge1: old}
  - at: The firewall reboots as its first line is on its way, and the toolkit is killed
    do:
      - push:
          faults:
            - at: {device: edge1, step: sending}
              do: [reboot: edge1, kill: toolkit]
    expect:
      - push: killed
      - journal: {leaf2: verified, leaf1: verified, leaf3: verified, core1: verified, edge1: sending}
      - filters: {leaf1: new, leaf2: new, leaf3: new, core1: new, edge1: old}
  - at: Going on where the journal ends
    do:
      - push: {resume: true}
    expect:
      - push: applied
      - journal: {leaf2: saved, leaf1: saved, leaf3: saved, core1: saved, edge1: saved}
      - filters: {leaf1: new, leaf2: new, leaf3: new, core1: new, edge1: new}
      - proof: holds
      - services: healthy
      - matrix: expectations.csv
"""


def test_a_push_that_breaks_on_the_way_is_taken_back_and_one_that_was_killed_goes_on(tmp_path):
    need_namespaces()
    (tmp_path / "inventory").symlink_to(ROOT / "inventory")
    shutil.copytree(SITE, tmp_path / "labs" / "multi-vendor")
    (tmp_path / "labs" / "multi-vendor" / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", "multi-vendor", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True
