"""Witnesses of the proof, sent through a real device: the wire says what the proof claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys
from pathlib import Path
from toolkit.lab.inject import observe
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.render.work import Work
from toolkit.platforms.base import ConnState
from toolkit.verify import verify_live

EDITS = {
    "leaf1": [("drop", "tcp dport 2380", None), ("flip", "tcp dport 10250", "accept", "drop"),
              ("widen", "tcp dport 9090", "9090", "9090-9091"), ("established", "tcp sport 2379", "tcp flags ack,rst ", "")],
    "leaf2": [("drop", "udp dport 8472", None), ("widen", "tcp dport 587", "587", "587-600")],
    "fw1": [("drop", "tcp dport 1433", None), ("widen", "tcp dport 6443", "6443", "6443-6444")],
    "fw2": [("drop", "tcp dport 443", None), ("flip", "ip daddr { 10.10.1.11", "drop", "accept")],
}

def main():
    work = Work(Path("inventory"))
    found = []
    with Rehearsal(work, STATE / "runs") as lab:
        planned = lab.make_plan()
        lab.push(planned)
        owner = {a: n.name for n in work.site.topology.hosts for a in n.addresses}
        devices = {d.name: lab.lab.namespaces[d.name] for d in lab.plan.devices}
        switches = [d.name for d in lab.plan.devices if d.bridges]
        for device, edits in EDITS.items():
            text = planned.rendered[device].candidate.text
            for name, where, old, *new in edits:
                lines = text.splitlines(keepends=True)
                at = [n for n, line in enumerate(lines) if where in line]
                for n in at if name == "drop" else at[:1]:
                    lines[n] = "" if old is None else lines[n].replace(old, new[0])
                edited = "".join(l for l in lines if not (device == "fw1" and l.startswith("insert rule")))
                done = lab.lab.devices[device].inside(["/usr/sbin/nft", "-f", "-"], edited)
                assert done.returncode == 0, done.stderr
                state = lab.read()[device]
                (proof,) = verify_live(work.policies, {device: state}, work.space, work.ordinary)
                assert proof.witnesses, (device, name)
                for one in proof.witnesses:
                    if one.state is not ConnState.NEW or one.packet.src not in owner or one.packet.dst not in owner:
                        continue
                    hops = [h for p in work.finder.paths(owner[one.packet.src], owner[one.packet.dst], one.packet.dst) for h in p.hops]
                    if (device, one.interface) not in [(h.device, h.in_interface) for h in hops]:
                        continue  # it does not come in there from its owner
                    only = {device: devices[device]}
                    seen = observe(one.packet, lab.lab.namespaces[owner[one.packet.src]], lab.lab.namespaces[owner[one.packet.dst]],
                                   devices=devices, switches=switches)
                    left = {s.node for s in seen.path if s.leaving}
                    found.append({"device": device, "edit": name, "witness": str(one), "claimed": str(one.decision.action.verdict),
                                  "seen": "permitted" if device in left else "denied" if any(s.node == device for s in seen.path) else "elsewhere"})
                lab.lab.devices[device].inside(["/usr/sbin/nft", "-f", "-"], text if device != "fw1" else
                    "".join(l for l in text.splitlines(keepends=True) if not l.startswith("insert rule")))
    Path(sys.argv[1]).write_text(json.dumps(found))
    return 0

sys.exit(run_inside(main))
"""


def test_every_witness_gets_the_verdict_that_it_claims(tmp_path):
    result = tmp_path / "witnesses.json"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(result)], cwd=ROOT, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(result.read_text())
    assert {row["device"] for row in rows} == {"leaf1", "leaf2", "fw1", "fw2"}
    assert {row["claimed"] for row in rows} == {"permitted", "denied"}
    wrong = [row for row in rows if row["seen"] not in (row["claimed"], "elsewhere")]
    assert not wrong
    assert sum(row["seen"] != "elsewhere" for row in rows) >= 8


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
