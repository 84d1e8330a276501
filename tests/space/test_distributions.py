"""Distributions against numerical integrals of their densities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.integrate import quad

from jrflow.space.distributions import Distribution, LogNormal, Normal, Uniform, distribution_from

EVERY = [
    Uniform(2.0, 5.0),
    Normal(3.0, 2.0, 0.5, 4.0),
    LogNormal(3.0, 0.4, 1.0, 20.0),
    LogNormal(100.0, 0.2, 45.0, 222.0),
    LogNormal(1.0, 0.5, 0.0, 8.0),
]
ALL = pytest.mark.parametrize("distribution", EVERY, ids=str)


def raw_moment(d: Distribution, power: int) -> float:
    """By integrating the density, which is that of log X over X."""

    def integrand(x: float) -> float:
        return x ** (power - 1) * float(np.exp(d.log_density_of_log(np.log(x))))

    return quad(integrand, max(d.low, 1e-12), d.high, epsabs=0, epsrel=1e-9, limit=200)[0]


@ALL
def test_moments_are_those_of_the_density(distribution: Distribution) -> None:
    assert raw_moment(distribution, 0) == pytest.approx(1, rel=1e-7)
    mean, square = raw_moment(distribution, 1), raw_moment(distribution, 2)
    assert distribution.moments == pytest.approx((mean, np.sqrt(square - mean**2)), rel=1e-6)


@ALL
def test_quantiles_invert_the_distribution_function_and_end_at_the_ends(distribution: Distribution) -> None:
    unit = np.array([0.0, 1e-6, 0.2, 0.5, 0.9, 1.0])
    values = distribution.ppf(unit)
    assert (values[0], values[-1]) == pytest.approx(distribution.ends, rel=1e-12)
    assert ((values >= distribution.low) & (values <= distribution.high)).all()
    np.testing.assert_allclose(distribution.cdf(values[1:]), unit[1:], rtol=1e-8)


@ALL
def test_moments_of_the_logarithm_match_draws(distribution: Distribution) -> None:
    log = np.log(distribution.ppf((np.arange(200_000) + 0.5) / 200_000))
    assert distribution.log_moments == pytest.approx((log.mean(), log.var()), rel=2e-4, abs=1e-5)


@ALL
def test_descriptions_are_json_and_complete(distribution: Distribution) -> None:
    assert distribution_from(json.loads(json.dumps(distribution.describe()))) == distribution
