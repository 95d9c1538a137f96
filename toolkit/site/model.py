"""What `site.yaml` may say, and a site with everything that is declared about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from toolkit.errors import SiteError
from toolkit.files import Document, FileModel
from toolkit.kinds import LabImage
from toolkit.net import EPHEMERAL, PortRange
from toolkit.redundancy import RedundancyData
from toolkit.spec.model import Identifier, Ports, Requirement, Spec
from toolkit.topology import Address, Capacity, Prefix, Topology

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
    """Facts of the site that conditions ask for: those with a meaning of their own, and what its specs name besides."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, bool | int | str]

    offline: bool = False
    external_registry: bool = True
    direct_kube_api: bool = False
    kube_api_through_load_balancer: bool = False
    registry_through_load_balancer: bool = False
    phase: Literal["install", "upgrade", "steady"] = "steady"


class DeploySettings(FileModel):
    """How changes are rolled out. Waves are lists of devices and of Nornir's groups; the others come last, together.

    `by: path_side` asks for waves that follow from the paths instead: what opens, from the far end of a way to its near
    end, and what closes, the other way round. The canary comes first in any case.
    `capacity` maps a platform to the entries that its devices hold, where a device does not say so itself
    (`filter.capacity`).
    """

    max_devices: Annotated[int, Field(ge=1)] = 10
    canary: tuple[str, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()
    by: Literal["declared", "path_side"] = "declared"
    min_level: dict[str, Literal["os", "twin", "policy"]] = Field(default_factory=dict)
    capacity: dict[str, Capacity] = Field(default_factory=dict)


class LabSettings(FileModel):
    """How the site is rehearsed: seeded ports outside the scope are added to the matrix."""

    management: Prefix = IPv4Network("172.31.250.0/24")
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
    lab: LabSettings = LabSettings()


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
