"""Root runs the lab's tests a second time, as a user without any right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab.reference_lab import ROOT
from toolkit.lab.namespaces import program

pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user runs all tests rootless anyway"),
]
NOBODY = 65534
LIBRARIES = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def as_nobody(argv, **environment):
    drop = [program("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--"]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *LIBRARIES]), **environment}
    return subprocess.run(
        [*drop, *argv], cwd=ROOT, env=variables, text=True, capture_output=True, timeout=240, check=False
    )


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp())
    os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def python():
    """An interpreter of this version that everybody may run, with the project in its reach."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        if Path(candidate).exists():
            done = as_nobody(["/usr/bin/env", candidate, "-c", "import pytest, toolkit"])
            if done.returncode == 0:
                return candidate
    pytest.skip("no interpreter, or not the project's folder, is open to an ordinary user")


@pytest.mark.parametrize(
    ("file", "chosen", "least"),
    [
        ("test_netns_namespaces.py", "", 5),
        ("test_netns.py", "", 5),
        ("test_netns_services.py", "", 5),
        # Every scenario, without what breaks in them on purpose.
        ("test_scenarios.py", "test_a_scenario_holds", 3),
    ],
)
def test_an_ordinary_user_can_do_the_same(python, folder, file, chosen, least):
    allowed = as_nobody([python, "-c", "from toolkit.lab.namespaces import check_permission; check_permission()"])
    if allowed.returncode != 0:
        pytest.skip(allowed.stderr.strip().rpartition("\n")[2])
    done = as_nobody(
        [python, "-m", "pytest", f"tests/lab/{file}", "-k", chosen, "-q", "-p", "no:cacheprovider",
         f"--basetemp={folder}/tmp"],
        HOME=str(folder),
        TMPDIR=str(folder),
        PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout).group(1))
    skipped = re.findall(r"SKIPPED \[\d+\] .*", done.stdout)
    assert passed >= least
    assert all("takes a capability away from root" in line for line in skipped), skipped
