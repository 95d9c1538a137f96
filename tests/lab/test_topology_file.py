"""The topology file: generated from the inventory, legal for containerlab, and enough to build the lab from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from toolkit.errors import LabError
from toolkit.lab.topology_file import LabBalancer, clab_topology, read, write
from toolkit.site import load_site

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "containerlab" / "clab.schema.json"


@pytest.fixture(scope="module")
def document(reference):
    return clab_topology(reference)


@pytest.fixture(scope="module")
def plan(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "reference.clab.yml"
    write(reference, path)
    return read(path)


@pytest.fixture(scope="module")
def validator():
    if not SCHEMA.is_file():
        pytest.skip("containerlab's schema is not here")
    from jsonschema.validators import validator_for

    # Python's `re` does not know \p{N}\p{L}.
    schema = json.loads(SCHEMA.read_text(encoding="utf-8").replace(r"\\p{N}\\p{L}", r"\\w"))
    return validator_for(schema)(schema)


def test_containerlab_accepts_the_file(document, validator):
    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "extra", 1),
        (("topology", "nodes", "fw1"), "addresses", ["10.0.0.1/24"]),
        (("topology", "nodes", "fw1", "labels"), "toolkit.kind", {"not": "text"}),
        (("topology", "defaults"), "restart-policy", "sometimes"),
    ],
)
def test_containerlab_refuses_what_is_not_its_own(document, validator, where, key, value):
    spoiled = json.loads(json.dumps(document))
    part = spoiled
    for step in where:
        part = part[step]
    part[key] = value
    assert list(validator.iter_errors(spoiled))


def test_nothing_bypasses_the_devices(document):
    """Hosts have no second way out, devices a management network whose members cannot talk to each other."""
    nodes = document["topology"]["nodes"]
    hosts = {name: node for name, node in nodes.items() if node["labels"]["toolkit.kind"] == "host"}
    assert len(hosts) == 11
    assert all(node["network-mode"] == "none" and "mgmt-ipv4" not in node for node in hosts.values())
    devices = {name: node["mgmt-ipv4"] for name, node in nodes.items() if name not in hosts}
    assert devices == {
        "leaf1": "172.31.250.11",
        "leaf2": "172.31.250.12",
        "fw1": "172.31.250.21",
        "fw2": "172.31.250.22",
    }
    assert document["mgmt"] == {
        "network": "toolkit-reference",
        "ipv4-subnet": "172.31.250.0/24",
        "external-access": False,
        "driver-opts": {"com.docker.network.bridge.enable_icc": "false"},
    }


def test_what_containerlab_does_by_default_is_switched_off(document):
    defaults = document["topology"]["defaults"]
    assert document["prefix"] == "__lab-name"
    assert defaults["privileged"] is False
    assert defaults["cap-add"] == ["NET_ADMIN"]
    assert defaults["restart-policy"] == "no"
    assert {link["mtu"] for link in document["topology"]["links"]} == {1500}


def test_labels_are_text_and_nothing_in_the_file_expands(reference, document, tmp_path):
    write(reference, tmp_path / "one.clab.yml")
    text = (tmp_path / "one.clab.yml").read_text(encoding="utf-8")
    assert "$" not in text
    assert "{{" not in text
    assert yaml.safe_load(text) == document
    parts = [document["topology"]["defaults"], *document["topology"]["nodes"].values()]
    assert all(isinstance(value, str) and value for part in parts for value in part["labels"].values())


def test_a_name_that_would_expand_is_refused(spoiled, tmp_path):
    folder = spoiled("hosts.yaml", "description: node1", "description: first")
    hosts = folder / "hosts.yaml"
    hosts.write_text(hosts.read_text(encoding="utf-8").replace("nodes_a", "nodes_$a"), encoding="utf-8")
    with pytest.raises(LabError, match=r"would expand `\$` and `{{`"):
        write(load_site(folder), tmp_path / "x.clab.yml")
    assert not (tmp_path / "x.clab.yml").exists()


def test_the_file_alone_gives_back_the_site(reference, plan):
    topology = reference.topology
    assert [node.name for node in plan.nodes] == list(topology.nodes)
    assert plan.links == topology.links
    assert [node.name for node in plan.devices] == [node.name for node in topology.devices]
    for node in topology.nodes.values():
        mine = plan.node(node.name)
        addresses = tuple((i.name, str(a)) for i in node.interfaces.values() for a in i.addresses)
        bridges = tuple((i.name, i.bridge) for i in node.interfaces.values() if i.bridge is not None)
        routes = tuple((str(route.prefix), str(route.via)) for route in node.routes)
        assert (mine.addresses, mine.bridges, mine.routes) == (addresses, bridges, routes)
        assert (mine.kind, mine.management, mine.running) == (node.kind.value, node.management, node.filter.running)
        assert mine.roles == tuple(reference.roles_of(node.name))


def test_services_follow_the_bindings(plan):
    who = {
        service: [node.name for node in plan.with_service(service)]
        for service in ("etcd", "haproxy", "smtp", "registry", "ssh")
    }
    assert who == {
        "etcd": ["node1", "node2", "node3"],
        "haproxy": ["lb1"],
        "smtp": ["smtp1"],
        "registry": ["install1"],
        "ssh": ["node1", "node2", "node3"],
    }
    assert dict(plan.node("smtp1").ports)["smtp"] == (80, 587)
    assert dict(plan.node("install1").ports)["registry"] == (30070,)
    pool = ("node1", "node2", "node3")
    assert dict(plan.balanced) == {443: pool, 9345: pool}
    assert plan.balancers == (LabBalancer("lb1", "10.10.2.20", "10.10.2.21"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- a\n- b\n",
        "name: [unclosed",
        "name: x\ntopology: {nodes: {}}\n",
        "name: x\nmgmt: {ipv4-subnet: 10.0.0.0/24}\ntopology:\n  defaults: {labels: {toolkit.balanced: '{}', toolkit.virtual: '[]'}}\n  nodes: [a]\n  links: []\n",
        "name: x\nmgmt: {ipv4-subnet: 10.0.0.0/33}\ntopology:\n  defaults: {labels: {toolkit.balanced: '{}', toolkit.virtual: '[]'}}\n  nodes: {}\n  links: []\n",
        "name: x\nmgmt: {ipv4-subnet: 10.0.0.0/24}\ntopology:\n  defaults: {labels: {toolkit.balanced: '{}', toolkit.virtual: '[]'}}\n  nodes: {}\n  links: [{endpoints: ['a:eth1']}]\n",
        "name: x\nmgmt: {ipv4-subnet: 10.0.0.0/24}\ntopology:\n  defaults: {labels: {toolkit.balanced: 'no json', toolkit.virtual: '[]'}}\n  nodes: {}\n  links: []\n",
    ],
)
def test_another_file_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "other.clab.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"other\.clab\.yml.*no topology file of the toolkit"):
        read(path)


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(LabError, match=r"none\.clab\.yml"):
        read(tmp_path / "none.clab.yml")


def test_the_labs_own_address_is_no_devices(spoiled, tmp_path):
    folder = spoiled("hosts.yaml", "hostname: 172.31.250.11", "hostname: 172.31.250.1")
    with pytest.raises(LabError, match=r"leaf1 cannot have 172\.31\.250\.1: it is the lab's own address in 172"):
        write(load_site(folder), tmp_path / "x.clab.yml")
