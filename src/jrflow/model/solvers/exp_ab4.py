"""Exponential Adams-Bashforth of order 4.

The synapses are linear, so over a step of length h they are solved exactly (variation of constants):

    z(t+h) = exp(L h) z(t) + int_0^h exp(L (h - s)) (0, f(t + s) + i) ds,     z = (y, y')

with the input i constant over the step and the sigmoids' feedback f replaced by the cubic through its
last four values: order 4 with one evaluation of the sigmoids a step. L is critically damped, so exp(L h)
and the weights of the four values are closed-form functions of b h alone.

The stimulus is constant over a step, so its edges must lie on the grid; the kink that an edge gives to
the feedback then costs no order (tested). A fluctuating background is held over each step. The history
starts from the feedback of the initial state.
Valid for b h up to about 1; at 1 ms the default evoked response is within 4e-4 of its range.

Source: Hochbruck & Ostermann 2010, Acta Numerica 19:209, section 2.6 (exponential multistep methods).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jrflow.model.equations import N_SHARED_ROWS, V0, V1, V2, Y0, Y1, Y2, external, feedback
from jrflow.model.lanes import LANES, ROW, lane_function

CODE = 1
ORDER = 4

# Rows of one time constant: propagator, weights of the four feedbacks on y and y', of the input on both.
YY, YV, VY, VV, Y_NOW, Y_1, Y_2, Y_3, V_NOW, V_1, V_2, V_3, Y_INPUT, V_INPUT = (k * ROW for k in range(14))
EXCITATORY = N_SHARED_ROWS * ROW
INHIBITORY = EXCITATORY + 14 * ROW
N_ROWS = N_SHARED_ROWS + 28

#: Rows of the history: ORDER slots of three feedbacks.
SLOT = 3 * ROW
N_HISTORY_ROWS = ORDER * 3

#: Newton backward differences over the last four values: rows are the powers of s/h that
#: interpolate, columns the values at t, t-h, t-2h, t-3h.
_CUBIC = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [11 / 6, -3.0, 3 / 2, -1 / 3],
        [1.0, -5 / 2, 2.0, -1 / 2],
        [1 / 6, -1 / 2, 1 / 2, -1 / 6],
    ]
)
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


def rows(p: Mapping[str, np.ndarray], dt: float) -> dict[int, np.ndarray]:
    """Coefficients of :func:`step`: propagators and weights of both time constants."""
    return {
        base + k * ROW: row
        for base, b in ((EXCITATORY, p["b_e"]), (INHIBITORY, p["b_i"]))
        for k, row in enumerate(_synapse_rows(b, dt))
    }


def _synapse_rows(b: np.ndarray, h: float) -> np.ndarray:
    """Propagator (4), feedback weights on y and y' (4 + 4) and input weights (2), shape (14, n_sims)."""
    decay = np.exp(-b * h)
    propagator = decay * np.stack([1 + b * h, np.full_like(b, h), -b * b * h, 1 - b * h])

    theta = (_NODES + 1) / 2
    rest = h * (1 - theta)  # time left of the step
    kernel = np.exp(-np.outer(b, rest)) * _NODE_WEIGHTS * h / 2
    powers = theta ** np.arange(ORDER)[:, None]
    on_y = np.einsum("nq,q,kq->kn", kernel, rest, powers)
    on_v = np.einsum("nq,nq,kq->kn", kernel, 1 - np.outer(b, rest), powers)
    return np.concatenate([propagator, _CUBIC.T @ on_y, _CUBIC.T @ on_v, on_y[:1], on_v[:1]])


@lane_function
def start(W, H):  # type: ignore[no-untyped-def]
    """Fill the history with the feedback of the initial state."""
    for lane in range(LANES):
        f0, f1, f2 = feedback(W, lane)
        for slot in range(ORDER):
            H[slot * SLOT + lane] = f0
            H[slot * SLOT + ROW + lane] = f1
            H[slot * SLOT + 2 * ROW + lane] = f2


@lane_function
def _synapse(W, base, lane, y, v, f, f1, f2, f3, drive):  # type: ignore[no-untyped-def]
    """One synapse over one step, from the feedback now and one, two, three steps ago."""
    row = base + lane
    y_new = (
        W[row + YY] * y + W[row + YV] * v + W[row + Y_INPUT] * drive
        + (W[row + Y_NOW] * f + W[row + Y_1] * f1 + W[row + Y_2] * f2 + W[row + Y_3] * f3)
    )  # fmt: skip
    v_new = (
        W[row + VY] * y + W[row + VV] * v + W[row + V_INPUT] * drive
        + (W[row + V_NOW] * f + W[row + V_1] * f1 + W[row + V_2] * f2 + W[row + V_3] * f3)
    )  # fmt: skip
    return y_new, v_new


@lane_function
def step(W, H, fluctuations, u, index):  # type: ignore[no-untyped-def]
    """Advance all lanes of a block by one step; the history H is a ring of ORDER slots."""
    now = (index % ORDER) * SLOT
    one_ago = ((index + 3) % ORDER) * SLOT
    two_ago = ((index + 2) % ORDER) * SLOT
    three_ago = ((index + 1) % ORDER) * SLOT
    for lane in range(LANES):
        H[now + lane], H[now + ROW + lane], H[now + 2 * ROW + lane] = feedback(W, lane)
    for lane in range(LANES):
        i0, i1, i2 = external(W, lane, u, fluctuations[lane])
        n, a, b, c = now + lane, one_ago + lane, two_ago + lane, three_ago + lane
        y0, v0 = _synapse(W, EXCITATORY, lane, W[Y0 + lane], W[V0 + lane], H[n], H[a], H[b], H[c], i0)
        n, a, b, c = n + ROW, a + ROW, b + ROW, c + ROW
        y1, v1 = _synapse(W, EXCITATORY, lane, W[Y1 + lane], W[V1 + lane], H[n], H[a], H[b], H[c], i1)
        n, a, b, c = n + ROW, a + ROW, b + ROW, c + ROW
        y2, v2 = _synapse(W, INHIBITORY, lane, W[Y2 + lane], W[V2 + lane], H[n], H[a], H[b], H[c], i2)
        W[Y0 + lane], W[V0 + lane] = y0, v0
        W[Y1 + lane], W[V1 + lane] = y1, v1
        W[Y2 + lane], W[V2 + lane] = y2, v2
