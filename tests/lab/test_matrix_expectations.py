"""The hand-written expectations: the reference file, and a table of mistakes with their exact messages."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.conftest import ROOT
from toolkit.errors import InputError
from toolkit.lab.expectations import read_expectations

HEADER = "source,destination,protocol,port,verdict,line,why\n"
ROLES = {"node1": ("node", "server"), "node2": ("node",), "lb1": ("load_balancer",)}
LAST = "*,*,*,*,denied,,rest\n"
NAMES = "known: *, lb1, load_balancer, node, node1, node2, server"

MISTAKES = [
    ("", "holds no expectations"),
    (HEADER, "holds no expectations"),
    (
        "source,destination,port,verdict,why\n",
        ":1: missing columns: protocol, line (needed: source, destination, protocol, port, verdict, line, why)",
    ),
    (
        HEADER.replace("why", "why,who"),
        ":1: unknown or repeated columns (needed, each once: source, destination, protocol, port, verdict, line, why)",
    ),
    (HEADER + "node,lb1,tcp,443,permitted,11\n", ":2: has 6 cells, the header has 7"),
    (HEADER + "nodes,lb1,tcp,443,permitted,11,x\n", f":2: unknown host or role 'nodes' ({NAMES})"),
    (HEADER + "# note\n\nnode,lb9,tcp,443,permitted,11,x\n", f":4: unknown host or role 'lb9' ({NAMES})"),
    (
        HEADER + "node,lb1/10.0.0,tcp,443,permitted,11,x\n",
        ":2: 'lb1/10.0.0' is no further address of lb1; write lb1/1.2.3.4",
    ),
    (
        HEADER + "node,node/10.0.0.1/8,tcp,443,permitted,11,x\n",
        ":2: 'node/10.0.0.1/8' is no further address of node; write node/1.2.3.4",
    ),
    (HEADER + "node,lb1,sctp,443,permitted,11,x\n", ":2: unknown protocol 'sctp' (choose tcp, udp, icmp or *)"),
    (HEADER + "node,lb1,tcp,70000,permitted,11,x\n", ":2: 70000 is no port; ports go from 0 to 65535"),
    (HEADER + "node,lb1,tcp,https,permitted,11,x\n", ":2: 'https' is no port; write 443, 2379-2380 or any"),
    (HEADER + "node,lb1,tcp,9-5,permitted,11,x\n", ":2: 9-5 is no port range; ports go from 0 to 65535"),
    (HEADER + "node,lb1,icmp,8,permitted,11,x\n", ":2: icmp has no ports, but port '8' is given; write *"),
    (HEADER + "node,lb1,tcp,443,permit,11,x\n", ":2: unknown verdict 'permit' (choose permitted or denied)"),
    (
        HEADER + "node,lb1,tcp,443,inconclusive,11,x\n",
        ":2: unknown verdict 'inconclusive' (choose permitted or denied)",
    ),
    (HEADER + "node,lb1,tcp,443,permitted,0,x\n", ":2: '0' is no line of the page; count from 1 or leave it empty"),
    (HEADER + "node,lb1,tcp,443,permitted,11,\n", ":2: says not why; a reviewer needs the reason"),
    (HEADER + 'node,lb1,tcp,443,permitted,11,"x\n', ":2: not CSV: unexpected end of data"),
    (
        HEADER + LAST + "node,lb1,tcp,443,permitted,11,x\n",
        ":3: never decides: earlier rows match all that this one does",
    ),
    (
        HEADER + "node,lb1,tcp,1-99,denied,,x\nnode,lb1,tcp,100-200,denied,,x\nnode1,lb1,tcp,50-150,permitted,,x\n",
        ":4: never decides: earlier rows match all that this one does",
    ),
    (
        HEADER + "node1,node,tcp,1,denied,,x\nnode1,node2,tcp,1,permitted,,x\n",
        ":3: never decides: earlier rows match all that this one does",
    ),
    (
        HEADER + "lb1,load_balancer,tcp,1,denied,,a host to itself\n",
        ":2: never decides: earlier rows match all that this one does",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes_are_named_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "expectations.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_expectations(path, ROLES)
    assert str(caught.value) == f"{path}{message}" if message.startswith(":") else f"{path}: {message}"
    assert caught.value.exit_code == 2


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_expectations(tmp_path / "none.csv", ROLES)


def test_the_first_matching_row_decides(tmp_path):
    path = tmp_path / "expectations.csv"
    rows = "node,lb1,tcp,440-450,permitted,11,x\n*,lb1/10.0.0.9,*,*,denied,,x\nlb1,node1,*,53,permitted,,x\n"
    path.write_text("\ufeff" + HEADER + rows + LAST, encoding="utf-8")
    expected = read_expectations(path, ROLES)
    found = [
        expected.find(*what)
        for what in (
            ("node2", "lb1", "tcp", 445),
            ("node2", "lb1", "tcp", 451),
            ("node2", "lb1", "udp", 445),
            ("node2", "lb1/10.0.0.9", "tcp", 445),
            ("lb1", "node1", "udp", 53),
            ("lb1", "node1", "icmp", 0),
        )
    ]
    assert [row.place.line for row in found if row] == [2, 5, 5, 3, 4, 5]


@pytest.fixture(scope="module")
def reference_roles(reference):
    roles = {host.name: set() for host in reference.topology.hosts}
    for role, binding in reference.file.bindings.items():
        for host in (*binding.hosts, *([binding.at] if binding.at else [])):
            roles[host].add(role)
    return roles


def test_the_reference_file_answers_every_question_and_says_what_the_page_says(reference_roles):
    expected = read_expectations(ROOT / "labs" / "reference" / "expectations.csv", reference_roles)
    for source, destination in permutations(reference_roles, 2):
        for protocol, port in (("tcp", 1), ("udp", 65535), ("icmp", 0)):
            assert expected.find(source, destination, protocol, port) is not None
    for source, destination, protocol, port, verdict in (
        ("jump1", "node3", "tcp", 22, "permitted"),
        ("client1", "node3", "tcp", 22, "denied"),
        ("client1", "lb1", "tcp", 443, "permitted"),
        ("internet1", "lb1", "tcp", 443, "denied"),
        ("lb1", "node2", "tcp", 9345, "permitted"),
        ("lb1", "node2", "tcp", 6443, "denied"),
        ("node1", "install1", "tcp", 30070, "permitted"),
        ("jump1", "install1", "tcp", 30070, "denied"),
        ("jump1", "install1", "tcp", 30071, "permitted"),
        ("dns1", "smtp1", "tcp", 587, "denied"),
        ("dns1", "smtp1", "udp", 587, "permitted"),
        ("dns1", "node1", "udp", 53, "denied"),
        ("dns1", "internet1", "udp", 53, "permitted"),
        ("client1", "internet1", "tcp", 445, "denied"),
        ("client1", "internet1", "icmp", 0, "permitted"),
        ("node1", "internet1", "tcp", 443, "denied"),
    ):
        row = expected.find(source, destination, protocol, port)
        assert row is not None
        assert row.verdict == verdict, (source, destination, protocol, port)
