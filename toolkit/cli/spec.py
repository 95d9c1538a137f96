"""`toolkit spec`: a vendor's page becomes a proposed spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli._common import json_option, note, print_findings, print_json, print_table

if TYPE_CHECKING:
    from toolkit.spec.proposal import Proposal

BAD_PAGE = 2


@click.group()
def spec() -> None:
    """Read vendors' pages."""


@spec.command(name="import")
@click.argument("page", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the proposed spec (YAML) to this file.",
)
@click.option("--force", is_flag=True, help="Overwrite the file that -o names.")
@json_option
def import_page(page: Path, output: Path | None, force: bool, as_json: bool) -> int:
    """Read PAGE (Markdown or HTML) and propose a spec: requirements with their lines, and findings to review.

    Exit 2 when a line of the page gives nothing usable, or when it holds no port table.
    """
    from toolkit.spec.reader import read_page_file

    proposal = read_page_file(page)
    if output is not None:
        _write(proposal, output, force=force)
    if as_json:
        print_json(proposal.as_json())
    else:
        _print(proposal)
    if output is not None:
        note(f"{output}: {len(proposal.requirements)} requirements proposed; review them before you commit the file")
    return BAD_PAGE if proposal.has_errors else 0


def _write(proposal: Proposal, output: Path, *, force: bool) -> None:
    """Write the proposal; a reviewed spec is never overwritten by accident.

    Raises:
        InputError: the file exists and `--force` is missing, or it cannot be written.
    """
    from toolkit.errors import InputError, Place

    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(proposal.as_yaml())
    except FileExistsError:
        raise InputError(
            "the file exists; use --force to overwrite it, or write to another one and compare",
            place=Place(str(output)),
        ) from None
    except OSError as caught:
        raise InputError(f"cannot be written: {caught.strerror}", place=Place(str(output))) from None


def _print(proposal: Proposal) -> None:
    print_table(
        ("line", "id", "protocol", "port", "from", "to", "constraints", "condition"),
        [
            (
                one.lines[0] if one.lines else "",
                one.id,
                one.protocol,
                one.ports or one.icmp or "",
                ", ".join(one.sources),
                ", ".join(one.destinations),
                ", ".join(constraint.value for constraint in one.constraints),
                one.condition or "",
            )
            for one in proposal.requirements
        ],
    )
    print_findings(proposal.findings)
