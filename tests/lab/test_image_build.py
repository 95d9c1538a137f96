"""`labs/images/build`: what it asks the engine for, where a registry answers and where none does."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.lab.clab_recording import ROOT
from toolkit.lab.topology_file import DEVICE_IMAGE, HOST_IMAGE

SCRIPT = ROOT / "labs" / "images" / "build"
BASE = "debian:bookworm-slim"
DOCKER = """#!/bin/sh
echo "docker $*" >>"$LOG"
case "$1 $2" in
"version "*) exit "$ENGINE" ;;
"image inspect") case " $HAVE " in *" $3 "*) exit 0 ;; esac; exit 1 ;;
"pull "*) exit "$REGISTRY" ;;
"import "*) cat >/dev/null ;;
esac
"""
DEBOOTSTRAP = """#!/bin/sh
echo "debootstrap $*" >>"$LOG"
mkdir -p "$3" && echo made >"$3/file"
"""


@pytest.fixture
def build(tmp_path):
    """Run the script with an engine that notes what it is asked; gives the process and the notes."""
    programs = {"docker": DOCKER, "debootstrap": DEBOOTSTRAP}

    def run(*, engine=0, registry=0, have="", user="0", without=(), **more):
        for name, text in {**programs, "id": f"#!/bin/sh\necho {user}\n"}.items():
            if name not in without:
                (tmp_path / name).write_text(text, encoding="ascii")
                (tmp_path / name).chmod(0o755)
        log = tmp_path / "log"
        log.touch()
        # The folder comes first, and no other debootstrap is found behind it.
        tools = tmp_path / "tools"
        tools.mkdir()
        for tool in ("sh", "dirname", "mktemp", "tar", "rm", "mkdir", "cat"):
            (tools / tool).symlink_to(f"/bin/{tool}" if os.path.exists(f"/bin/{tool}") else f"/usr/bin/{tool}")  # noqa: PTH110
        environment = {
            "PATH": f"{tmp_path}:{tools}", "LOG": str(log), "ENGINE": str(engine), "REGISTRY": str(registry), "HAVE": have,
            **more,
        }  # fmt: skip
        done = subprocess.run(
            ["/bin/sh", str(SCRIPT)], env=environment, text=True, capture_output=True, timeout=60, check=False
        )
        return done, log.read_text(encoding="ascii").splitlines()

    return run


def built(base):
    return [
        f"docker build --network host --build-arg BASE={base} --tag {tag} {SCRIPT.parent}/{folder}"
        for tag, folder in ((HOST_IMAGE, "host"), (DEVICE_IMAGE, "device"))
    ]


def test_the_base_is_pulled_where_it_is_missing(build):
    done, notes = build()
    assert done.returncode == 0, done.stderr
    assert notes == ["docker version", f"docker image inspect {BASE}", f"docker pull --quiet {BASE}", *built(BASE)]


def test_a_base_that_is_here_is_not_pulled(build):
    done, notes = build(have="my/base:1", BASE="my/base:1")
    assert done.returncode == 0, done.stderr
    assert notes == ["docker version", "docker image inspect my/base:1", *built("my/base:1")]


def test_without_a_registry_debootstrap_makes_the_base(build):
    done, notes = build(registry=1, MIRROR="http://mirror.example/debian")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"debootstrap --variant=minbase bookworm \S+/root http://mirror\.example/debian", notes[4])
    assert notes[3] == "docker image inspect toolkit-base:bookworm"
    assert notes[5:] == ["docker import - toolkit-base:bookworm", *built("toolkit-base:bookworm")]


def test_a_base_that_was_made_before_is_used_again(build):
    done, notes = build(registry=1, have="toolkit-base:bookworm")
    assert done.returncode == 0, done.stderr
    assert notes[4:] == built("toolkit-base:bookworm")


@pytest.mark.parametrize("how", [{"user": "1000"}, {"without": ("debootstrap",)}])
def test_where_no_base_can_be_made_the_way_is_named(build, how):
    done, notes = build(registry=1, **how)
    assert done.returncode == 1
    assert "apt-get install debootstrap, run as root" in done.stderr
    assert not any("build" in note or "debootstrap" in note for note in notes)


def test_without_an_engine_nothing_is_tried(build):
    done, notes = build(engine=1)
    assert (done.returncode, notes) == (1, ["docker version"])
    assert "no container engine answers" in done.stderr


@pytest.mark.parametrize("name", ["host", "device"])
def test_the_images_start_nothing_by_themselves(name):
    text = (SCRIPT.parent / name / "Dockerfile").read_text(encoding="utf-8")
    assert text.index("ARG BASE=debian:bookworm-slim") < text.index("FROM ${BASE}") < text.index("RUN")
    assert "exit 101" in text
    assert text.rstrip().endswith('ENTRYPOINT ["/usr/bin/tini", "--"]\nCMD ["sleep", "infinity"]')
