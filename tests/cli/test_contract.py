"""The command line's contract: exit codes, JSON shapes, and errors that are one line on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def toolkit(*arguments, cwd=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=cwd, env=environment, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def ask(*arguments):
    done = toolkit(*arguments, "--json")
    return done.returncode, json.loads(done.stdout)


def test_flows_have_hosts_and_roles_have_roles():
    code, hosts = ask("flows")
    assert (code, set(hosts)) == (0, {"flows", "findings"})
    assert set(hosts["flows"][0]) == {"source", "destination", "protocol", "port", "requirements"}
    assert {
        "source": "node1",
        "destination": "node2",
        "protocol": "tcp",
        "port": "2379",
        "requirements": ["tcp-2379"],
    } in hosts["flows"]
    roles = ask("flows", "--roles")[1]["flows"]
    assert {
        "source": "node",
        "destination": "node",
        "protocol": "tcp",
        "port": "2379",
        "requirements": ["tcp-2379"],
    } in roles


@pytest.mark.parametrize(
    ("question", "verdict", "required"),
    [
        (("node1", "node3", "tcp", "2379"), "permitted", True),
        (("internet1", "node3", "tcp", "2379"), "denied", False),
        (("client1", "lb1", "tcp", "443"), "permitted", True),
        (("client1", "node1", "tcp", "443"), "denied", False),
        (("jump1", "node1", "tcp", "22"), "permitted", True),
        (("internet1", "node1", "tcp", "22"), "denied", False),
        (("node3", "node1", "udp", "8472"), "permitted", True),
        (("node1", "sql1", "tcp", "1433"), "permitted", True),
        (("client1", "sql1", "tcp", "1433"), "denied", False),
        (("client1", "smtp1", "tcp", "25"), "permitted", False),
        (("node1", "install1", "tcp", "30070"), "permitted", True),
        (("jump1", "install1", "tcp", "30070"), "denied", False),
        (("node1", "node2", "icmp", "8/0"), "denied", False),
    ],
)
def test_check_says_verdict_requirement_and_path(question, verdict, required):
    code, answer = ask("check", *question)
    assert (code, answer["verdict"], answer["required"]) == (0, verdict, required)
    assert set(answer) == {"verdict", "required", "requirements", "paths"}
    step = answer["paths"][0]["forward"][0]
    assert set(step) == {"device", "interface", "direction", "acl", "entry", "action"}
    assert bool(answer["requirements"]) == required


def test_render_writes_what_verify_proves(tmp_path):
    code, listed = ask("render", "-o", str(tmp_path))
    assert code == 0
    assert {one["device"] for one in listed["devices"]} == {"leaf1", "leaf2", "fw1", "fw2"}
    assert {one["mode"] for one in listed["devices"]} == {"own", "jump"}
    code, proof = ask("verify", "--configs", str(tmp_path))
    assert (code, proof["ok"]) == (0, True)
    path = tmp_path / "leaf1.cfg"
    path.write_text(path.read_text().replace("tcp dport 2380 ", "tcp dport 2381 "))
    code, proof = ask("verify", "--configs", str(tmp_path))
    assert (code, proof["ok"]) == (4, False)
    (leaf1,) = [one for one in proof["devices"] if not one["equivalent"]]
    kinds = {witness["kind"] for witness in leaf1["witnesses"]}
    assert kinds == {"required_denied", "extra_permitted"}
    for witness in leaf1["witnesses"]:
        assert {"src", "dst", "protocol", "sport", "dport"} <= set(witness["packet"])
    assert next(w["requirement"] for w in leaf1["witnesses"] if w["kind"] == "required_denied") == "tcp-2380"


def test_verify_names_a_missing_file_and_a_bad_line(tmp_path):
    assert toolkit("render", "-o", str(tmp_path)).returncode == 0
    (tmp_path / "fw2.cfg").write_text(
        "table inet uipath {\n\tchain x {\n\t\ttype filter hook forward priority 0;\n\t\tfrobnicate\n\t}\n}\n"
    )
    done = toolkit("verify", "--configs", str(tmp_path))
    assert (done.returncode, "fw2.cfg:4: statement 'frobnicate' is not understood" in done.stderr) == (2, True)
    (tmp_path / "fw2.cfg").unlink()
    done = toolkit("verify", "--configs", str(tmp_path))
    assert (done.returncode, "the configuration of fw2 is missing" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "node9", "node1", "tcp", "22"), 2, "'node9' is neither a host"),
        (("check", "node1", "node1", "tcp", "22"), 2, "the same host"),
        (("check", "node1", "node2", "tcp", "99999"), 2, "99999 is no port"),
        (("check", "node1", "node2", "tpc", "22"), 2, "unknown protocol 'tpc'"),
        (("flows", "-i", "nowhere"), 2, "no inventory folder 'nowhere'"),
        (("apply", "nothing"), 1, "no plan 'nothing'"),
        (("report", "nothing"), 2, "no run 'nothing'"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_a_mistake_is_one_line_and_its_exit_code(tmp_path, arguments, code, words):
    folder = tmp_path if arguments[0] in ("apply", "report") else ROOT
    if arguments[0] == "apply":
        (tmp_path / "inventory").symlink_to(ROOT / "inventory")
    done = toolkit(*arguments, cwd=folder)
    assert (done.returncode, words in done.stderr, done.stdout) == (code, True, "")
    assert "Traceback" not in done.stderr


def test_the_lab_folder_of_the_reference_site_works_with_a_verb():
    assert toolkit("flows", "-i", "labs/reference", "--json").stdout == toolkit("flows", "--json").stdout
