"""Uncoupled columns on a GPU: a thread is a simulation, and all it needs stays in its registers.

Neighbouring threads are neighbouring simulations, and arrays have the simulation innermost, so that a warp
reads and writes whole lines of memory. What is recorded dominates the traffic: a sample is added to the
epochs' sum and compared with the period before. Both numbers are asked for before the step is computed
and used after it, so that the memory's latency passes under the arithmetic.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from jrflow.model import noise, solvers
from jrflow.model.equations import N_COLUMN, N_STATE, State, activation, external, feedback, read_column
from jrflow.model.gpu_device import cuda, fresh, kernel, load4, on_device
from jrflow.model.gpu_pulse import own_pulse
from jrflow.model.gpu_recording import add_remaining
from jrflow.model.solvers import exp_ab

#: Threads of a block: few, so that a batch of ten thousand still reaches every multiprocessor.
THREADS = 64
#: Blocks for a multiprocessor, so that registers are rationed, but none is spilled.
_BLOCKS = {"float32": 10, "float64": 4}


@on_device
def _feedback(s, c, zero):  # type: ignore[no-untyped-def]
    """Drive by the column's own sigmoids: nothing is received."""
    return feedback(s, c, c.pyr * activation(s, c), zero)


@on_device
def _advance(code, n_stages, noisy, s, c, u, z, zero, C, M):  # type: ignore[no-untyped-def]
    """One step of a column."""
    i = external(c, u)
    s = solvers.stage(code, 0, noisy, s, c, _feedback(s, c, zero), i, z, C, N_COLUMN, 1, M, 0)
    if n_stages >= 2:
        s = solvers.stage(code, 1, noisy, s, c, _feedback(s, c, zero), i, z, C, N_COLUMN, 1, M, 0)
    if n_stages == 4:
        s = solvers.stage(code, 2, noisy, s, c, _feedback(s, c, zero), i, z, C, N_COLUMN, 1, M, 0)
        s = solvers.stage(code, 3, noisy, s, c, _feedback(s, c, zero), i, z, C, N_COLUMN, 1, M, 0)
    return s


@cache
def runner(  # noqa: C901
    solver: solvers.Solver, n_coefficients: int, noisy: bool, timed: bool, steady: bool, dtype: np.dtype
) -> Any:
    """Kernel for one scheme: every thread integrates one column from rest to the end of the recording."""
    code, n_stages, real = solver.code, solver.n_stages, dtype.type
    multistep, n_memory = code > solvers.EXP_AB, max(1, solver.n_rows - N_STATE)

    def run(  # type: ignore[no-untyped-def]  # noqa: C901
        P, stimulus, sims, samples, times, sums, trace, failed_step, n_trials,
        n_samples, stride, first, period, n_epochs, distribution, scale, seed, widest, max_source, tolerance,
    ):  # fmt: skip
        lane, n = np.uint64(cuda.grid(1)), np.uint64(np.uint32(sims.shape[0]))
        if lane >= n:
            return
        zero, inf = real(0), real(np.inf)
        C = cuda.local.array(n_coefficients, real)
        M = cuda.local.array(n_memory, real)
        period_n = np.uint64(period) * n
        for k in range(n_coefficients):
            C[k] = P[np.uint64(k) * n + lane]
        for row in range(np.uint64(period), np.uint64(times.shape[0])):  # epoch 0 begins the others
            sums[row * n + lane] = zero

        c = read_column(C, 0, 1)
        s = State(zero, zero, zero, zero, zero, zero)
        s = solvers.start(code, s, _feedback(s, c, zero), C, N_COLUMN, 1, M, 0)
        z0 = z1 = z2 = z3 = z = before = zero
        change = low = high = zero
        failed, settled, step = np.int32(-1), np.int32(0), np.uint32(0)
        sample = np.uint32(0)
        while sample < n_samples:
            row, phase, trial, older = load4(samples, np.uint64(np.uint32(4) * sample))
            x = s.y1 - s.y2
            if not abs(x) <= (max_source if sample >= first else widest) and failed < 0:
                failed = np.int32(sample * stride)
            if steady and trial >= 0:
                if trial >= 2 and change <= tolerance * (high - low):
                    settled = trial
                    break
                change, low, high = zero, inf, -inf

            here = np.uint64(np.uint32(row)) * n + lane
            total = sums[here] if older >= 0 else zero
            if steady:
                there = np.uint64(np.uint32(phase)) * n + lane
                before = trace[there]
            sub = np.uint32(0)
            while sub < stride:
                sub = np.uint32(sub + np.uint32(1))
                if noisy:
                    if step % np.uint32(noise.QUAD) == 0:
                        z0, z1, z2, z3 = noise.quad(
                            distribution, seed, sims[lane], 0, step // np.uint32(noise.QUAD)
                        )
                    z = scale * real(z0)
                    z0, z1, z2 = z1, z2, z3
                u, u1, u2, u3 = load4(stimulus, np.uint64(np.uint32(4) * step))
                if timed:
                    u, u1, u2, u3 = own_pulse(multistep, C, 0, n_coefficients, u)
                s = _advance(code, n_stages, noisy, s, c, u, z, zero, C, M)
                if multistep and u1 != zero:
                    E = cuda.local.array(n_coefficients, real)
                    n_now = fresh(n)
                    for k in range(n_coefficients):
                        E[k] = P[np.uint64(k) * n_now + lane]
                    s = exp_ab.edge(s, c, u1, u2, u3, E, N_COLUMN, 1)
                step = np.uint32(step + np.uint32(1))

            sums[here] = total + x
            while older > 0:
                here += period_n
                sums[here] += x
                older = np.int32(older - 1)
            if steady:
                trace[there] = x
                difference = abs(x - before)
                change = change if difference <= change else difference  # a NaN stays
                low, high = min(low, x), max(high, x)
            sample = np.uint32(sample + np.uint32(1))

        failed_step[lane], n_trials[lane] = failed, settled
        if settled > 0:
            add_remaining(sums, trace, times, n, lane, settled, n_epochs)

    return kernel(run, bounds=(THREADS, _BLOCKS[dtype.name]))
