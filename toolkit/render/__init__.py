"""Policy -> candidate configuration, each one parsed back and proved equal to its policy before anyone sees it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.errors import PolicyError, SiteError
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.platforms.base import DeviceContext
from toolkit.render.proof import prove
from toolkit.render.spread import RenderJob, Text, processes, render_spread, state_of
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.paths import PathFinder
    from toolkit.platforms.base import CandidateConfig, FilterState, Platform
    from toolkit.policy import DevicePolicy
    from toolkit.site import Site


@dataclass(frozen=True, slots=True)
class Rendered:
    """A device's candidate, with the states before it (nothing of ours) and after it."""

    policy: DevicePolicy
    candidate: CandidateConfig
    before: FilterState
    after: FilterState


def context(site: Site, finder: PathFinder, device: str) -> DeviceContext:
    """What a reader of a device's configuration must know of it."""
    node = site.topology.node(device)
    budget = site.file.deploy.capacity.get(node.platform or "")
    if budget is not None and node.filter.capacity is None:
        node = replace(node, filter=node.filter.model_copy(update={"capacity": budget}))
    return DeviceContext(
        device, tuple(node.interfaces), node.stateful, site.file.acl_prefix, node, finder.domains[device]
    )


def platform_of(site: Site, device: str) -> Platform:
    """The platform of a device.

    Raises:
        SiteError: the device has none, or an unknown one; the message lists those that exist.
    """
    name = site.topology.node(device).platform
    if name is None:
        raise SiteError(f"device {device} has no platform; set it in hosts.yaml or in its group")
    return get(name)


def recorded_state(site: Site, finder: PathFinder, device: str) -> FilterState:
    """The filter that the inventory says a device has today (`filter.running`), without anything of ours.

    Raises:
        ConfigError: the recorded file is not fully understood.
    """
    platform_of(site, device)  # for its message where there is none
    return state_of(context(site, finder, device), recorded_text(site, device))


def recorded_text(site: Site, device: str) -> Text | None:
    """The file with that filter, None where there is none."""
    running = site.topology.node(device).filter.running
    if running is None:
        return None
    path = site.folder / running
    return Text(path.read_text(encoding="utf-8"), str(path))


def render_all(
    site: Site, finder: PathFinder, policies: Mapping[str, DevicePolicy], space: Space, workers: int = 1
) -> Mapping[str, Rendered]:
    """Render every device against its recorded state, in so many processes.

    Raises:
        PolicyError: a policy cannot be enforced as the device is owned.
    """
    with processes(workers) as executor:
        if executor is not None:
            jobs = [
                RenderJob(context(site, finder, device), policy, recorded_text(site, device))
                for device, policy in policies.items()
                if platform_of(site, device)
            ]
            return render_spread(executor, jobs, workers)
    found = {}
    for device, policy in policies.items():
        with space_for(policy, space) as own:
            found[device] = render(site, finder, policy, recorded_state(site, finder, device), own)
    return found


@contextmanager
def space_for(policy: DevicePolicy, space: Space) -> Iterator[Space]:
    """The universe to prove a device in: the common one, but one of its own for a list of somebody else's.

    What devices have in common is their policies; a long list of others has little to share, and would stay in memory.
    """
    if policy.ownership is Ownership.OWN:
        yield space
        return
    own = Space()
    try:
        yield own
    finally:
        own.forget()


def render(site: Site, finder: PathFinder, policy: DevicePolicy, before: FilterState, space: Space) -> Rendered:
    """Render one device against its filter without ours, read the result back, and prove it.

    Raises:
        PolicyError: what would be sent does not do what the policy asks; the witness is in the message.
    """
    platform_of(site, policy.device)  # for its message where there is none
    return render_in(context(site, finder, policy.device), policy, before, space)


def render_in(where: DeviceContext, policy: DevicePolicy, before: FilterState, space: Space) -> Rendered:
    """As `render`, for those who know the device's context.

    Raises:
        PolicyError: as `render`.
    """
    platform = get(str(where.node.platform))
    candidate = platform.render(policy, before)
    after = platform.parse_config(candidate.text, f"{policy.device}.cfg", where, before)
    proof = prove(policy, after, before, space)
    if not proof.equivalent:
        raise PolicyError(f"the candidate of {policy.device} is not what its policy asks: {proof.witnesses[0]}")
    return Rendered(policy, candidate, before, after)
