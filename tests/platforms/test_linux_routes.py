"""Answers of `ip route get`, as a kernel gave them."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address

import pytest

from toolkit.errors import ConfigError
from toolkit.lab.namespaces import program
from toolkit.platforms import get
from toolkit.platforms.base import NextHop, RouteQuery

PLATFORM = get("linux_nftables")
SOURCE = IPv4Address("10.0.0.5")
QUERIES = [
    RouteQuery(IPv4Address(text), SOURCE, "eth1") for text in ("8.8.8.8", "10.0.1.7", "9.1.1.1", "7.1.1.1", "10.0.0.1")
]
OUTPUT = """\
[{"dst":"default","flags":[],"nexthops":[{"gateway":"10.0.0.2","dev":"eth1","weight":1,"flags":[]},{"gateway":"10.0.1.2","dev":"eth2","weight":1,"flags":[]}]}]
[{"dst":"10.0.1.0/24","dev":"eth2","protocol":"kernel","scope":"link","prefsrc":"10.0.1.1","flags":[]}]
[{"dst":"7.0.0.0/8","gateway":"10.0.1.2","dev":"eth2","flags":[]}]
[{"type":"local","dst":"10.0.0.1","dev":"eth1","protocol":"kernel","scope":"host","prefsrc":"10.0.0.1","flags":[]}]
"""
ERRORS = "RTNETLINK answers: Invalid argument\nCommand failed -:3\n"
ANSWERS = (
    frozenset({NextHop("eth1", IPv4Address("10.0.0.2")), NextHop("eth2", IPv4Address("10.0.1.2"))}),
    frozenset({NextHop("eth2", None)}),
    frozenset(),  # a blackhole
    frozenset({NextHop("eth2", IPv4Address("10.0.1.2"))}),
    frozenset(),  # its own address is not forwarded
)


def test_answers_come_in_the_order_of_the_questions():
    assert PLATFORM.read_routes(QUERIES, OUTPUT, ERRORS, "r1") == ANSWERS


@pytest.mark.parametrize(
    ("output", "errors"),
    [
        ("", "sh: /usr/sbin/ip: not found\n"),
        (OUTPUT, ""),  # one answer is missing, and no line says which
        (OUTPUT + OUTPUT, ERRORS),
        (OUTPUT.replace('"dev"', '"port"'), ERRORS),
        ("{}\n", ERRORS),
    ],
)
def test_what_is_not_understood_is_an_error_of_the_device(output, errors):
    with pytest.raises(ConfigError, match=r"^r1: .*(not understood|more answers)"):
        PLATFORM.read_routes(QUERIES, output, errors, "r1")


KERNEL = """
set -e
for n in 1 2; do ip link add eth$n type veth peer name p$n; ip link set p$n up; ip addr add 10.0.$((n - 1)).1/24 dev eth$n; ip link set eth$n up; done
echo 1 > /proc/sys/net/ipv4/ip_forward
ip route add default nexthop via 10.0.0.2 dev eth1 nexthop via 10.0.1.2 dev eth2
ip route add blackhole 9.0.0.0/8
ip route add 7.0.0.0/8 via 10.0.1.2
"""


@pytest.mark.lab
def test_the_kernel_itself_answers_so():
    command, text = PLATFORM.ask_routes(QUERIES)
    inside = (
        "import subprocess, sys\nfrom toolkit.lab.namespaces import run_inside\n"
        "def main():\n"
        f"    subprocess.run(['sh', '-c', {KERNEL!r}], check=True)\n"
        f"    done = subprocess.run(['sh', '-c', {command!r}], input={text!r}, text=True)\n"
        "    return done.returncode\n"
        "sys.exit(run_inside(main))\n"
    )
    assert program("ip")
    done = subprocess.run([sys.executable, "-c", inside], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert PLATFORM.read_routes(QUERIES, done.stdout, done.stderr, "r1") == ANSWERS
