"""Comparison of estimates with the exact posterior, and of a density's draws with the data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jrflow.limits.evoked import EvokedLikelihood

#: Draws of each case that are simulated.
_N_SIMULATED = 10


def agreement(reference: xr.Dataset, estimates: np.ndarray, draws: np.ndarray | None = None) -> xr.Dataset:
    """How far estimates are from the exact posterior of the same observations.

    Parameters
    ----------
    reference
        At one noise level, from :func:`jrflow.inference.scoring.reference.reference_posteriors`.
    estimates
        Of the same cases, shape (n_cases, n_targets).
    draws
        Of a density, shape (n_cases, n_draws, n_targets).

    Returns
    -------
    xr.Dataset
        ``shift`` (parameter), the root mean square distance from the exact posterior mean in exact posterior
        standard deviations (an error of this size costs its square as a share of the posterior variance);
        with draws also ``spread``, the median ratio of the density's standard deviation to the exact one.
    """
    sd = np.sqrt(reference["variance"].values)
    shift = np.sqrt((((estimates - reference["mean"].values) / sd) ** 2).mean(axis=0))
    found = {"shift": ("parameter", shift)}
    if draws is not None:
        found["spread"] = ("parameter", np.median(draws.std(axis=1) / sd, axis=0))
    return xr.Dataset(found)


def misfit(likelihood: EvokedLikelihood, draws: np.ndarray) -> np.ndarray:
    """Chi-square per degree of freedom of what draws leave unexplained, shape (n_cases, n_simulated).

    Of draws from the exact posterior it is distributed as that of the noise itself: a posterior-predictive
    check whose outcome is known. Of a density that is too wide it is larger; inf where a draw is impossible
    (NaN) or could not be simulated.

    Parameters
    ----------
    likelihood
        Of the observed responses.
    draws
        Parameters that vary, within the prior, shape (n_cases, n_draws, n_parameters); a few are taken.
    """
    taken = draws[:, :_N_SIMULATED]
    possible = np.isfinite(taken).all(axis=2)
    x = likelihood.coordinates.of_parameters(taken[possible])
    found = np.full(possible.shape, np.inf)
    found[possible] = -2 * likelihood.log_likelihood(x, np.nonzero(possible)[0]) / likelihood.rank
    return found
