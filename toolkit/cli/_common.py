"""What the verbs share: options, the chain from inventory to candidates, tables."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from toolkit.flows import FlowGraph
    from toolkit.packets import Space
    from toolkit.paths import PathFinder
    from toolkit.policy import DevicePolicy
    from toolkit.render import Rendered
    from toolkit.site import Site
    from toolkit.spec.model import Finding

Command = Any


def inventory_option(function: Callable[..., Command]) -> Callable[..., Command]:
    """`-i/--inventory DIR`."""
    return click.option(
        "-i",
        "--inventory",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("inventory"),
        show_default=True,
        help="Folder of the site: a Nornir inventory with site.yaml.",
    )(function)


def json_option(function: Callable[..., Command]) -> Callable[..., Command]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, all else on stderr.")(
        function
    )


@dataclass
class Work:
    """The chain from an inventory folder to proven candidates; each step is made when it is asked for."""

    folder: Path

    @cached_property
    def site(self) -> Site:
        """The site."""
        from toolkit.site import load_site

        return load_site(resolve_inventory(self.folder))

    @cached_property
    def graph(self) -> FlowGraph:
        """Its flow graph."""
        from toolkit.flows import build

        return build(self.site)

    @cached_property
    def finder(self) -> PathFinder:
        """Its paths."""
        from toolkit.paths import PathFinder

        return PathFinder(self.site.topology)

    @cached_property
    def space(self) -> Space:
        """One universe of packets for the whole run."""
        from toolkit.packets import Space

        return Space()

    @cached_property
    def policy_findings(self) -> tuple[Finding, ...]:
        """What cannot be enforced."""
        return self._policies[1]

    @cached_property
    def policies(self) -> Mapping[str, DevicePolicy]:
        """Policy of each device."""
        return self._policies[0]

    @cached_property
    def _policies(self) -> tuple[dict[str, DevicePolicy], tuple[Finding, ...]]:
        from toolkit.policy import build_policies

        return build_policies(self.graph, self.finder)

    @cached_property
    def rendered(self) -> Mapping[str, Rendered]:
        """Proven candidate of each device."""
        from toolkit.render import render_all

        return render_all(self.site, self.finder, self.policies, self.space)


def resolve_inventory(folder: Path) -> Path:
    """The folder that holds `site.yaml`: a lab folder may point to its site in a file `site`."""
    pointer = folder / "site"
    if not (folder / "site.yaml").exists() and pointer.is_file():
        return (folder / pointer.read_text(encoding="utf-8").strip()).resolve()
    return folder


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A plain table on stdout: aligned columns, no frame, made to be read and grepped."""
    table = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(columns[i]), *(len(row[i]) for row in table)) if table else len(columns[i]) for i in range(len(columns))
    ]
    if title:
        print(title)
    print("  ".join(name.upper().ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_findings(findings: Iterable[Finding]) -> None:
    """Findings for people, on stderr."""
    for one in findings:
        where = f" (line {one.line})" if one.line else ""
        note(f"{one.severity.value}: {one.code}{where}: {one.message}")
