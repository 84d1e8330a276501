"""A batch of simulations as blocks of lanes, several blocks at once in threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module

import numpy as np
from threadpoolctl import ThreadpoolController

from jrflow.model import coupling, noise
from jrflow.model.compiling import announce_compilation
from jrflow.model.coupling import Coupling
from jrflow.model.kernel_cpu import Block, block_runner
from jrflow.model.lanes import PAD, pack, room
from jrflow.model.problem import Problem, Solution
from jrflow.model.recording import Record, Schedule, deliver

#: Simulations per block, by way of coupling and precision. Columns alone: several registers per row, so
#: that the processor always has independent work. Networks: fewer, so that with all of its regions a block
#: stays in the second-level cache; with delays its histories, too.
_LANES = {
    coupling.NONE: {"float32": 64, "float64": 64},
    coupling.DENSE: {"float32": 32, "float64": 32},
    coupling.SPARSE: {"float32": 32, "float64": 32},
    coupling.DELAYED: {"float32": 16, "float64": 16},
    coupling.APART: {"float32": 16, "float64": 16},
}
#: Fewer simulations of one speed than this share a block with those of other speeds.
_WORTH_A_BLOCK = 6


#: Trials after which those simulations of a block that have settled are kept, and the others put together
#: anew. A block goes on until its last lane has settled: few stragglers would make all lanes wait.
_SIEVES = (3, 8)


def integrate(problem: Problem, n_threads: int | None = None) -> Solution:
    """Simulate from rest: all states zero, and all history before the start equal to that.

    Parameters
    ----------
    problem
        Parameters, input, network and numerical settings of all simulations.
    n_threads
        Threads; by default one for each core that this process may use. Changes no value.

    Raises
    ------
    ValueError
        If the solver cannot be used with the delays.
    """
    announce_compilation()
    solution = Solution.empty(problem)
    stimulus = problem.stimulus()
    n_threads = n_threads or len(os.sched_getaffinity(0))
    # One BLAS thread for each of ours: the matrix products run inside the threads.
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        groups = _groups(problem)
        for n_steps in _passes(problem):
            work = [
                (mode, blocks) for mode, group in groups for blocks in _tasks(problem, mode, group, n_threads)
            ]
            run = partial(_run, problem, stimulus[:n_steps], solution)
            list(pool.map(run, *zip(*work, strict=True)))
            groups = [(mode, group[solution.n_trials[group] == 0]) for mode, group in groups]
    return solution


def _passes(problem: Problem) -> list[int]:
    """Steps after which to look which simulations have settled; the last one is the end."""
    t = Schedule.of(problem.timing)
    sieves = [(t.onset + trial * t.period) * t.stride + 1 for trial in _SIEVES] if problem.steady else []
    return [n for n in sieves if n < problem.timing.n_steps] + [problem.timing.n_steps]


@cache
def _blas() -> ThreadpoolController:
    """The loaded BLAS libraries; finding them takes milliseconds."""
    # numba multiplies matrices by SciPy's, which it loads when it first does: too late to be found here.
    import_module("scipy.linalg.cython_blas")
    return ThreadpoolController()


def _groups(problem: Problem) -> list[tuple[int, np.ndarray]]:
    """Simulations (indices) that may share a block, and how their network is computed.

    How depends on a simulation's own speed alone, except for where its delays are kept, which changes no bit.
    """
    everyone = np.arange(len(problem.sim_ids))
    network = problem.connectome
    if network is None or not network.weights.any():
        return [(coupling.NONE, everyone)]
    groups, few = [], []
    for speed in np.unique(problem.speed):
        group = everyone[problem.speed == speed]
        mode = coupling.mode_of(network.weights, network.delays(float(speed), problem.timing.dt))
        if mode == coupling.DELAYED and len(group) < _WORTH_A_BLOCK:
            few.append(group)
        else:
            groups.append((mode, group))
    return groups + ([(coupling.APART, np.concatenate(few))] if few else [])


def _tasks(problem: Problem, mode: int, group: np.ndarray, n_threads: int) -> list[np.ndarray]:
    """Divide simulations over blocks of lanes, and blocks over tasks, shape (n_blocks, lanes) each.

    The last block is filled up with copies of its last simulation. Columns are so cheap that their
    coefficients are worth computing for several blocks at once.
    """
    if not len(group):
        return []
    lanes = _LANES[mode][problem.dtype.name]
    blocks = np.pad(group, (0, -len(group) % lanes), "edge").reshape(-1, lanes)
    most = 16 if len(problem.stimulated) == 1 else 1
    n_tasks = max(-(-len(blocks) // most), min(n_threads, len(blocks)))
    return np.array_split(blocks, n_tasks)


def _coupling(problem: Problem, mode: int, block: np.ndarray) -> Coupling:
    """Connections of a block."""
    network, n_stages = problem.connectome, problem.solver.n_stages
    if mode == coupling.NONE or network is None:
        return Coupling.none(problem.dtype)
    speeds = problem.speed[block] if mode == coupling.APART else problem.speed[block[:1]]
    delays = np.stack([network.delays(float(speed), problem.timing.dt) for speed in speeds])
    if mode == coupling.APART:
        return Coupling.apart(network.weights, delays, n_stages, problem.dtype)
    return Coupling.of(network.weights, delays[0], n_stages, problem.dtype)


def _run(problem: Problem, stimulus: np.ndarray, solution: Solution, mode: int, blocks: np.ndarray) -> None:
    """Integrate blocks of simulations (indices, one a lane) and write what they recorded."""
    lanes, n_regions, dtype = blocks.shape[1], len(problem.stimulated), problem.dtype
    run = block_runner(problem.solver, mode, problem.noisy, problem.timed, problem.steady, lanes)
    schedule = Schedule.of(problem.timing)
    coefficients = problem.coefficients(blocks.ravel())
    # One for all blocks: a new one each would be new pages each, wherever malloc gives memory back at once,
    # as Dask has its workers do.
    record = Record.empty(schedule, n_regions, lanes, dtype, problem.steady)
    for k, block in enumerate(blocks):
        links = _coupling(problem, mode, block)
        memory = _memory(problem, links, coefficients[:, k * lanes : (k + 1) * lanes])
        run(
            memory, record, schedule, links.links, stimulus, *problem.noise(), np.uint64(problem.seed),
            problem.sim_ids[block].astype(np.uint64), problem.limits(),
            dtype.type(problem.steady_tolerance or 0),
        )  # fmt: skip
        deliver(record.sums, dtype.type(schedule.n_epochs), solution.source, block)
        solution.failed_step[block] = record.failed_step
        solution.n_trials[block] = record.n_trials
        record.clear()


def _memory(problem: Problem, links: Coupling, coefficients: np.ndarray) -> Block:
    """Working memory with the coefficients of a block's simulations."""
    lanes, n_regions, dtype = coefficients.shape[1], len(problem.stimulated), problem.dtype
    P = pack(coefficients, dtype)
    n_slots = links.links.n_slots if links.mode in (coupling.DELAYED, coupling.APART) else 0
    return Block(
        P=P.reshape(len(P), -1),
        Y=room(n_regions, problem.solver.n_rows * (lanes + PAD), dtype=dtype),
        S=room(n_regions, lanes, dtype=dtype),
        K=room(n_regions, links.links.width * lanes, dtype=dtype),
        R=room(links.links.width * lanes, dtype=dtype),
        H=room(n_regions * n_slots * lanes, dtype=dtype),
        Z=room(n_regions if problem.noisy else 0, noise.QUAD * lanes, dtype=dtype),
        U=room(n_regions if problem.timed else 0, 4 * lanes, dtype=dtype),
    )
