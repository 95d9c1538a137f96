"""Devices and policies for the tests of the Cisco-like platforms."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from toolkit.net import ANY_SERVICE, ANYWHERE, TCP, Action, Direction, PortRange, Service
from toolkit.packets import Box
from toolkit.platforms import get
from toolkit.platforms.base import ConnState, DeviceContext
from toolkit.policy import Ace, Acl, DevicePolicy, Requiredness
from toolkit.site import Enforcement
from toolkit.topology import FilterData, Interface, Kind, Node, Ownership, Topology

NAMES = ("cisco_ios", "arista_eos", "cisco_nxos")
NEW = ConnState.NEW
PORTS = {"cisco_ios": "GigabitEthernet0/", "arista_eos": "Ethernet", "cisco_nxos": "Ethernet1/"}
DOMAINS = (("10.0.1.0/24",), ("10.0.2.0/24",), ("10.0.3.0/24", "0.0.0.0/5"))


def make_context(name, *, switched=False, kind=None, **filter_data):
    """A device with three interfaces; routed by default, their subnets 10.0.1-3.0/24."""
    kind = kind or (Kind.SWITCH if switched else Kind.ROUTER)
    interfaces = {}
    for number in (1, 2, 3):
        addresses = () if switched else (IPv4Interface(f"10.0.{number}.1/24"),)
        port = f"{PORTS[name]}{number}"
        interfaces[port] = Interface("dev1", port, addresses, "lan" if switched else None)
    node = Node("dev1", kind, interfaces, (), name, None, FilterData(**filter_data))
    domains = {} if switched else {p: tuple(map(IPv4Network, d)) for p, d in zip(interfaces, DOMAINS, strict=True)}
    return DeviceContext("dev1", tuple(interfaces), node.stateful, "uipath", node, domains)


def net(text):
    return IPv4Network(text)


def tcp(port, last=None):
    return Service(TCP, PortRange(port, last or port))


def permit(service, sources=(ANYWHERE,), destinations=(ANYWHERE,), **extra):
    return Ace(Action.PERMIT, service, tuple(map(net, sources)), tuple(map(net, destinations)), **extra)


def deny(service=ANY_SERVICE, sources=(ANYWHERE,), destinations=(ANYWHERE,), **extra):
    return Ace(Action.DENY, service, tuple(map(net, sources)), tuple(map(net, destinations)), log=True, **extra)


def make_policy(context, entries, enforcement=Enforcement.ENFORCE):
    """`entries` by interface; what is permitted there is required, what is denied is the scope."""
    ownership = context.node.filter.mode
    acls = tuple(
        Acl(f"uipath_{name}_in", "dev1", name, Direction.IN, tuple(entries.get(name, ())))
        for name in context.interfaces
    )
    required = {}
    for name in context.interfaces:
        aces = [ace for ace in entries.get(name, ()) if ace.action is Action.PERMIT and not ace.log]
        boxes = tuple((box, ace.requirements or ("some",)) for ace in aces for box in ace.boxes())
        required[name] = Requiredness(boxes, boxes if context.stateful else ())
    scope = dict.fromkeys(
        box for aces in entries.values() for ace in aces if ace.action is Action.DENY or ace.log for box in ace.boxes()
    )
    return DevicePolicy(
        device="dev1",
        platform=context.node.platform,
        ownership=ownership,
        stateful=context.stateful,
        enforcement=enforcement,
        prefix="uipath",
        acls=acls,
        required=required,
        scope=tuple(scope) or (Box(),),
        domains=context.domains,
    )


def port_of(context, number=1):
    return context.interfaces[number - 1]


def read(context, text, file="running.cfg"):
    """The state that a text leads to on an empty device."""
    platform = get(context.node.platform)
    return platform.parse_config(text, file, context, platform.empty(context))


def site_of(site, name):
    """The reference site with all its devices on one platform; what was a firewall is a router."""
    nodes = [
        replace(
            node,
            platform=name,
            kind=Kind.ROUTER if node.kind is Kind.FIREWALL else node.kind,
            filter=FilterData(mode=Ownership.OWN),
        )
        if node.is_device
        else node
        for node in site.topology.nodes.values()
    ]
    return replace(site, topology=Topology(nodes, site.topology.links, site.topology.groups))
