"""Twins on loopback, and plans of hand-written lines for them: all but the platform is what production uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tests.deploy.fleet import apply_module, keygen, session_module, sessions_module, target_module, timers_module
from tests.deploy.twin_platform import BOTH, INTERFACE, NEW, OLD, PLATFORMS, boot_config, entries_for, list_name
from toolkit import deploy
from toolkit.lab.twins import Login, judge, make_twin
from toolkit.lab.twins.server import TwinServer
from toolkit.platforms.base import CandidateConfig

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass
class TwinFleet:
    """Some twins of one OS, a plan for them, and what was made of it."""

    os: str
    server: TwinServer
    site: SimpleNamespace
    runs: Path
    key: Path
    known_hosts: Path
    problems: dict[str, list[str]] = field(default_factory=dict)
    on_verify: object = None
    render: object = None  # (device, ports, running state) -> candidate, where the platform is a real one
    platform: object = None

    @property
    def devices(self):
        return self.server.devices

    def nornir(self, **connection):
        settings = {
            "user": "netops", "key_file": self.key, "known_hosts": self.known_hosts, "timeout": 10.0,
            "addresses": {name: ("127.0.0.1", port) for name, port in self.server.ports.items()},
        } | connection  # fmt: skip
        return deploy.open_nornir(self.site, deploy.Connection(**settings))

    def target(self):
        def verify(device, state):
            if self.on_verify is not None:
                self.on_verify(device, state)
            return self.problems.get(device, [])

        return deploy.Target(self.site, None, self.nornir(), verify, lambda *_: False)

    def plan(self, target, ports=NEW):
        running = target.read(self.devices)
        if self.render is not None:
            self.candidates = {d: self.render(d, ports, running[d]) for d in self.devices}
        else:
            text = entries_for(self.os, *ports)
            self.candidates = {d: CandidateConfig(d, self.os, text, (), {}) for d in self.devices}
        rendered = {d: SimpleNamespace(candidate=one) for d, one in self.candidates.items()}
        platform = self.platform or PLATFORMS[self.os]
        changes = {d: platform.change(self.candidates[d], running[d]) for d in self.devices}
        changes, notes = deploy.choose_timers(target, changes)
        plan = deploy.make_plan(self.site, rendered, running, changes, notes)
        deploy.save_plan(plan, self.runs, running)
        return plan

    def apply(self, target, plan, **options):
        options = {"without_lab": True, **options}
        folder = self.runs / plan.id
        return deploy.apply(plan, folder, target, self.candidates, deploy.Options(**options))

    def rollback(self, target, plan):
        return deploy.rollback(deploy.load_plan(self.runs, plan.id), self.runs / plan.id, target)

    def steps(self, plan, device):
        return [one.step for one in deploy.Journal(self.runs / plan.id).entries() if one.device == device]

    def opens(self, device: str, config: str | None = None) -> tuple[int, ...]:
        """Which of the ports that the tests speak of a device lets through, by the twin's own reading."""
        from tests.deploy.twin_packets import tcp

        return tuple(port for port in BOTH if judge(self.devices[device], INTERFACE[self.os], tcp(port), config).permit)

    def seen(self, device: str) -> list[tuple[int, ...]]:
        """What a device has let through since it began, one after the other."""
        found = []
        for config in self.devices[device].states:
            now = self.opens(device, config)
            if not found or found[-1] != now:
                found.append(now)
        return found

    def fault(self, device: str, **settings) -> None:
        for name, value in settings.items():
            setattr(self.devices[device].faults, name, value)

    def reset_count(self) -> None:
        for device in self.devices.values():
            device.counted = 0


def make_fleet(
    os: str, count: int, folder: Path, monkeypatch: pytest.MonkeyPatch, settings, minute=60.0, boots=None, **login
):
    """A server (to be entered) and what is needed to make a fleet of it."""
    key = folder / "id"
    public = keygen(key)
    text = entries_for(os, *OLD)
    name = list_name(text)
    who = Login("netops", "secret", (public,), **login)
    boots = boots or {f"sw{n}": boot_config(os, f"sw{n}", text, name) for n in range(1, count + 1)}
    twins = [make_twin(name, os, boot, who, minute=minute) for name, boot in boots.items()]
    for twin in twins:
        twin.watched = True
    return TwinServer(twins), key


def enter_fleet(os: str, server: TwinServer, key: Path, folder: Path, monkeypatch, deploy_settings) -> TwinFleet:
    """The fleet of a server that runs."""
    (folder / "known_hosts").write_text(server.known_hosts(), encoding="ascii")
    inventory = folder / "inventory"
    inventory.mkdir()
    names = list(server.devices)
    hosts = "".join(f"{name}:\n  hostname: 127.0.0.1\n  platform: {os}\n" for name in names)
    (inventory / "hosts.yaml").write_text(hosts, encoding="ascii")
    for name in ("groups", "defaults"):
        (inventory / f"{name}.yaml").write_text("{}\n", encoding="ascii")
    nodes = {name: SimpleNamespace(name=name, is_device=True, enforces=True, stateful=False) for name in names}
    file = SimpleNamespace(
        deploy=deploy_settings, settings=SimpleNamespace(phase="install"), model_dump=lambda **_: {"site": "twins"}
    )
    topology = SimpleNamespace(
        nodes=nodes, devices=list(nodes.values()), enforcers=list(nodes.values()), node=nodes.__getitem__
    )
    site = SimpleNamespace(name="twins", folder=inventory, topology=topology, specs={}, file=file)
    for module in (apply_module, session_module, sessions_module, target_module, timers_module):
        monkeypatch.setattr(module, "get", PLATFORMS.__getitem__)
    for module in (apply_module, target_module):
        monkeypatch.setattr(module, "context", lambda _site, _finder, device: SimpleNamespace(device=device))
    monkeypatch.setattr(apply_module, "check_moments", lambda *_: None)  # these states know no packets
    monkeypatch.setattr(apply_module, "half_way", lambda *_: True)  # nor what half of a text would mean
    monkeypatch.setattr(deploy.inventory, "names", lambda: tuple(PLATFORMS))
    monkeypatch.setattr(deploy.inventory, "get", PLATFORMS.__getitem__)
    return TwinFleet(os, server, site, folder / "runs", key, folder / "known_hosts")
