"""How one talks to each OS at its prompt: what enters configuration mode, what ends it, who is in it already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Sequence

# `configure confirm`, `configure revert now` and `configure session NAME commit` stay at the privileged prompt.
ENTERS: Final = re.compile(r"^\s*conf(?:ig(?:ure)?)?(?!\s+(?:confirm|revert|session\s+\S+\s+\S+|unlock))(?:\s|$)")
SESSION: Final = re.compile(r"^\s*configure session (\S+)\s*$", re.MULTILINE)
# In a session or candidate nothing counts before these; each is sent alone, when all before it was taken.
ENDS: Final = re.compile(r"^\s*(?:commit|verify|abort|end|exit|quit|top|rollback|write|copy|save|load)\b")
# Elsewhere every line counts at once, so a line that binds or removes waits until all before it was taken.
COUNTS: Final = re.compile(
    r"^\s*(?:no|clear|interface|access-group|ip (?:port )?access-group|commit|end|exit|quit|write|copy)\b"
)
SLOW: Final = re.compile(r"^\s*(?:commit|verify|write|copy|configure (?:confirm|revert|session \S+ commit))\b")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One OS at its prompt.

    `configuring` matches a prompt of configuration mode, `busy` what the OS says on entering it when somebody else is
    there. `abandon` are the lines that leave it from anywhere and throw away what a session or candidate holds.
    `sessions` lists open configuration sessions. `startup` compares what runs with what boots, where that is a file.
    """

    configuring: re.Pattern[str]
    busy: re.Pattern[str]
    abandon: tuple[str, ...]
    in_session: tuple[str, ...] = ()
    sessions: str = ""
    startup: tuple[str, str] | None = ("show running-config", "show startup-config")
    candidate: bool = False  # all that is configured waits for a commit


CISCO: Final = re.compile(r"\(conf[^()]*\)# ?$")
LOCKED: Final = re.compile(r"\block(?:ed)?\b|exclusive|Please try later|currently editing", re.IGNORECASE)
DIALECTS: Final = {
    "cisco_ios": Dialect(CISCO, LOCKED, ("end",)),
    "cisco_xe": Dialect(CISCO, LOCKED, ("end",)),
    "cisco_asa": Dialect(CISCO, LOCKED, ("end",)),
    "arista_eos": Dialect(CISCO, LOCKED, ("end",), ("abort",), "show configuration sessions"),
    "cisco_nxos": Dialect(CISCO, LOCKED, ("end",), ("abort",), "show configuration session summary"),
    "juniper_junos": Dialect(
        re.compile(r"# ?$"), LOCKED, ("top", "rollback 0", "exit configuration-mode"), startup=None, candidate=True
    ),
}


def dialect(driver: str) -> Dialect:
    """The dialect of a netmiko driver.

    Raises:
        DeployError: nobody has written it down; lists those that are.
    """
    if driver not in DIALECTS:
        raise DeployError(f"no command line is known for driver {driver!r} (known: {', '.join(DIALECTS)})")
    return DIALECTS[driver]


def blocks(lines: Sequence[str], size: int, speech: Dialect) -> list[list[str]]:
    """Lines in groups that may be written at once: none of them makes an earlier one of its group count.

    A line that enters or leaves configuration mode, commits, binds or removes stands alone.
    """
    waiting = speech.candidate or any(SESSION.match(line) for line in lines)
    alone = ENDS if waiting else COUNTS
    found: list[list[str]] = []
    fresh = True
    for line in lines:
        single = bool(ENTERS.match(line) or alone.match(line) or SLOW.match(line))
        if single or fresh or len(found[-1]) >= size:
            found.append([])
        found[-1].append(line)
        fresh = single
    return found


# Lines of a configuration listing that differ although nothing was changed.
VOLATILE: Final = re.compile(
    r"^\s*(?:[!:]|Building configuration|Current configuration|Using \d+|Cryptochecksum|ntp clock-period|end\s*$|$)"
)


def settled(listing: str) -> list[str]:
    """A configuration listing without what changes by itself."""
    return [line.rstrip() for line in listing.splitlines() if not VOLATILE.match(line)]
