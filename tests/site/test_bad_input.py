"""A table of mistakes that people make in an inventory, each with the answer they get: file, line, choices."""

from __future__ import annotations

import re

import pytest

from toolkit.errors import InputError
from toolkit.flows import build
from toolkit.paths import PathFinder
from toolkit.site import load_site

MISTAKES = [
    (
        "site.yaml",
        "acl_prefix: uipath",
        "acl_prefx: uipath",
        r"site\.yaml:7: unknown key 'acl_prefx'; did you mean 'acl_prefix'\? \(valid keys: acl_prefix, bindings",
    ),
    (
        "site.yaml",
        "  offline: true",
        "  ofline: true",
        r"site\.yaml:12: unknown key 'ofline'; did you mean 'offline'\?",
    ),
    (
        "site.yaml",
        "  phase: install",
        "  phase: later",
        r"site\.yaml:17: settings\.phase: Input should be 'install', 'upgrade' or 'steady' \(found: 'later'\)",
    ),
    (
        "site.yaml",
        '  sql_server: "1433"',
        '  sql_server: "70000"',
        r"site\.yaml:21: ports\.sql_server: 70000 is no port; ports go from 0 to 65535",
    ),
    (
        "site.yaml",
        '  sql_server: "1433"',
        '  sql_server: "15008"',
        r"site\.yaml:21: port 15008 for sql_server is reserved: uipath-automation-suite forbids 15008",
    ),
    (
        "site.yaml",
        "  smtp_server: {hosts: [smtp1]}",
        "  smtp_sever: {hosts: [smtp1]}",
        r"site\.yaml:29: unknown role 'smtp_sever' \(valid roles: agent, any, client",
    ),
    (
        "site.yaml",
        "  node: {hosts: [node1, node2, node3]}",
        "  node: {hosts: [node1, node9]}",
        r"site\.yaml:25: role 'node' is bound to the unknown host 'node9' \(hosts: node1, node2",
    ),
    (
        "site.yaml",
        "  node: {hosts: [node1, node2, node3]}",
        "  node: {hosts: [node1, leaf1]}",
        r"site\.yaml:25: leaf1 is a device .* cannot be an enforcement point too\. .*IP tables.*\(uipath-automation-suite line 3\)",
    ),
    (
        "site.yaml",
        "  internet: {prefixes: [0.0.0.0/0], at: internet1}",
        "  internet: {hosts: [node1]}",
        r"node1 cannot be both internet and node",
    ),
    (
        "site.yaml",
        "  client: {prefixes: [10.20.0.0/24], at: client1}",
        "  client: {prefixes: [10.20.0.0/24]}",
        r"role 'client' has prefixes; name the host they are behind",
    ),
    (
        "site.yaml",
        "    mode: snat",
        "    mode: snat\n    snat_roles: [node]",
        r"site\.yaml:40: snat_roles of lb1 is for mode transparent, and names bound roles \(mode: snat; roles: node, ",
    ),
    ("site.yaml", "    virtual: [10.10.2.20]", "    virtual: [10.10.2.99]", r"10\.10\.2\.99 is no address of lb1"),
    (
        "site.yaml",
        "  - [node2:eth1, leaf1:eth2]",
        "  - [node2:eth1, leaf1:eth9]",
        r"leaf1 has no interface 'eth9' \(its interfaces: eth1, eth2",
    ),
    (
        "site.yaml",
        "  - [node2:eth1, leaf1:eth2]",
        "  - [node2:eth1, leaf1:eth1]",
        r"leaf1:eth1 is already linked to node1:eth1",
    ),
    (
        "site.yaml",
        "  - [node2:eth1, leaf1:eth2]",
        "  - [node2, leaf1:eth2]",
        r"'node2' is no end of a link; write node:interface",
    ),
    (
        "site.yaml",
        "  canary: [leaf2]",
        "  canary: [node1]",
        r"canary names 'node1', which is a host, and hosts are never changed \(devices: fw1",
    ),
    (
        "site.yaml",
        "  canary: [leaf2]",
        "  canary: [leaf2]\n  by: path_side",
        r"site.yaml:66: waves by path_side follow from the paths and cannot be declared; remove deploy.waves",
    ),
    (
        "site.yaml",
        "  waves: [[leaf1], [fw1, fw2]]",
        "  waves: [[leaf1], [routers]]",
        r"waves names 'routers', which is unknown \(devices: .*; groups of them: firewalls, leaf_switches, linux_devices",
    ),
    ("site.yaml", "  waves: [[leaf1], [fw1, fw2]]", "  waves: [[hosts]]", r"waves names 'hosts', which is unknown"),
    ("site.yaml", "  canary: [leaf2]", "  by: distance", r"site.yaml:64: deploy.by: .*'declared' or 'path_side'"),
    (
        "site.yaml",
        "client_ports: 1024-65535",
        "client_ports: 65535-1024",
        r"site\.yaml:22: client_ports: 65535-1024 is no port range",
    ),
    (
        "specs/site-baseline.yaml",
        "  storage: none\n",
        "",
        r"site\.yaml:\d+: enforcement: enforce needs the site's baseline answered in full; missing: storage",
    ),
    (
        "specs/site-baseline.yaml",
        "  dns: [dns-udp, dns-tcp]",
        "  dns: [dns-upd]",
        r"baseline topic 'dns' names the requirement 'dns-upd'",
    ),
    (
        "specs/site-baseline.yaml",
        "    protocol: udp",
        "    protocol: udb",
        r"site-baseline\.yaml:11: requirements\.0\.protocol: unknown protocol 'udb'; choose one of: any, icmp",
    ),
    (
        "specs/site-baseline.yaml",
        '    ports: "53"',
        '    ports: "530000"',
        r"site-baseline\.yaml:12: requirements\.0\.ports: 530000 is no port",
    ),
    (
        "specs/site-baseline.yaml",
        "sources: [node, load_balancer]",
        "sources: [nodes, load_balancer]",
        r"site-baseline\.yaml:13: unknown role 'nodes' in sources of dns-udp \(valid roles:",
    ),
    ("specs/site-baseline.yaml", "  - id: dns-tcp", "  - id: dns-udp", r"requirement id 'dns-udp' stands twice"),
    (
        "hosts.yaml",
        "eth1: {addresses: [10.10.1.12/24]}",
        "eth1: {addresses: [10.10.1.11/24]}",
        r"address 10\.10\.1\.11 stands twice: on node1:eth1 and on node2:eth1",
    ),
    (
        "hosts.yaml",
        "eth1: {addresses: [10.10.1.12/24]}",
        "eth1: {addresses: ['fd00::12/64']}",
        r"hosts\.yaml:\d+: interfaces\.eth1\.addresses\.0: IPv6 is not supported: the vendor's page asks for IPv4",
    ),
    (
        "hosts.yaml",
        "eth1: {addresses: [10.20.0.10/24]}",
        "eth1: {addresses: [10.10.1.99/24]}",
        r"subnet 10\.10\.1\.0/24 overlaps itself",
    ),
    (
        "hosts.yaml",
        "eth2: {addresses: [10.20.0.1/24], description: client network}",
        "eth2: {addresses: [10.10.0.1/16]}",
        r"subnets overlap: 10\.10\.0\.0/16 .* and 10\.10\.1\.0/24",
    ),
    (
        "hosts.yaml",
        "  groups: [leaf_switches]\n  data:\n    interfaces:",
        "  groups: [leaf_switches]\n  data:\n    interfaces: {}\n    x-old:",
        r"device leaf1 has no interfaces, so nothing can be enforced on it",
    ),
    ("hosts.yaml", "  groups: [hosts]", "  groups: [hostz]", r"hosts\.yaml: unknown group 'hostz'"),
    (
        "hosts.yaml",
        "      mode: jump",
        "      mode: jmp",
        r"hosts\.yaml:\d+: filter\.mode: Input should be 'own', 'extend', 'jump' or 'none'",
    ),
    (
        "hosts.yaml",
        "      mode: own\n",
        "      mode: own\n      override: [CORP-10]\n",
        r"device fw2: filter\.override is for mode extend or jump; own comes before nobody",
    ),
    ("hosts.yaml", "node2:\n", "node1:\n", r"hosts\.yaml:\d+: the key 'node1' stands twice \(first on line"),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "answer"), MISTAKES, ids=[f"{f}-{n.strip()[:40]}" for f, _, n, _ in MISTAKES]
)
def test_a_mistake_is_answered_with_its_place_and_the_valid_choices(spoiled, file, old, new, answer):
    folder = spoiled(file, old, new)
    with pytest.raises(InputError) as caught:
        build(load_site(folder))
    assert re.search(answer, str(caught.value)), str(caught.value)
    assert caught.value.exit_code == 2


def test_a_role_that_a_requirement_in_force_needs_must_be_bound(spoiled):
    folder = spoiled("site.yaml", "  smtp_server: {hosts: [smtp1]}\n", "")
    with pytest.raises(InputError, match=r"needs the role 'smtp_server', which is bound to nothing"):
        build(load_site(folder))


def test_the_same_role_may_stay_unbound_where_nothing_in_force_needs_it(spoiled):
    spoiled("site.yaml", "  smtp_server: {hosts: [smtp1]}\n", "")
    folder = spoiled("site.yaml", "  offline: true", "  offline: false")
    assert build(load_site(folder)).flows


def test_an_unreachable_destination_names_the_device_without_a_route(spoiled):
    folder = spoiled("hosts.yaml", "    routes: [{prefix: 10.10.0.0/16, via: 10.10.255.1}]", "    routes: []")
    finder = PathFinder(load_site(folder).topology)
    with pytest.raises(InputError, match=r"unreachable: fw2 has no route to 10\.10\.1\.11"):
        finder.paths("client1", "node1")


def test_a_private_requirement_refuses_a_public_binding(spoiled):
    folder = spoiled(
        "site.yaml", "  smtp_server: {hosts: [smtp1]}", "  smtp_server: {prefixes: [198.51.100.0/24], at: internet1}"
    )
    with pytest.raises(InputError, match=r"is (no_internet|private_only) .*but the role 'smtp_server'"):
        build(load_site(folder))


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no inventory folder"):
        load_site(tmp_path / "nowhere")


def test_the_reference_site_has_none_of_these(reference):
    assert build(reference).flows
