"""Management addresses in the lab, and a whole site whose devices are called by names that no lab may call."""

from __future__ import annotations

import shutil

import pytest

from tests.lab.reference_lab import INVENTORY, ROOT, run_site
from toolkit.errors import InputError, LabError
from toolkit.lab.management import as_text, management_addresses
from toolkit.site import load_site
from toolkit.verify.live import login

SITE = ROOT / "tests" / "sites" / "another-page"


def copy(tmp_path, **replaced):
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    for name in ("site.yaml", "hosts.yaml"):
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in replaced.get(name.partition(".")[0], ()):
            assert old in text
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_addresses_in_the_network_of_the_lab_are_kept():
    site = load_site(INVENTORY)
    assert management_addresses(site) == {node.name: node.management for node in site.topology.devices}


def test_names_and_addresses_of_elsewhere_get_free_ones(tmp_path):
    hosts = [("10.99.0.7", "172.31.250.11")]  # what the first free one would be
    site = load_site(copy(tmp_path, hosts=hosts))
    assert management_addresses(site) == {"edge": "172.31.250.11", "core": "172.31.250.12"}
    assert management_addresses(load_site(SITE)) == {"core": "172.31.250.11", "edge": "172.31.250.12"}


def test_two_devices_behind_one_address_are_told_apart(tmp_path):
    hosts = [("10.99.0.7", "172.31.250.40"), ("core.dc7.example", "172.31.250.40")]
    assert sorted(management_addresses(load_site(copy(tmp_path, hosts=hosts))).values()) == [
        "172.31.250.11",
        "172.31.250.40",
    ]


@pytest.mark.parametrize(
    ("site", "hosts", "says"),
    [
        ("lab: {management: 192.0.2.0/28}", [("10.99.0.7", "192.0.2.1")], "edge cannot have 192.0.2.1"),
        ("lab: {management: 192.0.2.0/29}", [], "192.0.2.0/29 is too small"),
    ],
)
def test_what_the_lab_cannot_give_is_said(tmp_path, site, hosts, says):
    folder = copy(tmp_path, site=[("links:", f"{site}\nlinks:")], hosts=hosts)
    with pytest.raises(LabError, match=says):
        management_addresses(load_site(folder))


def test_where_to_call_devices_is_handed_on(monkeypatch):
    addresses = {"leaf1": ("192.0.2.1", 22), "leaf2": ("192.0.2.2", 2222)}
    monkeypatch.setenv("TOOLKIT_ADDRESSES", as_text(addresses))
    assert login().addresses == addresses
    monkeypatch.setenv("TOOLKIT_ADDRESSES", "leaf1:192.0.2.1")
    with pytest.raises(InputError, match="is not written as device=address:port"):
        login()


@pytest.mark.lab
def test_another_page_is_rehearsed_as_a_stranger_brings_it(tmp_path):
    code, outcome = run_site(SITE, tmp_path)
    assert (code, outcome["matrix"]["wrong"], outcome["matrix"]["inconclusive"]) == (0, 0, 0)
    assert outcome["matrix"]["probes"] > 400
    assert outcome["matrix"]["denied"] > outcome["matrix"]["permitted"] > 20
    assert "monitored" not in outcome


@pytest.mark.lab
def test_a_site_that_only_monitors_is_right_when_nothing_is_denied(tmp_path):
    code, outcome = run_site(copy(tmp_path, site=[("enforcement: enforce", "enforcement: monitor")]), tmp_path)
    assert (code, outcome["matrix"]["wrong"], outcome["matrix"]["denied"]) == (0, 0, 0)
    assert 0 < outcome["monitored"] < outcome["matrix"]["probes"]
