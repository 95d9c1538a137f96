"""A device where nobody filters (`filter.mode: none`): what passes there is said, and everything else is as ever."""

from __future__ import annotations

import shutil

import pytest

from tests.lab.reference_lab import ROOT, run_site
from toolkit.deploy import open_nornir
from toolkit.errors import DeployError, PolicyError, SiteError
from toolkit.render.work import Work
from toolkit.site import load_site

SITES = ROOT / "tests" / "sites"


@pytest.fixture
def sites(tmp_path):
    shutil.copytree(SITES / "another-page", tmp_path / "another-page")
    shutil.copytree(SITES / "virtual-switch", tmp_path / "virtual-switch")
    return tmp_path / "virtual-switch"


def edit(folder, name, old, new):
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def work():
    return Work(SITES / "virtual-switch")


def test_it_has_no_policy_no_config_and_no_hop(work):
    assert set(work.policies) == set(work.rendered) == {"fw", "asa"}
    hops = [hop.device for path in work.finder.paths("jump", "s1") for hop in path.hops]
    assert hops == ["asa", "fw"]


def test_what_passes_only_there_is_said_and_nothing_else(work):
    said = {one.message.partition(":")[0] for one in work.policy_findings if one.code == "not_enforceable"}
    ports = ("tcp/8300", "tcp/8301", "udp/8301")
    assert said == {f"{one} -> {other} {port}" for one, other in (("s1", "s2"), ("s2", "s1")) for port in ports}


def test_it_is_never_pushed_to(work):
    assert set(open_nornir(work.site).inventory.hosts) == {"fw", "asa"}
    with pytest.raises(DeployError, match=r"sw0 enforces nothing \(filter.mode: none in hosts.yaml\)"):
        open_nornir(work.site, devices=["sw0"])


def test_without_the_word_a_device_needs_a_platform(sites):
    edit(sites, "hosts.yaml", ", filter: {mode: none}", "")
    with pytest.raises(SiteError, match="device sw0 has no platform"):
        _ = Work(sites).rendered


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("hosts.yaml", "{mode: none}", "{mode: none, plain: true}", "sw0: filter.mode none means that nothing is filtered"),
        ("site.yaml", "links:", "deploy: {canary: [sw0]}\nlinks:", "canary names 'sw0', which is never changed"),
        ("site.yaml", "links:", "deploy: {waves: [[s1]]}\nlinks:", "waves names 's1', which is a host"),
    ],
)  # fmt: skip
def test_it_takes_no_part(sites, file, old, new, says):
    edit(sites, file, old, new)
    with pytest.raises(SiteError, match=says):
        load_site(sites)


def test_an_asa_that_does_not_inspect_icmp_is_refused_with_the_remedy(sites):
    config = (
        "hostname asa\n"
        "interface GigabitEthernet0/0\n nameif admin\n security-level 0\n ip address 192.168.8.1 255.255.255.0\n"
        "interface GigabitEthernet0/1\n nameif users\n security-level 0\n ip address 192.168.9.1 255.255.255.0\n"
        "interface GigabitEthernet0/2\n nameif core\n security-level 0\n ip address 10.7.255.2 255.255.255.252\n"
        "same-security-traffic permit inter-interface\n"
    )
    inspect = (
        "policy-map global_policy\n class inspection_default\n  inspect icmp\nservice-policy global_policy global\n"
    )
    edit(sites, "hosts.yaml", "kind: firewall\n", "kind: firewall\n    filter: {running: asa.cfg}\n")
    (sites / "asa.cfg").write_text(config, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"icmp-8-0 asks for answers to ICMP.* add `inspect icmp`"):
        _ = Work(sites).rendered
    (sites / "asa.cfg").write_text(config + inspect, encoding="utf-8")
    assert "asa" in Work(sites).rendered


@pytest.mark.lab
def test_in_the_lab_its_cells_are_as_they_were(tmp_path):
    code, outcome = run_site(SITES / "virtual-switch", tmp_path)
    assert (code, outcome["matrix"]["wrong"], outcome["matrix"]["inconclusive"]) == (0, 0, 0)
    rows = [line.split(",") for line in (tmp_path / "runs" / outcome["run"] / "matrix.csv").read_text().splitlines()]
    live = rows[0].index("live")
    between = [row[live] for row in rows[1:] if row[0] == "s1" and row[1].startswith("s2")]
    assert set(between) == {"permitted"}
    around = [row[live] for row in rows[1:] if row[0] == "pc" and row[1].startswith("s2")]
    assert set(around) == {"permitted", "denied"}
