"""Witnesses of the proof, sent through a real device: the wire says what the proof claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]


def test_every_witness_gets_the_verdict_that_it_claims_and_the_opposite_without_the_edit(tmp_path):
    """A sample of the edits; all of them with TOOLKIT_EDITS=all."""
    result = tmp_path / "witnesses.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.witness_lab", str(result)],
        cwd=ROOT, text=True, capture_output=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(result.read_text()) if row["witness"]]
    assert {row["device"] for row in rows} == {"leaf1", "leaf2", "fw1", "fw2"}
    assert {row["claimed"] for row in rows} == {True, False}
    assert {row["state"] for row in rows} >= {"new", "established"}
    wrong = [row for row in rows if row["seen"] != row["claimed"] or row["without"] == row["claimed"]]
    assert not wrong, json.dumps(wrong[:5], indent=1)


FRAGMENT = """
import sys
from ipaddress import IPv4Address
from pathlib import Path
from toolkit.lab.inject import observe
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.net import TCP, Packet
from toolkit.render.work import Work

def main():
    with Rehearsal(Work(Path("inventory")), STATE / "runs") as lab:
        lab.push(lab.make_plan())
        devices = {d.name: lab.lab.namespaces[d.name] for d in lab.plan.devices}
        ends = (lab.lab.namespaces["node1"], lab.lab.namespaces["node2"])
        address = (IPv4Address("10.10.1.11"), IPv4Address("10.10.1.12"))
        for packet in (Packet(*address, TCP, 40000, 2379), Packet(*address, TCP, fragment=True)):
            print(observe(packet, *ends, devices=devices, switches=["leaf1", "leaf2"]).verdict)
    return 0

sys.exit(run_inside(main))
"""


def test_a_later_fragment_is_denied_where_its_first_packet_passes():
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENT], cwd=ROOT, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["permitted", "denied"], done.stderr
