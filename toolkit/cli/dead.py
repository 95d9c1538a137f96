"""`toolkit dead`: entries of access lists that decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, note, packet_row, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.net import Packet
    from toolkit.platforms.base import FilterState, ListedEntry
    from toolkit.verify.dead import DeadEntry, ListReport
    from toolkit.verify.names import Names

FOUND = 3
UNREAD = 2  # bad input: a list that packets meet is not understood
SHOWN = 5


@click.command()
@click.argument("where", default="recorded")
@click.option("--platform", help="Network OS of WHERE, a file or folder of any devices; no inventory is needed then.")
@click.option("--all", "every", is_flag=True, help="Every entry: those that are needed with a packet that shows it.")
@click.option("--budget", type=click.IntRange(min=1), help="Steps for one question before it is given up.")
@inventory_option
@json_option
def dead(inventory: Path, where: str, platform: str | None, every: bool, budget: int | None, as_json: bool) -> int:
    """Find entries of access lists that may go because no verdict changes without them; exit 3 where there are any.

    A list that is not understood is named and not judged; exit 2 where it is bound.

    Exact over all packets: an entry that several others cover only together is found, with all of them. A shadowed
    entry is overruled by earlier ones, and a packet shows it; a redundant one says what others say.

    WHERE is `recorded` (the filters that the inventory says the devices have, the default), `rendered`, `live`, or a
    folder with DEVICE.cfg. With --platform it is a file, or a folder of *.cfg files, of devices in no inventory.
    """
    from toolkit.packets import Space
    from toolkit.verify.dead import dead_in_lists
    from toolkit.verify.names import Names

    if platform is not None:
        space, prefer, names = Space(), [], None
        states = dict(_alone(Path(where), platform))
    else:
        from toolkit.cli.compare import states_of

        work = Work(inventory)
        space, prefer, names = work.space, list(work.ordinary), Names(work.site)
        states = dict(states_of(work, where, None))
    found = {
        device: dead_in_lists(state.lists(), space, prefer, prove_live=every, budget=budget)
        for device, state in states.items()
    }
    total = sum(len(one.dead) for reports in found.values() for one in reports)
    if as_json:
        print_json({"dead": total, "devices": [_row(device, reports, names) for device, reports in found.items()]})
    else:
        for device, reports in found.items():
            for one in reports:
                _print(device, one, names)
    if any(one.unread and one.bound for reports in found.values() for one in reports):
        return UNREAD
    return FOUND if total else 0


def _alone(path: Path, platform: str) -> Iterator[tuple[str, FilterState]]:
    """States of configuration files by themselves, by the names of the files.

    Raises:
        InputError: there is no such file, no file in the folder, or no such platform.
        ConfigError: a line is not fully understood.
    """
    from toolkit.errors import InputError, Place
    from toolkit.verify.configs import read_alone

    files = sorted(path.glob("*.cfg")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError("no such file, and no folder with *.cfg files", place=Place(str(path)))
    for one in files:
        yield one.stem, read_alone(one, platform)


# ---- telling -------------------------------------------------------------------------------


def _print(device: str, report: ListReport, names: Names | None) -> None:
    where = f" ({', '.join(report.bound)})" if report.bound else " (bound nowhere)"
    head = f"{device} {report.name}{where}"
    if report.unread:
        note(f"{head}: not judged: {report.unread}")
        return
    counted = f"{report.entries} entries, {len(report.dead) or 'none'} dead"
    print(f"{head}: {counted}")
    rows = [(one.number, one.entry, _dead_lines(one, names)) for one in report.dead]
    rows += [(one.number, one.entry, [f"needed: {_packet(one.witness, names)}"]) for one in report.live]
    for number, entry, lines in sorted(rows, key=lambda row: row[0]):
        print(f"  {number}. {_entry(entry)}")
        for line in lines:
            print(f"     {line}")


def _dead_lines(one: DeadEntry, names: Names | None) -> list[str]:
    if not one.by:
        why = "no packet matches it" if not one.reached else "the end of the list says the same"
        return [f"{one.kind}: {why}"]
    verb = "without it the same is decided by" if one.reached else "its packets are decided before by"
    lines = [f"{one.kind}: {verb}{'' if len(one.by) == 1 else ', together,'}"]
    lines += [f"  {number}. {_entry(entry)}" for number, entry in one.by[:SHOWN]]
    if len(one.by) > SHOWN:
        lines.append(f"  and {len(one.by) - SHOWN} more")
    if one.witness is not None:
        lines.append(f"it does not {one.entry.action.value} {_packet(one.witness, names)}")
    return lines


def _entry(entry: ListedEntry) -> str:
    return f"{entry.text} [{entry.place}]" if entry.place else entry.text


def _packet(packet: Packet, names: Names | None) -> str:
    return str(packet) if names is None else names.packet(packet)


def _row(device: str, reports: tuple[ListReport, ...], names: Names | None) -> dict[str, Any]:
    return {
        "device": device,
        "lists": [
            {
                "list": one.name,
                "bound": list(one.bound),
                "entries": one.entries,
                "unread": one.unread or None,
                "dead": [_dead_row(found, names) for found in one.dead],
                "needed": [
                    {**_entry_row(live.number, live.entry), "witness": _witness(live.witness, names)}
                    for live in one.live
                ],
            }
            for one in reports
        ],
    }


def _dead_row(one: DeadEntry, names: Names | None) -> dict[str, Any]:
    return {
        **_entry_row(one.number, one.entry),
        "kind": one.kind.value,
        "reached": one.reached,
        "by": [_entry_row(number, entry) for number, entry in one.by],
        "witness": None if one.witness is None else _witness(one.witness, names),
    }


def _entry_row(number: int, entry: ListedEntry) -> dict[str, Any]:
    return {"number": number, "entry": entry.text, "place": entry.place, "action": entry.action.value}


def _witness(packet: Packet, names: Names | None) -> dict[str, Any]:
    ends = {} if names is None else {"src_name": names.of(packet.src), "dst_name": names.of(packet.dst)}
    return {**packet_row(packet), **ends}
