"""The best fit to a measured response: whether any parameters within a model's range explain it.

An estimate is the mean of a posterior. Where that is curved, it fits worse than anything in it; and where
noise is low, it is not as near to the truth as the noise would have it, nor is any draw from the intervals.
So the fit is sought, by the Levenberg-Marquardt method, from the estimate and from the likeliest of many
draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jrflow.config.priors import Distribution, IndependentPrior
from jrflow.design import Prior
from jrflow.eeg.covariance import whitening
from jrflow.eeg.projection import baseline_correct
from jrflow.inference.model import TrainedModel
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.likelihood import Likelihood
from jrflow.model.parameters import PRODUCTS

#: Draws from the 90 % intervals, and how many of them, the likeliest, the search starts from.
_N_DRAWN, _N_STARTS = 2000, 4


@dataclass(frozen=True)
class Fits:
    """Simulated sources beside a measured one, mV, at its times, baseline-corrected, each (n_times,).

    Attributes
    ----------
    estimated
        Of the estimate.
    best
        Of the best fit that was found.
    """

    estimated: np.ndarray
    best: np.ndarray


def fit_recording(
    model: TrainedModel,
    intervals: tuple[np.ndarray, np.ndarray, np.ndarray],
    measured: np.ndarray,
    sd: float,
    temporal: np.ndarray,
    times: np.ndarray,
    seed: int = 0,
) -> Fits:
    """Simulate a model's estimate for one response, and seek what fits best.

    Parameters
    ----------
    model
        Its targets' ranges bound the search; all of a range is taken to be equally likely.
    intervals
        Estimate and ends of its 90 % intervals, in the targets' units, each (n_targets,).
    measured
        Source estimate, mV, baseline-corrected, shape (n_times,).
    sd, temporal
        Noise of one of its samples, mV, and covariance in time of noise of unit sd, (n_times, n_times).
    times
        Of the response, s from the onset; some of those that the model simulates.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        If the estimate cannot be simulated.
    """
    likelihood = _likelihood(model, measured, sd, temporal, times)
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
    found = np.concatenate([starts, modes.x[0]])
    best = np.argmax(likelihood.log_likelihood(found, np.zeros(len(found), dtype=int)))
    sources, _ = likelihood.sources(np.stack([x[0], found[best]]))
    return Fits(*sources)


def _likelihood(
    model: TrainedModel, measured: np.ndarray, sd: float, temporal: np.ndarray, times: np.ndarray
) -> Likelihood:
    d = model.description
    recorded = np.searchsorted(d.simulation.timing.times, times - 1e-9)
    ranges = {
        target.name: Distribution(low=target.low, high=target.high)
        for target in d.targets
        if target.name not in PRODUCTS
    }
    prior = Prior.of(IndependentPrior(kind="independent", parameters=ranges), d.preset)
    return Likelihood.of(
        measured[None], sd, whitening(temporal), prior, d.simulation,
        lambda source: baseline_correct(source[:, recorded], times),
    )  # fmt: skip
