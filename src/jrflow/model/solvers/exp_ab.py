"""Exponential Adams-Bashforth of order 2, 3 and 4.

The synapses are linear, so over a step they are solved exactly (``synapse``), with the input constant
over the step and the sigmoids' feedback f replaced by the polynomial through its last values:

    f(t + s) ~ sum_j f(t - j h) l_j(s/h),   j = 0 .. order - 1

Order 2 to 4 with one evaluation of the sigmoids a step. What a column receives in a network is part of
f, with and without delays. Values before the start are taken equal to the first one. A fluctuating
background is held over each step: strong order 1, and a weak error below that of every other scheme here.

A stimulus edge kinks the feedback. On the grid that costs no order: the error of a kink has the factor
B_3(0) = 0 of Euler and Maclaurin's formula. Inside a step, the stimulus is replaced by the cubic with the
same first four moments; the kink then leaves a term of third order, too small to be seen above 1e-9 of a
response (tested).

Valid for b h up to 1. At 1 ms evoked responses of the +-50 % prior err by 2.2e-4 of their range in the
median, 3.6e-3 at most (docs/science/validity.md).

Source: Hochbruck & Ostermann 2010, Acta Numerica 19:209, section 2.6 (exponential multistep methods).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jrflow.model.equations import N_DRIVE, State, read_drive, write_drive
from jrflow.model.lanes import Value, inlined, row_reader
from jrflow.model.solvers.synapse import (
    N_MOMENTS,
    N_PROPAGATOR,
    Moments,
    propagated,
    propagator,
    read_moments,
    read_propagator,
    responses,
)

N_STAGES = 1
#: Remembers the feedback one, two and three steps ago.
N_MEMORY = 3 * N_DRIVE


class Weights(NamedTuple):
    """Response (y, y') to the feedback now and one, two, three steps ago."""

    y_now: Value
    y_1: Value
    y_2: Value
    y_3: Value
    v_now: Value
    v_1: Value
    v_2: Value
    v_3: Value


read_weights = row_reader(Weights)
_N_WEIGHTS = len(Weights._fields)
_ONE_SYNAPSE = N_PROPAGATOR + _N_WEIGHTS + N_MOMENTS
N_COEFFICIENTS = 2 * _ONE_SYNAPSE

#: Lagrange polynomials through the last values: rows are powers of s/h, columns the values at t, t - h, ...
_EXTRAPOLATION = {
    2: [[1.0, 0.0], [1.0, -1.0]],
    3: [[1.0, 0.0, 0.0], [3 / 2, -2.0, 1 / 2], [1 / 2, -1.0, 1 / 2]],
    4: [
        [1.0, 0.0, 0.0, 0.0],
        [11 / 6, -3.0, 3 / 2, -1 / 3],
        [1.0, -5 / 2, 2.0, -1 / 2],
        [1 / 6, -1 / 2, 1 / 2, -1 / 6],
    ],
}


def coefficients(p: Mapping[str, np.ndarray], dt: float, n_values: int) -> tuple[np.ndarray, ...]:
    """Rows of both synapses: propagator, weights of the last n_values feedbacks, moments."""
    rows: list[np.ndarray] = []
    for b in (p["b_e"], p["b_i"]):
        by_power = responses(b, dt, 4)
        rows += propagator(b, dt, by_power[0])
        rows += _weights(by_power, n_values)
        rows += Moments(*by_power[1:].reshape(N_MOMENTS, *b.shape))
    return tuple(rows)


def _weights(by_power: np.ndarray, n_values: int) -> Weights:
    """Responses to the last values, from those to the powers of s/h: extrapolation is linear in them."""
    weights = np.zeros((2, 4, *by_power.shape[2:]))
    extrapolation = np.array(_EXTRAPOLATION[n_values])
    weights[:, :n_values] = np.tensordot(by_power[:n_values], extrapolation, (0, 0)).transpose(
        0, -1, *range(1, by_power.ndim - 1)
    )
    return Weights(*weights.reshape(_N_WEIGHTS, *by_power.shape[2:]))


@inlined
def start(f, M, m_at, row):  # type: ignore[no-untyped-def]
    """Fill the memory with the feedback of the initial state."""
    for k in range(3):
        write_drive(M, m_at + k * N_DRIVE * row, row, f)


@inlined
def _synapse(order, e, w, y, v, x, f, f1, f2, f3):  # type: ignore[no-untyped-def]
    """One synapse over one step, from the feedback now and one, two, three steps ago."""
    y_new, v_new = propagated(e, y, v, x)
    y_new += w.y_now * f + w.y_1 * f1
    v_new += w.v_now * f + w.v_1 * f1
    if order >= 3:
        y_new += w.y_2 * f2
        v_new += w.v_2 * f2
    if order >= 4:
        y_new += w.y_3 * f3
        v_new += w.v_3 * f3
    return y_new, v_new


@inlined
def stage(order, s, f, i, P, p_at, row, M, m_at):  # type: ignore[no-untyped-def]
    """Advance one column by one step, and remember its feedback."""
    e, w = read_propagator(P, p_at, row), read_weights(P, p_at + N_PROPAGATOR * row, row)
    inhibitory = p_at + _ONE_SYNAPSE * row
    e_i, w_i = read_propagator(P, inhibitory, row), read_weights(P, inhibitory + N_PROPAGATOR * row, row)
    f1 = read_drive(M, m_at, row)
    f2 = read_drive(M, m_at + N_DRIVE * row, row)
    f3 = read_drive(M, m_at + 2 * N_DRIVE * row, row)
    y0, v0 = _synapse(
        order, e, w, s.y0, s.v0, i.pyramidal, f.pyramidal, f1.pyramidal, f2.pyramidal, f3.pyramidal
    )
    y1, v1 = _synapse(
        order, e, w, s.y1, s.v1, i.excitatory, f.excitatory, f1.excitatory, f2.excitatory, f3.excitatory
    )
    y2, v2 = _synapse(
        order, e_i, w_i, s.y2, s.v2, i.inhibitory, f.inhibitory, f1.inhibitory, f2.inhibitory, f3.inhibitory
    )
    write_drive(M, m_at, row, f)
    if order >= 3:
        write_drive(M, m_at + N_DRIVE * row, row, f1)
    if order >= 4:
        write_drive(M, m_at + 2 * N_DRIVE * row, row, f2)
    return State(y0, y1, y2, v0, v1, v2)


@inlined
def edge(s, c, u1, u2, u3, P, p_at, row):  # type: ignore[no-untyped-def]
    """Add the response to a stimulus u1 s/h + u2 (s/h)**2 + u3 (s/h)**3 within the step just taken."""
    m = read_moments(P, p_at + (N_PROPAGATOR + _N_WEIGHTS) * row, row)
    m_i = read_moments(P, p_at + (_ONE_SYNAPSE + N_PROPAGATOR + _N_WEIGHTS) * row, row)
    y, v = m.y1 * u1 + m.y2 * u2 + m.y3 * u3, m.v1 * u1 + m.v2 * u2 + m.v3 * u3
    y_i, v_i = m_i.y1 * u1 + m_i.y2 * u2 + m_i.y3 * u3, m_i.v1 * u1 + m_i.v2 * u2 + m_i.v3 * u3
    return State(
        s.y0 + c.u_pyr * y,
        s.y1 + c.u_exc * y,
        s.y2 + c.u_inh * y_i,
        s.v0 + c.u_pyr * v,
        s.v1 + c.u_exc * v,
        s.v2 + c.u_inh * v_i,
    )
