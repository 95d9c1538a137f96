"""Questions of a reviewer: what a change opens and closes, who can reach a host, what closing a port would break."""

from __future__ import annotations

import pytest
from junitparser import JUnitXml

from tests.cli.test_contract import ask, toolkit


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs") / "rendered"
    assert toolkit("render", "-o", str(folder)).returncode == 0
    return folder


@pytest.fixture
def changed(configs, tmp_path):
    """A copy of the rendered configurations with one text replaced in one of them."""

    def make(device, old, new):
        folder = tmp_path / "changed"
        folder.mkdir()
        for path in configs.iterdir():
            text = path.read_text(encoding="utf-8")
            if path.stem == device:
                assert old in text
                text = text.replace(old, new, 1)
            (folder / path.name).write_text(text, encoding="utf-8")
        return folder

    return make


def test_what_is_equal_is_said_to_be(configs):
    code, found = ask("compare", str(configs), "rendered")
    assert (code, found["equal"], found["differences"]) == (0, True, [])
    assert found["devices"] == ["leaf1", "leaf2", "fw1", "fw2"]


def test_a_widened_port_is_newly_permitted_and_narrowing_it_is_newly_denied(configs, changed):
    wide = changed("leaf1", "tcp dport 9090 ", "tcp dport 9090-9091 ")
    code, found = ask("compare", str(configs), str(wide))
    assert (code, found["equal"]) == (3, False)
    (one,) = found["differences"]
    assert (one["device"], one["interface"], one["kind"]) == ("leaf1", "eth1", "newly_permitted")
    assert (one["witness"]["protocol"], one["witness"]["dport"], one["requirements"]) == ("tcp", 9091, [])
    assert "default deny" in one["before"]
    assert "9090-9091" in one["after"]
    back = ask("compare", str(wide), str(configs))[1]["differences"]
    assert [row["kind"] for row in back] == ["newly_denied"]
    assert (back[0]["before"], back[0]["after"]) == (one["after"], one["before"])
    assert back[0]["packets"] == one["packets"]


def test_what_is_newly_denied_and_asked_for_names_its_requirement(configs, changed):
    text = next(
        line for line in (configs / "fw1.cfg").read_text().splitlines(keepends=True) if "tcp dport 1433" in line
    )
    found = ask("compare", str(configs), str(changed("fw1", text, "")))[1]["differences"]
    assert {row["kind"] for row in found} == {"newly_denied"}
    assert all(row["requirements"] == ["sql-server"] for row in found)


def test_people_read_hosts_and_services(configs, changed):
    done = toolkit("compare", str(configs), str(changed("leaf1", "tcp dport 587 ", "tcp dport 587-600 ")))
    assert "node1 -> smtp1: tcp 588-600" in done.stdout
    assert "fw2: decides every packet as before" in done.stdout


def test_the_site_of_today_and_the_rendered_one_differ():
    code, found = ask("compare", "recorded", "rendered")
    kinds = {(row["device"], row["kind"]) for row in found["differences"]}
    assert code == 3
    assert ("fw1", "newly_permitted") in kinds  # it blocks the application today
    assert ("leaf1", "newly_denied") in kinds
    assert ("leaf1", "newly_permitted") not in kinds


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("nowhere", "rendered"), "nowhere: neither a folder with DEVICE.cfg (devices: leaf1"),
        (("rendered", "rendered", "--after-platform", "linux_nftables"), "a platform belongs to a folder"),
    ],
)
def test_arguments_that_name_nothing(arguments, answer):
    done = toolkit("compare", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert answer in done.stderr


def test_an_unknown_platform_lists_those_that_exist(configs):
    done = toolkit("compare", str(configs), "rendered", "--before-platform", "toaster")
    assert done.returncode == 2
    assert "toaster" in done.stderr
    assert "linux_nftables" in done.stderr


def test_who_reaches_a_node_is_what_the_page_says():
    code, found = ask("reach", "node1")
    assert code == 0
    by = {row["source"]: row for row in found["sources"]}
    assert by["jump1"]["required"] == [{"protocol": "tcp", "ports": "22"}]
    assert by["jump1"]["requirements"] == ["tcp-22"]
    for stranger in ("client1", "internet1", "smtp1", "sql1", "dns1", "install1"):
        assert (by[stranger]["required"], by[stranger]["other"]) == ([], [])
    assert all(row["other"] == [] for row in found["sources"])
    ports = {row["protocol"]: row["ports"] for row in by["node2"]["required"]}
    assert ports["tcp"] == "443, 2379-2380, 6443, 9090, 9345, 10250, 30071"
    assert ports["udp"] == "8472"


def test_what_nothing_asks_for_is_shown_apart(changed):
    wide = changed("leaf1", "tcp dport 9090 ", "tcp dport 9090-9091 ")
    by = {row["source"]: row for row in ask("reach", "node2", "--configs", str(wide))[1]["sources"]}
    assert by["node1"]["other"] == [{"protocol": "tcp", "ports": "9091"}]
    assert by["node3"]["other"] == []


def test_other_peoples_traffic_is_not_asked_for_and_still_arrives():
    by = {row["source"]: row for row in ask("reach", "smtp1")[1]["sources"]}
    assert by["client1"]["other"] == [{"protocol": "tcp", "ports": "25"}]
    assert by["internet1"]["other"] == []


def test_only_hosts_can_be_reached():
    done = toolkit("reach", "fw1")
    assert done.returncode == 2
    assert "'fw1' is no host of the site (hosts: node1" in done.stderr


def test_closing_a_port_breaks_what_asks_for_it():
    code, found = ask("impact", "tcp/2379")
    (row,) = found["breaks"]
    assert code == 0
    assert (row["requirement"], row["flows"], row["sources"]) == ("tcp-2379", 6, ["node1", "node2", "node3"])
    assert row["devices"] == ["leaf1", "leaf2", "fw1"]
    assert "line 12" in row["citation"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("tcp/2378-2380", ["tcp-2379", "tcp-2380"]),
        ("udp/2379", []),
        ("tcp/25", []),
        ("icmp", ["icmp-time-exceeded", "icmp-unreachable"]),
        ("udp", ["dns-udp", "ntp", "udp-8472"]),
    ],
)
def test_protocol_and_port_have_to_match(service, expected):
    assert sorted(row["requirement"] for row in ask("impact", service)[1]["breaks"]) == expected


def test_impact_may_be_narrowed_to_one_host():
    found = {row["requirement"] for row in ask("impact", "tcp/443", "--to", "lb1")[1]["breaks"]}
    assert found == {"tcp-443", "client-https"}
    assert {r["requirement"] for r in ask("impact", "tcp/443", "--to", "smtp1")[1]["breaks"]} == set()
    assert toolkit("impact", "tcp/443", "--to", "nobody").returncode == 2


def test_a_scheduled_proof_leaves_junit_that_counts_the_devices_that_drifted(configs, changed, tmp_path):
    line = next(one for one in (configs / "fw1.cfg").read_text().splitlines(keepends=True) if "tcp dport 1433" in one)
    for folder, code, failures in ((configs, 0, 0), (changed("fw1", line, ""), 4, 1)):
        done = toolkit("verify", "--configs", str(folder), "--junit", str(tmp_path / "junit.xml"))
        assert done.returncode == code
        suites = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
        cases = {case.name: case for suite in suites for case in suite}
        assert list(cases) == ["leaf1", "leaf2", "fw1", "fw2"]
        broken = [name for name, case in cases.items() if case.result]
        assert broken == ["fw1"][:failures]
    assert "sql-server (uipath-automation-suite line 31)" in cases["fw1"].result[0].message


def test_a_file_that_cannot_be_written_is_one_line(configs, tmp_path):
    done = toolkit("verify", "--configs", str(configs), "--junit", str(tmp_path / "no" / "junit.xml"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"toolkit: {tmp_path}/no/junit.xml: No such file or directory\n"
