"""The time loop on the CPU: one block of lanes, all of its regions, from rest to the end of the recording."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from jrflow.model import arrivals, coupling, noise, pulse, recording, solvers
from jrflow.model.equations import (
    N_COLUMN,
    N_STATE,
    activation,
    external,
    feedback,
    rate,
    read_column,
    read_state,
    write_state,
)
from jrflow.model.lanes import PAD, SOURCE_DIGEST, compiled_entry, inlined, vectorise_fully
from jrflow.model.solvers import exp_ab


class Block(NamedTuple):
    """Working memory of one block; lanes innermost, a row is lanes + PAD long.

    Attributes
    ----------
    P
        Coefficients, (n_regions, n_coefficients * row), or of one region where all are alike.
    Y
        State and the solver's memory, (n_regions, n_rows * row).
    S
        Rates S(y1 - y2), 1/s, (n_regions, lanes).
    K
        What each region receives during the next steps, (n_regions, width * lanes).
    R
        Room for what one region receives, (width * lanes).
    H
        Histories of the rates, flat: (n_regions, n_slots, lanes), or (n_regions, lanes, n_slots) where lanes
        have delays of their own.
    Z
        Fluctuations of the background over four steps, 1/s, (n_regions, QUAD * lanes).
    U
        Stimulus over the present step as a cubic, where lanes have pulses of their own, (n_regions, 4 *
        lanes).
    """

    P: np.ndarray
    Y: np.ndarray
    S: np.ndarray
    K: np.ndarray
    R: np.ndarray
    H: np.ndarray
    Z: np.ndarray
    U: np.ndarray


@inlined
def _fluctuate(b, lanes, distribution, scale, seed, sims, step):  # type: ignore[no-untyped-def]
    """Draw the fluctuations of four steps."""
    vectorise_fully()
    for region in range(b.Z.shape[0]):
        Z = b.Z[region]
        for lane in range(lanes):
            z0, z1, z2, z3 = noise.quad(distribution, seed, sims[lane], region, step // noise.QUAD)
            Z[lane] = scale * z0
            Z[lanes + lane] = scale * z1
            Z[2 * lanes + lane] = scale * z2
            Z[3 * lanes + lane] = scale * z3


@inlined
def _pulse(multistep, b, lanes, step):  # type: ignore[no-untyped-def]
    """Compute every lane's own stimulus over a step, whose number after the onset is given."""
    vectorise_fully()
    row = lanes + PAD
    for region in range(b.U.shape[0]):
        U, P = b.U[region], b.P[min(region, b.P.shape[0] - 1)]
        begin = P.shape[0] - pulse.N_PULSE * row
        for lane in range(lanes):
            if multistep:
                u, u1, u2, u3 = pulse.unit_pulse(P[begin + lane], P[begin + row + lane], step)
                U[lane], U[lanes + lane] = u, u1
                U[2 * lanes + lane], U[3 * lanes + lane] = u2, u3
            else:
                U[lane] = pulse.mean_pulse(P[begin + lane], P[begin + row + lane], step)


@inlined
def _rates(b, lanes):  # type: ignore[no-untyped-def]
    """Every column's rate in its present state."""
    vectorise_fully()
    for region in range(b.Y.shape[0]):
        Y, P, S = b.Y[region], b.P[min(region, b.P.shape[0] - 1)], b.S[region]
        for lane in range(lanes):
            S[lane] = rate(read_state(Y, lane, lanes + PAD), read_column(P, lane, lanes + PAD))


@inlined
def _own(coupled, s, c, sent):  # type: ignore[no-untyped-def]
    """Drive of a column by its own rate; in a network that rate has been computed already, to be sent."""
    return c.excitation * sent if coupled else c.pyr * activation(s, c)


@inlined
def _start(code, coupled, b, lanes):  # type: ignore[no-untyped-def]
    """Prepare the solver for its first step."""
    vectorise_fully()
    row = lanes + PAD
    for region in range(b.Y.shape[0]):
        Y, P, S, K = b.Y[region], b.P[min(region, b.P.shape[0] - 1)], b.S[region], b.K[region]
        for lane in range(lanes):
            s, c = read_state(Y, lane, row), read_column(P, lane, row)
            f = feedback(s, c, _own(coupled, s, c, S[lane]), K[lane])
            s = solvers.start(code, s, f, P, N_COLUMN * row + lane, row, Y, N_STATE * row + lane)
            write_state(Y, lane, row, s)


@inlined
def _stage(code, number, noisy, timed, coupled, b, lanes, arrival, quarter, u):  # type: ignore[no-untyped-def]
    """One stage of the solver in all regions and lanes."""
    vectorise_fully()
    row = lanes + PAD
    for region in range(b.Y.shape[0]):
        Y, P, S = b.Y[region], b.P[min(region, b.P.shape[0] - 1)], b.S[region]
        K = b.K[region, arrival * lanes : (arrival + 1) * lanes]
        Z = b.Z[region, quarter * lanes : (quarter + 1) * lanes] if noisy else S
        U = b.U[region] if timed else S
        for lane in range(lanes):
            s, c = read_state(Y, lane, row), read_column(P, lane, row)
            f = feedback(s, c, _own(coupled, s, c, S[lane]), K[lane] if coupled else u - u)
            s = solvers.stage(
                code, number, noisy, s, c, f, external(c, U[lane] if timed else u), Z[lane],
                P, N_COLUMN * row + lane, row, Y, N_STATE * row + lane,
            )  # fmt: skip
            write_state(Y, lane, row, s)
            if coupled:
                S[lane] = rate(s, c)


@inlined
def _edge(timed, b, lanes, u1, u2, u3):  # type: ignore[no-untyped-def]
    """Add what a stimulus edge within the step just taken leaves beyond the stimulus' constant part."""
    vectorise_fully()
    row = lanes + PAD
    for region in range(b.Y.shape[0]):
        Y, P = b.Y[region], b.P[min(region, b.P.shape[0] - 1)]
        U = b.U[region] if timed else Y
        for lane in range(lanes):
            s, c = read_state(Y, lane, row), read_column(P, lane, row)
            if timed:
                u1, u2, u3 = U[lanes + lane], U[2 * lanes + lane], U[3 * lanes + lane]
            write_state(Y, lane, row, exp_ab.edge(s, c, u1, u2, u3, P, N_COLUMN * row + lane, row))


@inlined
def _begin(code, mode, b, links, lanes):  # type: ignore[no-untyped-def]
    """Bring rates, histories, arrivals and the solver's memory in step with the initial state."""
    _rates(b, lanes)
    if mode == coupling.DELAYED or mode == coupling.APART:
        for slot in range(links.n_kept):
            _remember(mode, b, links, slot, lanes)
        _gather(mode, b, links, links.n_kept - 1, lanes)
    _receive(mode, b, links, lanes)
    if code > solvers.EXP_AB or code == solvers.STRANG:
        _start(code, mode != coupling.NONE, b, lanes)


@inlined
def _gather(mode, b, links, slot, lanes):  # type: ignore[no-untyped-def]
    """What arrives with delay during the next steps."""
    if mode == coupling.APART:
        arrivals.gather_apart(b.K, b.R, b.H, links, links.width, slot, lanes)
    else:
        arrivals.gather(b.K, b.H, links, links.width, slot, lanes)


@inlined
def _remember(mode, b, links, slot, lanes):  # type: ignore[no-untyped-def]
    """Write the present rates into the histories; returns their slot."""
    if mode == coupling.APART:
        return arrivals.remember_apart(b.H, b.S, links, slot, lanes)
    return arrivals.remember(b.H, b.S, links, slot, lanes)


@inlined
def _receive(mode, b, links, lanes):  # type: ignore[no-untyped-def]
    """What arrives without delay from the present state, or stage."""
    if mode == coupling.DENSE or mode == coupling.SPARSE:
        arrivals.product(mode, b.K, b.S, links, lanes)


@cache
def block_runner(
    solver: solvers.Solver, mode: int, noisy: bool, timed: bool, steady: bool, lanes: int
) -> Callable[..., int]:
    """Time loop for one scheme and kind of network; numba's cache knows it by these and the sources."""
    return _compile(solver.code, solver.n_stages, mode, noisy, timed, steady, lanes, SOURCE_DIGEST)


def _compile(  # noqa: C901
    code: int, n_stages: int, mode: int, noisy: bool, timed: bool, steady: bool, lanes: int, digest: str
) -> Callable[..., int]:
    coupled, delayed = mode != coupling.NONE, mode in (coupling.DELAYED, coupling.APART)
    multistep, late = code > solvers.EXP_AB, int(delayed)

    # What is constant here must be seen as such where the loops over lanes are compiled, so a step is
    # written out: as a function of its own it would run at half the speed.
    @compiled_entry
    def run_block(b, r, t, links, stimulus, distribution, scale, seed, sims, limits, tolerance):  # type: ignore[no-untyped-def]  # noqa: C901
        """Integrate one block; returns the number of steps taken.

        Sample k is the state at step k * stride, before that step is taken. ``limits`` are the largest
        |y1 - y2| before and within the recording.
        """
        vectorise_fully()
        _ = digest
        _begin(code, mode, b, links, lanes)
        slot, arrival, ahead = links.n_kept - 1, 0, links.width - (n_stages - 1)
        for step in range(stimulus.shape[0]):
            if step % t.stride == 0:
                sample = step // t.stride
                at_onset = steady and sample >= t.onset and (sample - t.onset) % t.period == 0
                if at_onset and recording.settle(r, t, lanes, sample, tolerance) == 0:
                    return step
                recording.observe(r, t, b.Y, lanes, sample, steady, limits[int(sample >= t.first)])
            if noisy and step % noise.QUAD == 0:
                _fluctuate(b, lanes, distribution, scale, seed, sims, step)
            u, quarter = stimulus[step, 0], step % noise.QUAD
            if timed:
                if stimulus[step, pulse.ON] != 0:
                    _pulse(multistep, b, lanes, u)
                elif step > 0 and stimulus[step - 1, pulse.ON] != 0:
                    b.U[:] = 0
            if delayed:
                arrival = step % ahead
                if arrival == 0:
                    _gather(mode, b, links, slot, lanes)
            _receive(mode, b, links, lanes)
            _stage(code, 0, noisy, timed, coupled, b, lanes, arrival, quarter, u)
            if n_stages >= 2:
                _receive(mode, b, links, lanes)
                _stage(code, 1, noisy, timed, coupled, b, lanes, arrival + late, quarter, u)
            if n_stages == 4:
                _receive(mode, b, links, lanes)
                _stage(code, 2, noisy, timed, coupled, b, lanes, 0, quarter, u)
                _receive(mode, b, links, lanes)
                _stage(code, 3, noisy, timed, coupled, b, lanes, 0, quarter, u)
            if multistep and stimulus[step, pulse.EDGE if timed else 1] != 0:
                _edge(timed, b, lanes, stimulus[step, 1], stimulus[step, 2], stimulus[step, 3])
                _rates(b, lanes)
            if delayed:
                slot = _remember(mode, b, links, slot + 1, lanes)
        return stimulus.shape[0]

    return run_block
