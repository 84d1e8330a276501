"""Coordinates in which posteriors are nearly Gaussian, without the direction that data do not constrain.

A parameter is described by its normal score under the prior, z = Phi^-1(F(theta)): its prior is N(0, 1) and
no bound can be violated. If C and a_1..a_4 all vary, the data depend on their four products only. The
coordinates then are the standardised log C_1..log C_4, each plus the log of the synaptic gain in its loop.
C and the a_k are integrated out exactly (Rao-Blackwell), see jrflow.limits.products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from jrflow.design.priors import Prior
from jrflow.limits.products import Products
from jrflow.model.parameters import PRODUCTS

#: C and the contact probabilities: data depend on their products only.
_FACTORS = ("C", *(name.replace("C", "a") for name in PRODUCTS))
#: Largest normal score: 1 - Phi(8) = 6e-16 is near the spacing of floating-point numbers below 1.
_LARGEST_SCORE = 8.0
#: The synaptic gain that enters the same loop as each product: the excitatory population receives the
#: pyramidal one's potential times C_1, and that is proportional to A_e. With these sums as coordinates the
#: ridges of the likelihood are nearly straight.
_GAINS = ("A_e", "A_e", "A_e", "A_i")
#: Half step of the central differences in coordinates, whose unit is the spread of the prior.
_STEP = 1e-5
#: Quantiles over which moments of a distribution are averaged.
_N_QUANTILES = 4000


@dataclass(frozen=True)
class Coordinates:
    """Transform parameters to coordinates and back. Targets are the parameters, then the products.

    Attributes
    ----------
    prior
        Of the parameters.
    scored
        Columns of the parameters that are described by a normal score: the first coordinates.
    factors
        Columns of C, a_1, .., a_4 if their products are the last coordinates, else empty.
    products
        Of these factors; None if ``factors`` is empty.
    gains
        1 if the log of a scored parameter is added to that of a product, shape (n_products, n_scored).
    centre, scale
        Prior mean and standard deviation of these sums, each (n_products,).
    mean, covariance
        Of the prior in these coordinates, (n,) and (n, n); it is normal except for the products.
    """

    prior: Prior
    scored: np.ndarray
    factors: np.ndarray
    products: Products | None
    gains: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, prior: Prior) -> Coordinates:
        """Choose the coordinates for a prior."""
        names = list(prior.names)
        if not set(_FACTORS) <= set(names):
            everything, none = np.arange(len(names)), np.arange(0)
            d = len(names)
            empty = np.zeros(0)
            return cls(
                prior, everything, none, None, empty[:, None], empty, empty, np.zeros(d), np.eye(d)
            )  # fmt: skip
        factors = np.array([names.index(name) for name in _FACTORS])
        scored = np.array([j for j in range(len(names)) if j not in factors], dtype=int)
        products = Products(
            prior.distributions["C"], tuple(prior.distributions[name] for name in _FACTORS[1:])
        )
        gains = np.array([[float(names[j] == gain) for j in scored] for gain in _GAINS])
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
        """Parameters (n, n_parameters) with the same response as all others at these coordinates.

        C is its prior mean. The resulting a_k may lie outside the prior; only their products matter.
        """
        return self._parameters(x, np.full(len(x), self._mean_C))

    def nearest_possible(self, x: np.ndarray) -> np.ndarray:
        """Parameters (n, n_parameters) within the prior, with the products of x if the prior allows these."""
        # The middle of the interval of log C that the products allow.
        C = None if self.products is None else np.exp(np.mean(self.products.support(self._log(x)), axis=0))
        return self.prior.within(self._parameters(x, C))

    def derivative(self, parameters: np.ndarray) -> np.ndarray:
        """Of the parameters with respect to the coordinates, shape (n, n_parameters, n_coordinates), C held.

        Central differences; parameters (n, n_parameters) lie within the prior's bounds.
        """
        x = self.of_parameters(parameters)
        C = None if self.products is None else parameters[:, self.factors[0]]
        steps = _STEP * np.eye(self.n)
        ahead, behind = (np.stack([self._parameters(x + s, C) for s in side], -1) for side in (steps, -steps))
        slope: np.ndarray = (ahead - behind) / (2 * _STEP)
        return slope

    def complete(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Parameters (n, n_parameters), drawn from the prior given the coordinates."""
        return self._parameters(x, None if self.products is None else self.products.draw_C(self._log(x), rng))

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
        powers = self.products.moments_of_C(self._log(x))
        C_k = np.exp(self._log(x))
        C, contacts = self.factors[0], self.factors[1:]
        first[:, C], second[:, C] = powers[:, 0], powers[:, 1]
        first[:, contacts], second[:, contacts] = C_k * powers[:, 2:3], C_k**2 * powers[:, 3:4]
        return first, second

    @property
    def _mean_C(self) -> float:
        return float(self.prior.mean[self.factors[0]]) if self.products is not None else np.nan

    def _log(self, x: np.ndarray) -> np.ndarray:
        """Log products, shape (n, n_products)."""
        loops = self.centre + self.scale * x[:, len(self.scored) :]
        log: np.ndarray = loops - np.log(self._scored_values(x)[:, self.scored]) @ self.gains.T
        return log

    def _scored_values(self, x: np.ndarray) -> np.ndarray:
        """Parameters (n, n_parameters), of which only the scored columns are meaningful."""
        scores = np.zeros((len(x), len(self.prior.names)))
        scores[:, self.scored] = np.clip(x[:, : len(self.scored)], -_LARGEST_SCORE, _LARGEST_SCORE)
        return self.prior.ppf(ndtr(scores))

    def _parameters(self, x: np.ndarray, C: np.ndarray | None) -> np.ndarray:
        parameters = self._scored_values(x)
        if C is not None and len(self.factors):
            parameters[:, self.factors[0]] = C
            parameters[:, self.factors[1:]] = np.exp(self._log(x)) / C[:, None]
        return parameters


def _log_moments(prior: Prior, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (2, n_scored) of the logs of parameters, and their covariance with the scores."""
    unit = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES
    columns = np.repeat(unit[:, None], len(prior.names), axis=1)
    log = np.log(prior.ppf(columns)[:, scored])
    return np.stack([log.mean(axis=0), log.var(axis=0)]), ndtri(unit) @ (log - log.mean(axis=0)) / len(unit)
