"""`toolkit compare`: what a change of configurations newly permits and newly denies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, note, packet_row, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.platforms.base import FilterState
    from toolkit.verify.compare import Difference

DIFFERENT = 3
SHOWN = 8


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--before-platform", help="Network OS that BEFORE is written in, where it is not the inventory's.")
@click.option("--after-platform", help="Network OS that AFTER is written in, where it is not the inventory's.")
@click.option(
    "--interface", "renames", multiple=True, metavar="OLD=NEW", help="What an interface is called in the folder AFTER."
)
@inventory_option
@json_option
def compare(
    inventory: Path,
    before: str,
    after: str,
    before_platform: str | None,
    after_platform: str | None,
    renames: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare filters packet by packet: what is newly permitted, what newly denied; exit 3 where anything is.

    BEFORE and AFTER are folders with DEVICE.cfg, or one of the words `recorded` (what the inventory says that devices
    have today), `rendered` (what the toolkit would make of them) and `live` (read over SSH). A device's own platform
    may change in between: give the other one with --before-platform or --after-platform, and with --interface the
    interfaces that have other names there.
    """
    from toolkit.verify.compare import compare_states

    work = Work(inventory)
    then = states_of(work, before, before_platform)
    renamed = _renamed(work, renames)
    now = states_of(work, after, after_platform, renamed)
    common = [device for device in then if device in now]
    if not common:
        raise click.UsageError("BEFORE and AFTER have no device in common")
    for device in sorted({*then, *now} - set(common)):
        note(f"{device} is in one of them only, and was not compared")
    sides = {d: then[d] for d in common}, {d: now[d] for d in common}
    found = compare_states(*sides, work.space, work.ordinary, renamed)
    if as_json:
        print_json({"equal": not found, "devices": common, "differences": [_row(work, one) for one in found]})
    else:
        _print(work, common, found)
    return DIFFERENT if found else 0


def _renamed(work: Work, renames: tuple[str, ...]) -> dict[str, str]:
    """Names of interfaces before, with those after.

    Raises:
        InputError: not a pair, or no device has such an interface.
    """
    from toolkit.errors import InputError

    known = {name for node in work.site.topology.enforcers for name in node.interfaces}
    found = {}
    for one in renames:
        old, equals, new = one.partition("=")
        if not equals or not new or old not in known:
            raise InputError(f"--interface {one!r}: write OLD=NEW; OLD is one of {', '.join(sorted(known))}")
        found[old] = new
    return found


def states_of(
    work: Work, where: str, platform: str | None, renamed: Mapping[str, str] | None = None
) -> Mapping[str, FilterState]:
    """The filters that an argument names.

    Raises:
        InputError: no such word or folder, or a platform or other names were given for what has its own.
    """
    from toolkit.errors import InputError, Place
    from toolkit.render import context, recorded_state
    from toolkit.verify.configs import read_config

    site, finder = work.site, work.finder
    devices = [node.name for node in site.topology.enforcers]
    if where in ("recorded", "rendered", "live"):
        if platform is not None or renamed:
            raise InputError(f"{where!r} is in the devices' own language; a platform belongs to a folder")
        if where == "recorded":
            return {device: recorded_state(site, finder, device) for device in devices}
        if where == "rendered":
            return {device: one.after for device, one in work.rendered.items()}
        from toolkit.verify.live import read_states

        return read_states(work)
    folder = Path(where)
    found = {d: folder / f"{d}.cfg" for d in devices if (folder / f"{d}.cfg").is_file()}
    if not found:
        raise InputError(
            f"neither a folder with DEVICE.cfg (devices: {', '.join(devices)}) nor one of recorded, rendered, live",
            place=Place(where),
        )
    return {
        d: read_config(site, path, context(site, finder, d), finder, platform, renamed) for d, path in found.items()
    }


def _row(work: Work, one: Difference) -> dict[str, Any]:
    return {
        "device": one.device,
        "interface": one.interface,
        "kind": one.kind.value,
        "state": one.state.value,
        "packets": one.packets.count(),
        "witness": packet_row(one.witness),
        "before": f"{one.before.acl}: {one.before.entry}",
        "after": f"{one.after.acl}: {one.after.entry}",
        "requirements": list(work.asked_for(one.witness)),
    }


def _print(work: Work, devices: list[str], found: tuple[Difference, ...]) -> None:
    from toolkit.verify.names import Names

    names = Names(work.site)
    for device in devices:
        mine = [one for one in found if one.device == device]
        print(f"{device}: {'decides every packet as before' if not mine else f'{len(mine)} differences'}")
        for one in mine:
            known = "" if one.state.value == "new" else f", {one.state.value} connections"
            print(f"  {one.interface} {one.kind.value.replace('_', ' ')}{known}: {names.packet(one.witness)}")
            lines = names.summary(one.packets & work.ordinary[0])
            for line in lines[:SHOWN]:
                print(f"    {line}")
            if len(lines) > SHOWN:
                print(f"    and {len(lines) - SHOWN} more pairs of hosts")
            asked = ", ".join(work.site.citation(name) for name in work.asked_for(one.witness))
            print(f"    before: {one.before.acl}: {one.before.entry}")
            print(f"    after:  {one.after.acl}: {one.after.entry}")
            print(f"    {f'asked for by {asked}' if asked else 'nothing asks for it'}")
