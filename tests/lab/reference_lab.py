"""The reference site as a lab of namespaces, for the tests of the backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from toolkit.errors import LabError, ToolkitError
from toolkit.lab.backends import load_backend
from toolkit.lab.backends.netns import NetnsLab
from toolkit.lab.engine import Engine
from toolkit.lab.namespaces import check_permission, check_programs, program, run_inside
from toolkit.lab.plan import read
from toolkit.lab.topology_file import DEVICE_IMAGE, HOST_IMAGE, write
from toolkit.site import load_site

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventory"


def need_namespaces():
    try:
        check_programs()
        check_permission()
    except ToolkitError as caught:
        pytest.skip(str(caught))


def need_containerlab():
    """Skip, with the reason, where the containerlab backend cannot be used."""
    try:
        load_backend("containerlab").check()
    except LabError as caught:
        pytest.skip(str(caught))
    missing = [image for image in (HOST_IMAGE, DEVICE_IMAGE) if not Engine().has_image(image)]
    if missing:
        pytest.skip(f"image {missing[0]} is not here; to get it: make images")


def reference_plan():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.clab.yml"
        write(load_site(INVENTORY), path)
        return read(path)


def in_lab(body, folder=INVENTORY, plan=None):
    """Run `body(lab)` in a lab of its own, in a forked child; returns the child's exit code."""
    need_namespaces()
    plan = plan or reference_plan()

    def inside():
        with NetnsLab(plan, folder) as lab:
            body(lab)
        return 0

    return run_inside(inside)


def holds(body, **how):
    """As `in_lab`; a failed assertion in there fails the test here."""
    assert in_lab(body, **how) == 0, "the traceback of the child stands in the captured output"


def host_state():
    """Links and named namespaces outside of any lab."""
    links = subprocess.run([program("ip"), "-o", "link"], text=True, capture_output=True, check=True).stdout
    named = Path("/run/netns")
    return (
        sorted(line.split(":")[1].strip() for line in links.splitlines()),
        sorted(path.name for path in named.iterdir()) if named.is_dir() else [],
    )


def ssh(lab, device, *command, user=None, known_hosts=None):
    address = lab.plan.node(device).management
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts or lab.known_hosts,
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "5",
    }
    flags = [text for key, value in options.items() for text in ("-o", f"{key}={value}")]
    argv = ["ssh", "-F", "none", *flags, "-i", str(lab.key_file), f"{user or lab.user}@{address}", *command]
    return subprocess.run(argv, text=True, capture_output=True, check=False, timeout=20, stdin=subprocess.DEVNULL)


def connects(lab, node, address, port, timeout=1.0):
    """What a connection attempt from a node meets: `open`, `refused` or `silence`."""
    script = (
        "import socket, sys\n"
        "try:\n    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()\n"
        "except ConnectionRefusedError: print('refused')\n"
        "except OSError: print('silence')\n"
        "else: print('open')\n"
    )
    done = lab.run(node, [sys.executable, "-I", "-S", "-c", script, address, str(port), str(timeout)])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def processes_with(marker):
    """Processes that carry a marker in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def run_site(site, place):
    """Exit code and outcome of `toolkit lab run` on a site, as a stranger types it in the folder `place`."""
    need_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", "-i", str(site), "--json"],
        cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
