"""A Junos device with policies and configurations for it, shared by the tests of juniper_junos."""

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
from toolkit.topology import FilterData, Interface, Kind, Node

GOLDENS = Path(__file__).parent / "golden" / "juniper_junos"
PLATFORM = get("juniper_junos")
NEW = ConnState.NEW
VERSION = "set version 21.4R3.15\nset system host-name dev1\n"
NODES = ("10.0.1.11/32", "10.0.1.12/32", "10.0.1.13/32")
DOMAINS = {
    "ge-0/0/0": (IPv4Network("10.0.1.0/24"),),
    "ge-0/0/1": (IPv4Network("10.0.2.0/24"), IPv4Network("10.0.4.0/22")),
    "ge-0/0/2.30": (IPv4Network("10.0.3.0/24"),),
}


def make_context(kind=Kind.ROUTER, prefix="uipath", **filter_data):
    """Routed ports and a unit of one, or as a switch the same three ports in one bridge."""
    bridge = "lan" if kind is Kind.SWITCH else None
    if bridge:
        interfaces = {name: Interface("dev1", name, (), bridge) for name in (one.partition(".")[0] for one in DOMAINS)}
    else:
        interfaces = {
            name: Interface("dev1", name, (IPv4Interface((subnet[1], 24)),)) for name, (subnet, *_) in DOMAINS.items()
        }
    node = Node("dev1", kind, interfaces, (), "juniper_junos", None, FilterData(**filter_data))
    return DeviceContext("dev1", tuple(interfaces), node.stateful, prefix, node, {} if bridge else DOMAINS)


def net(text):
    return IPv4Network(text)


def tcp(port, last=None):
    return Service(TCP, PortRange(port, last or port))


def permit(service, sources=(ANYWHERE,), destinations=(ANYWHERE,), **extra):
    return Ace(Action.PERMIT, service, tuple(map(net, sources)), tuple(map(net, destinations)), **extra)


SCOPE = (
    Ace(Action.DENY, destinations=tuple(map(net, NODES)), comment="default deny", log=True),
    Ace(Action.DENY, sources=tuple(map(net, NODES)), comment="default deny", log=True),
)
ENTRIES = {
    "ge-0/0/0": (
        permit(tcp(2379, 2380), NODES, NODES, requirements=("r1",), comment="tcp-2379 (suite line 12)"),
        permit(
            Service(TCP, PortRange(1024, 65535)), NODES, ("10.0.2.0/24",), sport=PortRange(22, 22), established=True,
            requirements=("r2",), comment="tcp-22 (suite line 10), answers",
        ),
        permit(Service(UDP, PortRange(8472, 8472)), NODES, NODES, requirements=("r3",), comment="udp-8472"),
        *SCOPE,
    ),
    "ge-0/0/1": (
        permit(tcp(22), ("10.0.2.7/32",), NODES, requirements=("r2",), comment="tcp-22 (suite line 10)"),
        permit(Service(ICMP, icmp=IcmpKind(3, 4)), destinations=NODES, requirements=("r4",), comment="too big"),
        permit(Service(ICMP, icmp=IcmpKind(11)), destinations=NODES, requirements=("r4",), comment="time exceeded"),
        *SCOPE,
    ),
    "ge-0/0/2.30": (permit(Service(112), ("10.0.3.1/32",), ("224.0.0.18/32",), comment="VRRP"), *SCOPE),
}  # fmt: skip


def make_policy(context, entries, enforcement=Enforcement.ENFORCE):
    acls = tuple(
        Acl(f"uipath_{name}_in", "dev1", name, Direction.IN, tuple(entries.get(name) or entries.get(f"{name}.30", ())))
        for name in context.interfaces
    )
    asked = {
        acl.interface: tuple(
            (box, ace.requirements) for ace in acl.entries if ace.action is Action.PERMIT and not ace.log
            for box in ace.boxes()
        )
        for acl in acls
    }  # fmt: skip
    return DevicePolicy(
        device="dev1",
        platform="juniper_junos",
        ownership=context.node.filter.mode,
        stateful=context.stateful,
        enforcement=enforcement,
        prefix="uipath",
        acls=acls,
        required={name: Requiredness(boxes, ()) for name, boxes in asked.items()},
        scope=tuple(box for ace in SCOPE for box in ace.boxes()),
        domains=context.domains,
    )


def running(text, context):
    return PLATFORM.parse_running({PLATFORM.show_commands[0]: VERSION + text}, context)


def rendered(context, entries=ENTRIES, foreign="", **extra):
    before = running(foreign, context)
    candidate = PLATFORM.render(make_policy(context, entries, **extra), before)
    after = PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)
    return candidate, before, after


def proof(context, after, before, entries=ENTRIES, **extra):
    return prove(make_policy(context, entries, **extra), after, before, Space())


FOREIGN = (
    "set firewall family inet filter CORP term a from protocol tcp\n"
    "set firewall family inet filter CORP term a from destination-port ssh\n"
    "set firewall family inet filter CORP term a then discard\n"
    "set firewall family inet filter CORP term z then accept\n"
)
BOUND = FOREIGN + "set interfaces ge-0/0/0 unit 0 family inet filter input CORP\n"
BIND = "set interfaces ge-0/0/0 unit 0 family inet filter input F\n"
T = "set firewall family inet filter F term a "


def typed(text, state):
    """What a device makes of typed lines: the statements between the frame."""
    inner = [line for line in text.splitlines() if line.split()[0] in ("set", "delete", "activate", "insert")]
    return PLATFORM.parse_config("\n".join(inner), "typed", state.context, state)


def packet(protocol=TCP, dport=22, src="10.0.2.7", dst="10.0.1.11", sport=40000, **extra):
    return Packet(IPv4Address(src), IPv4Address(dst), protocol, sport, dport, **extra)


def passes(state, one, interface="ge-0/0/0"):
    inside = one in state.permitted(Space(), interface, NEW)
    assert inside == (state.decide(interface, one, NEW).action is Action.PERMIT)
    return inside


def filtered(*statements, more="", kind=Kind.ROUTER, direction="input", interface="ge-0/0/0"):
    family = "ethernet-switching" if kind is Kind.SWITCH else "inet"
    name, _, unit = (interface if "." in interface else f"{interface}.0").partition(".")
    text = more + "".join(f"set firewall family {family} filter F term {one}\n" for one in statements)
    text += f"set interfaces {name} unit {unit} family {family} filter {direction} F\n"
    return running(text, make_context(kind))
