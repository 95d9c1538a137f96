"""Just enough of a platform to push hand-written entries to a twin: name them, bind them, find them again.

The access list of a plan is a list of entries in the OS's own words; what they mean is judged by the twins.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from toolkit.platforms.base import CandidateConfig, ChangeSet

if TYPE_CHECKING:
    from types import SimpleNamespace

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
