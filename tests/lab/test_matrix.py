"""The matrix: its list of probes, who is wrong, its counts and files; and once through a real firewall."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from tests.lab.small_network import ADDRESS, VIRTUAL, inside
from toolkit.errors import LabError, Place
from toolkit.lab.expectations import Expectation, Expectations
from toolkit.lab.listeners import Listeners
from toolkit.lab.matrix import (
    ECHO,
    Measured,
    Target,
    build_matrix,
    judge,
    measure,
    parse_service,
    pick,
    pick_ports,
    who_is_wrong,
)
from toolkit.lab.prober import Observation, Outcome, Probe
from toolkit.net import PortRange, Verdict

YES, NO, DUNNO = Verdict.PERMITTED, Verdict.DENIED, Verdict.INCONCLUSIVE
TARGETS = [Target(name, address) for name, address in ADDRESS.items()]


def test_every_pair_and_service_stands_in_the_matrix_once_and_never_a_host_to_itself():
    further = Target("b/10.2.0.20", VIRTUAL)
    probes = build_matrix(ADDRESS, [*TARGETS, further], [("tcp", 80), ("udp", 8472), ("tcp", 80)], seed=1)
    cells = [(one.source, one.destination, one.protocol, one.port) for one in probes]
    assert len(cells) == len(set(cells)) == (3 * 2 + 2) * 2
    assert not [one for one in probes if one.source == one.destination.partition("/")[0]]
    assert {one.destination_address for one in probes if one.destination == "b/10.2.0.20"} == {VIRTUAL}
    assert {one.protocol for one in probes if one.one_way} == {"udp"}


def test_random_ports_are_the_same_for_the_same_seed_and_outside_the_scope():
    taken = set(range(1, 65530))
    assert pick_ports(9, 4, taken) == pick_ports(9, 4, taken)
    assert not set(pick_ports(9, 4, taken)) & taken
    assert pick_ports(9, 4, {80}) != pick_ports(10, 4, {80})
    probes = build_matrix(ADDRESS, TARGETS, [("tcp", 80)], seed=9, random_ports=4)
    assert {(one.protocol, one.port) for one in probes} - {("tcp", 80)} == {
        (protocol, port) for protocol in ("tcp", "udp") for port in pick_ports(9, 4, {80})
    }


def test_services_are_read_or_refused():
    assert [parse_service(text) for text in ("tcp/25", "udp/53", "icmp")] == [("tcp", 25), ("udp", 53), ("icmp", 0)]
    for bad in ("25", "tcp/0", "tcp/65536", "sctp/9", "tcp/", "tcp", "icmp/8"):
        with pytest.raises(LabError, match="cannot be probed; write tcp/25, udp/53 or icmp"):
            parse_service(bad)


@pytest.mark.parametrize(
    ("intent", "model", "expectation", "live", "wrong"),
    [
        (YES, YES, YES, YES, ""),
        (NO, NO, NO, NO, ""),
        (NO, NO, NO, YES, "live"),
        (YES, YES, YES, NO, "live"),
        (YES, NO, YES, YES, "model"),
        (NO, YES, YES, YES, "intent"),
        (YES, YES, NO, YES, "expectation"),
        (NO, YES, NO, YES, "live+model"),
        (YES, YES, NO, NO, "intent+model"),
        (None, YES, YES, YES, ""),
        (None, NO, YES, YES, "model"),
        (None, YES, YES, NO, "live"),
        (None, YES, None, NO, "model"),
        (NO, YES, None, DUNNO, "model"),
        (YES, YES, YES, DUNNO, ""),
    ],
)
def test_who_is_wrong(intent, model, expectation, live, wrong):
    votes = {"intent": intent, "model": model, "expectation": expectation, "live": live}
    assert who_is_wrong(votes) == wrong


def _measured(source, destination, port, live):
    sent = Probe(source, ADDRESS[source], destination, ADDRESS[destination], "tcp", port, 40000)
    outcome = Outcome.ANSWERED if live is YES else Outcome.SILENT
    return Measured(Observation(sent, outcome, 0.0), live, "evidence")


def _expect(verdict):
    return Expectations(
        (Expectation(Place("x", 1), frozenset("a"), None, ("tcp",), PortRange(1, 99), verdict, None, "w"),)
    )


def test_counts_grid_and_file_follow_the_cells(tmp_path):
    measured = [
        _measured("a", "b", 1, YES),
        _measured("a", "b", 2, YES),
        _measured("a", "c", 3, NO),
        _measured("a", "c", 4, DUNNO),
    ]
    matrix = judge(
        measured,
        intent=lambda sent: None if sent.port == 3 else YES,
        model=lambda sent: NO if sent.port >= 3 else YES,
        expectations=Expectations(
            (
                Expectation(Place("x", 1), None, frozenset("c"), ("tcp",), PortRange(3, 3), NO, None, "w"),
                *_expect(YES).rows,
            )
        ),
        requirements=lambda sent: ("tcp-1", "tcp-2") if sent.port == 1 else (),
    )
    assert matrix.counts == {"probes": 4, "permitted": 2, "denied": 1, "wrong": 1, "inconclusive": 1}
    assert not matrix.ok
    assert [cell.wrong for cell in matrix.cells] == ["", "", "", "model"]
    assert matrix.grid({"a": "node"}) == {
        ("node", "b"): {"probes": 2, "permitted": 2, "denied": 0, "wrong": 0, "inconclusive": 0},
        ("node", "c"): {"probes": 2, "permitted": 0, "denied": 1, "wrong": 1, "inconclusive": 1},
    }
    matrix.write_csv(tmp_path / "matrix.csv")
    with (tmp_path / "matrix.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["requirements"] == "tcp-1 tcp-2"
    assert (rows[2]["intent"], rows[2]["live"], rows[3]["wrong"]) == ("", "denied", "model")


def test_an_empty_matrix_is_not_fine():
    assert not judge([], intent=lambda _: YES, model=lambda _: YES).ok


def test_expectations_must_speak_about_every_probe():
    with pytest.raises(LabError, match=r"no row of the expectations speaks about a -> b tcp/100"):
        judge([_measured("a", "b", 100, YES)], intent=lambda _: YES, model=lambda _: YES, expectations=_expect(YES))


@pytest.mark.lab
def test_a_real_firewall_gives_a_green_matrix_and_a_broken_one_does_not():
    inside(_whole)


RULES = [
    "ct state established,related accept",
    "ip saddr 10.1.0.10 ip daddr 10.2.0.10 tcp dport 80 accept",
    "ip saddr 10.1.0.10 ip daddr 10.2.0.10 udp dport { 53, 8472 } accept",
    "ip saddr 10.1.0.10 ip daddr 10.3.0.10 tcp dport 80 reject with tcp reset",
    "ip saddr 10.1.0.10 ip daddr 10.3.0.10 udp dport 53 reject",
    'ip daddr 10.2.0.0/24 log group 7 prefix "fw:default" drop',
    "drop",
]


def _wanted(sent):
    allowed = sent.source == "a" and sent.destination == "b" and (sent.protocol, sent.port) in WANTED
    return YES if allowed else NO


WANTED = {("tcp", 80), ("udp", 53), ("udp", 8472)}


def _whole(lab):
    probes = build_matrix(
        ADDRESS, [*TARGETS, Target("b/10.2.0.20", VIRTUAL)], [*sorted(WANTED), ECHO], seed=3, random_ports=3
    )
    ports = {protocol: {one.port for one in probes if one.protocol == protocol} for protocol in ("tcp", "udp")}
    with Listeners(lab.hosts, tcp=ports["tcp"], udp=ports["udp"], silent={8472}) as listening:

        def run(rules):
            lab.load(rules)
            return judge(measure(probes, lab.hosts, lab.devices, arrivals=listening), intent=_wanted, model=_wanted)

        green = run(RULES)
        assert green.counts == {"probes": 80, "permitted": 3, "denied": 77, "wrong": 0, "inconclusive": 0}
        assert green.ok
        evidence = {(cell.source, cell.destination, cell.protocol, cell.port): cell.evidence for cell in green.cells}
        assert evidence["c", "b/10.2.0.20", "tcp", 80] == "fw: fw:default"
        assert evidence["b", "a", "tcp", 80] == "fw: entered on eth2 and never left"
        assert evidence["a", "c", "tcp", 80] == "fw: entered on eth1 and never left"
        assert {cell.wrong for cell in run([]).cells if cell.wrong} == {"live"}
        assert run([]).counts["wrong"] == 77
        assert run(["drop"]).counts["wrong"] == 3
        logged = run(['log group 7 prefix "fw:looks-only"', "ip daddr 10.3.0.10 tcp dport 80 drop"])
        assert {cell.evidence for cell in logged.cells if cell.live is NO} == {
            "fw: fw:looks-only"  # the rule that logged is not the one that dropped, but it was dropped there
        }
        assert logged.counts["inconclusive"] == 0
        looks = 'ip saddr 10.1.0.10 log group 7 prefix "fw:looks-only"'
        lost_answers = run([looks, "ip saddr 10.2.0.10 udp sport 53 drop"])
        assert [cell.evidence for cell in lost_answers.cells if cell.live is NO] == [
            "fw: entered on eth2 and never left (the answer)"
        ] * 2
        lab.load([])
        mute = [replace(one, one_way=False) for one in probes if one.port == 8472 and one.destination == "b"]
        unanswered = measure(mute, lab.hosts, lab.devices, arrivals=listening, patience=0.3)
        assert {(one.live, one.evidence) for one in unanswered} == {(DUNNO, "arrived, but was not answered")}


def test_a_sample_has_both_kinds_in_order_and_is_always_the_same():
    probes = build_matrix(ADDRESS, TARGETS, [("tcp", port) for port in range(100, 200)], seed=1)
    required = lambda probe: probe.port < 120
    few = pick(probes, required, 100, seed=3)
    assert few == pick(probes, required, 100, seed=3) != pick(probes, required, 100, seed=4)
    assert (len(few), sum(map(required, few))) == (100, 50)
    assert [probes.index(one) for one in few] == sorted(probes.index(one) for one in few)
    assert pick(probes, lambda probe: False, 100, seed=3) == tuple(
        one for one in probes if one in set(pick(probes, lambda probe: False, 100, seed=3))
    )
    assert len(pick(probes, lambda probe: probe.port == 100, 100, seed=3)) == 50 + 6
    assert set(pick(probes, required, 10_000, seed=3)) == set(probes)
