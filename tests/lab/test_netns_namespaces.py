"""The process tree of a lab: what it isolates, and that it ends whole, whatever ends it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.reference_lab import ROOT, host_state, need_namespaces, processes_with
from toolkit.errors import LabError, MissingProgramError, NamespaceError, ProofError
from toolkit.lab import namespaces
from toolkit.lab.namespaces import (
    PROGRAMS,
    STATE,
    attach,
    check_permission,
    check_programs,
    program,
    run_inside,
)

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


@pytest.fixture(autouse=True)
def _allowed():
    need_namespaces()


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda: 0, 0),
        (lambda: 7, 7),
        (raising(SystemExit(3)), 3),
        (raising(SystemExit(None)), 0),
        (raising(SystemExit("words")), 1),
        (raising(ProofError("not proved")), 4),
        (raising(KeyboardInterrupt()), 130),
        (raising(ZeroDivisionError()), 1),
        (lambda: os.kill(os.getpid(), signal.SIGKILL) or 0, 137),
    ],
)
def test_the_exit_code_is_the_functions(body, code):
    before = os.getpid()
    assert run_inside(body) == code
    assert os.getpid() == before, "a forked child ran on into the test"


def test_an_error_is_told_on_stderr(capfd):
    assert run_inside(raising(LabError("no such cable"))) == 1
    assert capfd.readouterr().err == "toolkit: no such cable\n"


def test_output_in_the_buffer_is_written_once():
    script = "from toolkit.lab.namespaces import run_inside\nprint('before')\nrun_inside(lambda: print('inside') or 0)\nprint('after')\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONUNBUFFERED", None)
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True, env=environment)
    assert done.stdout == "before\ninside\nafter\n"


def test_what_is_inside_is_its_own():
    outside = host_state()
    name = socket.gethostname()

    def body():
        assert os.getpid() <= 2
        assert {int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal()} <= {1, 2}
        assert host_state() == (["lo"], [])
        socket.sethostname("lab")
        assert sorted(path.name for path in Path("/run").iterdir()) == ["lab", "netns", "sshd"]
        Path("/run/netns/mine").touch()
        assert Path("/etc/passwd").read_text(encoding="ascii").startswith(f"netops:x:{os.getuid()}:")
        assert sorted(path.name for path in Path("/dev/pts").iterdir()) == ["ptmx"]
        master, slave = os.openpty()
        os.close(master)
        os.close(slave)
        return 0

    assert run_inside(body) == 0
    assert host_state() == outside
    assert socket.gethostname() == name
    assert not Path("/run/netns/mine").exists()


def zombies():
    stats = [
        (entry / "stat").read_text(encoding="ascii") for entry in Path("/proc").iterdir() if entry.name.isdecimal()
    ]
    return [stat for stat in stats if stat.rpartition(")")[2].split()[0] == "Z"]


def test_orphans_are_buried():
    def body():
        for _ in range(5):
            subprocess.run(["/bin/sh", "-c", "sleep 0.02 & sleep 0.01 & :"], check=True)
        deadline = time.monotonic() + 5
        while len([p for p in Path("/proc").iterdir() if p.name.isdecimal()]) > 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert zombies() == []
        assert len([p for p in Path("/proc").iterdir() if p.name.isdecimal()]) == 2
        return 0

    assert run_inside(body) == 0


def test_attach_enters_the_same_lab():
    reader, writer = os.pipe()

    def body():
        (STATE / "word").write_text("here", encoding="ascii")
        os.write(writer, b"up")
        deadline = time.monotonic() + 10
        while not (STATE / "answer").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return 0 if (STATE / "answer").read_text(encoding="ascii") == f"here {os.getuid()}" else 1

    def visitor():
        word = (STATE / "word").read_text(encoding="ascii")
        (STATE / "new").write_text(f"{word} {os.getuid()}", encoding="ascii")
        (STATE / "new").rename(STATE / "answer")
        return 5

    child = os.fork()
    if child == 0:
        os._exit(run_inside(body, lambda first: os.write(writer, f"{first:9}".encode())))
    said = b""
    while len(said) < 11:
        said += os.read(reader, 11)
    assert attach(int(said.replace(b"up", b"")), visitor) == 5
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(reader)
    os.close(writer)


def test_a_command_in_a_lab_that_is_up_has_the_terminal():
    script = (
        "import fcntl, os, sys, termios\n"
        "from toolkit.lab.namespaces import attach, run_inside\n"
        "os.setsid()\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "reader, writer = os.pipe()\n"
        "end, ending = os.pipe()\n"  # of its own: the lab would read the first byte of its number otherwise
        "if os.fork() == 0:\n"
        "    os._exit(run_inside(lambda: len(os.read(end, 1)), lambda first: os.write(writer, b'%9d' % first)))\n"
        "first = int(os.read(reader, 9))\n"
        "code = attach(first, lambda: print('heard', open('/dev/tty').readline(), flush=True) or 0)\n"
        "os.write(ending, b'x')\n"
        "os.wait()\n"
        "sys.exit(code)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=slave, stdout=subprocess.PIPE, env=environment, text=True,
    ) as running:  # fmt: skip
        os.close(slave)
        os.write(master, b"words\n")
        said = running.stdout.read()
    os.close(master)
    assert (said.split("\n")[0], running.returncode) == ("heard words", 0)


def test_attach_to_nobody():
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    with pytest.raises(LabError, match=f"the lab's process {child.pid} cannot be reached"):
        attach(child.pid, lambda: 0)


# ---- how it ends ------------------------------------------------------------------------------

SLOW = """
import subprocess, sys, time
from pathlib import Path
from toolkit.lab.namespaces import run_inside
def body():
    subprocess.Popen(["/bin/sh", "-c", "sleep 30 & exec sleep 30"], start_new_session=True)
    try:
        print("up", flush=True)
        time.sleep(30)
    finally:
        print("tidying", flush=True)
        time.sleep(0.3)
        print("tidy", flush=True)
    return 0
sys.exit(run_inside(body))
"""


def slow_lab(marker):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TOOLKIT_TEST_MARK": marker,
    }
    return subprocess.Popen([sys.executable, "-c", SLOW], env=environment, stdout=subprocess.PIPE, text=True)


def wait_until_full(marker):
    """All five are there; one that is between fork and exec shows no environment for a moment."""
    deadline = time.monotonic() + 5
    while len(processes_with(marker)) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(processes_with(marker)) >= 5


def wait_until_gone(marker):
    deadline = time.monotonic() + 5
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes_with(marker) == []


@pytest.fixture
def marker():
    return f"{os.getpid()}-{time.monotonic_ns()}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_it_clean_up_and_a_second_one_does_not_disturb(marker, number, code):
    before = host_state()
    with slow_lab(marker) as running:
        assert running.stdout.readline() == "up\n"
        wait_until_full(marker)
        running.send_signal(number)
        assert running.stdout.readline() == "tidying\n"
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "tidy\n"
        assert running.wait(timeout=10) == code
    wait_until_gone(marker)
    assert host_state() == before


def test_kill_of_the_parent_ends_everything(marker):
    before = host_state()
    with slow_lab(marker) as running:
        assert running.stdout.readline() == "up\n"
        wait_until_full(marker)
        running.kill()
        assert running.wait(timeout=10) == -signal.SIGKILL
    wait_until_gone(marker)
    assert host_state() == before


@pytest.mark.parametrize("step", range(12))
def test_no_signal_is_lost_on_the_way_up(marker, step):
    """Between the forks too: whenever it comes, the lab ends."""
    with slow_lab(marker) as running:
        time.sleep(0.04 + 0.006 * step)
        running.terminate()
        running.stdout.read()
        assert running.wait(timeout=10) != 0
    wait_until_gone(marker)


# ---- what is refused --------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="takes a capability away from root")
def test_root_without_the_capability_is_told_so():
    script = "from toolkit.lab.namespaces import run_inside\nrun_inside(lambda: 0)"
    argv = [program("setpriv"), "--bounding-set=-sys_admin", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, text=True, capture_output=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "NamespaceError: this user may not create network namespaces; this root lacks the capability CAP_SYS_ADMIN: "
        "leave the container, or start it with that capability"
    )


@pytest.mark.parametrize(
    ("knob", "value", "remedy"),
    [
        ("kernel/unprivileged_userns_clone", "0", "run as root: sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "run as root: sysctl -w user.max_user_namespaces=10000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "run as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("kernel/ostype", "Linux", "run as root, or in an environment that allows user namespaces"),
    ],
)
def test_a_user_who_may_not_is_told_the_remedy(monkeypatch, knob, value, remedy):
    def read(path, encoding=None):
        assert encoding
        if str(path) == f"/proc/sys/{knob}":
            return f"{value}\n"
        raise FileNotFoundError(path)

    def refuse():
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(namespaces, "_unshare", refuse)
    monkeypatch.setattr(namespaces.os, "getuid", lambda: 1000)
    monkeypatch.setattr(Path, "read_text", read)
    with pytest.raises(NamespaceError) as caught:
        check_permission()
    assert str(caught.value) == f"this user may not create network namespaces; {remedy}"


@pytest.mark.parametrize(("name", "package"), PROGRAMS.items())
def test_a_missing_program_names_its_package(monkeypatch, name, package):
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda one, path: None if one == name else real(one, path=path))
    with pytest.raises(MissingProgramError) as caught:
        check_programs()
    assert str(caught.value) == f"program {name!r} is not installed; run: apt-get install {package}"


def test_programs_outside_a_users_path_are_found(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    check_programs()
    assert program("nft").endswith("/sbin/nft")
