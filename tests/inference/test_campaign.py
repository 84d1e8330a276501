"""A model from its archives to its folder, its scores and its learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

from jrflow.config.inference import LearningCurveConfig, TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.data.randomness import Stream, torch_generator
from jrflow.inference.from_archives import read_comparison, trace_learning_curve, train_model
from jrflow.inference.scoring.baselines import evaluate_baselines
from jrflow.inference.scoring.comparison import COLUMNS, Comparison, Parts
from jrflow.inference.scoring.evaluate import evaluate_model
from jrflow.inference.scoring.learning import learning_curve
from jrflow.inference.training.model import TrainedModel, load_model
from jrflow.observe.observation import NoiseLevels

TRAINING = TrainingConfig(batch_size=50, max_presentations=9000)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=16)
SNR_DB = {"snr-30": 30.0, "snr-10": 10.0}


@pytest.fixture(scope="module")
def saved(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, Path]:
    """A trained model and its folder."""
    folder, store = tmp_path_factory.mktemp("model"), experiment.store("train")
    model = train_model(
        store, experiment.lead_field, experiment.levels, TRAINING, NETWORK, 0, folder, estimator="bilstm",
        progress=None,
    )  # fmt: skip
    return model, folder


@pytest.fixture(scope="module")
def model(saved: tuple[TrainedModel, Path]) -> TrainedModel:
    return saved[0]


@pytest.fixture(scope="module")
def folder(saved: tuple[TrainedModel, Path]) -> Path:
    return saved[1]


@pytest.fixture(scope="module")
def limits() -> xr.Dataset:
    names = ["A_e", "b_i", "C", "a_2", "C_2"]
    values = np.arange(10.0).reshape(2, 5) / 10
    coords = {"noise": ["snr-10", "snr-30"], "parameter": names}
    return xr.Dataset({"r2_limit": (("noise", "parameter"), values)}, coords=coords)


def comparison_of(
    experiment: Any, limits: xr.Dataset, stores: tuple[str, str] = ("train", "test")
) -> Comparison:
    train, test = map(experiment.store, stores)
    return read_comparison(train, test, experiment.lead_field, experiment.levels, SNR_DB, limits, TRAINING, 0)


@pytest.fixture(scope="module")
def evaluation(experiment: Any, model: TrainedModel, limits: xr.Dataset) -> tuple[pd.DataFrame, xr.Dataset]:
    comparison = comparison_of(experiment, limits)
    table, predictions = evaluate_model(model, comparison)
    return pd.concat([table, evaluate_baselines(comparison)]), predictions


def test_a_model_comes_back_as_it_was_saved(model: TrainedModel, folder: Path, parts: Parts) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.csv", "model.json", "tensorboard", "weights.safetensors",
    ]  # fmt: skip
    loaded = load_model(folder)
    assert loaded.description == model.description
    observed, sd = torch.from_numpy(parts.test.source[:, None]), torch.full((300,), 0.5)
    np.testing.assert_array_equal(loaded.network.predict(observed, sd), model.network.predict(observed, sd))
    description = loaded.description
    assert [target.unit for target in description.targets] == ["mV", "1/s", "1", "1", "1"]
    assert (description.n_training, description.n_validation) == (900, 100)
    assert (description.preset, description.campaign) == ("unit-consistent", "train")
    assert len(pd.read_csv(folder / "history.csv")) == 10


@pytest.mark.parametrize("change", ["architecture", "weights"])
def test_weights_of_another_architecture_are_an_error(folder: Path, tmp_path: Path, change: str) -> None:
    description = (folder / "model.json").read_text()
    tensors = load_file(folder / "weights.safetensors")
    if change == "architecture":
        description = description.replace('"hidden": 16', '"hidden": 32')
    else:
        del tensors["head.bias"]
    (tmp_path / "model.json").write_text(description)
    save_file(tensors, tmp_path / "weights.safetensors")
    with pytest.raises(
        ValueError, match=r"(?s)does not fit the architecture in model.json:\n.*head\."
    ) as caught:
        load_model(tmp_path)
    assert ("head.bias: absent" in str(caught.value)) == (change == "weights")


def test_damaged_files_are_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a trained model"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "model.json").write_text((folder / "model.json").read_text())
    with pytest.raises(ValueError, match="expected weights in safetensors"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="expected a model of format 'jrflow-model-3', found 'other'"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"format": "jrflow-model-3"}')
    with pytest.raises(ValueError, match="expected the description of a model of format jrflow-model-3"):
        load_model(tmp_path)


def test_scores_hold_every_estimator_level_and_parameter(evaluation: Any, limits: xr.Dataset) -> None:
    table, _ = evaluation
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 2 * 5
    assert set(table.n) == {300}
    assert table.snr_db.groupby(table.noise).first().to_dict() == SNR_DB
    for row in table.itertuples():
        assert row.r2_limit == limits.r2_limit.sel(noise=row.noise, parameter=row.parameter)
    rows = table.set_index(["estimator", "noise", "parameter"]).sort_index()
    assert rows.r2["bilstm", "snr-30", "b_i"] > 0.8
    assert rows.r2["extra-trees", "snr-30", "b_i"] > 0.4
    assert rows.r2["mean"].abs().max() < 0.05
    assert rows.pearson_r["mean"].isna().all()
    assert rows.pearson_r["bilstm"].notna().all()


def test_intervals_of_every_estimator_cover(evaluation: Any) -> None:
    table, predictions = evaluation
    assert table.coverage_90.between(0.8, 0.98).all()
    assert table.groupby("estimator").coverage_90.mean().sub(0.9).abs().max() < 0.04
    covered = ((predictions.low <= predictions.true) & (predictions.true <= predictions.high)).mean("sim")
    rows = table[table.estimator == "bilstm"].set_index(["noise", "parameter"]).coverage_90
    for (noise, parameter), expected in rows.items():
        assert covered.sel(noise=noise, parameter=parameter) == pytest.approx(expected)


def test_predictions_are_labelled(evaluation: Any, experiment: Any) -> None:
    _, predictions = evaluation
    assert dict(predictions.sizes) == {"sim": 300, "parameter": 5, "noise": 2}
    np.testing.assert_array_equal(predictions.true, experiment.read("test").targets)


def test_tabulated_intervals_hold_between_the_levels(
    model: TrainedModel, parts: Parts, noise: NoiseLevels
) -> None:
    sd = float(np.sqrt(noise.sd.prod()))  # no level, and not in the table
    source = torch.from_numpy(parts.test.source)
    told = torch.full((len(source),), sd)
    generator = torch_generator(9, Stream.TEST)
    observed = draw_observations(noise.observations[0], source, told, generator)
    inside = np.abs(model.network.predict(observed, told) - parts.test.targets) <= model.calibration.at(sd)
    np.testing.assert_allclose(inside.mean(axis=0), 0.9, atol=0.08)
    widths = [model.calibration.at(level).mean() for level in sorted(noise.sd)]
    assert widths[0] < model.calibration.at(sd).mean() < widths[1]


def test_another_archive_than_the_models_is_an_error(
    experiment: Any, model: TrainedModel, limits: xr.Dataset
) -> None:
    comparison = comparison_of(experiment, limits, ("test", "train"))
    with pytest.raises(ValueError, match="campaign 'test' is not the one that the model was trained on"):
        evaluate_model(model, comparison)


def test_channels_are_learnt_from_as_well(experiment: Any, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"spatial": "channels", "max_presentations": 3600})
    model = train_model(
        experiment.store("train"),
        experiment.lead_field,
        experiment.levels,
        training,
        NETWORK,
        0,
        tmp_path,
        progress=None,
    )
    assert model.description.architecture.n_inputs == 8
    assert pd.read_csv(tmp_path / "history.csv").validation_loss.min() < 0.85


def test_the_learning_curve_sets_simulations_against_epochs(experiment: Any) -> None:
    curve = LearningCurveConfig(model="any", sizes=(100, 900), presentations=1800, more_epochs=2)
    table = trace_learning_curve(
        experiment.store("train"), experiment.store("test"), experiment.lead_field, experiment.levels,
        TRAINING, NETWORK, curve, 0, progress=None,
    )  # fmt: skip
    runs = table.groupby(["n_simulations", "n_presentations"]).epochs.first().to_dict()
    assert runs == {(100, 1800): 18, (900, 1800): 2, (100, 3600): 36}
    assert len(table) == 3 * 2 * 5


def test_a_curve_longer_than_the_campaign_is_an_error(parts: Parts, noise: NoiseLevels) -> None:
    curve = LearningCurveConfig(model="any", sizes=(100, 901), presentations=100)
    with pytest.raises(ValueError, match="901 training simulations are configured, but only 900"):
        learning_curve(parts, noise, TRAINING, NETWORK, curve, 0, progress=None)
