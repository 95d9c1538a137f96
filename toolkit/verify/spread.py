"""`verify --configs` over many devices, spread over processes or the machines of a cluster, with the same answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.packets import Space
from toolkit.render import context, recorded_text, space_for
from toolkit.render.proof import DeviceProof, prove
from toolkit.render.spread import Text, spread, state_of
from toolkit.render.work import ordinary_packets
from toolkit.verify.configs import config_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from toolkit.platforms.base import DeviceContext
    from toolkit.policy import DevicePolicy
    from toolkit.render.work import Work


@dataclass(frozen=True, slots=True)
class ProofJob:
    """One device to prove: its configuration, what it is loaded on, and the addresses of the site's hosts."""

    where: DeviceContext
    policy: DevicePolicy
    recorded: Text | None
    config: Text
    hosts: tuple[int, ...]


def verify_spread(work: Work, folder: Path, executor: Executor, workers: int) -> tuple[DeviceProof, ...]:
    """Prove the configurations in a folder against the policies of a site, piece by piece on an executor.

    Args:
        work: the site.
        folder: holds `<device>.cfg` of each device.
        executor: of `concurrent.futures`; of a Dask client, `client.get_executor()`.
        workers: how many pieces it works on at a time.

    Raises:
        InputError: the folder is missing, or the file of a device is.
        ConfigError: a line is not fully understood.
    """
    hosts = work.host_addresses
    jobs = [
        ProofJob(
            context(work.site, work.finder, device),
            work.policies[device],
            recorded_text(work.site, device),
            Text(path.read_text(encoding="utf-8"), str(path)),
            hosts,
        )
        for device, path in config_files(work.policies, folder).items()
    ]
    return tuple(spread(executor, prove_piece, jobs, workers))


def prove_piece(jobs: Sequence[ProofJob]) -> list[DeviceProof]:
    """The proofs of some devices."""
    shared = Space()
    prefer = ordinary_packets(shared, jobs[0].hosts) if jobs else ()
    found = []
    for job in jobs:
        before = state_of(job.where, job.recorded)
        after = state_of(job.where, job.config, before)
        with space_for(job.policy, shared) as space:
            wishes = prefer if space is shared else ordinary_packets(space, job.hosts)
            found.append(prove(job.policy, after, before, space, wishes))
    return found
