"""What no single file of a site can know: that roles, hosts, devices, specs and settings fit each other.

Each check raises a `SiteError` with the place of the first mistake, and the valid choices.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from toolkit.errors import Place, SiteError
from toolkit.net import PortRange
from toolkit.redundancy import RedundancyData, RedundancyMode
from toolkit.site.model import Binding, Enforcement, Settings, Site
from toolkit.spec.condition import names
from toolkit.spec.model import BASELINE_TOPICS
from toolkit.spec.roles import EXCLUSIVE, IMPLIES, ROLES
from toolkit.topology import FilterData, Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address


def check_bindings(site: Site) -> None:
    """Roles are known, and bound to hosts that may play them."""
    known = {*ROLES, *(role for spec in site.specs.values() for role in spec.roles)}
    for role, binding in site.file.bindings.items():
        place = site.document.place("bindings", role)
        if role not in known:
            raise SiteError(f"unknown role {role!r} (valid roles: {', '.join(sorted(known))})", place=place)
        if not binding.hosts and not binding.prefixes:
            raise SiteError(f"role {role!r} is bound to nothing; give hosts or prefixes", place=place)
        if binding.prefixes and binding.at is None:
            raise SiteError(f"role {role!r} has prefixes; name the host they are behind with `at`", place=place)
        for host in (*binding.hosts, *((binding.at,) if binding.at else ())):
            _check_host(site, role, host, place)
    for role, parent in IMPLIES.items():
        missing = set(site.file.bindings.get(role, Binding()).hosts) - set(
            site.file.bindings.get(parent, Binding()).hosts
        )
        if missing:
            place = site.document.place("bindings", role)
            raise SiteError(f"{', '.join(sorted(missing))}: a {role} is a {parent} too; bind it to both", place=place)
    for pair in EXCLUSIVE:
        one, other = sorted(pair)
        both = set(_hosts_of(site, one)) & set(_hosts_of(site, other))
        if both:
            place = site.document.place("bindings", one)
            raise SiteError(f"{', '.join(sorted(both))} cannot be both {one} and {other}", place=place)


def _hosts_of(site: Site, role: str) -> tuple[str, ...]:
    binding = site.file.bindings.get(role, Binding())
    return (*binding.hosts, *((binding.at,) if binding.at else ()))


def _check_host(site: Site, role: str, host: str, place: Place) -> None:
    if host not in site.topology.nodes:
        names_ = ", ".join(node.name for node in site.topology.hosts)
        raise SiteError(f"role {role!r} is bound to the unknown host {host!r} (hosts: {names_})", place=place)
    node = site.topology.nodes[host]
    if node.is_device:
        raise SiteError(node_firewall_message(site, host, role), place=place)
    if not node.addresses:
        raise SiteError(f"{host} plays the role {role!r} but has no address", place=place)


def node_firewall_message(site: Site, host: str, role: str) -> str:
    """Why a cluster node is never an enforcement point, with the vendor's line where a spec has it."""
    cited = [
        f" ({spec.name} line {finding.line})"
        for spec in site.specs.values()
        for finding in spec.findings
        if finding.code == "node_firewall"
    ]
    return (
        f"{host} is a device of the topology and plays the role {role!r}: a host cannot be an enforcement point too. "
        f"The vendor neither recommends nor supports changes to IP tables on nodes{''.join(cited[:1])}; "
        "filter on the switches and firewalls in front of it"
    )


def known_settings(site: Site) -> list[str]:
    """Names that `settings` may have: those with a meaning of their own, and those that conditions ask for."""
    asked = {name for _, one in site.requirements() if one.condition for name in names(one.condition)}
    return sorted({*Settings.model_fields, *asked})


def check_settings(site: Site) -> None:
    """A setting that nothing asks for is a mistake, perhaps in its spelling."""
    known = known_settings(site)
    for name in site.settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise SiteError(
                f"unknown key {name!r}{hint} (valid keys: {', '.join(known)})",
                place=site.document.place("settings", name),
            )


def check_requirements(site: Site) -> None:
    """Conditions ask for settings that exist, and no port is one that a vendor forbids."""
    settings = site.settings
    for spec, one in site.requirements():
        for name in names(one.condition) if one.condition else ():
            if name not in settings:
                raise SiteError(
                    f"requirement {one.id} of {spec.name} has the condition {one.condition!r}, "
                    f"but {name!r} is no site setting (settings: {', '.join(sorted(settings))}); "
                    f"if the name is right, answer it under settings, as {name}: true or {name}: false",
                    place=site.document.place("settings"),
                )
        forbidden = spec.forbidden_ports.get(one.port_setting or "", ())
        if one.port_setting and forbidden:
            port = site.file.ports.get(one.port_setting) or one.ports
            for number in forbidden:
                if port is not None and number in PortRange.parse(port):
                    raise SiteError(
                        f"port {port} for {one.port_setting} is reserved: {spec.name} forbids {number} ({one.id})",
                        place=site.document.place("ports", one.port_setting),
                    )


def check_images(site: Site) -> None:
    """Images of the lab are for devices of the site."""
    devices = [node.name for node in site.topology.devices]
    for name in site.file.lab.images:
        if name not in devices:
            raise SiteError(
                f"lab.images names {name!r}, which is no device of the site (devices: {', '.join(devices)})",
                place=site.document.place("lab", "images", name),
            )


def check_load_balancers(site: Site) -> None:
    """Each balancer is bound, and has addresses and a mode that fit."""
    bound = site.file.bindings.get("load_balancer", Binding()).hosts
    for host in bound:
        if host not in site.file.load_balancers:
            raise SiteError(
                f"{host} is a load balancer; name its virtual, source and health-check addresses in load_balancers",
                place=site.document.place("bindings", "load_balancer"),
            )
    for host, one in site.file.load_balancers.items():
        place = site.document.place("load_balancers", host)
        if host not in bound:
            raise SiteError(f"{host} is not bound to the role load_balancer", place=place)
        strange = [role for role in one.snat_roles if role not in site.file.bindings]
        if strange or (one.snat_roles and one.mode != "transparent"):
            raise SiteError(
                f"snat_roles of {host} is for mode transparent, and names bound roles "
                f"(mode: {one.mode}; roles: {', '.join(site.file.bindings)})",
                place=site.document.place("load_balancers", host, "snat_roles"),
            )
        own = site.topology.nodes[host].addresses
        for address in (*one.virtual, *one.source, *one.health_check):
            if address not in own:
                raise SiteError(
                    f"{address} is no address of {host} (its addresses: {', '.join(map(str, own))})",
                    place=place,
                )


def check_devices(site: Site) -> None:
    """Waves name devices, capacities name platforms, and foreign filters are said where they are."""
    devices = {node.name for node in site.topology.enforcers}
    deploy = site.file.deploy
    for key, names_ in (
        ("canary", deploy.canary),
        ("waves", tuple(d for wave in deploy.waves for d in wave)),
    ):
        for name in names_:
            if not site.topology.called(name):
                node = site.topology.nodes.get(name)
                what = "a host, and hosts are never changed" if node else "unknown"
                what = "never changed (filter.mode: none)" if node and node.is_device else what
                groups = dict.fromkeys(group for one in site.topology.enforcers for group in one.groups)
                raise SiteError(
                    f"{key} names {name!r}, which is {what} (devices: {', '.join(sorted(devices))}; groups of them: "
                    f"{', '.join(sorted(groups)) or 'none'})",
                    place=site.document.place("deploy", key),
                )
    if deploy.by == "path_side" and deploy.waves:
        raise SiteError(
            "waves by path_side follow from the paths and cannot be declared; remove deploy.waves, or say by: declared",
            place=site.document.place("deploy", "waves"),
        )
    _check_capacities(site)
    for node in site.topology.devices:
        if node.filter.mode is Ownership.JUMP and not (node.filter.table and node.filter.chain):
            raise SiteError(f"device {node.name}: mode jump needs the foreign table and chain to enter")
        if not node.enforces and node.filter != FilterData(mode=Ownership.NONE):
            raise SiteError(f"device {node.name}: filter.mode none means that nothing is filtered; leave the rest out")
        if node.filter.mode is Ownership.OWN and node.filter.override:
            raise SiteError(f"device {node.name}: filter.override is for mode extend or jump; own comes before nobody")
        if node.filter.running and not (site.folder / node.filter.running).is_file():
            raise SiteError(f"device {node.name}: no such file {node.filter.running!r} (filter.running)")


def _check_capacities(site: Site) -> None:
    platforms = {node.platform for node in site.topology.devices if node.platform}
    for name in site.file.deploy.capacity:
        if name not in platforms:
            raise SiteError(
                f"capacity names {name!r}, which no device has as its platform (they have: "
                f"{', '.join(sorted(platforms))})",
                place=site.document.place("deploy", "capacity", name),
            )


def check_redundancy(site: Site) -> None:
    """Each member can take each virtual address over; an address has one group, and a group one meaning."""
    groups = site.file.redundancy
    owner: dict[IPv4Address, str] = {}
    for number, one in enumerate(groups):
        for key, message in _redundancy_mistakes(site, one):
            place = site.document.place("redundancy", number, key)
            raise SiteError(f"redundancy {one.name}: {message}", place=place)
        place = site.document.place("redundancy", number, "name")
        if one.name in (other.name for other in groups[:number]):
            raise SiteError(f"two redundancy groups are named {one.name!r}", place=place)
        for address in one.virtual:
            if address in owner:
                place = site.document.place("redundancy", number, "virtual")
                raise SiteError(
                    f"redundancy {one.name}: {address} belongs to the group {owner[address]} already", place=place
                )
        owner |= dict.fromkeys(one.virtual, one.name)


def _redundancy_mistakes(site: Site, one: RedundancyData) -> Iterator[tuple[str, str]]:
    """(key, message) of what is wrong with one group by itself."""
    nodes = site.topology.nodes
    if len(set(one.members)) != len(one.members):
        yield "members", "a member is named twice"
    for member in one.members:
        if member not in nodes or not nodes[member].is_device or not nodes[member].addresses:
            routed = ", ".join(node.name for node in site.topology.devices if node.addresses)
            yield "members", f"{member!r} is no device with addresses (those: {routed})"
    if one.mode is RedundancyMode.ACTIVE_STANDBY and one.symmetric_hashing:
        yield "symmetric_hashing", "symmetric_hashing shares out load; with active_standby there is none to share"
    for address in one.virtual:
        if address in site.topology.owners:
            taken = site.topology.owners[address].node
            yield "virtual", f"{address} is an address of {taken} itself; a virtual address is nobody's own"
        for member in one.members:
            if nodes[member].connected(address) is None:
                yield "virtual", f"{member} has no interface in the subnet of {address}, so it cannot take it over"


def check_baseline(site: Site) -> None:
    """Denying by default needs every baseline topic answered, with flows or with the word none."""
    answered = {topic for spec in site.specs.values() for topic in (spec.baseline or {})}
    missing = [topic for topic in BASELINE_TOPICS if topic not in answered]
    if site.file.enforcement is Enforcement.ENFORCE and missing:
        raise SiteError(
            f"enforcement: enforce needs the site's baseline answered in full; missing: {', '.join(missing)} "
            "(answer each with requirement ids, or with none), or use enforcement: monitor",
            place=site.document.place("enforcement"),
        )
