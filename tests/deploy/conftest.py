"""A real sshd on loopback with a throw-away host key and key pair, and a fleet of devices behind it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
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
    target_module,
)
from toolkit import deploy
from toolkit.paths import PathFinder


def private_run_folder() -> list[str]:
    """sshd of root wants /run/sshd; where it is missing, it gets one in a mount namespace of its own."""
    if os.geteuid() != 0 or Path("/run/sshd").is_dir():
        return []
    script = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("/run/sshd is missing and no mount namespace can be made: start the system's sshd once")
    return prefix


@pytest.fixture(scope="session")
def ssh(tmp_path_factory):
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("sshd is missing; run: apt-get install openssh-server")
    if os.getuid() != 0:
        pytest.skip("an ordinary user's sshd cannot hand out terminals; the rootless lab tests push over SSH instead")
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
        argv = [*private_run_folder(), sshd, "-D", "-e", "-f", str(folder / "config")]
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
    for module in (apply_module, session_module, target_module):
        monkeypatch.setattr(module, "get", lambda _: PLATFORM)
    monkeypatch.setattr(apply_module, "LIST_COMMAND", "cat sessions")
    return Fleet(reference, root, ssh, tmp_path / "runs", monkeypatch, finder, shared)
