"""An ASA with policies and configurations for it, shared by the tests of cisco_asa."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from toolkit.net import ANYWHERE, ICMP, TCP, UDP, Action, Direction, IcmpKind, Packet, PortRange, Service
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.platforms.base import ConnState, DeviceContext
from toolkit.policy import Ace, Acl, DevicePolicy, Requiredness
from toolkit.render.proof import prove
from toolkit.site import Enforcement
from toolkit.topology import FilterData, Interface, Kind, Node, Route

GOLDENS = Path(__file__).parent / "golden" / "cisco_asa"
PLATFORM = get("cisco_asa")
NEW, KNOWN, RELATED = ConnState
NODES = ("10.0.1.11/32", "10.0.1.12/32", "10.0.1.13/32", "10.0.1.14/32")
ADDRESSES = {"inside": "10.0.1.1/24", "dmz": "10.0.2.1/24", "outside": "192.0.2.1/24"}


def net(text):
    return IPv4Network(text)


# What outside leads to: all but the other two.
REST = tuple(
    piece
    for first in net("0.0.0.0/0").address_exclude(net("10.0.1.0/24"))
    for piece in (first.address_exclude(net("10.0.2.0/24")) if net("10.0.2.0/24").subnet_of(first) else [first])
)
DOMAINS = {"inside": (net("10.0.1.0/24"),), "dmz": (net("10.0.2.0/24"),), "outside": REST}
HEAD = """: Serial Number: JAD1
:
ASA Version 9.16(3)
!
hostname dev1
interface GigabitEthernet0/0
 nameif inside
 security-level 100
 ip address 10.0.1.1 255.255.255.0
!
interface GigabitEthernet0/1
 nameif dmz
 security-level 50
 ip address 10.0.2.1 255.255.255.0
!
interface GigabitEthernet0/2
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
!
interface Management0/0
 management-only
 nameif management
 security-level 100
!
"""
INSPECT = """class-map inspection_default
 match default-inspection-traffic
policy-map type inspect dns preset_dns_map
 parameters
  message-length maximum 512
policy-map global_policy
 class inspection_default
  inspect dns preset_dns_map
  inspect icmp
service-policy global_policy global
"""


def make_context(kind=Kind.FIREWALL, names=("inside", "dmz", "outside"), bridge=None, **filter_data):
    plain = tuple(ADDRESSES)
    interfaces = {
        name: Interface("dev1", name, (IPv4Interface(ADDRESSES[key]),) if bridge is None else (), bridge)
        for name, key in zip(names, plain, strict=True)
    }
    routes = (Route(net("0.0.0.0/0"), IPv4Address("192.0.2.254")),)
    node = Node("dev1", kind, interfaces, routes, "cisco_asa", None, FilterData(**filter_data))
    domains = {name: DOMAINS[key] for name, key in zip(names, plain, strict=True)}
    return DeviceContext("dev1", tuple(interfaces), node.stateful, "uipath", node, domains)


def tcp(port, last=None):
    return Service(TCP, PortRange(port, last or port))


def permit(service, sources=(ANYWHERE,), destinations=(ANYWHERE,), **extra):
    return Ace(Action.PERMIT, service, tuple(map(net, sources)), tuple(map(net, destinations)), **extra)


SCOPE = (
    Ace(Action.DENY, destinations=tuple(map(net, NODES)), comment="default deny", log=True),
    Ace(Action.DENY, sources=tuple(map(net, NODES)), comment="default deny", log=True),
)
ENTRIES = {
    "inside": (
        permit(tcp(587), NODES, ("10.0.2.25/32",), requirements=("r1",), comment="tcp-587 (suite line 20)"),
        permit(Service(UDP, PortRange(53, 53)), NODES, ("10.0.2.53/32",), requirements=("r2",), comment="dns"),
        permit(Service(ICMP, icmp=IcmpKind(8)), NODES, ("10.0.2.0/24",), requirements=("r5",), comment="ping"),
        *SCOPE,
    ),
    "dmz": (
        permit(tcp(22), ("10.0.2.7/32",), NODES, requirements=("r3",), comment="tcp-22 (suite line 10)"),
        permit(tcp(2379, 2380), ("10.0.2.8/32",), NODES, requirements=("r4",), comment="tcp-2379 (suite line 12)"),
        *SCOPE,
    ),
    "outside": SCOPE,
}


def make_policy(context, entries, enforcement=Enforcement.ENFORCE):
    keys = dict(zip(context.interfaces, ADDRESSES, strict=True))
    acls = tuple(
        Acl(f"uipath_{name}_in", "dev1", name, Direction.IN, tuple(entries.get(keys[name], ())))
        for name in context.interfaces
    )
    asked = {
        acl.interface: tuple(
            (box, ace.requirements)
            for ace in acl.entries
            if ace.action is Action.PERMIT and not ace.log
            for box in ace.boxes()
        )
        for acl in acls
    }
    return DevicePolicy(
        device="dev1",
        platform="cisco_asa",
        ownership=context.node.filter.mode,
        stateful=context.stateful,
        enforcement=enforcement,
        prefix="uipath",
        acls=acls,
        required={name: Requiredness(boxes, boxes) for name, boxes in asked.items()},
        scope=tuple(box for ace in SCOPE for box in ace.boxes()),
        domains=context.domains,
    )


def running(text, context=None, head=HEAD):
    return PLATFORM.parse_running({PLATFORM.show_commands[0]: head + text}, context or make_context())


def rendered(context, entries=ENTRIES, foreign=INSPECT, before=None, **extra):
    before = before or running(foreign, context)
    candidate = PLATFORM.render(make_policy(context, entries, **extra), before)
    after = PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)
    return candidate, before, after


def proof(context, after, before, entries=ENTRIES, **extra):
    return prove(make_policy(context, entries, **extra), after, before, Space())


def typed(text, state):
    """What a device makes of typed lines: those between entering and leaving configuration mode."""
    inner = [line for line in text.splitlines() if line not in ("configure terminal", "end")]
    return PLATFORM.parse_config("\n".join(inner), "typed", state.context, state)


def packet(protocol=TCP, dport=22, src="10.0.2.7", dst="10.0.1.11", sport=40000, **extra):
    return Packet(IPv4Address(src), IPv4Address(dst), protocol, sport, dport, **extra)


def passes(state, one, interface="dmz", conn=NEW):
    inside = one in state.permitted(Space(), interface, conn)
    assert inside == (state.decide(interface, one, conn).action is Action.PERMIT)
    return inside
