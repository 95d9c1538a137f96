"""What the verbs share: options, the chain from inventory to candidates, tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.render.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from toolkit.net import Packet
    from toolkit.spec.model import Finding

Command = Any

__all__ = [
    "Work",
    "inventory_option",
    "jobs_option",
    "json_option",
    "note",
    "packet_row",
    "print_findings",
    "print_json",
    "print_table",
]


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


def jobs_option(function: Callable[..., Command]) -> Callable[..., Command]:
    """`-j/--jobs N`."""
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Processes that render and prove; worth it for hundreds of devices.",
    )(function)


def json_option(function: Callable[..., Command]) -> Callable[..., Command]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, all else on stderr.")(
        function
    )


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)


def packet_row(packet: Packet) -> dict[str, Any]:
    """A packet as the JSON contract has it, with what helps to send it."""
    from toolkit.net import protocol_name

    return {
        "src": str(packet.src),
        "dst": str(packet.dst),
        "protocol": protocol_name(packet.protocol),
        "sport": packet.sport,
        "dport": packet.dport,
        "established": packet.established,
        "icmp": str(packet.icmp) if packet.icmp else None,
        "fragment": packet.fragment,
    }


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
