"""The exact posterior: where it is known, where it has two modes, and where draws are proposed."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TextIO

import numpy as np
import pytest
from scipy import integrate, stats
from standin import BASES, exact, likelihood as problem, linear, normal_prior, observe, simulator

from jrflow.config.priors import Distribution, IndependentPrior
from jrflow.design import Prior
from jrflow.limits import evoked
from jrflow.limits.density import LogDensity
from jrflow.limits.draws import Draws
from jrflow.limits.exact import Effort, Posteriors, exact_posteriors
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.proposal import Proposal
from jrflow.limits.ridge import _roots, trace_ridges
from jrflow.limits.starts import nearest_simulations

SD = 1.5
EFFORT = Effort(n_burn_in=3, n_rounds=40, n_most=40, importance=False)


def cases(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    prior = normal_prior()
    theta = prior.sample(n, seed)
    return theta, observe(linear(dict(zip(prior.names, theta.T, strict=True))), SD, seed + 1)


@pytest.fixture
def _linear_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evoked, "simulate", simulator(linear))


def sampled(problem_: LogDensity, effort: Effort, seed: int, stream: TextIO | None = None) -> Posteriors:
    """Modes are sought from simulations all over the prior."""
    return exact_posteriors(problem_, nearest_simulations(problem_, 2000, seed), effort, seed, stream)


def pooled(found: Posteriors) -> np.ndarray:
    return np.stack([draws.x.reshape(-1, draws.x.shape[2]) for draws in found.draws])


@pytest.mark.usefixtures("_linear_model")
def test_a_linear_gaussian_model_is_met() -> None:
    _, observed = cases(12)
    said = io.StringIO()
    found = sampled(problem(observed, SD), EFFORT, 0, said)
    mean, covariance = exact(observed, SD)
    sd = np.sqrt(np.diag(covariance))
    x = pooled(found) + 10
    np.testing.assert_allclose(x.mean(axis=1), mean, atol=0.25 * sd.max())
    np.testing.assert_allclose(x.var(axis=1).mean(axis=0), sd**2, rtol=0.1)
    assert (found.rhat() < 1.1).all()
    assert (found.jumps > 0.5).all()
    assert "exact posterior" in said.getvalue()


def test_chains_that_never_move_do_not_agree_and_are_not_resolved() -> None:
    stuck, never = np.ones((8, 50, 2)), np.zeros(1)
    stuck[..., 1] = np.random.default_rng(0).standard_normal(stuck.shape[:-1])
    found = Posteriors((Draws(stuck),), never, never)
    assert found.rhat()[0, 0] == np.inf
    assert found.rhat()[0, 1] < 1.1
    assert found.ess()[0, 0] == 0
    assert not found.resolved()[0]


@pytest.mark.usefixtures("_linear_model")
def test_chains_are_extended_until_means_are_certain_or_effort_is_spent() -> None:
    """Two chains of few rounds have no effective sample size of 400; more rounds have."""
    _, observed = cases(4)
    few = Effort(n_chains=2, n_burn_in=3, n_rounds=10, n_most=10, importance=False)
    short = sampled(problem(observed, SD), few, 3)
    assert not short.resolved().any()
    assert {draws.x.shape for draws in short.draws} == {(2, 20, 3)}
    long = sampled(problem(observed, SD), replace(few, n_most=640), 3)
    assert long.resolved().all()
    assert (long.ess() >= 400).all()
    lengths = {draws.x.shape[1] for draws in long.draws}
    assert lengths <= {2 * 10 * 2**k for k in range(7)}
    assert min(lengths) > 20


@pytest.mark.usefixtures("_linear_model")
def test_monte_carlo_errors_are_the_scatter_between_repetitions() -> None:
    _, observed = cases(30)
    found = sampled(problem(observed, SD), EFFORT, 4)
    error = np.stack([draws.convergence.mcse for draws in found.draws])
    z = (pooled(found).mean(axis=1) + 10 - exact(observed, SD)[0]) / error
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.3)


@pytest.mark.usefixtures("_linear_model")
def test_ranks_of_the_truth_are_uniform() -> None:
    theta, observed = cases(100, seed=3)
    effort = replace(EFFORT, n_rounds=15, n_most=15)
    x = pooled(sampled(problem(observed, SD), effort, 1)) + 10
    for column in (x < theta[:, None]).mean(axis=1).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3


def one_parameter(low: float, high: float) -> Prior:
    """Prior of A_e alone."""
    return Prior.of(
        IndependentPrior(kind="independent", parameters={"A_e": Distribution(low=low, high=high)}),
        "unit-consistent",
    )


def test_both_of_two_modes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is observed depends on the distance from 10 only; the posterior is known by quadrature."""

    def symmetric(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return np.outer((parameters["A_e"] - 10) ** 2, BASES["A_e"])

    monkeypatch.setattr(evoked, "simulate", simulator(symmetric))
    prior = one_parameter(7.0, 13.0)
    observed = observe(symmetric({"A_e": np.full(6, 12.0)}), 1.0, 4)
    problem_ = problem(observed, 1.0, prior)
    x = pooled(sampled(problem_, EFFORT, 2))
    above = (x > 0).mean(axis=(1, 2))
    np.testing.assert_allclose(above, 0.5, atol=0.15)
    grid = np.linspace(-4, 4, 4001)
    for case in range(len(observed)):
        at = np.full(len(grid), case)
        density = problem_.log_likelihood(grid[:, None], at) - 0.5 * grid**2
        density = np.exp(density - density.max())
        density /= integrate.simpson(density, x=grid)
        expected = integrate.simpson(density * np.abs(grid), x=grid)
        assert np.abs(x[case]).mean() == pytest.approx(expected, abs=0.06)


@pytest.mark.usefixtures("_linear_model")
def test_proposals_are_drawn_as_their_density_says() -> None:
    """The mean of any density over that of the proposals is 1; of another one it would not be."""
    _, observed = cases(3)
    problem_ = problem(observed, SD)
    starts = nearest_simulations(problem_, 2000, 0)
    proposal = Proposal.of(problem_, starts, 3, 3)
    drawn = proposal.draw(20_000, np.random.default_rng(5))
    mean, covariance = exact(observed, SD)
    for case in range(3):
        target = stats.multivariate_normal(mean[case] - 10, covariance).logpdf(drawn[case])
        ratio = np.exp(target - proposal.log_density(drawn)[case])
        assert ratio.mean() == pytest.approx(1, abs=0.02)
        assert ratio.max() < 20, "its tails are heavier"


@pytest.mark.usefixtures("_linear_model")
def test_a_ridge_goes_through_the_modes_given_its_coordinate() -> None:
    _, observed = cases(2)
    ridge = trace_ridges(problem(observed, SD), np.zeros((2, 3)), along=1)
    assert (np.diff(ridge.node, axis=1) > 0).all()
    np.testing.assert_allclose(ridge.node[:, [0, -1]], [[-4, 4]] * 2)
    mean, covariance = exact(observed, SD)
    slope = covariance[[0, 2], 1] / covariance[1, 1]
    expected = (mean[:, None, [0, 2]] - 10) + (ridge.node - (mean[:, [1]] - 10))[..., None] * slope
    # Farther away than the posterior is wide nothing depends on it.
    is_there = np.abs(ridge.node - (mean[:, [1]] - 10)) < 2.5 * np.sqrt(covariance[1, 1])
    assert is_there.sum(axis=1).min() > 8
    np.testing.assert_allclose(ridge.centre[is_there], expected[is_there], atol=0.1)
    modes = find_modes(problem(observed, SD), np.zeros((2, 1, 3)))
    assert ridge.knows(modes).all()
    elsewhere = replace(modes, x=modes.x + np.array([2.0, 0, 0]))
    assert not ridge.knows(elsewhere).any()


def test_starts_are_sought_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearest ones in every quarter of every coordinate; failed simulations are none of them."""

    def fails(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return parameters["A_e"] > 11

    monkeypatch.setattr(evoked, "simulate", simulator(linear, fails))
    _, observed = cases(2)
    starts = nearest_simulations(problem(observed, SD), 2000, 0)
    assert starts.shape == (2, 13, 3)
    assert (starts[..., 0] < 1.01).all()
    assert set(np.searchsorted([-0.6745, 0, 0.6745], starts[0, :, 1])) == {0, 1, 2, 3}
    monkeypatch.setattr(evoked, "simulate", simulator(linear, lambda p: p["A_e"] > 0))
    with pytest.raises(ValueError, match="none of 2000 draws from the prior could be simulated"):
        nearest_simulations(problem(observed, SD), 2000, 0)


def test_factors_are_those_of_cholesky_and_of_needles_too() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(5, 4, 4)))[0]
    round_ = axes * np.array([1.0, 2.0, 3.0, 4.0]) @ np.swapaxes(axes, 1, 2)
    np.testing.assert_allclose(_roots(round_), np.linalg.cholesky(round_), rtol=1e-10)
    needles = axes * np.array([1.0, 1e-17, 1e-18, -1e-17]) @ np.swapaxes(axes, 1, 2)
    factors = _roots(needles)
    assert (np.einsum("npp->np", factors) > 0).all(), "their logs are a volume"
    np.testing.assert_allclose(factors @ np.swapaxes(factors, 1, 2), needles, atol=1e-14)
