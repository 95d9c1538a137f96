"""A standby has its permits before it needs them; firewalls that each see half of a connection are pointed at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toolkit.flows import build
from toolkit.net import Action
from toolkit.paths import Failure, PathFinder
from toolkit.policy import build_policies
from toolkit.site import load_site

LABS = Path(__file__).resolve().parents[2] / "labs"
GROUP = "    mode: active_standby\n"


@pytest.fixture
def changed(tmp_path):
    """The policies and findings of the lab's site with one piece of its settings replaced."""

    def make(old="", new="", hosts=None):
        shutil.copytree(LABS.parent / "inventory", tmp_path / "inventory")
        folder = tmp_path / "labs" / "multi-node-ha"
        shutil.copytree(LABS / "multi-node-ha", folder)
        path = folder / "site.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        if hosts is not None:
            (folder / "hosts.yaml").write_text(hosts, encoding="utf-8")
        site = load_site(folder)
        return site, *build_policies(build(site), PathFinder(site.topology))

    return make


def permits(policy):
    return {
        (acl.interface, ace.service, ace.sources, ace.destinations, ace.sport)
        for acl in policy.acls
        for ace in acl.entries
        if ace.action is Action.PERMIT
    }


def codes(findings):
    return [finding.code for finding in findings]


def test_the_standby_carries_what_the_active_one_carries(changed):
    _, policies, findings = changed()
    assert permits(policies["fw1"]) == permits(policies["fw2"]) != set()
    assert "asymmetric_stateful_path" not in codes(findings)
    assert codes(findings).count("failover_ends_connections") == 1


def test_without_a_declared_standby_nothing_is_permitted_there(changed):
    text = (LABS / "multi-node-ha" / "site.yaml").read_text(encoding="utf-8")
    start, end = text.index("redundancy:\n"), text.index("links:\n")
    addresses = (LABS / "multi-node-ha" / "hosts.yaml").read_text(encoding="utf-8")
    _, policies, _ = changed(text[start:end], "", fw1_owns_gateways(addresses))
    assert not permits(policies["fw2"])
    assert permits(policies["fw1"])
    assert {interface for interface, *_ in permits(policies["leaf1"])} == {f"eth{n}" for n in range(1, 6)}


def fw1_owns_gateways(text):
    """The inventory with fw1 as the gateway itself."""
    for network in ("10.30.1", "10.30.2", "10.30.30", "10.30.40", "10.31.0", "203.0.113"):
        text = text.replace(f"{network}.2/24", f"{network}.1/24")
    return text


def test_permits_are_the_union_over_all_single_failures_and_nothing_more(changed):
    site, policies, _ = changed()
    finder = PathFinder(site.topology)
    by_failure = []
    for failure in (Failure(), Failure(nodes=("fw1",))):
        found, _ = build_policies(build(site), _Fixed(finder.under(failure)))
        by_failure.append(found)
    for name in policies:
        asked = set().union(*(boxes(found[name]) for found in by_failure))
        assert boxes(policies[name]) == asked
    assert not boxes(by_failure[0]["fw2"])
    assert not boxes(by_failure[1]["fw1"])


class _Fixed(PathFinder):
    """A finder of one failure, for which nothing else is declared."""

    def __init__(self, finder):
        super().__init__(finder.topology, finder.failure)

    def under(self, failure):
        return self


def boxes(policy):
    return {
        (interface, box, ids)
        for interface, asked in policy.required.items()
        for box, ids in (*asked.initiating, *asked.established)
    }


def test_active_active_without_shared_state_is_pointed_at(changed):
    _, _, findings = changed(GROUP, "    mode: active_active\n")
    found = [one for one in findings if one.code == "asymmetric_stateful_path"]
    assert found
    assert all("fw1, fw2" in one.message and one.severity == "warning" for one in found)


@pytest.mark.parametrize("promise", ["state_sync", "symmetric_hashing"])
def test_active_active_with_shared_state_is_fine(changed, promise):
    settings = "    mode: active_active\n" + ("" if promise == "state_sync" else "    symmetric_hashing: true\n")
    old = GROUP
    if promise == "state_sync":
        text = (LABS / "multi-node-ha" / "site.yaml").read_text(encoding="utf-8")
        start = text.index(GROUP)
        old = text[start : text.index("    state_sync: false") + len("    state_sync: false")]
        settings += old[len(GROUP) :].replace("state_sync: false", "state_sync: true")
    _, policies, findings = changed(old, settings)
    assert "asymmetric_stateful_path" not in codes(findings)
    assert permits(policies["fw1"]) == permits(policies["fw2"])
