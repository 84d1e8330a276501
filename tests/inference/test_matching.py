"""A recording's processing is applied where that is right, and refused where the network would misread it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import xarray as xr
import yaml

from jrflow.archive import open_archive
from jrflow.config.eeg import ProcessingConfig
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import MLPConfig
from jrflow.inference.data.randomness import Stream
from jrflow.inference.from_archives import read_parts, train_model
from jrflow.inference.recordings.predict import interval_estimates, network_input
from jrflow.inference.scoring.comparison import observed_at
from jrflow.inference.scoring.reference import likelihood_of
from jrflow.inference.training.model import TrainedModel, load_model
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import NoiseLevels, processing_of, temporal_covariance
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window

TRAINING = TrainingConfig(batch_size=50, max_presentations=9000, noise_margin=2.0)
LOW = Processing(lowpass=20.0)


def trained(experiment: Any, folder: Path, processing: Processing) -> TrainedModel:
    levels = {name: noise.processed(processing) for name, noise in experiment.levels.items()}
    store, gain = experiment.store("train"), experiment.lead_field
    train_model(store, gain, levels, TRAINING, MLPConfig(hidden=32), 0, folder, progress=None)
    return load_model(folder)


@pytest.fixture(scope="module")
def plain(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("plain"), Processing())


@pytest.fixture(scope="module")
def low(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("low"), LOW)


def recorded(
    experiment: Any, processing: Processing, sim: int = 0, level: str = "snr-30"
) -> tuple[xr.DataArray, EvokedNoise]:
    """A response of the test campaign in noise, both processed."""
    ds, timing = open_archive(experiment.store("test")), experiment.config.simulation.timing
    noise = experiment.levels[level].processed(processing)
    source = processing.apply(ds["source"].sel(sim=sim).values[0].astype(float), noise.times, timing.period)
    data = experiment.lead_field.values * source + noise.sample(1, np.random.default_rng(sim))[0]
    coords = {"channel": experiment.lead_field["channel"].values, "time": noise.times}
    return xr.DataArray(processing.correct(data, noise.times), coords, ("channel", "time")), noise


def cropped(first: float, last: float) -> Callable[[xr.DataArray], xr.DataArray]:
    return lambda eeg: eeg.sel(time=slice(first - 1e-6, last + 1e-6))


WHOLE = cropped(-0.1, 0.3)


@pytest.mark.parametrize(
    ("processing", "crop", "accepted"),
    [
        (Processing(), WHOLE, True),
        (Processing(lowpass=500.0), WHOLE, True),
        (Processing(lowpass=499.0, sfreq=1000.0), WHOLE, True),
        (Processing(sfreq=1000.0001), WHOLE, True),
        (Processing(sfreq=250.0), WHOLE, True),
        (Processing(sfreq=2000.0), WHOLE, True),
        (Processing(baseline=(-0.05, 0.0)), WHOLE, True),  # the model's own correction undoes it
        (Processing(), cropped(-0.1, 0.296), True),
        (Processing(), cropped(-0.098, 0.3), True),
        (Processing(lowpass=20.0), WHOLE, False),
        (Processing(lowpass=15.0), WHOLE, False),
        (Processing(highpass=4.0), WHOLE, False),
        (Processing(), cropped(-0.003, 0.3), False),
    ],
    ids=lambda value: "times" if callable(value) else str(value),
)
def test_what_changes_nothing_is_accepted_and_what_does_is_refused(
    experiment: Any,
    plain: TrainedModel,
    processing: Processing,
    crop: Callable[[xr.DataArray], xr.DataArray],
    accepted: bool,
) -> None:
    eeg, noise = recorded(experiment, processing)
    eeg, noise = crop(eeg), noise.processed(processing.replace(baseline=(None, 0.0)))
    if accepted:
        assert network_input(plain, eeg, experiment.lead_field, noise).noise_in_range
        return
    with pytest.raises(ValueError, match="processed differently") as refused:
        network_input(plain, eeg, experiment.lead_field, noise)
    lines = str(refused.value).partition("for this processing:\n")[2]
    wanted = ProcessingConfig.model_validate(yaml.safe_load(lines)["eeg"]["processing"])
    assert (wanted.highpass, wanted.lowpass) == (processing.highpass, processing.lowpass)
    assert wanted.baseline == (pytest.approx(float(eeg["time"][0])), 0.0)


def test_an_end_that_is_missing_by_more_than_a_block_is_an_error(
    experiment: Any, plain: TrainedModel
) -> None:
    eeg, noise = recorded(experiment, Processing())
    with pytest.raises(ValueError, match=r"epochs from -0\.1 to 0\.3 s at 1000 Hz"):
        network_input(plain, cropped(-0.1, 0.285)(eeg), experiment.lead_field, noise)


def test_the_rate_of_the_recording_counts_for_the_noise(experiment: Any, plain: TrainedModel) -> None:
    """The same variance of a sample is four times the power below 50 Hz at a quarter of the rate."""
    told = []
    for sfreq in (1000.0, 250.0):
        eeg, noise = recorded(experiment, Processing())
        noise = noise.processed(Processing(sfreq=sfreq))
        told.append(network_input(plain, 0 * eeg, experiment.lead_field, noise).sd)
    d = plain.description
    assert told[0] == pytest.approx(d.noise_levels["snr-30"])
    assert told[1] / told[0] == pytest.approx(2, rel=0.05)


def test_a_model_for_filtered_responses_takes_these_and_no_others(
    experiment: Any, low: TrainedModel, plain: TrainedModel
) -> None:
    d = low.description
    assert (d.processing.lowpass, d.processing.highpass, d.processing.baseline) == (20.0, None, (None, 0.0))
    assert d.fingerprint != plain.description.fingerprint
    truth = experiment.read("test").targets
    inside = []
    for sim in range(40):
        given = network_input(low, *placed(experiment, recorded(experiment, LOW, sim, "snr-10")))
        found = interval_estimates(low, given.observed[None], np.array([given.sd]))
        inside.append((found.low[0] <= truth[sim]) & (truth[sim] <= found.high[0]))
    assert 0.83 < np.mean(inside) < 0.97
    with pytest.raises(ValueError, match=r"lowpass: null"):
        network_input(low, *placed(experiment, recorded(experiment, Processing())))


def placed(
    experiment: Any, given: tuple[xr.DataArray, EvokedNoise]
) -> tuple[xr.DataArray, xr.DataArray, EvokedNoise]:
    return given[0], experiment.lead_field, given[1]


@pytest.mark.parametrize("processing", [LOW, Processing(baseline=None)], ids=["low-pass", "no baseline"])
def test_scores_and_limits_are_those_of_processed_responses(experiment: Any, processing: Processing) -> None:
    """The likelihood's simulations are processed as the observations that it is given."""
    levels = {name: noise.processed(processing) for name, noise in experiment.levels.items()}
    parts = read_parts(
        experiment.store("train"), experiment.store("test"), TRAINING, 0, processing_of(levels)
    )
    noise = NoiseLevels.of("projected", experiment.lead_field, levels, parts.train.epoch)
    part = parts.test.take(np.arange(30))
    observed, sd = observed_at(part, noise, 0, Stream.TEST, 0)
    likelihood = likelihood_of(part, noise, 0, observed, sd)
    x = likelihood.coordinates.of_parameters(part.targets[:, : len(part.prior.names)])
    difference, _ = likelihood.differences(x, np.arange(30))
    chi2 = (likelihood.whitened(difference) ** 2).sum(axis=1) / likelihood.rank
    assert np.median(chi2) == pytest.approx(1, abs=0.25)


def test_networks_meet_as_much_noise_as_filters_leave(experiment: Any) -> None:
    """Also in the transition band, where the fit ignores it: a network would trust what is left there."""
    noise = replace(experiment.levels["snr-30"].processed(LOW), period=401)
    window = Window.of(noise.times, 100.0, 0.0)
    epoch = Epoch(noise.times, 401, LOW, window=window)
    raw = np.random.default_rng(0).standard_normal((2000, 1401))
    filtered = mne.filter.filter_data(raw, 1000.0, None, LOW.lowpass, verbose="error")[:, 500:901]
    blocks = window.average(LOW.correct(filtered, noise.times) / np.sqrt(LOW.passed(1000.0)))
    values, directions = np.linalg.eigh(temporal_covariance(noise, epoch))
    assert (((blocks @ directions) ** 2).mean(axis=0) < 1.2 * values).all()


def test_levels_of_several_kinds_of_processing_are_an_error(experiment: Any) -> None:
    one, other = experiment.levels["snr-30"], replace(experiment.levels["snr-10"], processing=LOW)
    with pytest.raises(ValueError, match="the same processing"):
        processing_of({"a": one, "b": other})
