"""Coordinates: there and back, with the prior's density, and with C integrated out exactly."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from scipy import integrate

from jrflow.config.priors import (
    PriorConfig,
    PublishedRangePrior,
    RelativeUniformPrior,
)
from jrflow.design import Prior
from jrflow.space.distributions import Distribution as Resolved, Normal
from jrflow.space.scores import Coordinates

UNIFORM = RelativeUniformPrior(kind="relative-uniform")
NORMAL = PublishedRangePrior(kind="published-range")


def prior(config: PriorConfig = UNIFORM, preset: str = "unit-consistent") -> Prior:
    return Prior.of(config, preset)


def density_of_log(d: Resolved, log_x: float) -> float:
    x = np.exp(log_x)
    if not isinstance(d, Normal):
        return float(x / (d.high - d.low))
    normal = NormalDist(d.mean, d.sd)
    return normal.pdf(x) * x / (normal.cdf(d.high) - normal.cdf(d.low))


@pytest.mark.parametrize("config", [UNIFORM, NORMAL])
def test_parameters_come_back_but_for_what_data_cannot_tell(config: PriorConfig) -> None:
    coordinates = Coordinates.of(prior(config))
    theta = coordinates.prior.sample(200, 0)
    x = coordinates.of_parameters(theta)
    assert x.shape == (200, 8)
    for back in (coordinates.representative(x), coordinates.complete(x, np.random.default_rng(0))):
        np.testing.assert_allclose(back[:, :4], theta[:, :4], rtol=1e-6)
        np.testing.assert_allclose(back[:, 4:5] * back[:, 5:], theta[:, 4:5] * theta[:, 5:], rtol=1e-6)
    within = coordinates.complete(x, np.random.default_rng(0))
    assert (within >= coordinates.prior.low * (1 - 1e-9)).all()
    assert (within <= coordinates.prior.high * (1 + 1e-9)).all()


@pytest.mark.parametrize("config", [UNIFORM, NORMAL])
def test_the_prior_has_the_moments_that_are_claimed(config: PriorConfig) -> None:
    coordinates = Coordinates.of(prior(config))
    x = coordinates.of_parameters(coordinates.prior.sample(40_000, 1))
    np.testing.assert_allclose(x.mean(axis=0), coordinates.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), coordinates.covariance, atol=0.05)


@pytest.mark.parametrize("config", [UNIFORM, NORMAL])
def test_density_and_moments_of_C_are_those_of_brute_force(config: PriorConfig) -> None:
    chosen = prior(config)
    coordinates = Coordinates.of(chosen)
    assert coordinates.products is not None
    theta = chosen.sample(2, 2)
    u = np.log(theta[:, 4:5] * theta[:, 5:])
    moments = coordinates.products.moments_of_common(u)
    for row in range(len(u)):

        def integrand(c: float, power: float = 0.0, row: int = row) -> float:
            terms = [density_of_log(chosen.distributions[f"a_{k + 1}"], u[row, k] - c) for k in range(4)]
            return float(np.prod(terms)) * density_of_log(chosen.distributions["C"], c) * np.exp(power * c)

        low = max(np.log(chosen.low[4]), *(u[row] - np.log(chosen.high[5:])))
        high = min(np.log(chosen.high[4]), *(u[row] - np.log(chosen.low[5:])))
        whole = integrate.quad(integrand, low, high, epsrel=1e-7)[0]
        assert coordinates.products.log_density(u[row : row + 1])[0] == pytest.approx(np.log(whole), abs=1e-4)
        for j, power in enumerate((1.0, 2.0, -1.0, -2.0)):
            expected = integrate.quad(integrand, low, high, args=(power,), epsrel=1e-7)[0] / whole
            assert moments[row, j] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("config", [UNIFORM, NORMAL])
def test_draws_of_C_have_its_conditional_moments(config: PriorConfig) -> None:
    coordinates = Coordinates.of(prior(config))
    x = np.repeat(coordinates.of_parameters(coordinates.prior.sample(3, 3)), 5_000, axis=0)
    drawn = coordinates.prior.targets(coordinates.complete(x, np.random.default_rng(1))).reshape(3, 5_000, 13)
    first, second = (m.reshape(3, 5_000, 13)[:, 0] for m in coordinates.moments(x))
    sd = np.sqrt((second - first**2).clip(min=0))
    assert (np.abs(drawn.mean(axis=1) - first) <= 5 * sd / np.sqrt(5_000) + 1e-6 * first).all()
    np.testing.assert_allclose(drawn.std(axis=1)[:, 4:9], sd[:, 4:9], rtol=0.06)


def test_outside_the_support_nothing_is_possible() -> None:
    coordinates = Coordinates.of(prior())
    theta = coordinates.prior.high[None] * np.ones((2, 1))
    theta[1, 5] *= 1.1  # no C within its bounds makes up for that
    density = coordinates.log_prior(coordinates.of_parameters(theta * [[0.999], [1.0]]))
    assert np.isfinite(density[0])
    assert density[1] == -np.inf


@pytest.mark.parametrize("names", [("A_e", "b_i"), ("C", "a_1"), ("A_i", "a_1", "a_2", "a_3", "a_4")])
def test_without_the_degeneracy_every_parameter_has_its_normal_score(names: tuple[str, ...]) -> None:
    coordinates = Coordinates.of(prior(RelativeUniformPrior(kind="relative-uniform", parameters=names)))
    theta = coordinates.prior.sample(50, 4)
    x = coordinates.of_parameters(theta)
    assert x.shape == theta.shape
    np.testing.assert_allclose(coordinates.complete(x, np.random.default_rng(0)), theta, rtol=1e-9)
    np.testing.assert_allclose(coordinates.log_prior(x), -0.5 * (x**2).sum(axis=1))
    first, second = coordinates.moments(x)
    np.testing.assert_allclose(second, first**2)
    assert first.shape[1] == len(names) + len(coordinates.prior.product_names)


def test_the_order_of_the_parameters_is_the_priors_own() -> None:
    shuffled = ("a_3", "C", "b_i", "a_1", "A_i", "a_4", "b_e", "a_2", "A_e")
    widths = {name: prior().distributions[name] for name in shuffled}
    coordinates = Coordinates.of(replace(prior(), varied=widths))
    theta = coordinates.prior.sample(20, 5)
    first, _ = coordinates.moments(coordinates.of_parameters(theta))
    expected = [theta[:, shuffled.index(name)] for name in ("b_i", "A_i", "b_e", "A_e")]
    found = [first[:, shuffled.index(name)] for name in ("b_i", "A_i", "b_e", "A_e")]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(first[:, -1], theta[:, 1] * theta[:, 5], rtol=1e-6)  # C_4
