"""Recordings made by the model itself are explained; others are not, and that is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jrflow.archive import open_archive
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig, NetworkConfig, NPEConfig
from jrflow.inference.from_archives import train_model
from jrflow.inference.recordings.predict import estimate
from jrflow.inference.training.model import TrainedModel
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.projection import to_eeg

TRAINING = TrainingConfig(batch_size=50, max_presentations=9000, noise_margin=2.0)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=16)


DENSITY = NPEConfig(samples_per_step=10, hidden=16, transforms=2, flow_hidden=32, draws=200)


def trained(experiment: Any, folder: Path, network: NetworkConfig) -> TrainedModel:
    levels = experiment.levels
    return train_model(
        experiment.store("train"), experiment.lead_field, levels, TRAINING, network, 0, folder, progress=None
    )


@pytest.fixture(scope="module")
def model(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("model"), NETWORK)


@pytest.fixture(scope="module")
def density(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained(experiment, tmp_path_factory.mktemp("density"), DENSITY)


@pytest.fixture(scope="module")
def noise(experiment: Any) -> EvokedNoise:
    loud: EvokedNoise = experiment.levels["snr-10"]
    return loud


def recording(experiment: Any, noise: EvokedNoise, sim: int) -> xr.DataArray:
    ds = open_archive(experiment.store("test"))
    clean = to_eeg(ds["source"].sel(sim=sim), experiment.lead_field)
    return clean + noise.sample(1, np.random.default_rng(sim))[0]


@pytest.mark.parametrize("kind", ["model", "density"])
def test_its_own_responses_are_explained(
    experiment: Any, noise: EvokedNoise, request: pytest.FixtureRequest, kind: str
) -> None:
    model: TrainedModel = request.getfixturevalue(kind)
    truth = experiment.read("test")
    inside, verdicts, inflations = [], [], []
    for sim in range(20):
        eeg = recording(experiment, noise, sim)
        found, _ = estimate(model, eeg, experiment.lead_field, noise)
        inside.append((found.low <= truth.targets[sim]) & (truth.targets[sim] <= found.high))
        verdicts.append(found.best_fit.verdict)
        assert found.noise_in_range
        inflations.append(found.noise_inflation)
        assert found.best_fit.source_explained >= found.goodness.source_explained - 1e-9
        assert found.goodness.explained <= found.goodness.topography_ceiling + 1e-9
    assert np.mean(inside) > 0.8
    assert np.median(inflations) < 1.3
    assert verdicts.count("explained") >= 10
    assert "not explained" not in verdicts


def test_where_noise_is_low_the_verdict_is_that_on_the_model_not_on_the_network(
    experiment: Any, model: TrainedModel
) -> None:
    """A network's estimate is not as near to the truth as such noise would have it."""
    quiet: EvokedNoise = experiment.levels["snr-30"]
    found = [
        estimate(model, recording(experiment, quiet, sim), experiment.lead_field, quiet)[0]
        for sim in range(15)
    ]
    assert sum(one.goodness.verdict == "explained" for one in found) < 8
    assert sum(one.best_fit.verdict == "explained" for one in found) >= 14


def test_the_best_fit_does_not_depend_on_the_network(
    experiment: Any, model: TrainedModel, density: TrainedModel
) -> None:
    quiet: EvokedNoise = experiment.levels["snr-30"]
    for sim in range(6):
        eeg = recording(experiment, quiet, sim)
        one, other = (estimate(m, eeg, experiment.lead_field, quiet)[0] for m in (model, density))
        assert np.abs(one.value - other.value).max() > 0, "or these are no two networks"
        assert one.best_fit.explained == pytest.approx(other.best_fit.explained, abs=1e-3)


def test_the_exact_posterior_is_nearer_and_narrower_and_covers(experiment: Any, model: TrainedModel) -> None:
    quiet: EvokedNoise = experiment.levels["snr-30"]
    truth = experiment.read("test").targets
    inside, errors, widths = [], [], []
    for sim in range(4):
        eeg = recording(experiment, quiet, sim)
        found, _ = estimate(model, eeg, experiment.lead_field, quiet, exact=True)
        exact = found.exact
        assert exact is not None
        assert exact.rhat < 1.3
        inside.append((exact.low <= truth[sim]) & (truth[sim] <= exact.high))
        errors.append([(one.value - truth[sim]) ** 2 for one in (exact, found)])
        widths.append((exact.high - exact.low) / (found.high - found.low))
        told = json.loads(json.dumps(found.as_json()))["exact"]["parameters"]["A_e"]
        assert told == {"value": exact.value[0], "low": exact.low[0], "high": exact.high[0]}
    stuck = replace(found, exact=replace(exact, rhat=np.inf)).as_json()
    assert json.loads(json.dumps(stuck, allow_nan=False))["exact"]["rhat"] is None
    assert np.mean(inside) > 0.75
    of_exact, of_network = np.mean(errors, axis=0) / truth.var(axis=0)
    assert of_exact.mean() < of_network.mean()
    assert np.median(widths) < 1


def test_estimates_are_json_and_responses_labelled(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    eeg = recording(experiment, noise, 0)
    found, responses = estimate(model, eeg, experiment.lead_field, noise)
    content = json.loads(json.dumps(found.as_json()))
    assert list(content["parameters"]) == ["A_e", "b_i", "C", "a_2", "C_2"]
    for name, target in zip(content["parameters"], model.description.targets, strict=True):
        p = content["parameters"][name]
        assert target.low <= p["low"] <= p["value"] <= p["high"] <= target.high
    np.testing.assert_array_equal(responses["measured"], eeg)
    assert responses["resimulated"].dims == ("channel", "time")
    assert responses["source_best_fit"].dims == ("time",)


def test_another_places_response_is_not_explained(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    eeg = recording(experiment, noise, 0)
    gain = experiment.lead_field.values[:, 0]
    elsewhere = np.roll(gain, 3) - gain * (np.roll(gain, 3) @ gain) / (gain @ gain)
    noisy = noise.sample(1, np.random.default_rng(7))[0]
    eeg = eeg.copy(data=np.outer(elsewhere, gain @ eeg.values / (gain @ gain)) + noisy)
    found, _ = estimate(model, eeg, experiment.lead_field, noise, exact=True)
    assert found.best_fit.verdict == "not explained"
    assert found.exact is None, "the posterior of a wrong model"
    assert found.goodness.topography_ceiling < 0.1
    assert found.goodness.explained < 0.01


def test_noise_beyond_the_training_is_told(experiment: Any, model: TrainedModel, noise: EvokedNoise) -> None:
    eeg = recording(experiment, noise, 0)
    louder = replace(noise, covariance=100 * noise.covariance)
    found, _ = estimate(model, eeg, experiment.lead_field, louder)
    assert not found.noise_in_range
    assert found.sd == pytest.approx(10 * model.description.noise_levels["snr-10"])


def test_a_noisier_baseline_than_expected_widens_the_intervals(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    quieter = replace(noise, covariance=noise.covariance / 16)
    eeg = recording(experiment, noise, 0)
    found, _ = estimate(model, eeg, experiment.lead_field, quieter)
    assert found.noise_inflation == pytest.approx(16, rel=0.6)
    trusting, _ = estimate(model, recording(experiment, quieter, 0), experiment.lead_field, quieter)
    assert (found.high - found.low).sum() > (trusting.high - trusting.low).sum()


def test_a_response_that_is_too_short_is_an_error(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    short = recording(experiment, noise, 0).isel(time=slice(0, 300))
    with pytest.raises(
        ValueError, match=r"the network observes 0.0\d+..0.2\d+ s \(30 blocks\), the response covers"
    ):
        estimate(model, short, experiment.lead_field, noise)


def test_channels_in_another_order_are_an_error(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    eeg = recording(experiment, noise, 0)
    with pytest.raises(ValueError, match="lead field's 8 channels in its order"):
        estimate(model, eeg.isel(channel=slice(None, None, -1)), experiment.lead_field, noise)


def test_a_density_without_a_possible_draw_has_no_answer(
    experiment: Any, density: TrainedModel, noise: EvokedNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = np.full((1, 7, len(density.names)), np.nan)
    monkeypatch.setattr(type(density.network), "draw", lambda *_: impossible)
    with pytest.raises(ValueError, match="gives no estimate: none of its draws lies within the prior"):
        estimate(density, recording(experiment, noise, 0), experiment.lead_field, noise)
