"""How many entries a list of IOS, EOS or NX-OS takes in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.platforms._sizes import ListSize, all_masked

if TYPE_CHECKING:
    from toolkit.net import Direction
    from toolkit.platforms._cisco_model import AccessList, Config, Entry, Side


def list_size(config: Config, interface: str, direction: Direction, acl: AccessList) -> ListSize:
    """The size of a list where it is bound."""
    entries = expanded = 0
    for entry in acl.entries:
        one, other = entry_size(config, entry)
        entries, expanded = entries + one, expanded + other
    written = acl.entries
    content = (tuple(entry.text for entry in written), tuple(config.used(acl).values()))
    return ListSize(interface, direction, acl.name, len(written), entries, expanded, content)


def entry_size(config: Config, entry: Entry) -> tuple[int, int]:
    """Entries that one line takes: where ranges of ports are compared, and where they are written out."""
    ends = _ends(config, entry.source) * _ends(config, entry.destination)
    compared = written_out = 0
    for match in config.matches(entry):
        compared += len(match.sports) * len(match.dports)
        # Two bits of which one must be set are two values under masks.
        flags = 2 if match.established else 1
        written_out += all_masked(match.sports) * all_masked(match.dports) * flags
    return ends * compared, ends * written_out


def _ends(config: Config, side: Side) -> int:
    """Values under masks that one side takes: a wildcard mask, whatever its bits, is one."""
    return all_masked(config.members(side.group)) if side.group else 1
