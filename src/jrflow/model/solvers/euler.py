"""Forward Euler, as the paper's public code uses it.

Order 1, one evaluation of the sigmoids a step. Stable for b dt < 1 on the synapses; at 1 ms the paper's
evoked responses are off by several per cent and limit cycles by far more, so it serves the preset
``as-published`` and comparison.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jrflow.model.equations import N_SHARED_ROWS, V0, V1, V2, Y0, Y1, Y2, external, feedback
from jrflow.model.lanes import LANES, ROW, lane_function

CODE = 0
DT, B_E, B_I = (i * ROW for i in range(N_SHARED_ROWS, N_SHARED_ROWS + 3))
N_ROWS = N_SHARED_ROWS + 3


def rows(p: Mapping[str, np.ndarray], dt: float) -> dict[int, np.ndarray]:
    """Coefficients of :func:`step`: the step (s) and the inverse time constants (1/s)."""
    return {DT: np.full_like(p["b_e"], dt), B_E: p["b_e"], B_I: p["b_i"]}


@lane_function
def _synapse(y, v, b, drive, dt):  # type: ignore[no-untyped-def]
    """y' = v, v' = drive - 2 b v - b**2 y."""
    return y + dt * v, v + dt * (drive - (b + b) * v - b * b * y)


@lane_function
def step(W, fluctuations, u):  # type: ignore[no-untyped-def]
    """Advance all lanes of a block by one step."""
    for lane in range(LANES):
        f0, f1, f2 = feedback(W, lane)
        i0, i1, i2 = external(W, lane, u, fluctuations[lane])
        dt, b_e, b_i = W[DT + lane], W[B_E + lane], W[B_I + lane]
        y0, v0 = _synapse(W[Y0 + lane], W[V0 + lane], b_e, f0 + i0, dt)
        y1, v1 = _synapse(W[Y1 + lane], W[V1 + lane], b_e, f1 + i1, dt)
        y2, v2 = _synapse(W[Y2 + lane], W[V2 + lane], b_i, f2 + i2, dt)
        W[Y0 + lane], W[V0 + lane] = y0, v0
        W[Y1 + lane], W[V1 + lane] = y1, v1
        W[Y2 + lane], W[V2 + lane] = y2, v2
