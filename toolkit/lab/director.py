"""Carrying out a scenario in a lab that is up: what was done, what was expected, what was seen, as a time line."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from toolkit.deploy import Journal
from toolkit.errors import LabError, ToolkitError
from toolkit.lab.faults import Faults
from toolkit.lab.images import publish, pull
from toolkit.lab.kept import KeptSession, OneConnection
from toolkit.lab.pushing import push
from toolkit.lab.scenario import UNTOUCHED, cell
from toolkit.lab.timeline import Event
from toolkit.net import Verdict
from toolkit.platforms import get
from toolkit.render.work import Work
from toolkit.verify import verify_live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Address
    from pathlib import Path

    from toolkit.lab.heartbeat import Heartbeat
    from toolkit.lab.matrix import Matrix
    from toolkit.lab.pushing import Pushed
    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.scenario import Action, Expect, Image, Push, Scenario, ScenarioStep, Serve, Server, Session
    from toolkit.lab.scenario import Tracked as TrackedSessions
    from toolkit.verify.live import Planned

LOOKS: Final = 4.0  # seconds for what must be open
PATIENCE: Final = 15.0  # seconds until what is expected must be seen
PAUSE: Final = 0.05
HEARTBEAT: Final = 0.3  # seconds of other people's traffic before and after what is done
REGISTRY: Final = "registry"

Seen = tuple[bool, str]  # whether it is as expected, and what was seen


class Director:
    """One scenario in one lab; a context manager that ends what the scenario left running."""

    def __init__(self, rehearsal: Rehearsal, scenario: Scenario, folder: Path) -> None:
        self.rehearsal = rehearsal
        self.scenario = scenario
        self.folder = folder
        self.faults = Faults(rehearsal.lab, rehearsal.services, rehearsal.failover)
        self.events: list[Event] = []
        self.planned: Planned | None = None
        self.plans: list[Planned] = []
        self.matrix: Matrix | None = None
        self._pushed: Pushed | None = None
        self._pulled: Seen | None = None
        self._sessions: dict[str, KeptSession] = {}
        self._heartbeat: Heartbeat | None = None
        self._start = time.perf_counter()

    def __enter__(self) -> Director:  # noqa: PYI034 - subclassing is not meant
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions.values():
            session.close()
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def step(self, step: ScenarioStep) -> bool:
        """Do a step and look; False when something expected was not seen.

        Raises:
            ToolkitError: something could not be done.
        """
        begun = len(self.events)
        for action in step.do:
            second = self._now()
            try:
                seen = self._do(action)
            except ToolkitError as caught:
                self.events.append(Event(second, step.at, "do", str(action), f"could not be done: {caught}", ok=False))
                raise
            self.events.append(Event(second, step.at, "do", str(action), seen, ok=True))
        for expected in step.expect:
            second = self._now()
            ok, seen = self._expect(expected)
            self.events.append(Event(second, step.at, "expect", str(expected), seen, ok))
        return all(event.ok for event in self.events[begun:])

    def rows(self) -> list[dict[str, Any]]:
        """The time line as plain values."""
        return [asdict(event) for event in self.events]

    def _now(self) -> float:
        return round(time.perf_counter() - self._start, 2)

    # ---- doing ------------------------------------------------------------------------------

    def _do(self, action: Action) -> str:
        own: dict[str, Callable[[Any], str]] = {
            "settings": self._settings,
            "push": self._push,
            "rollback": self._rollback,
            "publish": self._publish,
            "pull": self._pull,
            "serve": self._serve,
            "open": self._open,
            "watch": self._watch,
        }
        return own[action.key](action.value) if action.key in own else self.faults.apply(action)

    def _settings(self, changed: Mapping[str, object]) -> str:
        work = self.rehearsal.work
        self.rehearsal.switch(Work(work.folder, {**work.settings, **changed}))
        self.planned = None
        return ""

    def _push(self, how: Push) -> str:
        if not how.resume or self.planned is None:
            self.planned = self.rehearsal.make_plan()
            self.plans.append(self.planned)
        self._pushed = push(self.rehearsal, self.planned, how, self.faults.apply)
        return f"plan {self.planned.plan.id} {self._pushed.end}: {self._pushed.detail}"

    def _rollback(self, _: object) -> str:
        outcome = self.rehearsal.rollback(self._last_plan())
        return f"plan {self._last_plan().plan.id}: restored {', '.join(outcome.rolled_back) or 'nothing'}"

    def _last_plan(self) -> Planned:
        if self.planned is None:
            raise LabError("there is no plan yet; push one first")
        return self.planned

    def _publish(self, what: Image) -> str:
        address, port = self._registry()
        return publish(self.rehearsal.lab.namespaces[what.by], address, port, what.image)

    def _pull(self, what: Image) -> str:
        address, port = self._registry()
        self._pulled = pull(self.rehearsal.lab.namespaces[what.by], address, port, what.image)
        return self._pulled[1]

    def _registry(self) -> tuple[IPv4Address, int]:
        for node in self.rehearsal.plan.with_service(REGISTRY):
            for name, ports in node.ports:
                if name == REGISTRY and ports:
                    return self.rehearsal.work.site.topology.nodes[node.name].addresses[0], ports[0]
        raise LabError("the site has no temporary registry")

    def _serve(self, what: Serve) -> str:
        address = self.rehearsal.work.site.topology.nodes[what.host].addresses[0]
        services = self.rehearsal.services
        services.spawn(what.host, [*services.script(what.host, "httpd.py"), str(address), str(what.port)])
        namespace = self.rehearsal.lab.namespaces[what.host]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                OneConnection(namespace, address, what.port).close()
                return f"on {address}"
            time.sleep(PAUSE)
        raise LabError(f"no web server on {what.host}: {self.rehearsal.lab.logs(what.host)}")

    def _open(self, what: Session) -> str:
        address = self.rehearsal.destination(what.destination)
        session = KeptSession(self.rehearsal.lab.namespaces[what.source], address, what.port, what.path)
        self._sessions[what.name] = session
        works, seen = session.look()
        if not works:
            raise LabError(f"session {what.name!r} does not work from the start: {seen}")
        return seen

    def _watch(self, _: object) -> str:
        if self._heartbeat is not None:
            raise LabError("other people's traffic is watched already; count its losses first")
        self._heartbeat = self.rehearsal.heartbeat()
        time.sleep(HEARTBEAT)
        return f"{len(self._heartbeat.beats)} flows: {'; '.join(map(str, self._heartbeat.beats))}"

    # ---- looking ----------------------------------------------------------------------------

    def _expect(self, one: Expect) -> Seen:
        patient: dict[str, Callable[[Any], Seen]] = {
            "services": self._services,
            "etcd": self._etcd,
            "server": self._server,
        }
        at_once: dict[str, Callable[[Any], Seen]] = {
            "matrix": self._matrix,
            # A bridge port that just came up, or a busy machine, may lose the first look at what is open.
            "permitted": lambda cells: _wait(lambda: self._cells(cells, Verdict.PERMITTED), LOOKS),
            "denied": lambda cells: self._cells(cells, Verdict.DENIED),
            "session_open": lambda name: self._session(name, alive=True),
            "session_cut": lambda name: self._session(name, alive=False),
            "tracked": self._tracked,
            "pulled": self._pulled_is,
            "push": self._pushed_is,
            "filters": self._filters,
            "journal": self._journal,
            "losses": self._losses,
            "proof": self._proof,
            "foreign": self._foreign,
            "forwarding": self._forwarding,
        }
        if one.key in patient:
            return _wait(lambda: patient[one.key](one.value))
        return at_once[one.key](one.value)

    def _services(self, _: str) -> Seen:
        found = self.rehearsal.services.status()
        return all(one.healthy for one in found), "; ".join(f"{one.name}: {one.detail}" for one in found)

    def _forwarding(self, wanted: Mapping[str, str]) -> Seen:
        """Who holds the virtual addresses, by what the members themselves say."""
        found = {group: "+".join(self.rehearsal.failover.seen(group)) or "nobody" for group in wanted}
        return found == dict(wanted), ", ".join(f"{group} on {holder}" for group, holder in found.items())

    def _etcd(self, wanted: str) -> Seen:
        state, seen = self.rehearsal.services.etcd_state()
        return state == wanted, f"{state}: {seen}"

    def _server(self, wanted: Server) -> Seen:
        state = self.rehearsal.services.server_state(wanted.name, wanted.port)
        return state == wanted.state, f"{wanted.name} on {wanted.port} is {state}"

    def _matrix(self, expectations: str) -> Seen:
        matrix = self.rehearsal.matrix(self.rehearsal.read(), self.folder / expectations)
        self.matrix = matrix
        counts = ", ".join(f"{name} {value}" for name, value in matrix.counts.items())
        bad = [cell for cell in matrix.cells if cell.wrong or cell.live is Verdict.INCONCLUSIVE]
        some = "; ".join(
            f"{cell.source} -> {cell.destination} {cell.protocol}/{cell.port} {cell.live}, {cell.evidence}"
            for cell in bad[:3]
        )
        return matrix.ok, f"{counts}{'; ' + some if some else ''}"

    def _cells(self, cells: tuple[str, ...], wanted: Verdict) -> Seen:
        """Some cells, measured now; what a fault denies is not what the model says, so only live counts."""
        wishes = [cell(text) for text in cells]
        known = {(one.source, one.destination, (one.protocol, one.port)): one for one in self.rehearsal.probes()}
        missing = [text for text, wish in zip(cells, wishes, strict=True) if wish not in known]
        if missing:
            return False, f"the matrix has no cell {', '.join(missing)}"
        found = self.rehearsal.measure([known[wish] for wish in wishes])
        seen = [f"{text}: {one.live}, {one.evidence}" for text, one in zip(cells, found, strict=True)]
        return all(one.live is wanted for one in found), "; ".join(seen)

    def _session(self, name: str, *, alive: bool) -> Seen:
        works, seen = self._sessions[name].look()
        return works is alive, seen

    def _tracked(self, wanted: TrackedSessions) -> Seen:
        lab = self.rehearsal.lab
        asked = [lab.program("conntrack"), "-L", "-p", "tcp", "--dport", str(wanted.port)]
        listing = lab.run(wanted.device, asked)
        if listing.returncode != 0:
            raise LabError(f"{wanted.device}: {listing.stderr.strip()}")
        lines = [line for line in listing.stdout.splitlines() if " ESTABLISHED " in line]
        return bool(lines) is (wanted.sessions == "some"), f"{len(lines)} established sessions to {wanted.port}"

    def _pulled_is(self, wanted: str) -> Seen:
        if self._pulled is None:
            raise LabError("nothing was pulled yet")
        whole, seen = self._pulled
        return whole is (wanted == "complete"), seen

    def _pushed_is(self, wanted: str) -> Seen:
        if self._pushed is None:
            raise LabError("nothing was pushed yet")
        return self._pushed.end == wanted, self._pushed.end

    def _filters(self, wanted: Mapping[str, str]) -> Seen:
        planned = self._last_plan()
        states = self.rehearsal.read()
        found = {}
        for device in wanted:
            change, state = planned.plan.change(device), states[device]
            new = get(change.platform).change(planned.rendered[device].candidate, state).is_empty
            old = state.fingerprint() == change.before
            found[device] = "new" if new else "old" if old else "neither old nor new"
        return found == dict(wanted), _pairs(found)

    def _journal(self, wanted: Mapping[str, str]) -> Seen:
        states = Journal(self._last_plan().folder, rehearsal=True).states()
        found = {device: str(states.get(device, UNTOUCHED)) for device in wanted}
        return found == dict(wanted), _pairs(found)

    def _losses(self, wanted: int) -> Seen:
        if self._heartbeat is None:
            raise LabError("other people's traffic is not watched; begin with: watch")
        time.sleep(HEARTBEAT)
        pulses = self._heartbeat.stop()
        self._heartbeat = None
        sent, lost = sum(one.sent for one in pulses), sum(one.lost for one in pulses)
        worst = "".join(f"; {one.flow}: {one.lost} of {one.sent}" for one in pulses if one.lost)
        return bool(sent) and lost == wanted, f"{len(pulses)} flows, {sent} datagrams sent, {lost} lost{worst}"

    def _proof(self, _: str) -> Seen:
        work = self.rehearsal.work
        proofs = verify_live(work.policies, self.rehearsal.read(), work.space, work.ordinary)
        bad = [proof.device for proof in proofs if not proof.equivalent]
        same = [proof.device for proof in proofs if proof.equivalent]
        return not bad, f"equal to their policies: {', '.join(same) or 'none'}; not: {', '.join(bad) or 'none'}"

    def _foreign(self, _: str) -> Seen:
        before = {device: state.without_owned() for device, state in self._last_plan().running.items()}
        now = {device: state.without_owned() for device, state in self.rehearsal.read().items()}
        changed = [device for device, state in now.items() if state.fingerprint() != before[device].fingerprint()]
        same = [device for device in now if device not in changed]
        return not changed, f"as before: {', '.join(same) or 'none'}; changed: {', '.join(changed) or 'none'}"


def _wait(look: Callable[[], Seen], patience: float = PATIENCE) -> Seen:
    """Look until it is as expected, or patience is over; the last look."""
    deadline = time.monotonic() + patience
    while True:
        ok, seen = look()
        if ok or time.monotonic() > deadline:
            return ok, seen
        time.sleep(PAUSE)


def _pairs(found: Mapping[str, str]) -> str:
    return ", ".join(f"{device} {state}" for device, state in found.items())
