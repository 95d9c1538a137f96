"""`toolkit render`: the configuration of each device, exactly as it would be sent."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli._common import Work, inventory_option, jobs_option, json_option, note, print_findings, print_json
from toolkit.cli._sizes import sizes_option


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write one DIR/<device>.cfg each."
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write complete configurations and hosts for an analyser such as Batfish to DIR.",
)
@sizes_option
@jobs_option
@inventory_option
@json_option
def render(inventory: Path, output: Path | None, snapshot: Path | None, sizes: bool, jobs: int, as_json: bool) -> None:
    """Render the ACLs of every device; each one is read back and proved before it is shown.

    With -o it then says how many entries each device gets, against what it holds (filter.capacity of the device, or
    deploy.capacity of its platform in site.yaml).
    """
    from toolkit.cli._sizes import print_sizes
    from toolkit.render.existing import existing_findings
    from toolkit.render.sizes import device_sizes
    from toolkit.render.snapshot import write_snapshot

    work = Work(inventory, workers=jobs)
    rendered = work.rendered
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for device, one in rendered.items():
            (output / f"{device}.cfg").write_text(one.candidate.text, encoding="utf-8")
    if snapshot is not None:
        left_out = write_snapshot(work.site, rendered, snapshot)
        note(f"{snapshot}: {len(rendered) - len(left_out)} devices, {len(work.site.topology.hosts)} hosts")
        for device in left_out:
            note(f"{device}: left out, since analysers do not read {rendered[device].candidate.platform}")
    if as_json:
        print_json({"devices": [_row(work, device) for device in rendered], "output": str(output) if output else None})
        return
    for device, one in rendered.items():
        if output is None and snapshot is None:
            print(f"# ---- {device} ({one.candidate.platform}, {one.policy.ownership.value})\n{one.candidate.text}")
        elif output is not None:
            entries = sum(len(acl.entries) for acl in one.policy.acls)
            note(f"{output / device}.cfg: {len(one.policy.acls)} ACLs, {entries} entries, proved")
    if output is not None or sizes:
        print_sizes([device_sizes(one) for one in rendered.values()], every_list=sizes)
    print_findings((*work.policy_findings, *existing_findings(rendered.values())))


def _row(work: Work, device: str) -> dict[str, object]:
    from toolkit.render.sizes import device_sizes

    one = work.rendered[device]
    return {
        "device": device,
        "platform": one.candidate.platform,
        "mode": one.policy.ownership.value,
        "acls": list(one.candidate.acls),
        "bindings": {interface: list(names) for interface, names in one.candidate.bindings.items()},
        "entries": sum(len(acl.entries) for acl in one.policy.acls),
        "sizes": device_sizes(one).row(),
    }
