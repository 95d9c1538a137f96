"""Every moment of a change whose lines count one by one, judged over all packets before the first line is sent.

Where a session or candidate is committed as a whole there is one moment only, and the device makes sure of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.deploy.dialects import ENTERS, SESSION, blocks, dialect
from toolkit.errors import DeployError
from toolkit.packets import Space
from toolkit.platforms.base import ConnState

if TYPE_CHECKING:
    from toolkit.deploy.plan import DeviceChange
    from toolkit.packets import PacketSet
    from toolkit.platforms.base import FilterState, Platform

STEPS: Final = 20
Verdicts = dict[str, "PacketSet"]


def check_moments(change: DeviceChange, platform: Platform, before: FilterState) -> None:
    """Refuse a change that denies for a moment what passes before and after it, or permits what neither does.

    Raises:
        DeployError: it does; names the line after which, the interface and a packet.
        ConfigError: a moment is not fully understood.
    """
    if not _one_by_one(change, platform):
        return
    lines = _lines(change)
    speech = dialect(platform.netmiko_driver)
    walk = _Walk(change, platform, before, lines)
    done = 0
    # Lines that build a list nobody uses yet make no moments of their own, so long ones are taken in few steps.
    for block in blocks(lines, max(platform.block_size, len(lines) // STEPS), speech):
        walk.go(done, done + len(block))
        done += len(block)


def half_way(change: DeviceChange, platform: Platform, before: FilterState, state: FilterState) -> bool:
    """Whether what is ours on a device is as some of a change's lines, and nothing else, have made it.

    Raises:
        ConfigError: a moment is not fully understood.
    """
    if not _one_by_one(change, platform):
        return False
    lines = _lines(change)
    texts = ("".join(f"{line}\n" for line in lines[:count]) for count in range(len(lines) + 1))
    moments = (platform.parse_config(text, change.device, before.context, before) for text in texts)
    return any(not platform.restore(moment, state) for moment in moments)


def _one_by_one(change: DeviceChange, platform: Platform) -> bool:
    """Whether the lines of a change count one by one, and not as a whole."""
    whole = platform.transport != "cli" or dialect(platform.netmiko_driver).candidate or SESSION.search(change.apply)
    return not whole


def _lines(change: DeviceChange) -> list[str]:
    """The lines of a change that change something."""
    return [one for one in change.apply.splitlines() if one.strip() and not ENTERS.match(one) and one.strip() != "end"]


class _Walk:
    """A change, line by line."""

    def __init__(self, change: DeviceChange, platform: Platform, before: FilterState, lines: list[str]) -> None:
        self.change, self.platform, self.start, self.lines = change, platform, before, lines
        self.space = Space()
        self.before = self._verdicts(before)
        self.after = self._verdicts(self._state(len(lines)))
        self.now = self.before
        self.standing = before.fingerprint()

    def go(self, first: int, last: int) -> None:
        """From the moment after `first` lines to that after `last`; line by line where a list that is bound changes."""
        state = self._state(last)
        if state.fingerprint() == self.standing:
            return  # only into or out of a section
        self.standing = state.fingerprint()
        end = self._verdicts(state)
        if last - first > 1 and any(end[name] != self.now[name] for name in end):
            for number in range(first + 1, last):
                self._judge(number, self._verdicts(self._state(number)))
        self._judge(last, end)
        self.now = end

    def _state(self, count: int) -> FilterState:
        text = "".join(f"{line}\n" for line in self.lines[:count])
        return self.platform.parse_config(text, self.change.device, self.start.context, self.start)

    def _verdicts(self, state: FilterState) -> Verdicts:
        return {name: state.permitted(self.space, name, ConnState.NEW) for name in state.context.interfaces}

    def _judge(self, number: int, moment: Verdicts) -> None:
        for name, passes in moment.items():
            dropped = (self.before[name] & self.after[name]) - passes
            opened = passes - (self.before[name] | self.after[name])
            for what, packets in (("deny", dropped), ("permit", opened)):
                if packets:
                    line = self.lines[number - 1].strip()
                    raise DeployError(
                        f"{self.change.device}: the change cannot be sent safely: after {line!r} {name} would {what} "
                        f"{packets.witness()}, which is so neither before nor after it"
                    )
