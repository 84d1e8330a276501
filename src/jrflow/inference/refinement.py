"""A network's estimates refined by the exact likelihood: the posterior as it is found from where they lead.

Networks fall behind where noise is low: there the posterior is narrower than what they resolve. The
observations are the network's own: the projected response in blocks.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TextIO

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.inference.agreement import misfit
from jrflow.inference.gold import likelihood_of, of_targets
from jrflow.inference.networks import Network
from jrflow.inference.randomness import Stream, entropy, numpy_generator
from jrflow.inference.trial import Estimates, Trial
from jrflow.limits.exact import Effort, exact_posteriors

#: What is added to a network's name.
SUFFIX = "+exact"
#: Further starts of a case, as far away from its estimate as the network errs on so many other simulations.
_N_MORE, _N_ERRORS = 7, 1000
#: What is found is no posterior if it leaves more than noise by so many standard deviations of chi-square.
_POOR = 5.0
#: Fewer ridges than the gold standard's: the starts are near. As many draws: of fewer the mean is no better.
_EFFORT = Effort(n_along=2, n_ridges=2)


def refine(
    network: Network, estimator: str, trial: Trial, n_cases: int, stream: TextIO | None = None
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Find and score the posteriors that a network's estimates lead to.

    Parameters
    ----------
    network
        Whose estimates are the starts.
    estimator
        Its name; that of what is scored ends in ``+exact``.
    trial
        What the network was put to; its test campaign's first ``n_cases`` simulations are taken.
    n_cases
        Simulations, at most those of the test campaign.
    stream
        Where progress is shown; None for silence.

    Returns
    -------
    table
        Scores, one row for each noise level and target.
    refined
        ``refined``, ``refined_low`` and ``refined_high`` (noise, first_sim, parameter): posterior means and
        the ends of 90 % intervals.
    """
    first, rows, estimates = trial.first(n_cases), [], []
    for level, name in enumerate(trial.noise.names):
        if stream is not None:
            print(f"refining {estimator}, noise level {name}:", file=stream)
        estimates.append(refined_estimates(network, trial, n_cases, level, stream))
        rows.append(first.score(estimator + SUFFIX, level, estimates[-1]))
    dims, ends = ("noise", "first_sim", "parameter"), {"": "value", "_low": "low", "_high": "high"}
    refined = xr.Dataset(
        {
            f"refined{end}": (dims, np.stack([getattr(e, part) for e in estimates]))
            for end, part in ends.items()
        },
        coords={"first_sim": first.parts.test.sim},
    )
    return pd.concat(rows, ignore_index=True), refined


def refined_estimates(
    network: Network, trial: Trial, n_cases: int, level: int, stream: TextIO | None = None
) -> Estimates:
    """Means and 90 % intervals of the posteriors to which a network's first estimates lead at one level.

    Modes are sought from each estimate and from points about it, as far away as the network errs on the
    validation part; ridges through them and Langevin steps explore the rest (:mod:`jrflow.limits.exact`).
    Where what they find leaves more than noise, the posterior is elsewhere: the network's own estimate and
    interval stand.
    """
    prior = trial.parts.train.prior
    # The whole campaign is observed, so that the first ones see the noise that they see with all others.
    observed, sd = (array[:n_cases] for array in trial.test(level))
    likelihood = likelihood_of(trial.first(n_cases).parts.test, trial.noise, level, observed, sd)
    rng = numpy_generator(trial.seed, Stream.REFINEMENT, level)
    own = network.predict(observed, sd)
    told = own[:, : len(prior.names)]
    shown = (part[:_N_ERRORS] for part in trial.validation(level))
    errors = network.predict(*shown) - trial.parts.validation.targets[:_N_ERRORS]
    drawn = errors[rng.integers(len(errors), size=(len(told), _N_MORE)), : len(prior.names)]
    starts = prior.within(np.concatenate([told[:, None], told[:, None] - drawn], axis=1))
    x = likelihood.coordinates.of_parameters(starts.reshape(-1, starts.shape[2]))
    draw = entropy(trial.seed, Stream.REFINEMENT, level)
    found = exact_posteriors(likelihood, x.reshape(*starts.shape[:2], -1), _EFFORT, draw, stream)
    draws, mean, _ = of_targets(likelihood.coordinates, found, rng)
    refined = replace(Estimates.of_draws(draws), value=mean)
    chi2 = np.median(misfit(likelihood, draws[..., : len(prior.names)]), axis=1)
    is_found = chi2 < 1 + _POOR * np.sqrt(2 / likelihood.rank)
    return _either(is_found, refined, Estimates.calibrated(own, errors))


def _either(chosen: np.ndarray, one: Estimates, other: Estimates) -> Estimates:
    """Those of one where chosen, (n,), else the other's."""
    return Estimates(
        *(np.where(chosen[:, None], getattr(one, f.name), getattr(other, f.name)) for f in fields(Estimates))
    )
