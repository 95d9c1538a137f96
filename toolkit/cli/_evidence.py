"""Evidence of a run, in `runs/<id>/`: `report.json` (values), `report.html`, `junit.xml`, `matrix.csv`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, Place
from toolkit.lab.timeline import Event
from toolkit.report.model import (
    AclRow,
    DeviceRow,
    EntryRow,
    FindingRow,
    RequirementRow,
    RunReport,
    Step,
    read_matrix,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolkit.cli._story import Story
    from toolkit.lab.matrix import Matrix
    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.services import ServiceStatus
    from toolkit.render.work import Work
    from toolkit.verify.live import Planned


def write_evidence(
    story: Story,
    work: Work,
    rehearsal: Rehearsal,
    planned: Planned,
    matrix: Matrix,
    services: list[ServiceStatus],
    certificate: Mapping[str, object] | None = None,
) -> Path:
    """Write the evidence of a rehearsal to the folder of its plan; returns the path of the page."""
    return write_run(
        planned.folder,
        f"Rehearsal of plan {planned.plan.id}",
        story,
        work,
        diffs={c.device: c.diff for c in planned.plan.changes},
        matrix=matrix,
        services=services,
        timings=rehearsal.timings.seconds,
        certificate=certificate,
    )


def write_run(
    folder: Path,
    title: str,
    story: Story,
    work: Work,
    *,
    diffs: Mapping[str, str],
    matrix: Matrix | None,
    services: list[ServiceStatus],
    timings: Mapping[str, float],
    certificate: Mapping[str, object] | None = None,
    timeline: tuple[Event, ...] = (),
) -> Path:
    """Write the evidence of a run to its folder; returns the path of the page."""
    from toolkit.report import pictures
    from toolkit.report.collect import device_rows, finding_rows, host_roles, limits, requirement_rows

    if matrix is not None:
        matrix.write_csv(folder / "matrix.csv")
    report = RunReport(
        title=title,
        site=work.site.name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        steps=tuple(Step(c.name, c.ok, "\n".join(c.lines), round(c.seconds, 2)) for c in story.chapters),
        findings=finding_rows(work.site, work.graph.findings, work.policy_findings),
        requirements=requirement_rows(work.site),
        pictures=(("Flows between roles", pictures.roles_picture(work.graph).svg),),
        devices=device_rows(work.site, work.policies, diffs),
        limits=limits(work.graph, work.policies, (*work.graph.findings, *work.policy_findings)),
        matrix=read_matrix(folder / "matrix.csv") if matrix is not None else (),
        roles=host_roles(work.site),
        services={one.name: one.detail for one in services},
        timings=dict(timings),
        certificate=dict(certificate or {}),
        timeline=timeline,
    )
    (folder / "report.json").write_text(json.dumps(asdict(report), ensure_ascii=False), encoding="utf-8")
    return write_pages(report, folder)


def write_pages(report: RunReport, folder: Path) -> Path:
    """Write `report.html` and `junit.xml`; returns the path of the page."""
    from toolkit.report.html import html_page
    from toolkit.report.junit import write_junit

    page = folder / "report.html"
    page.write_text(html_page(report), encoding="utf-8")
    write_junit(report, folder / "junit.xml")
    return page


def read_evidence(folder: Path) -> RunReport:
    """The values that a run left behind.

    Raises:
        InputError: the run has none, or they were damaged.
    """
    path = folder / "report.json"
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return RunReport(
            **{
                **body,
                "steps": tuple(Step(**row) for row in body["steps"]),
                "findings": tuple(FindingRow(**row) for row in body["findings"]),
                "requirements": tuple(
                    RequirementRow(**{**row, "notes": tuple(row["notes"])}) for row in body["requirements"]
                ),
                "pictures": tuple((title, svg) for title, svg in body["pictures"]),
                "devices": tuple(_device(row) for row in body["devices"]),
                "limits": tuple(body["limits"]),
                "matrix": tuple(body["matrix"]),
                "timeline": tuple(Event(**row) for row in body.get("timeline", ())),
            }
        )
    except FileNotFoundError:
        raise InputError(
            "this run left no report; run toolkit lab run or toolkit demo", place=Place(str(path))
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as caught:
        raise InputError(f"cannot be read: {caught}", place=Place(str(path))) from None


def _device(row: dict[str, Any]) -> DeviceRow:
    acls = tuple(
        AclRow(
            **{**acl, "entries": tuple(EntryRow(**{**e, "citations": tuple(e["citations"])}) for e in acl["entries"])}
        )
        for acl in row["acls"]
    )
    return DeviceRow(**{**row, "acls": acls})
