"""The topology file: generated from the inventory, legal for containerlab, and enough to build the lab from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.lab.reference_lab import INVENTORY
from toolkit.errors import LabError, SiteError
from toolkit.kinds import KINDS, SHORT
from toolkit.lab.by_hand import write_by_hand
from toolkit.lab.plan import LabBalancer, read
from toolkit.lab.topology_file import clab_topology, write
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


def test_kernel_settings_are_told_to_the_engine(document, plan):
    """A container cannot write its own /proc/sys; the embedded lab takes the same settings from the file."""
    nodes = document["topology"]["nodes"]
    shared = document["topology"]["kinds"]["linux"]["sysctls"]
    assert shared["net.ipv4.conf.all.rp_filter"] == "0"
    assert {name for name, node in nodes.items() if node["sysctls"]["net.ipv4.ip_forward"] == "1"} == {"fw1", "fw2"}
    for node in plan.nodes:
        assert dict(node.sysctls) == {**shared, **nodes[node.name]["sysctls"]}


def test_readiness_is_a_health_check(document, plan):
    ports = {
        node.name: re.findall(r"sport = :(\d+)", node.health) if node.health is not None else [] for node in plan.nodes
    }
    assert ports == {
        **{key: ["22"] for key in ("leaf1", "leaf2", "fw1", "fw2")},
        **{key: ["22", "2379", "2380"] for key in ("node1", "node2", "node3")},
        "lb1": ["443", "9345"],
        "smtp1": ["80", "587"],
        "install1": ["30070"],
        **{key: [] for key in ("jump1", "sql1", "dns1", "client1", "internet1")},
    }
    check = document["topology"]["nodes"]["fw1"]["healthcheck"]
    assert check["test"] == ["CMD-SHELL", plan.node("fw1").health]
    assert "healthcheck" not in document["topology"]["nodes"]["client1"]


def with_images(spoiled, text):
    return spoiled("site.yaml", "  seed: 9\n", f"  seed: 9\n  images:\n{text}")


def test_a_device_can_be_a_vendors_image(spoiled, validator, tmp_path):
    site = load_site(
        with_images(
            spoiled, "    leaf1: {kind: ceos, image: 'ceos:4.32.0F'}\n    fw2: {kind: linux, image: 'mine:1'}\n"
        )
    )
    made = clab_topology(site)
    assert list(validator.iter_errors(made)) == []
    leaf1, fw1, fw2 = (made["topology"]["nodes"][name] for name in ("leaf1", "fw1", "fw2"))
    assert (leaf1["kind"], leaf1["image"], leaf1["privileged"]) == ("arista_ceos", "ceos:4.32.0F", True)
    assert (fw2["image"], "privileged" in fw2, "kind" in fw2) == ("mine:1", False, False)
    assert {**leaf1["labels"]} == clab_topology(load_site(INVENTORY))["topology"]["nodes"]["leaf1"]["labels"]
    assert (fw1["image"], "privileged" in fw1) == ("toolkit-device:latest", False)
    write(site, tmp_path / "x.clab.yml")
    read_back = read(tmp_path / "x.clab.yml")
    assert (read_back.node("leaf1").os, read_back.node("leaf1").sysctls) == ("arista_ceos", ())
    assert (read_back.node("fw2").os, read_back.node("fw2").image) == ("linux", "mine:1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("    leaf9: {kind: ceos, image: x}\n", r"'leaf9', which is no device of the site \(devices: leaf1, leaf2, fw1, fw2\)"),
        ("    node1: {kind: ceos, image: x}\n", r"'node1', which is no device"),
        ("    leaf1: {kind: iosv, image: x}\n", r"no such kind of device; the kinds are ceos, .*vyosnetworks_vyos.*\(found: 'iosv'\)"),
        ("    leaf1: {kind: bridge, image: x}\n", r"no such kind of device"),
        ("    leaf1: {kind: ceos}\n", r"the key 'image' is missing"),
        ("    leaf1: {kind: ceos, image: ''}\n", r"lab\.images\.leaf1\.image"),
        ("    leaf1: {kind: ceos, image: 'x$y'}\n", r"would expand"),
        ("    leaf1: {kind: ceos, image: x, licence: y}\n", r"unknown key 'licence' \(valid keys: image, kind\)"),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_is_refused_with_its_line(spoiled, text, words):
    folder = with_images(spoiled, text)
    line = (folder / "site.yaml").read_text(encoding="utf-8").splitlines().index(text.rstrip().splitlines()[0]) + 1
    with pytest.raises(SiteError, match=rf"site\.yaml:{line}: .*{words}"):
        load_site(folder)


def test_every_kind_is_one_of_containerlabs(validator):
    known = validator.schema["definitions"]["node-config"]["properties"]["kind"]["enum"]
    assert set(KINDS) <= set(known)
    assert set(SHORT.values()) <= set(KINDS)


def test_by_hand_nodes_give_themselves_their_addresses(reference, document, validator, tmp_path):
    path = tmp_path / "by-hand.clab.yml"
    write_by_hand(reference, path)
    made = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(validator.iter_errors(made)) == []
    lines = {name: node.pop("exec")[0] for name, node in made["topology"]["nodes"].items()}
    assert made == document
    assert lines["node1"] == (
        "sh -c 'ip link set lo up && ip addr add 10.10.1.11/24 dev eth1 && ip link set dev eth1 up && "
        "ip route add 0.0.0.0/0 via 10.10.1.1'"
    )
    assert "ip link set dev eth1 master nodes_a" in lines["leaf1"]
    assert not any("eth0" in line or "rule" in line for line in lines.values())


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
