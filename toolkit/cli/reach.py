"""`toolkit reach`: who can reach a host, on what, and who asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, print_json
from toolkit.cli.check import filters

if TYPE_CHECKING:
    from toolkit.packets import PacketSet
    from toolkit.verify.reach import Reach


@click.command()
@click.argument("host")
@click.option(
    "--configs", type=click.Path(path_type=Path, file_okay=False), help="Judge the files of this folder instead."
)
@click.option("--live", is_flag=True, help="Judge the running filters, read from the devices over SSH.")
@inventory_option
@json_option
def reach(inventory: Path, host: str, configs: Path | None, live: bool, as_json: bool) -> None:
    """Say what first packets of every other host arrive at HOST, what asks for them, and what nothing asks for."""
    from toolkit.verify.reach import reach as find

    work = Work(inventory)
    found = find(work, filters(work, configs, live), host)
    if as_json:
        print_json({"host": host, "sources": [_row(one) for one in found]})
        return
    for one in found:
        print(f"{one.source}: {_words(work, one)}")


def _words(work: Work, one: Reach) -> str:
    if not one.path:
        return "no route"
    parts = []
    if not one.filtered:
        parts.append("no device in between")
    if not one.required.is_empty:
        asked = ", ".join(work.site.citation(name) for name in one.requirements)
        parts.append(f"{_services(one.required)} [{asked}]")
    if not one.other.is_empty:
        parts.append(f"nothing asks for: {_services(one.other)}")
    return "; ".join(parts) or "nothing"


def _spans(packets: PacketSet) -> dict[str, list[tuple[int, int]]]:
    from toolkit.net import protocol_name

    found: dict[str, list[tuple[int, int]]] = {}
    for box in packets.boxes():
        for number in range(box.protocol[0], box.protocol[1] + 1):
            found.setdefault(protocol_name(number), []).append(box.dport)
    return found


def _services(packets: PacketSet) -> str:
    from toolkit.verify.names import ports_text

    return ", ".join(f"{name} {ports_text(name, spans)}".strip() for name, spans in _spans(packets).items())


def _row(one: Reach) -> dict[str, Any]:
    from toolkit.verify.names import ports_text

    def services(packets: PacketSet) -> list[dict[str, str]]:
        return [
            {"protocol": name, "ports": ports_text(name, spans) or "any"} for name, spans in _spans(packets).items()
        ]

    return {
        "source": one.source,
        "route": one.path,
        "filtered": one.filtered,
        "required": services(one.required),
        "requirements": list(one.requirements),
        "other": services(one.other),
    }
