"""What a rendered file says beside the filter: VLANs, subinterfaces, routed VLANs, names as the device shows them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

import pytest

from tests.platforms import asa_cases, cisco, junos_cases
from toolkit.platforms import get
from toolkit.platforms._vlans import numbers, parent, svi, tag
from toolkit.platforms.base import DeviceContext
from toolkit.topology import FilterData, Interface, Kind, Node


def device(platform, interfaces, kind=Kind.ROUTER):
    """A device; `interfaces` maps a name to an address, or to the name of a bridge."""
    made = {
        name: Interface("dev1", name, (IPv4Interface(what),)) if "/" in what else Interface("dev1", name, (), what)
        for name, what in interfaces.items()
    }
    node = Node("dev1", kind, made, (), platform, None, FilterData())
    subnets = {name: tuple(one.network for one in made[name].addresses) for name in made}
    return DeviceContext("dev1", tuple(made), node.stateful, "uipath", node, subnets)


def blocks(text):
    """The lines below each head."""
    found, head = {}, ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            head = line
            found.setdefault(head, [])
        elif line.strip():
            found[head].append(line.strip())
    return found


def whole(platform, interfaces, kind=Kind.ROUTER):
    context = device(platform, interfaces, kind)
    running = cisco.read(context, "")
    text = get(platform).render(cisco.make_policy(context, {}), running).text
    return blocks(text)


def statements(interfaces, kind=Kind.ROUTER):
    context = device("juniper_junos", interfaces, kind)
    running = junos_cases.running("", context)
    text = junos_cases.PLATFORM.render(junos_cases.make_policy(context, {}), running).text
    return [line.removeprefix("set ") for line in text.splitlines() if line.startswith(("set interfaces", "set vlans"))]


# ---- numbers ---------------------------------------------------------------------------------------


def test_a_bridge_whose_name_says_a_vlan_has_it_and_the_others_are_counted():
    node = device("arista_eos", {"a": "lan", "b": "vlan20", "c": "VLAN0030", "d": "40", "e": "dmz", "f": "rack1"}).node
    assert numbers(node) == {"lan": 10, "vlan20": 20, "VLAN0030": 30, "40": 40, "dmz": 50, "rack1": 60}


def test_a_number_that_an_interface_has_is_given_to_no_bridge():
    node = device(
        "cisco_ios", {"Gi0/1": "lan", "Gi0/2.20": "10.0.2.1/24", "Vlan10": "10.0.1.1/24", "Gi0/3": "dmz"}
    ).node
    assert numbers(node) == {"lan": 30, "dmz": 40}


def test_many_bridges_have_numbers_of_their_own():
    node = device("cisco_ios", {f"Gi0/{number}": f"lan {number}" for number in range(1000)}).node
    found = list(numbers(node).values())
    assert len(set(found)) == 1000
    assert 1 < min(found) < max(found) < 4095


@pytest.mark.parametrize(
    ("interface", "routed", "above", "tagged"),
    [
        ("Vlan10", 10, None, None),
        ("irb.20", 20, "irb", 20),
        ("Ethernet1/1.300", None, "Ethernet1/1", 300),
        ("Ethernet1/1", None, None, None),
        ("Ethernet1/1.5000", None, "Ethernet1/1", None),
        ("Vlan5000", None, None, None),
    ],
)
def test_what_the_name_of_an_interface_says(interface, routed, above, tagged):
    assert (svi(interface), parent(interface), tag(interface)) == (routed, above, tagged)


# ---- IOS, EOS, NX-OS -------------------------------------------------------------------------------

PLACES = {"cisco_ios": "GigabitEthernet0/1", "arista_eos": "Ethernet1", "cisco_nxos": "Ethernet1/1"}
TAGGED = {
    "cisco_ios": "encapsulation dot1Q 30",
    "arista_eos": "encapsulation dot1q vlan 30",
    "cisco_nxos": "encapsulation dot1q 30",
}
ADDRESS = {
    "cisco_ios": "ip address 10.0.3.1 255.255.255.0",
    "arista_eos": "ip address 10.0.3.1/24",
    "cisco_nxos": "ip address 10.0.3.1/24",
}


@pytest.mark.parametrize("name", cisco.NAMES)
def test_a_subinterface_has_its_tag_and_the_port_that_it_is_part_of(name):
    port = PLACES[name]
    found = whole(name, {f"{port}.30": "10.0.3.1/24"})
    assert found[f"interface {port}"] == ["no switchport"] * (name != "cisco_ios") + ["no shutdown"]
    assert found[f"interface {port}.30"][:3] == [TAGGED[name], ADDRESS[name], "no shutdown"]
    assert found[f"interface {port}.30"][3].startswith("ip access-group uipath_")
    heads = list(found)
    assert heads.index(f"interface {port}") < heads.index(f"interface {port}.30")


@pytest.mark.parametrize("name", cisco.NAMES)
def test_ports_of_two_bridges_are_in_two_vlans(name):
    port = PLACES[name][:-1]
    found = whole(name, {f"{port}1": "lan", f"{port}2": "app servers", f"{port}3": "lan"}, Kind.SWITCH)
    assert (found["vlan 10"], found["vlan 20"]) == (["name lan"], ["name app-servers"])
    assert found[f"interface {port}1"][1:4] == ["switchport", "switchport mode access", "switchport access vlan 10"]
    assert found[f"interface {port}2"][3] == "switchport access vlan 20"
    assert found[f"interface {port}3"][3] == "switchport access vlan 10"


@pytest.mark.parametrize("name", cisco.NAMES)
def test_the_interface_of_a_vlan_has_its_vlan(name):
    found = whole(name, {"Vlan77": "10.0.3.1/24"}, Kind.SWITCH)
    assert found["vlan 77"] == []
    assert found["interface Vlan77"][:2] == [ADDRESS[name], "no shutdown"]
    assert ("feature interface-vlan" in found) is (name == "cisco_nxos")
    assert "feature interface-vlan" not in whole(name, {PLACES[name]: "10.0.3.1/24"})


@pytest.mark.parametrize(
    ("name", "short", "long"),
    [
        ("cisco_ios", "Gi0/1", "GigabitEthernet0/1"),
        ("cisco_ios", "Te1/0/1.30", "TenGigabitEthernet1/0/1.30"),
        ("arista_eos", "Et49/1", "Ethernet49/1"),
        ("arista_eos", "Po9", "Port-Channel9"),
        ("cisco_nxos", "eth1/5", "Ethernet1/5"),
        ("cisco_nxos", "Po9", "port-channel9"),
    ],
)
def test_abbreviations_of_the_inventory_are_spelled_out(name, short, long):
    found = whole(name, {short: "10.0.3.1/24"})
    assert f"interface {long}" in found
    assert f"interface {short}" not in found
    if "." not in long:
        assert ("no switchport" in found[f"interface {long}"]) is (name != "cisco_ios")


# ---- Junos -----------------------------------------------------------------------------------------


def test_junos_ports_of_two_bridges_are_in_two_vlans_with_numbers():
    found = statements({"ge-0/0/0": "lan", "ge-0/0/1": "vlan20", "ge-0/0/2": "30"}, Kind.SWITCH)
    assert "interfaces ge-0/0/0 unit 0 family ethernet-switching vlan members lan" in found
    assert "interfaces ge-0/0/2 unit 0 family ethernet-switching vlan members vlan30" in found
    assert [line for line in found if "vlan-id" in line] == [
        "vlans lan vlan-id 10",
        "vlans vlan20 vlan-id 20",
        "vlans vlan30 vlan-id 30",
    ]


def test_junos_units_are_tagged_and_the_interface_of_a_vlan_is_not():
    found = statements({"ge-0/0/0.30": "10.0.3.1/24", "ge-0/0/0.40": "10.0.4.1/24", "irb.50": "10.0.5.1/24"})
    assert [line for line in found if "filter" not in line] == [
        "interfaces ge-0/0/0 flexible-vlan-tagging",
        "interfaces ge-0/0/0 unit 30 vlan-id 30",
        "interfaces ge-0/0/0 unit 30 family inet address 10.0.3.1/24",
        "interfaces ge-0/0/0 unit 40 vlan-id 40",
        "interfaces ge-0/0/0 unit 40 family inet address 10.0.4.1/24",
        "interfaces irb unit 50 family inet address 10.0.5.1/24",
        "vlans vlan50 vlan-id 50",
        "vlans vlan50 l3-interface irb.50",
    ]


def test_a_junos_layer_2_unit_other_than_0_is_named_by_its_vlan():
    found = statements({"ge-0/0/2.30": "lan"}, Kind.SWITCH)
    assert [line for line in found if "filter" not in line and "description" not in line] == [
        "interfaces ge-0/0/2 flexible-vlan-tagging",
        "interfaces ge-0/0/2 encapsulation extended-vlan-bridge",
        "interfaces ge-0/0/2 unit 30 vlan-id 30",
        "vlans lan vlan-id 10",
        "vlans lan interface ge-0/0/2.30",
    ]


# ---- ASA -------------------------------------------------------------------------------------------


def test_an_asa_without_a_record_has_ports_and_names_that_are_told_apart():
    interfaces = {"inside": "10.0.1.1/24", "GigabitEthernet0/0": "10.0.2.1/24", "Port-channel1.40": "10.0.3.1/24"}
    context = device("cisco_asa", interfaces, Kind.FIREWALL)
    context = replace(context, domains={**context.domains, "inside": (IPv4Network("10.0.1.0/24"),)})
    text = asa_cases.PLATFORM.render(asa_cases.make_policy(context, {}), asa_cases.PLATFORM.empty(context)).text
    found = blocks(text)
    assert found["interface GigabitEthernet0/1"][0] == "nameif inside"  # 0/0 is somebody else's
    assert found["interface GigabitEthernet0/0"][0] == "nameif GigabitEthernet0-0"
    assert found["interface Port-channel1"] == ["no nameif", "no security-level", "no ip address"]
    assert found["interface Port-channel1.40"][:2] == ["vlan 40", "nameif Port-channel1-40"]


def test_an_asa_port_never_has_its_own_name_as_nameif():
    context = device("cisco_asa", {"Port-channel1": "10.0.3.1/24", "dmz2": "10.0.4.1/24"}, Kind.FIREWALL)
    assert dict(asa_cases.PLATFORM.empty(context).names) == {"Port-channel1": "Port-channel-1", "dmz2": "dmz-2"}
