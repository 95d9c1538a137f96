"""The proof on files, and on states read from devices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import InputError, Place
from toolkit.platforms import get
from toolkit.platforms.base import DeviceContext
from toolkit.render import context, platform_of, recorded_state
from toolkit.render.proof import DeviceProof, prove
from toolkit.topology import Kind, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from toolkit.packets import PacketSet, Space
    from toolkit.paths import PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.policy import DevicePolicy
    from toolkit.site import Site


ALONE: Final = "toolkit"  # begins the names of what is ours


def read_configs(
    site: Site, finder: PathFinder, policies: Mapping[str, DevicePolicy], folder: Path
) -> dict[str, FilterState]:
    """States that the files `<device>.cfg` of a folder lead to, loaded on the recorded filters.

    Raises:
        InputError: the folder is missing, or the file of a device is.
        ConfigError: a line is not fully understood.
    """
    return {
        device: read_config(site, path, context(site, finder, device), finder)
        for device, path in config_files(policies, folder).items()
    }


def config_files(devices: Iterable[str], folder: Path) -> dict[str, Path]:
    """The files `<device>.cfg` of a folder.

    Raises:
        InputError: the folder is missing, or the file of a device is.
    """
    if not folder.is_dir():
        raise InputError("no such folder; make one with: toolkit render -o DIR", place=Place(str(folder)))
    found = {device: folder / f"{device}.cfg" for device in devices}
    for device, path in found.items():
        if not path.is_file():
            raise InputError(f"the configuration of {device} is missing", place=Place(str(path)))
    return found


def read_config(
    site: Site,
    path: Path,
    where: DeviceContext,
    finder: PathFinder,
    platform: str | None = None,
    renamed: Mapping[str, str] | None = None,
) -> FilterState:
    """The state that a configuration file leads to, loaded on the recorded filter of the device.

    With a `platform` of its own, or with interfaces that are `renamed` (name in the inventory -> name in the file), the
    file is the whole configuration of another device in the same place: nothing is below it.

    Raises:
        InputError: the platform is unknown.
        ConfigError: a line is not fully understood.
    """
    text = path.read_text(encoding="utf-8")
    own = site.topology.node(where.device).platform
    if renamed or (platform is not None and platform != own):
        other = platform_of(site, where.device) if platform is None else get(platform)
        where = _renamed(where, renamed or {})
        return other.parse_config(text, str(path), where, other.empty(where))
    return platform_of(site, where.device).parse_config(
        text, str(path), where, recorded_state(site, finder, where.device)
    )


def _renamed(where: DeviceContext, names: Mapping[str, str]) -> DeviceContext:
    """A device whose interfaces have other names."""
    node = where.node
    interfaces = {names.get(name, name): one for name, one in node.interfaces.items()}
    return replace(
        where,
        interfaces=tuple(names.get(one, one) for one in where.interfaces),
        node=replace(node, interfaces={name: replace(one, name=name) for name, one in interfaces.items()}),
        domains={names.get(name, name): prefixes for name, prefixes in where.domains.items()},
    )


def read_alone(path: Path, platform: str) -> FilterState:
    """The state that a configuration file leads to, of a device that no inventory knows: lists, but no interfaces.

    Raises:
        InputError: the platform is unknown.
        ConfigError: a line is not fully understood.
    """
    node = Node(path.stem, Kind.FIREWALL, {}, platform=platform)
    where = DeviceContext(path.stem, (), stateful=True, prefix=ALONE, node=node, domains={})
    found = get(platform)
    return found.parse_config(path.read_text(encoding="utf-8"), str(path), where, found.empty(where))


def verify_configs(
    site: Site, finder: PathFinder, policies: Mapping[str, DevicePolicy], folder: Path, space: Space
) -> tuple[DeviceProof, ...]:
    """Prove the configurations in a folder against their policies.

    Raises:
        InputError, ConfigError: as `read_configs`.
    """
    states = read_configs(site, finder, policies, folder)
    return verify_states(site, finder, policies, states, space)


def verify_states(
    site: Site,
    finder: PathFinder,
    policies: Mapping[str, DevicePolicy],
    states: Mapping[str, FilterState],
    space: Space,
    prefer: Sequence[PacketSet] = (),
) -> tuple[DeviceProof, ...]:
    """Prove states that files lead to, beside the recorded filters of the site."""
    return tuple(
        prove(policies[device], state, recorded_state(site, finder, device), space, prefer)
        for device, state in states.items()
    )


def verify_live(
    policies: Mapping[str, DevicePolicy],
    states: Mapping[str, FilterState],
    space: Space,
    prefer: Sequence[PacketSet] = (),
) -> tuple[DeviceProof, ...]:
    """Prove states that were read from devices; what others have there today is what must stay as it is."""
    return tuple(
        prove(policies[device], state, state.without_owned(), space, prefer) for device, state in states.items()
    )
