"""Pushing a plan: canary, waves, read-back over a new session, proof, and automatic rollback."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.deploy.cli_session import BusyError
from toolkit.deploy.dialects import SESSION, dialect
from toolkit.deploy.inventory import failures
from toolkit.deploy.journal import BACK, FINISHED, STARTED, STOPPED, Journal, Step, lock
from toolkit.deploy.moments import check_moments, half_way
from toolkit.deploy.plan import check_certificate, check_current
from toolkit.deploy.session import (
    confirm_change,
    discard_sessions,
    load_filter,
    read_file,
    read_filter,
    save_startup,
    startup_differs,
)
from toolkit.deploy.sessions import check_tracking, end_denied
from toolkit.deploy.timers import check_timer
from toolkit.errors import DeployError, DeviceError, ProofError, ToolkitError
from toolkit.platforms import get
from toolkit.render import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from nornir.core.task import Result, Task

    from toolkit.deploy.plan import DeviceChange, Plan
    from toolkit.deploy.target import Target
    from toolkit.platforms.base import CandidateConfig, FilterState

DONE: Final = (Step.VERIFIED, Step.SAVING, Step.SAVED)
UNSETTLED: Final = (Step.SENDING, Step.SENT, Step.CONFIRMING, Step.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class Options:
    """How an apply behaves.

    `rehearsal` is for labs: the devices are simulated, so no certificate is asked for, journal and lock are the lab's
    own, and one that a killed lab left unfinished does not matter. `without_lab` is kept in the journal. `save` writes
    the startup files after verification, but not where startup differed from running before: saving would keep what
    nobody asked for. `save_anyway` asks for it. `told` hears of each line of the journal, from its writer's thread.
    """

    resume: bool = False
    without_lab: bool = False
    rehearsal: bool = False
    save: bool = True
    save_anyway: bool = False
    told: Callable[[str, str], None] | None = None


DEFAULT: Final = Options()


class MovedError(DeployError):
    """Somebody else changed a device right before its first line, so nothing was sent to it."""


@dataclass
class Outcome:
    """What an apply or rollback did. `changed` are the devices that something was sent to, this time."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    ended_sessions: int = 0
    notes: list[str] = field(default_factory=list)


def apply(
    plan: Plan, folder: Path, target: Target, candidates: Mapping[str, CandidateConfig], options: Options
) -> Outcome:
    """Push a plan; `folder` is the plan's run folder, and the journal goes there.

    Everything that can refuse the plan is asked before the first line is sent. What goes wrong later, Ctrl-C included,
    stops the apply and rolls back every device that was touched, the last wave first.

    Raises:
        DeployError: refused (state moved, no certificate, too many devices), or failed and rolled back.
        DeviceError: a device does not answer or rejects a line; rolled back.
        ProofError: a device does not do what its policy asks; rolled back.
        LockedError: another apply is under way.
    """
    with lock(folder if options.rehearsal else folder.parent, f"apply {plan.id}"):
        journal = Journal(folder, rehearsal=options.rehearsal, told=options.told)
        pusher = _Pusher(plan, folder, target, candidates, options, journal)
        pusher.allow()
        flags = {"resume": options.resume, "rehearsal": options.rehearsal, "without_lab": options.without_lab}
        journal.write("", STARTED, plan=plan.fingerprint, version=plan.version, **flags)
        try:
            for wave in plan.waves:
                pusher.push([device for device in wave if not plan.change(device).is_empty])
            if options.save:
                pusher.save()
        except (Exception, KeyboardInterrupt) as caught:  # whatever went wrong, no device is left half-way
            journal.write("", STOPPED, reason=str(caught) or type(caught).__name__)
            undone = pusher.undo(because=caught)
            if not isinstance(caught, ToolkitError):
                caught.add_note(f"rolled back: {undone}")
                raise
            kind = type(caught) if isinstance(caught, DeployError | ProofError) else DeployError
            raise kind(f"{caught} (rolled back: {undone})") from caught
        pusher.outcome.unchanged = [c.device for c in plan.changes if c.device not in pusher.outcome.changed]
        journal.write("", FINISHED, changed=pusher.outcome.changed)
        return pusher.outcome


def rollback(plan: Plan, folder: Path, target: Target, options: Options = DEFAULT) -> Outcome:
    """Restore the first state of every device that the journal says was touched, and prove it by fingerprint.

    Of the options only `rehearsal` matters: it says that the target is a lab.

    Raises:
        DeployError: a device cannot be restored; the others are.
        LockedError: an apply is under way.
    """
    with lock(folder if options.rehearsal else folder.parent, f"rollback {plan.id}"):
        journal = Journal(folder, rehearsal=options.rehearsal, told=options.told)
        journal.write("", "rollback started")
        pusher = _Pusher(plan, folder, target, {}, options, journal)
        pusher.undo()
        return pusher.outcome


class _Pusher:
    """One apply or rollback under way."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        target: Target,
        candidates: Mapping[str, CandidateConfig],
        options: Options,
        journal: Journal,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.target = target
        self.candidates = candidates
        self.options = options
        self.journal = journal
        self.steps = journal.states()  # as they were when this began
        self.outcome = Outcome()

    def allow(self) -> None:
        """All that can refuse a plan before the first line is sent.

        Raises:
            DeployError: it is refused; says why and what to do.
        """
        plan, deploy = self.plan, self.target.site.file.deploy
        check_current(plan, self.target.site)
        if len(plan.changed) > deploy.max_devices:
            raise DeployError(
                f"plan {plan.id} changes {len(plan.changed)} devices, the site allows {deploy.max_devices} "
                "at once (deploy.max_devices)"
            )
        if not (self.options.rehearsal or self.options.without_lab) and plan.changed:
            check_certificate(plan, self.folder, dict(deploy.min_level))
        if self.journal.unfinished and not (self.options.resume or self.options.rehearsal):
            raise DeployError(
                f"an earlier apply of plan {plan.id} did not finish; run: toolkit apply {plan.id} --resume, "
                f"or: toolkit rollback {plan.id}"
            )
        for device, state in self.target.read(plan.changed).items():
            self._must_send(device, state)
            change = plan.change(device)
            if state.fingerprint() == change.before:
                check_moments(change, get(change.platform), state)
        check_tracking(self.target, self._platforms(plan.changed))

    # ---- forwards -------------------------------------------------------------------------

    def push(self, devices: Sequence[str]) -> None:
        """One wave: check that nothing moved, send, read back over new sessions, prove, confirm, end old sessions."""
        self.target.run(devices, self._send)
        states = self.target.read(devices, fresh=True)
        for device, state in states.items():
            self._check(device, state)
        steps = self.journal.states()
        new = {device: state for device, state in states.items() if steps.get(device) not in DONE}
        timed = [device for device in new if self.plan.change(device).confirm]
        self.target.run(timed, self._confirm)
        for device, state in self.target.read(timed).items():
            if not self._equals(device, state):
                raise DeviceError(f"{device} went back by itself: its timer ran out before the change was confirmed")
        self.outcome.ended_sessions += end_denied(self.target, self._platforms(new), new)
        for device in new:
            self.journal.write(device, Step.VERIFIED)

    def save(self) -> None:
        """Startup files of every device of the plan, when all of them are verified."""
        steps = self.journal.states()
        self.target.run([device for device in self.plan.changed if steps.get(device) != Step.SAVED], self._save)

    def _must_send(self, device: str, state: FilterState) -> bool:
        """Whether a device still waits for its change: it is as when the plan was made.

        Raises:
            DeployError: it is neither that, nor what this plan has made of it.
        """
        if state.fingerprint() == self.plan.change(device).before:
            return True
        touched = self.steps.get(device, Step.ROLLED_BACK) != Step.ROLLED_BACK
        if touched and self._equals(device, state):
            return False
        if self._half_way(device, state):
            return True
        raise DeployError(
            f"{device} has changed since the plan was made; look at it with toolkit verify, then plan again"
        )

    def _half_way(self, device: str, state: FilterState) -> bool:
        """Whether an interrupted push or rollback of ours has left a device between two lines."""
        change, step = self.plan.change(device), self.steps.get(device)
        platform = get(change.platform)
        if step == Step.SENDING:
            return half_way(change, platform, self._before(change), state)
        return platform.transport == "cli" and step == Step.ROLLING_BACK

    def _equals(self, device: str, state: FilterState) -> bool:
        platform = get(self.plan.change(device).platform)
        return platform.change(self.candidates[device], state).is_empty

    def _send(self, task: Task) -> Result:
        """Read the device again right before its first line, then send; the journal knows before the device does."""
        from nornir.core.task import Result

        device = str(task.host.name)
        change = self.plan.change(device)
        state = self.target.parse(device, read_filter(task).result)
        if not self._must_send(device, state):
            return Result(host=task.host, changed=False)
        if self.steps.get(device) in UNSETTLED:
            self._settle(task, change)
        if state.fingerprint() != change.before:
            self._back_to_first(task, change, state)
        check_timer(task, change.apply)
        earlier = {path: read_file(task, path) for path in change.startup}
        self.journal.write(device, Step.SENDING, startup=earlier, startup_differs=startup_differs(task))
        try:
            self._look_again(task, change)
            loaded = load_filter(task, change.apply)
        except (BusyError, MovedError) as caught:
            # Its own timer or session is none of ours: nothing may be typed to undo what was never sent.
            self.journal.write(device, Step.ROLLED_BACK, reason=str(caught))
            raise
        self.journal.write(device, Step.SENT)
        self.outcome.changed.append(device)
        return loaded

    def _look_again(self, task: Task, change: DeviceChange) -> None:
        """Configurations have been compared since a device with a command line was read: is it still as it was?

        Raises:
            MovedError: somebody was faster; nothing was sent.
        """
        if get(change.platform).transport == "cli":
            state = self.target.parse(change.device, read_filter(task).result)
            if state.fingerprint() != change.before:
                raise MovedError(f"{change.device} has changed this moment, nothing was sent to it; plan again")

    def _confirm(self, task: Task) -> Result:
        """Keep a timed commit, now that the device is proved and was reached over a new session."""
        device = str(task.host.name)
        change = self.plan.change(device)
        again = self.journal.states().get(device) == Step.CONFIRMING
        self.journal.write(device, Step.CONFIRMING)
        try:
            return confirm_change(task, change.confirm)
        except DeviceError:
            # Where it had been confirmed just before a crash, the device knows of nothing to confirm any more.
            if not again:
                raise
            self._check(device, self.target.parse(device, read_filter(task, fresh=True).result))
            return confirm_change(task, "")

    def _check(self, device: str, state: FilterState) -> None:
        if not self._equals(device, state):
            raise DeviceError(f"{device} does not hold what was sent")
        problems = self.target.verify(device, state)
        if problems:
            raise ProofError(f"{device} does not do what its policy asks: {problems[0]}")

    def _save(self, task: Task) -> Result:
        from nornir.core.task import Result

        device = str(task.host.name)
        change = self.plan.change(device)
        if self._startup_differed(change) and not self.options.save_anyway:
            self.outcome.notes.append(f"{device}: startup differed from running before, so it was not saved")
            return Result(host=task.host, changed=False)
        self.journal.write(device, Step.SAVING)
        saved = save_startup(task, change.startup, change.save)
        self.journal.write(device, Step.SAVED)
        return saved

    def _startup_differed(self, change: DeviceChange) -> bool:
        """Whether a device would have booted with something else than it ran, before anything was sent."""
        platform = get(change.platform)
        sent = self.journal.since_sending(change.device)
        if platform.transport == "cli":
            return bool(change.save) and bool(sent) and bool(sent[0].detail.get("startup_differs", True))
        earlier = self.journal.startup_before(change.device)
        return any(earlier.get(path) != text for path, text in platform.startup(self._before(change)).items())

    def _platforms(self, devices: Iterable[str]) -> dict[str, str]:
        return {device: self.plan.change(device).platform for device in devices}

    # ---- backwards ------------------------------------------------------------------------

    def undo(self, because: BaseException | None = None) -> str:
        """Restore all touched devices, the last wave first, on failed hosts too; returns their names, for people.

        Raises:
            DeployError: some could not be restored; the others are. Also says why this became necessary.
        """
        touched = {device for device, step in self.journal.states().items() if step != Step.ROLLED_BACK}
        problems = []
        for wave in reversed(self.plan.waves):
            devices = [device for device in wave if device in touched]
            errors = failures(self.target.outcome(devices, self._restore)) if devices else {}
            for device, caught in errors.items():
                problems.append(str(caught))
                self.journal.write(device, Step.FAILED, reason=str(caught))
            self.outcome.rolled_back += [device for device in devices if device not in errors]
        self.outcome.changed = [device for device in self.outcome.changed if device not in self.outcome.rolled_back]
        if problems:
            reason = f"{because}; " if because is not None else ""
            advice = f"when that is settled, run: toolkit rollback {self.plan.id}"
            raise DeployError(f"{reason}not everything could be rolled back: {'; '.join(problems)}; {advice}")
        self.journal.write("", BACK, devices=self.outcome.rolled_back)
        return ", ".join(self.outcome.rolled_back) or "nothing had been changed"

    def _restore(self, task: Task) -> Result:
        from nornir.core.task import Result

        device = str(task.host.name)
        change = self.plan.change(device)
        self.journal.write(device, Step.ROLLING_BACK)
        self._settle(task, change)
        now = self.target.parse(device, read_filter(task).result)
        self._back_to_first(task, change, now)
        # Saved again only where it was saved: what else differs from the startup configuration stays unsaved.
        saved = {one.step for one in self.journal.since_sending(device)} & {Step.SAVING, Step.SAVED}
        save_startup(task, self.journal.startup_before(device), change.save if saved else "")
        self.journal.write(device, Step.ROLLED_BACK)
        return Result(host=task.host, changed=now.fingerprint() != change.before)

    def _settle(self, task: Task, change: DeviceChange) -> None:
        """End what a broken push has left open, so that no timer fires into what comes next."""
        discard_sessions(task, change.apply)
        done = {one.step for one in self.journal.since_sending(change.device)}
        # A named session has been thrown away by its name, timer and all.
        if change.confirm and Step.VERIFIED not in done and not SESSION.search(change.apply):
            if dialect(get(change.platform).netmiko_driver).candidate:
                state = self.target.parse(change.device, read_filter(task).result)
                if state.fingerprint() == change.before:
                    return  # nothing of ours was committed, and a timer that runs is somebody else's
            with suppress(DeviceError):  # nothing may wait there
                confirm_change(task, change.confirm)

    def _back_to_first(self, task: Task, change: DeviceChange, now: FilterState) -> None:
        """What is ours, as it was before the plan.

        Raises:
            DeployError: somebody else's part is no longer as it was.
        """
        load_filter(task, get(change.platform).restore(self._before(change), now))
        now = self.target.parse(change.device, read_filter(task, fresh=True).result)
        if now.fingerprint() != change.before:
            raise DeployError(f"{change.device} is not back in its first state; somebody else has changed it meanwhile")

    def _before(self, change: DeviceChange) -> FilterState:
        path = self.folder / "before" / f"{change.device}.cfg"
        platform = get(change.platform)
        where = context(self.target.site, self.target.finder, change.device)
        return platform.parse_config(path.read_text(encoding="utf-8"), str(path), where, platform.empty(where))
