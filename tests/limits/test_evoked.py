"""One likelihood for every move: its error in log-likelihood differences, the same value for all."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from jrflow.config.priors import RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.model.plausible import PlausibilityWarning
from jrflow.observe.covariance import whitening
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.observe.projection import baseline_correct
from jrflow.simulation import simulate

SIMULATION = SimulationConfig.model_validate({"protocol": {"kind": "evoked", "n_trials": 60}})
TIMES = SIMULATION.timing.times
PERIOD = SIMULATION.timing.period
NOISE = EvokedNoise(np.eye(2), 59, TIMES, PERIOD)
WHITENER = whitening(NOISE.temporal_covariance())
#: Noise of one sample, mV, at about 0 dB and 59 dB.
SDS = {"unit-consistent": (1.5, 0.0017), "as-published": (0.43, 0.0017)}
N_CASES, N_POINTS = 12, 6


def problem(preset: str, sd: float) -> tuple[EvokedLikelihood, np.ndarray, np.ndarray]:
    """Observations of draws from the prior, and points of each posterior, by its normal approximation."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform"), preset)
    parameters = prior.sample(N_CASES, 3)
    rng = np.random.default_rng(0)
    ds = simulate(
        dict(zip(prior.names, parameters.T, strict=True)),
        **(SIMULATION.column_arguments(preset) | {"precision": "float64"}),
    )
    observation = Observation.of_sources(Epoch(TIMES, PERIOD), NOISE, sd)
    observed = observation.draw(observation.clean(ds["source"].values), rng)
    likelihood = EvokedLikelihood.of(observed, observation, prior, SIMULATION)
    x = likelihood.coordinates.of_parameters(parameters)
    cases = np.arange(N_CASES)
    information = likelihood.curvature(x, cases).information
    root = np.linalg.cholesky(np.linalg.inv(information + likelihood.coordinates.precision))
    away = np.einsum("nij,nkj->nki", root, rng.standard_normal((N_CASES, N_POINTS, x.shape[1])))
    return likelihood, (x[:, None] + away).reshape(-1, x.shape[1]), np.repeat(cases, N_POINTS)


def reference(likelihood: EvokedLikelihood, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """Log likelihood in double precision, every trial simulated."""
    prior = likelihood.coordinates.prior
    ds = simulate(
        dict(zip(prior.names, likelihood.coordinates.representative(x).T, strict=True)),
        **(
            SIMULATION.column_arguments(prior.preset)
            | {"precision": "float64", "steady_state_tolerance": None}
        ),
    )
    difference = likelihood.observed[cases, 0] - baseline_correct(ds["source"].values[:, 0], TIMES)
    white = difference @ WHITENER / likelihood.sd[cases, None]
    density: np.ndarray = -0.5 * (white**2).sum(axis=1)
    return density


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Of log-likelihood ratios within cases, among points of any posterior weight."""
    one, other = one.reshape(N_CASES, -1), other.reshape(N_CASES, -1)
    error = np.where(other > other.max(axis=1, keepdims=True) - 20, one - other, np.nan)
    return float(np.nanmax(np.nanmax(error, axis=1) - np.nanmin(error, axis=1)))


@pytest.mark.parametrize("preset", SDS)
@pytest.mark.parametrize("level", [0, 1])
def test_log_likelihood_ratios_are_right_to_a_small_fraction_of_one(preset: str, level: int) -> None:
    likelihood, x, cases = problem(preset, SDS[preset][level])
    found = likelihood.log_likelihood(x, cases)
    assert largest_difference(found, reference(likelihood, x, cases)) < 1e-3


def test_both_moves_have_one_target() -> None:
    """What independent proposals weigh by is what Langevin steps are accepted by, to rounding."""
    likelihood, x, cases = problem("unit-consistent", SDS["unit-consistent"][1])
    by_steps = likelihood.curvature(x, cases).log_likelihood
    assert largest_difference(by_steps, likelihood.log_likelihood(x, cases)) < 1e-3


@pytest.mark.parametrize("changes", [{"precision": "float32"}, {"steady_state_tolerance": 1e-2}])
def test_settings_of_campaigns_do_not_change_the_likelihood(changes: dict[str, object]) -> None:
    likelihood, x, cases = problem("unit-consistent", SDS["unit-consistent"][1])
    loose = replace(likelihood, simulation=SIMULATION.model_copy(update=changes))
    np.testing.assert_array_equal(loose.log_likelihood(x, cases), likelihood.log_likelihood(x, cases))


def test_status_does_not_depend_on_precision() -> None:
    """A posterior is not cut off where one precision fails and the other does not."""
    for preset in SDS:
        prior = Prior.of(RelativeUniformPrior(kind="relative-uniform"), preset)
        parameters = dict(zip(prior.names, prior.sample(2000, 5).T, strict=True))
        arguments = SIMULATION.column_arguments(preset)
        single, double = (
            simulate(parameters, **(arguments | {"precision": precision}))["status"].values
            for precision in ("float32", "float64")
        )
        np.testing.assert_array_equal(single, double)


def test_values_that_a_sampler_tries_are_not_held_against_the_user() -> None:
    """Moves leave the prior; a warning about units is for values that somebody gave."""
    likelihood, _, cases = problem("unit-consistent", 1.5)
    tried = likelihood.coordinates.prior.sample(1, 0)
    tried[0, likelihood.coordinates.prior.names.index("a_1")] = 15.0
    with pytest.warns(PlausibilityWarning):
        simulate(dict(zip(likelihood.coordinates.prior.names, tried.T, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlausibilityWarning)
        likelihood.log_likelihood(likelihood.coordinates.of_parameters(tried), cases[:1])
