"""Exact posterior of a measured response, sampled on the likelihood without a network.

A network's intervals are correct on average over similar responses. At low noise they are wider than
necessary. The model is deterministic and its noise is assumed to be known, so the posterior of the response
itself can be sampled. This posterior is valid only if the model is correct. If no parameters within the prior
explain the response, the posterior would be narrow and wrong, and is not computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jrflow.inference.scoring.comparison import Estimates
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import modes_of_the_nearest

#: Number of draws from the prior; searches start from the nearest of them, in addition to the best fit.
_N_REFERENCE = 8192
#: Number of draws per chain for the intervals: 800 in eight chains.
_N_DRAWS = 100
#: Settings of the sampler: ends of intervals need more rounds than means, at least 100.
_EFFORT = Effort(n_rounds=100, n_most=400)


@dataclass(frozen=True)
class ExactEstimate:
    """Means and 90 % intervals of a posterior, in the targets' units.

    Attributes
    ----------
    value, low, high
        Means, and lower and upper ends of the intervals, shape (n_targets,).
    rhat
        Largest R-hat of all coordinates: about 1 if the chains agree, infinite if they do not move along a
        coordinate.
    ess
        Smallest effective sample size of all coordinates.
    resolved
        Whether the Monte Carlo error of every mean is below 5 % of the posterior standard deviation.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rhat: float
    ess: float
    resolved: bool


def exact_estimate(likelihood: EvokedLikelihood, best: np.ndarray, seed: int) -> ExactEstimate:
    """Sample the posterior of one response.

    Parameters
    ----------
    likelihood
        Likelihood of a single case, with the noise of the verdict.
    best
        Coordinates of the best fit within the prior, (n_coordinates,).
    seed
        Seed of starts and proposals.
    """
    nearest = modes_of_the_nearest(likelihood, _N_REFERENCE, seed)
    starts = np.concatenate([best[None, None], nearest], axis=1)
    found = TargetPosteriors.of(
        likelihood.coordinates,
        exact_posteriors(likelihood, starts, _EFFORT, seed),
        np.random.default_rng([seed, 2]),
        _N_DRAWS,
    )
    exact = replace(Estimates.of_draws(found.draws), value=found.mean)
    return ExactEstimate(
        exact.value[0], exact.low[0], exact.high[0], float(found.rhat[0]), float(found.ess[0]),
        bool(found.resolved[0]),
    )  # fmt: skip
