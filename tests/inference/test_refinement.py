"""Estimates refined by the exact likelihood: better where noise is low, and honest about what is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.networks.network import Network
from jrflow.inference.scoring import refinement
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.inference.scoring.evaluate import evaluate
from jrflow.inference.scoring.refinement import refine, refined_estimates
from jrflow.inference.training.train import train
from jrflow.limits.exact import Effort
from jrflow.observe.observation import NoiseLevels

N = 40
#: Enough for what does not depend on how well posteriors are sampled.
SMALL = Effort(n_burn_in=2, n_rounds=5, n_most=5, n_along=1, n_ridges=1)


@pytest.fixture(scope="module")
def network(parts: Parts, noise: NoiseLevels) -> Network:
    training = TrainingConfig(batch_size=50, max_presentations=9000)
    small = BiLSTMConfig(samples_per_step=10, hidden=16)
    return train(parts.train, parts.validation, noise, training, small, 0, progress=None).network


@pytest.fixture(scope="module")
def both(network: Network, comparison: Comparison) -> pd.DataFrame:
    first = comparison.first(N)
    table = pd.concat([evaluate(network, "bilstm", first)[0], refine(network, "bilstm", comparison, N)[0]])
    return table.set_index(["estimator", "noise", "parameter"]).sort_index()


def test_little_noise_leaves_little_doubt(both: pd.DataFrame) -> None:
    refined, told = both.r2["bilstm+exact", "snr-30"], both.r2["bilstm", "snr-30"]
    assert (refined > 0.9).all()
    assert refined.mean() > told.mean()


def test_much_noise_is_no_worse_than_before(both: pd.DataFrame) -> None:
    refined, told = both.r2["bilstm+exact", "snr-10"], both.r2["bilstm", "snr-10"]
    assert refined.mean() > told.mean() - 0.1


def test_intervals_cover(both: pd.DataFrame) -> None:
    refined = both.loc["bilstm+exact"]
    assert set(refined.n) == {N}
    assert refined.coverage_90.between(0.7, 1).all()
    assert refined.coverage_90.mean() == pytest.approx(0.9, abs=0.08)


def test_where_nothing_that_fits_is_found_the_networks_estimate_stands(
    network: Network, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = list(comparison.noise.names).index("snr-30")
    monkeypatch.setattr(refinement, "_EFFORT", SMALL)
    fits = refined_estimates(network, comparison, 4, quiet)
    with monkeypatch.context() as patched:
        patched.setattr(refinement, "_POOR", -100.0)
        nothing_fits = refined_estimates(network, comparison, 4, quiet)
    own = network.predict(*comparison.test(quiet))[:4]
    np.testing.assert_array_equal(nothing_fits.estimates.value, own)
    assert (nothing_fits.estimates.low < own).all()
    assert (nothing_fits.estimates.high > own).all()
    assert not (nothing_fits.found | nothing_fits.resolved).any()
    assert (nothing_fits.mcse == 0).all()
    assert (fits.estimates.value != own).all()
    assert fits.found.all()
    assert (fits.mcse > 0).all()


def test_the_control_begins_at_the_nearest_simulations_without_a_network(comparison: Comparison) -> None:
    """Where noise is low both reach the same posterior; what is stored has the control's own names."""
    table, found = refine(None, "bilstm", comparison, 8, starts="nearest")
    assert set(table.estimator) == {"nearest+exact"}
    quiet = table[(table.noise == "snr-30") & table.parameter.isin(["A_e", "b_i"])]
    assert (quiet.r2 > 0.8).all()
    assert {
        "nearest",
        "nearest_low",
        "nearest_high",
        "nearest_mcse",
        "nearest_ess",
        "nearest_resolved",
    } <= set(found)
    assert (found.nearest_low < found.nearest_high).all()
    with pytest.raises(ValueError, match="network"):
        refine(None, "bilstm", comparison, 8)


def test_the_same_again(network: Network, comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where importance sampling follows the chains."""
    monkeypatch.setattr(refinement, "_EFFORT", SMALL)
    (one, estimates), (other, again) = (refine(network, "bilstm", comparison, 4) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    xr.testing.assert_identical(estimates, again)
    assert np.isfinite(one.r2).all()
    assert estimates.refined.sizes == {
        "noise": 2,
        "first_sim": 4,
        "parameter": len(comparison.parts.test.names),
    }
    assert (estimates.refined_low < estimates.refined_high).all()
    assert estimates.refined_mcse.sizes == estimates.refined.sizes
    for name in ("ess", "rhat", "resolved", "found"):
        assert estimates[f"refined_{name}"].sizes == {"noise": 2, "first_sim": 4}
