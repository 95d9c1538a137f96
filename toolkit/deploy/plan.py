"""A plan: what would be sent to each device, in which waves, and how to undo it. It sends nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toolkit import __version__
from toolkit.errors import DeployError, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from toolkit.platforms.base import ChangeSet, FilterState
    from toolkit.render import Rendered
    from toolkit.site import Site

LEVELS = ("policy", "twin", "os")  # from weak to strong


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """The change of one device. Texts are what the platform loads; `before` is the fingerprint of its filter.

    `note` says for people what was chosen about the way it commits, where there was a choice.
    """

    device: str
    platform: str
    before: str
    candidate: str
    apply: str
    rollback: str
    startup: dict[str, str | None]
    diff: str
    confirm: str = ""
    save: str = ""
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs to be sent."""
        return not self.apply


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan and its identity. `waves` are lists of devices, the canary first; `order` says why, if computed."""

    id: str
    site: str
    phase: str
    version: str
    fingerprint: str
    waves: tuple[tuple[str, ...], ...]
    changes: tuple[DeviceChange, ...]
    order: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """Devices that would change."""
        return tuple(change.device for change in self.changes if not change.is_empty)

    def change(self, device: str) -> DeviceChange:
        """The change of a device.

        Raises:
            DeployError: the plan does not hold the device; the message lists those that it holds.
        """
        for change in self.changes:
            if change.device == device:
                return change
        held = ", ".join(change.device for change in self.changes)
        raise DeployError(f"plan {self.id} holds no device {device!r} (devices: {held})")


def make_plan(
    site: Site,
    rendered: Mapping[str, Rendered],
    running: Mapping[str, FilterState],
    changes: Mapping[str, ChangeSet],
    notes: Mapping[str, str] | None = None,
    waves: tuple[tuple[str, ...], ...] | None = None,
    order: tuple[str, ...] = (),
) -> Plan:
    """Bind the changes of all devices to the states they start from; `waves` are the site's own unless given.

    The fingerprint is over specs, topology, candidates and running states; the ID is its beginning.
    """
    rows = tuple(
        DeviceChange(
            device=device,
            platform=one.candidate.platform,
            before=running[device].fingerprint(),
            candidate=one.candidate.text,
            apply=changes[device].apply,
            rollback=changes[device].rollback,
            startup=dict(changes[device].startup),
            diff=changes[device].diff,
            confirm=changes[device].confirm,
            save=changes[device].save,
            note=(notes or {}).get(device, ""),
        )
        for device, one in rendered.items()
    )
    digest = _digest(site, rows)
    return Plan(
        id=digest[:12],
        site=site.name,
        phase=site.file.settings.phase,
        version=__version__,
        fingerprint=digest,
        waves=_waves(site, [row.device for row in rows], site.file.deploy.waves if waves is None else waves),
        changes=rows,
        order=order,
    )


def _digest(site: Site, rows: Iterable[DeviceChange]) -> str:
    identity = {
        "site": site.file.model_dump(mode="json"),
        "specs": [spec.model_dump(mode="json") for spec in site.specs.values()],
        "topology": [str(node) for node in site.topology.nodes.values()],
        "changes": [(row.device, row.before, row.candidate) for row in rows],
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def check_current(plan: Plan, site: Site) -> None:
    """Refuse a plan that was made from another spec, topology or toolkit than today's.

    Raises:
        DeployError: it was; says what to do.
    """
    if plan.version != __version__:
        raise DeployError(f"plan {plan.id} was made by toolkit {plan.version}, this is {__version__}; plan again")
    if _digest(site, plan.changes) != plan.fingerprint:
        raise DeployError(f"the specs or the inventory changed since plan {plan.id} was made; plan again")


def _waves(site: Site, devices: list[str], wanted: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Canary, then the waves that are wanted, then all others together; each device once. Groups are spelled out."""
    left = dict.fromkeys(devices)
    waves = []
    for wave in (site.file.deploy.canary, *wanted, tuple(devices)):
        called = (one for name in wave for one in ((name,) if name in devices else site.topology.called(name)))
        now = tuple(dict.fromkeys(device for device in called if device in left))
        for device in now:
            del left[device]
        if now:
            waves.append(now)
    return tuple(waves)


def save(plan: Plan, runs: Path, running: Mapping[str, FilterState]) -> Path:
    """Write a plan to `runs/<id>/`, with the texts before and after; returns the folder."""
    folder = runs / plan.id
    for name in ("before", "after"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for change in plan.changes:
        (folder / "before" / f"{change.device}.cfg").write_text(running[change.device].text(), encoding="utf-8")
        (folder / "after" / f"{change.device}.cfg").write_text(change.candidate, encoding="utf-8")
    # Last, and in one step: a folder with a plan in it is complete.
    new = folder / "plan.json.new"
    new.write_text(json.dumps(asdict(plan), indent=2) + "\n", encoding="utf-8")
    new.replace(folder / "plan.json")
    return folder


def load(runs: Path, identifier: str) -> Plan:
    """Read a plan.

    Raises:
        DeployError: there is none of this ID (the message lists those that exist), or it was damaged.
    """
    path = runs / identifier / "plan.json"
    if not path.is_file():
        known = sorted(one.parent.name for one in runs.glob("*/plan.json"))
        raise DeployError(f"no plan {identifier!r} (plans: {', '.join(known) or 'none; make one with toolkit plan'})")
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        body["changes"] = tuple(DeviceChange(**change) for change in body["changes"])
        body["waves"] = tuple(tuple(wave) for wave in body["waves"])
        body["order"] = tuple(body.get("order", ()))
        return Plan(**body)
    except (ValueError, TypeError, KeyError) as caught:
        raise DeployError(f"the plan was damaged: {caught}", place=Place(str(path))) from None


# ---- certificates ----------------------------------------------------------------------------


def certify(plan: Plan, levels: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Write a lab certificate for a plan: what was rehearsed, from where, and how real each device was.

    It goes to the folder of the plan's own run, beside the plan.
    """
    certificate = {
        "plan": plan.id,
        "fingerprint": plan.fingerprint,
        "phase": plan.phase,
        "version": plan.version,
        "levels": dict(levels),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "certificate.json").write_text(json.dumps(certificate, indent=2) + "\n", encoding="utf-8")
    return certificate


def check_certificate(plan: Plan, folder: Path, minimum: Mapping[str, str]) -> None:
    """Refuse a plan that no lab has rehearsed well enough.

    Raises:
        DeployError: no certificate, one of another plan, or a level below the site's `min_level`.
    """
    path = folder / "certificate.json"
    advice = f"rehearse it with: toolkit lab run --plan {plan.id}, or push it with --without-lab"
    if not path.is_file():
        raise DeployError(f"plan {plan.id} has no lab certificate; {advice}")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        bound = (body["fingerprint"], body["phase"], body["version"])
        levels = dict(body["levels"])
    except (ValueError, TypeError, KeyError) as caught:
        raise DeployError(f"the lab certificate was damaged ({caught}); {advice}", place=Place(str(path))) from None
    if bound != (plan.fingerprint, plan.phase, plan.version):
        raise DeployError(f"the lab certificate is for another plan, phase or version; {advice}")
    for change in plan.changes:
        needed = minimum.get(change.platform, LEVELS[0])
        level = levels.get(change.device, "none")
        if level not in LEVELS or LEVELS.index(level) < LEVELS.index(needed):
            raise DeployError(
                f"{change.device} was rehearsed at level {level!r}, the site asks for {needed!r}; {advice}"
            )
