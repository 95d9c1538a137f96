"""A real nft in a throw-away network namespace, and devices to read rulesets for."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Network

import pytest

from toolkit.platforms.base import DeviceContext
from toolkit.topology import FilterData, Interface, Kind, Node

NFT = "/usr/sbin/nft"
DOMAINS = {
    "eth1": (IPv4Network("10.0.1.0/24"),),
    "eth2": (IPv4Network("10.0.2.0/24"), IPv4Network("10.0.4.0/22")),
    "eth3": (IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")),
}
# eth3 leads everywhere else: what the other two have is cut out of its default route.
DOMAINS["eth3"] = tuple(
    piece
    for half in DOMAINS["eth3"]
    for first in (half.address_exclude(DOMAINS["eth1"][0]) if DOMAINS["eth1"][0].subnet_of(half) else [half])
    for second in (first.address_exclude(DOMAINS["eth2"][0]) if DOMAINS["eth2"][0].subnet_of(first) else [first])
    for piece in (second.address_exclude(DOMAINS["eth2"][1]) if DOMAINS["eth2"][1].subnet_of(second) else [second])
)


def make_context(kind=Kind.FIREWALL, **filter_data):
    bridge = "lan" if kind is Kind.SWITCH else None
    interfaces = {name: Interface("dev1", name, (), bridge) for name in DOMAINS}
    node = Node("dev1", kind, interfaces, (), "linux_nftables", None, FilterData(**filter_data))
    domains = {} if kind is Kind.SWITCH else DOMAINS
    return DeviceContext("dev1", tuple(interfaces), node.stateful, "uipath", node, domains)


@pytest.fixture(scope="session")
def firewall():
    return make_context()


@pytest.fixture(scope="session")
def switch():
    return make_context(Kind.SWITCH)


@pytest.fixture(scope="session")
def device():
    return make_context


def run_nft(texts, listing="-j"):
    """Load scripts one after the other into an empty kernel; returns (exit code, listing, stderr)."""
    script = "".join(f'printf %s "${n}" | {NFT} -f - || exit 9\n' for n in range(1, len(texts) + 1))
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", f"{script}{NFT} {listing} list ruleset", "sh", *texts],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def kernel():
    """Lists what the real nft makes of scripts; fails the test where nft refuses one."""
    try:
        code, _, stderr = run_nft(["table inet probe { }"])
    except FileNotFoundError as caught:
        pytest.skip(f"program missing: {caught.filename}")
    if code:
        pytest.skip(f"no network namespace with nft here: {stderr.strip()}")

    def load(*texts):
        code, stdout, stderr = run_nft(texts)
        assert code == 0, f"nft refuses: {stderr}\n{texts[-1]}"
        return stdout

    return load


@pytest.fixture(scope="session")
def refused(kernel):
    """Whether the real nft refuses a script."""
    return lambda text: run_nft([text])[0] == 9
