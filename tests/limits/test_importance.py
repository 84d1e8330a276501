"""Importance sampling: known posteriors are met within stated errors; what it cannot sample, it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from standin import exact, likelihood, linear, normal_prior, observe, simulator

from jrflow.limits import evoked, importance
from jrflow.limits.draws import Draws
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.importance import Posterior, importance_sample
from jrflow.limits.starts import nearest_simulations

WIDE = stats.multivariate_normal(np.zeros(3), 9 * np.eye(3))


def posterior(log_density: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> Posterior:
    """With ridges that say little: a wide normal distribution."""
    rng = np.random.default_rng([seed, 1])
    return Posterior(log_density, lambda n: WIDE.rvs(n, random_state=rng).reshape(n, 3), WIDE.logpdf)


def bent(x: np.ndarray) -> np.ndarray:
    """Standard normal along the first coordinate, around a parabola of it along the second; 0 below -1."""
    inside = x[:, 0] > -1
    log_density = -0.5 * (x[:, 0] ** 2 + ((x[:, 1] - 0.5 * x[:, 0] ** 2) / 0.5) ** 2 + x[:, 2] ** 2)
    return np.where(inside, log_density, -np.inf)


def chains_of_bent(seed: int) -> np.ndarray:
    """Few draws, that miss a part: eight chains of 40."""
    rng = np.random.default_rng(seed)
    first = stats.truncnorm(-0.8, 1.5).rvs((8, 40), random_state=rng)
    rest = rng.standard_normal((2, 8, 40))
    return np.stack([first, 0.5 * first**2 + 0.5 * rest[0], rest[1]], axis=2)


def test_a_bent_posterior_is_met_within_its_errors() -> None:
    truth = stats.truncnorm(-1, np.inf)
    expected = np.array([truth.mean(), 0.5 * truth.moment(2), 0.0])
    z = []
    for seed in range(25):
        found = importance_sample(
            posterior(bent, seed), chains_of_bent(seed), np.random.default_rng([seed, 2])
        )
        if found is None:
            continue
        assert found.convergence.is_resolved
        assert found.convergence.rhat.max() < 1.05
        z.append((found.mean(found.x) - expected) / found.mean_error(found.x))
    assert len(z) > 20
    assert np.sqrt((np.array(z) ** 2).mean()) == pytest.approx(1, abs=0.25)


def test_draws_of_equal_weight_have_the_moments_of_the_weighted_ones() -> None:
    rng = np.random.default_rng(0)
    found = importance_sample(posterior(bent), chains_of_bent(0), rng)
    assert found is not None
    drawn = found.equally_weighted(500, rng)
    assert drawn.shape == (4000, 3)
    assert (drawn[:, 0] > -1).all()
    sd = found.convergence.sd
    np.testing.assert_allclose(drawn.mean(axis=0), found.mean(found.x), atol=0.08 * sd.max())
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.05)


@pytest.mark.parametrize(("shape", "reliable"), [(0.4, True), (1.0, False)])
def test_the_shape_of_the_largest_weights_is_that_of_their_tail(shape: float, reliable: bool) -> None:
    log_weight = -shape * np.log(np.random.default_rng(0).random(8192))
    assert importance._pareto_k(log_weight) == pytest.approx(shape, abs=0.15)
    assert (importance._pareto_k(log_weight) < importance._MOST_PARETO_K) == reliable


def test_unreliable_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "_pareto_k", lambda _: 0.71)
    assert importance_sample(posterior(bent), chains_of_bent(0), np.random.default_rng(0)) is None


@pytest.mark.parametrize("kind", ["chains that do not move", "a density that is zero"])
def test_nothing_to_go_on_is_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    if kind == "chains that do not move":
        assert importance_sample(posterior(bent), np.ones((8, 40, 3)), rng) is None
    else:
        nowhere = posterior(lambda x: np.full(len(x), -np.inf))
        assert importance_sample(nowhere, rng.standard_normal((8, 40, 3)), rng) is None


def test_a_case_that_chains_leave_unresolved_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evoked, "simulate", simulator(linear))
    prior = normal_prior()
    theta = prior.sample(6, 1)
    observed = observe(linear(dict(zip(prior.names, theta.T, strict=True))), 1.5, 2)
    target = likelihood(observed, 1.5)
    starts = nearest_simulations(target, 2000, 0)
    effort = Effort(n_chains=4, n_burn_in=3, n_rounds=20, n_most=20)
    by_chains = exact_posteriors(target, starts, replace(effort, importance=False), 0)
    assert not by_chains.resolved().any()
    found = exact_posteriors(target, starts, effort, 0)
    assert found.resolved().all()
    assert all(draws.log_weight is not None for draws in found.draws)
    mean, covariance = exact(observed, 1.5)
    z = [
        (draws.mean(draws.x) + 10 - m) / draws.mean_error(draws.x)
        for draws, m in zip(found.draws, mean, strict=True)
    ]
    assert np.abs(z).max() < 4.5
    sd = np.stack([draws.convergence.sd for draws in found.draws])
    np.testing.assert_allclose(sd, np.broadcast_to(np.sqrt(np.diag(covariance)), sd.shape), rtol=0.1)


def test_what_draws_without_weight_have_does_not_count() -> None:
    """Outside the prior, targets are not defined."""
    x = np.random.default_rng(0).standard_normal((8, 100, 2))
    log_weight = np.where(x[..., 0] > 0, 0.0, -np.inf)
    draws = Draws(x, log_weight)
    undefined = np.where(x[..., :1] > 0, x, np.nan)
    np.testing.assert_array_equal(draws.mean(undefined), draws.mean(x))
    np.testing.assert_array_equal(draws.mean_error(undefined), draws.mean_error(x))
    assert (draws.mean(x)[0] > 0.5).all()


def test_weights_that_are_equal_are_as_good_as_none() -> None:
    x = np.random.default_rng(0).standard_normal((8, 100, 2))
    weighted, plain = Draws(x, np.zeros((8, 100))), Draws(x)
    np.testing.assert_allclose(weighted.mean(x), plain.mean(x))
    np.testing.assert_allclose(weighted.convergence.ess, 800, rtol=1e-9)
    np.testing.assert_allclose(weighted.mean_error(x), x.std(axis=(0, 1)) / np.sqrt(800))
