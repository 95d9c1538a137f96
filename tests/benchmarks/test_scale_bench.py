"""The whole way on a generated site: plan, push over SSH, a sample of the matrix; seconds of each stage, per node."""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces
from tests.lab.scale_site import write_site

pytestmark = [pytest.mark.benchmark, pytest.mark.lab]
NODES = 69  # hosts and devices


def test_a_change_of_fifty_nodes_and_twelve_devices_is_rehearsed(tmp_path):
    need_namespaces()
    write_site(tmp_path / "site", sample=2000)
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", "-i", "site", "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    outcome = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert outcome["matrix"]["probes"] == 2000
    assert outcome["matrix"]["permitted"] > 900
    assert outcome["matrix"]["denied"] > 900
    for stage, seconds in outcome["timings"].items():
        print(f"{stage:10} {seconds:7.2f} s  {seconds / NODES * 1000:7.1f} ms a node")
