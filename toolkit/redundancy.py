"""Devices that stand in for each other: virtual gateway addresses, who forwards, and whether state is shared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from toolkit.files import FileModel

if TYPE_CHECKING:
    from collections.abc import Callable


class RedundancyMode(StrEnum):
    """Whether one member of a group forwards at a time, or all do."""

    ACTIVE_STANDBY = "active_standby"
    ACTIVE_ACTIVE = "active_active"


@dataclass(frozen=True, slots=True)
class RedundancyGroup:
    """Devices that share virtual gateway addresses, as with VRRP or a firewall cluster.

    `members` come in order of priority. The virtual addresses move together, as a sync group that tracks its
    interfaces, so that a connection keeps one firewall for both directions.
    """

    name: str
    mode: RedundancyMode
    members: tuple[str, ...]
    virtual: tuple[IPv4Address, ...] = ()
    state_sync: bool = False
    symmetric_hashing: bool = False

    @property
    def shares_state(self) -> bool:
        """Whether a member may see one direction of a connection only without breaking it."""
        return self.state_sync or self.symmetric_hashing

    def forwarding(self, healthy: Callable[[str], int]) -> tuple[str, ...]:
        """Members that answer for the virtual addresses.

        `healthy` counts a member's working interfaces of the group. The members with the most of them are fit, as
        when each lost interface lowers a VRRP priority: the first of them forwards, or all do.
        """
        counts = {member: healthy(member) for member in self.members}
        most = max(counts.values())
        fit = tuple(member for member in self.members if counts[member] == most and most > 0)
        return fit if self.mode is RedundancyMode.ACTIVE_ACTIVE else fit[:1]


class RedundancyData(FileModel):
    """One entry of `redundancy` in `site.yaml`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,29}$")]
    mode: RedundancyMode
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    virtual: Annotated[tuple[IPv4Address, ...], Field(min_length=1)]
    state_sync: bool = False
    symmetric_hashing: bool = False

    def group(self) -> RedundancyGroup:
        """As a value of the topology."""
        return RedundancyGroup(
            self.name, self.mode, self.members, self.virtual, self.state_sync, self.symmetric_hashing
        )
