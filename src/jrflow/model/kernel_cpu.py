"""Blocks of lanes through time on the CPU, several blocks at once in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jrflow.model import noise
from jrflow.model.equations import Y1, Y2, shared_rows
from jrflow.model.lanes import LANES, ROW, SOURCE_DIGEST, compiled_entry, lane_function, pack
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import Solver, euler, exp_ab4
from jrflow.model.timing import Timing


@lane_function
def _record(W, sums, peak, sample, period, n_epochs, n_times):  # type: ignore[no-untyped-def]
    """Add the present source to every epoch that holds this sample; epochs may overlap."""
    newest = min(sample // period, n_epochs - 1)
    oldest = max(0, (sample - n_times + period) // period)
    for epoch in range(oldest, newest + 1):
        row = (sample - epoch * period) * LANES
        for lane in range(LANES):
            sums[row + lane] += W[Y1 + lane] - W[Y2 + lane]
    for lane in range(LANES):
        peak[lane] = max(peak[lane], abs(W[Y1 + lane] - W[Y2 + lane]))


def _compile(digest: str) -> Callable[..., None]:
    """Compile the time loop; numba's cache knows it by its own code and by ``digest``."""

    @compiled_entry
    def integrate_block(  # type: ignore[no-untyped-def]
        code, W, H, stimulus, distribution, noise_scale, seed, sim_ids,
        stride, first_sample, period, n_epochs, sums, peak,
    ):  # fmt: skip
        """Integrate one block; sums, shape (n_times * LANES), receives the sum over epochs of y1 - y2.

        Sample k is the state at step k * stride, before that step is taken.
        """
        _ = digest
        n_times = sums.shape[0] // LANES
        fluctuations = np.zeros((noise.QUAD, LANES), W.dtype)
        if code == exp_ab4.CODE:
            exp_ab4.start(W, H)
        for index in range(stimulus.shape[0]):
            if index % stride == 0 and index >= first_sample * stride:
                _record(W, sums, peak, index // stride - first_sample, period, n_epochs, n_times)
            if distribution != noise.NONE and index % noise.QUAD == 0:
                noise.draw_quad(fluctuations, distribution, noise_scale, seed, sim_ids, index)
            if code == exp_ab4.CODE:
                exp_ab4.step(W, H, fluctuations[index % noise.QUAD], stimulus[index], index)
            else:
                euler.step(W, fluctuations[index % noise.QUAD], stimulus[index])

    return integrate_block


_integrate_block = _compile(SOURCE_DIGEST)


def integrate(
    parameters: Mapping[str, np.ndarray],
    sim_ids: np.ndarray,
    protocol: EvokedProtocol | RestProtocol,
    timing: Timing,
    solver: Solver,
    dtype: np.dtype,
    seed: int,
    n_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a batch of uncoupled columns from rest (all states zero).

    Parameters
    ----------
    parameters
        Every model parameter's values, shape (n_sims,), in the units of ``PARAMETERS``.
    sim_ids
        Simulation ids, shape (n_sims,): they key the noise.
    n_threads
        Threads; by default one for each core that this process may use.

    Returns
    -------
    source
        Mean over epochs of y1 - y2, mV, shape (n_sims, n_times), of type ``dtype``.
    peak
        Largest |y1 - y2| among the recorded samples, mV, shape (n_sims,).
    """
    gains = protocol.gains if isinstance(protocol, EvokedProtocol) else (0.0, 0.0, 0.0)
    rows = shared_rows(parameters, gains, protocol.background) | solver.rows(parameters, timing.dt)
    blocks = pack(rows, solver.n_rows, dtype)
    stimulus = timing.stimulus(protocol).astype(dtype)
    distribution, noise_scale = _noise(protocol, timing.dt)
    n_sims = len(sim_ids)
    lane_ids = sim_ids.astype(np.uint64)[np.minimum(np.arange(len(blocks) * LANES), n_sims - 1)]
    source = np.empty((len(blocks), LANES, timing.n_times), dtype)
    peak = np.zeros((len(blocks), LANES), dtype)

    def run(k: int) -> None:
        sums = np.zeros(timing.n_times * LANES, dtype)
        _integrate_block(
            solver.code, blocks[k], np.zeros(exp_ab4.N_HISTORY_ROWS * ROW, dtype), stimulus,
            distribution, noise_scale, np.uint64(seed), lane_ids[k * LANES : (k + 1) * LANES],
            timing.stride, timing.first_sample, timing.period, timing.n_epochs, sums, peak[k],
        )  # fmt: skip
        np.divide(sums.reshape(timing.n_times, LANES).T, timing.n_epochs, out=source[k])

    with ThreadPoolExecutor(n_threads or len(os.sched_getaffinity(0))) as pool:
        list(pool.map(run, range(len(blocks))))
    return source.reshape(-1, timing.n_times)[:n_sims], peak.reshape(-1)[:n_sims]


def _noise(protocol: EvokedProtocol | RestProtocol, dt: float) -> tuple[int, float]:
    """Distribution of the background's fluctuation and its standard deviation over one step, 1/s."""
    if not isinstance(protocol, RestProtocol) or protocol.noise_sd == 0:
        return noise.NONE, 0.0
    distribution = noise.NORMAL if protocol.noise_distribution == "normal" else noise.UNIFORM
    return distribution, protocol.noise_sd * float(np.sqrt(1e-3 / dt))
