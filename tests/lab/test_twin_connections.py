"""Connections of a twin of an ASA: how they are shown, and which of them a `clear conn` ends."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from toolkit.deploy.sessions import clear_command, read_connections
from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.connections import Connection, Connections, End, clear, long_listing
from toolkit.lab.twins.tree import Tree

EDGE = """interface GigabitEthernet0/0
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
interface GigabitEthernet0/1
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
"""


def conn(protocol, source, sport, destination, dport):
    return Connection(protocol, End(IPv4Address(source), sport), End(IPv4Address(destination), dport))


WEB = conn("tcp", "10.0.0.5", 40000, "192.0.2.8", 443)
SHELL = conn("tcp", "192.0.2.8", 50000, "10.0.0.5", 22)
NAMES = conn("udp", "10.0.0.5", 5353, "192.0.2.8", 53)
OTHER = conn("tcp", "10.0.0.6", 40000, "192.0.2.8", 443)
ALL = [WEB, SHELL, NAMES, OTHER]


def test_what_a_twin_shows_is_what_the_toolkit_reads():
    shown = long_listing(Tree.read(EDGE), Connections(list(ALL)))
    assert "TCP outside: 192.0.2.8/443 (192.0.2.8/443) inside: 10.0.0.5/40000 (10.0.0.5/40000), flags UIO ," in shown
    assert "TCP outside: 192.0.2.8/50000 (192.0.2.8/50000) inside: 10.0.0.5/22 (10.0.0.5/22), flags UIOB ," in shown
    found = list(read_connections(shown))
    assert [len(one.first) for one in found] == [1, 1, 2, 1], "UDP tells nothing of who began"
    assert [str(one.first[0]) for one in found if len(one.first) == 1] == [
        "tcp 10.0.0.5:40000 -> 192.0.2.8:443",
        "tcp 192.0.2.8:50000 -> 10.0.0.5:22",
        "tcp 10.0.0.6:40000 -> 192.0.2.8:443",
    ]


@pytest.mark.parametrize("number", range(4))
def test_what_the_toolkit_types_ends_one_connection_and_no_other(number):
    connections = Connections(list(ALL))
    session = list(read_connections(long_listing(Tree.read(EDGE), connections)))[number]
    assert clear(clear_command(session), connections) == "1 connection(s) deleted."
    assert connections.known == [one for one in ALL if one is not ALL[number]]
    assert clear(clear_command(session), connections) == "0 connection(s) deleted."


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("all", []),
        ("protocol udp", [WEB, SHELL, OTHER]),
        ("address 10.0.0.5", [OTHER]),
        ("address 10.0.0.0 netmask 255.255.255.0 port 40000", [SHELL, NAMES]),
        ("address 10.0.0.6-10.0.0.9", [WEB, SHELL, NAMES]),
        ("port 22-53", [WEB, OTHER]),
        ("address 192.0.2.8 port 443", [SHELL, NAMES]),
        ("address 10.0.0.5 address 10.0.0.6", ALL),
    ],
)
def test_words_of_clear_conn(words, left):
    connections = Connections(list(ALL))
    clear(f"clear conn {words}", connections)
    assert connections.known == left


@pytest.mark.parametrize(
    "words",
    ["", "protocol icmp", "address 10.0.0", "port 70000", "port x", "address", "port 1 protocol tcp",
     "address 10.0.0.1 address 10.0.0.2 address 10.0.0.3"],
)  # fmt: skip
def test_what_an_asa_would_not_take(words):
    connections = Connections(list(ALL))
    with pytest.raises(RejectedError):
        clear(f"clear conn {words}".strip(), connections)
    assert connections.known == ALL
