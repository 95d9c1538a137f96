"""Balancers that keep their clients' addresses, on live traffic: the whole matrix, and who answers from where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.balanced_site import make_site
from tests.lab.reference_lab import need_namespaces

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, socket, sys
from pathlib import Path
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.wire import network
from toolkit.render.work import Work

def peer(lab):
    # who node2 sees when client1 connects to the virtual address: asked of the kernel of each node
    seen = set()
    for _ in range(24):
        with network(lab.lab.namespaces["client1"]):
            one = socket.create_connection(("10.10.2.20", 443), timeout=2)
        for node in ("node1", "node2", "node3"):
            listing = lab.lab.run(node, ["/usr/bin/ss", "-Htan", "( sport = :443 )"]).stdout
            seen |= {(a.rpartition(":")[0], b.rpartition(":")[0]) for a, b in (line.split()[3:5] for line in listing.splitlines() if not line.startswith("LISTEN"))}
        one.close()
    return sorted(seen)

def main():
    work = Work(Path(sys.argv[1]))
    with Rehearsal(work, STATE / "runs") as lab:
        before = lab.matrix(lab.read(), None)
        planned = lab.make_plan()
        lab.push(planned)
        services = {one.name: one.healthy for one in lab.wait_healthy()}
        matrix = lab.matrix(lab.read(), None)
        wrong = [str(cell) for cell in matrix.cells if cell.wrong][:5]
        print(json.dumps({"counts": matrix.counts, "before": before.counts, "services": services, "peers": peer(lab), "wrong": wrong}))
    return 0

sys.exit(run_inside(main))
"""


def rehearse(folder):
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], cwd=ROOT, text=True, capture_output=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("mode", "options"), [("transparent", {"snat_roles": ["node"]}), ("dsr", {"through_balancer": ()})]
)
def test_the_whole_matrix_holds_and_servers_see_the_clients_own_address(tmp_path, mode, options):
    found = rehearse(make_site(tmp_path / "site", mode, **options))
    assert found["counts"]["wrong"] == found["counts"]["inconclusive"] == 0, found["wrong"]
    assert found["counts"]["permitted"] > 100
    assert all(found["services"].values()), found["services"]
    clients = {client for _, client in found["peers"]}
    assert "10.20.0.10" in clients
    assert "10.10.2.21" not in {c for s, c in found["peers"] if mode == "dsr" and s == "10.10.2.20"}
    answering = {server for server, client in found["peers"] if client == "10.20.0.10"}
    if mode == "dsr":
        assert answering == {"10.10.2.20"}  # the server's end of the connection is the virtual address
    else:
        assert answering <= {"10.10.2.11", "10.10.2.12", "10.10.2.13"}
