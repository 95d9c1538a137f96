"""How cost grows with nodes: import, graph, paths with policy, render with proof; run by `make benchmark`.

Each size runs in a process of its own, so that its peak memory is its own. Printed are seconds of processor time, which a
busy machine changes less than the clock.
"""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.scale_site import write_site

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.benchmark

STAGES = ("import", "graph", "policy", "render")
SIZES = (10, 100, 1000)  # nodes, in racks of fifty with ten devices each
SAME_DEVICES = (160, 500, 1000)  # nodes behind the same 203 devices

MEASURE = """
import gc, json, resource, sys
from pathlib import Path
from time import process_time
from toolkit.__main__ import PATIENT
from toolkit.render.work import Work

gc.set_threshold(*PATIENT)
work = Work(Path(sys.argv[1]))
seconds = {}
for stage, name in (("import", "site"), ("graph", "graph"), ("policy", "policies"), ("render", "rendered")):
    begin = process_time()
    getattr(work, name)
    if name == "graph":
        work.graph.bundles
    seconds[stage] = process_time() - begin
print(json.dumps({
    "seconds": seconds,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "devices": len(work.site.topology.devices),
    "entries": sum(len(acl.entries) for policy in work.policies.values() for acl in policy.acls),
    "bytes": sum(len(one.candidate.text) for one in work.rendered.values()),
    "proved": len(work.rendered),
}))
"""


def measure(folder: Path) -> dict:
    command = [sys.executable, "-c", MEASURE, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def show(title: str, rows: dict[int, dict]) -> None:
    print(f"\n{title}")
    print(f"{'nodes':>6} {'devices':>8} {'entries':>8} {'MB text':>8} " + " ".join(f"{s:>8}" for s in STAGES), end="")
    print(f" {'total':>8} {'peak MiB':>9} {'ms/entry':>9}")
    for nodes, row in rows.items():
        seconds = [row["seconds"][stage] for stage in STAGES]
        print(f"{nodes:>6} {row['devices']:>8} {row['entries']:>8} {row['bytes'] / 1e6:>8.1f} ", end="")
        print(" ".join(f"{one:>7.2f}s" for one in seconds), end="")
        print(f" {sum(seconds):>7.2f}s {row['peak']:>9} {1000 * sum(seconds) / row['entries']:>9.2f}")


def test_racks_grow_with_nodes(tmp_path):
    rows = {nodes: measure(write_site(tmp_path / str(nodes), nodes)) for nodes in SIZES}
    show("racks of fifty nodes and ten devices (seconds of processor time)", rows)
    assert all(row["proved"] == row["devices"] for row in rows.values())


def test_nodes_grow_behind_the_same_devices(tmp_path):
    rows = {nodes: measure(write_site(tmp_path / str(nodes), nodes, per_rack=nodes // 20)) for nodes in SAME_DEVICES}
    show("the same 20 racks and 203 devices (seconds of processor time)", rows)
    assert len({row["devices"] for row in rows.values()}) == 1
