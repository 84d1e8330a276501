"""Limits, losses and scores of a small experiment keep their values from version to version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jrflow.config.analysis import LimitsConfig
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import MLPConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import Prior
from jrflow.inference.scoring.comparison import Parts
from jrflow.inference.scoring.evaluate import network_r2
from jrflow.inference.training.train import train
from jrflow.limits.fisher import recovery_limits
from jrflow.observe.observation import NoiseLevels

#: R2 limits at 30 and 10 dB of the nine parameters, then of the four products.
LIMITS = [
    [0.578563, 0.986357, 0.998959, 0.99972, 0.794874, 0.819425, 0.807484, 0.88688, 0.862346,
     0.819504, 0.774268, 0.861831, 0.99046],
    [0.413742, 0.848978, 0.958889, 0.987899, 0.689365, 0.593159, 0.633606, 0.809518, 0.713774,
     0.567407, 0.606182, 0.727002, 0.860216],
]  # fmt: skip
#: Validation loss of every epoch, and R2 of the four parameters and one product at 30 and 10 dB.
LOSSES = [0.960962, 0.767816, 0.724469]
SCORES = [
    [0.197318, 0.357978, 0.542752, 0.166189, 0.397867],
    [0.208195, 0.381646, 0.487069, 0.173052, 0.360263],
]


def test_limits_are_those_of_version_0_1(experiment: Any) -> None:
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
    found = recovery_limits(
        prior, experiment.lead_field, experiment.levels, experiment.config.simulation,
        LimitsConfig(n_draws=12), seed=5,
    )  # fmt: skip
    assert found["r2_limit"].parameter.values.tolist() == [*prior.names, "C_1", "C_2", "C_3", "C_4"]
    np.testing.assert_allclose(found["r2_limit"].values, LIMITS, rtol=1e-3, atol=1e-5)


def test_a_training_is_that_of_version_0_1(parts: Parts, noise: NoiseLevels) -> None:
    config = TrainingConfig(batch_size=50, max_presentations=2700)
    network = MLPConfig(hidden=32, layers=2)
    fit = train(parts.train, parts.validation, noise, config, network, 0, progress=None)
    losses = [record["validation_loss"] for record in fit.history]
    assert losses == pytest.approx(LOSSES, rel=1e-3)
    scores = dict(network_r2(fit.network, parts.test, noise, seed=0))
    assert parts.test.names == ("A_e", "b_i", "C", "a_2", "C_2")
    np.testing.assert_allclose(list(scores.values()), SCORES, rtol=1e-3, atol=1e-3)
