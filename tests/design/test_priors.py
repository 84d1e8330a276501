"""Moments, inverse distribution functions and draws of priors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from jrflow.config.priors import (
    Distribution,
    IndependentPrior,
    PublishedRangePrior,
    RelativeUniformPrior,
)
from jrflow.design import Prior
from jrflow.model import MODEL

UNIFORM = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
PUBLISHED = Prior.of(PublishedRangePrior(kind="published-range"), "as-published")
SKEWED = Prior.of(
    IndependentPrior.model_validate(
        {
            "kind": "independent",
            "parameters": {
                "A_e": {"low": 3, "high": 9, "mean": 3, "sd": 1},
                "C": {"low": 65, "high": 1350, "mean": 200, "sd": 500},
                "a_2": {"low": 0.4, "high": 1.2},
            },
        }
    ),
    "unit-consistent",
)


def _moment(prior: Prior, column: int, power: int) -> float:
    """A raw moment by integrating the inverse distribution function over its probabilities."""

    def integrand(u: float) -> float:
        point = np.full((1, len(prior.names)), u)
        return float(prior.ppf(point)[0, column] ** power)

    return quad(integrand, 0, 1, epsabs=0, epsrel=1e-8)[0]


@pytest.mark.parametrize("prior", [UNIFORM, PUBLISHED, SKEWED], ids=["uniform", "published", "skewed"])
def test_moments_are_those_of_the_inverse_distribution(prior: Prior) -> None:
    for j in range(min(3, len(prior.names))):
        mean, square = _moment(prior, j, 1), _moment(prior, j, 2)
        assert prior.mean[j] == pytest.approx(mean, rel=1e-7)
        assert prior.sd[j] == pytest.approx(np.sqrt(square - mean**2), rel=1e-6)


def test_published_prior_is_the_papers_truncated_at_two_standard_deviations() -> None:
    assert PUBLISHED.names == MODEL.inferred
    published = MODEL.mass["C"].published
    assert published is not None
    low, high = published
    assert low is not None
    assert high is not None
    j = MODEL.inferred.index("C")
    assert PUBLISHED.mean[j] == pytest.approx((low + high) / 2)
    # Variance of a standard normal truncated to -2..2: 1 - 4 phi(2) / (Phi(2) - Phi(-2)).
    shrinkage = np.sqrt(1 - 4 * norm.pdf(2) / (norm.cdf(2) - norm.cdf(-2)))
    assert PUBLISHED.sd[j] == pytest.approx((high - low) / 4 * shrinkage, rel=1e-12)


@pytest.mark.parametrize("prior", [UNIFORM, PUBLISHED, SKEWED], ids=["uniform", "published", "skewed"])
def test_product_moments_match_draws(prior: Prior) -> None:
    n = 200_000
    draws = dict(zip(prior.names, prior.sample(n, seed=3).T, strict=True))
    for name in prior.product_names:
        product = draws["C"] * draws[name.replace("C", "a")]
        assert prior.product_mean[name] == pytest.approx(product.mean(), abs=5 * product.std() / np.sqrt(n))
        assert prior.product_sd[name] == pytest.approx(product.std(), rel=0.01)


def test_products_need_both_factors() -> None:
    assert UNIFORM.product_names == ("C_1", "C_2", "C_3", "C_4")
    assert SKEWED.product_names == ("C_2",)
    no_c = RelativeUniformPrior(kind="relative-uniform", parameters=("A_e", "a_1"))
    assert Prior.of(no_c, "unit-consistent").product_names == ()


def test_ppf_covers_the_range_exactly() -> None:
    for prior in (UNIFORM, PUBLISHED, SKEWED):
        ends = prior.ppf(np.array([np.zeros(len(prior.names)), np.ones(len(prior.names))]))
        np.testing.assert_array_equal(ends, [prior.low, prior.high])


def test_ppf_refuses_a_wrong_number_of_columns() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(n, 9\).*got \(5, 3\)"):
        UNIFORM.ppf(np.zeros((5, 3)))


def test_first_draws_do_not_depend_on_how_many_are_drawn() -> None:
    for prior in (UNIFORM, PUBLISHED):
        np.testing.assert_array_equal(prior.sample(1000, seed=0)[:7], prior.sample(7, seed=0))
    assert not np.array_equal(UNIFORM.sample(7, seed=0), UNIFORM.sample(7, seed=1))


def test_relative_prior_surrounds_the_presets_own_defaults() -> None:
    config = RelativeUniformPrior(kind="relative-uniform", half_width=0.2, parameters=("v_max", "r"))
    prior = Prior.of(config, "as-published")
    defaults = MODEL.presets["as-published"].defaults
    np.testing.assert_allclose(prior.low, [0.8 * defaults["v_max"], 0.8 * defaults["r"]])
    np.testing.assert_allclose(prior.high, [1.2 * defaults["v_max"], 1.2 * defaults["r"]])


def test_a_network_has_two_parameters_more() -> None:
    config = IndependentPrior(kind="independent", parameters={"G": Distribution(low=0, high=2)})
    prior = Prior.of(config, "unit-consistent", {"G": 1.0, "speed": math.inf})
    assert prior.names == ("G",)
    assert list(prior.defaults) == [*MODEL.mass, "G", "speed"]
    assert prior.defaults["speed"] == math.inf
    description = prior.describe()
    assert description["fixed"]["speed"] is None
    assert "G" not in description["fixed"]
    json.dumps(description, allow_nan=False)
    slow = Prior.of(config, "unit-consistent", {"G": 1.0, "speed": 7.0})
    assert slow.describe()["fixed"]["speed"] == 7.0


def test_description_names_every_parameter_once() -> None:
    description = SKEWED.describe()
    assert set(description["varied"]) == {"A_e", "C", "a_2"}
    assert set(description["varied"]) | set(description["fixed"]) == set(MODEL.mass)
    assert not set(description["varied"]) & set(description["fixed"])
