"""The devices of a site, ready to be read and changed, and what judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.deploy.inventory import results
from toolkit.deploy.session import end_session, read_filter
from toolkit.errors import DeployError
from toolkit.platforms import get
from toolkit.render import context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nornir.core import Nornir
    from nornir.core.task import AggregatedResult

    from toolkit.net import Packet
    from toolkit.paths import PathFinder
    from toolkit.platforms.base import FilterState
    from toolkit.site import Site


@dataclass(frozen=True)
class Target:
    """The devices of a site, and how to judge them.

    `verify` gives the problems of a device's filter (none is good); `stale` says of the first packet of a
    session whether the new policy denies it on a device. Both come in from rooms further right.
    """

    site: Site
    finder: PathFinder
    nornir: Nornir
    verify: Callable[[str, FilterState], Sequence[str]]
    stale: Callable[[str, Packet, FilterState], bool]

    def read(self, devices: Collection[str], *, fresh: bool = False) -> dict[str, FilterState]:
        """Filters of devices, read in parallel; `fresh` reads over new SSH sessions beside those that are open.

        Raises:
            DeployError: a device cannot be read.
            ConfigError: its filter is not fully understood.
        """
        outputs = self.run(devices, read_filter, fresh=fresh)
        return {device: self.parse(device, outputs[device]) for device in devices}

    def parse(self, device: str, outputs: Mapping[str, str]) -> FilterState:
        """The filter that the output of a device's show commands tells of.

        Raises:
            ConfigError: something in it is not fully understood.
        """
        platform = get(str(self.nornir.inventory.hosts[device].platform))
        return platform.parse_running(outputs, context(self.site, self.finder, device))

    def run(self, devices: Collection[str], task: Callable[..., Any], **arguments: Any) -> Mapping[str, Any]:
        """Results of a Nornir task on some devices, in parallel; an earlier failure excludes none of them.

        Raises:
            DeployError: the first failure, when all have ended; or a device is not among those that were opened.
        """
        return results(self.outcome(devices, task, **arguments)) if devices else {}

    def outcome(self, devices: Collection[str], task: Callable[..., Any], **arguments: Any) -> AggregatedResult:
        """As `run`, for those who want to see each device's failure; see `inventory.failures`.

        Raises:
            DeployError: a device is not among those that were opened.
        """
        wanted = set(devices)
        strange = sorted(wanted - set(self.nornir.inventory.hosts))
        if strange:
            opened = ", ".join(self.nornir.inventory.hosts)
            raise DeployError(f"no device {', '.join(strange)} is open (open: {opened or 'none'})")
        chosen = self.nornir.filter(filter_func=lambda host: host.name in wanted)
        return chosen.run(task=task, on_failed=True, **arguments)

    def close(self) -> None:
        """End all sessions."""
        for host in self.nornir.inventory.hosts.values():
            end_session(host)
