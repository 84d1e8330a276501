"""The exact posterior of a measured response, sampled on the likelihood without a network.

A network's intervals are those of responses like this one, on average; where noise is low they are wider than
necessary. The model is deterministic and its noise is taken to be known, so the posterior of this very
response can be sampled. It holds if the model does. If nothing within the prior explains the response, its
posterior is that of a wrong model, narrow and wrong, and is not given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jrflow.inference.scoring.comparison import Estimates
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import modes_of_the_nearest

#: Draws from the prior, the nearest of which start the search beside the best fit.
_N_REFERENCE = 8192
#: Draws of each chain of which intervals are taken: 800 of eight chains.
_N_DRAWS = 100
#: Their ends are asked for, not only means: at least 100 rounds.
_EFFORT = Effort(n_rounds=100, n_most=400)


@dataclass(frozen=True)
class ExactEstimate:
    """Means and 90 % intervals of a posterior, in the targets' units.

    Attributes
    ----------
    value, low, high
        Shape (n_targets,).
    rhat
        Largest potential scale reduction of all coordinates: about 1 if the chains agree, infinite if they
        do not move along one.
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
        Of a single case, with its noise as it was judged to be.
    best
        Coordinates of the best fit that is known and possible, (n_coordinates,).
    seed
        Of starts and proposals.
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
