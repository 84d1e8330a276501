"""The best fit to a measured response: whether any parameters within a model's range explain it.

An estimate is the mean of a posterior. Where that is curved, it fits worse than anything in it; and where
noise is low, it is not as near to the truth as the noise would have it, nor is any draw from the intervals.
So the fit is sought, by the Levenberg-Marquardt method, from the estimate and from the likeliest of many
draws. That search takes the prior for a normal one, and may end at products that no C and a_k within their
ranges have; from there a search within bounds goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from jrflow.design import Prior
from jrflow.eeg.projection import baseline_correct
from jrflow.inference.goodness import Seen
from jrflow.inference.model import TrainedModel
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.likelihood import Likelihood

#: Draws from the 90 % intervals, and how many of them, the likeliest, the search starts from.
_N_DRAWN, _N_STARTS = 2000, 4
#: Of the search within bounds: relative step of its differences, and how many steps it takes at most.
_STEP, _N_STEPS = 1e-4, 50


@dataclass(frozen=True)
class Fits:
    """Simulated sources beside a measured one, mV, at its times, baseline-corrected, each (n_times,).

    Attributes
    ----------
    estimated
        Of the estimate.
    best
        Of the best fit that was found.
    coordinates
        Of that fit, (n_coordinates,).
    likelihood
        By which it was found.
    """

    estimated: np.ndarray
    best: np.ndarray
    coordinates: np.ndarray
    likelihood: Likelihood


def fit_recording(
    model: TrainedModel,
    intervals: tuple[np.ndarray, np.ndarray, np.ndarray],
    measured: np.ndarray,
    times: np.ndarray,
    seen: Seen,
    seed: int = 0,
) -> Fits:
    """Simulate a model's estimate for one response, and seek what fits best.

    Parameters
    ----------
    model
        Its prior bounds the search.
    intervals
        Estimate and ends of its 90 % intervals, in the targets' units, each (n_targets,).
    measured
        Source estimate, mV, baseline-corrected, shape (n_times,).
    times
        Of the response, s from the onset; some of those that the model simulates.
    seen
        Its noise.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        If the estimate cannot be simulated.
    """
    likelihood = _likelihood(model, measured, times, seen)
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
    starts = x[[0, *(1 + np.argsort(density[1:])[::-1][:_N_STARTS])]]
    modes = find_modes(likelihood, starts[None])
    best = best_possible(likelihood, np.concatenate([starts, modes.x[0]]))
    (estimated, fitted), _ = likelihood.sources(np.stack([x[0], best]))
    return Fits(estimated, fitted, best, likelihood)


def best_possible(likelihood: Likelihood, found: np.ndarray) -> np.ndarray:
    """The likeliest of some coordinates that are possible, or of what is near them and is.

    Parameters
    ----------
    likelihood
        Of a single case.
    found
        Coordinates, shape (n, n_coordinates), some of them possible.

    Returns
    -------
    np.ndarray
        Shape (n_coordinates,).
    """

    def likeliest(x: np.ndarray) -> np.ndarray:
        best: np.ndarray = x[np.argmax(likelihood.log_likelihood(x, np.zeros(len(x), dtype=int)))]
        return best

    best, coordinates = likeliest(found), likelihood.coordinates
    if np.isfinite(coordinates.log_prior(best[None])[0]):
        return best
    possible = found[np.isfinite(coordinates.log_prior(found))]
    return likeliest(np.vstack([possible, _within_bounds(likelihood, best)]))


def _within_bounds(likelihood: Likelihood, x: np.ndarray) -> np.ndarray:
    """Coordinates of the best fit that a search within the prior's ranges finds from the nearest to ``x``."""
    coordinates = likelihood.coordinates
    prior = coordinates.prior

    def left(parameters: np.ndarray) -> np.ndarray:
        difference, ok = likelihood.differences(
            coordinates.of_parameters(parameters[None]), np.zeros(1, dtype=int), precise=True
        )
        # Where a simulation fails there is nothing to compare: as far away as no response at all.
        return likelihood.whiten(difference if ok[0] else likelihood.observed / likelihood.sd[0])[0]

    found = least_squares(
        left,
        coordinates.nearest_possible(x[None])[0],
        bounds=(prior.low, prior.high),
        x_scale=prior.sd,
        diff_step=_STEP,
        max_nfev=_N_STEPS,
    )
    return coordinates.of_parameters(prior.within(found.x[None]))[0]


def _likelihood(model: TrainedModel, measured: np.ndarray, times: np.ndarray, seen: Seen) -> Likelihood:
    d = model.description
    recorded = np.searchsorted(d.simulation.timing.times, times - 1e-9)
    return Likelihood.of(
        measured[None], seen.sd, seen.whitener, Prior.of(d.prior, d.preset), d.simulation,
        lambda source: baseline_correct(source[:, recorded], times),
    )  # fmt: skip
