"""The console command: errors of the toolkit become one line and their exit code."""

from __future__ import annotations

import sys

PATIENT = (100_000, 50, 100)  # thresholds of the garbage collector for a command, as mypy has them


def main() -> None:
    """Run the command line."""
    import gc

    from toolkit.cli import run

    # What a large site is made of lives until the end: looking through it again and again would cost a third more.
    gc.set_threshold(*PATIENT)

    sys.exit(run())


if __name__ == "__main__":
    main()
