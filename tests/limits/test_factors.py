"""Posterior variance of C and the contact probabilities, beside brute force where the response is linear."""

from __future__ import annotations

import numpy as np
import pytest

from jrflow.config.priors import PriorConfig, PublishedRangePrior, RelativeUniformPrior
from jrflow.design import Prior
from jrflow.limits.factors import Factors
from jrflow.space.scores import Coordinates

FACTORS = ("C", "a_1", "a_2", "a_3", "a_4")
N = 300


def coordinates_of(config: PriorConfig, preset: str = "unit-consistent") -> Coordinates:
    return Coordinates.of(Prior.of(config, preset))


UNIFORM = coordinates_of(RelativeUniformPrior(kind="relative-uniform", parameters=FACTORS))
NORMAL = coordinates_of(PublishedRangePrior(kind="published-range", parameters=FACTORS), "as-published")
WITH_GAINS = coordinates_of(RelativeUniformPrior(kind="relative-uniform"))


def share_known(factors: Factors, whitened: np.ndarray) -> np.ndarray:
    after, before = factors.variance(whitened), factors.variance_without
    possible = np.isfinite(after + before).all(axis=1)
    assert possible.mean() > 0.97
    ratio: np.ndarray = after[possible].mean(axis=0) / before[possible].mean(axis=0)
    return 1 - ratio


def seen(factors: Factors, response: np.ndarray) -> np.ndarray:
    """Derivative by the parameters, in prior sd, of a response (n_observed, n) linear in coordinates."""
    return response @ np.linalg.pinv(factors.slope)


@pytest.mark.parametrize("coordinates", [UNIFORM, NORMAL, WITH_GAINS])
def test_without_noise_all_is_known_but_how_the_products_divide(coordinates: Coordinates) -> None:
    draws = coordinates.prior.sample(4 * N, 0)
    factors = Factors.of(coordinates, draws, seed=0)
    found = share_known(factors, seen(factors, 1e4 * np.eye(coordinates.n)))
    first, second = (m[:, coordinates.factors] for m in coordinates.moments(factors.true))
    left = (second - first**2).mean(axis=0) / coordinates.prior.sd[coordinates.factors] ** 2
    np.testing.assert_allclose(found, 1 - left, atol=0.03)


@pytest.mark.parametrize("coordinates", [UNIFORM, NORMAL, WITH_GAINS])
def test_data_that_say_nothing_tell_nothing(coordinates: Coordinates) -> None:
    draws = coordinates.prior.sample(N, 1)
    factors = Factors.of(coordinates, draws, seed=0)
    assert (share_known(factors, np.zeros((N, 3, draws.shape[1]))) == 0).all()
    without = factors.variance_without.mean(axis=0)
    np.testing.assert_allclose(without, coordinates.prior.sd[coordinates.factors] ** 2, rtol=0.04)


@pytest.mark.parametrize("coordinates", [UNIFORM, NORMAL])
@pytest.mark.parametrize("precision", [1.0, 4.0])
def test_the_variance_is_that_of_brute_force(coordinates: Coordinates, precision: float) -> None:
    """Data are noisy coordinates: weights of prior draws are the posterior."""
    rng = np.random.default_rng(2)
    mixed = precision * rng.standard_normal((6, coordinates.n)) / np.sqrt(coordinates.n)
    factors = Factors.of(coordinates, coordinates.prior.sample(N, 3), seed=0)
    found = share_known(factors, seen(factors, mixed))

    theta = coordinates.prior.sample(30_000, 4)
    response = coordinates.of_parameters(theta) @ mixed.T
    left = np.zeros(5)
    for true in range(N):
        data = response[true] + rng.standard_normal(6)
        log_weight = -0.5 * ((response[N:] - data) ** 2).sum(axis=1)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        mean = weight @ theta[N:, coordinates.factors]
        left += weight @ (theta[N:, coordinates.factors] - mean) ** 2 / (1 - (weight**2).sum()) / N
    np.testing.assert_allclose(found, 1 - left / coordinates.prior.sd[coordinates.factors] ** 2, atol=0.06)
