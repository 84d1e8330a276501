"""Coordinates in which posteriors are nearly Gaussian, without the direction that data do not constrain.

The coordinate of a parameter is its normal score under the prior, z = Phi^-1(F(theta)). Its prior is N(0, 1),
and bounds cannot be violated. If all factors of the space's degeneracy vary, data depend only on their
products. The coordinates are then standardised sums: the logarithm of each product plus the logarithm of the
gain in the same loop. In these sums, the ridges of the likelihood are nearly straight. The factors are
integrated out exactly (Rao-Blackwell), see jrflow.space.degeneracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from jrflow.space.degeneracy import Products
from jrflow.space.joint import JointDistribution

#: Largest normal score: 1 - Phi(8) = 6e-16 is near the spacing of floating-point numbers below 1.
_LARGEST_SCORE = 8.0
#: Half the step of the central differences, in coordinates (unit: spread of the prior).
_STEP = 1e-5
#: Number of quantiles over which moments of a distribution are averaged.
_N_QUANTILES = 4000


@dataclass(frozen=True)
class Coordinates:
    """Transform parameters to coordinates and back. Targets are the parameters, then the products.

    Attributes
    ----------
    prior
        Prior distribution of the parameters.
    scored
        Columns of the parameters whose coordinates are normal scores; these coordinates come first.
    factors
        Columns of the common factor and of the factors that it multiplies, if their products are
        coordinates; otherwise empty.
    products
        Distribution of the products of these factors; None if ``factors`` is empty.
    gains
        1 if the logarithm of a scored parameter is added to that of a product, else 0, shape (n_products,
        n_scored).
    centre, scale
        Prior mean and standard deviation of these sums, each (n_products,).
    mean, covariance
        Mean and covariance of the prior in these coordinates, (n,) and (n, n). The prior is normal except
        for the products.
    """

    prior: JointDistribution
    scored: np.ndarray
    factors: np.ndarray
    products: Products | None
    gains: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, prior: JointDistribution) -> Coordinates:
        """Choose the coordinates for a prior."""
        names, degeneracy = list(prior.names), prior.space.degeneracy
        if degeneracy is None or not set(degeneracy.factors) <= set(names):
            everything, none = np.arange(len(names)), np.arange(0)
            d = len(names)
            empty = np.zeros(0)
            return cls(
                prior, everything, none, None, empty[:, None], empty, empty, np.zeros(d), np.eye(d)
            )  # fmt: skip
        factors = np.array([names.index(name) for name in degeneracy.factors])
        scored = np.array([j for j in range(len(names)) if j not in factors], dtype=int)
        common, *others = (prior.distributions[name] for name in degeneracy.factors)
        products = Products(common, tuple(others))
        gains = np.array([[float(names[j] == p.gain) for j in scored] for p in degeneracy.products])
        centre, spread, mean_log, cross = *products.moments(), *_log_moments(prior, scored)
        covariance = spread + (gains * mean_log[1]) @ gains.T
        scale = np.sqrt(np.diag(covariance))
        off = (gains * cross).T / scale
        whole = np.block([[np.eye(len(scored)), off], [off.T, covariance / np.outer(scale, scale)]])
        centre = centre + gains @ mean_log[0]
        return cls(prior, scored, factors, products, gains, centre, scale, np.zeros(len(whole)), whole)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.mean)

    @cached_property
    def precision(self) -> np.ndarray:
        """Inverse covariance of the normal approximation to the prior, (n, n)."""
        return np.linalg.inv(self.covariance)

    def of_parameters(self, parameters: np.ndarray) -> np.ndarray:
        """Coordinates (n, n_coordinates) of parameters (n, n_parameters) within the prior's bounds."""
        score = ndtri(self.prior.cdf(parameters)[:, self.scored])
        score = np.clip(score, -_LARGEST_SCORE, _LARGEST_SCORE)
        if self.products is None:
            return score
        log = np.log(parameters[:, self.factors])
        loops = log[:, :1] + log[:, 1:] + np.log(parameters[:, self.scored]) @ self.gains.T
        return np.column_stack([score, (loops - self.centre) / self.scale])

    def representative(self, x: np.ndarray) -> np.ndarray:
        """Parameters (n, n_parameters) for simulation; all parameters at a point have the same response.

        The common factor has its prior mean. The other factors may then be outside the prior, but only the
        products matter.
        """
        return self._parameters(x, np.full(len(x), self._mean_common))

    def nearest_possible(self, x: np.ndarray) -> np.ndarray:
        """Parameters (n, n_parameters) within the prior, with the products of ``x`` if they are possible."""
        if self.products is None:
            return self.prior.within(self._parameters(x, None))
        # Take the middle of the possible interval of the common factor's logarithm, given the products.
        common = np.exp(np.mean(self.products.support(self._log(x)), axis=0))
        return self.prior.within(self._parameters(x, common))

    def derivative(self, parameters: np.ndarray) -> np.ndarray:
        """Derivatives of parameters with respect to coordinates, shape (n, n_parameters, n_coordinates).

        Central differences with a fixed common factor. Parameters (n, n_parameters) must be within the
        prior's bounds.
        """
        x = self.of_parameters(parameters)
        common = None if self.products is None else parameters[:, self.factors[0]]
        steps = _STEP * np.eye(self.n)
        ahead, behind = (
            np.stack([self._parameters(x + s, common) for s in side], -1) for side in (steps, -steps)
        )
        slope: np.ndarray = (ahead - behind) / (2 * _STEP)
        return slope

    def complete(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw parameters (n, n_parameters) from the prior, given the coordinates."""
        return self._parameters(
            x, None if self.products is None else self.products.draw_common(self._log(x), rng)
        )

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """Log prior density of the coordinates, (n,), up to a constant; -inf outside the support."""
        scores = x[:, : len(self.scored)]
        normal: np.ndarray = -0.5 * (scores**2).sum(axis=1)
        return normal if self.products is None else normal + self.products.log_density(self._log(x))

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of the targets given the coordinates, both (n, n_targets)."""
        first = self.prior.targets(self.representative(x))
        second = first**2
        if self.products is None:
            return first, second
        powers = self.products.moments_of_common(self._log(x))
        product = np.exp(self._log(x))
        common, others = self.factors[0], self.factors[1:]
        first[:, common], second[:, common] = powers[:, 0], powers[:, 1]
        first[:, others], second[:, others] = product * powers[:, 2:3], product**2 * powers[:, 3:4]
        return first, second

    @property
    def _mean_common(self) -> float:
        return float(self.prior.mean[self.factors[0]]) if self.products is not None else np.nan

    def _log(self, x: np.ndarray) -> np.ndarray:
        """Log products, shape (n, n_products)."""
        loops = self.centre + self.scale * x[:, len(self.scored) :]
        log: np.ndarray = loops - np.log(self._scored_values(x)[:, self.scored]) @ self.gains.T
        return log

    def _scored_values(self, x: np.ndarray) -> np.ndarray:
        """Parameters (n, n_parameters); only the scored columns are valid."""
        scores = np.zeros((len(x), len(self.prior.names)))
        scores[:, self.scored] = np.clip(x[:, : len(self.scored)], -_LARGEST_SCORE, _LARGEST_SCORE)
        return self.prior.ppf(ndtr(scores))

    def _parameters(self, x: np.ndarray, common: np.ndarray | None) -> np.ndarray:
        parameters = self._scored_values(x)
        if common is not None and len(self.factors):
            parameters[:, self.factors[0]] = common
            parameters[:, self.factors[1:]] = np.exp(self._log(x)) / common[:, None]
        return parameters


def _log_moments(prior: JointDistribution, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (2, n_scored) of parameters' logarithms, and their covariance with the scores."""
    unit = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES
    columns = np.repeat(unit[:, None], len(prior.names), axis=1)
    log = np.log(prior.ppf(columns)[:, scored])
    return np.stack([log.mean(axis=0), log.var(axis=0)]), ndtri(unit) @ (log - log.mean(axis=0)) / len(unit)
