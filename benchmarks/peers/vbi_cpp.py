"""VBI's C++ backend: float64, one network a run, with delays or without; Euler or Heun.

The one VBI model with the problem's network input G Σ_j w_ij S(y1_j - y2_j). Read in its code and reproduced
in plain NumPy: step n reads S of X at step n - round(delay_ij / dt), half away from zero; steps before 0
hold the initial state. Without delays it records X_0, X_1, ...; with delays X_1, X_2, ...
With noise, its Heun draws twice a step, one normal for the predictor and another for the corrector: that is
not the stochastic Heun scheme. Without noise it still draws.

vbi 0.4.4 from PyPI installs these models without the Python half of their SWIG wrappers (setup.py makes it
after the package's Python files are collected). In the folder vbi/models/cpp/_src of the environment:

    for model in jr_sde jr_sdde; do swig -python -c++ -outdir . -o /dev/null $model.i; done
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from peers import BACKGROUND, DEFAULTS, Run, Unsupported, check_scheme, first, spread
from peers.units import MILLISECONDS, before_each_step, kick, vbi_parameters

if find_spec("vbi") and not find_spec("vbi.models.cpp._src.jr_sdde"):
    raise ImportError("vbi was installed without its SWIG wrappers; the remedy is in peers/vbi_cpp.py")
from vbi.models.cpp import jansen_rit

PRECISION = "float64"
NOTES = {
    "uncoupled": "one simulation a run",
    "coupled": "one network a run; Heun evaluates the coupling at both stages",
    "noise": "its Heun draws another normal for the corrector than for the predictor",
}


def _settings(weights: np.ndarray, n_steps: int, dt: float, scheme: str) -> dict[str, Any]:
    """What its two models have in common; G is part of the weights."""
    return {
        "G": 1.0,
        "weights": np.asarray(weights, float),
        "initial_state": np.zeros(6 * len(weights)),
        "method": scheme,
        "dt": dt * MILLISECONDS,
        # Half a step late, so that rounding cannot drop a step.
        "t_end": (n_steps + 0.5) * dt * MILLISECONDS,
        "t_transition": 0.0,
        # It makes this folder, and writes nothing there.
        "output": tempfile.gettempdir(),
    }


def _simulate(
    p: Mapping[str, Any],
    background: float,
    weights: np.ndarray,
    n_steps: int,
    dt: float,
    noise_sd: float,
    delays_steps: np.ndarray | None,
    scheme: str,
) -> np.ndarray:
    """The source before each step, shape (n_steps, N)."""
    own = vbi_parameters(p, background)
    settings = _settings(weights, n_steps, dt, scheme)
    amplitude = float(kick(p, noise_sd))
    if delays_steps is None:
        own["noise_mu"] = own.pop("mu")
        model = jansen_rit.JR_sde({**own, **settings, "noise_amp": amplitude})
        return model.run(x0=settings["initial_state"])["x"].T[:n_steps]
    delays = np.asarray(delays_steps, float) * dt * MILLISECONDS
    model = jansen_rit.JR_sdde({**own, **settings, "sigma": amplitude, "delays": delays})
    return before_each_step(model.run(x0=settings["initial_state"])["x"].T[:n_steps])


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme)
    p, alone = first(parameters), np.zeros((1, 1))

    def run() -> int:
        return _simulate(p, background, alone, n_steps, dt, 0.0, None, scheme).size

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
    p = first(spread(n_sims))

    def run() -> int:
        return _simulate(p, BACKGROUND, weights, n_steps, dt, noise_sd, delays_steps, scheme).size

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
        raise Unsupported("VBI's C++ model takes one pulse into one population, not a stimulus train")
    return _simulate(parameters, background, np.zeros((1, 1)), n_steps, dt, 0.0, None, scheme)[:, 0]


def parity(
    weights: np.ndarray,
    delays_steps: np.ndarray | None,
    n_steps: int,
    dt: float = 1e-3,
    background: float = BACKGROUND,
    parameters: Mapping[str, float] = DEFAULTS,
    scheme: str = "euler",
) -> np.ndarray:
    """A network without noise from zeros: y1 - y2, mV, shape (n_steps, N); sample n is X_n."""
    check_scheme(scheme)
    return _simulate(parameters, background, weights, n_steps, dt, 0.0, delays_steps, scheme)
