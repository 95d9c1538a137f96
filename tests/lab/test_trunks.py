"""VLANs that share cables: one list at a trunk for all of them, and one failure for all of them."""

from __future__ import annotations

import shutil

import pytest

from tests.lab.reference_lab import ROOT, run_site
from toolkit.errors import PolicyError, SiteError
from toolkit.paths import single_failures
from toolkit.render.work import Work
from toolkit.site import load_site
from toolkit.verify.failures import FailureAnalysis

SITES = ROOT / "tests" / "sites"


@pytest.fixture
def site_of(tmp_path):
    for name in ("another-page", "trunks"):
        shutil.copytree(SITES / name, tmp_path / name)
    folder = tmp_path / "trunks"

    def make(*changes):
        for file in ("hosts.yaml", "site.yaml"):
            path = folder / file
            text = path.read_text(encoding="utf-8")
            for old, new in changes:
                text = text.replace(old, new)
            path.write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="module")
def work():
    return Work(SITES / "trunks")


def test_a_trunk_has_one_name_and_one_list(work):
    (path,) = work.finder.paths("s1", "a1")
    assert [(hop.device, hop.in_interface, hop.out_interface) for hop in path.hops] == [
        ("acc", "Ethernet1/1", "Ethernet1/48"),
        ("dist", "Ethernet1/48", "Ethernet1/47"),
        ("fw", "eth1.10", "eth1.20"),
        ("dist", "Ethernet1/47", "Ethernet1/48"),
        ("acc", "Ethernet1/48", "Ethernet1/3"),
    ]
    assert [acl.interface for acl in work.policies["dist"].acls] == ["Ethernet1/1", "Ethernet1/47", "Ethernet1/48"]


def test_vlans_of_one_cable_fail_together(work):
    links = [one.links for one in single_failures(work.site.topology) if one.links]
    assert sorted(map(len, links)) == [1] * 6 + [2, 3]
    (cable,) = [one for one in single_failures(work.site.topology) if len(one.links) == 3]
    cut = work.finder.under(cable)
    assert "jump" not in cut.remaining.cabled("s1")
    assert "a1" not in cut.remaining.cabled("lb")
    assert "jump" in work.finder.remaining.cabled("s1")


def test_nothing_is_lost_or_exposed_by_a_failure(work):
    states = {device: one.after for device, one in work.rendered.items()}
    before = {device: state.without_owned() for device, state in states.items()}
    analysis = FailureAnalysis(work.graph, work.finder, work.policies, states, before, work.space)
    reports = list(analysis.reports())
    assert len(reports) == 1 + len(work.site.topology.nodes) + 8
    assert [(one.lost, one.exposures) for one in reports] == [((), ())] * len(reports)


def test_the_whole_configuration_tags_them(work):
    text = work.rendered["dist"].candidate.text
    assert "\n   switchport mode trunk\n   switchport trunk allowed vlan 10,20,30\n" in text
    assert "\ninterface Ethernet1/1\n   description port of admin\n   switchport\n" in text
    assert "\n   switchport access vlan 30\n" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("acc:Ethernet1/48.10", "acc:Ethernet1/48"), r"acc has no interface 'Ethernet1/48' \(its interfaces: .*Ethernet1/48.10"),
        (("Ethernet1/48: {trunk: {10: servers, 20: agents}}", "Ethernet1/48: {trunk: {10: servers}, bridge: agents}"),
         "is a trunk, so it has no bridge and no addresses of its own"),
        (("{10: servers, 20: agents, 30: admin}", "{10: servers, 20: agents, 4095: admin}"), "less than or equal to 4094"),
    ],
)  # fmt: skip
def test_mistakes_are_answered(site_of, change, says):
    with pytest.raises(SiteError, match=says):
        load_site(site_of(change))


def test_linux_names_each_vlan(site_of):
    with pytest.raises(PolicyError, match=r"acc Ethernet1/48: Linux has .* as Ethernet1/48.10: \{bridge: servers\}"):
        _ = Work(site_of(("cisco_nxos", "linux_nftables"))).rendered


@pytest.mark.lab
def test_they_are_filtered_apart_on_live_traffic(tmp_path):
    code, outcome = run_site(SITES / "trunks", tmp_path)
    assert (code, outcome["matrix"]["wrong"], outcome["matrix"]["inconclusive"]) == (0, 0, 0)
    assert outcome["matrix"]["denied"] > outcome["matrix"]["permitted"] > 40
