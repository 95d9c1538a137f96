"""The same work for many devices, spread over processes or machines: rendering and proofs need nothing but values.

Any executor with the interface of `concurrent.futures` does: `processes` makes one on this machine, and a Dask client
gives another (`client.get_executor()`, see `toolkit.deploy.dask_runner`). Devices are sent in pieces, so that those of
a piece share the address sets of their policies and one universe of packets.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final, TypeVar

from toolkit.packets import Space
from toolkit.platforms import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from toolkit.platforms.base import DeviceContext, FilterState
    from toolkit.policy import DevicePolicy
    from toolkit.render import Rendered

Job = TypeVar("Job")
Result = TypeVar("Result")
PIECES: Final = 4  # for each worker, so that none waits long for the last one
COLLECT: Final = (100_000, 50, 100)


@dataclass(frozen=True, slots=True)
class Text:
    """A configuration to be read where it is needed, loaded on another one; `file` is what errors name."""

    text: str
    file: str


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One device to render: its policy, and the filter that it has without ours, or its text (None: no filter)."""

    where: DeviceContext
    policy: DevicePolicy
    before: FilterState | Text | None


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """An executor of so many processes on this machine; None for one, which is this process."""
    if count <= 1:
        yield None
        return
    from concurrent.futures import ProcessPoolExecutor

    # Spawned, not forked: threads of this process may hold locks.
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=gc.set_threshold, initargs=COLLECT) as pool:
        yield pool


def spread(
    executor: Executor, function: Callable[[Sequence[Job]], Sequence[Result]], jobs: Sequence[Job], workers: int
) -> list[Result]:
    """Results of a function over jobs, in their order; it is called with a piece of them at a time.

    Raises:
        Exception: the first error in the order of the jobs; pieces that have not begun are given up.
    """
    size = max(1, -(-len(jobs) // (workers * PIECES)))
    pieces = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    futures = [executor.submit(function, piece) for piece in pieces]
    try:
        return list(chain.from_iterable(future.result() for future in futures))
    finally:
        for future in futures:
            future.cancel()


def render_spread(executor: Executor, jobs: Sequence[RenderJob], workers: int) -> Mapping[str, Rendered]:
    """Candidates of devices, rendered and proved elsewhere.

    Raises:
        PolicyError: a policy cannot be enforced as the device is owned.
    """
    found = spread(executor, _render_piece, jobs, workers)
    return {one.policy.device: one for one in found}


def _render_piece(jobs: Sequence[RenderJob]) -> list[Rendered]:
    return render_jobs(jobs, Space())


def render_jobs(jobs: Sequence[RenderJob], shared: Space) -> list[Rendered]:
    """Candidates of devices, rendered and proved here.

    Raises:
        PolicyError: a policy cannot be enforced as the device is owned.
    """
    from toolkit.render import render_in, space_for

    found = []
    for job in jobs:
        with space_for(job.policy, shared) as space:
            found.append(render_in(job.where, job.policy, state_of(job.where, job.before), space))
    return found


def state_of(where: DeviceContext, before: FilterState | Text | None, below: FilterState | None = None) -> FilterState:
    """A state, read where it is a text; `below` is what the text is loaded on, an empty device where None."""
    if before is not None and not isinstance(before, Text):
        return before
    platform = get(str(where.node.platform))
    state = below or platform.empty(where)
    return state if before is None else platform.parse_config(before.text, before.file, where, state)
