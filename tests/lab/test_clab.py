"""The caller of containerlab, against what a real one said, and against answers that it must not believe."""

from __future__ import annotations

import json

import pytest

from tests.lab.clab_recording import AGAIN, VERBS, recorded, recorded_hash, topology_hash
from tests.lab.fake_engine import FakeContainerlab
from toolkit.errors import LabError
from toolkit.lab.clab import Containerlab, find
from toolkit.lab.plan import read
from toolkit.lab.topology_file import write
from toolkit.site import load_site

LAB = "toolkit-reference"


@pytest.fixture
def fake(tmp_path):
    return FakeContainerlab(tmp_path / "bin")


@pytest.fixture
def client(fake, tmp_path):
    return Containerlab(tmp_path / "base", str(fake.path))


@pytest.fixture
def replayed(fake):
    for verb in VERBS:
        said = recorded(verb)
        fake.answers(verb, said["stdout"], code=said["code"], stderr=said["stderr"])
    return fake


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    from tests.lab.clab_recording import ROOT

    path = tmp_path_factory.mktemp("plan") / "reference.clab.yml"
    write(load_site(ROOT / "inventory"), path)
    return read(path)


def test_the_recording_is_of_the_topology_file_of_today():
    assert recorded_hash() == topology_hash(), f"the recording is stale: the topology file has changed; {AGAIN}"


def test_a_stale_recording_would_be_noticed(monkeypatch):
    from toolkit.lab import topology_file

    monkeypatch.setattr(topology_file, "MTU", 1400)
    assert recorded_hash() != topology_hash()


def test_deploy_gives_the_nodes_that_run(client, replayed, plan, tmp_path):
    assert set(client.deploy(tmp_path / "x.clab.yml", LAB)) == {f"{LAB}-{node.name}" for node in plan.nodes}
    arguments, check, base = replayed.calls()[0]
    assert arguments == ["deploy", "-t", str(tmp_path / "x.clab.yml"), "--reconfigure", "--format", "json"]
    assert (check, base) == ("disable", str(tmp_path / "base"))


def test_inspect_gives_what_is_needed_to_enter_each_container(client, replayed, plan):
    found = {one.node: one for one in client.inspect(LAB)}
    assert set(found) == {node.name for node in plan.nodes}
    assert all(one.pid > 1 and one.state == "running" and one.name == f"{LAB}-{one.node}" for one in found.values())
    assert len({one.pid for one in found.values()}) == len(found)
    assert {one.topology for one in found.values()} == {recorded("deploy")["argv"][2]}
    assert client.inspect("another-lab") == ()


def test_exec_gives_the_answer_of_each_node(client, replayed, plan):
    answers = client.exec(LAB, "nft --version")
    assert set(answers) == {f"{LAB}-{node.name}" for node in plan.nodes}
    assert all(one.code == 0 and one.stdout.startswith("nftables v") for one in answers.values())
    assert replayed.calls()[0][0] == ["exec", "--name", LAB, "--cmd", "nft --version", "--format", "json"]


def test_exec_tells_a_failed_command_from_one_that_worked(client, fake):
    """The program itself ends with 0 whatever happens inside."""
    failed = [{"cmd": ["nft"], "return-code": 127, "stdout": "", "stderr": "not found"}]
    fake.answers("exec", {"lab-a": failed, "lab-b": [{"cmd": ["nft"], "return-code": 0, "stdout": "1", "stderr": ""}]})
    answers = client.exec("lab", "nft")
    assert (answers["lab-a"].code, answers["lab-a"].stderr, answers["lab-b"].code) == (127, "not found", 0)


def test_destroy_never_cleans_up_other_peoples_folders(client, replayed, tmp_path):
    client.destroy(tmp_path / "x.clab.yml")
    assert replayed.calls()[0][0] == ["destroy", "-t", str(tmp_path / "x.clab.yml")]


def test_the_recorded_calls_are_those_that_are_made_today(client, replayed):
    recorded_file = recorded("deploy")["argv"][2]
    client.deploy(recorded_file, LAB)
    client.inspect(LAB)
    client.exec(LAB, "nft --version")
    client.destroy(recorded_file)
    assert [call[0] for call in replayed.calls()] == [recorded(verb)["argv"] for verb in VERBS]


@pytest.mark.parametrize("verb", ["deploy", "inspect", "exec", "destroy"])
def test_a_failure_comes_with_the_programs_own_words(client, fake, verb, tmp_path):
    fake.answers(verb, "", code=1, stderr="12:00:01 INFO Parsing\n12:00:02 ERRO no such image: toolkit-host:latest\n")
    calls = {
        "deploy": lambda: client.deploy(tmp_path, LAB),
        "inspect": lambda: client.inspect(LAB),
        "exec": lambda: client.exec(LAB, "true"),
        "destroy": lambda: client.destroy(tmp_path),
    }
    with pytest.raises(LabError, match=rf"containerlab {verb} failed: .*no such image: toolkit-host:latest"):
        calls[verb]()


@pytest.mark.parametrize("text", ["not json", json.dumps({LAB: {"a": 1}}), json.dumps([1, 2])])
def test_other_answers_are_not_believed(client, fake, text):
    fake.answers("inspect", text)
    with pytest.raises(LabError, match="containerlab inspect answers with"):
        client.inspect(LAB)


def test_exec_answers_of_another_shape_are_not_believed(client, fake):
    fake.answers("exec", {"lab-a": [{"cmd": ["nft"]}]})
    with pytest.raises(LabError, match="containerlab exec answers with JSON that is not known"):
        client.exec("lab", "nft")


def test_a_node_that_has_ended_is_not_counted_as_running(client, fake):
    said = json.loads(recorded("deploy")["stdout"])
    said[LAB][0]["state"] = "exited"
    fake.answers("deploy", said)
    assert len(client.deploy("x", LAB)) == len(said[LAB]) - 1


def test_a_missing_program_is_named_with_the_way_to_it(monkeypatch):
    monkeypatch.setenv("CONTAINERLAB", "/nowhere/containerlab")
    with pytest.raises(LabError, match=r"'containerlab' is not installed; see https://containerlab.dev/install"):
        find()


def test_the_program_can_be_named(monkeypatch, fake):
    monkeypatch.setenv("CONTAINERLAB", str(fake.path))
    assert find() == str(fake.path)
