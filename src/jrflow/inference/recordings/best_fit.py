"""Best fit to a measured response: the parameters within a model's range that explain it best.

We judge the best fit, not the network's estimate. The estimate is a posterior mean: if the posterior is
curved, it fits worse than any draw. At low noise, the network's own error exceeds the noise.

The best fit is searched with the Levenberg-Marquardt method. Searches start from the nearest of many
simulations from the whole prior, which do not depend on the network; from the network's estimate; and from
the likeliest draws from its intervals. If the residual is still larger than noise, searches start from many
more simulations. These searches approximate the prior by a normal distribution. If the result is outside the
prior's bounds, or its residual is still larger than noise, a search within the bounds follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from jrflow.design import Prior
from jrflow.inference.recordings.evidence import Tangent
from jrflow.inference.training.model import TrainedModel
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.starts import nearest_simulations
from jrflow.observe.observation import Observation

#: Number of draws from the 90 % intervals, and of the likeliest of them, from which searches start.
_N_DRAWN, _N_STARTS = 2000, 4
#: Number of draws from the prior, and their seed; searches start from the nearest draws.
_N_REFERENCE, _REFERENCE_SEED = 8192, 0
#: Number of nearest draws for the second round of searches, and of best results that are refined with all
#: samples.
_N_NEAREST, _N_REFINED = 64, 6
#: Largest number of steps of a search.
_N_ITERATIONS = 40
#: Relative step of the differences, and largest number of steps, for the search within bounds.
_STEP, _N_STEPS = 1e-4, 50
#: A search within bounds follows if chi-square exceeds its mean by this many standard deviations.
_UNUSUAL = 4.0
#: Step of the differences for the tangent, in coordinates.
_TANGENT_STEP = 1e-5


@dataclass(frozen=True)
class Fits:
    """Simulated sources to compare with a measured source, with the same processing.

    Attributes
    ----------
    estimated
        Source of the estimate, mV, shape (n_times,).
    best
        Source of the best fit, mV, shape (n_times,).
    coordinates
        Coordinates of the best fit, shape (n_coordinates,).
    likelihood
        Likelihood that the best fit maximises.
    """

    estimated: np.ndarray
    best: np.ndarray
    coordinates: np.ndarray
    likelihood: EvokedLikelihood

    @property
    def tangent(self) -> Tangent:
        """Derivatives of the best fit with respect to the parameters."""
        (found,) = tangents(self.likelihood, self.coordinates[None])
        return found


def fit_recording(
    model: TrainedModel,
    intervals: tuple[np.ndarray, np.ndarray, np.ndarray],
    measured: np.ndarray,
    observation: Observation,
    in_blocks: Observation,
    seed: int = 0,
) -> Fits:
    """Simulate a model's estimate for one response, and find the best fit.

    Parameters
    ----------
    model
        Trained model; its prior bounds the search.
    intervals
        Estimate, and lower and upper ends of its 90 % intervals, in the targets' units, each (n_targets,).
    measured
        Source estimate at every recorded sample, mV, shape (n_times,).
    observation
        Observation of the source estimate at every sample, with its noise.
    in_blocks
        Observation of the averages over those blocks of the network that were recorded.
    seed
        Seed of the draws.

    Raises
    ------
    ValueError
        If the estimate cannot be simulated.
    """
    d = model.description
    searched_prior = Prior.of(d.prior, d.preset)
    likelihood = EvokedLikelihood.of(measured[None, None], observation, searched_prior, d.simulation)
    averaged = in_blocks.epoch.averaged(measured)
    coarse = EvokedLikelihood.of(averaged[None, None], in_blocks, searched_prior, d.simulation)
    coordinates = likelihood.coordinates
    prior, n = coordinates.prior, len(coordinates.prior.names)
    value, low, high = (end[:n] for end in intervals)
    draws = np.random.default_rng(seed).uniform(low, high, (_N_DRAWN, n))
    x = coordinates.of_parameters(prior.within(np.vstack([value, draws])))
    density = likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))
    if not np.isfinite(density[0]):
        raise ValueError(
            "the estimate cannot be simulated (its response is not finite or out of range): "
            + ", ".join(f"{name} = {v:g}" for name, v in zip(prior.names, value, strict=True))
        )
    likeliest = x[[0, *(1 + np.argsort(density[1:])[::-1][:_N_STARTS])]]
    starts = _coarse(coarse, likeliest)
    modes = find_modes(likelihood, starts[None], _N_ITERATIONS)
    best = best_possible(likelihood, np.concatenate([starts, modes.x[0]]))
    (estimated, fitted), _ = likelihood.clean(np.stack([x[0], best]))
    return Fits(estimated[0], fitted[0], best, likelihood)


def tangents(likelihood: EvokedLikelihood, x: np.ndarray) -> list[Tangent]:
    """Derivatives of responses with respect to the coordinates, at each row of ``x`` (n, n_coordinates)."""
    n, d = x.shape
    shifts = _TANGENT_STEP * np.concatenate([np.zeros((1, d)), np.eye(d)])
    clean, ok = likelihood.clean((x[:, None] + shifts).reshape(-1, d))
    source, ok = clean.reshape(n, d + 1, -1), ok.reshape(n, d + 1)
    # If a perturbed simulation fails, that derivative is zero.
    slope = (source[:, 1:] - source[:, :1]) / _TANGENT_STEP * (ok[:, 1:] & ok[:, :1])[..., None]
    slope = np.where(np.isfinite(slope), slope, 0.0)
    mean, precision = likelihood.coordinates.mean, likelihood.coordinates.precision
    return [Tangent(one, (mean - at) @ precision, precision) for one, at in zip(slope, x, strict=True)]


def best_possible(likelihood: EvokedLikelihood, found: np.ndarray) -> np.ndarray:
    """Coordinates with the largest likelihood within the prior's bounds.

    Parameters
    ----------
    likelihood
        Likelihood of a single case.
    found
        Results of earlier searches, shape (n, n_coordinates); at least one must be within the bounds.

    Returns
    -------
    np.ndarray
        The best of these results or, if it does not fit or is outside the bounds, of these results and a
        search within the bounds, shape (n_coordinates,).
    """

    def density(x: np.ndarray) -> np.ndarray:
        return likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))

    def likeliest(x: np.ndarray) -> np.ndarray:
        best: np.ndarray = x[np.argmax(density(x))]
        return best

    best, coordinates = likeliest(found), likelihood.coordinates
    is_possible = np.isfinite(coordinates.log_prior(best[None])[0])
    if is_possible and density(best[None])[0] > _usual(likelihood):
        return best
    possible = found[np.isfinite(coordinates.log_prior(found))]
    return likeliest(np.vstack([possible, _within_bounds(likelihood, best)]))


def _within_bounds(likelihood: EvokedLikelihood, x: np.ndarray) -> np.ndarray:
    """Coordinates of the best fit within the prior's range; the search starts near ``x``."""
    coordinates = likelihood.coordinates
    prior = coordinates.prior

    def left(parameters: np.ndarray) -> np.ndarray:
        difference, ok = likelihood.differences(
            coordinates.of_parameters(parameters[None]), np.zeros(1, dtype=int)
        )
        # If a simulation fails, use the residual of a response that is zero everywhere.
        left = difference if ok[0] else likelihood.observed / likelihood.sd[0]
        return likelihood.observation.whiten(left)[0]

    found = least_squares(
        left,
        coordinates.nearest_possible(x[None])[0],
        bounds=(prior.low, prior.high),
        x_scale=prior.sd,
        diff_step=_STEP,
        max_nfev=_N_STEPS,
    )
    return coordinates.of_parameters(prior.within(found.x[None]))[0]


def _usual(likelihood: EvokedLikelihood) -> float:
    """Log likelihood that is rarely smaller for a correct model."""
    return -0.5 * float(likelihood.rank + _UNUSUAL * np.sqrt(2 * likelihood.rank))


def _coarse(likelihood: EvokedLikelihood, known: np.ndarray) -> np.ndarray:
    """Starts for the search with all samples: the best results of a search with block averages.

    Parameters
    ----------
    likelihood
        Likelihood of block averages of a single case.
    known
        Additional starts of this search, shape (n, n_coordinates).

    Returns
    -------
    np.ndarray
        Best results, and ``known``, shape (n_starts, n_coordinates).
    """

    def density(x: np.ndarray) -> np.ndarray:
        return likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))

    def searched(starts: np.ndarray) -> np.ndarray:
        x = np.concatenate([starts, find_modes(likelihood, starts[None], _N_ITERATIONS).x[0]])
        best: np.ndarray = x[np.argsort(-density(x))[:_N_REFINED]]
        return best

    nearest = nearest_simulations(likelihood, _N_REFERENCE, _REFERENCE_SEED)[0]
    found = searched(np.unique(np.concatenate([nearest, known]), axis=0))
    if density(found[:1])[0] < _usual(likelihood):
        coordinates = likelihood.coordinates
        draws = coordinates.of_parameters(coordinates.prior.sample(_N_REFERENCE, _REFERENCE_SEED + 1))
        more = draws[np.argsort(-density(draws))[:_N_NEAREST]]
        found = searched(np.concatenate([found, more]))
    return np.concatenate([found, known])
