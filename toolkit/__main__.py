"""The console command: errors of the toolkit become one line and their exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from toolkit.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
