"""Devices whose filter is a file, behind a real sshd on loopback: everything but the network OS is real.

Each fake device is a folder: `running` is its filter, `boot` its startup file. A filter is a list of lines; a load
replaces it, a line `bad ...` is rejected, `#` begins a comment, and a file `readonly` makes the device refuse every
change; `cut_before` and `cut_after` end the SSH session around the change, once.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from toolkit import deploy
from toolkit.platforms.base import CandidateConfig, ChangeSet

if TYPE_CHECKING:
    import pytest
    from nornir.core import Nornir

    from toolkit.paths import PathFinder

# `toolkit.deploy.apply` names the function in the package, so the module is asked for by its name.
apply_module = import_module("toolkit.deploy.apply")
session_module = import_module("toolkit.deploy.session")
sessions_module = import_module("toolkit.deploy.sessions")
target_module = import_module("toolkit.deploy.target")
timers_module = import_module("toolkit.deploy.timers")

DEVICES = ("leaf1", "leaf2", "fw1", "fw2")
ADDRESSES = {device: f"127.0.0.{number}" for number, device in enumerate(DEVICES, 11)}
OLD = "old rule\n"
NEW = "new rule\nsecond rule\n"
UNTOUCHED = dict.fromkeys(DEVICES, OLD)
DONE = dict.fromkeys(DEVICES, NEW)

CONFIG = """\
Port {port}
{listen}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
MaxSessions 100
SetEnv HOME={folder}
ForceCommand {folder}/login
"""
# A login ends up in the folder of the device whose address was called; start-up files of shells are left out.
LOGIN = """\
#!/bin/sh
set -- $SSH_CONNECTION
cd "$HOME/devices/$3" || exit 1
[ -n "$SSH_ORIGINAL_COMMAND" ] && exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
PS1='$ ' exec /bin/sh -i
"""
LOAD = """\
#!/bin/sh
hang_up() {
    rm "$1"
    pid=$$
    until grep -q '^Name:.sshd' "/proc/$pid/status"; do pid=$(sed -n 's/^PPid:.//p' "/proc/$pid/status"); done
    kill -9 "$pid"
    exit 1
}
[ -e cut_before ] && hang_up cut_before
[ -e readonly ] && { echo 'Error: Operation not permitted' >&2; exit 1; }
cat > sent
[ -e slow ] && sleep 0.2
bad=$(grep -n '^bad' sent | cut -d: -f1)
[ -n "$bad" ] && { echo "stdin:$bad: Error: syntax error, unexpected bad" >&2; [ -e lenient ] && exit 0; exit 1; }
echo x >> loads
grep -v '^#' sent > running
[ -e cut_after ] && hang_up cut_after
[ -e forgetful ] && echo 'somebody else' >> running
exit 0
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


@dataclass
class Ssh:
    """A running sshd: where it listens, and what a client needs."""

    port: int
    folder: Path
    user: str

    def connection(self, port: int | None = None, known_hosts: Path | None = None, key: Path | None = None):
        return deploy.Connection(
            user=self.user,
            key_file=key or self.folder / "id_ed25519",
            known_hosts=known_hosts or self.folder / "known_hosts",
            timeout=5.0,
            addresses={d: (address, port or self.port) for d, address in ADDRESSES.items()},
        )


def keygen(path: Path) -> str:
    """Make a key pair without a passphrase; returns type and public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return " ".join(Path(f"{path}.pub").read_text(encoding="ascii").split()[:2])


def known(port: int, host_key: str) -> str:
    """A known_hosts file in which all devices have the same key."""
    return "".join(f"[{address}]:{port} {host_key}\n" for address in ADDRESSES.values())


@dataclass(frozen=True)
class LinesState:
    """A filter that is only text."""

    context: SimpleNamespace
    lines: str

    def fingerprint(self) -> str:
        return hashlib.sha256(self.lines.encode()).hexdigest()

    def text(self) -> str:
        return self.lines

    def owned(self):
        return self

    def without_owned(self):
        return LinesState(self.context, "")

    def decide(self, *_):
        raise AssertionError("no test asks for this")


class LinesPlatform:
    """A network OS whose filter is a file."""

    name = "lines"
    transport = "exec"
    netmiko_driver = "linux"
    block_size = 1
    show_commands = ("cat running",)
    load_command = "/bin/sh ../load"
    failure_indicators = ("Error:",)

    def empty(self, context):
        return LinesState(context, "")

    def parse_config(self, text, _file, context, _before):
        return LinesState(context, text)

    def parse_running(self, outputs, context):
        return LinesState(context, outputs["cat running"])

    def change(self, candidate: CandidateConfig, running: LinesState) -> ChangeSet:
        if candidate.text == running.lines:
            return ChangeSet(candidate.device, "", "", {}, "")
        startup = {"boot": candidate.text}
        return ChangeSet(candidate.device, candidate.text, running.lines, startup, "a difference")

    def restore(self, target: LinesState, running: LinesState) -> str:
        return "" if target.lines == running.lines else target.lines or "# nothing\n"

    def startup(self, state: LinesState):
        return {"boot": state.lines or None}


PLATFORM = LinesPlatform()


def never(*_) -> bool:
    return False


@dataclass
class Fleet:
    """Four devices of the reference site behind one sshd, and a plan for them."""

    site: object
    root: Path
    ssh: Ssh
    runs: Path
    monkeypatch: pytest.MonkeyPatch
    finder: PathFinder
    shared: Nornir
    problems: dict[str, list[str]] = field(default_factory=dict)
    on_verify: object = None

    def folder(self, device: str) -> Path:
        return self.root / device

    def running(self, device: str) -> str:
        return (self.folder(device) / "running").read_text(encoding="utf-8")

    def boot(self, device: str) -> str | None:
        path = self.folder(device) / "boot"
        return path.read_text(encoding="utf-8") if path.exists() else None

    def loads(self, device: str) -> int:
        path = self.folder(device) / "loads"
        return len(path.read_text(encoding="ascii").splitlines()) if path.exists() else 0

    def filters(self) -> dict[str, str]:
        return {device: self.running(device) for device in DEVICES}

    def startups(self) -> dict[str, str | None]:
        return {device: self.boot(device) for device in DEVICES}

    def verify(self, device, _state):
        if self.on_verify is not None:
            self.on_verify(device)
        return self.problems.get(device, [])

    def nornir(self, connection=None, devices=None):
        return deploy.open_nornir(self.site, connection or self.ssh.connection(), devices)

    def target(self, stale=never):
        """The devices, over sessions that last as long as all tests, unless one ends them."""
        return deploy.Target(self.site, self.finder, self.shared, self.verify, stale)

    def close(self) -> None:
        self.target().close()

    def plan(self, candidates: dict[str, str] | None = None):
        """Plan and its candidates; NEW for every device unless told otherwise."""
        wanted = dict.fromkeys(DEVICES, NEW) | (candidates or {})
        running = self.target().read(DEVICES)
        self.candidates = {d: CandidateConfig(d, "lines", wanted[d], ("acl",), {}) for d in DEVICES}
        rendered = {d: SimpleNamespace(candidate=self.candidates[d]) for d in DEVICES}
        changes = {d: PLATFORM.change(self.candidates[d], running[d]) for d in DEVICES}
        plan = deploy.make_plan(self.site, rendered, running, changes)
        deploy.save_plan(plan, self.runs, running)
        return plan

    def limit(self, settings) -> None:
        """Give the site other deploy settings."""
        self.site = replace(self.site, file=self.site.file.model_copy(update={"deploy": settings}))

    def need(self, platform: str, level: str) -> None:
        """Ask for a level of rehearsal."""
        self.limit(self.site.file.deploy.model_copy(update={"min_level": {platform: level}}))

    def end_with(self, command) -> None:
        """How a tracked session is ended on these devices."""
        table = replace(sessions_module.CONNTRACK, end=lambda session: command(session.first[0]))
        self.monkeypatch.setattr(sessions_module, "CONNTRACK", table)

    def apply(self, plan, *, stale=never, site_checked=True, **options):
        """Apply; without `site_checked` a plan of the settings before `limit` or `need` is taken as current."""
        options = {"without_lab": True, **options}
        if not site_checked:
            self.monkeypatch.setattr(apply_module, "check_current", lambda *_: None)
        target = self.target(stale)
        return deploy.apply(plan, self.runs / plan.id, target, self.candidates, deploy.Options(**options))

    def rollback(self, plan, **options):
        saved = deploy.load_plan(self.runs, plan.id)
        return deploy.rollback(saved, self.runs / plan.id, self.target(), deploy.Options(**options))

    def reset(self) -> None:
        """All devices as they were at first."""
        for device in DEVICES:
            for name in ("running", "boot"):
                (self.folder(device) / name).write_text(OLD, encoding="utf-8")

    def steps(self, plan, device: str) -> list[str]:
        return [one.step for one in deploy.Journal(self.runs / plan.id).entries() if one.device == device]


class CrashError(BaseException):
    """The process is gone: nothing that follows a step of the journal is done, no handler runs."""
