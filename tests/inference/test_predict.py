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
from jrflow.eeg.covariance import whitening
from jrflow.eeg.noise import EvokedNoise, spatial_filter
from jrflow.eeg.projection import to_eeg
from jrflow.inference.campaign import train_model
from jrflow.inference.goodness import Seen, baseline_inflation, goodness
from jrflow.inference.model import TrainedModel
from jrflow.inference.predict import estimate
from jrflow.inference.window import Window

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
    eeg = eeg.copy(data=np.outer(elsewhere, gain @ eeg.values / (gain @ gain)))
    found, _ = estimate(model, eeg, experiment.lead_field, noise, exact=True)
    assert found.best_fit.verdict == "not explained"
    assert found.exact is None, "the posterior of a wrong model"
    assert found.goodness.topography_ceiling < 1e-6
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
        ValueError, match=r"the network sees 0.0\d+..0.2\d+ s \(30 blocks\), the response covers"
    ):
        estimate(model, short, experiment.lead_field, noise)


def test_channels_in_another_order_are_an_error(
    experiment: Any, model: TrainedModel, noise: EvokedNoise
) -> None:
    eeg = recording(experiment, noise, 0)
    with pytest.raises(ValueError, match="lead field's 8 channels in its order"):
        estimate(model, eeg.isel(channel=slice(None, None, -1)), experiment.lead_field, noise)


def as_seen(experiment: Any, noise: EvokedNoise) -> Seen:
    window = Window.of(noise.times, TRAINING.sfreq, TRAINING.tmin)
    sd = spatial_filter(experiment.lead_field, noise)[1]
    return Seen(window, sd, whitening(noise.temporal_covariance()))


def test_noise_alone_is_explained_by_nothing(experiment: Any, noise: EvokedNoise) -> None:
    data = noise.sample(1, np.random.default_rng(1))[0]
    channels = experiment.lead_field["channel"]
    eeg = xr.DataArray(data, dims=("channel", "time"), coords={"channel": channels, "time": noise.times})
    seen = as_seen(experiment, noise)
    (fit,) = goodness(eeg, np.zeros((1, len(noise.times))), experiment.lead_field, noise, seen, 0)
    assert fit.verdict == "explained"
    assert fit.explained == 0
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.1)
    assert fit.baseline_chi2 == pytest.approx(1, abs=0.2)
    assert fit.noise_share == pytest.approx(1, abs=0.2)
    assert 0.001 < fit.p_value < 0.999
    assert fit.source_chi2 == pytest.approx(1, abs=0.6)


@pytest.mark.parametrize(("n_before", "sfreq"), [(1, 1000.0), (8, 125.0), (3, 125.0)])
def test_a_baseline_of_one_block_says_nothing_of_noise(
    experiment: Any, noise: EvokedNoise, n_before: int, sfreq: float
) -> None:
    """Corrected by its mean, its average is 0, whatever the noise: so is a single sample."""
    times = np.arange(1 - n_before, 301) / 1000
    louder = replace(noise, times=times, covariance=9 * noise.covariance)
    data = louder.sample(1, np.random.default_rng(0))[0]
    assumed, window = replace(noise, times=times), Window.of(times, sfreq, 0.0)
    assert baseline_inflation(data, assumed, window) == 1
    coords = {"channel": experiment.lead_field["channel"].values, "time": times}
    sd = spatial_filter(experiment.lead_field, noise)[1]
    seen = Seen(window, sd, whitening(assumed.temporal_covariance()))
    (fit,) = goodness(
        xr.DataArray(data, coords, ("channel", "time")), np.zeros((1, len(times))), experiment.lead_field,
        assumed, seen, 0,
    )  # fmt: skip
    assert fit.source_noise == 1
    assert np.isfinite([fit.baseline_chi2, fit.source_chi2, fit.reduced_chi2]).all()
    assert fit.verdict != "explained"


@pytest.mark.parametrize("brain", [1.0, 4.0], ids=["noise-as-assumed", "baseline-twice-as-noisy"])
def test_a_wrong_time_course_is_seen_though_all_channels_drown_it(
    experiment: Any, noise: EvokedNoise, brain: float
) -> None:
    """A slow residual of the source, of 11 standard deviations in all."""
    seen, gain = as_seen(experiment, noise), experiment.lead_field.values
    actual = replace(noise, covariance=brain * noise.covariance)
    bump = np.exp(-(((noise.times - 0.2) / 0.04) ** 2))
    bump *= 11 * seen.sd * np.sqrt(brain) / np.linalg.norm(bump @ seen.whitener)
    chi2 = {}
    for name, extra in (("right", 0 * bump), ("wrong", bump)):
        found = []
        for seed in range(20):
            data = actual.sample(1, np.random.default_rng(seed))[0] + gain * extra
            eeg = xr.DataArray(
                data, {"channel": experiment.lead_field["channel"].values, "time": noise.times},
                ("channel", "time"),
            )  # fmt: skip
            found += goodness(eeg, 0 * bump[None], experiment.lead_field, noise, seen, 0)
        chi2[name] = found
    assert sum(fit.verdict == "explained" for fit in chi2["right"]) >= 18
    assert sum(fit.verdict == "explained" for fit in chi2["wrong"]) <= 2
    allowed = 1 + 3 * np.sqrt(2 / chi2["wrong"][0].degrees_of_freedom)
    drowned = [fit.reduced_chi2 / max(1, fit.baseline_chi2) < allowed for fit in chi2["wrong"]]
    assert np.mean(drowned) > 0.7, "or the test says nothing"


def test_a_density_without_a_possible_draw_has_no_answer(
    experiment: Any, density: TrainedModel, noise: EvokedNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = np.full((1, 7, len(density.names)), np.nan)
    monkeypatch.setattr(type(density.network), "draw", lambda *_: impossible)
    with pytest.raises(ValueError, match="has no answer: none of its draws is possible within the prior"):
        estimate(density, recording(experiment, noise, 0), experiment.lead_field, noise)
