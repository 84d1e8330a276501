"""The Jansen-Rit equations, once.

Three second-order linear synapses (pyramidal y0, excitatory y1, inhibitory y2; mV), each driven by
firing rates:

    y0'' = A_e b_e ( S(y1 - y2)          + g_p u )            - 2 b_e y0' - b_e**2 y0
    y1'' = A_e b_e ( a_2 C S(a_1 C y0)   + g_e u + p )        - 2 b_e y1' - b_e**2 y1
    y2'' = A_i b_i ( a_4 C S(a_3 C y0)   + g_i u )            - 2 b_i y2' - b_i**2 y2

with S(v) = v_max / (1 + exp(r (v_0 - v))), the stimulus u and the background p (1/s).
The measured source is y1 - y2.

A solver needs the right-hand side in two parts: what the state feeds back through the sigmoids
(smooth: may be extrapolated), and the input (piecewise constant: must not be).

Source: Jansen & Rit 1995; stimulus gains from Tilwani & O'Reilly, arXiv 2406.05002.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jrflow.model.lanes import ROW, lane_function
from jrflow.model.sigmoid import logistic2

# Rows that every solver shares: state, then the coefficients of the two functions below.
Y0, Y1, Y2, V0, V1, V2 = (i * ROW for i in range(6))
S_OFFSET, S_PYR, S_EXC, S_INH = (i * ROW for i in range(6, 10))
D_PYR, D_EXC, D_INH = (i * ROW for i in range(10, 13))
U_PYR, U_EXC, U_INH, P_EXC, P_MEAN = (i * ROW for i in range(13, 18))
N_SHARED_ROWS = 18


@lane_function
def feedback(W, lane):  # type: ignore[no-untyped-def]
    """Drive of the three synapses by the sigmoids of the present state, mV/s**2."""
    y0 = W[Y0 + lane]
    offset = W[S_OFFSET + lane]
    pyramidal = W[D_PYR + lane] * logistic2(offset - W[S_PYR + lane] * (W[Y1 + lane] - W[Y2 + lane]))
    excitatory = W[D_EXC + lane] * logistic2(offset - W[S_EXC + lane] * y0)
    inhibitory = W[D_INH + lane] * logistic2(offset - W[S_INH + lane] * y0)
    return pyramidal, excitatory, inhibitory


@lane_function
def external(W, lane, u, fluctuation):  # type: ignore[no-untyped-def]
    """Drive of the three synapses by stimulus u and background p = mean + fluctuation, mV/s**2."""
    background = W[P_EXC + lane] * (W[P_MEAN + lane] + fluctuation)
    return W[U_PYR + lane] * u, W[U_EXC + lane] * u + background, W[U_INH + lane] * u


def shared_rows(
    p: Mapping[str, np.ndarray], gains: Sequence[float], background: float
) -> dict[int, np.ndarray]:
    """Coefficients of :func:`feedback` and :func:`external`.

    Parameters
    ----------
    p
        Parameter name to values, shape (n_sims,), in the units of ``PARAMETERS``.
    gains
        Stimulus gains (g_p, g_e, g_i).
    background
        Mean background input, 1/s.
    """
    slope = p["r"] / np.log(2.0)  # the sigmoid is evaluated in powers of two
    excitation, inhibition = p["A_e"] * p["b_e"], p["A_i"] * p["b_i"]
    return {
        S_OFFSET: slope * p["v_0"],
        S_PYR: slope,
        S_EXC: slope * p["a_1"] * p["C"],
        S_INH: slope * p["a_3"] * p["C"],
        D_PYR: excitation * p["v_max"],
        D_EXC: excitation * p["v_max"] * p["a_2"] * p["C"],
        D_INH: inhibition * p["v_max"] * p["a_4"] * p["C"],
        U_PYR: excitation * gains[0],
        U_EXC: excitation * gains[1],
        U_INH: inhibition * gains[2],
        P_EXC: excitation,
        P_MEAN: np.full_like(excitation, background),
    }
