"""A switch that routes between its own VLANs: lists at ports and at routed interfaces, on every OS that has both."""

from __future__ import annotations

import shutil

import pytest

from tests.lab.reference_lab import ROOT, run_site
from toolkit.errors import PolicyError, SiteError
from toolkit.paths import PathFinder, single_failures
from toolkit.render.work import Work
from toolkit.site import load_site

SITES = ROOT / "tests" / "sites"
NAMES = {"juniper_junos": (("Ethernet1/", "ge-0/0/"), ("Vlan", "irb."))}


@pytest.fixture
def site_of(tmp_path):
    for name in ("another-page", "routing-switch"):
        shutil.copytree(SITES / name, tmp_path / name)
    folder = tmp_path / "routing-switch"

    def make(*changes, platform="cisco_nxos"):
        for file in ("hosts.yaml", "site.yaml"):
            path = folder / file
            text = path.read_text(encoding="utf-8").replace("cisco_nxos", platform)
            for old, new in (*NAMES.get(platform, ()), *changes):
                text = text.replace(old, new)
            path.write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="module")
def work():
    return Work(SITES / "routing-switch")


def hops(work, source, destination):
    (path,) = work.finder.paths(source, destination)
    return [(hop.in_interface, hop.out_interface) for hop in path.hops]


def test_a_packet_between_vlans_enters_by_its_port_and_by_its_vlan(work):
    assert hops(work, "s1", "a1") == [("Ethernet1/1", "Vlan10"), ("Vlan10", "Vlan20")]
    assert hops(work, "s1", "lb") == [("Ethernet1/1", "Vlan10"), ("Vlan10", "Ethernet1/4")]
    assert hops(work, "lb", "s1") == [("Ethernet1/4", "Vlan10")]
    assert hops(work, "s1", "s2") == [("Ethernet1/1", "Ethernet1/2")]


def test_inside_a_vlan_only_the_port_is_asked(work):
    aces = {acl.interface: acl.entries for acl in work.policies["sw"].acls}
    peers = [str(p) for ace in aces["Ethernet1/1"] if "tcp-8300" in ace.requirements for p in ace.destinations]
    assert "10.7.1.6/32" in peers
    routed = [str(p) for ace in aces["Vlan10"] if "tcp-8300" in ace.requirements for p in ace.destinations]
    assert "10.7.1.6/32" not in routed
    assert "10.7.2.2/32" in routed


def test_a_vlan_is_down_when_its_last_port_is(work):
    lone = next(one for one in single_failures(work.site.topology) if "Ethernet1/3" in str(one))
    remaining = PathFinder(work.site.topology, lone).remaining
    assert not remaining.port(("sw", "Vlan20"))
    assert remaining.port(("sw", "Vlan10"))
    assert "a1" not in remaining.cabled("s1")
    assert "s2" in remaining.cabled("s1")
    assert "a1" in work.finder.remaining.cabled("s1")


@pytest.mark.parametrize(
    ("platform", "lines"),
    [
        ("cisco_nxos", ["feature interface-vlan", "vlan 10", "  switchport access vlan 20", "  ip port access-group"]),
        ("cisco_ios", ["vlan 10", " switchport access vlan 20", "interface Vlan10"]),
        ("arista_eos", ["vlan 20", "   switchport access vlan 10", "interface Vlan20"]),
        ("juniper_junos", ["set vlans v10 vlan-id 10", "set vlans v20 l3-interface irb.20"]),
    ],
)
def test_the_whole_configuration_says_which_vlan_is_routed_where(site_of, platform, lines):
    text = Work(site_of(platform=platform)).rendered["sw"].candidate.text
    for line in lines:
        assert f"\n{line}" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Vlan20: {addresses: [10.7.2.1/24], bridge: v20}", "Vlan20: {addresses: [10.7.2.1/24], bridge: v10}"),
         "both route for bridge 'v10'; one can"),
        (("Ethernet1/3: {bridge: v20}", "Ethernet1/3: {bridge: v10}"), "sw:Vlan20 routes for bridge 'v20', which has no port"),
        (("a1:eth1, sw:Ethernet1/3", "a1:eth1, sw:Vlan20"), "is the routed interface of bridge 'v20' and takes no cable"),
    ],
)  # fmt: skip
def test_mistakes_are_answered(site_of, change, says):
    with pytest.raises(SiteError, match=says):
        load_site(site_of(change))


def test_linux_does_one_or_the_other(site_of):
    changes = (("Ethernet1/", "eth"), ("Vlan10", "v10"), ("Vlan20", "v20"))
    with pytest.raises(PolicyError, match=r"sw v10: a Linux device that routes for its own bridge \(v10\)"):
        _ = Work(site_of(*changes, platform="linux_nftables")).rendered


@pytest.mark.lab
@pytest.mark.parametrize("platform", ["cisco_nxos", "cisco_ios", "arista_eos", "juniper_junos"])
def test_it_is_so_on_live_traffic(site_of, tmp_path, platform):
    code, outcome = run_site(site_of(platform=platform), tmp_path)
    assert (code, outcome["matrix"]["wrong"], outcome["matrix"]["inconclusive"]) == (0, 0, 0)
    assert outcome["matrix"]["denied"] > outcome["matrix"]["permitted"] > 40
