"""A Linux network device of the lab: its own /etc, a boot that loads its filter, and a real sshd."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.namespaces import STATE, USER, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.lab.plan import LabNode

# What a device's /etc takes over from the system: enough for a shell, nft and sshd.
SHARED_ETC: Final = ("ld.so.cache", "ld.so.conf", "nsswitch.conf", "protocols", "services", "localtime", "alternatives")
SSHD_CONFIG: Final = """\
ListenAddress {address}
HostKey {inner}/ssh_host_ed25519_key
AuthorizedKeysFile {inner}/authorized_keys
PidFile {inner}/sshd.pid
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


def make_keys(state: Path) -> None:
    """One key pair for the operator of this lab, in the lab's own folder; it lives and dies with the lab."""
    keygen(state / "id_ed25519", "lab")


def keygen(path: Path, comment: str) -> None:
    """Make a key pair: `path`, and `path` with .pub behind it."""
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        capture_output=True,
    )


def private_etc(etc: Path, name: str) -> None:
    """An /etc for a device that shares this machine's files: enough for a shell, nft and sshd."""
    etc.mkdir(parents=True)
    for shared in SHARED_ETC:
        source = Path("/etc") / shared
        if source.is_dir():
            shutil.copytree(source, etc / shared, symlinks=True)
        elif source.exists():
            shutil.copy(source, etc / shared)
    for users in ("passwd", "group"):
        shutil.copy(STATE / users, etc / users)
    (etc / "hostname").write_text(f"{name}\n", encoding="ascii")


def private_view(node: str, etc: Path) -> list[str]:
    """What to put before a program so that it runs in a device's network and sees its /etc."""
    script = 'mount --bind "$1" /etc && shift && exec "$@"'
    inside = ["/bin/sh", "-c", script, "sh", str(etc)]
    return [program("nsenter"), f"--net=/run/netns/{node}", "--", program("unshare"), "--mount", *inside]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device lives: its files and its /etc as we see them, its files as it sees them, the way inside.

    `keep` are processes that a reboot leaves alone: those that hold a container open.
    """

    folder: Path
    etc: Path
    inner: Path
    view: Sequence[str]
    keep: frozenset[int] = frozenset()


class Device:
    """One device; `boot` may be called again after `stop`."""

    def __init__(self, node: LabNode, place: Place, site_folder: Path, state: Path) -> None:
        self.node = node
        self.place = place
        self.folder = place.folder
        self._process: subprocess.Popen[bytes] | None = None
        self._install(site_folder, state)

    def _install(self, site_folder: Path, state: Path) -> None:
        """Its disk: what a device has before anybody of ours comes."""
        etc, folder = self.place.etc, self.folder
        for name in ("nftables.d", "ssh"):
            (etc / name).mkdir(exist_ok=True)
        foreign = ""
        if self.node.running:
            foreign = (site_folder / self.node.running).read_text(encoding="utf-8")
        boot = f'#!/usr/sbin/nft -f\nflush ruleset\n{foreign}\ninclude "/etc/nftables.d/*.nft"\n'
        (etc / "nftables.conf").write_text(boot, encoding="utf-8")
        keygen(state / f"{self.node.name}_host_key", self.node.name)
        shutil.copy(state / f"{self.node.name}_host_key", folder / "ssh_host_ed25519_key")
        shutil.copy(state / "id_ed25519.pub", folder / "authorized_keys")
        config = SSHD_CONFIG.format(address=self.node.management, inner=self.place.inner, user=USER)
        (etc / "ssh" / "sshd_config").write_text(config, encoding="ascii")
        public = (state / f"{self.node.name}_host_key.pub").read_text(encoding="ascii").split()
        with (state / "known_hosts").open("a", encoding="ascii") as known:
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
                [*self.place.view, "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"],
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
        mine = mount_namespace(self._process.pid)
        return [pid for pid in pids_sharing(mine) if pid not in self.place.keep]

    def inside(self, argv: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as on the device: its network, its /etc."""
        return subprocess.run(
            [*self.place.view, *argv], input=text, text=True, capture_output=True, check=False, timeout=60
        )

    def log(self) -> str:
        """The last lines that its sshd wrote."""
        path = self.folder / "sshd.log"
        return path.read_text(encoding="utf-8", errors="replace")[-500:] if path.exists() else "no log"


def pids_sharing(namespace: str | None) -> list[int]:
    """Processes in a mount namespace."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]  # noqa: PTH208 - names only
    return [pid for pid in pids if namespace is not None and mount_namespace(pid) == namespace]


def mount_namespace(pid: int) -> str | None:
    """Name of the mount namespace of a process, None where it is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return None
