"""The command line: one file per verb, found by scanning this folder."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from toolkit.errors import ToolkitError

INTERRUPTED = 130


class Verbs(click.Group):
    """Commands loaded when they are named; `<verb>.py` holds a click command called `<verb>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the files of this folder."""
        del ctx
        return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = getattr(import_module(f"toolkit.cli.{cmd_name}"), cmd_name)
        return found


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="toolkit", prog_name="toolkit")
def cli() -> None:
    """From a vendor's page of required ports to proven least-privilege ACLs.

    page -> spec -> flow graph -> paths -> policy -> device config -> plan -> lab rehearsal -> push -> proof
    """


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code (0 fine, 1 error, 2 usage, 3 changes pending, 4 proof failed)."""
    try:
        outcome: Any = cli.main(args=arguments, prog_name="toolkit", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as caught:
        caught.show(sys.stderr)
        return 2
    except click.exceptions.Exit as caught:
        return caught.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (ToolkitError, OSError) as caught:
        return _told(caught)
    return outcome if isinstance(outcome, int) else 0


def _told(caught: ToolkitError | OSError) -> int:
    """Print an error in one line and return its exit code; what names no file is a mistake of ours and goes on."""
    if isinstance(caught, ToolkitError):
        print(f"toolkit: {caught}", file=sys.stderr)
        return caught.exit_code
    if caught.filename is None:
        raise caught
    print(f"toolkit: {caught.filename}: {caught.strerror}", file=sys.stderr)
    return 1
