"""Posterior variance of C and the contact probabilities, whose posterior is never Gaussian.

Data constrain only the products C * a_k. Given the products, C lies between sharp bounds. Laplace's
approximation uses only the variance of the prior and overestimates the posterior variance: without noise it
gives a fifth of the prior variance of C instead of a seventh (relative uniform prior of half width 1/2).

Here the response is linearised in the coordinates of jrflow.space.scores, and the prior is exact. The
posterior of the coordinates is a normal distribution, reweighted by the ratio of the true prior to its
normal approximation. C is integrated out for every draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jrflow.space.scores import Coordinates

#: Number of draws from each posterior, in antithetic pairs.
_N_DRAWS = 128
#: Second word of the seed, so that these random numbers differ from those of the parameters' draws.
_STREAM = 1


@dataclass(frozen=True)
class Factors:
    """Posteriors of the degenerate factors (C and a_k), given data simulated from known parameters.

    Attributes
    ----------
    coordinates
        Coordinates of a prior under which all five factors vary.
    true
        Coordinates of the true parameters, shape (n, n_coordinates).
    slope
        Derivative of the parameters, in prior standard deviations, with respect to the coordinates, shape (n,
        n_parameters, n_coordinates).
    error
        Normal deviates that represent the noise of the data, of the same shape as ``true``.
    deviates
        Normal deviates of the draws from each posterior, shape (n, n_draws, n_coordinates). They are the same
        at every noise level, so that results differ only because of the noise.
    """

    coordinates: Coordinates
    true: np.ndarray
    slope: np.ndarray
    error: np.ndarray
    deviates: np.ndarray

    @classmethod
    def of(cls, coordinates: Coordinates, parameters: np.ndarray, seed: int) -> Factors:
        """Draw the deviates for parameters (n, n_parameters)."""
        rng = np.random.default_rng([seed, _STREAM])
        n, d = len(parameters), coordinates.n
        half = rng.standard_normal((n, _N_DRAWS // 2, d))
        deviates = np.concatenate([half, -half], axis=1)
        slope = coordinates.derivative(parameters) / coordinates.prior.sd[:, None]
        true = coordinates.of_parameters(parameters)
        return cls(coordinates, true, slope, rng.standard_normal((n, d)), deviates)

    @cached_property
    def variance_without(self) -> np.ndarray:
        """Variance of the factors without data, shape (n, n_factors): prior variance of the same draws."""
        return self.variance(np.zeros((len(self.true), 1, self.slope.shape[1])))

    def variance(self, whitened: np.ndarray) -> np.ndarray:
        """Posterior variance of the factors, shape (n, n_factors); NaN where no draw is possible.

        Parameters
        ----------
        whitened
            Derivative of the whitened response per prior standard deviation of each parameter, shape (n,
            n_observed, n_parameters).
        """
        prior = self.coordinates.precision
        observed = whitened @ self.slope
        information = np.swapaxes(observed, 1, 2) @ observed
        covariance = np.linalg.inv(information + prior)
        covariance = (covariance + np.swapaxes(covariance, 1, 2)) / 2
        values, vectors = np.linalg.eigh(information)
        root = vectors * np.sqrt(values.clip(min=0))[:, None] @ np.swapaxes(vectors, 1, 2)
        score = root @ self.error[..., None]
        pull = prior @ (self.coordinates.mean - self.true)[..., None]
        mean = self.true + (covariance @ (score + pull))[..., 0]
        x = mean[:, None] + self.deviates @ np.swapaxes(np.linalg.cholesky(covariance), 1, 2)
        return self._weighted(x)

    def _weighted(self, x: np.ndarray) -> np.ndarray:
        """Variance of the factors over draws (n, n_draws, n_coordinates) made with the normal prior."""
        flat = x.reshape(-1, x.shape[-1])
        away = flat - self.coordinates.mean
        normal = -0.5 * np.einsum("np,pq,nq->n", away, self.coordinates.precision, away)
        log_weight = (self.coordinates.log_prior(flat) - normal).reshape(x.shape[:2])
        highest = log_weight.max(axis=1, keepdims=True)
        weight = np.exp(log_weight - np.where(np.isfinite(highest), highest, 0))
        possible = weight > 0
        with np.errstate(invalid="ignore"):
            weight /= weight.sum(axis=1, keepdims=True)
        first, second = (
            np.where(possible[..., None], moment[:, self.coordinates.factors].reshape(*x.shape[:2], -1), 0)
            for moment in self.coordinates.moments(flat)
        )
        mean = np.einsum("nk,nkf->nf", weight, first)
        within = np.einsum("nk,nkf->nf", weight, second - first**2)
        between = np.einsum("nk,nkf->nf", weight, (first - mean[:, None]) ** 2)
        # The mean uses the same draws, so divide by (1 - sum of squared weights).
        lost = (weight**2).sum(axis=1)[:, None]
        return within + np.divide(between, 1 - lost, out=np.zeros_like(between), where=lost < 1)
