"""The exact posterior of a measured response: what the data tell, whatever a network makes of them.

A network's intervals are those of responses like this one, on average; where noise is low they are wider than
need be. The model is deterministic and its noise is taken to be known, so the posterior of this very
response can be sampled. It holds if the model does: of a response that nothing within the prior explains, it
is the posterior of a wrong model, narrow and wrong, and is not given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jrflow.inference.gold import of_targets
from jrflow.inference.trial import Estimates
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.likelihood import Likelihood
from jrflow.limits.starts import nearest_simulations

#: Draws from the prior, the nearest of which start the search beside the best fit.
_N_REFERENCE = 8192
#: Twice the draws of a test simulation's: the ends of intervals are asked for, not only means.
_EFFORT = Effort(n_kept=50)


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
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rhat: float


def exact_estimate(likelihood: Likelihood, best: np.ndarray, seed: int) -> ExactEstimate:
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
    nearest = nearest_simulations(likelihood, _N_REFERENCE, seed)
    starts = np.concatenate([best[None, None], nearest], axis=1)
    found = exact_posteriors(likelihood, starts, _EFFORT, seed)
    draws, mean, _ = of_targets(likelihood.coordinates, found, np.random.default_rng([seed, 2]))
    exact = replace(Estimates.of_draws(draws), value=mean)
    return ExactEstimate(exact.value[0], exact.low[0], exact.high[0], float(found.rhat().max()))
