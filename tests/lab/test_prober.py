"""The prober against a real firewall in namespaces: every verdict, and its evidence."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.lab.small_network import ADDRESS, VIRTUAL, inside
from toolkit.errors import LabError
from toolkit.lab.listeners import Listeners
from toolkit.lab.nflog import Nflog
from toolkit.lab.prober import Outcome, Probe, probe
from toolkit.lab.taps import Taps
from toolkit.lab.wire import network
from toolkit.net import Verdict

pytestmark = pytest.mark.lab


def one(source, destination, protocol, port=0, **more):
    more = {"destination_address": ADDRESS[destination], "source_address": None, **more}
    return Probe(source=source, destination=destination, protocol=protocol, port=port, **more)


def test_every_outcome_and_its_evidence():
    inside(_outcomes)


def _outcomes(lab):
    lab.load(
        [
            "ct state established,related accept",
            'tcp dport 81 log group 7 prefix "fw:no-81" counter drop',
            "tcp dport 82 drop",
            "tcp dport 83 reject with icmp type admin-prohibited",
            "tcp dport 84 reject",
            "tcp dport 85 reject with tcp reset",
            "udp dport 83 reject",
            'udp dport 84 log group 7 prefix "fw:no-84" drop',
            'icmp type echo-request ip daddr 10.3.0.10 log group 7 prefix "fw:no-ping" drop',
        ]
    )
    before = Path("/proc/thread-self/ns/net").readlink()
    probes = [
        one("a", "b", "tcp", 80),
        one("a", "b", "tcp", 81),
        one("a", "b", "tcp", 82),
        one("a", "b", "tcp", 83),
        one("a", "b", "tcp", 84),
        one("a", "b", "tcp", 85),
        one("a", "b", "tcp", 99),
        one("a", "b", "udp", 80),
        one("a", "b", "udp", 83),
        one("a", "b", "udp", 84),
        one("a", "b", "udp", 99),
        one("a", "b", "udp", 8472, one_way=True),
        one("a", "b", "icmp"),
        one("a", "c", "icmp"),
        one("c", "b", "udp", 80, destination_address=VIRTUAL),
        one("b", "c", "tcp", 80, source_address=VIRTUAL),
    ]
    listening = Listeners(lab.hosts, tcp=range(80, 86), udp=(80, 83, 84), silent=(8472,))
    with Nflog(lab.devices) as nflog, Taps(lab.devices) as taps, listening as arrivals:
        found = probe(probes, lab.hosts, watchers=[*nflog, *taps], arrivals=arrivals)
        nflog.drain()
        taps.drain()
        drops = [nflog.dropped(each.key) for each in found]
        stuck = [taps.dropped(each.key) for each in found]
        assert taps.lost() == {}
    assert Path("/proc/thread-self/ns/net").readlink() == before
    assert [each.outcome for each in found] == [
        Outcome.ANSWERED,
        Outcome.SILENT,
        Outcome.SILENT,
        Outcome.REJECTED,
        Outcome.REJECTED,
        Outcome.REFUSED,  # a reset looks the same from the firewall; the tap below knows better
        Outcome.REFUSED,
        Outcome.ANSWERED,
        Outcome.REJECTED,
        Outcome.SILENT,
        Outcome.REFUSED,
        Outcome.ARRIVED,
        Outcome.ANSWERED,
        Outcome.SILENT,
        Outcome.ANSWERED,
        Outcome.ANSWERED,
    ]
    assert {i: drop for i, drop in enumerate(drops) if drop} == {
        1: ("fw", "fw:no-81"),
        9: ("fw", "fw:no-84"),
        13: ("fw", "fw:no-ping"),
    }
    assert [i for i, drop in enumerate(stuck) if drop] == [1, 2, 3, 4, 5, 8, 9, 13]
    assert stuck[2] == ("fw", "eth1")
    assert found[3].detail == "ICMP 3/13 from 10.1.0.1"
    assert len({each.probe.sport for each in found}) == len(found)


def test_silence_alone_is_inconclusive():
    inside(_silence)


def _silence(lab):
    lab.load(["drop"])
    (found,) = probe([one("a", "b", "tcp", 80)], lab.hosts)
    assert (found.outcome, found.verdict) == (Outcome.SILENT, Verdict.INCONCLUSIVE)
    lab.load([])
    (found,) = probe([one("a", "b", "tcp", 80, destination_address=ADDRESS["b"] + 1)], lab.hosts, timeout=0.2)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_patience_believes_no_lost_packet():
    inside(_patience)


def _patience(lab):
    lose_four = ["tcp flags & (syn | ack) == syn limit rate 1/hour burst 4 packets drop"]
    lab.load(lose_four)
    with Listeners(lab.hosts, tcp=(80,)):
        found = probe([one("a", "b", "tcp", 80, expect_hint=Verdict.PERMITTED) for _ in range(4)], lab.hosts)
        assert [each.outcome for each in found] == [Outcome.ANSWERED] * 4
        lab.load(lose_four)
        blunt = probe([one("a", "b", "tcp", 80) for _ in range(4)], lab.hosts)
        assert {each.outcome for each in blunt} == {Outcome.SILENT}


def test_listeners_leave_occupied_ports_to_their_services_and_end_with_their_owner():
    inside(_occupied)


def _occupied(lab):
    first = Listeners({"b": lab.fds["b"]}, tcp=(80,), udp=(53,))
    with Listeners(lab.hosts, tcp=(80, 81), udp=(53,)) as second:
        assert set(second.occupied) == {("b", "tcp", 80), ("b", "udp", 53)}
        first.close()
        found = probe([one("a", "b", "tcp", 80), one("a", "b", "tcp", 81)], lab.hosts)
        assert [each.outcome for each in found] == [Outcome.REFUSED, Outcome.ANSWERED]
    (found,) = probe([one("a", "b", "tcp", 81)], lab.hosts)
    assert found.outcome is Outcome.REFUSED
    with Listeners(lab.hosts, tcp=(80, 81), leave={"b": {81}}) as polite:
        assert polite.occupied == (("b", "tcp", 81),)


def test_listeners_end_when_their_owner_is_killed():
    inside(_killed)


def _killed(lab):
    ready, tell = os.pipe()
    owner = os.fork()
    if owner == 0:
        Listeners(lab.hosts, tcp=(80,))
        os.write(tell, b"1")
        signal.pause()
    assert os.read(ready, 1) == b"1"
    (found,) = probe([one("a", "b", "tcp", 80)], lab.hosts)
    assert found.outcome is Outcome.ANSWERED
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    deadline = time.monotonic() + 5
    while probe([one("a", "b", "tcp", 80)], lab.hosts)[0].outcome is not Outcome.REFUSED:
        assert time.monotonic() < deadline
    os.close(ready)
    os.close(tell)


def test_listeners_go_on_answering_when_nobody_reads_the_arrivals():
    inside(_unread)


def _unread(lab):
    with (
        Listeners({"b": lab.fds["b"]}, udp=(53,)),
        network(lab.fds["a"]),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.settimeout(5)
        sock.connect((str(ADDRESS["b"]), 53))
        for _ in range(900):  # 90,000 records, more than the pipe holds
            for _ in range(100):
                sock.send(b"x")
            assert [sock.recv(9) for _ in range(100)] == [b"x"] * 100


def test_bad_probes_are_refused_with_the_valid_choices():
    inside(_bad)


def _bad(lab):
    home = Path("/proc/thread-self/ns/net").readlink()
    for bad, message in (
        (one("x", "b", "tcp", 80), "no namespace for the source 'x' (known: a, b, c)"),
        (one("a", "b", "gre"), "cannot probe with 'gre' (choose tcp, udp or icmp)"),
        (one("a", "b", "tcp", 80, one_way=True), "tcp is always answered; only udp can be one_way"),
        (one("a", "b", "udp", 80, one_way=True), "one-way probes need the listeners' arrivals"),
        (one("a", "b", "tcp", 80, source_address=ADDRESS["b"]), "a cannot send from 10.2.0.10"),
    ):
        with pytest.raises(LabError) as caught:
            probe([bad], lab.hosts)
        assert message in str(caught.value)
        assert Path("/proc/thread-self/ns/net").readlink() == home


def _burn():
    while True:
        pass


def test_two_thousand_probes_under_load_have_no_wrong_verdict():
    inside(_load)


def _load(lab):
    ports = [*range(5000, 5170)]
    everything = [(s, d, p, n) for s, d in itertools.permutations(ADDRESS, 2) for p in ("tcp", "udp") for n in ports]
    allowed = {each for each in everything if random.Random(str(each)).random() < 0.5}
    elements = ",\n".join(f"{ADDRESS[s]} . {ADDRESS[d]} . {p} . {n} : accept" for s, d, p, n in sorted(allowed))
    lab.load(
        [
            "ct state established,related accept",
            "ip saddr . ip daddr . meta l4proto . th dport vmap {\n" + elements + "\n}",
            'log group 7 prefix "fw:default" counter drop',
        ]
    )
    burners = [multiprocessing.get_context("fork").Process(target=_burn, daemon=True) for _ in range(4)]
    for burner in burners:
        burner.start()
    try:
        with Nflog(lab.devices) as nflog, Taps(lab.devices) as taps, Listeners(lab.hosts, tcp=ports, udp=ports):
            hint = {True: Verdict.PERMITTED, False: None}
            probes = [one(*each, expect_hint=hint[each in allowed]) for each in everything]
            found = probe(probes, lab.hosts, watchers=[*nflog, *taps])
            nflog.drain()
            taps.drain()
            wrong = [
                (each, seen)
                for each, seen in zip(everything, found, strict=True)
                if (seen.outcome is Outcome.ANSWERED) != (each in allowed)
            ]
            assert len(found) >= 2000
            assert wrong == []
            denied = [seen for each, seen in zip(everything, found, strict=True) if each not in allowed]
            assert all(nflog.dropped(seen.key) == ("fw", "fw:default") for seen in denied)
            if not taps.lost():
                assert all(taps.dropped(seen.key) for seen in denied)
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()
