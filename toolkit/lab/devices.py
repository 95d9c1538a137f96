"""A Linux network device of the lab: its own /etc, a boot that loads its filter, and a real sshd."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.namespaces import STATE, USER, program

if TYPE_CHECKING:
    from toolkit.lab.topology_file import LabNode

# What a device's /etc takes over from the system: enough for a shell, nft and sshd.
SHARED_ETC: Final = ("ld.so.cache", "ld.so.conf", "nsswitch.conf", "protocols", "services", "localtime", "alternatives")
SSHD_CONFIG: Final = """\
ListenAddress {address}
HostKey {folder}/ssh_host_ed25519_key
AuthorizedKeysFile {state}/authorized_keys
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers {user}
SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin
StrictModes no
UseDNS no
PrintMotd no
X11Forwarding no
AllowTcpForwarding no
MaxStartups 100
MaxSessions 100
"""


def make_keys() -> None:
    """One key pair for the operator of this lab; it lives and dies in memory."""
    key = STATE / "id_ed25519"
    _keygen(key, "lab")
    shutil.copy(f"{key}.pub", STATE / "authorized_keys")


def _keygen(path: Path, comment: str) -> None:
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        capture_output=True,
    )


class Device:
    """One device; `boot` may be called again after `stop`."""

    def __init__(self, node: LabNode, site_folder: Path, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.etc = folder / "etc"
        self._process: subprocess.Popen[bytes] | None = None
        self._install(site_folder)

    def _install(self, site_folder: Path) -> None:
        """Its disk: what a device has before anybody of ours comes."""
        self.etc.mkdir(parents=True)
        for name in SHARED_ETC:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, self.etc / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, self.etc / name)
        for name in ("passwd", "group"):
            shutil.copy(STATE / name, self.etc / name)
        (self.etc / "hostname").write_text(f"{self.node.name}\n", encoding="ascii")
        (self.etc / "nftables.d").mkdir()
        (self.etc / "ssh").mkdir()
        foreign = ""
        if self.node.running:
            foreign = (site_folder / self.node.running).read_text(encoding="utf-8")
        boot = f'#!/usr/sbin/nft -f\nflush ruleset\n{foreign}\ninclude "/etc/nftables.d/*.nft"\n'
        (self.etc / "nftables.conf").write_text(boot, encoding="utf-8")
        _keygen(self.folder / "ssh_host_ed25519_key", self.node.name)
        config = SSHD_CONFIG.format(address=self.node.management, folder=self.folder, state=STATE, user=USER)
        (self.etc / "ssh" / "sshd_config").write_text(config, encoding="ascii")
        public = (self.folder / "ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()
        with (STATE / "known_hosts").open("a", encoding="ascii") as known:
            known.write(f"{self.node.management} {public[0]} {public[1]}\n")

    def boot(self) -> None:
        """Load the filter from its files, then let people log in.

        Raises:
            LabError: the filter does not load.
        """
        done = self.inside(["/usr/sbin/nft", "-f", "/etc/nftables.conf"])
        if done.returncode != 0:
            raise LabError(f"{self.node.name} does not boot: {done.stderr.strip()}")
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._view(), program("sshd"), "-D", "-e", "-f", "/etc/ssh/sshd_config"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Power off: no process, no filter."""
        if self._process is not None:
            # Each login is a session of its own, so look for everything that shares the device's /etc.
            for pid in self._pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._process.wait(timeout=10)
            self._process = None
            self.inside(["/usr/sbin/nft", "flush", "ruleset"])

    def _pids(self) -> list[int]:
        """Processes in the mount namespace of the device's sshd."""
        assert self._process is not None  # noqa: S101 - stop() has looked
        mine = _mount_namespace(self._process.pid)
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]  # noqa: PTH208 - names only
        return [pid for pid in pids if mine is not None and _mount_namespace(pid) == mine]

    def inside(self, argv: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as on the device: its network, its /etc."""
        return subprocess.run(
            [*self._view(), *argv], input=text, text=True, capture_output=True, check=False, timeout=60
        )

    def log(self) -> str:
        """The last lines that its sshd wrote."""
        path = self.folder / "sshd.log"
        return path.read_text(encoding="utf-8", errors="replace")[-500:] if path.exists() else "no log"

    def _view(self) -> list[str]:
        script = 'mount --bind "$1" /etc && shift && exec "$@"'
        return [
            program("nsenter"),
            f"--net=/run/netns/{self.node.name}",
            "--",
            program("unshare"),
            "--mount",
            "/bin/sh",
            "-c",
            script,
            "sh",
            str(self.etc),
        ]


def _mount_namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return None
