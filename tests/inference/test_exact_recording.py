"""Best fits and exact posteriors of one response, where C and the contact probabilities vary, too."""

from __future__ import annotations

import numpy as np

from jrflow.config.priors import RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.inference.recordings.best_fit import best_possible
from jrflow.inference.recordings.exact import exact_estimate
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.simulation import simulate

PRESET = "unit-consistent"
PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform"), PRESET)
SIMULATION = SimulationConfig.model_validate(
    {"protocol": {"kind": "evoked", "n_trials": 4, "isi": 0.4, "tmin": -0.1, "tmax": 0.3, "transient": 0.1}}
)
TIMES = SIMULATION.timing.times
#: mV, of a single sample: some 40 dB below the response.
SD = 0.02


def parameters(**factors: float) -> np.ndarray:
    """The preset's defaults, some of them multiplied."""
    return np.array([PRIOR.defaults[name] * factors.get(name, 1.0) for name in PRIOR.names])


def problem(true: np.ndarray) -> EvokedLikelihood:
    """EvokedLikelihood of what one simulation gives in white noise."""
    ds = simulate(dict(zip(PRIOR.names, true[:, None], strict=True)), **SIMULATION.column_arguments(PRESET))
    noise = EvokedNoise(np.eye(2), 1, TIMES, len(TIMES))
    observation = Observation.of_sources(Epoch(TIMES, SIMULATION.timing.period), noise, SD)
    observed = observation.draw(observation.clean(ds["source"].values), np.random.default_rng(0))
    return EvokedLikelihood.of(observed, observation, PRIOR, SIMULATION)


def found(likelihood: EvokedLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """Where a search ends that does not know the ends of the prior, and the best possible fit, (1, n)."""
    starts = likelihood.coordinates.of_parameters(PRIOR.within(PRIOR.sample(6, 1)))
    modes = find_modes(likelihood, starts[None]).best().x[0]
    return modes, best_possible(likelihood, np.concatenate([starts, modes]))[None]


def chi2(likelihood: EvokedLikelihood, x: np.ndarray) -> float:
    return float(-2 * likelihood.log_likelihood(x, np.zeros(1, dtype=int))[0] / likelihood.rank)


def test_within_the_prior_it_is_found_and_covered() -> None:
    true = parameters(A_e=1.2, b_i=0.9, C=1.1, a_3=1.3)
    likelihood = problem(true)
    _, best = found(likelihood)
    assert chi2(likelihood, best) < 1.2
    exact = exact_estimate(likelihood, best[0], seed=0)
    targets = PRIOR.targets(true[None])[0]
    assert np.isfinite([exact.value, exact.low, exact.high]).all()
    assert (exact.low < exact.high).all()
    assert ((exact.low <= targets) & (targets <= exact.high)).mean() > 0.7
    assert exact.rhat < 1.05
    assert exact.ess > 400
    assert exact.resolved


def test_products_that_no_factors_have_are_no_fit() -> None:
    """Of the products alone it would be one; within the ranges of C and a_3 there is none."""
    likelihood = problem(parameters(a_3=2.6))
    mode, best = found(likelihood)
    prior = likelihood.coordinates.log_prior
    assert chi2(likelihood, mode) < 1.2
    assert prior(mode) == -np.inf, "or the test says nothing"
    assert np.isfinite(prior(best)).all()
    assert chi2(likelihood, best) > 1.3


def test_the_nearest_possible_parameters_have_the_same_products_if_they_can() -> None:
    coordinates = problem(parameters()).coordinates
    inside = PRIOR.within(PRIOR.sample(50, 2))
    x = coordinates.of_parameters(inside)
    nearest = coordinates.nearest_possible(x)
    assert ((nearest > PRIOR.low) & (nearest < PRIOR.high)).all()
    np.testing.assert_allclose(PRIOR.targets(nearest)[:, -4:], PRIOR.targets(inside)[:, -4:], rtol=0.02)
    outside = coordinates.of_parameters(inside)
    outside[:, -2] += 30
    assert (coordinates.nearest_possible(outside) <= PRIOR.high).all()
