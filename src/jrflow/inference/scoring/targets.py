"""Convert sampled posteriors of coordinates to posteriors of the targets, in their units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jrflow.limits.draws import Draws
from jrflow.limits.exact import Posteriors
from jrflow.space.scores import Coordinates

#: Number of draws that are kept per chain: with eight chains, 400 evenly spaced draws of a case, which are
#: nearly independent.
N_STORED = 50


@dataclass(frozen=True)
class TargetPosteriors:
    """Posteriors of the targets, in their units.

    Attributes
    ----------
    draws
        Draws, shape (n_cases, n_draws, n_targets). C and the contact probabilities are drawn given the
        products.
    mean, variance
        Posterior mean and variance, shape (n_cases, n_targets). C and the contact probabilities are
        integrated out, not drawn. The squared Monte Carlo error of the mean is added to the variance, which
        corrects the bias from the sampled mean.
    mcse, variance_mcse
        Monte Carlo standard errors of mean and variance, (n_cases, n_targets); infinite if no chain moves.
    ess, rhat
        Smallest effective sample size and largest R-hat over the coordinates, each (n_cases,).
    resolved
        Whether, for every coordinate, the Monte Carlo error of the mean is below 5 % of the posterior
        standard deviation, (n_cases,).
    jumps
        Acceptance rate of independent proposals, (n_cases,).
    """

    draws: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    mcse: np.ndarray
    variance_mcse: np.ndarray
    ess: np.ndarray
    rhat: np.ndarray
    resolved: np.ndarray
    jumps: np.ndarray

    @classmethod
    def of(
        cls,
        coordinates: Coordinates,
        found: Posteriors,
        rng: np.random.Generator,
        n_stored: int = N_STORED,
    ) -> TargetPosteriors:
        """Transform draws of coordinates; keep ``n_stored`` draws per chain, or all if there are fewer."""
        n_stored = min(n_stored, *(one.x.shape[1] for one in found.draws))
        draws, moments = [], []
        for one in found.draws:
            few = one.equally_weighted(n_stored, rng)
            draws.append(coordinates.prior.targets(coordinates.complete(few, rng)))
            moments.append(_moments(coordinates, one))
        mean, variance, mcse, variance_mcse = (np.stack(part) for part in zip(*moments, strict=True))
        return cls(
            np.stack(draws), mean, variance, mcse, variance_mcse, found.ess().min(axis=1),
            found.rhat().max(axis=1), found.resolved(), found.jumps,
        )  # fmt: skip


def _moments(coordinates: Coordinates, draws: Draws) -> tuple[np.ndarray, ...]:
    """Mean, variance and their Monte Carlo errors, each (n_targets,)."""
    flat = draws.x.reshape(-1, coordinates.n)
    first, second = (m.reshape(*draws.x.shape[:2], -1) for m in coordinates.moments(flat))
    mean = draws.mean(first)
    mcse = draws.mean_error(first)
    variance = draws.mean(second - mean * first) + np.where(np.isfinite(mcse), mcse, 0) ** 2
    # Influence of each draw on the variance: E[second] - E[first]^2, linearised at the mean.
    return mean, variance, mcse, draws.mean_error(second - 2 * mean * first)
