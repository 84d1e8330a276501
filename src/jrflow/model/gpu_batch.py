"""A batch of simulations on a GPU, in chunks that fit its memory; the CPU makes the coefficients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from jrflow.model import gpu_columns
from jrflow.model.gpu_run import Run
from jrflow.model.gpu_teams import Teams
from jrflow.model.problem import Problem, Solution

#: Simulations times regions of a chunk at most: some times what a large GPU holds at once.
MOST = 1 << 20
#: Simulations whose coefficients are worth a thread.
_FEW = 1024


def integrate(problem: Problem, kernel_seconds: list[float] | None = None) -> Solution:
    """Simulate from rest: all states zero, and all history before the start equal to that.

    Raises
    ------
    BackendError
        If one simulation needs more memory than the GPU has free.
    ValueError
        If the solver cannot be used with the delays.
    """
    solution = Solution.empty(problem)
    run = Run(problem, solution, kernel_seconds)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for teams, members in _chunks(run):
            coefficients = _coefficients(problem, members, pool)
            if teams is None:
                _columns(run, members, coefficients)
            else:
                teams.launch(run, members, coefficients)
    return solution


def _chunks(run: Run) -> Iterator[tuple[Teams | None, np.ndarray]]:
    """Simulations (indices) that are computed together; those of networks as teams."""
    problem = run.problem
    n_coefficients = len(problem.coefficients(np.arange(1)))
    if problem.connectome is None:
        bytes_each = problem.dtype.itemsize * (run.numbers_per_node() + n_coefficients) + 16
        yield from ((None, part) for part in _divided(run, np.arange(len(problem.sim_ids)), bytes_each))
        return
    for teams, members in list(Teams.of(problem, n_coefficients)):
        bytes_each = teams.bytes_each(run.numbers_per_node())
        yield from ((teams, part) for part in _divided(run, members, bytes_each))


def _divided(run: Run, members: np.ndarray, bytes_each: int) -> list[np.ndarray]:
    """Chunks of nearly the same size."""
    capacity = run.capacity(bytes_each, max(1, MOST // len(run.problem.stimulated)))
    return np.array_split(members, -(-len(members) // capacity))


def _coefficients(problem: Problem, members: np.ndarray, pool: Executor) -> np.ndarray:
    """Rows of coefficients in the kernel's precision, (n_rows, n_members, n_regions or 1)."""
    parts = list(pool.map(problem.coefficients, np.array_split(members, -(-len(members) // _FEW))))
    regions = max(part.shape[2] for part in parts)
    alike = [np.broadcast_to(part, (*part.shape[:2], regions)) for part in parts]
    return np.concatenate(alike, axis=1, dtype=problem.dtype, casting="same_kind")


def _columns(run: Run, members: np.ndarray, coefficients: np.ndarray) -> None:
    """Integrate simulations of one column each."""
    problem, n = run.problem, len(members)
    kernel = gpu_columns.runner(
        problem.solver, len(coefficients), problem.noisy, problem.timed, problem.steady, problem.dtype
    )
    sums, trace, failed_step, n_trials = run.recordings(n, n)
    arguments = (
        run.filled("P", coefficients), run.stimulus, run.sims(members), run.samples, run.times,
        sums, trace, failed_step, n_trials, *run.steps, *run.forces,
    )  # fmt: skip
    run.launch(kernel, (-(-n // gpu_columns.THREADS), gpu_columns.THREADS), arguments)
    run.collect(members, sums, failed_step, n_trials)
