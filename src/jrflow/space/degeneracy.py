"""Products C_k = C * a_k of a common factor C, and the distribution of C and the a_k given the products.

If C enters the equations only as C * a_k, then p(C | data, C_1..C_n) = p(C | C_1..C_n) for all data. This
density has one dimension and a bounded interval, so it can be integrated numerically. With the prior
densities f_C and f_k of log C and log a_k,

    p(log C_1..log C_n) = integral of f_C(c) prod_k f_k(log C_k - c) dc,

and the integrand is, up to a factor, the conditional density of c = log C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jrflow.space.distributions import Distribution, Uniform

#: Number of Gauss-Legendre nodes. The integrand is smooth, and its width is at least an eighth of the
#: interval, so 48 nodes give an error of 1e-4 in the logarithm (tests/space/test_scores.py).
_N_NODES = 48
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(_N_NODES)
#: Number of grid cells for inverting the distribution function of log C; the error is of second order.
_N_CELLS = 200
#: Largest number of points in a batch, which limits memory.
_AT_ONCE = 20_000


@dataclass(frozen=True)
class Products:
    """Joint prior of the logarithms of products, and conditional distribution of their common factor.

    Attributes
    ----------
    common
        Distribution of the common factor C.
    others
        Distributions of the factors a_k, which the common factor multiplies.
    """

    common: Distribution
    others: tuple[Distribution, ...]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Prior mean (n_products,) and covariance (n_products, n_products) of the log products."""
        mean, variance = self.common.log_moments
        others = np.array([d.log_moments for d in self.others])
        return mean + others[:, 0], variance + np.diag(others[:, 1])

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log prior density of the log products, shape (n,), -inf outside the support.

        Parameters
        ----------
        u
            Log products, shape (n, n_products).
        """
        density = np.full(len(u), -np.inf)
        for part in _parts(u):
            _, log_terms = self._terms(u[part])
            top = log_terms.max(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                density[part] = top + np.log(np.exp(log_terms - top[:, None]).sum(axis=1))
        return np.where(np.isfinite(density), density, -np.inf)

    def moments_of_common(self, u: np.ndarray) -> np.ndarray:
        """E[C^p] given the log products for p = 1, 2, -1, -2, shape (n, 4); NaN outside the support."""
        moments = np.empty((len(u), 4))
        for part in _parts(u):
            c, log_terms = self._terms(u[part])
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.exp(log_terms - log_terms.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
            C = np.exp(c)
            moments[part] = np.stack([(share * C**p).sum(axis=1) for p in (1.0, 2.0, -1.0, -2.0)], axis=1)
        return moments

    def draw_common(self, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw of C given the log products, shape (n,); NaN outside the support."""
        uniform, C = rng.random(len(u)), np.empty(len(u))
        for part in _parts(u):
            C[part] = self._quantile_of_common(u[part], uniform[part])
        return C

    def _quantile_of_common(self, u: np.ndarray, probability: np.ndarray) -> np.ndarray:
        low, high = self.support(u)
        if all(isinstance(d, Uniform) for d in (self.common, *self.others)):
            # For uniform factors, log C has a density proportional to exp(c - n_products c).
            rate = len(self.others) - 1
            lost = -np.expm1(-rate * (high - low).clip(min=0))
            return np.where(high > low, np.exp(low - np.log1p(-probability * lost) / rate), np.nan)
        width = (high - low) / _N_CELLS
        centres = low[:, None] + width[:, None] * (np.arange(_N_CELLS) + 0.5)
        log_density = self._log_integrand(centres, u)
        mass = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        reached = np.cumsum(mass, axis=1)
        wanted = probability * reached[:, -1]
        cell = (reached < wanted[:, None]).sum(axis=1).clip(max=_N_CELLS - 1)
        rows = np.arange(len(u))
        within = 1 - (reached[rows, cell] - wanted) / mass[rows, cell]
        return np.where(high > low, np.exp(low + width * (cell + within)), np.nan)

    def _terms(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nodes c, and logarithms of integrand times weight at these nodes, both (n, n_nodes)."""
        low, high = self.support(u)
        half = (high - low) / 2
        c = (low + half)[:, None] + half[:, None] * _NODES
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(half > 0, np.log(half), -np.inf)
        return c, self._log_integrand(c, u) + np.log(_WEIGHTS) + scale[:, None]

    def support(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of log C, each (n,); outside the support, lower >= upper."""
        with np.errstate(divide="ignore"):
            lows, highs = (np.log([getattr(d, end) for d in self.others]) for end in ("low", "high"))
            low = np.maximum((u - highs).max(axis=1), np.log(self.common.low))
            high = np.minimum((u - lows).min(axis=1), np.log(self.common.high))
        # The logarithm of a lower end of 0 is infinite; the probability 50 below the upper end is negligible.
        return np.maximum(low, high - 50), high

    def _log_integrand(self, c: np.ndarray, u: np.ndarray) -> np.ndarray:
        total = self.common.log_density_of_log(c)
        for k, other in enumerate(self.others):
            total += other.log_density_of_log(u[:, k, None] - c)
        return total


def _parts(u: np.ndarray) -> Sequence[slice]:
    return [slice(first, first + _AT_ONCE) for first in range(0, len(u), _AT_ONCE)]
