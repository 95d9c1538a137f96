"""A site: its topology, its specs, who plays which role, and what its operator has settled.

`site.yaml` in an inventory folder holds the decisions of the site; the Nornir files beside it hold
the hosts and devices. `load_site` reads them all and checks what no single file can know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from toolkit.errors import Place, SiteError, SpecError
from toolkit.files import Document, FileModel, load
from toolkit.kinds import LabImage
from toolkit.net import EPHEMERAL, PortRange
from toolkit.redundancy import RedundancyData, RedundancyMode
from toolkit.spec.condition import names
from toolkit.spec.model import BASELINE_TOPICS, Identifier, Ports, Requirement, Spec, load_spec
from toolkit.spec.roles import EXCLUSIVE, IMPLIES, ROLES
from toolkit.topology import Address, Ownership, Port, Prefix, Topology, read_topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Address
    from pathlib import Path


class Enforcement(StrEnum):
    """What the end of an own ACL does with traffic in scope that nothing requires."""

    MONITOR = "monitor"
    ENFORCE = "enforce"


class Binding(FileModel):
    """Who plays a role: hosts of the inventory, or prefixes behind one of them (`at`)."""

    hosts: tuple[str, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    at: str | None = None


class LoadBalancer(FileModel):
    """How a load balancer handles connections; all addresses are its own."""

    mode: Literal["snat", "transparent", "dsr"] = "snat"
    virtual: Annotated[tuple[Address, ...], Field(min_length=1)]
    source: Annotated[tuple[Address, ...], Field(min_length=1)]
    health_check: Annotated[tuple[Address, ...], Field(min_length=1)]
    # Roles whose connections get the balancer's own address although its mode is transparent: those beside the
    # servers, whose answers would go past the balancer.
    snat_roles: tuple[Identifier, ...] = ()


class Settings(FileModel):
    """Facts of the site that conditions ask for."""

    offline: bool = False
    external_registry: bool = True
    direct_kube_api: bool = False
    kube_api_through_load_balancer: bool = False
    registry_through_load_balancer: bool = False
    phase: Literal["install", "upgrade", "steady"] = "steady"


class DeploySettings(FileModel):
    """How changes are rolled out. Waves are lists of devices; those in no wave come last, together."""

    max_devices: Annotated[int, Field(ge=1)] = 10
    canary: tuple[str, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()
    min_level: dict[str, Literal["os", "twin", "policy"]] = Field(default_factory=dict)


class LabSettings(FileModel):
    """How the site is rehearsed: seeded ports outside the scope are added to the matrix."""

    management: Prefix
    seed: int = 9
    extra_ports: tuple[str, ...] = ()  # "tcp/25", "udp/53": existing services that must keep their verdict
    random_ports: Annotated[int, Field(ge=0, le=50)] = 4
    images: dict[str, LabImage] = Field(default_factory=dict[str, LabImage])  # device -> its image in the lab
    sample: Annotated[int, Field(ge=100)] | None = None  # of a large matrix, so many cells, half of them required


def _link_end(text: str) -> str:
    node, colon, interface = text.partition(":")
    if not (node and colon and interface):
        raise ValueError(f"{text!r} is no end of a link; write node:interface")
    return text


LinkEnd = Annotated[str, AfterValidator(_link_end)]


class SiteFile(FileModel):
    """`site.yaml`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
    specs: Annotated[tuple[str, ...], Field(min_length=1)]
    acl_prefix: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")] = "tk"
    enforcement: Enforcement = Enforcement.MONITOR
    settings: Settings = Settings()
    ports: dict[Identifier, Ports] = Field(default_factory=dict)
    client_ports: Ports = str(EPHEMERAL)
    bindings: dict[Identifier, Binding]
    load_balancers: dict[str, LoadBalancer] = Field(default_factory=dict)
    redundancy: tuple[RedundancyData, ...] = ()
    links: tuple[tuple[LinkEnd, LinkEnd], ...]
    deploy: DeploySettings = DeploySettings()
    lab: LabSettings


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that is declared about a site, checked."""

    folder: Path
    file: SiteFile
    document: Document
    topology: Topology
    specs: Mapping[str, Spec]

    @property
    def name(self) -> str:
        """Name of the site."""
        return self.file.name

    @property
    def client_ports(self) -> PortRange:
        """Source ports that clients use, and so the ports that answers go to."""
        return PortRange.parse(self.file.client_ports)

    @property
    def settings(self) -> dict[str, bool | str | int]:
        """The values that conditions may ask for."""
        return dict(self.file.settings.model_dump())

    def requirements(self) -> Iterator[tuple[Spec, Requirement]]:
        """Every requirement of every spec, in the order of the files."""
        for spec in self.specs.values():
            for requirement in spec.requirements:
                yield spec, requirement

    def requirement(self, identifier: str) -> Requirement:
        """The requirement with this id, of whichever spec.

        Raises:
            SiteError: there is none.
        """
        for _, one in self.requirements():
            if one.id == identifier:
                return one
        raise SiteError(f"unknown requirement {identifier!r}")

    def citation(self, identifier: str) -> str:
        """Where a requirement stands: its id, then the lines of its document."""
        for spec, one in self.requirements():
            if one.id == identifier:
                lines = ",".join(str(line) for line in one.lines)
                return f"{one.id} ({spec.name}{' line ' + lines if lines else ''})"
        raise SiteError(f"unknown requirement {identifier!r}")

    def roles_of(self, host: str) -> tuple[str, ...]:
        """Roles that a host plays, in the order of the bindings."""
        return tuple(
            role for role, binding in self.file.bindings.items() if host in binding.hosts or host == binding.at
        )

    def role_addresses(self, role: str) -> tuple[IPv4Address, ...]:
        """Addresses of the hosts bound to a role."""
        binding = self.file.bindings.get(role, Binding())
        return tuple(a for host in binding.hosts for a in self.topology.nodes[host].addresses)


def load_site(folder: Path) -> Site:
    """Read an inventory folder.

    Raises:
        SiteError, SpecError: with file, line and the valid choices.
    """
    if not folder.is_dir():
        raise SiteError(f"no inventory folder {str(folder)!r}; give one with -i DIR")
    file, document = load(folder / "site.yaml", SiteFile, error=SiteError)
    links: list[tuple[Port, Port]] = [(_port(one), _port(other)) for one, other in file.links]
    topology = read_topology(folder, links, [one.group() for one in file.redundancy])
    specs = _read_specs(folder, file, document)
    site = Site(folder, file, document, topology, specs)
    _check_bindings(site)
    _check_requirements(site)
    _check_load_balancers(site)
    _check_devices(site)
    _check_redundancy(site)
    _check_images(site)
    _check_baseline(site)
    return site


def with_settings(site: Site, settings: Mapping[str, object]) -> Site:
    """The same site with other settings, as if they stood in its `site.yaml`.

    Raises:
        SiteError: a setting is unknown or has a value that it cannot have; lists the valid ones.
    """
    if not settings:
        return site
    unknown = sorted(set(settings) - set(Settings.model_fields))
    if unknown:
        raise SiteError(f"unknown setting {unknown[0]!r} (settings: {', '.join(sorted(Settings.model_fields))})")
    try:
        changed = Settings.model_validate({**site.settings, **settings})
    except ValidationError as caught:
        first = caught.errors()[0]
        raise SiteError(f"setting {first['loc'][0]}: {first['msg']} (found: {first['input']!r})") from None
    return replace(site, file=site.file.model_copy(update={"settings": changed}))


def with_spec(site: Site, spec: Spec) -> Site:
    """The same site with another edition of one of its specs.

    Raises:
        SiteError, SpecError: it has no spec of this name, or what the new edition asks for is not settled.
    """
    if spec.name not in site.specs:
        raise SiteError(f"the site has no spec {spec.name!r} (specs: {', '.join(site.specs)})")
    changed = replace(site, specs={**site.specs, spec.name: spec})
    for check in (_check_bindings, _check_requirements, _check_baseline):
        check(changed)
    return changed


def _port(text: str) -> Port:
    node, _, interface = text.partition(":")
    return node, interface


def _read_specs(folder: Path, file: SiteFile, document: Document) -> dict[str, Spec]:
    specs: dict[str, Spec] = {}
    owner: dict[str, str] = {}
    for index, name in enumerate(file.specs):
        spec, spec_document = load_spec(folder / name)
        if spec.name in specs:
            raise SiteError(f"two specs are named {spec.name!r}", place=document.place("specs", index))
        for number, one in enumerate(spec.requirements):
            if one.id in owner:
                raise SpecError(
                    f"requirement id {one.id!r} is used by the spec {owner[one.id]!r} too",
                    place=spec_document.place("requirements", number),
                )
            owner[one.id] = spec.name
        specs[spec.name] = spec
    return specs


def _check_bindings(site: Site) -> None:
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


def _check_requirements(site: Site) -> None:
    settings = site.settings
    for spec, one in site.requirements():
        for name in names(one.condition) if one.condition else ():
            if name not in settings:
                raise SiteError(
                    f"requirement {one.id} of {spec.name} has the condition {one.condition!r}, "
                    f"but {name!r} is no site setting (settings: {', '.join(sorted(settings))})"
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


def _check_images(site: Site) -> None:
    devices = [node.name for node in site.topology.devices]
    for name in site.file.lab.images:
        if name not in devices:
            raise SiteError(
                f"lab.images names {name!r}, which is no device of the site (devices: {', '.join(devices)})",
                place=site.document.place("lab", "images", name),
            )


def _check_load_balancers(site: Site) -> None:
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


def _check_devices(site: Site) -> None:
    devices = {node.name for node in site.topology.devices}
    deploy = site.file.deploy
    for key, names_ in (
        ("canary", deploy.canary),
        ("waves", tuple(d for wave in deploy.waves for d in wave)),
    ):
        for name in names_:
            if name not in devices:
                what = "a host, and hosts are never changed" if name in site.topology.nodes else "unknown"
                raise SiteError(
                    f"{key} names {name!r}, which is {what} (devices: {', '.join(sorted(devices))})",
                    place=site.document.place("deploy", key),
                )
    for node in site.topology.devices:
        if node.filter.mode is Ownership.JUMP and not (node.filter.table and node.filter.chain):
            raise SiteError(f"device {node.name}: mode jump needs the foreign table and chain to enter")
        if node.filter.mode is Ownership.OWN and node.filter.override:
            raise SiteError(f"device {node.name}: filter.override is for mode extend or jump; own comes before nobody")
        if node.filter.running and not (site.folder / node.filter.running).is_file():
            raise SiteError(f"device {node.name}: no such file {node.filter.running!r} (filter.running)")


def _check_redundancy(site: Site) -> None:
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


def _check_baseline(site: Site) -> None:
    """Denying by default needs every baseline topic answered, with flows or with the word none."""
    answered = {topic for spec in site.specs.values() for topic in (spec.baseline or {})}
    missing = [topic for topic in BASELINE_TOPICS if topic not in answered]
    if site.file.enforcement is Enforcement.ENFORCE and missing:
        raise SiteError(
            f"enforcement: enforce needs the site's baseline answered in full; missing: {', '.join(missing)} "
            "(answer each with requirement ids, or with none), or use enforcement: monitor",
            place=site.document.place("enforcement"),
        )
