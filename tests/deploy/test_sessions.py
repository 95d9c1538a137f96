"""Tracked sessions: what is read of conntrack's listing, and how one of them is ended."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from toolkit.deploy.sessions import LIST_COMMAND, clear_command, end_command, read_connections, read_sessions

LISTING = """\
tcp      6 431999 ESTABLISHED src=10.10.1.11 dst=10.10.2.13 sport=40000 dport=2379 src=10.10.2.13 dst=10.10.1.11 sport=2379 dport=40000 [ASSURED] mark=0 use=1
udp      17 25 src=10.10.1.11 dst=10.10.30.53 sport=5353 dport=53 [UNREPLIED] src=10.10.30.53 dst=10.10.1.11 sport=53 dport=5353 mark=0 use=1
icmp     1 29 src=10.10.1.11 dst=10.10.2.13 type=8 code=0 id=77 src=10.10.2.13 dst=10.10.1.11 type=0 code=0 id=77 mark=0 use=1
tcp      6 60 SYN_SENT src=10.20.0.5 dst=10.10.2.20 sport=50000 dport=443 [UNREPLIED] src=10.10.2.13 dst=10.10.2.21 sport=443 dport=50000 mark=0 use=1
unknown  112 599 src=10.0.0.1 dst=224.0.0.18 [UNREPLIED] src=224.0.0.18 dst=10.0.0.1 mark=0 use=1
tcp      6 10 CLOSE src=2001:db8::1 dst=2001:db8::2 sport=1 dport=2 src=2001:db8::2 dst=2001:db8::1 sport=2 dport=1 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 6 flow entries have been shown.
"""
PACKETS = [
    "tcp 10.10.1.11:40000 -> 10.10.2.13:2379",
    "udp 10.10.1.11:5353 -> 10.10.30.53:53",
    "icmp 10.10.1.11 -> 10.10.2.13 type 8/0",
    "tcp 10.20.0.5:50000 -> 10.10.2.20:443",
]


@pytest.mark.parametrize("prefix", ["", "ipv4     2 "])
def test_the_initiators_packet_is_read_before_translation(prefix):
    listing = "".join(f"{prefix}{line}\n" for line in LISTING.splitlines())
    assert [str(packet) for session in read_sessions(listing) for packet in session.first] == PACKETS


def test_ending_names_exactly_one_session():
    tcp, _, icmp, _ = read_sessions(LISTING)
    assert "-D -p tcp -s 10.10.1.11 -d 10.10.2.13 --sport 40000 --dport 2379 " in end_command(tcp)
    assert "-D -p icmp -s 10.10.1.11 -d 10.10.2.13 --icmp-type 8 --icmp-code 0 " in end_command(icmp)


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        ("conntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted.", 0, 0),
        ("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.", 1, 0),
        ("conntrack v1.4.7 (conntrack-tools): Operation failed: sorry, you must be root or get CAP_NET_ADMIN", 1, 1),
        ("sh: conntrack: not found", 127, 1),
    ],
)
def test_a_session_that_is_gone_is_as_good_but_a_refusal_is_not(tmp_path, words, status, expected):
    fake = tmp_path / "conntrack"
    fake.write_text(f"#!/bin/sh\necho {shlex.quote(words)} >&2\nexit {status}\n", encoding="ascii")
    fake.chmod(0o755)
    command = end_command(next(read_sessions(LISTING))).replace(LIST_COMMAND.split()[0], str(fake))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, words in done.stderr) == (expected, expected == 1)


# ---- ASA -------------------------------------------------------------------------------------

# `show conn long` of 9.16, of an older version without initiators, and lines that are none of ours to judge.
CONNECTIONS = """\
26 in use, 17252 most used
Flags: A - awaiting inside ACK to SYN, a - awaiting outside ACK to SYN,
       B - initial SYN from outside, b - TCP state-bypass or nailed,

TCP inside: 10.10.1.11/42098 (10.10.1.11/42098) dmz: 10.10.2.13/443 (10.10.2.13/443), flags SaAB , idle 3s, uptime 6s, timeout 30s, bytes 0
  Initiator: 10.10.1.11, Responder: 10.10.2.13

TCP outside: 10.20.0.5/443 (203.0.113.9/443) inside: 10.10.1.12/50000 (10.10.1.12/50000), flags UIO , idle 1s, uptime 9s, timeout 1h0m, bytes 7
  Initiator: 10.10.1.12, Responder: 10.20.0.5
  Connection lookup keyid: 100587686

UDP inside: 10.10.1.11/5353 (10.10.1.11/5353) dmz: 10.10.30.53/53 (10.10.30.53/53), flags - , idle 21s, uptime 21s, timeout 2m0s, bytes 28

TCP outside 10.23.232.59:5223 inside 192.168.1.3:52419, idle 0:00:11, bytes 0, flags saA
ICMP inside: 10.10.1.11/0 (10.10.1.11/0) dmz: 10.10.2.13/8 (10.10.2.13/8), flags  , idle 0s, uptime 0s, timeout 2s, bytes 32
TCP inside: 2001:db8::1/1024 (2001:db8::1/1024) dmz: 2001:db8::2/80 (2001:db8::2/80), flags UIO , idle 1s, uptime 9s
"""


def test_connections_of_an_asa_are_read_by_real_addresses_and_by_who_began_them():
    tcp, back, udp = read_connections(CONNECTIONS)
    assert [str(one) for one in tcp.first] == ["tcp 10.10.1.11:42098 -> 10.10.2.13:443"]
    assert [str(one) for one in back.first] == ["tcp 10.10.1.12:50000 -> 10.20.0.5:443"], (
        "not the end that is named first"
    )
    assert [str(one) for one in udp.first] == [
        "udp 10.10.1.11:5353 -> 10.10.30.53:53",
        "udp 10.10.30.53:53 -> 10.10.1.11:5353",
    ]
    older = "\n".join(line for line in CONNECTIONS.splitlines() if "Initiator" not in line)
    assert [len(one.first) for one in read_connections(older)] == [2, 2, 2]


def test_clearing_on_an_asa_names_exactly_one_connection():
    _, back, udp = read_connections(CONNECTIONS)
    assert clear_command(back) == "clear conn protocol tcp address 10.10.1.12 port 50000 address 10.20.0.5 port 443"
    assert clear_command(udp) == "clear conn protocol udp address 10.10.1.11 port 5353 address 10.10.30.53 port 53"
