"""`toolkit report [RUN]`: the page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli._common import json_option, print_json


@click.command()
@click.argument("run", required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to (the run's own)."
)
@json_option
def report(run: str | None, output: Path | None, as_json: bool) -> None:
    """Write the self-contained HTML page and the JUnit file of a run (the newest one where none is named)."""
    from toolkit.cli._evidence import read_evidence, write_pages

    folder = run_folder(run)
    values = read_evidence(folder)
    target = output or folder
    target.mkdir(parents=True, exist_ok=True)
    page = write_pages(values, target)
    if as_json:
        print_json({"run": folder.name, "ok": values.ok, "html": str(page), "junit": str(target / "junit.xml")})
    else:
        print(page)


def run_folder(run: str | None) -> Path:
    """The folder of a run, by its ID or path; the newest with a report where none is named.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    from toolkit.errors import InputError

    runs = Path("runs")
    known = sorted(runs.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    if run is None:
        if not known:
            raise InputError("no run has left a report yet; run toolkit lab run or toolkit demo")
        return known[-1].parent
    for folder in (runs / run, Path(run)):
        if folder.is_dir():
            return folder
    names = ", ".join(path.parent.name for path in known) or "none"
    raise InputError(f"no run {run!r} (runs: {names})")
