"""VBI's CuPy backend with engine "cpu", that is, NumPy: all simulations at once, Euler or Heun.

Its network input is G S(Σ_j w_ij (y1_j - y2_j)): the sigmoid of the sum, where the problem asks for the sum
of the sigmoids. Parameters of shape (1, n_sims) vary with the simulation; the documentation says so only of
C0 to C3 and G, but all broadcast. Without noise it still draws; what it returns is float32.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from vbi.models.cupy.jansen_rit import JR_sde

from peers import BACKGROUND, Run, Unsupported, check_scheme, spread
from peers.units import MILLISECONDS, before_each_step, kick, vbi_parameters

PRECISION = "float64"
NOTES = {
    "uncoupled": "its dtype float32 holds for the first step only, whose derivatives are already float64",
    "coupled": "another model of the same cost: the sigmoid of the sum, not the sum of the sigmoids",
    "trajectory": "returned in float32",
}


def _simulate(
    p: Mapping[str, Any],
    background: float,
    weights: np.ndarray,
    n_steps: int,
    dt: float,
    noise_sd: float,
    scheme: str,
) -> np.ndarray:
    """The source after each step, shape (n_steps, N, n_sims), float32."""
    columns = {name: np.reshape(value, (1, -1)) for name, value in p.items()}
    n_sims = columns["A_e"].size
    n_nodes = len(weights)
    model = JR_sde(
        {
            **vbi_parameters(columns, background),
            "G": float(weights.any()),
            "weights": weights,
            "noise_amp": kick(columns, noise_sd),
            "initial_state": np.zeros((6 * n_nodes, n_sims)),
            "num_sim": n_sims,
            "method": scheme,
            "dt": dt * MILLISECONDS,
            "t_end": (n_steps - 0.5) * dt * MILLISECONDS,
            "t_cut": 0.0,
            "seed": 0,
        }
    )
    # It draws a progress bar on stderr, and has no switch for it.
    with contextlib.redirect_stderr(io.StringIO()):
        return model.run()["x"]


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme)

    def run() -> int:
        return _simulate(parameters, background, np.zeros((1, 1)), n_steps, dt, 0.0, scheme).size

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
    check_scheme(scheme)
    if delays_steps is not None:
        raise Unsupported("VBI's batch model has no delays; its C++ model has")
    parameters = spread(n_sims)

    def run() -> int:
        return _simulate(parameters, BACKGROUND, weights, n_steps, dt, noise_sd, scheme).size

    return run


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme)
    if stimulus is not None:
        raise Unsupported("VBI's batch model has no stimulus")
    after = _simulate(parameters, background, np.zeros((1, 1)), n_steps, dt, 0.0, scheme)
    return before_each_step(after)[:, 0, 0].astype(np.float64)
