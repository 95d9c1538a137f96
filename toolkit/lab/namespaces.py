"""Namespaces of one lab: everything lives inside a process tree that dies with its parent.

`run_inside` forks a child into fresh user, network, mount, pid, uts and ipc namespaces (without the user
namespace when already root) and runs a function there. Pid 1 of that tree does nothing but wait and bury
orphans; when it ends, for whatever reason, the kernel ends everything in the tree and takes the networks away.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import struct
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from toolkit.errors import LabError, MissingProgramError, NamespaceError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
PR_SET_PDEATHSIG: Final = 1
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
CAPABILITY_VERSION_3: Final = 0x20080522
MS_BIND: Final = 0x1000
MS_REC_PRIVATE: Final = 0x44000
LAST_CAPABILITY: Final = 63
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

STATE: Final = Path("/run/lab")
USER: Final = "netops"
SSHD_UID: Final = 74

# Program -> the Debian package that has it.
PROGRAMS: Final[dict[str, str]] = {
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "docker-registry": "docker-registry",
    "conntrack": "conntrack",
}

_libc = ctypes.CDLL(None, use_errno=True)


def program(name: str) -> str:
    """Path of a program, looked for in the system folders too.

    Raises:
        MissingProgramError: it is not installed; names the Debian package.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        raise MissingProgramError(name, PROGRAMS.get(name, name))
    return found


def check_programs(names: Iterable[str] = PROGRAMS) -> None:
    """Look for all programs that a lab needs.

    Raises:
        MissingProgramError: for the first one that is missing.
    """
    for name in names:
        program(name)


def check_permission() -> None:
    """Find out whether this user may make namespaces, by making some.

    Raises:
        NamespaceError: no; the message names the remedy.
    """

    def attempt() -> int:
        try:
            _unshare()
            # AppArmor may allow the namespace and then take away what it is good for.
            _mount(None, "/", None, MS_REC_PRIVATE)
        except (OSError, LabError):
            return 1
        return 0

    child = _fork(attempt)
    _, status = os.waitpid(child, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # one that came meanwhile is for us
    if status != 0:
        raise NamespaceError(f"this user may not create network namespaces; {_remedy()}")


def _remedy() -> str:
    """The line that lets users create namespaces, judged by what this system has switched off."""
    if os.getuid() == 0:
        return "this root lacks the capability CAP_SYS_ADMIN: leave the container, or start it with that capability"
    knobs = (
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
    )
    for path, bad, remedy in knobs:
        try:
            if Path(path).read_text(encoding="ascii").strip() == bad:
                return f"run as root: sysctl -w {remedy}"
        except OSError:
            continue
    return "run as root, or in an environment that allows user namespaces"


def run_inside(function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
    """Run a function inside fresh namespaces and return its exit code.

    SIGINT and SIGTERM are passed on, and the first one lets the function clean up; when this process is
    killed, the namespaces go with it. An error of the function is written to stderr in there.
    `started` is called outside with the process id of the lab's first process, for `attach`.

    Raises:
        MissingProgramError: a program is not installed; names the Debian package.
        NamespaceError: this user may not make namespaces; names the remedy.
    """
    check_programs()
    check_permission()
    parent = os.getpid()
    return fork_and_wait(lambda: _keep(function, parent, started))


def attach(pid: int, function: Callable[[], int]) -> int:
    """Run a function inside the namespaces of a lab that is up; `pid` is its first process.

    Raises:
        LabError: the process is gone.
    """
    flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC
    if os.getuid() != 0:
        flags |= CLONE_NEWUSER
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as caught:
        raise LabError(f"the lab's process {pid} cannot be reached: {caught.strerror}") from None
    parent = os.getpid()
    folder = Path.cwd()

    def enter() -> int:
        die_with(parent)  # and no session of its own: a command in there may want the terminal
        try:
            _check(_libc.setns(pidfd, flags))
        except OSError as caught:
            raise LabError(f"the lab of process {pid} cannot be entered: {caught.strerror}; is it yours?") from None
        os.chdir(folder)  # other mounts have another root, and the way there is the same
        if os.getuid() != 0:
            _raise_ambient()
        return _fork_inside(lambda: _work(function))

    try:
        return fork_and_wait(enter)
    finally:
        os.close(pidfd)


def _keep(function: Callable[[], int], parent: int, started: Callable[[int], None] | None) -> int:
    """The process between: it holds the namespaces open and waits for pid 1 of the lab."""
    os.setsid()  # Ctrl-C reaches the outer process only, which passes it on
    die_with(parent)
    _unshare()

    def first() -> int:
        _prepare()
        return fork_and_wait(lambda: _work(function), orphans=True)

    return _fork_inside(first, started)


def _work(function: Callable[[], int]) -> int:
    """The lab's own work: the first signal raises here, later ones do not disturb the cleaning up."""
    os.environ["HOME"] = str(STATE / "home")
    os.environ["PATH"] = "/usr/sbin:/sbin:/usr/bin:/bin:" + os.environ.get("PATH", "")
    stop_on_signals()
    return function()


def stop_on_signals() -> None:
    """Let the first signal raise SystemExit in this process; later ones do not disturb the cleaning up."""

    def stop(number: int, _frame: object) -> None:
        for one in SIGNALS:
            signal.signal(one, lambda *_: None)
        raise SystemExit(128 + number)

    for number in SIGNALS:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _fork_inside(function: Callable[[], int], started: Callable[[int], None] | None = None) -> int:
    """Fork into the pid namespace that was entered or made, run the function there, and wait."""
    keeper = os.pidfd_open(os.getpid())

    def inside() -> int:
        _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        # In another pid namespace a dead parent looks like a living one, but its descriptor tells.
        if select.select([keeper], [], [], 0)[0]:
            return 1
        return function()

    try:
        return fork_and_wait(inside, started)
    finally:
        os.close(keeper)


def fork_and_wait(
    function: Callable[[], int], started: Callable[[int], None] | None = None, *, orphans: bool = False
) -> int:
    """Run a function in a child, pass signals on to it, and return its exit code, 128 + n after signal n.

    With `orphans` every other child is waited for too, as pid 1 has to.
    """
    pid = _fork(function)

    def forward(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in SIGNALS}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if started is not None:
            started(pid)
        while True:
            ended, status = os.waitpid(-1 if orphans else pid, 0)
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fork(function: Callable[[], int]) -> int:
    """Start a function in a child; its process id.

    Signals stay blocked until somebody handles them, in the parent and in the child, so that none is lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    _flush()  # what stands in the buffers would be written twice
    pid = os.fork()
    if pid == 0:
        _end_with(function)
    return pid


def _end_with(function: Callable[[], int]) -> NoReturn:
    """Run a function in a forked child and end it there: it must never run on into its parent's code."""
    code = 1
    try:
        code = function()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as caught:
        code = caught.code if isinstance(caught.code, int) else int(caught.code is not None)
    except ToolkitError as caught:
        sys.stderr.write(f"toolkit: {caught}\n")
        code = caught.exit_code
    except BaseException:  # noqa: BLE001 - see above
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Let this process get a signal when its parent ends; it ends at once where the parent is gone already."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def _unshare() -> None:
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC
    if uid == 0:
        _check(_libc.unshare(flags))
        return
    _check(_libc.unshare(flags | CLONE_NEWUSER))
    # The current user is mapped to itself: mapping it to root would break sshd's privilege separation.
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    _raise_ambient()


def _raise_ambient() -> None:
    """Let programs that we start keep the capabilities that we hold inside the user namespace."""
    header = ctypes.create_string_buffer(struct.pack("II", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, data))
    effective, permitted, _, effective_high, permitted_high, _ = struct.unpack("6I", data.raw)
    packed = struct.pack("6I", effective, permitted, permitted, effective_high, permitted_high, permitted_high)
    _check(_libc.capset(header, ctypes.create_string_buffer(packed)))
    held = permitted_high << 32 | permitted
    for number in range(LAST_CAPABILITY + 1):
        if held >> number & 1:
            _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


def _prepare() -> None:
    """Private mounts: own /proc, /run, terminals and users."""
    _mount(None, "/", None, MS_REC_PRIVATE)
    _mount("proc", "/proc", "proc")
    _mount("tmpfs", "/run", "tmpfs", data="mode=755")
    for folder in ("/run/netns", str(STATE), "/run/sshd", str(STATE / "home")):
        Path(folder).mkdir(mode=0o755, parents=True, exist_ok=True)
    gid = os.getgid()
    _mount("devpts", "/dev/pts", "devpts", data=f"newinstance,ptmxmode=0666,mode=0620,gid={gid}")
    _mount("/dev/pts/ptmx", "/dev/ptmx", None, MS_BIND)
    _users(os.getuid(), gid)


def _users(uid: int, gid: int) -> None:
    home = STATE / "home"
    users = f"{USER}:x:{uid}:{gid}:{USER}:{home}:/bin/sh\n"
    groups = f"tty:x:{gid}:\n"
    if uid == 0:
        users += f"root:x:0:0:root:{home}:/bin/sh\nsshd:x:{SSHD_UID}:65534::/run/sshd:/usr/sbin/nologin\n"
        users += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        groups += "nogroup:x:65534:\n"
    for name, text in (("passwd", users), ("group", groups)):
        (STATE / name).write_text(text, encoding="ascii")
        _mount(str(STATE / name), f"/etc/{name}", None, MS_BIND)


def enter_network(fd: int) -> None:
    """Move the calling thread into a network namespace."""
    _check(_libc.setns(fd, CLONE_NEWNET))


def _mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    result = _libc.mount(*encoded, flags, None if data is None else data.encode())
    if result < 0:
        number = ctypes.get_errno()
        raise LabError(f"cannot mount {target}: {os.strerror(number)}")


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
