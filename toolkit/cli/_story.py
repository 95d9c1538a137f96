"""Telling a run on the terminal, step by step, and remembering it for the report."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from toolkit.errors import ProofError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Chapter:
    """One step: what it is about, whether it held, what was seen, and how long it took in seconds."""

    name: str
    ok: bool = False
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0
    quiet: bool = False

    def say(self, text: str) -> None:
        """A line of what was seen."""
        self.lines.append(text)
        if not self.quiet:
            print(f"    {text}", flush=True)

    def hold(self, condition: bool, text: str) -> None:
        """A line that must be true.

        Raises:
            ProofError: it is not.
        """
        self.say(text)
        if not condition:
            raise ProofError(f"{self.name}: {text}")


class Story:
    """All steps so far; a quiet one is only remembered."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.chapters: list[Chapter] = []
        self.quiet = quiet

    @contextmanager
    def step(self, name: str) -> Iterator[Chapter]:
        """Tell a step; it holds unless it raises."""
        chapter = Chapter(name, quiet=self.quiet)
        self.chapters.append(chapter)
        self._print(f"[{len(self.chapters)}] {name}", bold=True)
        start = time.perf_counter()
        try:
            yield chapter
            chapter.ok = True
        except ToolkitError as caught:
            chapter.lines.append(str(caught))
            raise
        finally:
            chapter.seconds = time.perf_counter() - start
            mark = "ok" if chapter.ok else "FAILED"
            self._print(f"    {mark} ({chapter.seconds:.1f} s)", fg="green" if chapter.ok else "red")

    def _print(self, text: str, **style: str | bool) -> None:
        if not self.quiet:
            print(click.style(text, **style) if sys.stdout.isatty() else text, flush=True)  # type: ignore[arg-type]
