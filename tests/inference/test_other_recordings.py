"""Recordings of another montage, place or sampling rate than the training's: served, or refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.from_archives import train_model
from jrflow.inference.recordings.predict import estimate
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.inference.scoring.evaluate import evaluate_model
from jrflow.inference.training.model import TrainedModel, load_model
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import NoiseLevels

NETWORK = BiLSTMConfig(samples_per_step=10, hidden=8)


def trained(experiment: Any, folder: Path, spatial: str) -> TrainedModel:
    training = TrainingConfig(batch_size=50, max_presentations=900).model_copy(update={"spatial": spatial})
    store, levels = experiment.store("train"), experiment.levels
    train_model(store, experiment.lead_field, levels, training, NETWORK, 0, folder, progress=None)
    return load_model(folder)


@pytest.fixture(scope="module")
def of_channels(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("channels"), "channels")


@pytest.fixture(scope="module")
def projected(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("projected"), "projected")


@pytest.fixture(scope="module")
def loud(experiment: Any) -> EvokedNoise:
    found: EvokedNoise = experiment.levels["snr-10"]
    return found


def only_noise(lead_field: xr.DataArray, noise: EvokedNoise) -> xr.DataArray:
    """A response of the lead field's channels, without a source."""
    coords = {"channel": lead_field["channel"].values, "time": noise.times}
    return xr.DataArray(noise.sample(1, np.random.default_rng(0))[0], coords, ("channel", "time"))


def test_as_many_channels_of_another_montage_are_an_error(
    experiment: Any, of_channels: TrainedModel, loud: EvokedNoise
) -> None:
    ours = experiment.lead_field
    estimate(of_channels, only_noise(ours, loud), ours, loud)
    renamed = ours.assign_coords(channel=[f"F{i}" for i in range(8)])
    swapped = ours.isel(channel=[0, 1, 3, 2, 4, 5, 6, 7])
    for other, received in ((renamed, "'F0' .* 'E0'"), (swapped, "'E3' .* 'E2'")):
        with pytest.raises(ValueError, match=f"channels of its training in their order, received {received}"):
            estimate(of_channels, only_noise(other, loud), other, loud)


def test_another_place_of_the_source_than_the_channels_learnt_is_an_error(
    experiment: Any, of_channels: TrainedModel, parts: Parts, comparison: Comparison, loud: EvokedNoise
) -> None:
    elsewhere = experiment.lead_field.roll(channel=3)
    with pytest.raises(ValueError, match=r"lead field of the source differs .*cosine .* projected"):
        estimate(of_channels, only_noise(elsewhere, loud), elsewhere, loud)
    levels = NoiseLevels.of("channels", elsewhere, experiment.levels, parts.train.epoch)
    with pytest.raises(ValueError, match="lead field of the source differs"):
        evaluate_model(of_channels, replace(comparison, noise=levels))


def test_a_projection_serves_any_montage(experiment: Any, projected: TrainedModel, loud: EvokedNoise) -> None:
    assert projected.description.channels == projected.description.directions == ()
    fewer = experiment.lead_field.isel(channel=slice(6))
    fewer, noise = fewer - fewer.mean("channel"), replace(loud, covariance=np.eye(6) - 1 / 6)
    found, _ = estimate(projected, only_noise(fewer, noise), fewer, noise)
    assert np.isfinite(found.value).all()


@pytest.mark.parametrize(
    ("step", "message"),
    [(4, "whole fraction of the 250 Hz"), (2, "at 500 Hz: use the model's times")],
)
def test_another_sampling_rate_than_the_models_is_an_error(
    experiment: Any, projected: TrainedModel, loud: EvokedNoise, step: int, message: str
) -> None:
    eeg = only_noise(experiment.lead_field, loud).isel(time=slice(None, None, step))
    with pytest.raises(ValueError, match=message):
        estimate(projected, eeg, experiment.lead_field, loud)
