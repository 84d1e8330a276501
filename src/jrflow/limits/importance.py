"""Importance sampling of a posterior from a mixture that is fitted to draws of chains.

Where noise is large, posteriors are wide and bent by the ends of the prior: chains explore them slowly, but
a mixture of Student t distributions covers them well. The ridges of :mod:`jrflow.limits.proposal` are a part
of the mixture, so that its tails are at least theirs. The weights show whether it covers the posterior:
draws are taken only if the Pareto shape of the largest weights is small (Vehtari, Simpson, Gelman, Yao &
Gabry 2024, J. Mach. Learn. Res. 25:72).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from jrflow.limits.draws import Draws

#: Log density of points (n, d), up to a constant, (n,); -inf where impossible.
LogDensityOfPoints = Callable[[np.ndarray], np.ndarray]
#: Draws of each step that adapts the mixture, and of each that samples; most of the latter.
_ADAPTING, _AT_ONCE, _MOST = (2048, 4096, 4096), 8192, 32768
#: Draws to which a mixture is fitted; its components, their degrees of freedom, and their variance over that
#: of the fitted ones: the tails of a proposal should be heavier than the target's. By hand, on test
#: simulations of both presets at -10 to 59 dB.
_FITTED, _PARTS, _DEGREES_OF_FREEDOM, _WIDENING = 4000, 8, 8, 1.2
#: Fewest different points to which a mixture is fitted.
_FEWEST_POINTS = 4 * _PARTS
#: Share of the ridges.
_RIDGES = 0.3
#: Pareto shape above which importance sampling is not reliable (Vehtari et al. 2024).
_MOST_PARETO_K = 0.7
#: Effective sample size, as a share of the draws, below which sampling is given up.
_LEAST_EFFICIENCY = 0.01


@dataclass(frozen=True)
class _Mixture:
    """Student t distributions in white coordinates: x is ``centre + root @ white``."""

    centre: np.ndarray
    root: np.ndarray
    share: np.ndarray
    parts: tuple[multivariate_t, ...]

    @classmethod
    def fitted(cls, draws: np.ndarray, seed: int) -> _Mixture:
        """Fit normal distributions to draws (n, d), and give them heavier tails."""
        from sklearn.mixture import GaussianMixture  # a second to import: only where it is needed

        covariance = np.cov(draws.T) + 1e-12 * np.diag(draws.var(axis=0))
        centre, root = draws.mean(axis=0), np.linalg.cholesky(covariance)
        white = solve_triangular(root, (draws - centre).T, lower=True).T
        found = GaussianMixture(_PARTS, reg_covar=1e-6, random_state=seed).fit(white)
        parts = (
            multivariate_t(mean, _WIDENING * covariance, df=_DEGREES_OF_FREEDOM)
            for mean, covariance in zip(found.means_, found.covariances_, strict=True)
        )
        return cls(centre, root, found.weights_ / found.weights_.sum(), tuple(parts))

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw (n, d), one component after the other."""
        counts = rng.multinomial(n, self.share)
        white = [
            part.rvs(k, random_state=rng).reshape(k, len(self.centre))
            for part, k in zip(self.parts, counts, strict=True)
            if k
        ]
        return self.centre + np.concatenate(white) @ self.root.T

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Normalised log density of points (n, d), (n,)."""
        white = solve_triangular(self.root, (x - self.centre).T, lower=True).T
        each = np.stack([part.logpdf(white) for part in self.parts], axis=1)
        volume = np.log(np.diag(self.root)).sum()
        density: np.ndarray = logsumexp(each, axis=1, b=self.share) - volume
        return density


@dataclass(frozen=True)
class Posterior:
    """One posterior, and ridges that are a part of every mixture.

    Attributes
    ----------
    log_density
        Of the posterior.
    draw_ridges, log_ridges
        Draws (n, d) from the ridges; their normalised log density.
    """

    log_density: LogDensityOfPoints
    draw_ridges: Callable[[int], np.ndarray]
    log_ridges: LogDensityOfPoints

    def weighted(self, mixture: _Mixture, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws (n, d) from a mixture and the ridges, in random order, and their log weights, (n,)."""
        of_ridges = round(_RIDGES * n)
        x = rng.permutation(np.concatenate([mixture.draw(n - of_ridges, rng), self.draw_ridges(of_ridges)]))
        proposed = np.logaddexp(
            np.log(1 - _RIDGES) + mixture.log_density(x), np.log(_RIDGES) + self.log_ridges(x)
        )
        return x, self.log_density(x) - proposed


def importance_sample(posterior: Posterior, chains: np.ndarray, rng: np.random.Generator) -> Draws | None:
    """Weighted draws that resolve a posterior, or None.

    Parameters
    ----------
    posterior
        What is sampled.
    chains
        Draws of chains, shape (n_chains, n_kept, d), to which the first mixture is fitted.
    rng
        Source of the draws.

    Returns
    -------
    Draws | None
        In as many groups as there are chains. None if the weights are unreliable, or if the largest number
        of draws leaves a Monte Carlo error that is too large.
    """
    n_chains, _, d = chains.shape
    mixture = _adapted(posterior, chains.reshape(-1, d), rng)
    if mixture is None:
        return None
    x, log_weight = np.empty((0, d)), np.empty(0)
    while len(x) < _MOST:
        more = posterior.weighted(mixture, _AT_ONCE, rng)
        x, log_weight = np.concatenate([x, more[0]]), np.concatenate([log_weight, more[1]])
        n = len(x) // n_chains
        kept = slice(n * n_chains)
        found = Draws(x[kept].reshape(n_chains, n, d), log_weight[kept].reshape(n_chains, n))
        if found.convergence.is_resolved:
            return found if _pareto_k(log_weight) <= _MOST_PARETO_K else None
        if found.convergence.ess.min() < _LEAST_EFFICIENCY * len(x):
            return None
    return None


def _adapted(posterior: Posterior, draws: np.ndarray, rng: np.random.Generator) -> _Mixture | None:
    """A mixture that is fitted to draws (n, d) of chains, then to its own weighted ones; None if it fails."""
    for n in (*_ADAPTING, None):
        # Chains that do not move, and weights that are all on a few draws, leave nothing to fit.
        if len(np.unique(draws[:, 0])) < _FEWEST_POINTS:
            return None
        mixture = _Mixture.fitted(draws, int(rng.integers(2**31)))
        if n is None:
            break
        x, log_weight = posterior.weighted(mixture, n, rng)
        if not np.isfinite(log_weight.max()):
            return None
        weight = np.exp(log_weight - log_weight.max())
        draws = x[rng.choice(n, _FITTED, p=weight / weight.sum())]
    return mixture


def _pareto_k(log_weight: np.ndarray) -> float:
    """Shape of the generalised Pareto distribution of the largest weights."""
    from arviz_stats.base.array import array_stats  # a second to import: only where it is needed

    possible = log_weight[np.isfinite(log_weight)]
    return float(np.asarray(array_stats.psislw(-possible)[1]))
