"""The paper's public code: forward Euler, one column, scalar NumPy arithmetic in double precision.

Transcribed from `run_jr_simulation` of Tilwani & O'Reilly's `deepjr` (arXiv 2406.05002, MIT licence), with
jrflow's units where that keeps volts against a slope per millivolt: the arithmetic of a step is the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from peers import GAINS, Run, Unsupported, check_scheme, first

PRECISION = "float64"
NOTES = {
    "uncoupled": "one simulation a run; reads each state once a step, so somewhat faster than the original"
}


def _loop(p: Mapping[str, float], background: float, stimulus: np.ndarray, dt: float) -> np.ndarray:
    """All six states at every step, shape (6, n_steps)."""
    n_steps = len(stimulus)
    y = np.zeros((6, n_steps))
    A, B, a, b = p["A_e"], p["A_i"], p["b_e"], p["b_i"]
    C_1, C_2, C_3, C_4 = (p["C"] * p[f"a_{k}"] for k in (1, 2, 3, 4))
    v_max, v_0, r = p["v_max"], p["v_0"], p["r"]
    pyramidal, excitatory, inhibitory = (gain * stimulus for gain in GAINS)
    excitatory = excitatory + background
    for k in range(1, n_steps):
        y0, y1, y2, v0, v1, v2 = y[:, k - 1]
        y[0, k] = y0 + dt * v0
        y[1, k] = y1 + dt * v1
        y[2, k] = y2 + dt * v2
        rate = v_max / (1 + np.exp(r * (v_0 - (y1 - y2))))
        y[3, k] = v0 + dt * (A * a * (pyramidal[k - 1] + rate) - 2 * a * v0 - a**2 * y0)
        rate = C_2 * v_max / (1 + np.exp(r * (v_0 - C_1 * y0)))
        y[4, k] = v1 + dt * (A * a * (excitatory[k - 1] + rate) - 2 * a * v1 - a**2 * y1)
        rate = C_4 * v_max / (1 + np.exp(r * (v_0 - C_3 * y0)))
        y[5, k] = v2 + dt * (B * b * (inhibitory[k - 1] + rate) - 2 * b * v2 - b**2 * y2)
    return y


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme, ("euler",))
    p, silence = first(parameters), np.zeros(n_steps)

    def run() -> int:
        _loop(p, background, silence, dt)
        return n_steps

    return run


def coupled(
    weights: np.ndarray,
    n_sims: int,
    n_steps: int,
    dt: float,
    noise_sd: float,
    delays_steps: np.ndarray | None,
    scheme: str,
) -> Run:
    raise Unsupported("the paper's code simulates one column; it has no coupling")


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme, ("euler",))
    y = _loop(parameters, background, np.zeros(n_steps) if stimulus is None else stimulus, dt)
    return y[1] - y[2]
