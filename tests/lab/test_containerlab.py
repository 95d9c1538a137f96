"""The containerlab backend around its program: what it refuses, what it takes away, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from ipaddress import IPv4Network

import pytest

from tests.lab.clab_recording import ROOT, recorded
from tests.lab.fake_engine import FakeContainerlab, FakeEngine, serve
from tests.lab.reference_lab import need_namespaces
from toolkit.errors import LabError
from toolkit.lab import leftovers
from toolkit.lab.addressing import ip_batch
from toolkit.lab.backends import containerlab as backend
from toolkit.lab.engine import Engine
from toolkit.lab.namespaces import run_inside
from toolkit.lab.plan import read
from toolkit.lab.topology_file import DEVICE_IMAGE, HOST_IMAGE, write
from toolkit.site import load_site

LAB = "toolkit-reference"
OURS = {"containerlab": ""}


@pytest.fixture
def base(tmp_path, monkeypatch):
    folder = tmp_path / "labs"
    monkeypatch.setattr(leftovers, "BASE", folder)
    monkeypatch.setattr(backend, "BASE", folder)
    monkeypatch.setattr(leftovers, "GRACE", 0.5)
    return folder


@pytest.fixture
def program(tmp_path, monkeypatch):
    fake = FakeContainerlab(tmp_path / "bin")
    monkeypatch.setenv("CONTAINERLAB", str(fake.path))
    for verb in ("deploy", "inspect", "exec", "destroy"):
        fake.answers(verb, recorded(verb)["stdout"])
    return fake


@pytest.fixture
def engine(tmp_path, monkeypatch):
    state = FakeEngine()
    state.images = {HOST_IMAGE, DEVICE_IMAGE}
    path = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with serve(state, path):
        yield state


@pytest.fixture
def topology(base, program, engine):
    path = backend.BACKEND.topology_path("reference")
    write(load_site(ROOT / "inventory"), path)
    return path


def verbs(program):
    return [call[0][0] for call in program.calls()]


def refused(topology, words):
    with pytest.raises(LabError, match=words), backend.BACKEND.open(topology, ROOT / "inventory"):
        pytest.fail("the lab is up")


# ---- before anything is made ------------------------------------------------------------------


def test_without_root_the_way_out_is_named(program, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"needs root, .*run it with sudo, or use --backend netns"):
        backend.BACKEND.check()


def test_without_an_engine_the_way_to_one_is_named(tmp_path):
    with pytest.raises(LabError, match=r"no container engine answers at .*none\.sock .*apt-get install docker\.io"):
        Engine(str(tmp_path / "none.sock")).check()


def test_an_engine_that_may_not_be_asked_is_not_called_missing(engine, monkeypatch):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Engine, "_ask", forbidden)
    with pytest.raises(LabError, match=r"this user may not talk to the container engine at .*; run as root"):
        Engine().check()


def test_an_engine_that_is_not_well_says_so(engine):
    engine.ping = 500
    with pytest.raises(LabError, match="answers a ping with 500"):
        Engine().check()
    engine.ping = 200
    Engine().check()


def test_an_engine_elsewhere_is_refused(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    with pytest.raises(LabError, match=r"tcp://10\.0\.0\.1:2375: a lab needs an engine on this machine"):
        Engine()


def test_a_missing_image_is_named_with_the_way_to_it(topology, engine, program, base):
    engine.images.discard(DEVICE_IMAGE)
    refused(topology, f"image {DEVICE_IMAGE} is not here; to get it: make images")
    assert "deploy" not in verbs(program)
    assert not base.exists()


def test_a_management_network_that_this_machine_has_a_route_to_is_refused():
    with pytest.raises(LabError, match=r"127\.0\.0\.0/24 clashes with this machine's route to 127\.0\.0\.0/8 over lo; .*lab\.management"):  # fmt: skip
        leftovers.check_routes(IPv4Network("127.0.0.0/24"))
    leftovers.check_routes(IPv4Network("240.17.0.0/24"))


def test_two_processes_cannot_build_the_same_lab(topology, program, base):
    held = leftovers.lock(LAB)
    refused(topology, f"the lab {LAB} is up or being built by another process")
    assert verbs(program) == []
    assert topology.exists()
    leftovers.unlock(LAB, held)
    assert not (base / f"{LAB}.lock").exists()


# ---- what is left is taken away, and nothing else -----------------------------------------------


def test_a_lab_that_came_up_by_half_is_named_and_taken_away(topology, program, engine, base):
    said = json.loads(recorded("inspect")["stdout"])
    row = next(row for row in said[LAB] if row["Labels"]["clab-node-name"] == "fw1")
    row["State"], row["Status"] = "exited", "Exited (1) 1 second ago"
    program.answers("inspect", said)
    engine.networks[LAB] = (OURS, [])
    refused(topology, r"the lab came up by half: fw1 is exited \(Exited \(1\) 1 second ago\)")
    assert engine.networks == {}
    assert not base.exists()


def test_a_node_that_was_never_made_is_named(topology, program):
    said = json.loads(recorded("inspect")["stdout"])
    said[LAB] = [row for row in said[LAB] if row["Labels"]["clab-node-name"] != "leaf2"]
    program.answers("inspect", said)
    refused(topology, "the lab came up by half: leaf2 is missing")


def test_an_image_that_cannot_run_nft_is_named(topology, program):
    said = json.loads(recorded("exec")["stdout"])
    said[f"{LAB}-leaf1"][0].update({"return-code": 127, "stderr": "nft: not found"})
    program.answers("exec", said)
    refused(topology, rf"leaf1: the image {DEVICE_IMAGE} cannot run nft \(nft: not found\)")


def test_a_deployment_that_fails_early_leaves_no_network(topology, program, engine, base):
    program.answers("deploy", "", code=1, stderr="ERRO no such file")
    engine.networks = {LAB: (OURS, []), "another": (OURS, [])}
    refused(topology, "containerlab deploy failed: ERRO no such file")
    assert list(engine.networks) == ["another"]
    assert not base.exists()


def test_leftovers_of_an_earlier_run_go_before_the_lab_is_built(topology, program, engine):
    engine.add(f"{LAB}-fw1", LAB, topology)
    engine.add("other-fw1", "other", "/home/somebody/other.clab.yml")
    (topology.parent / "owner.1").touch()
    program.answers("deploy", "", code=1, stderr="stop here")
    refused(topology, "stop here")
    assert verbs(program) == ["destroy", "deploy"]
    assert [one[1] for one in engine.containers] == ["other-fw1"]


def test_a_lab_of_the_same_name_that_somebody_deployed_by_hand_stays(topology, program, engine, base):
    engine.add(f"{LAB}-fw1", LAB, "/home/somebody/reference.clab.yml")
    engine.networks[LAB] = (OURS, [f"{LAB}-fw1"])
    refused(topology, r"deployed from /home/somebody/reference\.clab\.yml; end it first: containerlab destroy -t /home")
    assert verbs(program) == []
    assert len(engine.containers) == len(engine.networks) == 1
    assert not base.exists()


@pytest.mark.parametrize(("labels", "names"), [({}, []), (OURS, ["database"])])
def test_a_network_that_is_not_the_labs_stays(topology, program, engine, labels, names):
    engine.networks[LAB] = (labels, names)
    refused(topology, f"a network {LAB} is there that is not this lab's .*docker network rm {LAB}")
    assert engine.networks == {LAB: (labels, names)}
    assert verbs(program) == []


def test_what_cannot_be_taken_away_is_named(topology, program, engine):
    engine.add(f"{LAB}-fw1", LAB, topology)
    engine.stubborn.add(f"{LAB}-fw1")
    program.answers("destroy", "", code=1, stderr="ERRO device is busy")
    refused(topology, rf"cannot be taken away whole; left: {LAB}-fw1 .*device is busy")


def test_what_a_killed_containerlab_wrote_elsewhere_goes(tmp_path):
    hosts, etc = tmp_path / "hosts", tmp_path / "etc"
    etc.mkdir()
    (etc / "clab-toolkit-a.conf").touch()
    (etc / "clab-toolkit-b.conf").touch()
    block = "###### CLAB-{0}-START ######\n10.0.0.1\t{0}-fw1\n###### CLAB-{0}-END ######\n"
    hosts.write_text("127.0.0.1 localhost\n" + block.format("toolkit-a") + block.format("toolkit-b") + "::1 x\n")
    leftovers.forget("toolkit-a", hosts, etc)
    assert hosts.read_text() == "127.0.0.1 localhost\n" + block.format("toolkit-b") + "::1 x\n"
    assert [path.name for path in etc.iterdir()] == ["clab-toolkit-b.conf"]


def test_cables_that_a_killed_deployment_left_are_cut_and_no_others(tmp_path, monkeypatch):
    """Half-made ones have both ends here; those of before, of nodes, and with other names stay."""
    need_namespaces()
    monkeypatch.setattr(leftovers, "SETTLE", 0.01)

    def body():
        cables = ("clab-00000001", "clab-00000002"), ("clab-0000000a", "clab-0000000b"), ("clab-mine", "clab-yours")
        ip_batch(["netns add node", f"link add {cables[0][0]} type veth peer name {cables[0][1]}"])
        leftovers.begin_deployment(tmp_path)
        ip_batch([f"link add {one} type veth peer name {other}" for one, other in cables[1:]])
        ip_batch(["link add clab-0000000c type veth peer name eth1 netns node"])
        leftovers.remove("lab", tmp_path / "x.clab.yml", None, NoEngine(), keep_state=True)
        listed = subprocess.run(["ip", "-o", "link"], text=True, capture_output=True, check=True).stdout
        left = set(re.findall(r"clab-\w+(?=@)", listed))
        assert left == {*cables[0], *cables[2], "clab-0000000c"}
        assert not (tmp_path / leftovers.DEPLOYING).exists()
        return 0

    assert run_inside(body) == 0, "the traceback of the child stands in the captured output"


class NoEngine:
    def containers(self, _lab):
        return []

    def network(self, _name):
        return None


# ---- a process that ends without tidying up -----------------------------------------------------


# The engine's stand-in answers from a thread of this process, and the lab's process is forked from it.
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")


@FORKS
def test_what_a_killed_process_claimed_is_taken_away(base, program, engine, monkeypatch):
    as_root(monkeypatch)

    def killed():
        path = backend.BACKEND.topology_path("reference")
        write(load_site(ROOT / "inventory"), path)
        leftovers.lock(read(path).name)
        os.kill(os.getpid(), 9)
        return 0

    engine.add(f"{LAB}-fw1", LAB, base / LAB / "reference.clab.yml")
    engine.networks[LAB] = (OURS, [f"{LAB}-fw1"])
    assert backend.BACKEND.run(killed) == 137
    assert (engine.containers, engine.networks) == ([], {})
    assert verbs(program) == ["destroy"]
    assert not base.exists()


@FORKS
def test_what_is_ended_before_it_is_a_lab_leaves_nothing(base, program, engine, monkeypatch):
    """Even where nobody is left to tidy up after it."""
    as_root(monkeypatch)
    original = backend._bury
    monkeypatch.setattr(backend, "_bury", lambda pid: original(pid) if pid == os.getpid() else None)
    assert backend.BACKEND.run(lambda: (backend.BACKEND.topology_path("reference"), os._exit(143))[1]) == 143
    assert list(base.glob("*/owner.*"))  # nobody could help
    shutil.rmtree(base)

    def told_to_end():
        backend.BACKEND.topology_path("reference")
        raise SystemExit(143)

    assert backend.BACKEND.run(told_to_end) == 143
    assert not base.exists()


@FORKS
def test_a_killed_process_that_came_second_takes_nothing_of_the_first(topology, program, engine, monkeypatch):
    as_root(monkeypatch)
    held = leftovers.lock(LAB)
    engine.add(f"{LAB}-fw1", LAB, topology)

    def killed():
        backend.BACKEND.topology_path("reference")
        os.kill(os.getpid(), 9)
        return 0

    assert backend.BACKEND.run(killed) == 137
    assert len(engine.containers) == 1
    assert verbs(program) == []
    assert [path.name for path in topology.parent.glob("owner.*")] == [f"owner.{os.getpid()}"]
    leftovers.unlock(LAB, held)


@FORKS
@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_of_the_work_is_passed_on(base, program, engine, monkeypatch, code):
    as_root(monkeypatch)
    assert backend.BACKEND.run(lambda: code) == code
