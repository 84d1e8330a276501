"""Importance sampling of a posterior from a mixture of Student t distributions that is fitted to draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from sklearn.mixture import GaussianMixture

#: Log density of points (n, d), up to a constant, (n,); -inf where it excludes a point.
LogTarget = Callable[[np.ndarray], np.ndarray]

#: Draws of each round of importance sampling that follows (the last size until the effective sample size is
#: ENOUGH), and draws to which the next proposal is fitted.
N_IMPORTANCE, ENOUGH, N_FITTED = (8192, 8192, 16384, 16384, 16384, 16384), 1000, 4000
#: Draws by which two sets of draws are judged.
N_JUDGED = 131_072
#: Parts of the proposal, their degrees of freedom, and their variance over that of the fitted parts.
N_PARTS, DF, WIDER = 6, 8, 1.2


@dataclass(frozen=True)
class Weighted:
    """Equally weighted draws (n, d), their effective sample size, and evaluations of the density."""

    draws: np.ndarray
    n_eff: float
    n_calls: int


def judgement(log_target: LogTarget, sets: list[np.ndarray], n_draws: int, seed: int) -> Weighted:
    """Sample from mixtures that are fitted to each of several sets of draws (n, d), in equal shares.

    They are not adapted: a part of the posterior that is in one set only, and small there, stays in the
    proposal.
    """
    rng = np.random.default_rng(seed)
    proposals = [Proposal.of(draws[rng.choice(len(draws), N_FITTED)], seed) for draws in sets]
    x = np.concatenate([proposal.draw(N_JUDGED // len(sets), rng) for proposal in proposals])
    log_density = log_target(x)
    each = np.stack([proposal.log_density(x) - proposal.log_volume for proposal in proposals])
    log_weights = log_density - logsumexp(each, axis=0)
    weights = np.exp(log_weights - log_weights.max())
    n_eff = float(weights.sum() ** 2 / (weights**2).sum())
    chosen = rng.choice(len(x), n_draws, p=weights / weights.sum())
    return Weighted(x[chosen], n_eff, int(np.isfinite(log_density).sum()))


def importance(
    log_target: LogTarget, x: np.ndarray, weights: np.ndarray, n_draws: int, seed: int
) -> Weighted:
    """Sample from a mixture that is fitted to weighted draws x (n, d), then to its own, and so on."""
    rng, n_calls, n_eff = np.random.default_rng(seed), 0, 0.0
    for n in N_IMPORTANCE:
        proposal = Proposal.of(x[rng.choice(len(x), N_FITTED, p=weights / weights.sum())], seed)
        x = proposal.draw(n, rng)
        log_density = log_target(x)
        log_weights = log_density - proposal.log_density(x)
        weights = np.exp(log_weights - log_weights.max())
        n_calls += int(np.isfinite(log_density).sum())
        n_eff = float(weights.sum() ** 2 / (weights**2).sum())
        if n == N_IMPORTANCE[-1] and n_eff >= ENOUGH:
            break
    return Weighted(x[rng.choice(len(x), n_draws, p=weights / weights.sum())], n_eff, n_calls)


@dataclass(frozen=True)
class Proposal:
    """A mixture of Student t distributions that was fitted to draws, a little wider than these.

    ``shares`` and ``parts`` are those of white coordinates: x is ``centre + root @ white``.
    """

    centre: np.ndarray
    root: np.ndarray
    shares: np.ndarray
    parts: tuple[Any, ...]

    @classmethod
    def of(cls, draws: np.ndarray, seed: int) -> Proposal:
        """Fit ``N_PARTS`` normal distributions to whitened draws; give them heavier tails."""
        scale = draws.std(axis=0)
        correlation = np.corrcoef(draws.T) + 1e-12 * np.eye(draws.shape[1])
        centre, root = draws.mean(axis=0), scale[:, None] * np.linalg.cholesky(correlation)
        white = solve_triangular(root, (draws - centre).T, lower=True).T
        fitted = GaussianMixture(N_PARTS, reg_covar=1e-6, random_state=seed).fit(white)
        parts = tuple(
            multivariate_t(mean, WIDER * cov, df=DF)
            for mean, cov in zip(fitted.means_, fitted.covariances_, strict=True)
        )
        return cls(centre, root, fitted.weights_, parts)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw (n, d)."""
        counts = rng.multinomial(n, self.shares)
        drawn = [
            part.rvs(k, random_state=rng).reshape(k, len(self.centre))  # k may be 0
            for part, k in zip(self.parts, counts, strict=True)
        ]
        return self.centre + np.concatenate(drawn) @ self.root.T

    @property
    def log_volume(self) -> float:
        """What :meth:`log_density` lacks of a normalised density is minus this."""
        return float(np.log(np.diag(self.root)).sum())

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Of draws (n, d), up to a constant."""
        white = solve_triangular(self.root, (x - self.centre).T, lower=True).T
        logs = np.stack([part.logpdf(white) for part in self.parts], axis=1)
        density: np.ndarray = logsumexp(logs, axis=1, b=self.shares)
        return density
