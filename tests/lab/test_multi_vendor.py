"""Five vendors' command lines pushed over SSH in a lab, each filtering by its own reading of what it was sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces
from toolkit.errors import LabError
from toolkit.lab.backends import load_backend
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.plan import read
from toolkit.lab.rehearsal import Rehearsal
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
    assert plan.node("leaf2").bridges == (("eth1", "nodes_b"), ("eth2", "nodes_b"), ("eth3", "nodes_b"))
    assert (("leaf2", "eth3"), ("core1", "eth3")) in plan.links
    assert {node.name: node.system for node in plan.devices if node.system} == TWINS


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


def test_the_demo_says_at_once_that_it_needs_a_linux_device(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "demo", "-i", str(SITE)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "this site has none" in done.stderr
