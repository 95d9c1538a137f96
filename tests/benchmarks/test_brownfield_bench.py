"""Large changes: 200 routers with a 5,000-line list of another team each, and a plan of 203 devices from end to end.

Run by `make benchmark`; printed are seconds of processor time. TOOLKIT_BENCH_RACKS and TOOLKIT_BENCH_LINES set the
size of the first, TOOLKIT_BENCH_NODES that of the second.
"""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.brownfield_site import write_brownfield
from tests.benchmarks.scale_site import write_site

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.benchmark

RACKS, LINES = int(os.environ.get("TOOLKIT_BENCH_RACKS", "200")), int(os.environ.get("TOOLKIT_BENCH_LINES", "5000"))
NODES = int(os.environ.get("TOOLKIT_BENCH_NODES", "1000"))
BEGIN = """
import gc, json, resource, sys, tempfile
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from toolkit.__main__ import PATIENT
from toolkit.render.work import Work

gc.set_threshold(*PATIENT)
work = Work(Path(sys.argv[1]))
seconds = {}
def timed(name, function):
    begin = process_time()
    found = function()
    seconds[name] = process_time() - begin
    return found
"""
END = """
print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, **facts}))
"""
EXTEND = """
timed("import", lambda: work.site)
timed("graph", lambda: (work.graph, work.graph.bundles))
timed("policy", lambda: work.policies)
rendered = timed("extend and prove", lambda: work.rendered)
theirs = [one for one in rendered.values() if one.candidate.existing]
facts = {"devices": len(theirs), "lines": sum(len(one.before.config.acls["CORP-IN"].lines) for one in theirs),
         "typed": sum(one.candidate.text.count(chr(10)) for one in theirs)}
"""
# The devices answer at once: their states are made up, and they route as the inventory declares.
PLAN = """
from toolkit.deploy import routes
from toolkit.render import recorded_state
from toolkit.verify.live import plan_change

class Target:
    def __init__(self, work, states):
        self.site, self.finder, self.states = work.site, work.finder, states
        hosts = {name: SimpleNamespace(platform=work.site.topology.node(name).platform) for name in states}
        self.nornir = SimpleNamespace(inventory=SimpleNamespace(hosts=hosts))

    def read(self, devices):
        return {name: self.states[name] for name in devices}

    def run(self, declared, task, queries=None):
        assert queries is not None or not declared  # only routes are asked for
        return {name: tuple(declared[name][query] for query in queries[name]) for name in declared}

def plan(work, states):
    with tempfile.TemporaryDirectory() as folder:
        return plan_change(work, Target(work, states), Path(folder))

timed("policy", lambda: work.policies)
empty = {name: recorded_state(work.site, work.finder, name) for name in work.policies}
first = timed("first plan", lambda: plan(work, empty))
after = {name: one.after for name, one in first.rendered.items()}
again = timed("nothing new", lambda: plan(work, after))
phase = work.site.file.settings.phase
other = Work(Path(sys.argv[1]), {"phase": "install" if phase != "install" else "steady"})
other.policies
changed = timed("another phase", lambda: plan(other, after))
facts = {"devices": len(first.plan.changed), "changed": [len(one.plan.changed) for one in (first, again, changed)]}
"""


def measure(script: str, folder: Path) -> dict:
    command = [sys.executable, "-c", BEGIN + script + END, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def show(title: str, row: dict) -> None:
    print(f"\n{title}")
    for name, seconds in row["seconds"].items():
        print(f"  {name:<18} {seconds:>8.2f} s")
    print(f"  {'all':<18} {sum(row['seconds'].values()):>8.2f} s, peak {row['peak']} MiB")


def test_lists_of_others_are_extended_and_proved(tmp_path):
    row = measure(EXTEND, write_brownfield(tmp_path, RACKS, LINES))
    show(f"{RACKS} routers with {LINES} lines of others each", row)
    each = row["seconds"]["extend and prove"] / row["devices"]
    print(f"  {1000 * each:.0f} ms a router, {row['typed'] / row['devices']:.0f} lines typed on each")
    assert row["devices"] == RACKS
    assert row["lines"] == RACKS * LINES


def test_a_plan_of_a_large_site(tmp_path):
    row = measure(PLAN, write_site(tmp_path, NODES))
    show(f"plan of {NODES} nodes and {row['devices']} devices, whose answers cost nothing", row)
    assert row["changed"][0] == row["devices"]
    assert row["changed"][1] == 0
    assert row["changed"][2] > 0
