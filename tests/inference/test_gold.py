"""Reference posteriors: right by their ranks, of the data that networks receive, and the limit from them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jrflow.config.analysis import LimitsConfig
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NPEConfig
from jrflow.inference.agreement import agreement, misfit
from jrflow.inference.dataset import EvokedSet
from jrflow.inference.evaluate import evaluate
from jrflow.inference.gold import gold_standard, likelihood_of, summary
from jrflow.inference.randomness import Stream
from jrflow.inference.targets import TargetPosteriors
from jrflow.inference.train import train
from jrflow.inference.trial import Trial, observed_at
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.fisher import recovery_limits
from jrflow.limits.starts import nearest_simulations
from jrflow.observe.observation import NoiseLevels

#: Every test needs minutes of simulations.
pytestmark = pytest.mark.slow
N = 40
EFFORT = Effort(n_burn_in=3, n_rounds=10, n_most=40)


@pytest.fixture(scope="module")
def gold(trial: Trial) -> xr.Dataset:
    return gold_standard(trial.parts.test, trial.noise, N, 1e-5, trial.seed, effort=EFFORT)


def test_intervals_and_ranks_are_right(gold: xr.Dataset) -> None:
    low, high = stats.binom.interval(0.999, N, 0.9)
    covered = N * gold.coverage.sel(nominal=0.9)
    # Draws of few rounds tell quantiles a little too narrow.
    assert (covered >= low - 2).all()
    assert (covered <= high).all()
    assert (gold.rank_p > 1e-4).all()
    assert float(gold.rhat.median()) < 1.1
    assert gold.rank_p.sizes == {"noise": 2, "parameter": gold.sizes["parameter"]}
    assert gold.expected_coverage_p.sizes == {"noise": 2}
    for level in gold.noise.values:
        assert f"of {N} cases resolved" in summary(gold.sel(noise=level))


def test_monte_carlo_errors_come_with_every_mean(gold: xr.Dataset) -> None:
    """Resolved means have an error below 5 % of the sd; two samplings differ by what the errors say."""
    assert gold.mcse.sizes == gold["mean"].sizes
    sd = np.sqrt(gold.variance)
    resolved = gold.resolved.values
    assert 0.5 < resolved.mean() <= 1
    scored = [name for name in gold.parameter.values if name in ("A_e", "b_i")]
    relative = (gold.mcse / sd).sel(parameter=scored).max("parameter").values
    assert (relative[resolved] < 0.06).all()
    assert (gold.ess.values[resolved] >= 400).all()
    assert (gold.ess.values[~resolved] < 400).all()


def test_two_samplings_differ_by_their_monte_carlo_errors(trial: Trial, gold: xr.Dataset) -> None:
    """The unbiased distance (m - m_ref)^2 - MCSE^2 of the reference from itself is 0."""
    level = list(trial.noise.names).index("snr-10")
    part = trial.parts.test.take(np.arange(N))
    observed, sd = (array[:N] for array in trial.test(level))
    likelihood = likelihood_of(part, trial.noise, level, observed, sd)
    starts = nearest_simulations(likelihood, 2000, 1)
    again = TargetPosteriors.of(
        likelihood.coordinates, exact_posteriors(likelihood, starts, EFFORT, 1), np.random.default_rng(0)
    )
    one = gold.sel(noise="snr-10")
    both = again.mcse**2 + one.mcse.values**2
    z2 = (again.mean - one["mean"].values) ** 2 / both
    trusted = again.resolved & one.resolved.values
    assert trusted.mean() > 0.5
    assert z2[trusted].mean() == pytest.approx(1, abs=0.4)


def test_posterior_means_reach_what_variances_promise(gold: xr.Dataset) -> None:
    error = (gold["mean"] - gold.true) ** 2 / gold.variance
    assert error.mean("case").values == pytest.approx(1, abs=0.6)
    np.testing.assert_allclose(gold.draws.mean("draw"), gold["mean"], atol=float(gold.variance.max() ** 0.5))


def test_the_data_are_those_that_networks_see(trial: Trial, gold: xr.Dataset) -> None:
    """Its likelihood, at the true parameters, leaves noise, and what trials observe of the same cases."""
    test: EvokedSet = trial.parts.test
    whole, _ = trial.test(0)
    first, sd = (array[:N] for array in observed_at(test, trial.noise, 0, Stream.TEST, trial.seed))
    assert (first == whole[:N]).all()
    part = test.take(np.arange(N))
    likelihood = likelihood_of(part, trial.noise, 0, first, sd)
    x = likelihood.coordinates.of_parameters(part.targets[:, : len(part.prior.names)])
    chi2 = -2 * likelihood.log_likelihood(x, np.arange(N))
    assert stats.kstest(chi2, stats.chi2(likelihood.rank).cdf).pvalue > 1e-3
    assert gold.case.values.tolist() == part.sim.tolist()


def test_the_limit_is_the_exact_one(
    gold: xr.Dataset, trial: Trial, experiment: object, noise: NoiseLevels
) -> None:
    arguments = (
        trial.parts.test.prior, experiment.lead_field, experiment.levels, experiment.config.simulation,  # type: ignore[attr-defined]
        LimitsConfig(n_draws=100), 0,
    )  # fmt: skip
    exact, laplace = recovery_limits(*arguments, gold), recovery_limits(*arguments)
    assert (exact.attrs["n_exact"], laplace.attrs["n_exact"]) == (N, 0)
    normal = [name for name in laplace.parameter.values if name != "C" and not name.startswith("a_")]
    xr.testing.assert_allclose(
        laplace.r2_limit.sel(parameter=normal), laplace.r2_laplace.sel(parameter=normal)
    )
    # Other draws, the same approximation.
    np.testing.assert_allclose(exact.r2_laplace, laplace.r2_laplace, atol=1e-9)
    plain = 1 - gold.variance.mean("case") / gold.true.var("case")
    assert float(np.abs(exact.r2_limit - plain).max()) < 0.25
    assert (exact.r2_limit <= 1).all()
    assert (exact.r2_limit_se > 0).all()
    assert (exact.r2_limit_mcse > 0).all()
    assert (exact.r2_limit_mcse < exact.r2_limit_se).all()
    np.testing.assert_allclose(exact.unresolved, 1 - gold.resolved.mean("case"))
    assert (laplace.r2_limit_mcse == 0).all()
    assert (laplace.unresolved == 0).all()
    with pytest.raises(ValueError, match="resolved"):
        recovery_limits(*arguments, gold.drop_vars("resolved"))
    quiet = exact.r2_limit.sel(noise="snr-30")
    np.testing.assert_allclose(quiet, exact.r2_laplace.sel(noise="snr-30"), atol=0.1)


def test_the_gold_standard_agrees_with_itself_and_the_prior_does_not(gold: xr.Dataset) -> None:
    one = gold.sel(noise="snr-10")
    same = agreement(one, one["mean"].values, one["draws"].values)
    assert (same["shift"] == 0).all()
    np.testing.assert_allclose(same["spread"], 1, atol=0.1)
    prior = np.broadcast_to(one.true.mean("case"), one.true.shape)
    assert (agreement(one, prior)["shift"] > 0.5).any()
    assert "spread" not in agreement(one, prior)


def test_draws_from_the_exact_posterior_explain_the_data_and_others_do_not(
    gold: xr.Dataset, trial: Trial
) -> None:
    """What they leave is distributed as noise: a posterior-predictive check whose outcome is known."""
    part = trial.parts.test.take(np.arange(N))
    observed, sd = (array[:N] for array in trial.test(0))
    likelihood = likelihood_of(part, trial.noise, 0, observed, sd)
    rank, n = likelihood.rank, len(part.prior.names)
    draws = gold["draws"].sel(noise=trial.noise.names[0]).values[..., :n].astype(float)
    left = misfit(likelihood, draws.clip(part.prior.low, part.prior.high))
    assert left.shape == (N, 10)
    assert stats.kstest(rank * left[:, 0], stats.chi2(rank).cdf).pvalue > 1e-3
    anything = np.broadcast_to(part.prior.sample(10, 1), (N, 10, n)).copy()
    assert np.median(misfit(likelihood, anything)) > 2
    anything[0, 1] = np.nan  # as a density draws where nothing is possible
    assert np.isinf(misfit(likelihood, anything)).sum() == 1


def test_a_density_is_held_against_the_gold_standard(
    gold: xr.Dataset, trial: Trial, noise: NoiseLevels
) -> None:
    training, parts = TrainingConfig(batch_size=50, max_presentations=1800), trial.parts
    small = NPEConfig(samples_per_step=10, hidden=8, transforms=2, flow_hidden=16, draws=50)
    network = train(parts.train, parts.validation, noise, training, small, 0, progress=None).network
    _, found = evaluate(network, "npe", trial.first(N), gold)
    assert found["shift"].sizes == {"noise": 2, "parameter": len(parts.test.names)}
    assert (found["spread"] > 0.5).all()
    assert found["misfit"].sel(noise="snr-30").median() > found["misfit"].sel(noise="snr-10").median()
    with pytest.raises(ValueError, match=r"recreate limits/\*-gold.nc"):
        evaluate(network, "npe", trial, gold.assign_attrs(seed=trial.seed + 1))


def test_the_same_again(trial: Trial) -> None:
    small = Effort(n_chains=2, n_burn_in=1, n_rounds=4, n_most=4)
    all_, test = trial.noise, trial.parts.test
    loud = all_.take(slice(1, None))
    one, other = (gold_standard(test, loud, 2, 1e-5, trial.seed, effort=small) for _ in range(2))
    xr.testing.assert_identical(one, other)
