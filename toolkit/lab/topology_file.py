"""The lab's topology file: one `.clab.yml`, generated from the inventory, that both backends deploy.

Everything a lab needs stands in the file: links as containerlab knows them, and addresses, routes, bridges,
roles and services in labels. `plan.read` gives it back as values; nothing else is asked of the site.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toolkit.errors import LabError
from toolkit.flows import DSR, LOAD_BALANCER, SNAT, build, endpoints
from toolkit.kinds import LINUX
from toolkit.lab.management import management_addresses
from toolkit.net import TCP
from toolkit.platforms import get
from toolkit.spec.condition import holds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Address
    from pathlib import Path

    from toolkit.site import LoadBalancer, Site
    from toolkit.topology import Interface, Node, Port, Route

MTU = 1500
HOST_IMAGE = "toolkit-host:latest"
DEVICE_IMAGE = "toolkit-device:latest"
SERVICE_OF_ROLE = {
    "server": "etcd",
    "load_balancer": "haproxy",
    "smtp_server": "smtp",
    "temporary_registry": "registry",
    "node": "ssh",
}
# What all Linux nodes have, told to the engine here because a container cannot write its own /proc/sys. Settings that
# only newer kernels keep per network are no part of it: an engine refuses to start a node with one it lacks.
SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
FORWARD = "net.ipv4.ip_forward"
LISTENS = "ss -Hltn 'sport = :{port}' | grep -q ."
HEALTH = {"interval": 10, "timeout": 5, "retries": 3, "start-period": 30}
ETCD_PEER = 2380
FIXED_PORTS = {"server": (2379, 2380), "node": (22,)}


def clab_topology(site: Site) -> dict[str, Any]:
    """The topology file of a site, as a document.

    Raises:
        LabError: the management network of the lab has no room for the devices.
    """
    management = management_addresses(site)
    balanced = {str(port): list(pool) for port, pool in _balanced(site).items()}
    topology: dict[str, Any] = {
        "defaults": {
            "kind": "linux",
            "privileged": False,
            "cap-add": ["NET_ADMIN"],
            "restart-policy": "no",
            "image-pull-policy": "Never",
            "dns": {"servers": ["127.0.0.1"], "options": ["timeout:1", "attempts:1"]},
        },
        "kinds": {LINUX: {"sysctls": dict(SYSCTLS)}},
        "nodes": {
            node.name: _node(site, node, _health(site, node, balanced), management.get(node.name))
            for node in site.topology.nodes.values()
        },
        "links": [{"endpoints": [cable_end(site, a), cable_end(site, b)], "mtu": MTU} for a, b in site.topology.links],
    }
    topology["defaults"]["labels"] = {
        "toolkit.balanced": json.dumps(balanced, sort_keys=True),
        "toolkit.virtual": json.dumps(
            [[name, str(one.virtual[0]), str(one.source[0])] for name, one in sorted(site.file.load_balancers.items())]
        ),
    }
    modes = {name: _mode(site, one) for name, one in sorted(site.file.load_balancers.items()) if one.mode != SNAT}
    if modes:
        topology["defaults"]["labels"]["toolkit.modes"] = json.dumps(modes)
    return {
        "name": f"toolkit-{site.name}",
        "prefix": "__lab-name",
        "mgmt": {
            "network": f"toolkit-{site.name}",
            "ipv4-subnet": str(site.file.lab.management),
            "external-access": False,
            "driver-opts": {"com.docker.network.bridge.enable_icc": "false"},
        },
        "topology": topology,
    }


def _mode(site: Site, balancer: LoadBalancer) -> list[str]:
    """Its mode, then the clients that get its own address all the same."""
    ends = [end for role in balancer.snat_roles for end in endpoints(site, role, as_source=True)]
    return [balancer.mode, *dict.fromkeys(str(prefix) for end in ends for prefix in end.prefixes)]


def _served(site: Site, node: Node) -> list[str]:
    """Roles of a node for which a real service runs. Without a requirement of its peer port nobody runs etcd."""
    clustered = any(
        one.protocol == "tcp"
        and {"server", "node"} & set(one.effective_destinations)
        and ETCD_PEER in one.service(dict(site.file.ports)).ports
        for _, one in site.requirements()
        if holds(one.condition, site.settings)
    )
    return [role for role in site.roles_of(node.name) if role in SERVICE_OF_ROLE and (role != "server" or clustered)]


def _health(site: Site, node: Node, balanced: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The health check of a node: all that it serves is listened on. A device lets people in after it has booted."""
    ports = [22] if node.is_device else [port for role in _served(site, node) for port in _ports(site, role)]
    balancer = site.file.load_balancers.get(node.name)
    if balancer is not None:
        ports = [] if balancer.mode == DSR else [int(port) for port in balanced]
    if not ports:
        return {}
    test = " && ".join(LISTENS.format(port=port) for port in dict.fromkeys(ports))
    return {"healthcheck": {"test": ["CMD-SHELL", test], **HEALTH}}


def _node(site: Site, node: Node, health: dict[str, Any], management: str | None) -> dict[str, Any]:
    roles = site.roles_of(node.name)
    served = _served(site, node)
    cable = cables(site, node)
    labels = {
        "toolkit.kind": node.kind.value,
        "toolkit.roles": ",".join(roles),
        "toolkit.services": ",".join(dict.fromkeys(SERVICE_OF_ROLE[role] for role in served)),
        "toolkit.ports": ",".join(
            f"{SERVICE_OF_ROLE[role]}={'+'.join(map(str, _ports(site, role)))}"
            for role in served
            if role != LOAD_BALANCER
        ),
        "toolkit.addresses": ",".join(f"{cable[name]}={address}" for name, address in _addresses(site, node)),
        "toolkit.routes": ",".join(f"{route.prefix}={_next_hop(route)}" for route in node.routes),
        "toolkit.bridges": ",".join(
            f"{cable[name]}={one.bridge}" for name, one in _own_ends(site, node) if one.bridge is not None
        ),
    }
    if typed(node):
        ends = dict(_own_ends(site, node))  # the VLANs of a trunk are cables of their own under its one name
        labels["toolkit.names"] = ",".join(f"{ends[name].name}={one}" for name, one in cable.items())
        if site.file.lab.images.get(node.name) is None:
            labels["toolkit.system"] = node.platform or ""
    if node.filter.running:
        labels["toolkit.running"] = node.filter.running
    labels = {key: value for key, value in labels.items() if value}
    forward = {FORWARD: "1" if node.is_device and node.addresses else "0"}  # a switch routes between routed ports
    if not node.is_device:
        return {"image": HOST_IMAGE, "network-mode": "none", "sysctls": forward, **health, "labels": labels}
    body: dict[str, Any] = {"image": DEVICE_IMAGE, "mgmt-ipv4": management}
    other = site.file.lab.images.get(node.name)
    if other is not None:
        body["image"] = other.image
        if other.kind != LINUX:
            # The vendor's kind knows how its image starts and when it is ready; it needs more rights than Linux does.
            return {"kind": other.kind, **body, "privileged": True, "labels": labels}
    return {**body, "sysctls": forward, **health, "labels": labels}


def typed(node: Node) -> bool:
    """Whether a device has a command line of a vendor's own: a twin, or the vendor's image, stands for it."""
    return node.is_device and node.platform is not None and get(node.platform).transport == "cli"


def _own_ends(site: Site, node: Node) -> list[tuple[str, Interface]]:
    return [(port[1], one) for port, one in site.topology.ends_of(node.name)]


def cables(site: Site, node: Node) -> dict[str, str]:
    """What the interfaces of a node are called in the lab.

    Linux keeps their names. A vendor's names are too long for it, or hold a slash, so their cables are numbered as
    vendors' images number them too; `names` of the node lists both. The routed interface of a bridge is the bridge, and
    each VLAN of a trunk has a cable of its own.
    """
    ends = _own_ends(site, node)
    cabled = [name for name, one in ends if one.routes_for is None]
    svis = {name: one.routes_for for name, one in ends if one.routes_for is not None}
    names = {name: f"eth{number}" for number, name in enumerate(cabled, 1)} if typed(node) else dict.fromkeys(cabled)
    return {**{name: cable or name for name, cable in names.items()}, **svis}


def cable_end(site: Site, port: Port) -> str:
    """The end of a link as the topology file has it."""
    return f"{port[0]}:{cables(site, site.topology.nodes[port[0]])[port[1]]}"


def _addresses(site: Site, node: Node) -> Iterator[tuple[str, str]]:
    """(interface, address/length) of a node; the first member of a group starts with its virtual addresses."""
    for interface in node.interfaces.values():
        for address in interface.addresses:
            yield interface.name, str(address)
    for group in site.topology.groups:
        for virtual in group.virtual if node.name == group.members[0] else ():
            yield virtual_address(node, virtual)


def virtual_address(node: Node, virtual: IPv4Address) -> tuple[str, str]:
    """(interface, address/length) of a virtual address on a member of its group."""
    found = (
        (interface.name, f"{virtual}/{address.network.prefixlen}")
        for interface in node.interfaces.values()
        for address in interface.addresses
        if virtual in address.network
    )
    return next(found)


def _next_hop(route: Route) -> str:
    """What stands behind `via` in a route of `ip`."""
    return f"{route.via} metric {route.metric}" if route.metric else str(route.via)


def _ports(site: Site, role: str) -> tuple[int, ...]:
    """Ports of the real service that stands for a role: fixed by the program, or as the requirements list them."""
    if role in FIXED_PORTS:
        return FIXED_PORTS[role]
    found: dict[int, None] = {}
    for _, one in site.requirements():
        if role in one.effective_destinations and one.protocol == "tcp":
            found.setdefault(one.service(dict(site.file.ports)).ports.first)
    return tuple(found)


def _balanced(site: Site) -> dict[int, tuple[str, ...]]:
    """Ports that the flows send through the load balancer, with the pool behind each."""
    found: dict[int, dict[str, None]] = {}
    flows = build(site).role_flows
    fronts = {
        flow.service.ports.first for flow in flows if flow.destination == LOAD_BALANCER and flow.service.protocol == TCP
    }
    for flow in flows:
        port = flow.service.ports.first
        if flow.source == LOAD_BALANCER and port in fronts and flow.service.protocol == TCP:
            found.setdefault(port, {}).update(dict.fromkeys(site.file.bindings[flow.destination].hosts))
    return {port: tuple(pool) for port, pool in sorted(found.items())}


def write(site: Site, path: Path) -> None:
    """Write the topology file of a site.

    Raises:
        LabError: a name in the site holds what containerlab would expand.
    """
    dump(clab_topology(site), path)


def dump(document: dict[str, Any], path: Path) -> None:
    """Write a topology document.

    Raises:
        LabError: a name in it holds what containerlab would expand.
    """
    import yaml

    head = "# Generated from the inventory by `toolkit lab build`; edit the site, not this file.\n"
    text = yaml.safe_dump(document, sort_keys=False, width=120)
    for line in text.splitlines():
        if "$" in line or "{{" in line:
            raise LabError(f"containerlab would expand `$` and `{{{{` in the topology file; rename: {line.strip()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + text, encoding="utf-8")
