"""A site: its topology, its specs, who plays which role, and what its operator has settled.

`site.yaml` in an inventory folder holds the decisions of the site; the Nornir files beside it hold
the hosts and devices. `load_site` reads them all and checks what no single file can know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from toolkit.errors import SiteError, SpecError
from toolkit.files import Document, load
from toolkit.site.checks import (
    check_baseline,
    check_bindings,
    check_devices,
    check_images,
    check_load_balancers,
    check_redundancy,
    check_requirements,
    check_settings,
    known_settings,
    node_firewall_message,
)
from toolkit.site.model import (
    Binding,
    DeploySettings,
    Enforcement,
    LabSettings,
    LinkEnd,
    LoadBalancer,
    Settings,
    Site,
    SiteFile,
)
from toolkit.spec.model import Spec, load_spec
from toolkit.topology import Port, read_topology

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "Binding",
    "DeploySettings",
    "Enforcement",
    "LabSettings",
    "LinkEnd",
    "LoadBalancer",
    "Settings",
    "Site",
    "SiteFile",
    "load_site",
    "node_firewall_message",
    "with_settings",
    "with_spec",
]


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
    check_bindings(site)
    check_settings(site)
    check_requirements(site)
    check_load_balancers(site)
    check_devices(site)
    check_redundancy(site)
    check_images(site)
    check_baseline(site)
    return site


def with_settings(site: Site, settings: Mapping[str, object]) -> Site:
    """The same site with other settings, as if they stood in its `site.yaml`.

    Raises:
        SiteError: a setting is unknown or has a value that it cannot have; lists the valid ones.
    """
    if not settings:
        return site
    known = known_settings(site)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise SiteError(f"unknown setting {unknown[0]!r} (settings: {', '.join(known)})")
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
    for check in (check_bindings, check_requirements, check_baseline):
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
