"""Cisco NX-OS: stateless lists, bound inwards; layer-2 ports take port lists; object groups.

A change is one configuration session that the device verifies as a whole and commits as a whole. There is no timer that
undoes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toolkit.net import Direction
from toolkit.platforms._cisco_dialect import Dialect
from toolkit.platforms._cisco_names import TCP_PORTS, UDP_PORTS
from toolkit.platforms._cisco_platform import CiscoPlatform, capabilities, session, text_of
from toolkit.platforms._cisco_routes import NXOS, Questions
from toolkit.platforms._sizes import Counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.platforms._cisco_platform import CiscoState
    from toolkit.platforms.base import Capabilities


class CiscoNxos(CiscoPlatform):
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "cisco_nxos"
    netmiko_driver: ClassVar[str] = "cisco_nxos"
    block_size: ClassVar[int] = 50
    capabilities: ClassVar[Capabilities] = capabilities(
        commit_confirm=False,
        commit_note=(
            "one configuration session, verified and committed as a whole; the system has no timer that undoes an "
            "unconfirmed change, so a device that is cut off by it stays so until somebody rolls back on its console"
        ),
        # Nexus 9000 security configuration guide: the egress TCAM has no range checks, so they are written out there.
        counting=Counting(
            (Direction.IN,),
            shared=False,
            note=(
                "groups are written out; ranges of ports are compared inwards and written out outwards (Nexus 9000; "
                "filter.port_ranges: expanded writes them out everywhere)"
            ),
        ),
    )
    routes: ClassVar[Questions] = NXOS
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "% Invalid",
        "% Incomplete command",
        "% Ambiguous command",
        "% Permission denied",
        "% Duplicate sequence number",
        "% String exceeded",
        "ERROR:",
        "Error:",
        "Verification Failed",
        "Verification failed",
        "Commit Failed",
        "Commit failed",
        "Syntax error",
        "Cannot ",
    )
    dialect: ClassVar[Dialect] = Dialect(
        name="cisco_nxos",
        vendor="cisco-nx",
        prefixes=True,
        numbered=True,
        groups="nxos",
        standard=False,
        many_ports=1,
        fragments_by_address=True,
        tcp_ports=TCP_PORTS,
        udp_ports=UDP_PORTS,
        options=("statistics per-entry",),
        indent="  ",
        port_lists=True,
        ends=False,
        kinds=(("Port-channel", "port-channel"), ("Loopback", "loopback")),
        port_default="no system default switchport",
        svi_feature="feature interface-vlan",
    )
    saving: ClassVar[str] = "copy running-config startup-config"
    last_line: ClassVar[str] = ""

    def wrap(self, lines: Sequence[str], now: CiscoState, *, timed: bool) -> tuple[str, str]:  # noqa: ARG002 - no timer
        """A configuration session."""
        return text_of(f"configure session {session(now.context.prefix, lines)}", *lines, "verify", "commit"), ""


PLATFORM = CiscoNxos()
