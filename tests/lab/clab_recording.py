"""What a real containerlab said about the reference lab, and what was measured in it.

Recorded by ``python -m tests.lab.clab_recording``, as root, with containerlab, an engine and the images there.
Stored with the hash of the topology file, as containerlab's answers and the matrix belong to that file alone.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

from toolkit.lab.topology_file import write
from toolkit.site import load_site

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).with_name("recorded")
VERBS = ("deploy", "inspect", "exec", "destroy")
AGAIN = "record it again: python -m tests.lab.clab_recording (root, containerlab and a container engine)"
# Stands in for the program: notes each call and its answer, and passes both on.
WRAPPER = """#!{python}
import json, pathlib, subprocess, sys
done = subprocess.run([{real!r}, *sys.argv[1:]], capture_output=True, text=True)
answer = {{"argv": sys.argv[1:], "code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}}
pathlib.Path({folder!r}, sys.argv[1] + ".json").write_text(json.dumps(answer))
sys.stdout.write(done.stdout)
sys.stderr.write(done.stderr)
sys.exit(done.returncode)
"""


def topology_hash():
    """Hash of the reference site's topology file as it is written today."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.clab.yml"
        write(load_site(ROOT / "inventory"), path)
        return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded_hash():
    return (FOLDER / "topology.sha256").read_text(encoding="ascii").strip()


def recorded(verb):
    """A recorded call: `argv`, `code`, `stdout`, `stderr`."""
    body = json.loads((FOLDER / f"{verb}.json").read_text(encoding="utf-8"))
    if not isinstance(body["stdout"], str):
        body["stdout"] = json.dumps(body["stdout"])
    return body


def cells_of(matrix):
    """Cells of a run's matrix.csv: (source, destination, protocol, port) -> what was measured."""
    with matrix.open(encoding="utf-8", newline="") as file:
        return {
            (row["source"], row["destination"], row["protocol"], row["port"]): row["live"]
            for row in csv.DictReader(file)
        }


def recorded_cells():
    found = {}
    for line in (FOLDER / "matrix.txt").read_text(encoding="ascii").splitlines():
        source, destination, live, *ports = line.split()
        for port in ports:
            protocol, _, number = port.partition("/")
            found[source, destination, protocol, number] = live
    return found


def pack(cells):
    """Cells as text: a line per source, destination and verdict."""
    rows = sorted(
        (source, target, live, f"{protocol}/{port}") for (source, target, protocol, port), live in cells.items()
    )
    return "".join(
        " ".join([*key, *(row[3] for row in group)]) + "\n" for key, group in groupby(rows, key=lambda row: row[:3])
    )


def lab_run(place, backend, environment=None):
    """`toolkit lab run` of the reference site in a folder of its own: (outcome, cells)."""
    for name in ("inventory", "labs"):
        if not (place / name).exists():
            (place / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "lab", "run", "--backend", backend, "--json"],
        cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        text=True, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    return outcome, cells_of(place / "runs" / outcome["run"] / "matrix.csv")


def _tidy(verb, raw):
    """Without what only says where it was recorded."""
    body = json.loads(raw.read_text(encoding="utf-8"))
    body["stderr"] = ""
    if body["stdout"].startswith("{"):
        body["stdout"] = json.loads(body["stdout"])
        for rows in body["stdout"].values() if verb in ("deploy", "inspect") else ():
            for row in rows:
                row.pop("labPath", None)
                row.get("Labels", {}).pop("clab-owner", None)
    (FOLDER / raw.name).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def main():
    from toolkit.lab.clab import find

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        wrapper = place / "containerlab"
        real = str(Path(shutil.which(find())).resolve())
        wrapper.write_text(WRAPPER.format(python=sys.executable, real=real, folder=folder), encoding="utf-8")
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        _, cells = lab_run(place, "containerlab", {"CONTAINERLAB": str(wrapper)})
        FOLDER.mkdir(exist_ok=True)
        for verb in VERBS:
            _tidy(verb, place / f"{verb}.json")
    (FOLDER / "matrix.txt").write_text(pack(cells), encoding="ascii")
    (FOLDER / "topology.sha256").write_text(topology_hash() + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
