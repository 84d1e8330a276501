"""Modes of posteriors: exact where theory is exact, and found from bad starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from standin import NOISE, OBSERVATION, SIMULATION, exact, linear, normal_prior, observe, simulator

from jrflow.limits import evoked
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes
from jrflow.observe.epoch import Epoch
from jrflow.observe.observation import Observation
from jrflow.observe.window import Window

SD = 0.5
TIMES = SIMULATION.timing.times
#: Of a simulation that begins 10 ms later; it observes as many samples.
SHORTER = replace(OBSERVATION, epoch=replace(OBSERVATION.epoch, times=TIMES + 0.01))


def problem(observed: np.ndarray, **changes: Any) -> EvokedLikelihood:
    arguments: dict[str, Any] = {
        "observed": observed, "sd": SD, "observation": OBSERVATION, "prior": normal_prior(),
        "simulation": SIMULATION,
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
def test_averages_are_as_good_as_samples() -> None:
    observed = cases(3)
    pairs = Epoch(TIMES, SIMULATION.timing.period, window=Window.of(TIMES, 50.0, TIMES[0] - 0.01))
    averaged = Observation.of_sources(pairs, NOISE, 1.0)
    assert averaged.epoch.blocks.block == 2
    modes = find_modes(problem(pairs.averaged(observed), observation=averaged), np.zeros((3, 1, 3)))
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
        ({"observed": np.zeros((2, 1, 7))}, "observed: expected shape"),
        ({"observation": SHORTER}, "observation: expected an epoch at the 121 times"),
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
