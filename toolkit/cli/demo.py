"""`toolkit demo`: the whole story on one terminal, in a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli._common import Work, inventory_option
from toolkit.cli._evidence import write_evidence
from toolkit.cli._story import Story
from toolkit.cli.lab import RUNS, expectations_of, wrong_cells

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.lab.heartbeat import Pulse
    from toolkit.lab.matrix import Matrix
    from toolkit.lab.rehearsal import Rehearsal
    from toolkit.lab.services import ServiceStatus
    from toolkit.verify.live import Planned

SHOWN = 6


@click.command()
@inventory_option
def demo(inventory: Path) -> int:
    """From the page to the proof in a lab: blocked, planned, pushed, measured, broken, repaired, rolled back."""
    from toolkit.lab.namespaces import run_inside

    work = Work(inventory)
    victim = _victim(work)
    RUNS.mkdir(exist_ok=True)
    return run_inside(lambda: _tell(work, victim))


def _tell(work: Work, victim: str) -> int:
    from toolkit.lab.rehearsal import Rehearsal

    story = Story()
    _read(story, work)
    rehearsal = Rehearsal(work, RUNS)
    with story.step("The lab comes up, with the site as it is today") as chapter:
        rehearsal.__enter__()
        twins = f", {len(rehearsal.twins)} of them twins of vendors' command lines" if rehearsal.twins else ""
        chapter.say(f"{len(rehearsal.plan.hosts)} hosts, {len(rehearsal.plan.devices)} devices with SSH{twins}")
    try:
        planned, matrix, services = _change(story, rehearsal, victim)
    finally:
        rehearsal.__exit__()
    with story.step("The report is written") as chapter:
        chapter.say(str(write_evidence(story, work, rehearsal, planned, matrix, services)))
    total = sum(chapter.seconds for chapter in story.chapters)
    print(f"every step held; {total:.1f} s in all")
    return 0


def _read(story: Story, work: Work) -> None:
    with story.step("Requirements and findings are read") as chapter:
        for spec in work.site.specs.values():
            chapter.say(f"{spec.document.title}: {len(spec.requirements)} requirements, {len(spec.findings)} findings")
            for finding in [one for one in spec.findings if one.severity != "info"]:
                chapter.say(f"line {finding.line}: {finding.code}: {finding.message}")
    with story.step("Flows, paths and policies are derived, rendered and proved") as chapter:
        chapter.say(f"{len(work.graph.role_flows)} flows between roles, {len(work.graph.flows)} between hosts")
        for device, one in work.rendered.items():
            entries = sum(len(acl.entries) for acl in one.policy.acls)
            chapter.say(f"{device}: {entries} entries, mode {one.policy.ownership.value}, equal to its policy")
        for finding in work.policy_findings:
            chapter.say(f"{finding.code}: {finding.message}")


def _change(story: Story, rehearsal: Rehearsal, victim: str) -> tuple[Planned, Matrix, list[ServiceStatus]]:
    beats = rehearsal.heartbeat()
    try:
        _blocked(story, rehearsal)
        with story.step("A plan is made; nothing is sent") as chapter:
            planned = rehearsal.make_plan()
            waves = ", then ".join("+".join(wave) for wave in planned.plan.waves)
            chapter.say(f"plan {planned.plan.id}: {waves}")
            chapter.hold(bool(planned.plan.changed), f"devices to change: {', '.join(planned.plan.changed)}")
        with story.step("The plan is pushed over SSH: canary, waves, read-back, proof") as chapter:
            outcome = rehearsal.push(planned)
            chapter.hold(len(outcome.changed) == len(planned.plan.changed), f"changed: {', '.join(outcome.changed)}")
            again = rehearsal.make_plan()
            chapter.hold(not again.plan.changed, "a second plan has nothing to change")
        matrix, services = _measured(story, rehearsal)
        _tampered(story, rehearsal, victim)
        with story.step("Rollback restores the first state exactly") as chapter:
            outcome = rehearsal.rollback(planned)
            chapter.hold(len(outcome.rolled_back) == len(planned.plan.changed), f"{', '.join(outcome.rolled_back)}")
            same = {d: s.fingerprint() for d, s in rehearsal.read().items()}
            first = {d: s.fingerprint() for d, s in planned.running.items()}
            chapter.hold(same == first, "every filter has the fingerprint that it had before")
    finally:
        pulses = beats.stop()
    _heartbeat(story, pulses)
    return planned, matrix, services


def _blocked(story: Story, rehearsal: Rehearsal) -> None:
    with story.step("What the site blocks today, of what the page requires") as chapter:
        matrix = rehearsal.matrix(rehearsal.read(), None)
        asked = [cell for cell in matrix.cells if cell.requirements]
        blocked = [cell for cell in asked if cell.live == "denied"]
        foretold = [cell for cell in asked if cell.model == "denied"]
        chapter.hold(len(blocked) == len(foretold), f"{len(blocked)} of {len(asked)} required flows are denied, live")
        for cell in blocked[:SHOWN]:
            chapter.say(f"{cell.source} -> {cell.destination} {cell.protocol}/{cell.port}: {cell.evidence}")
        wrong = [cell for cell in matrix.cells if cell.live != cell.model]
        chapter.hold(not wrong, f"{len(matrix.cells)} probes, all as the model of today's filters says")
        for one in rehearsal.services.status():
            chapter.say(f"{one.name}: {one.detail}")


def _measured(story: Story, rehearsal: Rehearsal) -> tuple[Matrix, list[ServiceStatus]]:
    with story.step("Services are healthy") as chapter:
        services = rehearsal.wait_healthy()
        for one in services:
            chapter.hold(one.healthy, f"{one.name}: {one.detail}")
    with story.step("The whole matrix: required passes, nothing else does") as chapter:
        work = rehearsal.work
        matrix = rehearsal.matrix(rehearsal.read(), expectations_of(work, None))
        for cell in wrong_cells(matrix)[:SHOWN]:
            chapter.say(f"{cell['cell']}: {cell['wrong']} ({cell['detail']}; {cell['evidence']})")
        chapter.hold(matrix.ok, ", ".join(f"{name}: {value}" for name, value in matrix.counts.items()))
    return matrix, services


def _victim(work: Work) -> str:
    """A device to remove a rule from: a Linux one where there are any, one that other people share above all."""
    from toolkit.lab.topology_file import typed
    from toolkit.topology import Ownership

    devices = [node for node in work.site.topology.enforcers if not typed(node)] or work.site.topology.enforcers
    return next((node.name for node in devices if node.filter.mode is not Ownership.OWN), devices[-1].name)


def _tampered(story: Story, rehearsal: Rehearsal, tampered: str) -> None:
    from toolkit.verify import verify_live

    work = rehearsal.work
    with story.step(f"One rule is removed on {tampered}, behind our back; verify finds it") as chapter:
        how = ", typed over SSH by somebody else" if tampered in rehearsal.twins else ""
        chapter.say(f"removed{how}: {rehearsal.remove_rule(tampered)}")
        proofs = verify_live(work.policies, rehearsal.read(), work.space, work.ordinary)
        bad = [proof for proof in proofs if not proof.equivalent]
        named = [proof.device for proof in bad]
        chapter.hold(named == [tampered], f"differs from its policy: {', '.join(named) or 'nothing'}")
        witness = bad[0].witnesses[0]
        chapter.hold(bool(witness.requirements), f"witness: {witness.packet} enters {witness.interface}")
        chapter.say(f"decided by: {witness.decision.acl}: {witness.decision.entry}")
        for one in witness.requirements:
            chapter.say(f"asked for by: {work.site.citation(one)}")
    with story.step("Applying again repairs it") as chapter:
        planned = rehearsal.make_plan()
        outcome = rehearsal.push(planned)
        chapter.hold(outcome.changed == [tampered], f"changed: {', '.join(outcome.changed)}")
        proofs = verify_live(work.policies, rehearsal.read(), work.space, work.ordinary)
        chapter.hold(all(proof.equivalent for proof in proofs), "every device is equal to its policy again")


def _heartbeat(story: Story, pulses: tuple[Pulse, ...]) -> None:
    with story.step("Other people's traffic, all the while") as chapter:
        for pulse in [one for one in pulses if one.lost]:
            chapter.say(f"{pulse.flow}: {pulse.sent} sent, {pulse.lost} lost")
        sent, lost = sum(one.sent for one in pulses), sum(one.lost for one in pulses)
        chapter.say(f"for example {', '.join(one.flow for one in pulses[-3:])}")
        chapter.hold(bool(sent) and not lost, f"{len(pulses)} flows, {sent} datagrams sent, {lost} lost")
