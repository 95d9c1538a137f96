"""What a lab of containers leaves on this machine, whose it is, and taking it away: only what that lab made."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import LabError
from toolkit.lab.engine import LABEL
from toolkit.lab.namespaces import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolkit.lab.clab import Containerlab
    from toolkit.lab.engine import Engine, LeftContainer

BASE: Final = Path("/run/toolkit-lab")  # one folder and one lock per lab that is up
DEPLOYING: Final = "deploying"  # this file stands in a lab's folder while containerlab is at work
# A cable that containerlab is making: both ends are on this machine, with names of its own, until they are moved.
UNFINISHED: Final = re.compile(r"clab-[0-9a-f]{8}")
SETTLE: Final = 2.0  # seconds after which a cable that is still unfinished is nobody's any more
GRACE: Final = 10.0
QUIET: Final = 0.5


def remove(lab: str, topology: Path, clab: Containerlab, engine: Engine, *, keep_state: bool = False) -> None:
    """Take away what a lab made: containers, network, entries on this machine, and its folder unless `keep_state`.

    Its containers are those that were deployed from its file; where others bear the lab's name, they and the network
    stay.

    Raises:
        LabError: something is left; the message names it.
    """
    problem = ""
    if _ours(engine.containers(lab), topology):
        try:
            clab.destroy(topology)
        except LabError as caught:
            problem = f" ({caught})"
    # A deployment that was killed may still have a container in the making.
    quiet = QUIET if (topology.parent / DEPLOYING).exists() else 0.0
    left = _sweep(lab, topology, engine, quiet)
    if left:
        raise LabError(f"the lab {lab} cannot be taken away whole; left: {', '.join(left)}{problem}")
    _cut_cables(topology.parent / DEPLOYING)
    if not engine.containers(lab):
        forget(lab)
    if keep_state:
        shutil.rmtree(topology.parent / f"clab-{lab}", ignore_errors=True)
        for path in topology.parent.iterdir():
            if path.is_file() and path not in (topology, _claim(topology.parent, os.getpid())):
                path.unlink()
    else:
        shutil.rmtree(topology.parent, ignore_errors=True)


def _ours(containers: Iterable[LeftContainer], topology: Path) -> list[LeftContainer]:
    return [one for one in containers if one.topology == str(topology)]


def _sweep(lab: str, topology: Path, engine: Engine, quiet: float) -> list[str]:
    """Remove containers and network until none has been seen for `quiet` seconds; names of those that stay."""
    start = clean_since = time.monotonic()
    while True:
        found = engine.containers(lab)
        left = _ours(found, topology)
        for one in left:
            engine.remove_container(one.identifier)
        network = None if len(found) > len(left) else engine.network(lab)
        ours = network is not None and LABEL in network["Labels"] and not strangers(network, lab)
        if ours and not left:
            engine.remove_network(lab)
        now = time.monotonic()
        if left or ours:
            clean_since = now
        elif now - clean_since >= quiet:
            return []
        if now - start > GRACE:
            return [one.name for one in left] or [f"network {lab}"]
        time.sleep(0.05)


def begin_deployment(folder: Path) -> None:
    """Note in a lab's folder that containerlab is at work, and which unfinished cables were there before."""
    (folder / DEPLOYING).write_text(json.dumps(sorted(unfinished_cables())), encoding="ascii")


def end_deployment(folder: Path) -> None:
    """Note that containerlab has done its work."""
    (folder / DEPLOYING).unlink()


def unfinished_cables() -> set[str]:
    """Name of each end of a cable that containerlab has made and not yet moved into its nodes."""
    done = subprocess.run(
        [program("ip"), "-json", "link", "show", "type", "veth"], text=True, capture_output=True, check=True
    )
    return {
        row["ifname"]
        for row in json.loads(done.stdout or "[]")
        if UNFINISHED.fullmatch(row["ifname"]) and UNFINISHED.fullmatch(row.get("link", ""))
    }


def _cut_cables(deploying: Path) -> None:
    """Remove the cables that a deployment left unfinished, and none that another one is just making."""
    try:
        before = set(json.loads(deploying.read_text(encoding="ascii")))
    except (FileNotFoundError, ValueError):
        return
    new = unfinished_cables() - before
    if not new:
        return
    time.sleep(SETTLE)
    for name in new & unfinished_cables():
        # The second end goes with the first, so one of two fails.
        subprocess.run([program("ip"), "link", "del", "dev", name], capture_output=True, check=False)


def strangers(network: Mapping[str, Any], lab: str) -> list[str]:
    """Names of the containers on a network that are not of a lab."""
    names = [str(one["Name"]) for one in network["Containers"].values()]
    return [name for name in names if not name.startswith(f"{lab}-")]


def forget(lab: str, hosts: Path = Path("/etc/hosts"), etc: Path = Path("/etc/ssh/ssh_config.d")) -> None:
    """Take away what containerlab wrote about a lab outside of it, where a kill kept it from doing so."""
    (etc / f"clab-{lab}.conf").unlink(missing_ok=True)
    for path in Path("/run/netns").glob(f"{lab}-*"):
        if path.is_symlink() and not path.exists():
            path.unlink(missing_ok=True)
    begin, end = f"###### CLAB-{lab}-START ######", f"###### CLAB-{lab}-END ######"
    text = hosts.read_text(encoding="utf-8")
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        hosts.write_text(before + rest.partition(end)[2].removeprefix("\n"), encoding="utf-8")


def check_routes(management: IPv4Network) -> None:
    """Refuse a management network that this machine has a route to: it would be cut off from it.

    Raises:
        LabError: names the route, and the setting to change.
    """
    done = subprocess.run(
        [program("ip"), "-4", "-json", "route", "show", "table", "all"], text=True, capture_output=True, check=True
    )
    for route in json.loads(done.stdout or "[]"):
        if route["dst"] == "default":
            continue
        taken = IPv4Network(route["dst"], strict=False)
        if taken.overlaps(management) and taken.prefixlen > 0:
            where = f" over {route['dev']}" if "dev" in route else ""
            raise LabError(
                f"the management network {management} clashes with this machine's route to {taken}{where}; "
                "choose another one: lab.management in site.yaml, and the devices' hostname in hosts.yaml"
            )


def claim(folder: Path) -> None:
    """Make a lab's folder and note that this process uses it, so that its parent can tidy up after it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _claim(folder, os.getpid()).touch()


def claims(pid: int) -> list[Path]:
    """Folders of labs that a process has claimed."""
    return [path.parent for path in BASE.glob(f"*/{_claim(Path(), pid).name}")]


def unclaim(folder: Path, pid: int) -> None:
    """Forget a claim."""
    _claim(folder, pid).unlink(missing_ok=True)


def _claim(folder: Path, pid: int) -> Path:
    return folder / f"owner.{pid}"


def lock(lab: str) -> int:
    """Be the only one to build or remove a lab; gives the descriptor that holds the lock.

    Raises:
        LabError: another process has it.
    """
    BASE.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = BASE / f"{lab}.lock"
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise LabError(f"the lab {lab} is up or being built by another process; wait for it, or end it") from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(fd)):
                return fd
        os.close(fd)  # somebody ended their lab meanwhile and took the file with it


def unlock(lab: str, fd: int) -> None:
    """Give a lab's lock back; its file goes, and the folder of all labs with the last one."""
    (BASE / f"{lab}.lock").unlink(missing_ok=True)
    os.close(fd)
    with contextlib.suppress(OSError):
        BASE.rmdir()
