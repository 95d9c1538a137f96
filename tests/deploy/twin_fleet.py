"""Twins on loopback, and plans of hand-written lines for them: all but the platform is what production uses.

The access list of a plan is a list of entries in the OS's own words. The platform here knows just enough to name it,
bind it, and find it again; what the lines mean is judged by the twins.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

from tests.deploy.fleet import apply_module, keygen, session_module, target_module
from toolkit import deploy
from toolkit.lab.twins import Login, judge, make_twin
from toolkit.lab.twins.server import TwinServer
from toolkit.platforms.base import CandidateConfig, ChangeSet

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INTERFACE = {
    "cisco_ios": "GigabitEthernet0/1",
    "cisco_nxos": "Ethernet1/1",
    "arista_eos": "Ethernet1",
    "cisco_asa": "GigabitEthernet0/1",
    "juniper_junos": "ge-0/0/1",
}
TK = "TK-"


@dataclass(frozen=True)
class State:
    """Access lists of ours with their entries, the one that is bound, and somebody else's."""

    context: SimpleNamespace
    lists: dict[str, list[str]]
    bound: str
    foreign: dict[str, list[str]] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps([self.lists, self.bound, self.foreign])

    def fingerprint(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


class TwinPlatform:
    """One OS, as far as these tests need it."""

    transport = "cli"
    load_command = ""
    block_size = 50
    show_commands: ClassVar[tuple[str, ...]] = ("show running-config",)

    def __init__(self, driver: str) -> None:
        self.name = self.netmiko_driver = driver
        self.failure_indicators = (
            "% Invalid",
            "% Incomplete",
            "ERROR:",
            "syntax error",
            "error:",
            "unknown command",
            "%No ",
            "% Session",
            "missing argument",
        )

    def empty(self, context) -> State:
        return State(context, {}, "")

    def parse_config(self, text, _file, context, _before) -> State:
        return State(context, *json.loads(text))

    def parse_running(self, outputs, context) -> State:
        lists, bound = READERS.get(self.name, read_cisco)(outputs[self.show_commands[0]])
        ours = {name: lines for name, lines in lists.items() if name.startswith(TK)}
        return State(context, ours, bound, {name: lines for name, lines in lists.items() if name not in ours})

    def change(self, candidate: CandidateConfig, running: State) -> ChangeSet:
        entries = candidate.text.splitlines()
        name = list_name(candidate.text)
        goal = State(running.context, {name: entries}, name, running.foreign)
        if running.bound == name and [strip(one) for one in running.lists.get(name, [])] == entries:
            return ChangeSet(candidate.device, "", "", {}, "")
        lines = list(self.lines(running, goal))
        return ChangeSet(
            candidate.device, self.script(lines, "apply"), self.restore(running, goal), {}, "a difference",
            CONFIRM.get(self.name, ""), SAVE.get(self.name, "write memory\n"),
        )  # fmt: skip

    def restore(self, target: State, running: State) -> str:
        lines = list(self.lines(running, target))
        return self.script(lines, "restore") if lines else ""

    def startup(self, _state):
        return {}

    def lines(self, now: State, goal: State):
        """New list, rebind, old lists away."""
        for name, entries in goal.lists.items():
            if name not in now.lists or [strip(a) for a in now.lists[name]] != [strip(a) for a in entries]:
                yield from self.written(name, [strip(one) for one in entries], fresh=name not in now.lists)
        if now.bound != goal.bound:
            yield from self.rebound(now.bound, goal.bound)
        for name in now.lists:
            if name not in goal.lists:
                yield from self.removed(name)

    def written(self, name, entries, *, fresh):
        if self.name == "cisco_asa":
            yield from [] if fresh else [f"clear configure access-list {name}"]
            yield from (f"access-list {name} extended {one}" for one in entries)
        elif self.name == "juniper_junos":
            yield from [] if fresh else [f"delete firewall family inet filter {name}"]
            yield from (f"set firewall family inet filter {name} {one}" for one in entries)
        else:
            header = f"ip access-list {'extended ' * (self.name == 'cisco_ios')}{name}"
            yield from [] if fresh else [f"no {header}"]
            yield from [header, *entries, "exit"]

    def rebound(self, old, new):
        interface = INTERFACE[self.name]
        if self.name == "cisco_asa":
            yield f"access-group {new} in interface inside" if new else f"no access-group {old} in interface inside"
        elif self.name == "juniper_junos":
            path = f"interfaces {interface} unit 0 family inet filter input"
            yield f"set {path} {new}" if new else f"delete {path}"
        else:
            yield f"interface {interface}"
            yield f"ip access-group {new} in" if new else f"no ip access-group {old} in"
            yield "exit"

    def removed(self, name):
        if self.name == "cisco_asa":
            yield f"clear configure access-list {name}"
        elif self.name == "juniper_junos":
            yield f"delete firewall family inet filter {name}"
        else:
            yield f"no ip access-list {'extended ' * (self.name == 'cisco_ios')}{name}"

    def script(self, lines, purpose) -> str:
        body = "\n".join(lines)
        match self.name:
            case "arista_eos":
                end = "commit timer 00:05:00" if purpose == "apply" else "commit"
                return f"configure session tk-{purpose}\n{body}\n{end}\n"
            case "cisco_nxos":
                return f"configure session tk-{purpose}\n{body}\nverify\ncommit\n"
            case "juniper_junos":
                end = "commit check\ncommit confirmed 5" if purpose == "apply" else "commit check\ncommit"
                return f"configure exclusive\n{body}\n{end}\nexit\n"
            case "cisco_ios":
                timer = " revert timer 5" if purpose == "apply" else ""
                return f"configure terminal{timer}\n{body}\nend\n"
            case _:
                return f"configure terminal\n{body}\nend\n"


SAVE = {"juniper_junos": "", "cisco_nxos": "copy running-config startup-config\n"}
CONFIRM = {
    "arista_eos": "configure session tk-apply commit\n",
    "juniper_junos": "configure exclusive\ncommit\nexit\n",
    "cisco_ios": "configure confirm\n",
}


def strip(entry: str) -> str:
    """An entry without its number."""
    return re.sub(r"^\d+ ", "", entry)


def read_cisco(text: str):
    """Access lists and the one bound, of IOS, EOS and NX-OS."""
    lists, bound, where = {}, "", None
    for line in text.splitlines():
        if match := re.match(r"ip access-list (?:extended )?(\S+)$", line):
            where = lists.setdefault(match[1], [])
        elif not line.startswith(" "):
            where = None
        elif match := re.match(r"\s+ip access-group (\S+) in$", line):
            bound = match[1]
        elif where is not None and not line.strip().startswith("statistics"):
            where.append(line.strip())
    return lists, bound


def read_asa(text: str):
    """Access lists and the one bound, of an ASA."""
    lists, bound = {}, ""
    for line in text.splitlines():
        if match := re.match(r"access-list (\S+) extended (.*?)\s*$", line):
            lists.setdefault(match[1], []).append(match[2])
        elif match := re.match(r"access-group (\S+) in interface inside", line):
            bound = match[1]
    return lists, bound


def read_junos(text: str):
    """Filters and the one bound, of Junos in `set` form."""
    lists, bound = {}, ""
    for line in text.splitlines():
        if match := re.match(r"set firewall family inet filter (\S+) (.*)$", line):
            lists.setdefault(match[1], []).append(match[2])
        elif match := re.match(r"set interfaces \S+ unit 0 family inet filter input (\S+)$", line):
            bound = match[1]
    return lists, bound


READERS = {"cisco_asa": read_asa, "juniper_junos": read_junos}


class JunosPlatform(TwinPlatform):
    """Junos is read in its `set` form."""

    show_commands: ClassVar[tuple[str, ...]] = ("show configuration | display set",)


PLATFORMS = {driver: (JunosPlatform if driver == "juniper_junos" else TwinPlatform)(driver) for driver in INTERFACE}


def cisco_lines(os: str, *ports: int) -> str:
    """Entries that permit some ports to one server, in the OS's own words."""
    host = "10.0.0.5/32" if os == "cisco_nxos" else "host 10.0.0.5"
    return "".join(f"permit tcp any {host} eq {port}\n" for port in ports) + "deny ip any any\n"


def entries_for(os: str, *ports: int) -> str:
    """Entries that permit some ports to one server."""
    if os == "juniper_junos":
        lines = [
            "term 1 from destination-address 10.0.0.5/32",
            "term 1 from protocol tcp",
            *(f"term 1 from destination-port {port}" for port in ports),
            "term 1 then accept",
            "term last then discard",
        ]
        return "".join(f"{line}\n" for line in lines)
    return cisco_lines(os, *ports)


def list_name(text: str) -> str:
    """Of the list with these entries."""
    return TK + hashlib.sha256(text.encode()).hexdigest()[:6].upper()


OLD, NEW, BOTH = (8001,), (8002, 8003), (8001, 8002, 8003)


def boot_config(os: str, name: str, entries: str, list_name: str) -> str:
    """A small configuration with one list bound."""
    interface = INTERFACE[os]
    lines = entries.splitlines()
    numbered = "".join(f" {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    match os:
        case "cisco_asa":
            acl = "".join(f"access-list {list_name} extended {line}\n" for line in lines)
            return (
                f"hostname {name}\ninterface {interface}\n nameif inside\n security-level 100\n"
                f"{acl}access-group {list_name} in interface inside\n"
            )
        case "juniper_junos":
            acl = "".join(f"set firewall family inet filter {list_name} {line}\n" for line in lines)
            return (
                f"set system host-name {name}\n{acl}"
                f"set interfaces {interface} unit 0 family inet filter input {list_name}\n"
                f"set interfaces {interface} unit 0 family inet address 10.0.0.1/24\n"
            )
        case _:
            header = f"ip access-list {'extended ' * (os == 'cisco_ios')}{list_name}"
            archive = "archive\n path flash:archive\n" if os == "cisco_ios" else ""
            return (
                f"hostname {name}\n{archive}interface {interface}\n no switchport\n ip access-group {list_name} in\n"
                f"{header}\n{numbered}"
            )


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
        plan = deploy.make_plan(self.site, rendered, running, changes)
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
    nodes = {name: SimpleNamespace(name=name, is_device=True, stateful=False) for name in names}
    file = SimpleNamespace(
        deploy=deploy_settings, settings=SimpleNamespace(phase="install"), model_dump=lambda **_: {"site": "twins"}
    )
    topology = SimpleNamespace(nodes=nodes, devices=list(nodes.values()), node=nodes.__getitem__)
    site = SimpleNamespace(name="twins", folder=inventory, topology=topology, specs={}, file=file)
    for module in (apply_module, session_module, target_module):
        monkeypatch.setattr(module, "get", PLATFORMS.__getitem__)
    for module in (apply_module, target_module):
        monkeypatch.setattr(module, "context", lambda _site, _finder, device: SimpleNamespace(device=device))
    monkeypatch.setattr(apply_module, "check_moments", lambda *_: None)  # these states know no packets
    monkeypatch.setattr(deploy.inventory, "names", lambda: tuple(PLATFORMS))
    monkeypatch.setattr(deploy.inventory, "get", PLATFORMS.__getitem__)
    return TwinFleet(os, server, site, folder / "runs", key, folder / "known_hosts")
