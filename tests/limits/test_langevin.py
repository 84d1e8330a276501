"""Langevin chains: what they sample is what they were asked for, however bent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jrflow.limits.langevin import Local, langevin_step

#: A bent ridge: x_0 is normal, x_1 normal about x_0 squared.
WIDTH = 0.2
N = 4000


def bent(x: np.ndarray) -> Local:
    """The bent ridge with its own Fisher information as metric, which depends on where it is."""
    away = x[:, 1] - x[:, 0] ** 2
    log_density = -0.5 * x[:, 0] ** 2 - 0.5 * (away / WIDTH) ** 2
    slope = np.stack([-2 * x[:, 0], np.ones(len(x))], axis=1) / WIDTH
    metric = slope[:, :, None] * slope[:, None] + np.diag([1.0, 0.01])
    gradient = -slope * (away / WIDTH)[:, None] - np.stack([x[:, 0], np.zeros(len(x))], axis=1)
    return Local(log_density, metric, gradient)


def draws(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal(N)
    return np.stack([x, x**2 + WIDTH * rng.standard_normal(N)], axis=1)


def moved(x: np.ndarray, n_steps: int) -> tuple[np.ndarray, float]:
    rng, share, here = np.random.default_rng(1), 0.0, bent(x)
    for _ in range(n_steps):
        x, here, accepted = langevin_step(bent, x, here, rng)
        share += accepted.mean() / n_steps
    return x, share


def assert_on_the_ridge(x: np.ndarray) -> None:
    assert stats.kstest(x[:, 0], "norm").pvalue > 1e-3
    assert stats.kstest((x[:, 1] - x[:, 0] ** 2) / WIDTH, "norm").pvalue > 1e-3


def test_exact_draws_stay_exact() -> None:
    """A wrong ratio of proposals would show: the metric changes from place to place."""
    start = draws(np.random.default_rng(0))
    x, share = moved(start, 20)
    assert 0.2 < share < 0.95
    assert (x != start).all(axis=1).mean() > 0.95
    assert_on_the_ridge(x)


def test_it_finds_its_way_from_anywhere() -> None:
    x, _ = moved(np.tile([2.0, -3.0], (N, 1)), 800)
    assert_on_the_ridge(x)


def test_what_is_impossible_is_never_entered() -> None:
    def half(x: np.ndarray) -> Local:
        local = bent(x)
        return Local(np.where(x[:, 0] > 0, local.log_density, -np.inf), local.metric, local.gradient)

    rng, start = np.random.default_rng(2), draws(np.random.default_rng(0))
    x = start[start[:, 0] > 0]
    here = half(x)
    for _ in range(20):
        x, here, _ = langevin_step(half, x, here, rng)
    assert (x[:, 0] > 0).all()
    assert stats.kstest(x[:, 0], "halfnorm").pvalue > 1e-3


def test_the_density_is_evaluated_once_a_step_and_kept() -> None:
    calls = 0

    def counted(x: np.ndarray) -> Local:
        nonlocal calls
        calls += 1
        return bent(x)

    rng = np.random.default_rng(3)
    x = draws(rng)
    here = bent(x)
    for _ in range(5):
        x, here, _ = langevin_step(counted, x, here, rng)
    assert calls == 5
    again = bent(x)
    for part in ("log_density", "metric", "gradient"):
        np.testing.assert_array_equal(getattr(here, part), getattr(again, part))


def test_a_ratio_without_the_metric_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first test can fail: a proposal whose density is taken for symmetric leaves the ridge."""
    monkeypatch.setattr("jrflow.limits.langevin._log_proposal", lambda *_: np.zeros(N))
    x, _ = moved(draws(np.random.default_rng(0)), 20)
    with pytest.raises(AssertionError):
        assert_on_the_ridge(x)
