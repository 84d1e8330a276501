"""Observations of sources, of their projection and of channels: what is drawn is what a recording shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from jrflow.inference.data.drawing import draw_observations
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import NoiseLevels, Observation
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window

TIMES = np.arange(-20, 61) / 200
PERIOD = 60
WINDOW = Window.of(TIMES, 50.0, 0.0)
EPOCH = Epoch(TIMES, PERIOD, window=WINDOW)
RNG = np.random.default_rng(5)
GAIN = RNG.standard_normal(8)
GAIN -= GAIN.mean()
LEAD_FIELD = xr.DataArray(
    GAIN[:, None], {"channel": [f"E{i}" for i in range(8)], "region": ["column"]}, ("channel", "region")
)
ROOT = RNG.standard_normal((8, 8))
ROOT -= ROOT.mean(axis=0)
#: Noise that differs from channel to channel, of epochs that overlap.
NOISE = EvokedNoise(ROOT @ ROOT.T, 9, TIMES, PERIOD)
KINDS = ("projected", "channels")
SOURCE = np.sin(20 * TIMES) * (TIMES > 0)
N = 3000


def observed(kind: Any, epoch: Epoch = EPOCH, noise: EvokedNoise = NOISE) -> Observation:
    return Observation.of_electrodes(kind, LEAD_FIELD, noise, epoch)


def covariance(data: np.ndarray) -> np.ndarray:
    return np.cov(data.reshape(len(data), -1), rowvar=False)


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_noise_is_distributed_as_measured_noise(kind: str) -> None:
    observation = observed(kind)
    silence = np.zeros((N, observation.n_inputs, WINDOW.n_blocks))
    drawn = observation.draw(silence, np.random.default_rng(1))
    by_torch = draw_observations(
        observation, torch.zeros(N, WINDOW.n_blocks), torch.full((N,), observation.sd),
        torch.Generator().manual_seed(0),
    ).numpy()  # fmt: skip
    channels = NOISE.sample(N, np.random.default_rng(0))
    measured = np.stack([observation.of_channels(eeg) for eeg in channels])
    assert drawn.shape == by_torch.shape == measured.shape
    expected = observation.sd**2 * np.kron(observation.spatial, observation.temporal)
    for data in (drawn, by_torch, measured):
        np.testing.assert_allclose(covariance(data), expected, atol=0.12 * expected.max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_enters_as_it_does_in_a_recording(kind: str) -> None:
    observation = observed(kind)
    assert np.linalg.norm(observation.direction) == pytest.approx(1)
    measured = observation.of_channels(np.outer(GAIN, EPOCH.processing.correct(SOURCE, TIMES)))
    clean = observation.clean(SOURCE[None])
    np.testing.assert_allclose(measured, clean, atol=1e-12)
    np.testing.assert_allclose(observation.direction @ measured, EPOCH.clean(SOURCE), atol=1e-12)
    tensors = torch.from_numpy(EPOCH.clean(SOURCE)[None]).float(), torch.zeros(1)
    drawn = draw_observations(observation, *tensors, torch.Generator())
    np.testing.assert_allclose(drawn[0], clean, atol=1e-6)


@pytest.mark.parametrize("kind", [*KINDS, "source"])
def test_whitened_noise_is_white(kind: str) -> None:
    observation = (
        Observation.of_sources(EPOCH, NOISE, 0.3, n_regions=2) if kind == "source" else observed(kind)
    )
    silence = np.zeros((N, observation.n_inputs, WINDOW.n_blocks))
    white = observation.whiten(observation.draw(silence, np.random.default_rng(2))) / observation.sd
    assert white.shape == (N, observation.rank)
    np.testing.assert_allclose(covariance(white), np.eye(observation.rank), atol=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_and_their_projection_know_the_same_of_one_source(kind: str) -> None:
    """Chi-square of a difference in the source does not depend on the kind of observation."""
    one, other = observed(kind), Observation.of_sources(EPOCH, NOISE, observed(kind).sd)
    squares = [(o.whiten(o.clean(SOURCE[None])) ** 2).sum() for o in (one, other, one.along_source())]
    np.testing.assert_allclose(squares, squares[0], rtol=1e-9)


def test_along_the_source_data_are_those_of_the_projection() -> None:
    channels, projected = observed("channels"), observed("projected")
    eeg = NOISE.sample(1, np.random.default_rng(3))[0]
    along = channels.along_source()
    np.testing.assert_allclose(channels.direction @ channels.of_channels(eeg), projected.of_channels(eeg)[0])
    np.testing.assert_allclose(along.of_channels(eeg), projected.of_channels(eeg), rtol=1e-9)
    assert along.sd == pytest.approx(projected.sd, rel=1e-12)
    assert projected.along_source() is projected


def test_regions_are_observed_each_by_itself() -> None:
    observation = Observation.of_sources(EPOCH, NOISE, 0.3, n_regions=3)
    sources = np.stack([SOURCE, 2 * SOURCE, -SOURCE])
    np.testing.assert_allclose(observation.clean(sources), EPOCH.clean(sources))
    assert observation.rank == 3 * Observation.of_sources(EPOCH, NOISE, 0.3).rank


def test_an_epoch_keeps_what_was_recorded() -> None:
    """Filtered over the whole response first, corrected by the baseline that was recorded."""
    recorded = np.arange(10, 71)
    processing = Processing(lowpass=30.0)
    epoch = Epoch(TIMES, PERIOD, processing, recorded, window=Window.of(TIMES[recorded], 50.0, 0.0))
    filtered = processing.filtered(SOURCE, TIMES, PERIOD)[recorded]
    expected = epoch.blocks.average(filtered - filtered[TIMES[recorded] <= 0].mean())
    np.testing.assert_allclose(epoch.clean(SOURCE), expected, atol=1e-14)
    np.testing.assert_allclose(epoch.observed_times, epoch.blocks.average(TIMES[recorded]))
    assert len(epoch.every_sample().clean(SOURCE)) == len(recorded)


def test_a_recording_without_baseline_correction_keeps_its_level() -> None:
    """Simulations that are compared with it must keep theirs."""
    level = Epoch(TIMES, PERIOD, Processing(baseline=None)).clean(SOURCE + 3.0)
    np.testing.assert_allclose(level, SOURCE + 3.0)


def test_a_sample_that_is_held_carries_its_noise_twice() -> None:
    held = np.append(np.arange(len(TIMES)), len(TIMES) - 1)
    epoch = Epoch(TIMES, PERIOD, held=held)
    covariance_ = epoch.covariance(NOISE.temporal_covariance())
    np.testing.assert_array_equal(covariance_[-1], covariance_[-2])
    assert epoch.clean(SOURCE)[-1] == epoch.clean(SOURCE)[-2]


def test_levels_that_differ_in_size_only_are_not_distinct() -> None:
    quiet = replace(NOISE, covariance=NOISE.covariance / 100)
    levels = NoiseLevels.of("projected", LEAD_FIELD, {"loud": NOISE, "quiet": quiet}, EPOCH)
    assert len(levels.distinct) == 1
    assert levels.sd[0] / levels.sd[1] == pytest.approx(10)
    low, high = levels.sd_range(2.0)
    assert high / low == pytest.approx(40)
    assert levels.take(slice(1, None)).names == ("quiet",)

    other = NOISE.averaged(7)  # independent epochs: another correlation over time
    mixed = NoiseLevels.of("projected", LEAD_FIELD, {"loud": NOISE, "other": other}, EPOCH)
    assert len(mixed.distinct) == 2


def test_no_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one noise level"):
        NoiseLevels.of("projected", LEAD_FIELD, {}, EPOCH)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (replace(NOISE, covariance=np.eye(6)), r"8 channels, received one of shape \(6, 6\)"),
        (replace(NOISE, times=TIMES + 0.1), "expected noise at the times of the responses"),
        (NOISE.processed(Processing(lowpass=30.0)), "processed as the responses .* received .* 30 Hz"),
    ],
)
def test_noise_of_something_else_is_an_error(noise: EvokedNoise, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        observed("projected", noise=noise)


def test_sources_have_no_channels() -> None:
    with pytest.raises(ValueError, match="expected an observation of EEG channels"):
        Observation.of_sources(EPOCH, NOISE, 1.0).of_channels(np.zeros((8, len(TIMES))))


def test_single_samples_have_no_blocks() -> None:
    with pytest.raises(ValueError, match="averaged over blocks"):
        _ = EPOCH.every_sample().blocks
