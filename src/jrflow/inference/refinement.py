"""A network's estimates refined by the exact likelihood: Gauss-Newton steps to the mode of the posterior.

Networks fall behind where noise is very low: there the posterior is narrower than what they resolve, and
nearly Gaussian about its mode. The observations are the network's own: the projected response in blocks.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TextIO

import numpy as np
import pandas as pd

from jrflow.inference.gold import likelihood_of
from jrflow.inference.networks import Network
from jrflow.inference.randomness import Stream, numpy_generator
from jrflow.inference.trial import Estimates, Trial
from jrflow.limits.coordinates import Coordinates
from jrflow.limits.gauss_newton import Modes, find_modes
from jrflow.limits.likelihood import Likelihood
from jrflow.progress import Progress

#: What is added to a network's name.
SUFFIX = "+gauss-newton"
#: Starts are kept away from the prior's ends by this fraction of its width.
_MARGIN = 1e-3
#: Draws from the normal approximation about each mode, of which the intervals are taken.
_N_DRAWS = 400
#: Cases at a time.
_AT_ONCE = 256
#: A residual is poor if it is this many standard deviations of chi-square larger than noise; then so many
#: more starts are tried, this far away (the prior's sd is 1).
_POOR, _N_MORE, _SPREAD = 4.0, 6, 0.5


def refined_scores(
    network: Network, estimator: str, trial: Trial, n_cases: int, stream: TextIO | None = None
) -> pd.DataFrame:
    """Score what the modes are that a network's estimates lead to.

    Parameters
    ----------
    network
        Whose estimates are the starts.
    estimator
        Its name; that of what is scored ends in ``+gauss-newton``.
    trial
        What the network was put to; its test campaign's first ``n_cases`` simulations are taken.
    n_cases
        Simulations, at most those of the test campaign.
    stream
        Where progress is shown; None for silence.
    """
    first = trial.first(n_cases)
    n_levels, n = len(first.noise.names), len(first.parts.test.sim)
    rows = []
    with Progress(f"refining {estimator}", n_levels * n, stream) as progress:
        for level in range(n_levels):
            estimates = refined_estimates(network, first, level, progress)
            rows.append(first.score(estimator + SUFFIX, level, estimates))
    return pd.concat(rows, ignore_index=True)


def refined_estimates(network: Network, trial: Trial, level: int, progress: Progress) -> Estimates:
    """Means and 90 % intervals of normal approximations about the posteriors' modes at one level."""
    observed, sd = trial.test(level)
    told = network.predict(observed, sd)
    prior = trial.parts.train.prior
    likelihood = likelihood_of(trial.parts.test, trial.noise, level, observed, sd)
    margin = _MARGIN * (prior.high - prior.low)
    start = np.clip(told[:, : len(prior.names)], prior.low + margin, prior.high - margin)
    x = likelihood.coordinates.of_parameters(start)
    rng = numpy_generator(trial.seed, Stream.REFINEMENT, level)
    found = []
    for begin in range(0, len(x), _AT_ONCE):
        cases = slice(begin, begin + _AT_ONCE)
        modes = _modes(likelihood.take(cases), x[cases], rng)
        found.append(_described(likelihood.coordinates, modes, rng))
        progress.advance(len(x[cases]))
    return Estimates(*(np.concatenate([getattr(part, f.name) for part in found]) for f in fields(Estimates)))


def _modes(likelihood: Likelihood, x: np.ndarray, rng: np.random.Generator) -> Modes:
    """Best mode from each start, (n_cases, d); where it leaves more than noise, others are tried about it."""
    modes = find_modes(likelihood, x[:, None])
    rank = likelihood.whitener.shape[1]
    poor = np.flatnonzero(-modes.log_posterior[:, 0] > 0.5 * rank + _POOR * np.sqrt(rank / 2))
    if len(poor) == 0:
        return modes
    # Within the bounds of the prior's support or not: an impossible start is given up at once.
    about = x[poor, None] + _SPREAD * rng.standard_normal((len(poor), _N_MORE, x.shape[1]))
    more = find_modes(likelihood.take(poor), about).best()
    better = more.log_posterior[:, 0] > modes.log_posterior[poor, 0]
    for f in fields(Modes):
        getattr(modes, f.name)[poor[better]] = getattr(more, f.name)[better]
    return modes


def _described(coordinates: Coordinates, modes: Modes, rng: np.random.Generator) -> Estimates:
    """Means and intervals of the targets, C and the contact probabilities by their exact distributions."""
    x, d = modes.x[:, 0], coordinates.n
    root = np.linalg.cholesky(modes.covariance[:, 0])
    away = rng.standard_normal((len(x), _N_DRAWS, d)) @ np.swapaxes(root, 1, 2)
    draws = (x[:, None] + away).reshape(-1, d)
    targets = coordinates.prior.targets(coordinates.complete(draws, rng)).reshape(len(x), _N_DRAWS, -1)
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile(targets, [0.05, 0.95], axis=1)
    return Estimates(np.nanmean(targets, axis=1), low, high)
