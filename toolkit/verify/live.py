"""The chain on live devices: the target that judges them, their running states, a plan from these."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.deploy import Connection, Target, check_routes, choose_timers, make_plan, open_nornir, save_plan
from toolkit.errors import InputError
from toolkit.platforms import get
from toolkit.platforms.base import ConnState
from toolkit.render import context
from toolkit.render.proof import prove
from toolkit.render.spread import RenderJob, processes, render_jobs, render_spread
from toolkit.verify.ordering import Ordering, check_order
from toolkit.verify.sides import initiations, path_sides
from toolkit.verify.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolkit.deploy import Plan
    from toolkit.net import Packet
    from toolkit.packets import PacketSet
    from toolkit.platforms.base import FilterState
    from toolkit.render import Rendered
    from toolkit.render.work import Work

RUNS = Path("runs")


def login() -> Connection:
    """How to log in, where the environment says so: TOOLKIT_USER, TOOLKIT_KEY_FILE, TOOLKIT_KNOWN_HOSTS.

    TOOLKIT_ADDRESSES (`leaf1=192.0.2.1:22,leaf2=...`) names where to call devices instead of the inventory's addresses.

    Raises:
        InputError: TOOLKIT_ADDRESSES is not written like that.
    """
    key, known = os.environ.get("TOOLKIT_KEY_FILE"), os.environ.get("TOOLKIT_KNOWN_HOSTS")
    return Connection(
        os.environ.get("TOOLKIT_USER"),
        Path(key) if key else None,
        Path(known) if known else None,
        addresses=_addresses(os.environ.get("TOOLKIT_ADDRESSES", "")),
    )


def _addresses(text: str) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for part in filter(None, text.split(",")):
        shape = re.fullmatch(r"\s*([^=\s]+)=([^=:\s]+):(\d{1,5})\s*", part)
        if shape is None:
            raise InputError(f"TOOLKIT_ADDRESSES: {part!r} is not written as device=address:port")
        found[shape[1]] = shape[2], int(shape[3])
    return found


@dataclass(frozen=True)
class Planned:
    """A plan with what it was made from."""

    plan: Plan
    folder: Path
    running: Mapping[str, FilterState]
    rendered: Mapping[str, Rendered]


def make_target(work: Work, connection: Connection | None = None) -> Target:
    """The devices of a site, judged by the policy of the site."""

    def verify(device: str, state: FilterState) -> Sequence[str]:
        proof = prove(work.policies[device], state, state.without_owned(), work.space)
        return [str(witness) for witness in proof.witnesses]

    scopes: dict[str, PacketSet] = {}

    def stale(device: str, packet: Packet, state: FilterState) -> bool:
        policy = work.policies[device]
        if device not in scopes:
            scopes[device] = work.space.union(policy.scope)
        if packet not in scopes[device]:
            return False
        decisions = [state.decide(acl.interface, packet, ConnState.NEW) for acl in policy.acls]
        return all(one.action == "deny" for one in decisions)

    return Target(work.site, work.finder, open_nornir(work.site, connection=connection or login()), verify, stale)


def read_states(work: Work, connection: Connection | None = None) -> Mapping[str, FilterState]:
    """Running filters of all devices.

    Raises:
        DeployError: a device cannot be read.
    """
    target = make_target(work, connection)
    try:
        return target.read(work.policies)
    finally:
        target.close()


def _render(work: Work, running: Mapping[str, FilterState]) -> Mapping[str, Rendered]:
    """Candidates against what the devices have, without what is ours."""
    jobs = [
        RenderJob(context(work.site, work.finder, device), policy, running[device].without_owned())
        for device, policy in work.policies.items()
    ]
    with processes(work.workers) as executor:
        if executor is not None:
            return render_spread(executor, jobs, work.workers)
    return {one.policy.device: one for one in render_jobs(jobs, work.space)}


def plan_change(work: Work, target: Target, runs: Path = RUNS) -> Planned:
    """Read the devices, render against what they have, and bind the difference into a saved plan.

    Raises:
        DeployError: a device cannot be read, or routes otherwise than the inventory declares; or the waves would
            open something for a while.
        PolicyError: a policy cannot be enforced as the device is owned.
    """
    running = target.read(work.policies)
    check_routes(target)
    rendered = _render(work, running)
    changes = {
        device: get(one.candidate.platform).change(one.candidate, running[device]) for device, one in rendered.items()
    }
    changes, notes = choose_timers(target, changes)
    after = {device: one.after for device, one in rendered.items()}
    policies = Ways(work.finder, work.policies, after, running, work.space)
    ordering = Ordering(
        work.finder, running, after, lambda host: policies.towards(work.site, host), work.space, work.ordinary
    )
    sides = None
    if work.site.file.deploy.by == "path_side":
        changed = [device for device, change in changes.items() if not change.is_empty]
        sides = path_sides(ordering, changed, initiations(work.space, work.site.client_ports))
    waves, reasons = (sides.waves, sides.reasons) if sides else (None, ())
    plan = make_plan(work.site, rendered, running, changes, notes, waves, reasons)
    changing = (tuple(device for device in wave if device in plan.changed) for wave in plan.waves)
    check_order(ordering, tuple(wave for wave in changing if wave))
    return Planned(plan, save_plan(plan, runs, running), running, rendered)
