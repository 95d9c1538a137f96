"""How fast 500 lines reach vendors' command lines, side by side with netmiko_send_config; run by `make benchmark`."""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import os
from time import perf_counter
from types import SimpleNamespace

import pytest
from nornir_netmiko.tasks import netmiko_send_config

from tests.deploy.twin_fleet import PLATFORMS, enter_fleet, make_fleet
from toolkit import deploy

pytestmark = pytest.mark.benchmark

LINES = 500
DEVICES = int(os.environ.get("TOOLKIT_BENCH_TWINS", "50"))
LINE = {
    "cisco_ios": "permit tcp host 10.1.{a}.{b} host 10.0.0.5 eq {port}",
    "arista_eos": "permit tcp host 10.1.{a}.{b} host 10.0.0.5 eq {port}",
    "cisco_nxos": "permit tcp 10.1.{a}.{b}/32 10.0.0.5/32 eq {port}",
}


def entries(system):
    return [LINE[system].format(a=n // 250, b=n % 250 + 1, port=2000 + n) for n in range(LINES)]


@pytest.mark.parametrize("system", LINE)
def test_500_lines_to_many_command_lines(system, tmp_path, monkeypatch):
    settings = SimpleNamespace()
    server, key = make_fleet(system, DEVICES, tmp_path, monkeypatch, settings)
    for device in server.devices.values():
        device.watched = False  # nobody asks for the moments in between
    with server:
        fleet = enter_fleet(system, server, key, tmp_path, monkeypatch, settings)
        nornir = fleet.nornir()
        start = perf_counter()
        deploy.results(nornir.run(task=deploy.read_filter))
        connect = perf_counter() - start
        head = f"ip access-list {'extended ' * (system == 'cisco_ios')}"
        lines = entries(system)

        def push(name):
            body = "\n".join([f"{head}{name}", *lines, "exit"])
            return deploy.results(nornir.run(task=deploy.load_filter, text=f"configure terminal\n{body}\nend\n"))

        start = perf_counter()
        push("OURS")
        ours = perf_counter() - start
        start = perf_counter()
        done = nornir.run(task=netmiko_send_config, config_commands=[f"{head}THEIRS", *lines, "exit"])
        theirs = perf_counter() - start
        assert not done.failed
        for device in fleet.devices.values():
            written = device.running.sections
            assert len(written[f"{head}OURS"]) == LINES
            assert written[f"{head}OURS"] == written[f"{head}THEIRS"]
        for host in nornir.inventory.hosts.values():
            deploy.session.end_session(host)
    print(
        f"\n{system}: {LINES} lines to {len(fleet.devices)} twins in blocks of {PLATFORMS[system].block_size}: "
        f"{ours:.2f} s; netmiko_send_config {theirs:.2f} s; {theirs / ours:.1f} times as fast (target 4); connect {connect:.2f} s"
    )
