"""Reference posteriors: right by their ranks, of the data that networks receive, and the limit from them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jrflow.config.analysis import LimitsConfig
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NPEConfig
from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.randomness import Stream
from jrflow.inference.scoring.agreement import agreement, misfit
from jrflow.inference.scoring.comparison import Comparison, observed_at
from jrflow.inference.scoring.evaluate import evaluate
from jrflow.inference.scoring.reference import likelihood_of, reference_posteriors, summary
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.inference.training.train import train
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.fisher import recovery_limits
from jrflow.limits.starts import nearest_simulations
from jrflow.observe.observation import NoiseLevels

#: Every test needs minutes of simulations.
pytestmark = pytest.mark.slow
N = 40
EFFORT = Effort(n_burn_in=3, n_rounds=10, n_most=40)


@pytest.fixture(scope="module")
def reference(comparison: Comparison) -> xr.Dataset:
    return reference_posteriors(
        comparison.parts.test, comparison.noise, N, 1e-5, comparison.seed, effort=EFFORT
    )


def test_intervals_and_ranks_are_right(reference: xr.Dataset) -> None:
    low, high = stats.binom.interval(0.999, N, 0.9)
    covered = N * reference.coverage.sel(nominal=0.9)
    # Draws of few rounds tell quantiles a little too narrow.
    assert (covered >= low - 2).all()
    assert (covered <= high).all()
    assert (reference.rank_p > 1e-4).all()
    assert float(reference.rhat.median()) < 1.1
    assert reference.rank_p.sizes == {"noise": 2, "parameter": reference.sizes["parameter"]}
    assert reference.expected_coverage_p.sizes == {"noise": 2}
    for level in reference.noise.values:
        assert f"of {N} cases resolved" in summary(reference.sel(noise=level))


def test_monte_carlo_errors_come_with_every_mean(reference: xr.Dataset) -> None:
    """Resolved means have an error below 5 % of the sd; two samplings differ by what the errors say."""
    assert reference.mcse.sizes == reference["mean"].sizes
    sd = np.sqrt(reference.variance)
    resolved = reference.resolved.values
    assert 0.5 < resolved.mean() <= 1
    scored = [name for name in reference.parameter.values if name in ("A_e", "b_i")]
    relative = (reference.mcse / sd).sel(parameter=scored).max("parameter").values
    assert (relative[resolved] < 0.06).all()
    assert (reference.ess.values[resolved] >= 400).all()
    assert (reference.ess.values[~resolved] < 400).all()


def test_two_samplings_differ_by_their_monte_carlo_errors(
    comparison: Comparison, reference: xr.Dataset
) -> None:
    """The unbiased distance (m - m_ref)^2 - MCSE^2 of the reference from itself is 0."""
    level = list(comparison.noise.names).index("snr-10")
    part = comparison.parts.test.take(np.arange(N))
    observed, sd = (array[:N] for array in comparison.test(level))
    likelihood = likelihood_of(part, comparison.noise, level, observed, sd)
    starts = nearest_simulations(likelihood, 2000, 1)
    again = TargetPosteriors.of(
        likelihood.coordinates, exact_posteriors(likelihood, starts, EFFORT, 1), np.random.default_rng(0)
    )
    one = reference.sel(noise="snr-10")
    both = again.mcse**2 + one.mcse.values**2
    z2 = (again.mean - one["mean"].values) ** 2 / both
    trusted = again.resolved & one.resolved.values
    assert trusted.mean() > 0.5
    assert z2[trusted].mean() == pytest.approx(1, abs=0.4)


def test_posterior_means_reach_what_variances_promise(reference: xr.Dataset) -> None:
    error = (reference["mean"] - reference.true) ** 2 / reference.variance
    assert error.mean("case").values == pytest.approx(1, abs=0.6)
    np.testing.assert_allclose(
        reference.draws.mean("draw"), reference["mean"], atol=float(reference.variance.max() ** 0.5)
    )


def test_the_data_are_those_that_networks_see(comparison: Comparison, reference: xr.Dataset) -> None:
    """Its likelihood, at the true parameters, leaves noise, and what trials observe of the same cases."""
    test: EvokedSet = comparison.parts.test
    whole, _ = comparison.test(0)
    first, sd = (array[:N] for array in observed_at(test, comparison.noise, 0, Stream.TEST, comparison.seed))
    assert (first == whole[:N]).all()
    part = test.take(np.arange(N))
    likelihood = likelihood_of(part, comparison.noise, 0, first, sd)
    x = likelihood.coordinates.of_parameters(part.targets[:, : len(part.prior.names)])
    chi2 = -2 * likelihood.log_likelihood(x, np.arange(N))
    assert stats.kstest(chi2, stats.chi2(likelihood.rank).cdf).pvalue > 1e-3
    assert reference.case.values.tolist() == part.sim.tolist()


def test_the_limit_is_the_exact_one(
    reference: xr.Dataset, comparison: Comparison, experiment: object, noise: NoiseLevels
) -> None:
    arguments = (
        comparison.parts.test.prior, experiment.lead_field, experiment.levels, experiment.config.simulation,  # type: ignore[attr-defined]
        LimitsConfig(n_draws=100), 0,
    )  # fmt: skip
    exact, laplace = recovery_limits(*arguments, reference), recovery_limits(*arguments)
    assert (exact.attrs["n_exact"], laplace.attrs["n_exact"]) == (N, 0)
    normal = [name for name in laplace.parameter.values if name != "C" and not name.startswith("a_")]
    xr.testing.assert_allclose(
        laplace.r2_limit.sel(parameter=normal), laplace.r2_laplace.sel(parameter=normal)
    )
    # Other draws, the same approximation.
    np.testing.assert_allclose(exact.r2_laplace, laplace.r2_laplace, atol=1e-9)
    plain = 1 - reference.variance.mean("case") / reference.true.var("case")
    assert float(np.abs(exact.r2_limit - plain).max()) < 0.25
    assert (exact.r2_limit <= 1).all()
    assert (exact.r2_limit_se > 0).all()
    assert (exact.r2_limit_mcse > 0).all()
    assert (exact.r2_limit_mcse < exact.r2_limit_se).all()
    np.testing.assert_allclose(exact.unresolved, 1 - reference.resolved.mean("case"))
    assert (laplace.r2_limit_mcse == 0).all()
    assert (laplace.unresolved == 0).all()
    with pytest.raises(ValueError, match="resolved"):
        recovery_limits(*arguments, reference.drop_vars("resolved"))
    quiet = exact.r2_limit.sel(noise="snr-30")
    np.testing.assert_allclose(quiet, exact.r2_laplace.sel(noise="snr-30"), atol=0.1)


def test_the_reference_agrees_with_itself_and_the_prior_does_not(reference: xr.Dataset) -> None:
    one = reference.sel(noise="snr-10")
    same = agreement(one, one["mean"].values, one["draws"].values)
    assert (same["shift"] == 0).all()
    np.testing.assert_allclose(same["spread"], 1, atol=0.1)
    prior = np.broadcast_to(one.true.mean("case"), one.true.shape)
    assert (agreement(one, prior)["shift"] > 0.5).any()
    assert "spread" not in agreement(one, prior)


def test_draws_from_the_exact_posterior_explain_the_data_and_others_do_not(
    reference: xr.Dataset, comparison: Comparison
) -> None:
    """What they leave is distributed as noise: a posterior-predictive check whose outcome is known."""
    part = comparison.parts.test.take(np.arange(N))
    observed, sd = (array[:N] for array in comparison.test(0))
    likelihood = likelihood_of(part, comparison.noise, 0, observed, sd)
    rank, n = likelihood.rank, len(part.prior.names)
    draws = reference["draws"].sel(noise=comparison.noise.names[0]).values[..., :n].astype(float)
    left = misfit(likelihood, draws.clip(part.prior.low, part.prior.high))
    assert left.shape == (N, 10)
    assert stats.kstest(rank * left[:, 0], stats.chi2(rank).cdf).pvalue > 1e-3
    anything = np.broadcast_to(part.prior.sample(10, 1), (N, 10, n)).copy()
    assert np.median(misfit(likelihood, anything)) > 2
    anything[0, 1] = np.nan  # as a density draws where nothing is possible
    assert np.isinf(misfit(likelihood, anything)).sum() == 1


def test_a_density_is_held_against_the_reference(
    reference: xr.Dataset, comparison: Comparison, noise: NoiseLevels
) -> None:
    training, parts = TrainingConfig(batch_size=50, max_presentations=1800), comparison.parts
    small = NPEConfig(samples_per_step=10, hidden=8, transforms=2, flow_hidden=16, draws=50)
    network = train(parts.train, parts.validation, noise, training, small, 0, progress=None).network
    _, found = evaluate(network, "npe", comparison.first(N), reference)
    assert found["shift"].sizes == {"noise": 2, "parameter": len(parts.test.names)}
    assert (found["spread"] > 0.5).all()
    assert found["misfit"].sel(noise="snr-30").median() > found["misfit"].sel(noise="snr-10").median()
    with pytest.raises(ValueError, match=r"recreate limits/\*-reference.nc"):
        evaluate(network, "npe", comparison, reference.assign_attrs(seed=comparison.seed + 1))


def test_the_same_again(comparison: Comparison) -> None:
    small = Effort(n_chains=2, n_burn_in=1, n_rounds=4, n_most=4)
    all_, test = comparison.noise, comparison.parts.test
    loud = all_.take(slice(1, None))
    one, other = (reference_posteriors(test, loud, 2, 1e-5, comparison.seed, effort=small) for _ in range(2))
    xr.testing.assert_identical(one, other)
