"""VBI's numba backend: stochastic Heun in float64, a Python loop around a compiled step, one set a run.

Its network input is G S(Σ_j w_ij (y1_j - y2_j)): the sigmoid of the sum, where the problem asks for the sum
of the sigmoids. Without noise it still draws; what it returns is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from vbi.models.numba.jansen_rit import JR_sde

from peers import BACKGROUND, Run, Unsupported, check_scheme, first, spread
from peers.units import MILLISECONDS, before_each_step, kick, vbi_parameters

PRECISION = "float64"
NOTES = {
    "uncoupled": "one simulation a run",
    "coupled": "another model of the same cost: the sigmoid of the sum, not the sum of the sigmoids; one "
    "network a run",
    "trajectory": "returned in float32",
}


def _model(
    p: Mapping[str, Any], background: float, weights: np.ndarray, n_steps: int, dt: float, noise_sd: float
) -> JR_sde:
    """VBI's model; the end lies half a step late, so that rounding cannot drop a step."""
    return JR_sde(
        {
            **vbi_parameters(p, background),
            "G": float(weights.any()),
            "weights": weights,
            "noise_amp": float(kick(p, noise_sd)),
            "dt": dt * MILLISECONDS,
            "t_end": (n_steps + 0.5) * dt * MILLISECONDS,
            "seed": 0,
        }
    )


def _from_rest(model: JR_sde) -> np.ndarray:
    """The source after each step, (n_steps, N), float32."""
    # The constructor fails on "initial_state", although it lists it.
    return model.run(x0=np.zeros(6 * model.P.nn))["x"]


def _timed(model: JR_sde) -> Run:
    return lambda: int(_from_rest(model).size)


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme, ("heun",))
    return _timed(_model(first(parameters), background, np.zeros((1, 1)), n_steps, dt, 0.0))


def coupled(
    weights: np.ndarray,
    n_sims: int,
    n_steps: int,
    dt: float,
    noise_sd: float,
    delays_steps: np.ndarray | None,
    scheme: str,
) -> Run:
    check_scheme(scheme, ("heun",))
    if delays_steps is not None:
        raise Unsupported("VBI's numba model has no delays; its C++ model has")
    return _timed(_model(first(spread(n_sims)), BACKGROUND, weights, n_steps, dt, noise_sd))


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme, ("heun",))
    if stimulus is not None:
        raise Unsupported("VBI's numba model has no stimulus")
    model = _model(parameters, background, np.zeros((1, 1)), n_steps, dt, 0.0)
    return before_each_step(_from_rest(model))[:, 0].astype(np.float64)
