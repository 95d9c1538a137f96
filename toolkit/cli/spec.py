"""`toolkit spec`: a vendor's page becomes a proposed spec; two editions are compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import json_option, note, print_findings, print_json, print_table

if TYPE_CHECKING:
    from toolkit.flows import Flow
    from toolkit.spec.diff import RequirementChange
    from toolkit.spec.model import Spec
    from toolkit.spec.proposal import Proposal
    from toolkit.verify.editions import EditionEffect

BAD_PAGE = 2
DIFFERENT = 3


@click.group()
def spec() -> None:
    """Read vendors' pages, and compare editions of them."""


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


@spec.command()
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Say as well what changes for this site: its flows, and what each device opens and closes.",
)
@click.option("--spec", "name", help="The site's spec that the editions are of (its only vendor spec by default).")
@json_option
def diff(old: Path, new: Path, inventory: Path | None, name: str | None, as_json: bool) -> int:
    """Compare two editions, OLD and NEW: spec files (.yaml) or vendors' pages; exit 3 where they differ.

    With -i, a site's reviewed spec is moved on by the difference of two pages, with the operator's decisions kept;
    two spec files are taken as they are.
    """
    from toolkit.spec.diff import compare, read_edition

    before, after = read_edition(old), read_edition(new)
    changes = compare(before.requirements, after.requirements)
    effect = None if inventory is None else _effect(inventory, name, before, after, changes)
    if as_json:
        print_json(
            {
                "old": str(old),
                "new": str(new),
                "requirements": [one.as_json() for one in changes],
                **({} if effect is None else _effect_row(effect)),
            }
        )
    else:
        _print_changes(changes)
        if effect is not None:
            _print_effect(effect)
    return DIFFERENT if changes else 0


def _effect(
    inventory: Path,
    name: str | None,
    before: Spec | Proposal,
    after: Spec | Proposal,
    changes: tuple[RequirementChange, ...],
) -> EditionEffect:
    """What the change means for a site.

    Raises:
        InputError: which of the site's specs is meant is not clear, or a page and a spec file were given.
    """
    from toolkit.errors import InputError
    from toolkit.render.work import Work
    from toolkit.site import with_spec
    from toolkit.spec.diff import move_on
    from toolkit.spec.model import Spec
    from toolkit.verify.editions import edition_effect

    work = Work(inventory)
    site = work.site
    vendors = [one.name for one in site.specs.values() if one.baseline is None]
    if isinstance(before, Spec) and isinstance(after, Spec):
        chosen = name or (after.name if after.name in site.specs else None)
    elif isinstance(before, Spec) or isinstance(after, Spec):
        raise InputError("a page and a spec file say different kinds of things; compare two of the same kind with -i")
    else:
        chosen = name
    chosen = chosen or (vendors[0] if len(vendors) == 1 else None)
    if chosen is None or chosen not in site.specs:
        raise InputError(f"name the spec that the editions are of with --spec (specs: {', '.join(site.specs)})")
    if isinstance(before, Spec) and isinstance(after, Spec):
        editions = [one.model_copy(update={"name": chosen}) for one in (before, after)]
        return edition_effect(*(Work.of(with_spec(site, one)) for one in editions))
    assert not isinstance(after, Spec)  # noqa: S101 - the cases above
    return edition_effect(work, Work.of(with_spec(site, move_on(site.specs[chosen], changes, after))))


def _effect_row(effect: EditionEffect) -> dict[str, Any]:
    from toolkit.cli._common import packet_row

    def flows(some: tuple[Flow, ...]) -> list[dict[str, Any]]:
        return [
            {
                "source": one.source.name,
                "destination": one.destination.name,
                "service": str(one.service),
                "requirements": list(one.requirements),
            }
            for one in some
        ]

    return {
        "risk": effect.risk.value,
        "flows": {"added": flows(effect.added), "removed": flows(effect.removed)},
        "devices": [
            {
                "device": one.device,
                "opens": one.opens,
                "closes": one.closes,
                "opened": packet_row(one.opened) if one.opened else None,
                "closed": packet_row(one.closed) if one.closed else None,
                "entries_added": one.entries_added,
                "entries_removed": one.entries_removed,
            }
            for one in effect.devices
        ],
    }


def _print_changes(changes: tuple[RequirementChange, ...]) -> None:
    for one in changes:
        lines = " -> ".join(f"line {', '.join(map(str, some))}" for some in (one.old_lines, one.new_lines) if some)
        place = f" ({lines})" if lines else ""
        if one.kind.value == "changed":
            print(f"changed  {one.id}{place}")
            for field, old, new in one.fields:
                print(f"           {field}: {old or '(none)'} -> {new or '(none)'}")
        else:
            print(f"{one.kind.value:8} {one.id}{place}: {', '.join(f'{f} {old or new}' for f, old, new in one.fields)}")
    if not changes:
        print("the editions ask for the same")


def _print_effect(effect: EditionEffect) -> None:
    print(f"\nflows: {len(effect.added)} more, {len(effect.removed)} fewer; risk: {effect.risk.value}")
    for sign, flows in (("+", effect.added), ("-", effect.removed)):
        alike: dict[tuple[str, str], list[Flow]] = {}
        for one in flows:
            alike.setdefault((str(one.service), ", ".join(one.requirements)), []).append(one)
        for (service, asked), some in alike.items():
            sources = ", ".join(dict.fromkeys(one.source.name for one in some))
            destinations = ", ".join(dict.fromkeys(one.destination.name for one in some))
            print(f"  {sign} {service} ({asked}), {len(some)} flows: from {sources} to {destinations}")
    for device in effect.devices:
        print(f"{device.device}: {device.entries_added} entries more, {device.entries_removed} fewer")
        for what, packet in (("opens", device.opened), ("closes", device.closed)):
            if packet is not None:
                print(f"  {what}, for example, {packet}")


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
