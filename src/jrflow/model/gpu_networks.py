"""Coupled regions on a GPU: the time loop of a block, which is a team of simulations (``gpu_coupling``).

One step: every thread gathers its part of what is sent, the block meets, every thread adds the parts for
its nodes and takes the step, the block meets again.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from jrflow.model import noise, solvers
from jrflow.model.equations import (
    N_COLUMN,
    N_STATE,
    external,
    feedback,
    rate,
    read_column,
    read_state,
    write_state,
)
from jrflow.model.gpu_coupling import TEAM, Block, Layout, Wires, gather, node_of, receive, seated, send
from jrflow.model.gpu_device import SIMULATED, cuda, fresh, kernel, load4, on_device
from jrflow.model.gpu_pulse import own_pulse
from jrflow.model.gpu_watch import Record, Watch, forget, judge, keep, report, see, take_over
from jrflow.model.solvers import exp_ab


class Scheme(NamedTuple):
    """What a kernel is compiled for; ``in_shared``: rates are in the block's shared memory."""

    code: int
    n_stages: int
    n_rows: int
    n_coefficients: int
    noisy: bool
    timed: bool
    steady: bool
    coupled: bool
    dense: bool
    delayed: bool
    in_shared: bool


@on_device
def _fetch(scheme, node, P, n_columns, spread, C, c_at):  # type: ignore[no-untyped-def]
    """Copy a node's coefficients from (n_coefficients, n_columns), a column a node or a simulation."""
    row = fresh(np.uint64(n_columns))
    at = node.at if spread else node.sim
    for m in range(scheme.n_coefficients):
        C[c_at + m] = P[np.uint64(m) * row + at]


@on_device
def _prepare(scheme, layout, b, P, n_columns, spread, seats, first_seat):  # type: ignore[no-untyped-def]
    """All states zero."""
    for k in range(layout.n_nodes):
        seat = first_seat + np.uint32(node_of(layout, b, k).member)
        b.flags[4 * k + 2], b.flags[4 * k + 3] = seated(seats, seat)
        node = node_of(layout, b, k)
        for m in range(b.size):
            b.Y[k * b.size + m] = b.zero
        if node.lives:
            _fetch(scheme, node, P, n_columns, spread, b.C, k * scheme.n_coefficients)
            _rate(scheme, b, k)


@on_device
def _rate(scheme, b, k):  # type: ignore[no-untyped-def]
    at = k * b.size
    b.Y[at + b.size - 2] = rate(read_state(b.Y, at, 1), read_column(b.C, k * scheme.n_coefficients, 1))


@on_device
def _start(scheme, layout, b):  # type: ignore[no-untyped-def]
    """Prepare the solver for its first step."""
    for k in range(layout.n_nodes):
        if node_of(layout, b, k).lives:
            at, c_at = k * b.size, k * scheme.n_coefficients
            s, c = read_state(b.Y, at, 1), read_column(b.C, c_at, 1)
            f = feedback(s, c, c.excitation * b.Y[at + b.size - 2], b.Y[at + b.size - 1])
            s = solvers.start(scheme.code, s, f, b.C, c_at + N_COLUMN, 1, b.Y, at + N_STATE)
            write_state(b.Y, at, 1, s)


@on_device
def _stage(scheme, layout, b, number, Z, u):  # type: ignore[no-untyped-def]
    """One stage of the solver for the thread's nodes; ``u`` is a step where nodes have their own pulses."""
    for k in range(layout.n_nodes):
        if node_of(layout, b, k).lives:
            at, c_at = k * b.size, k * scheme.n_coefficients
            s, c = read_state(b.Y, at, 1), read_column(b.C, c_at, 1)
            f = feedback(s, c, c.excitation * b.Y[at + b.size - 2], b.Y[at + b.size - 1])
            v = u
            if scheme.timed:
                v, _, _, _ = own_pulse(scheme.code > solvers.EXP_AB, b.C, c_at, scheme.n_coefficients, u)
            s = solvers.stage(
                scheme.code, number, scheme.noisy, s, c, f, external(c, v), Z[4 * k],
                b.C, c_at + N_COLUMN, 1, b.Y, at + N_STATE,
            )  # fmt: skip
            write_state(b.Y, at, 1, s)
            _rate(scheme, b, k)


@on_device
def _edge(scheme, layout, b, P, n_columns, spread, E, u, u1, u2, u3):  # type: ignore[no-untyped-def]
    """Add what a stimulus edge within the step just taken leaves beyond the stimulus' constant part.

    ``u`` is the step where nodes have their own pulses.
    """
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.lives:
            _fetch(scheme, node, P, n_columns, spread, E, 0)
            s, c = read_state(b.Y, k * b.size, 1), read_column(E, 0, 1)
            if scheme.timed:
                _, u1, u2, u3 = own_pulse(True, E, 0, scheme.n_coefficients, u)
            write_state(b.Y, k * b.size, 1, exp_ab.edge(s, c, u1, u2, u3, E, N_COLUMN, 1))
            _rate(scheme, b, k)


@on_device
def _fluctuate(layout, b, Z, distribution, scale, seed, sims, step):  # type: ignore[no-untyped-def]
    """Put the next fluctuation first; draw four when they are used up."""
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if step % np.uint32(noise.QUAD) == 0:
            z0, z1, z2, z3 = noise.quad(
                distribution, seed, sims[node.sim], node.region, step // np.uint32(noise.QUAD)
            )
            Z[4 * k], Z[4 * k + 1] = scale * z0, scale * z1
            Z[4 * k + 2], Z[4 * k + 3] = scale * z2, scale * z3
        else:
            Z[4 * k], Z[4 * k + 1], Z[4 * k + 2] = Z[4 * k + 1], Z[4 * k + 2], Z[4 * k + 3]


@cache
def runner(scheme: Scheme, layout: Layout, dtype: np.dtype) -> Any:  # noqa: C901
    """Kernel for one scheme and size: every block integrates a team from rest to the end of the recording."""
    real, n_regions, n_nodes, n_e = dtype.type, layout.n_regions, layout.n_nodes, scheme.n_coefficients
    size, team, n_c = scheme.n_rows + 2, TEAM * n_regions, n_nodes * n_e
    n_y, n_4, n_3 = n_nodes * size, n_nodes * 4, n_nodes * 3
    steady, noisy, in_shared, n_stages = scheme.steady, scheme.noisy, scheme.in_shared, scheme.n_stages
    coupled, dense, delayed = scheme.coupled, scheme.dense, scheme.delayed
    multistep, timed = scheme.code > solvers.EXP_AB, scheme.timed
    prepared = multistep or scheme.code == solvers.STRANG

    def run(  # type: ignore[no-untyped-def]  # noqa: C901
        P, n_columns, spread, seats, group, sims, stimulus, samples, times,
        sums, trace, extremes, failed_step, n_trials, history, weight, place, n_links, n_places, mask,
        n_samples, stride, first, period, n_epochs, distribution, scale, seed, widest, max_source, tolerance,
    ):  # fmt: skip
        # The simulator knows no alignment.
        shared = cuda.shared.array(0, dtype) if SIMULATED else cuda.shared.array(0, dtype, 16)
        C, Y, E = cuda.local.array(n_c, real), cuda.local.array(n_y, real), cuda.local.array(n_e, real)
        Z, flags = cuda.local.array(n_4, real), cuda.local.array(n_4, np.int32)
        w = Watch(cuda.local.array(n_3, real), cuda.local.array(n_3, real))
        block = np.uint64(cuda.blockIdx.x)
        b = Block(
            np.uint32(cuda.threadIdx.x), np.uint32(cuda.threadIdx.y), size, C, Y, flags,
            shared if in_shared else history,
            np.uint64(0) if in_shared else block * np.uint64(team) * (np.uint64(mask) + np.uint64(1)),
            shared, np.uint64(team if in_shared else 0), real(0), real(np.inf),
        )  # fmt: skip
        wires = Wires(weight, place, np.uint64(group[block]) * np.uint64(n_places), n_links, mask)
        record = Record(sums, trace, extremes, n_trials, np.uint64(sims.shape[0]) * np.uint64(n_regions))
        first_seat = np.uint32(cuda.blockIdx.x * TEAM)

        _prepare(scheme, layout, b, P, n_columns, spread, seats, first_seat)
        forget(layout, b, w, record, times, period)
        for z in range(n_4):
            Z[z] = b.zero
        slot = np.uint32(0)
        if coupled:
            for k in range(mask + np.uint32(1)):
                send(layout, b, mask, np.uint32(k))
            cuda.syncthreads()
            gather(dense, layout, b, wires, slot)
            cuda.syncthreads()
            receive(layout, b)
            cuda.syncthreads()
        if prepared:
            _start(scheme, layout, b)

        step = np.uint32(0)
        for sample in range(n_samples):
            row, phase, trial, older = load4(samples, np.uint64(np.uint32(4) * sample))
            if steady and trial >= 0:
                report(layout, b, w, record)
                cuda.syncthreads()
                judge(layout, b, record, trial, tolerance)
                cuda.syncthreads()
                if take_over(layout, b, record, times, n_epochs, seats, first_seat) == 0:
                    break
            limit = max_source if sample >= first else widest
            see(steady, layout, b, w, record, row, phase, older, limit, step)
            for _ in range(stride):
                if noisy:
                    _fluctuate(layout, b, Z, distribution, scale, seed, sims, step)
                u, u1, u2, u3 = load4(stimulus, np.uint64(np.uint32(4) * step))
                for number in range(n_stages):
                    if coupled:
                        # With delays, what arrives at the end of the step is sent already (heun).
                        gather(dense, layout, b, wires, np.uint32(slot + number) if delayed else slot)
                        cuda.syncthreads()
                        receive(layout, b)
                    _stage(scheme, layout, b, number, Z, u)
                    if coupled:
                        if not delayed:
                            send(layout, b, mask, slot)
                        cuda.syncthreads()
                step = np.uint32(step + np.uint32(1))
                edge = multistep and (u2 if timed else u1) != b.zero  # u2: column EDGE of Pulses.table
                if edge:
                    _edge(scheme, layout, b, P, n_columns, spread, E, u, u1, u2, u3)
                if delayed:
                    slot = np.uint32(slot + np.uint32(1))
                if coupled and (delayed or edge):
                    send(layout, b, mask, slot)
                    cuda.syncthreads()
            keep(steady, layout, b, w, record, row, phase, older, period)

        for k in range(n_nodes):
            node = node_of(layout, b, k)
            if node.records:
                failed_step[node.at] = b.flags[4 * k]

    return kernel(run, bounds=layout.bounds(dtype))
