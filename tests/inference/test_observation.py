from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from jrflow.inference.observation import NoiseLevels, noise_shape, observed_inputs
from jrflow.inference.randomness import Stream, torch_generator
from jrflow.inference.trial import Parts
from jrflow.observe.noise import EvokedNoise, spatial_filter


@pytest.fixture(scope="module")
def correlated(experiment: Any) -> EvokedNoise:
    """Noise that differs from channel to channel."""
    root = np.random.default_rng(5).standard_normal((8, 8))
    root -= root.mean(axis=0)
    return replace(experiment.levels["snr-10"], covariance=root @ root.T)


@pytest.mark.parametrize("spatial", ["projected", "channels"])
def test_observations_are_distributed_as_measured_noise_is(
    experiment: Any, parts: Parts, correlated: EvokedNoise, spatial: Any
) -> None:
    window, lead_field = parts.train.window, experiment.lead_field
    shape = noise_shape(lead_field, correlated, window, spatial)
    sd = spatial_filter(lead_field, correlated)[1]
    drawn = shape.observe(
        torch.zeros(1500, window.n_blocks), torch.full((1500,), sd), torch_generator(0, Stream.TEST)
    ).numpy()
    channels = correlated.sample(1500, np.random.default_rng(0))
    measured = np.stack(
        [window.average(observed_inputs(eeg, lead_field, correlated, spatial)) for eeg in channels]
    )
    assert drawn.shape == measured.shape
    ours, theirs = (np.cov(x.reshape(1500, -1), rowvar=False) for x in (drawn, measured))
    np.testing.assert_allclose(ours, theirs, atol=0.2 * theirs.max())


@pytest.mark.parametrize("spatial", ["projected", "channels"])
def test_the_source_enters_as_it_does_in_a_recording(
    experiment: Any, parts: Parts, correlated: EvokedNoise, spatial: Any
) -> None:
    lead_field, source = experiment.lead_field, parts.test.source[0]
    shape = noise_shape(lead_field, correlated, parts.train.window, spatial)
    assert np.linalg.norm(shape.direction) == pytest.approx(1)
    inputs = observed_inputs(np.outer(lead_field.values, source), lead_field, correlated, spatial)
    np.testing.assert_allclose(inputs, np.outer(shape.direction, source), atol=1e-9)
    np.testing.assert_allclose(shape.direction @ inputs, source, atol=1e-9)


def test_levels_that_differ_in_size_only_share_a_shape(experiment: Any, parts: Parts) -> None:
    window = parts.train.window
    levels = NoiseLevels.of(experiment.lead_field, experiment.levels, window, "projected")
    assert len(levels.distinct_shapes) == 1
    assert levels.sd[1] / levels.sd[0] == pytest.approx(10)
    low, high = levels.sd_range(2.0)
    assert high / low == pytest.approx(40)

    other = experiment.levels["snr-10"].averaged(7)  # independent epochs: another correlation over time
    mixed = experiment.levels | {"other": other}
    assert len(NoiseLevels.of(experiment.lead_field, mixed, window, "projected").distinct_shapes) == 2


def test_no_level_is_an_error(experiment: Any, parts: Parts) -> None:
    with pytest.raises(ValueError, match="at least one noise level"):
        NoiseLevels.of(experiment.lead_field, {}, parts.train.window, "projected")
