"""Noise is measured in the baseline; a response that is not flat there is not taken for noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jrflow.inference.recordings.baseline import BaselineNoise, baseline_noise
from jrflow.inference.recordings.predict import conditioned
from jrflow.observe.noise import EvokedNoise, spatial_filter
from jrflow.observe.projection import baseline_correct
from jrflow.observe.window import Window


@pytest.fixture(scope="module")
def noise(experiment: Any) -> EvokedNoise:
    found: EvokedNoise = experiment.levels["snr-30"]
    return found


def measured(experiment: Any, noise: EvokedNoise, eeg: np.ndarray) -> BaselineNoise:
    window = Window.of(noise.times, 100.0, 0.0)
    return baseline_noise(eeg, experiment.lead_field.values[:, 0], noise, window)


def test_a_response_that_oscillates_before_the_onset_is_no_noise(experiment: Any, noise: EvokedNoise) -> None:
    gain, sd = experiment.lead_field.values, spatial_filter(experiment.lead_field, noise)[1]
    source = baseline_correct(1000 * sd * np.sin(2 * np.pi * 10 * noise.times), noise.times)
    rng = np.random.default_rng(0)
    powers = [measured(experiment, noise, gain * source + one) for one in noise.sample(30, rng)]
    assert all(one.is_as_assumed for one in powers)
    assert np.mean([one.power for one in powers]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("factor", [16.0, 0.02])
def test_noise_of_another_size_is_measured(experiment: Any, noise: EvokedNoise, factor: float) -> None:
    actual = replace(noise, covariance=factor * noise.covariance)
    found = measured(experiment, noise, actual.sample(1, np.random.default_rng(1))[0])
    assert found.shown == pytest.approx(factor, rel=0.5)
    assert found.inflation == pytest.approx(max(1.0, found.shown))


def test_noise_of_the_only_level_in_training_is_in_range(experiment: Any, noise: EvokedNoise) -> None:
    """With a margin of 1 the range is one value, and a measured noise is never exactly that."""
    sd = spatial_filter(experiment.lead_field, noise)[1]
    for eeg in noise.sample(200, np.random.default_rng(2)):
        told, in_range = conditioned(sd, measured(experiment, noise, eeg), (sd, sd))
        assert in_range
        assert told == sd
    assert not conditioned(1.5 * sd, BaselineNoise(1.0, 90), (sd, sd))[1]
    assert not conditioned(sd, BaselineNoise(4.0, 90), (sd, sd))[1]


@pytest.mark.parametrize("n_channels", [2, 3])
def test_few_channels_leave_little_or_nothing_to_measure(noise: EvokedNoise, n_channels: int) -> None:
    few = replace(noise, covariance=np.eye(n_channels) - 1 / n_channels)
    eeg, gain = few.sample(1, np.random.default_rng(0))[0], np.linspace(-1, 1, n_channels)
    found = baseline_noise(eeg, gain, few, Window.of(few.times, 100.0, 0.0))
    assert (found.n_free > 0) == (n_channels == 3)
    assert np.isfinite(found.power)
