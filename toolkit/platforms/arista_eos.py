"""Arista EOS: stateless lists, bound inwards to routed interfaces and layer-2 ports; no object groups in lists.

A change is one configuration session with a commit timer: all of it or nothing, and undone unless it is confirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toolkit.net import SCTP, TCP, UDP, Direction
from toolkit.platforms._cisco_dialect import Dialect
from toolkit.platforms._cisco_names import EOS_PORTS, TCP_PORTS, UDP_PORTS
from toolkit.platforms._cisco_platform import CONFIRM_MINUTES, CiscoPlatform, capabilities, session, text_of
from toolkit.platforms._cisco_routes import EOS, Questions
from toolkit.platforms._sizes import Counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.platforms._cisco_platform import CiscoState
    from toolkit.platforms.base import Capabilities


class AristaEos(CiscoPlatform):
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "arista_eos"
    netmiko_driver: ClassVar[str] = "arista_eos"
    block_size: ClassVar[int] = 100
    capabilities: ClassVar[Capabilities] = capabilities(
        commit_confirm=True,
        commit_note=(
            "one configuration session: all of it or nothing, and undone by the device "
            f"{CONFIRM_MINUTES} minutes after the commit unless it is confirmed"
        ),
        counting=Counting(
            (Direction.IN, Direction.OUT),
            shared=False,
            note=(
                "ranges of ports are taken as compared by the hardware, of which models have few: filter.port_ranges: "
                "expanded counts without them"
            ),
        ),
    )
    routes: ClassVar[Questions] = EOS
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "% Invalid input",
        "% Incomplete command",
        "% Ambiguous command",
        "% Unrecognized command",
        "% Error",
        "% Cannot",
        "% Not ",
        "% Unavailable command",
        "% Duplicate sequence number",
        "% Authorization denied",
        "% Commit failed",
        "% Session",
        "! Commit failed",
    )
    dialect: ClassVar[Dialect] = Dialect(
        name="arista_eos",
        vendor="arista",
        prefixes=True,
        numbered=True,
        groups="",
        standard=True,
        many_ports=10,
        fragments_by_address=True,
        tcp_ports={**TCP_PORTS, **EOS_PORTS},
        udp_ports={**UDP_PORTS, **EOS_PORTS},
        with_ports=(TCP, UDP, SCTP),
        options=("statistics per-entry", "counters per-entry", "fragment-rules"),  # the last one is the default
        indent="   ",
        routing="ip routing",
        tagging="encapsulation dot1q vlan",
        kinds=(("Port-channel", "Port-Channel"),),
    )

    def wrap(self, lines: Sequence[str], now: CiscoState, *, timed: bool) -> tuple[str, str]:
        """A configuration session."""
        name = session(now.context.prefix, lines)
        commit = f"commit timer 00:{CONFIRM_MINUTES:02}:00" if timed else "commit"
        confirm = text_of(f"configure session {name} commit") if timed else ""
        return text_of(f"configure session {name}", *lines, commit), confirm


PLATFORM = AristaEos()
