"""Answers of a command line to several commands: each follows the line of its command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import ConfigError, Place

if TYPE_CHECKING:
    from collections.abc import Sequence


def by_command(commands: Sequence[str], output: str, device: str) -> list[str]:
    """What was answered to each command, in their order.

    Raises:
        ConfigError: a command's line is missing, or something stands before the first one.
    """
    found: list[list[str]] = []
    for line in output.splitlines():
        if len(found) < len(commands) and line.strip() == commands[len(found)]:
            found.append([])
        elif found:
            found[-1].append(line)
        elif line.strip():
            raise ConfigError(f"its answer is not understood: {line.strip()[:80]}", place=Place(device))
    if len(found) < len(commands):
        raise ConfigError(f"it did not answer to {commands[len(found)]!r}", place=Place(device))
    return ["\n".join(lines) for lines in found]
