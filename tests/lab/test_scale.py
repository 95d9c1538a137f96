"""A generated site of 50 nodes and 12 devices comes up, is probed, and goes; how long it takes per node is printed."""

from __future__ import annotations

import time

import pytest

from tests.lab.reference_lab import need_namespaces
from tests.lab.scale_site import write_site
from toolkit.lab.faults import Faults
from toolkit.lab.matrix import pick
from toolkit.lab.namespaces import run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.scenario import Block
from toolkit.net import Verdict
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("scenarios")]
PROBES = 2000
PORT = 2379


def test_fifty_nodes_come_up_are_probed_and_go(tmp_path, record_property):
    need_namespaces()
    work = Work(write_site(tmp_path / "site"))
    nodes = work.site.topology.nodes
    assert len(work.site.file.bindings["node"].hosts) == 50
    assert len(work.site.topology.devices) == 12
    report = tmp_path / "seconds"

    def inside():
        seconds = [time.perf_counter()]
        with Rehearsal(work, tmp_path / "runs") as rehearsal:
            seconds.append(time.perf_counter())
            assert all(one.healthy for one in rehearsal.wait_healthy())
            Faults(rehearsal.lab, rehearsal.services, rehearsal.failover).block(Block(device="leaf1", port=PORT))
            probes = pick(rehearsal.probes(), lambda probe: probe.port == PORT, PROBES, 9)
            measured = rehearsal.measure(probes)
            seconds.append(time.perf_counter())
            _judge(measured, work.site.topology)
            done = time.perf_counter()
        seconds[-1] += time.perf_counter() - done
        up, all_of_it = seconds[1] - seconds[0], seconds[2] - seconds[0]
        report.write_text(
            f"{len(nodes)} nodes: up in {up:.1f} s ({up / len(nodes) * 1000:.0f} ms a node), "
            f"with {len(probes)} probes and down {all_of_it:.1f} s ({all_of_it / len(nodes) * 1000:.0f} ms a node)"
        )
        return 0

    assert run_inside(inside) == 0, "the traceback of the child stands in the captured output"
    record_property("figure", report.read_text())  # printed at the end of the test run


def _judge(measured, topology):
    """Nothing filters but the one port on leaf1, so a cell is denied just where it crosses leaf1 on that port."""
    on_leaf1 = {topology.peer["leaf1", interface][0] for interface in topology.nodes["leaf1"].interfaces}
    denied = 0
    for one in measured:
        probe = one.observation.probe
        crosses = bool({probe.source, probe.destination} & on_leaf1)
        wanted = Verdict.DENIED if crosses and (probe.protocol, probe.port) == ("tcp", PORT) else Verdict.PERMITTED
        assert one.live is wanted, one
        assert wanted is Verdict.PERMITTED or one.evidence.startswith("leaf1: entered on ")
        denied += wanted is Verdict.DENIED
    assert len(measured) == PROBES
    assert 100 < denied < PROBES // 2
