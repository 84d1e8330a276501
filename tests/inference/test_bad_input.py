"""What training and evaluation are given may be wrong, and what may look so is not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from pydantic import TypeAdapter

from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig, NetworkConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design.priors import Prior
from jrflow.inference.data.dataset import check_same_experiment, read_evoked_set
from jrflow.inference.from_archives import read_comparison, train_model
from jrflow.inference.recordings.predict import estimate
from jrflow.inference.scoring.baselines import evaluate_baselines
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.inference.scoring.evaluate import evaluate, evaluate_model
from jrflow.inference.training.model import TrainedModel
from jrflow.inference.training.train import train
from jrflow.observe.observation import NoiseLevels
from jrflow.specification import Specification

SNR_DB = {"snr-30": 30.0, "snr-10": 10.0}
TRAINING = TrainingConfig(batch_size=50, max_presentations=900)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=8)


def copied(experiment: Any, folder: Path, campaign: str, **arrays: Any) -> Path:
    """Copy of an archive with some values changed: name to (index, value)."""
    store = folder / f"{campaign}.zarr"
    shutil.copytree(experiment.store(campaign), store)
    for name, (index, value) in arrays.items():
        zarr.open_array(store / name, mode="r+")[index] = value
    return store


def trained(experiment: Any, folder: Path, store: Path | None = None, **changes: Any) -> TrainedModel:
    training = TRAINING.model_copy(update=changes)
    store = store or experiment.store("train")
    return train_model(
        store, experiment.lead_field, experiment.levels, training, NETWORK, 0, folder, progress=None
    )


def limits(names: tuple[str, ...]) -> xr.Dataset:
    values = xr.DataArray(np.full((2, len(names)), 0.9), {"noise": list(SNR_DB), "parameter": list(names)})
    return xr.Dataset({"r2_limit": values})


# What is left out


def test_failed_simulations_never_reach_training_and_the_model_says_so(
    experiment: Any, tmp_path: Path
) -> None:
    bad = {"status": (slice(3, 8), 2), "source": (slice(3, 12), np.nan), "A_e": (slice(12, 14), np.inf)}
    store = copied(experiment, tmp_path, "train", **bad)
    zarr.open_array(store / "status", mode="r+")[20] = 3
    data = read_evoked_set(store, 100.0, 0.0)
    assert not set(data.sim) & {*range(3, 14), 20}
    assert np.isfinite(data.source).all()
    assert np.isfinite(data.targets).all()
    description = trained(experiment, tmp_path / "model", store).description
    assert description.excluded == {"non_finite": 11, "out_of_declared_range": 1}
    assert description.n_training + description.n_validation == 988


def test_an_archive_of_nothing_finite_is_an_error(experiment: Any, tmp_path: Path) -> None:
    store = copied(experiment, tmp_path, "tiny", source=(slice(None), np.nan))
    with pytest.raises(ValueError, match=r"tiny.zarr: expected simulations .*{'non_finite': 40}; .*again"):
        read_evoked_set(store, 100.0, 0.0)


# Archives of something else


def other_archive(folder: Path, n: int = 4, **simulation: Any) -> Path:
    config = Config.model_validate(
        {
            "simulation": simulation,
            "priors": {"half": {"kind": "relative-uniform", "parameters": ["A_e", "b_i"], "half_width": 0.1}},
            "campaigns": {"other": {"design": "prior", "n": n, "prior": "half"}},
            "execution": {"backend": "in-process", "shard_size": n, "chunk_size": n},
        }
    )
    run_campaign(config, "other", folder, progress=None)
    return folder / "other.zarr"


def test_several_regions_are_an_error(tmp_path: Path) -> None:
    protocol = {"kind": "evoked", "n_trials": 2, "isi": 0.2, "tmin": -0.1, "tmax": 0.1, "transient": 0.1}
    store = other_archive(tmp_path, protocol=protocol, connectome={"kind": "synthetic", "n_regions": 3})
    with pytest.raises(ValueError, match=r"expected responses of one region, found 3.*without simulation\."):
        read_evoked_set(store, 100.0, 0.0)


def test_a_recording_at_rest_is_an_error(tmp_path: Path) -> None:
    store = other_archive(tmp_path, protocol={"kind": "rest", "duration": 0.2, "transient": 0.1})
    with pytest.raises(ValueError, match=r"other.zarr: expected evoked responses .*, found .* kind rest"):
        read_evoked_set(store, 100.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("targets", r"targets: A_e, b_i, C, a_2, C_2 in training, A_e here"),
        ("times", r"times .*: \(-0\.1, 0\.3, 401\) in training, \(-0\.1, 0\.29, 391\) here"),
        ("protocol", r"protocol\.stim_rate: 60\.0 in training, 90\.0 here"),
    ],
)
def test_a_test_campaign_of_another_experiment_is_an_error(parts: Parts, change: str, message: str) -> None:
    other = parts.test
    if change == "targets":
        prior = RelativeUniformPrior(kind="relative-uniform", parameters=("A_e",))
        other = replace(other, prior=Prior.of(prior, "unit-consistent"), targets=other.targets[:, :1])
    elif change == "times":
        other = replace(other, epoch=replace(other.epoch, times=other.epoch.times[:-10]))
    else:
        content = other.specification.content
        simulation = content["simulation"]
        protocol = simulation["protocol"] | {"stim_rate": 90.0}
        changed = Specification.parse(content | {"simulation": simulation | {"protocol": protocol}})
        other = replace(other, specification=changed)
    with pytest.raises(ValueError, match=rf"(?s)campaign 'test' does not fit.*{message}.*Give a campaign"):
        check_same_experiment(parts.train, other)
    with pytest.raises(ValueError, match="does not fit the model's training campaign"):
        Parts(parts.train, parts.validation, other)


# Noise and lead fields of something else


def test_noise_of_other_channels_than_the_lead_field_is_an_error(experiment: Any, parts: Parts) -> None:
    fewer = experiment.lead_field.isel(channel=slice(6))
    with pytest.raises(ValueError, match=r"level 'snr-30': expected .* 6 channels, received .* \(8, 8\)"):
        NoiseLevels.of("projected", fewer, experiment.levels, parts.train.epoch)


def test_noise_on_other_times_than_the_responses_is_an_error(experiment: Any, parts: Parts) -> None:
    for times in (experiment.levels["snr-10"].times[:300], experiment.levels["snr-10"].times + 0.1):
        level = {"late": replace(experiment.levels["snr-10"], times=times)}
        with pytest.raises(
            ValueError, match=r"level 'late': expected noise at the times of the responses .*, received"
        ):
            NoiseLevels.of("projected", experiment.lead_field, level, parts.train.epoch)


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"spatial": "channels"}, "8 inputs .* of 30 samples from 0.0055 s"),
        ({"sfreq": 50.0}, "1 inputs .* of 15 samples from 0.0105 s"),
        ({"tmin": 0.05}, "1 inputs .* of 25 samples from 0.0555 s"),
    ],
)
def test_a_model_is_scored_on_what_it_was_trained_on(
    experiment: Any, tmp_path: Path, parts: Parts, changes: dict[str, Any], received: str
) -> None:
    model = trained(experiment, tmp_path)
    stores = experiment.store("train"), experiment.store("test")
    comparison = read_comparison(
        *stores, experiment.lead_field, experiment.levels, SNR_DB, limits(parts.test.names),
        TRAINING.model_copy(update=changes), 0,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=f"expected responses of 1 inputs .* of 30 samples .* received {received}"
    ):
        evaluate_model(model, comparison)


def test_another_montage_than_the_models_is_an_error(experiment: Any, tmp_path: Path) -> None:
    model = trained(experiment, tmp_path, spatial="channels")
    lead_field = experiment.lead_field.isel(channel=slice(6))
    noise = experiment.levels["snr-10"]
    eeg = xr.DataArray(
        np.zeros((6, 401)),
        {"channel": lead_field["channel"].values, "time": noise.times},
        ("channel", "time"),
    )
    with pytest.raises(ValueError, match=r"expected noise of the lead field's 6 channels, .* \(8, 8\)"):
        estimate(model, eeg, lead_field, noise)
    fitting = replace(noise, covariance=np.eye(6) - 1 / 6)
    with pytest.raises(ValueError, match=r"expected responses of 8 inputs .* received 6 inputs"):
        estimate(model, eeg, lead_field, fitting)


# Checkpoints


def test_a_checkpoint_of_another_architecture_is_an_error(
    parts: Parts, noise: NoiseLevels, tmp_path: Path
) -> None:
    train(parts.train, parts.validation, noise, TRAINING, NETWORK, 0, folder=tmp_path, progress=None)
    wider = NETWORK.model_copy(update={"hidden": 12})
    with pytest.raises(ValueError, match=r"checkpoint of another training: settings, .* rm -r"):
        train(parts.train, parts.validation, noise, TRAINING, wider, 0, folder=tmp_path, progress=None)


# One parameter alone is nothing bad


@pytest.fixture(scope="module")
def alone(parts: Parts, noise: NoiseLevels) -> Comparison:
    """A comparison of which b_i is the only target."""
    all_four = parts.train.prior
    prior = replace(all_four, varied={"b_i": all_four.varied["b_i"]})
    train_, validation, test = (
        replace(part, prior=prior, targets=part.targets[:, 1:2])
        for part in (parts.train, parts.validation, parts.test)
    )
    return Comparison(Parts(train_, validation, test), noise, SNR_DB, limits(("b_i",))["r2_limit"], 0)


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "bilstm", "samples_per_step": 10, "hidden": 16},
        *({"kind": "npe", "flow": flow, "samples_per_step": 10, "hidden": 16, "transforms": 2,
           "flow_hidden": 16, "learning_rate": 0.01} for flow in ("maf", "nsf")),
    ],
    ids=["bilstm", "maf", "nsf"],
)  # fmt: skip
def test_one_parameter_can_be_learnt(alone: Comparison, network: dict[str, Any]) -> None:
    section: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
    config = TRAINING.model_copy(update={"max_presentations": 9000})
    data = alone.parts
    fit = train(
        data.train, data.validation, alone.noise, config, section.validate_python(network), 0, progress=None
    )
    table, labelled = evaluate(fit.network, network["kind"], alone)
    rows = table.set_index("noise")
    assert list(table.parameter) == ["b_i", "b_i"]
    assert rows.r2["snr-30"] > 0.7
    assert rows.coverage_90.between(0.75, 1).all()
    assert labelled.predicted.shape == (2, 300, 1)


def test_one_parameter_has_baselines(alone: Comparison) -> None:
    rows = evaluate_baselines(alone).set_index(["estimator", "noise"])
    assert rows.r2["extra-trees", "snr-30"] > 0.4
    assert (rows.n == 300).all()
    assert len(rows) == 4
