"""A real sshd on loopback with a throw-away host key and key pair, and a fleet of devices behind it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deploy.fleet import (
    ADDRESSES,
    CONFIG,
    LOAD,
    LOGIN,
    OLD,
    PLATFORM,
    Fleet,
    Ssh,
    apply_module,
    free_port,
    keygen,
    known,
    session_module,
    sessions_module,
    target_module,
)
from tests.deploy.twin_fleet import enter_fleet, make_fleet
from toolkit import deploy
from toolkit.paths import PathFinder
from toolkit.site import DeploySettings

ROOTS_RUN = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
# An ordinary user's sshd may give a terminal only to groups that it has, and only on terminals of its own.
OWN_TERMINALS = """
gid=$(id -g) && mount -t tmpfs tmpfs /run && echo "tty:x:$gid:" > /run/group && mount --bind /run/group /etc/group &&
mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=0666,mode=0620,gid=$gid &&
mount --bind /dev/pts/ptmx /dev/ptmx && exec "$@"
"""


def private_mounts() -> list[str]:
    """What sshd needs and this user's system may not give it, in a mount namespace of its own."""
    if os.geteuid() != 0:
        prefix = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", OWN_TERMINALS, "sh"]
    elif Path("/run/sshd").is_dir():
        return []
    else:
        prefix = ["unshare", "--mount", "sh", "-c", ROOTS_RUN, "sh"]
    done = subprocess.run([*prefix, "true"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no mount namespace for sshd can be made: {done.stderr.strip()}")
    return prefix


@pytest.fixture(scope="session")
def ssh(tmp_path_factory):
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("sshd is missing; run: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    port = free_port()
    host_key = keygen(folder / "host_key")
    (folder / "authorized_keys").write_text(keygen(folder / "id_ed25519") + "\n", encoding="ascii")
    (folder / "known_hosts").write_text(known(port, host_key), encoding="ascii")
    (folder / "login").write_text(LOGIN, encoding="ascii")
    (folder / "login").chmod(0o755)
    listen = "\n".join(f"ListenAddress {address}" for address in ADDRESSES.values())
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder, listen=listen), encoding="ascii")
    with (folder / "log").open("wb") as log:
        argv = [*private_mounts(), sshd, "-D", "-e", "-f", str(folder / "config")]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((ADDRESSES["fw2"], port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text(errors="replace")
                assert time.monotonic() < deadline, (folder / "log").read_text(errors="replace")
                time.sleep(0.02)
        yield Ssh(port, folder, subprocess.check_output(["id", "-un"], text=True).strip())
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def finder(reference):
    return PathFinder(reference.topology)


@pytest.fixture(scope="session")
def shared(reference, ssh):
    nornir = deploy.open_nornir(reference, ssh.connection())
    yield nornir
    for host in nornir.inventory.hosts.values():
        session_module.end_session(host)


@pytest.fixture
def fleet(reference, finder, shared, ssh, tmp_path, monkeypatch):
    root = tmp_path / "devices"
    root.mkdir()
    (root / "load").write_text(LOAD, encoding="ascii")
    for device, address in ADDRESSES.items():
        (root / device).mkdir()
        (root / address).symlink_to(device)
        (root / device / "running").write_text(OLD, encoding="utf-8")
        (root / device / "boot").write_text(OLD, encoding="utf-8")
        (root / device / "sessions").write_text("", encoding="ascii")
    (ssh.folder / "devices").unlink(missing_ok=True)
    (ssh.folder / "devices").symlink_to(root)
    for module in (apply_module, session_module, sessions_module, target_module):
        monkeypatch.setattr(module, "get", lambda _: PLATFORM)
    table = replace(sessions_module.CONNTRACK, check="cat sessions", listing="cat sessions")
    monkeypatch.setattr(sessions_module, "CONNTRACK", table)
    return Fleet(reference, root, ssh, tmp_path / "runs", monkeypatch, finder, shared)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as one:
        yield one


@pytest.fixture
def build(stack, tmp_path, monkeypatch):
    """A fleet of some twins of an OS, with a target whose sessions end with the test."""

    monkeypatch.delenv("TOOLKIT_ENABLE_PASSWORD", raising=False)

    def make(os, count=1, waves=(), **twin):
        settings = DeploySettings(max_devices=50, waves=waves)
        server, key = make_fleet(os, count, tmp_path, monkeypatch, settings, **twin)
        stack.enter_context(server)
        fleet = enter_fleet(os, server, key, tmp_path, monkeypatch, settings)
        target = fleet.target()
        stack.callback(target.close)
        return fleet, target

    return make
