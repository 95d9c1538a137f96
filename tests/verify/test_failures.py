"""Every single failure judged end to end, and analyses that must say no."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.flows.balanced_site import make_site
from toolkit.cli.paths import paths
from toolkit.paths import HEALTHY, Failure, PathFinder, single_failures
from toolkit.policy import goal_address
from toolkit.render.work import Work
from toolkit.verify.configs import read_configs
from toolkit.verify.failures import FailureAnalysis, single_points
from toolkit.verify.trace import trace

ROOT = Path(__file__).resolve().parents[2]
FW1 = Failure(nodes=("fw1",))


@pytest.fixture(scope="module")
def work():
    return Work(ROOT / "labs" / "multi-node-ha")


def analysis(work, states=None):
    after = {device: one.after for device, one in work.rendered.items()}
    before = {device: one.before for device, one in work.rendered.items()}
    return FailureAnalysis(work.graph, work.finder, work.policies, states or after, before, work.space)


@pytest.fixture(scope="module")
def reports(work):
    return {report.failure: report for report in analysis(work).reports()}


def link(work, *ends):
    (found,) = [one for one in work.site.topology.links if {f"{n}:{i}" for n, i in one} == set(ends)]
    return Failure(links=(found,))


def test_every_single_failure_is_survived(work, reports):
    assert list(reports) == [HEALTHY, *single_failures(work.site.topology)]
    assert len(reports) == 1 + 20 + 26
    assert all(report.ok for report in reports.values())
    assert all(report.judged == 466 for report in reports.values())
    healthy = reports[HEALTHY]
    assert [healthy.rerouted, healthy.isolated, healthy.lost, healthy.exposures] == [()] * 4


def test_the_standby_carries_all_that_the_active_one_carried(work, reports):
    moved = {str(f) for f, report in reports.items() if report.forwarding == {"gateways": ("fw2",)}}
    uplinks = {str(f) for f in reports if f.links and any(end[0] == "fw1" for end in f.links[0])}
    assert moved == {"fw1", *uplinks}
    assert len(uplinks) == 6
    for name in moved:
        (report,) = [one for f, one in reports.items() if str(f) == name]
        crossing = [leg for leg in analysis(work).legs if crosses(work, leg, "fw1")]
        assert {str(fate.leg) for fate in report.rerouted} == {str(leg) for leg in crossing} != set()
        assert not report.isolated
    for f, report in reports.items():
        if str(f) == "fw2" or (f.links and any(end[0] == "fw2" for end in f.links[0])):
            assert [report.rerouted, report.isolated, report.lost] == [()] * 3


def crosses(work, leg, device):
    there = work.finder.paths(leg.source, leg.destination)
    return any(hop.device == device for path in there for hop in path.hops)


def test_isolated_is_only_what_no_cable_joins(work, reports):
    for failure, report in reports.items():
        remaining = PathFinder(work.site.topology, failure).remaining
        for fate in report.isolated:
            assert fate.leg.destination not in remaining.cabled(fate.leg.source)
    down = reports[Failure(nodes=("server1",))].isolated
    assert {fate.reason for fate in down} == {"server1 is down"}
    assert all("server1" in (fate.leg.source, fate.leg.destination) for fate in down)
    cut = reports[link(work, "agent2:eth1", "leaf2:eth2")].isolated
    assert {fate.reason for fate in cut} == {"agent2 is cut off"}
    codes = [
        one.message.split(":")[0] for one in single_points(reports.values(), [n.name for n in work.site.topology.hosts])
    ]
    assert codes == ["leaf1", "leaf2", "leaf3", "edge1"]


def edited(work, folder, device, change):
    """States of the devices when one configuration is edited."""
    folder.mkdir(exist_ok=True)
    for name, one in work.rendered.items():
        path = folder / f"{name}.cfg"
        if not path.exists():
            path.write_text(one.candidate.text, encoding="utf-8")
    path = folder / f"{device}.cfg"
    text = path.read_text(encoding="utf-8")
    new = change(text)
    assert new != text
    path.write_text(new, encoding="utf-8")
    return read_configs(work.site, work.finder, work.policies, folder)


def test_a_permit_missing_on_the_standby_is_a_loss_in_the_failover_only(work, tmp_path):
    def change(text):
        rules = [line for line in text.splitlines(keepends=True) if "sql-server" in line]
        assert rules
        return "".join(line for line in text.splitlines(keepends=True) if line not in rules)

    found = analysis(work, edited(work, tmp_path / "c", "fw2", change))
    assert found.report(HEALTHY).ok
    report = found.report(FW1)
    assert not report.ok
    assert {fate.leg.destination for fate in report.lost} == {"sql1"}
    assert {fate.leg.source for fate in report.lost} == {"server1", "server2", "server3", "agent1", "agent2"}
    assert all(re.match(r"denied by fw2 eth[12]: ", fate.reason) for fate in report.lost)


def opened(chain):
    """A permit from the client to the SQL server on top of a chain."""
    rule = "ip saddr 10.31.0.10 ip daddr 10.30.40.30 tcp dport 1433 accept\n"
    return lambda text: re.sub(
        rf"(chain uipath_{chain}_in \{{\n)", lambda found: f"{found[1]}\t\t{rule}", text, count=1
    )


def test_what_only_the_way_over_the_standby_lets_through_is_an_exposure_there(work, tmp_path):
    for device, chain in (("edge1", "eth1"), ("fw2", "eth5"), ("leaf3", "eth9")):
        states = edited(work, tmp_path / "c", device, opened(chain))
    found = analysis(work, states)
    assert found.report(HEALTHY).ok
    report = found.report(FW1)
    (exposure,) = report.exposures
    assert (exposure.source, exposure.destination) == ("client1", "sql1")
    assert (str(exposure.packet.src), exposure.packet.dport) == ("10.31.0.10", 1433)
    assert not report.lost


def test_two_of_three_open_doors_expose_nothing(work, tmp_path):
    for device, chain in (("edge1", "eth1"), ("leaf3", "eth9")):
        states = edited(work, tmp_path / "c", device, opened(chain))
    assert analysis(work, states).report(FW1).ok


def test_the_analysis_agrees_with_traces_of_single_packets(work, reports):
    """Another way to the same answer: walk the rules for one packet of each leg, under each failure."""
    from toolkit.net import ICMP, WITH_PORTS, Packet, Verdict

    states = {device: one.after for device, one in work.rendered.items()}
    checked = 0
    for failure, report in reports.items():
        finder = work.finder.under(failure)
        gone = {str(fate.leg) for fate in report.isolated}
        for leg in analysis(work).legs[::19]:
            if str(leg) in gone or leg.flow.service.protocol == ICMP:
                continue
            assert leg.flow.service.protocol in WITH_PORTS
            ends = [
                goal_address(work.site.topology, host, end)
                for host, end in ((leg.source, leg.flow.source), (leg.destination, leg.flow.destination))
            ]
            packet = Packet(*ends, leg.flow.service.protocol, 50000, leg.flow.service.ports.first)
            answered = leg.flow.service.ports.first != 8472
            assert (
                trace(packet, leg.source, leg.destination, finder, states, answered=answered).verdict
                is Verdict.PERMITTED
            )
            checked += 1
    assert checked > 500


@pytest.fixture
def site(tmp_path):
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    return shutil.copytree(ROOT / "labs" / "multi-node-ha", tmp_path / "labs" / "multi-node-ha")


def change_site(folder, old, new):
    path = folder / "site.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def run(*arguments):
    done = CliRunner().invoke(paths, list(arguments), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stdout


def test_the_command_prints_a_table_and_exits_0():
    code, text = run("--failures", "-i", str(ROOT / "labs" / "multi-node-ha"))
    assert code == 0
    row = next(line for line in text.splitlines() if line.startswith("fw1 "))
    assert row.split() == ["fw1", "fw2", "466", "330", "0", "0", "0"]


@pytest.mark.parametrize(
    ("mode", "options"), [("dsr", {"through_balancer": ()}), ("transparent", {"snat_roles": ["node"]})]
)
def test_a_balancer_that_keeps_addresses_uses_the_servers_that_are_left(tmp_path, mode, options):
    code, text = run("--failures", "--json", "-i", str(make_site(tmp_path / "site", mode, **options)))
    answer = json.loads(text)
    assert (code, answer["ok"]) == (0, True)
    (alone,) = [one for one in answer["failures"] if one["nodes"] == ["node3"]]
    isolated = {(one["source"], one["destination"]) for one in alone["isolated"]}
    assert ("client1", "lb1") not in isolated  # node1 and node2 serve
    (cut,) = [one for one in answer["failures"] if one["nodes"] == ["lb1"]]
    assert ("client1", "lb1") in {(one["source"], one["destination"]) for one in cut["isolated"]}


def test_active_active_without_shared_state_loses_connections_and_exits_4(site):
    change_site(site, "    mode: active_standby\n", "    mode: active_active\n")
    code, text = run("--failures", "-i", str(site), "--json")
    answer = json.loads(text)
    assert (code, answer["ok"]) == (4, False)
    healthy = answer["failures"][0]
    assert healthy["failure"] == "nothing"
    assert len(healthy["lost"]) == 172  # what nobody answers, a tunnel above all, needs no state
    assert not {one["protocol"] for one in healthy["lost"]} & {"icmp"}
    assert {one["reason"] for one in healthy["lost"]} == {
        "fw1, fw2 each see one direction only, and do not share their state"
    }
    assert "asymmetric_stateful_path" in {one["code"] for one in answer["findings"]}
    (alone,) = [one for one in answer["failures"] if one["nodes"] == ["fw1"]]
    assert alone["ok"]  # one firewall sees everything
    assert alone["unchanged"] + len(alone["rerouted"]) == 466


def test_with_shared_state_the_same_site_is_fine(site):
    change_site(site, "    mode: active_standby\n", "    mode: active_active\n")
    change_site(site, "    state_sync: false\n", "    state_sync: true\n")
    code, text = run("--failures", "-i", str(site), "--json")
    assert (code, json.loads(text)["ok"]) == (0, True)


def test_gateways_that_move_one_by_one_split_the_directions(site):
    """Two groups instead of a sync group: a lost link moves one address only, and the answers come another way."""
    text = (site / "site.yaml").read_text(encoding="utf-8")
    rest = text[text.index("virtual: [10.30.1.1, ") + len("virtual: [10.30.1.1, ") : text.index("    state_sync")]
    change_site(
        site,
        "virtual: [10.30.1.1, ",
        "virtual: [10.30.1.1]\n\n  - name: others\n    mode: active_standby\n    members: [fw1, fw2]\n    virtual: [",
    )
    assert rest.strip().endswith("]")
    code, text = run("--failures", "-i", str(site), "--json")
    answer = json.loads(text)
    assert code == 4
    lost = {one["failure"] for one in answer["failures"] if one["lost"]}
    assert "fw1" not in lost
    assert len(lost) == 6
    assert all("fw1:" in one for one in lost)


def test_the_reference_site_is_judged_too():
    code, text = run("--failures", "-i", str(ROOT / "inventory"), "--json")
    answer = json.loads(text)
    assert (code, answer["ok"]) == (0, True)
    codes = [one["message"] for one in answer["findings"] if one["code"] == "single_point_of_failure"]
    assert any(message.startswith("fw1: without it") for message in codes)


@pytest.mark.parametrize(
    ("mode", "roles", "through"), [("transparent", ["node"], ["node1", "node2", "node3"]), ("dsr", [], [])]
)
def test_balancers_that_keep_their_clients_addresses_are_judged_too(tmp_path, mode, roles, through):
    folder = make_site(tmp_path / "site", mode, snat_roles=roles, through_balancer=through)
    code, text = run("--failures", "-i", str(folder), "--json")
    assert (code, json.loads(text)["ok"]) == (0, True), text[-3000:]


def test_configs_go_with_failures(tmp_path):
    import click

    with pytest.raises(click.UsageError, match="--configs goes with --failures"):
        run("--configs", str(tmp_path))
