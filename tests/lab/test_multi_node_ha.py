"""Two firewalls of which one fails: the model's verdicts on every failure, and live ones on the lab.

Live failovers are judged on new connections, with the virtual gateways moved as VRRP would move them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lab.reference_lab import need_namespaces
from toolkit.errors import LabError
from toolkit.lab.faults import Faults
from toolkit.lab.namespaces import program, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.scenario import Fault
from toolkit.net import Verdict
from toolkit.paths import HEALTHY, Failure, single_failures
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "labs" / "multi-node-ha"
NFT = "/usr/sbin/nft"
# Beside those that the scenario plays; every single failure is judged on the model.
SAMPLE = ("fw1", "fw1:eth6 -- edge1:eth5", "fw2", "server2:eth1 -- leaf1:eth2")


class Lab:
    """The lab with the policy pushed, and ways to break it and to mend it."""

    def __init__(self, rehearsal):
        self.rehearsal = rehearsal
        self.lab = rehearsal.lab
        self.work = rehearsal.work
        rehearsal.push(rehearsal.make_plan())
        assert all(one.healthy for one in rehearsal.wait_healthy())
        self.faults = Faults(rehearsal.lab, rehearsal.services, rehearsal.failover)

    def fail(self, failure):
        for name in failure.nodes:
            self.faults.apply(Fault(stop=name))
        for one, _ in failure.links:
            self.faults.apply(Fault(link_down=":".join(one)))
        assert self.faults.failure == failure

    def mend(self, failure):
        for name in failure.nodes:
            self.faults.apply(Fault(start=name))
        for one, _ in failure.links:
            self.faults.apply(Fault(link_up=":".join(one)))
        assert self.faults.failure == HEALTHY

    def ip(self, node, *words):
        done = self.lab.run(node, [program("ip"), *words])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def matrix(self):
        states = {device: one.after for device, one in self.work.rendered.items()}
        return self.rehearsal.matrix(states, FOLDER / "expectations.csv")


def holds(tmp_path, body):
    """Run `body(lab)` in a lab of its own; a failed assertion in there fails the test here."""
    need_namespaces()
    work = Work(FOLDER)
    _ = work.rendered

    def inside():
        with Rehearsal(work, tmp_path) as rehearsal:
            body(Lab(rehearsal))
        return 0

    assert run_inside(inside) == 0, "the traceback of the child stands in the captured output"


def named(lab, text):
    (found,) = [one for one in single_failures(lab.work.site.topology) if str(one) == text]
    return found


def bad(matrix):
    return [cell for cell in matrix.cells if cell.wrong or cell.live is Verdict.INCONCLUSIVE]


def gateway(lab):
    """The hardware address that jump1 sends to when it sends to its gateway."""
    return json.loads(lab.ip("jump1", "-j", "neigh", "show", "10.30.30.1"))[0]["lladdr"]


def hardware(lab, device):
    return json.loads(lab.ip(device, "-j", "link", "show", "eth3"))[0]["address"]


def test_after_each_failover_required_flows_pass_and_nothing_else_does(tmp_path):
    """A sample of the single failures; all of them with TOOLKIT_FAILURES=all."""

    def body(lab):
        everything = [str(one) for one in single_failures(lab.work.site.topology)]
        whole = lab.matrix()
        assert whole.ok, bad(whole)[:5]
        for text in everything if os.environ.get("TOOLKIT_FAILURES") == "all" else SAMPLE:
            failure = named(lab, text)
            lab.fail(failure)
            moved = "fw1" in text
            holder = "fw2" if moved else "fw1"
            assert lab.rehearsal.failover.seen("gateways") == (holder,)
            assert gateway(lab) == hardware(lab, holder)  # told at once, and not when the old entry has aged
            matrix = lab.matrix()
            assert matrix.ok, (text, bad(matrix)[:5])
            if "fw1" in text or "fw2" in text:
                # Nothing is cut off, and every cell has the verdict that it had before.
                assert matrix.counts == whole.counts
                witnesses = {cell.evidence.partition(":")[0] for cell in matrix.cells if cell.live is Verdict.DENIED}
                assert ("fw2" in witnesses, "fw1" in witnesses) == ((True, False) if moved else (False, True))
            else:
                assert 0 < matrix.counts["probes"] < whole.counts["probes"]
            lab.mend(failure)
            assert lab.rehearsal.failover.seen("gateways") == ("fw1",)
        again = lab.matrix()
        assert again.ok, bad(again)[:5]
        assert again.counts == whole.counts

    holds(tmp_path, body)


def test_a_failover_that_does_not_happen_is_seen(tmp_path):
    def body(lab):
        with pytest.raises(LabError, match=r"links of edge1 are not as the failure \(fw1\) says: eth2 is up"):
            lab.rehearsal.failover.settle(Failure(nodes=("fw1",)))
        lab.faults.stop("fw1")  # and nobody moves the gateways
        matrix = lab.matrix()
        silent = [cell for cell in bad(matrix) if cell.live is Verdict.INCONCLUSIVE and cell.requirements]
        assert not matrix.ok
        assert len(silent) > 100

    holds(tmp_path, body)


def test_a_standby_without_its_permits_is_seen_in_the_failover_only(tmp_path):
    def body(lab):
        for interface in ("eth1", "eth2"):
            where = ["inet", "uipath", f"uipath_{interface}_in"]
            listing = lab.lab.run("fw2", [NFT, "-a", "list", "chain", *where]).stdout
            rules = [line for line in listing.splitlines() if "sql-server" in line]
            assert len(rules) == 1
            handle = rules[0].rpartition(" # handle ")[2]
            assert lab.lab.run("fw2", [NFT, "delete", "rule", *where, "handle", handle]).returncode == 0
        assert lab.matrix().ok
        lab.fail(Failure(nodes=("fw1",)))
        wrong = bad(lab.matrix())
        assert {(cell.destination, cell.protocol, cell.port) for cell in wrong} == {("sql1", "tcp", 1433)}
        assert {cell.source for cell in wrong} == {"server1", "server2", "server3", "agent1", "agent2"}
        assert {cell.wrong for cell in wrong} == {"live"}

    holds(tmp_path, body)
