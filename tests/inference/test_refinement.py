"""Estimates refined by the exact likelihood: better where noise is low, and honest about what is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.evaluate import evaluate
from jrflow.inference.networks import Network
from jrflow.inference.observation import NoiseLevels
from jrflow.inference.refinement import refined_scores
from jrflow.inference.train import train
from jrflow.inference.trial import Parts, Trial

N = 60


@pytest.fixture(scope="module")
def network(parts: Parts, noise: NoiseLevels) -> Network:
    training = TrainingConfig(batch_size=50, max_presentations=9000)
    small = BiLSTMConfig(samples_per_step=10, hidden=16)
    return train(parts.train, parts.validation, noise, training, small, 0, progress=None).network


@pytest.fixture(scope="module")
def both(network: Network, trial: Trial) -> pd.DataFrame:
    first = trial.first(N)
    table = pd.concat([evaluate(network, "bilstm", first)[0], refined_scores(network, "bilstm", trial, N)])
    return table.set_index(["estimator", "noise", "parameter"]).sort_index()


def test_little_noise_leaves_little_doubt(both: pd.DataFrame) -> None:
    refined, told = both.r2["bilstm+gauss-newton", "snr-30"], both.r2["bilstm", "snr-30"]
    assert (refined > 0.9).all()
    assert refined.mean() > told.mean()


def test_much_noise_is_no_worse_than_before(both: pd.DataFrame) -> None:
    refined, told = both.r2["bilstm+gauss-newton", "snr-10"], both.r2["bilstm", "snr-10"]
    assert refined.mean() > told.mean() - 0.1


def test_intervals_cover(both: pd.DataFrame) -> None:
    refined = both.loc["bilstm+gauss-newton"]
    assert set(refined.n) == {N}
    assert refined.coverage_90.between(0.7, 1).all()
    assert refined.coverage_90.mean() == pytest.approx(0.9, abs=0.07)


def test_the_same_again(network: Network, trial: Trial) -> None:
    one, other = (refined_scores(network, "bilstm", trial, 10) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    assert np.isfinite(one.r2).all()
