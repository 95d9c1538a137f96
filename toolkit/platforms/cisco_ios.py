"""Cisco IOS and IOS-XE: stateless lists, bound inwards; object groups on routed interfaces.

A list is never changed while it is bound: a changed one has another name, is bound in place of the old one, and the old
one is removed. Where the device keeps an archive, a change undoes itself unless it is confirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toolkit.net import SCTP, TCP, UDP, Direction
from toolkit.platforms._cisco_dialect import Dialect
from toolkit.platforms._cisco_names import TCP_PORTS, UDP_PORTS
from toolkit.platforms._cisco_platform import CONFIRM_MINUTES, CiscoPlatform, capabilities, text_of
from toolkit.platforms._cisco_routes import IOS, Questions
from toolkit.platforms._sizes import Counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.platforms._cisco_platform import CiscoState
    from toolkit.platforms.base import Capabilities


class CiscoIos(CiscoPlatform):
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "cisco_ios"
    netmiko_driver: ClassVar[str] = "cisco_ios"
    block_size: ClassVar[int] = 50
    capabilities: ClassVar[Capabilities] = capabilities(
        commit_confirm=False,
        commit_note=(
            "each line counts at once: lists are built under new names, bound, and the old ones removed; an "
            "unconfirmed change undoes itself (configure terminal revert timer) only where the device keeps an archive "
            "and nobody else has changed anything"
        ),
        counting=Counting(
            (Direction.IN, Direction.OUT),
            shared=False,
            note=(
                "groups are written out and ranges of ports taken as compared by the hardware (L4 operators), of which "
                "models have few: filter.port_ranges: expanded counts without them"
            ),
        ),
    )
    routes: ClassVar[Questions] = IOS
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "% Invalid input",
        "% Incomplete command",
        "% Ambiguous command",
        "% Unknown command",
        "% Unrecognized command",
        "% Duplicate",
        "% Bad ",
        "%Error",
        "% Error",
        "Error:",
        "% Access denied",
        "% Authorization failed",
        "Command authorization failed",
        "% Not allowed",
        "% Cannot",
        "%Rollback",
        "% Configuration",
        "Invalid access list",
        "Invalid object-group",
    )
    dialect: ClassVar[Dialect] = Dialect(
        name="cisco_ios",
        vendor="cisco",
        prefixes=False,
        numbered=False,
        groups="ios",
        standard=True,
        many_ports=10,
        fragments_by_address=True,
        tcp_ports=TCP_PORTS,
        udp_ports=UDP_PORTS,
        with_ports=(TCP, UDP, SCTP),
        tagging="encapsulation dot1Q",
    )

    def wrap(self, lines: Sequence[str], now: CiscoState, *, timed: bool) -> tuple[str, str]:
        """Configuration mode; with a timer where there is an archive to revert to."""
        timed = timed and now.config.archive
        opening = f"configure terminal revert timer {CONFIRM_MINUTES}" if timed else "configure terminal"
        return text_of(opening, *lines, "end"), text_of("configure confirm") if timed else ""


PLATFORM = CiscoIos()
