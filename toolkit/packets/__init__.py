"""Packet sets: what an ordered ACL permits, as a value that can be compared, combined and asked for a witness.

`Box` is what one entry matches (`Block`, where it has sets of addresses), `Space` a universe that shares results,
`PacketSet` a set of packets, exact over the whole five-tuple space with TCP's ACK-or-RST, ICMP type and code, and
fragments. No vendor knowledge lives here.
"""

from toolkit.errors import BudgetError
from toolkit.packets.box import (
    ESTABLISHED,
    FRAGMENTS,
    FULL,
    MAXIMA,
    NOT_FRAGMENT,
    Block,
    Box,
    Interval,
    packet_of,
    point,
)
from toolkit.packets.dead import Audit, Dead, DeadKind, dead_entries
from toolkit.packets.sets import PacketSet, Space

__all__ = [
    "ESTABLISHED",
    "FRAGMENTS",
    "FULL",
    "MAXIMA",
    "NOT_FRAGMENT",
    "Audit",
    "Block",
    "Box",
    "BudgetError",
    "Dead",
    "DeadKind",
    "Interval",
    "PacketSet",
    "Space",
    "dead_entries",
    "packet_of",
    "point",
]
