"""What a scenario's time line is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a time line.

    `second` counts from the first step, `at` is the moment in words, `kind` is `do` or `expect`, `what` is what the
    scenario declares, `seen` what was found.
    """

    second: float
    at: str
    kind: str
    what: str
    seen: str
    ok: bool
