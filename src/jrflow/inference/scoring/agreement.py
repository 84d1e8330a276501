"""Compare estimates with exact posteriors, and draws of a density estimator with the data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jrflow.limits.evoked import EvokedLikelihood

#: Number of draws of each case that are simulated.
_N_SIMULATED = 10


def agreement(reference: xr.Dataset, estimates: np.ndarray, draws: np.ndarray | None = None) -> xr.Dataset:
    """Distance of estimates from the exact posteriors of the same observations.

    Parameters
    ----------
    reference
        Reference posteriors at one noise level, from
        :func:`jrflow.inference.scoring.reference.reference_posteriors`.
    estimates
        Estimates of the same cases, shape (n_cases, n_targets).
    draws
        Draws of a density estimator, shape (n_cases, n_draws, n_targets).

    Returns
    -------
    xr.Dataset
        ``shift`` (parameter): root mean square distance from the exact posterior mean, in exact posterior
        standard deviations. Its square is the increase of the mean squared error, as a share of the posterior
        variance. With draws also ``spread`` (parameter): median ratio of the standard deviation of the draws
        to that of the exact posterior.
    """
    sd = np.sqrt(reference["variance"].values)
    shift = np.sqrt((((estimates - reference["mean"].values) / sd) ** 2).mean(axis=0))
    found = {"shift": ("parameter", shift)}
    if draws is not None:
        found["spread"] = ("parameter", np.median(draws.std(axis=1) / sd, axis=0))
    return xr.Dataset(found)


def misfit(likelihood: EvokedLikelihood, draws: np.ndarray) -> np.ndarray:
    """Chi-square per degree of freedom of the residuals of draws, shape (n_cases, n_simulated).

    This is a posterior-predictive check with a known result: for draws from the exact posterior, it has the
    same distribution as for the noise itself. It is larger for a density that is too wide, and infinite if a
    draw is impossible (NaN) or could not be simulated.

    Parameters
    ----------
    likelihood
        Likelihood of the observed responses.
    draws
        Parameters that vary, within the prior, shape (n_cases, n_draws, n_parameters); the first ones are
        used.
    """
    taken = draws[:, :_N_SIMULATED]
    possible = np.isfinite(taken).all(axis=2)
    x = likelihood.coordinates.of_parameters(taken[possible])
    found = np.full(possible.shape, np.inf)
    found[possible] = -2 * likelihood.log_likelihood(x, np.nonzero(possible)[0]) / likelihood.rank
    return found
