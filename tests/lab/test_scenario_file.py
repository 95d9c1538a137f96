"""Scenario files: what is declared is read, and every mistake is answered with file, line and the valid choices."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT
from toolkit.errors import InputError
from toolkit.lab.scenario import load_scenario
from toolkit.render.work import resolve_inventory
from toolkit.site import load_site

LABS = sorted(path.parent for path in (ROOT / "labs").glob("*/scenario.yaml"))
HEAD = "---\nabout: a test\nsteps:\n  - at: now\n"


@pytest.fixture(scope="module")
def site():
    return load_site(ROOT / "labs" / "failures")


@pytest.fixture
def read(tmp_path, site):
    shutil.copy(ROOT / "labs" / "failures" / "expectations.csv", tmp_path)

    def load(text):
        (tmp_path / "scenario.yaml").write_text(HEAD + text, encoding="utf-8")
        return load_scenario(tmp_path, site)

    return load


@pytest.mark.parametrize("folder", LABS, ids=lambda path: path.name)
def test_every_lab_says_what_it_expects_of_each_step(folder):
    scenario = load_scenario(folder, load_site(resolve_inventory(folder)))
    assert all(step.expect for step in scenario.steps)
    assert len({step.at for step in scenario.steps}) == len(scenario.steps)
    assert (folder / "README.md").is_file()
    assert (folder / "topology.svg").is_file()
    assert (folder / "expectations.csv").is_file()


def test_a_folder_without_a_scenario_has_none(tmp_path, site):
    assert load_scenario(tmp_path, site) is None


def test_it_is_told_as_it_is_written(read):
    scenario = read(
        "    do:\n"
        "      - push: {faults: [{at: {device: leaf1, step: sent}, do: [reboot: leaf1, kill: toolkit]}]}\n"
        "      - rollback\n"
        "      - block: {device: leaf2, port: 9345, to: [node3]}\n"
        "      - settings: {phase: install}\n"
        "    expect: [push: killed, filters: {leaf1: old, fw1: new}, losses: 0, denied: [node1 lb1 icmp]]\n"
    )
    assert [str(one) for one in (*scenario.steps[0].do, *scenario.steps[0].expect)] == [
        "push faults at leaf1 sent, do reboot leaf1; kill toolkit",
        "rollback",
        "block device leaf2, port 9345, to node3",
        "settings phase install",
        "push killed",
        "filters leaf1 old, fw1 new",
        "losses 0",
        "denied node1 lb1 icmp",
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("    do: [rebot: leaf1]\n", 5, "unknown key 'rebot'; did you mean 'reboot'? (valid keys: block, flush, kill,"),
        ("    do: [reboot: leaf9]\n", 5, "unknown device 'leaf9' (known: leaf1, leaf2, fw1)"),
        ("    do: [reboot: node1]\n", 5, "unknown device 'node1' (known: leaf1, leaf2, fw1)"),
        ("    do: [link_down: leaf1]\n", 5, "'leaf1' is no end of a link; write node:interface"),
        (
            "    do: [link_down: 'leaf1:eth9']\n",
            5,
            "unknown end of a link 'leaf1:eth9' (known: node1:eth1, leaf1:eth1,",
        ),
        ("    do: [stop: node9]\n", 5, "unknown host or device 'node9' (known: node1, node2, node3, lb1,"),
        (
            "    do:\n      - {stop: node1, start: node2}\n",
            6,
            "one key for each item; found start, stop (valid keys: link",
        ),
        ("    do: [kill: toolkit]\n", 5, "the toolkit can be killed in the middle of a push only: push, faults"),
        (
            "    do: [settings: {phase: stedy}]\n",
            5,
            "setting phase: Input should be 'install', 'upgrade' or 'steady' (",
        ),
        (
            "    do: [settings: {fase: steady}]\n",
            5,
            "unknown setting 'fase' (settings: direct_kube_api, external_registr",
        ),
        (
            "    do: [block: {device: leaf1, port: 99999}]\n",
            5,
            "Input should be less than or equal to 65535 (found: 999",
        ),
        (
            "    do: [block: {device: leaf1, port: 80, to: [x]}]\n",
            5,
            "unknown host 'x' (known: node1, node2, node3, lb1,",
        ),
        ("    do: [pull: {by: fw1, image: 'a:1'}]\n", 5, "unknown host 'fw1' (known: node1, node2, node3, lb1,"),
        ("    do: [pull: {by: node1, image: A}]\n", 5, "String should match pattern"),
        (
            "    do:\n      - push: {faults: [{at: {device: leaf9, step: sent}, do: [reboot: leaf1]}]}\n",
            6,
            "unknown device 'leaf9' (known: leaf1, leaf2, fw1)",
        ),
        (
            "    do:\n      - push:\n          faults:\n            - at: {device: leaf1, step: send}\n              do: []\n",
            8,
            "Input should be 'sending', 'sent', 'confirming', 'verified', 'saving', 'saved',",
        ),
        ("    expect: [etcd: fine]\n", 5, "Input should be 'healthy', 'degraded' or 'broken' (found: 'fine')"),
        ("    expect: [etdc: healthy]\n", 5, "unknown key 'etdc'; did you mean 'etcd'?"),
        (
            "    expect: [permitted: [node1 lb1]]\n",
            5,
            "'node1 lb1' is no cell; write for example: node1 install1 tcp/300",
        ),
        ("    expect: [permitted: [node1 lb1 80]]\n", 5, "'80' cannot be probed; write tcp/25, udp/53 or icmp"),
        ("    expect: [denied: [node1 fw1 icmp]]\n", 5, "unknown host 'fw1' (known: node1,"),
        ("    expect: [matrix: other.csv]\n", 5, "no expectations 'other.csv' beside the scenario"),
        ("    expect: [session_cut: tea]\n", 5, "unknown session that was opened before 'tea' (known: none)"),
        (
            "    expect: [journal: {leaf1: sended}]\n",
            5,
            "unknown step 'sended' (steps: sending, sent, confirming, verified, saving,",
        ),
        ("    expect: [filters: {leaf1: older}]\n", 5, "Input should be 'old' or 'new' (found: 'older')"),
        ("    expect: [forwarding: {gateways: fw1}]\n", 5, "unknown redundancy group 'gateways' (known: none)"),
        ("    expect: [server: {name: lb9, port: 443, state: UP}]\n", 5, "unknown host 'lb9'"),
        ("    do: []\n", 4, "a step needs something to do or to expect"),
    ],
)
def test_a_mistake_is_answered_with_its_line(read, text, line, words):
    with pytest.raises(InputError) as caught:
        read(text)
    assert words in str(caught.value)
    assert f"scenario.yaml:{line}: " in str(caught.value)


def test_a_group_is_held_by_a_member_of_it(tmp_path):
    site = load_site(ROOT / "labs" / "multi-node-ha")
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{HEAD}    expect: [forwarding: {{gateways: fw2}}]\n", encoding="utf-8")
    assert load_scenario(tmp_path, site).steps[0].expect[0].forwarding == {"gateways": "fw2"}
    path.write_text(f"{HEAD}    expect: [forwarding: {{gateways: leaf1}}]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"scenario\.yaml:5: unknown member of gateways 'leaf1' \(known: fw1, fw2\)"):
        load_scenario(tmp_path, site)
