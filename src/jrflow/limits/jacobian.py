"""Derivative of the simulated source with respect to each parameter, by central finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from jrflow.archive.vocabulary import OK
from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.model.plausible import unremarked
from jrflow.simulation import simulate
from jrflow.space.joint import JointDistribution

#: Number of draws for which derivatives are repeated with half the step, as a check.
_N_CHECKED = 8

#: Largest accepted relative change of a derivative when the step is halved. Measured over 120 draws of each
#: preset's prior at a relative step of 1e-5: median 2e-9 and 6e-7, largest 7e-3, on limit cycles.
STEP_TOLERANCE = 0.05

#: Largest steady-state tolerance. If later trials are skipped, the response has an error of about this
#: tolerance. The errors of the two simulations of a difference do not cancel if these settle at different
#: trials. The difference itself is of the order of the relative step, 1e-5 of the response. The tolerance of
#: campaigns is as large as that, so it is too large here. With 1e-10, derivatives change by at most 4e-4 of
#: their size.
_STEADY_STATE_TOLERANCE = 1e-10

#: Derivatives below this fraction of the largest one are not checked: they carry no information.
_NEGLIGIBLE = 1e-6


def source_jacobian(
    prior: Prior, draws: np.ndarray, simulation: SimulationConfig, relative_step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the source with respect to every parameter that varies.

    Second order in the step, in float64; all perturbed simulations run as one batch.

    Parameters
    ----------
    prior
        Prior distribution: names of the parameters, and standard deviations that scale the derivatives.
    draws
        Parameters, in their units, shape (n_draws, n_parameters).
    simulation
        Protocol, solver and time grid.
    relative_step
        Half the step of the central differences, as a fraction of each parameter's value.

    Returns
    -------
    jacobian
        Derivatives, mV per prior standard deviation, shape (n_kept, n_parameters, n_times).
    kept
        Whether all simulations of a draw have status 0, shape (n_draws,).

    Raises
    ------
    ValueError
        If no draw has only successful simulations, or halving the step changes a derivative by more than
        5 %.
    """
    jacobian, kept = _differences(prior, draws, simulation, relative_step)
    if not kept.any():
        raise ValueError(
            f"all {len(draws)} draws from the prior failed to simulate (non-finite or out of range): "
            "narrow the prior"
        )
    checked = draws[kept][:_N_CHECKED]
    halved, also_kept = _differences(prior, checked, simulation, relative_step / 2)
    _check_step(jacobian[: len(checked)][also_kept], halved, prior.names, relative_step)
    return jacobian, kept


def precise_arguments(simulation: SimulationConfig, preset: str) -> dict[str, Any]:
    """Arguments for simulations that are subtracted: double precision, small steady-state tolerance."""
    settings = simulation.column_arguments(preset) | {"precision": "float64"}
    tolerance = settings["steady_state_tolerance"]
    if tolerance is not None:
        settings["steady_state_tolerance"] = min(tolerance, _STEADY_STATE_TOLERANCE)
    return settings


def shifted(
    draws: np.ndarray, relative_step: float, prior: JointDistribution
) -> tuple[np.ndarray, np.ndarray]:
    """Points for central differences along each variable.

    The step is a fraction of the value, or of the prior's standard deviation where that is larger: a latency
    or an input may be near 0. Values that are at least 0 stay so.

    Parameters
    ----------
    draws
        Values of the variables, shape (n, d).
    relative_step
        Half the step as a fraction.
    prior
        Prior distribution of the variables.

    Returns
    -------
    points
        Shape (n, d, 2, d): for each variable a point above and one below.
    width
        Distance of the two points, shape (n, d).
    """
    d = draws.shape[1]
    step = relative_step * np.maximum(np.abs(draws), prior.sd)
    above = draws + step
    below = np.where(draws >= 0, np.maximum(draws - step, draws / 2), draws - step)
    points = np.repeat(draws[:, None, None], d, axis=1).repeat(2, axis=2)
    points[:, np.arange(d), 0, np.arange(d)] = above
    points[:, np.arange(d), 1, np.arange(d)] = below
    return points, above - below


def _differences(
    prior: Prior, draws: np.ndarray, simulation: SimulationConfig, relative_step: float
) -> tuple[np.ndarray, np.ndarray]:
    n, d = draws.shape
    points, width = shifted(draws, relative_step, prior)
    values = points.reshape(-1, d)
    settings = precise_arguments(simulation, prior.preset) | {"backend": "cpu"}
    with unremarked():
        ds = simulate(dict(zip(prior.names, values.T, strict=True)), **settings)
    kept = (ds["status"].values == OK).reshape(n, -1).all(axis=1)
    source = ds["source"].values[:, 0].reshape(n, d, 2, -1)[kept]
    slope = (source[:, :, 0] - source[:, :, 1]) / width[kept][..., None]
    return slope * prior.sd[:, None], kept


def _check_step(full: np.ndarray, halved: np.ndarray, names: tuple[str, ...], relative_step: float) -> None:
    # Subtract the value before the stimulus: it is large, and most recordings do not contain it.
    full, halved = (one - one[..., :1] for one in (full, halved))
    size = np.linalg.norm(full, axis=2)
    floor = _NEGLIGIBLE * size.max(axis=1, keepdims=True)
    change = np.linalg.norm(full - halved, axis=2) / np.maximum(size, floor).clip(min=np.finfo(float).tiny)
    worst = dict(zip(names, change.max(axis=0), strict=True))
    unstable = {name: value for name, value in worst.items() if not value <= STEP_TOLERANCE}
    if unstable:
        listed = ", ".join(f"{name} by {value:.1%}" for name, value in unstable.items())
        raise ValueError(
            f"limits.relative_step is {relative_step:g}, but halving it changes the derivative with respect "
            f"to {listed} (at most {STEP_TOLERANCE:.0%} expected): the response is not smooth on that "
            "scale (try a smaller step) or rounding dominates (try a larger one)"
        )
