"""A plan refuses devices that route otherwise than the inventory declares: their rules would stand in the wrong places."""

from __future__ import annotations

import pytest

from tests.lab.reference_lab import INVENTORY, need_namespaces
from toolkit.deploy.routes import declared_hops
from toolkit.errors import DeployError
from toolkit.lab.namespaces import STATE, program, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.platforms.base import NextHop
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def test_every_routed_hop_of_the_paths_is_asked_for():
    work = Work(INVENTORY)
    assert work.policies
    declared = declared_hops(work.finder)
    assert set(declared) == {"fw1", "fw2"}  # the leafs forward frames
    to_node3 = {
        query.interface: hops for query, hops in declared["fw1"].items() if str(query.destination) == "10.10.2.13"
    }
    assert set(to_node3) >= {"eth1", "eth2", "eth4"}
    assert set(to_node3.values()) == {frozenset({NextHop("eth3", None)})}


def test_a_standby_is_asked_as_well_and_only_for_what_it_would_do_today():
    work = Work(INVENTORY.parent / "labs" / "multi-node-ha")
    assert work.policies
    declared = declared_hops(work.finder)
    assert set(declared) == {"fw1", "fw2"}
    assert {query.interface for query in declared["fw2"]} == {f"eth{n}" for n in range(1, 7)}
    for device in declared:
        assert {
            hop for query, hops in declared[device].items() if str(query.destination) == "10.30.2.11" for hop in hops
        } == {NextHop("eth2", None)}


def test_a_plan_is_refused_where_a_device_routes_elsewhere_and_made_again_where_it_does_not():
    need_namespaces()

    def body():
        with Rehearsal(Work(INVENTORY), STATE / "runs") as lab:
            lab.make_plan()
            change = [program("ip"), "route", "replace", "10.10.2.13/32", "via", "10.10.255.2"]
            assert lab.lab.run("fw1", change).returncode == 0
            with pytest.raises(DeployError) as caught:
                lab.make_plan()
            assert "fw1 sends" in str(caught.value)
            assert "-> 10.10.2.13" in str(caught.value)
            assert "out by eth5 via 10.10.255.2, the inventory says out by eth3" in str(caught.value)
            assert lab.lab.run("fw1", [program("ip"), "route", "del", "10.10.2.13/32"]).returncode == 0
            lab.make_plan()
            gone = [program("ip"), "route", "del", "10.10.0.0/16", "via", "10.10.255.1"]
            assert lab.lab.run("fw2", gone).returncode == 0
            with pytest.raises(
                DeployError, match=r"fw2 sends .* nowhere, the inventory says out by eth1 via 10\.10\.255\.1"
            ):
                lab.make_plan()
        return 0

    assert run_inside(body) == 0
