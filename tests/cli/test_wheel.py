"""What `pip install` would give: a wheel with every file that the package needs, and that works without this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel unpacked, as pip does it, and a way to run it from somewhere else."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)

    def run(*arguments, cwd):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        return subprocess.run(
            [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
        )  # fmt: skip

    return run


def test_every_file_of_the_package_is_in_it(wheel):
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "toolkit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if name.startswith("toolkit/")} == wanted
    assert "toolkit/py.typed" in names
    assert any(name.startswith("toolkit/report/templates/") for name in names)
    rest = {name.partition("/")[0] for name in names} - {"toolkit"}
    assert len(rest) == 1  # its metadata, and no tests, labs or inventory


def test_its_metadata_names_the_command_the_runner_and_the_extra(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        points = ConfigParser()
        points.read_string(archive.read(f"{folder}/entry_points.txt").decode())
        metadata = archive.read(f"{folder}/METADATA").decode()
        assert any("LICENSE" in name for name in archive.namelist())
    assert points["console_scripts"]["toolkit"] == "toolkit.__main__:main"
    assert points["nornir.plugins.runners"]["dask"] == "toolkit.deploy.dask_runner:DaskRunner"
    assert "Provides-Extra: dask" in metadata
    assert "Requires-Dist: distributed>=2025.1; extra == 'dask'" in metadata


def test_it_works_somewhere_else(installed, tmp_path):
    where = installed("-c", "import toolkit; print(toolkit.__file__)", cwd=tmp_path).stdout
    assert str(ROOT) not in where
    done = installed("-m", "toolkit", "--help", cwd=tmp_path)
    assert (done.returncode, "render" in done.stdout, "plan" in done.stdout) == (0, True, True)
    done = installed("-m", "toolkit", "render", "-i", str(ROOT / "inventory"), "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.cfg"))) == 4
    ask = "from toolkit.report.templating import environment as e; [e().get_template(n) for n in e().list_templates(['j2'])]"
    assert installed("-c", ask, cwd=tmp_path).returncode == 0
