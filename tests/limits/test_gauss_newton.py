"""Modes of posteriors: exact where theory is exact, and found from bad starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from standin import SIMULATION, WHITENER, exact, linear, normal_prior, observe, simulator

from jrflow.limits import evoked
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes

SD = 0.5


def everything(source: np.ndarray) -> np.ndarray:
    return source


def problem(observed: np.ndarray, **changes: Any) -> EvokedLikelihood:
    arguments: dict[str, Any] = {
        "observed": observed, "sd": SD, "whitener": WHITENER, "prior": normal_prior(),
        "simulation": SIMULATION, "observe": everything,
    }  # fmt: skip
    return EvokedLikelihood.of(**(arguments | changes))


def cases(n: int) -> np.ndarray:
    theta = 10 + np.random.default_rng(1).standard_normal((n, 3))
    return observe(linear(dict(zip(("A_e", "A_i", "b_e"), theta.T, strict=True))), SD, 2)


@pytest.fixture
def _linear_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evoked, "simulate", simulator(linear))


@pytest.mark.usefixtures("_linear_model")
def test_the_mode_is_found_from_bad_starts() -> None:
    observed = cases(4)
    corners = np.stack([np.full((4, 3), -6.0), np.full((4, 3), 6.0)], axis=1)
    modes = find_modes(problem(observed), corners)
    mean, covariance = exact(observed, SD)
    np.testing.assert_allclose(modes.x, np.repeat(mean[:, None], 2, axis=1) - 10, atol=0.1)
    np.testing.assert_allclose(modes.covariance[0, 0], covariance, atol=1e-3)
    assert not modes.moving.any()


@pytest.mark.usefixtures("_linear_model")
def test_averages_are_seen_as_well_as_samples() -> None:
    observed = cases(3)

    def pairs(source: np.ndarray) -> np.ndarray:
        even = source[:, : source.shape[1] // 2 * 2]
        averages: np.ndarray = even.reshape(len(even), -1, 2).mean(axis=2)
        return averages

    root = np.linalg.cholesky(np.cov(pairs(observe(np.zeros((4000, observed.shape[1])), 1.0, 5)).T))
    seen = problem(pairs(observed), whitener=np.linalg.inv(root).T, observe=pairs)
    modes = find_modes(seen, np.zeros((3, 1, 3)))
    np.testing.assert_allclose(modes.x[:, 0], exact(observed, SD)[0] - 10, atol=0.5)


def test_a_start_that_fails_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evoked, "simulate", simulator(linear, lambda p: p["A_e"] > 12))
    start = np.zeros((2, 2, 3))
    start[:, 1, 0] = 5.0
    modes = find_modes(problem(cases(2)), start)
    assert np.isinf(modes.log_posterior[:, 1]).all()
    assert np.isfinite(modes.best().log_posterior).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observed": np.zeros((2, 7))}, "observed: expected shape"),
        ({"whitener": np.eye(3)}, "whitener: expected shape"),
        ({"sd": 0.0}, "a noise sd above 0 mV"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        problem(**({"observed": cases(2)} | changes))


@pytest.mark.parametrize("expected", ["kept", "zero"])
def test_a_derivative_is_taken_on_the_side_that_can_be_simulated(
    expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a limit of what can be simulated the other side gives it; where none does, it is zero."""
    whole = problem(cases(1))
    monkeypatch.setattr(evoked, "simulate", simulator(linear))
    x = np.zeros((1, 3))
    forward = whole.curvature(x, np.zeros(1, int))
    right, score = forward.information, forward.score
    centre = whole.coordinates.representative(x)[0, 0]
    beyond = (lambda p: p["A_e"] > centre) if expected == "kept" else (lambda p: p["A_e"] != centre)
    monkeypatch.setattr(evoked, "simulate", simulator(linear, beyond))
    one_sided = whole.curvature(x, np.zeros(1, int))
    found, found_score = one_sided.information, one_sided.score
    assert np.isfinite(one_sided.log_likelihood).all()
    if expected == "kept":
        np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-3 * np.abs(right).max())
        np.testing.assert_allclose(found_score, score, rtol=1e-2, atol=1e-2 * np.abs(score).max())
    else:
        assert (found[0, 0] == 0).all()
        assert (found[0, 1:, 1:] != 0).any()
        assert found_score[0, 0] == 0
