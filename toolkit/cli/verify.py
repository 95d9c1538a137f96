"""`toolkit verify`: the proof, on files or on live devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, jobs_option, json_option, note, packet_row, print_json

if TYPE_CHECKING:
    from toolkit.render.proof import DeviceProof, Witness

PROOF_FAILED = 4


@click.command()
@click.option(
    "--configs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Prove DIR/<device>.cfg instead of live devices.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the result to this file as well, for a scheduler that reads JUnit XML.",
)
@jobs_option
@inventory_option
@json_option
def verify(inventory: Path, configs: Path | None, junit: Path | None, jobs: int, as_json: bool) -> int:
    """Prove that every device does exactly what its policy asks; exit 4 with witnesses where one does not.

    Run from a scheduler against live devices this finds drift: exit 0 nothing has moved, 4 something has, 1 a device
    could not be read.
    """
    from toolkit.render.spread import processes
    from toolkit.verify.configs import read_configs, verify_live, verify_states
    from toolkit.verify.spread import verify_spread

    work = Work(inventory)
    if configs is not None and jobs > 1:
        with processes(jobs) as executor:
            assert executor is not None  # noqa: S101 - there is one for several jobs
            proofs = verify_spread(work, configs, executor, jobs)
    elif configs is not None:
        states = read_configs(work.site, work.finder, work.policies, configs)
        proofs = verify_states(work.site, work.finder, work.policies, states, work.space, work.ordinary)
    else:
        from toolkit.verify.live import read_states

        proofs = verify_live(work.policies, read_states(work), work.space, work.ordinary)
    if junit is not None:
        from toolkit.report.junit import proofs_xml

        junit.write_text(proofs_xml(proofs, work.site.citation), encoding="utf-8")
    ok = all(proof.equivalent for proof in proofs)
    if as_json:
        print_json({"ok": ok, "devices": [proof_row(proof) for proof in proofs]})
    else:
        _print(work, proofs)
    return 0 if ok else PROOF_FAILED


def _print(work: Work, proofs: tuple[DeviceProof, ...]) -> None:
    for proof in proofs:
        print(f"{proof.device}: {'equivalent to its policy' if proof.equivalent else 'DIFFERS from its policy'}")
        for witness in proof.witnesses:
            print(f"  {witness}")
            for one in witness.requirements:
                note(f"    asked for: {work.site.citation(one)}")


def proof_row(proof: DeviceProof) -> dict[str, Any]:
    """A proof as the JSON contract has it."""
    return {
        "device": proof.device,
        "equivalent": proof.equivalent,
        "witnesses": [witness_row(witness) for witness in proof.witnesses],
    }


def witness_row(witness: Witness) -> dict[str, Any]:
    """A witness as the JSON contract has it, with what helps to send it."""
    return {
        "kind": witness.kind.value,
        "packet": packet_row(witness.packet),
        "interface": witness.interface,
        "state": witness.state.value,
        "verdict": str(witness.decision.action.verdict),
        "entry": f"{witness.decision.acl}: {witness.decision.entry}",
        "requirement": ", ".join(witness.requirements) or None,
    }
