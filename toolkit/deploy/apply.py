"""Pushing a plan: canary, waves, read-back over a new session, proof, and automatic rollback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.deploy.inventory import results
from toolkit.deploy.journal import Journal, Step, lock
from toolkit.deploy.plan import check_certificate
from toolkit.deploy.session import end_session, load_filter, read_file, read_filter, run_command, save_startup
from toolkit.deploy.sessions import LIST_COMMAND, end_command, read_sessions
from toolkit.errors import DeployError, ToolkitError
from toolkit.platforms import get
from toolkit.render import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from nornir.core import Nornir
    from nornir.core.task import Result, Task

    from toolkit.deploy.plan import DeviceChange, Plan
    from toolkit.net import Packet
    from toolkit.paths import PathFinder
    from toolkit.platforms.base import CandidateConfig, FilterState
    from toolkit.site import Site


@dataclass(frozen=True, slots=True)
class Options:
    """How an apply behaves. `rehearsal` is for labs: the devices are simulated, so no certificate is asked for."""

    resume: bool = False
    without_lab: bool = False
    rehearsal: bool = False
    save: bool = True


@dataclass
class Outcome:
    """What an apply or rollback did."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    ended_sessions: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """The devices of a site, and how to judge them.

    `verify` gives the problems of a device's filter (none is good); `stale` says of the first packet of a
    session whether the new policy denies it on a device.
    """

    site: Site
    finder: PathFinder
    nornir: Nornir
    verify: Callable[[str, FilterState], Sequence[str]]
    stale: Callable[[str, Packet, FilterState], bool]

    def read(self, devices: Iterable[str], *, fresh: bool = False) -> dict[str, FilterState]:
        """Filters of devices, read in parallel; `fresh` opens new SSH sessions for it.

        Raises:
            DeployError: a device cannot be read, or its filter is not fully understood.
        """
        chosen = self.some(devices)
        if not chosen.inventory.hosts:
            return {}
        if fresh:
            for host in chosen.inventory.hosts.values():
                end_session(host)
        outputs = results(chosen.run(task=read_filter))
        return {
            device: get(str(chosen.inventory.hosts[device].platform)).parse_running(
                outputs[device], context(self.site, self.finder, device)
            )
            for device in devices
        }

    def some(self, devices: Iterable[str]) -> Nornir:
        """Nornir over some devices."""
        wanted = set(devices)
        return self.nornir.filter(filter_func=lambda host: host.name in wanted)

    def close(self) -> None:
        """End all sessions."""
        for host in self.nornir.inventory.hosts.values():
            end_session(host)


def apply(
    plan: Plan, folder: Path, target: Target, candidates: dict[str, CandidateConfig], options: Options
) -> Outcome:
    """Push a plan; `folder` is the plan's run folder, and the journal goes there.

    Raises:
        DeployError: refused (state moved, no certificate, too many devices), or failed and rolled back.
        LockedError: another apply is under way.
    """
    with lock(folder.parent, f"apply {plan.id}"):
        journal = Journal(folder)
        pusher = _Pusher(plan, folder, target, candidates, options, journal)
        pusher.allow()
        journal.write(
            "", "started", resume=options.resume, rehearsal=options.rehearsal, without_lab=options.without_lab
        )
        try:
            for wave in plan.waves:
                pusher.push([device for device in wave if not plan.change(device).is_empty])
        except (ToolkitError, KeyboardInterrupt) as caught:
            journal.write("", "stopped", reason=str(caught) or type(caught).__name__)
            pusher.undo()
            if isinstance(caught, KeyboardInterrupt):
                raise
            undone = ", ".join(pusher.outcome.rolled_back) or "nothing had been changed"
            raise type(caught)(f"{caught} (rolled back: {undone})") from caught
        pusher.outcome.unchanged = [c.device for c in plan.changes if c.device not in pusher.outcome.changed]
        journal.write("", "finished", changed=pusher.outcome.changed)
        return pusher.outcome


def rollback(plan: Plan, folder: Path, target: Target) -> Outcome:
    """Restore the first state of every device that the journal says was touched.

    Raises:
        DeployError: a device cannot be restored; the others are.
    """
    with lock(folder.parent, f"rollback {plan.id}"):
        pusher = _Pusher(plan, folder, target, {}, Options(), Journal(folder))
        pusher.undo()
        return pusher.outcome


class _Pusher:
    """One apply or rollback under way."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        target: Target,
        candidates: dict[str, CandidateConfig],
        options: Options,
        journal: Journal,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.target = target
        self.candidates = candidates
        self.options = options
        self.journal = journal
        self.outcome = Outcome()

    def allow(self) -> None:
        """All that can refuse a plan before the first device is asked."""
        deploy = self.target.site.file.deploy
        if len(self.plan.changed) > deploy.max_devices:
            raise DeployError(
                f"plan {self.plan.id} changes {len(self.plan.changed)} devices, the site allows {deploy.max_devices} "
                "at once (deploy.max_devices)"
            )
        if not (self.options.rehearsal or self.options.without_lab) and self.plan.changed:
            check_certificate(self.plan, self.folder, dict(deploy.min_level))
        touched = {d for d, step in self.journal.states().items() if step != Step.ROLLED_BACK}
        if touched and not self.options.resume and self._unfinished():
            raise DeployError(
                f"an earlier apply of plan {self.plan.id} did not finish; run: toolkit apply {self.plan.id} --resume, "
                f"or: toolkit rollback {self.plan.id}"
            )

    def _unfinished(self) -> bool:
        steps = [entry.step for entry in self.journal.entries() if not entry.device]
        return bool(steps) and steps[-1] not in ("finished", "rolled back", "stopped")

    # ---- forwards -------------------------------------------------------------------------

    def push(self, devices: Sequence[str]) -> None:
        """One wave: check that nothing moved, send, read back over a new session, prove, save."""
        waiting = [device for device in devices if not self._is_there(device)]
        if not waiting:
            return
        results(self.target.some(waiting).run(task=self._send))
        for device, state in self.target.read(waiting, fresh=True).items():
            self._check(device, state)
        self._end_sessions(waiting)
        if self.options.save:
            results(self.target.some(waiting).run(task=self._save))

    def _is_there(self, device: str) -> bool:
        """Whether a resumed device holds its candidate already; refuses a state that is neither old nor new."""
        change = self.plan.change(device)
        (now,) = self.target.read([device]).values()
        if now.fingerprint() == change.before:
            return False
        if self.options.resume and self._equals(device, now):
            self.journal.write(device, Step.SENT, resumed=True)
            self._check(device, now)
            return not self.options.save
        raise DeployError(
            f"{device} has changed since the plan was made; look at it with toolkit verify, then plan again"
        )

    def _equals(self, device: str, state: FilterState) -> bool:
        platform = get(self.plan.change(device).platform)
        return platform.change(self.candidates[device], state).is_empty

    def _send(self, task: Task) -> Result:
        from nornir.core.task import Result

        device = task.host.name
        change = self.plan.change(device)
        if Journal(self.folder).states().get(device) == Step.SENT and self.options.resume:
            return Result(host=task.host, changed=False)
        earlier = {path: read_file(task, path) for path in change.startup}
        self.journal.write(device, Step.SENDING, startup=earlier)
        loaded = load_filter(task, change.apply)
        self.journal.write(device, Step.SENT)
        self.outcome.changed.append(device)
        return loaded

    def _check(self, device: str, state: FilterState) -> None:
        if not self._equals(device, state):
            raise DeployError(f"{device} does not hold what was sent")
        problems = self.target.verify(device, state)
        if problems:
            raise DeployError(f"{device} does not do what its policy asks: {problems[0]}")
        self.journal.write(device, Step.VERIFIED)

    def _save(self, task: Task) -> Result:
        """Startup follows running only where it did before; otherwise saving would keep what nobody asked for."""
        device = task.host.name
        change = self.plan.change(device)
        before = self._before(change)
        usual = get(change.platform).startup(before)
        earlier = self._earlier_startup(device)
        if any(earlier.get(path) != text for path, text in usual.items()):
            self.outcome.notes.append(f"{device}: startup differed from running before, so it was not saved")
            return read_filter(task)
        self.journal.write(device, Step.SAVING)
        saved = save_startup(task, change.startup)
        self.journal.write(device, Step.SAVED)
        return saved

    def _end_sessions(self, devices: Sequence[str]) -> None:
        """End what is tracked but denied now; stateless devices track nothing."""
        stateful = [device for device in devices if self.target.site.topology.node(device).stateful]
        states = self.target.read(stateful)

        def end(task: Task) -> Result:
            from nornir.core.task import Result

            count = 0
            for packet in read_sessions(run_command(task, LIST_COMMAND)):
                if self.target.stale(task.host.name, packet, states[task.host.name]):
                    run_command(task, end_command(packet))
                    count += 1
            return Result(host=task.host, result=count, changed=bool(count))

        if stateful:
            self.outcome.ended_sessions += sum(results(self.target.some(stateful).run(task=end)).values())

    # ---- backwards ------------------------------------------------------------------------

    def undo(self) -> None:
        """Restore all touched devices, the last one first, on failed hosts too; then say what could not be."""
        self.target.nornir.data.reset_failed_hosts()
        states = self.journal.states()
        touched = [d for d, step in reversed(states.items()) if step != Step.ROLLED_BACK]
        problems = []
        for device in touched:
            try:
                self._restore(device)
                self.outcome.rolled_back.append(device)
            except ToolkitError as caught:
                problems.append(str(caught))
                self.journal.write(device, Step.FAILED, reason=str(caught))
        self.outcome.changed = [device for device in self.outcome.changed if device not in self.outcome.rolled_back]
        if problems:
            raise DeployError(f"not everything could be rolled back: {'; '.join(problems)}")
        self.journal.write("", "rolled back", devices=self.outcome.rolled_back)

    def _restore(self, device: str) -> None:
        change = self.plan.change(device)
        platform = get(change.platform)
        target = self._before(change)
        (now,) = self.target.read([device], fresh=True).values()
        self.journal.write(device, Step.ROLLING_BACK)
        script = platform.restore(target, now)
        results(self.target.some([device]).run(task=load_filter, text=script, on_failed=True))
        results(self.target.some([device]).run(task=save_startup, files=self._earlier_startup(device), on_failed=True))
        (now,) = self.target.read([device], fresh=True).values()
        if now.fingerprint() != change.before:
            raise DeployError(f"{device} is not back in its first state; somebody else has changed it meanwhile")
        self.journal.write(device, Step.ROLLED_BACK)

    def _before(self, change: DeviceChange) -> FilterState:
        path = self.folder / "before" / f"{change.device}.cfg"
        platform = get(change.platform)
        where = context(self.target.site, self.target.finder, change.device)
        return platform.parse_config(path.read_text(encoding="utf-8"), str(path), where, platform.empty(where))

    def _earlier_startup(self, device: str) -> dict[str, str | None]:
        """Startup files as they were before the first step, from the journal."""
        for entry in self.journal.entries():
            if entry.device == device and entry.step == Step.SENDING:
                return dict(entry.detail.get("startup", {}))
        return {}
