"""Sessions through the ASA of the multi-vendor lab while its filter is tightened, and nothing else is changed."""

from __future__ import annotations

import contextlib
import socket
from importlib import import_module

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces
from toolkit.deploy import Options, apply, make_plan, rollback, save_plan
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.wire import network
from toolkit.platforms import get
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
SITE = ROOT / "labs" / "multi-vendor"
PORT = 5999
LONG, SHORT = 10.0, 1.0  # seconds to wait for what must come, and for what must not


class Talk:
    """A TCP session between two hosts."""

    def __init__(self, lab, source, goal, port=PORT, wait=LONG):
        address = str(lab.work.site.topology.node(goal).addresses[0])
        with network(lab.lab.namespaces[goal]), socket.create_server((address, port)) as server:
            with network(lab.lab.namespaces[source]):
                self.client = socket.create_connection((address, port), wait)
            server.settimeout(LONG)
            self.server, _ = server.accept()

    def passes(self, wait=LONG) -> bool:
        """Whether what one end says arrives at the other, in both directions."""
        for one, other in ((self.client, self.server), (self.server, self.client)):
            other.settimeout(wait)
            one.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                if other.recv(1) == b"x":
                    continue
            return False
        return True


def tightened(lab):
    """A plan for the ASA alone, with its folder and candidate: the lists of the others would end sessions too."""
    running = {"edge1": lab.target.read(["edge1"])["edge1"]}
    rendered = {"edge1": lab.work.rendered["edge1"]}
    change = get("cisco_asa").change(rendered["edge1"].candidate, running["edge1"])
    plan = make_plan(lab.work.site, rendered, running, {"edge1": change})
    return plan, save_plan(plan, lab.runs, running), {"edge1": rendered["edge1"].candidate}


def test_a_session_that_is_denied_now_is_cut_and_another_one_stays(monkeypatch):
    need_namespaces()

    def body():
        with Rehearsal(Work(SITE), STATE / "runs") as lab:
            closed = Talk(lab, "node1", "client1")  # today security levels let it through, and nothing asks for it
            beside = Talk(lab, "dns1", "client1")  # no business of ours
            assert closed.passes()
            assert beside.passes()
            plan, folder, candidates = tightened(lab)
            with monkeypatch.context() as patch:
                patch.setattr(import_module("toolkit.deploy.apply"), "end_denied", lambda *_: 0)
                apply(plan, folder, lab.target, candidates, Options(rehearsal=True))
            assert closed.passes(), "a list is asked about first packets only"
            with pytest.raises(TimeoutError):
                Talk(lab, "node1", "client1", PORT + 1, SHORT)
            rollback(plan, folder, lab.target, Options(rehearsal=True))
            plan, folder, candidates = tightened(lab)
            outcome = apply(plan, folder, lab.target, candidates, Options(rehearsal=True))
            assert outcome.ended_sessions >= 1
            assert not closed.passes(SHORT)
            assert beside.passes()
        return 0

    assert run_inside(body) == 0
