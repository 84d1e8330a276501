"""jrflow infer: from files of MNE and a model's folder to what it says at a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.archive import open_archive
from jrflow.cli import main
from jrflow.config.eeg import CovarianceNoise
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.from_archives import train_model
from jrflow.inference.recordings.files import as_text, infer_recordings
from jrflow.inference.training.model import load_model
from jrflow.observe.evoked import to_evoked
from jrflow.observe.noise import EvokedNoise, noise_level, spatial_filter

TRAINING = TrainingConfig(batch_size=50, max_presentations=3000)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=16)
N_AVERAGES = 25


@dataclass(frozen=True)
class Recorded:
    """Files: a model's folder; two responses, the second of another place; the covariance of raw samples."""

    model: Path
    evoked: Path
    covariance: Path
    lead_field: xr.DataArray
    noise: EvokedNoise


@pytest.fixture(scope="module")
def recorded(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    train_model(
        experiment.store("train"), experiment.lead_field, experiment.levels, TRAINING, NETWORK, 0,
        folder / "model", progress=None,
    )  # fmt: skip
    model = load_model(folder / "model")
    gain, timing = jrflow.lead_field("biosemi32"), model.description.simulation.timing
    wanted = model.description.noise_levels["snr-10"]
    power = 1e-12
    for _ in range(2):  # of the covariance: first to see how large the source's noise is, then as wanted
        channels = gain["channel"].values.tolist()
        covariance = mne.Covariance(np.full(len(channels), power), channels, [], [], nfree=1000)
        covariance.save(folder / "raw-cov.fif", overwrite=True, verbose="error")
        given = CovarianceNoise(kind="covariance", path=str(folder / "raw-cov.fif"))
        noise = noise_level(given, gain, timing).averaged(N_AVERAGES)
        power *= (wanted / spatial_filter(gain, noise)[1]) ** 2
    archive = open_archive(experiment.store("test"))
    here, elsewhere = (to_evoked(archive, sim=sim, lead_field=gain, noise=noise) for sim in (0, 1))
    elsewhere.data[:] = 100 * np.roll(elsewhere.data, 11, axis=0)
    mne.write_evokeds(folder / "two-ave.fif", [here, elsewhere], overwrite=True, verbose="error")
    return Recorded(folder / "model", folder / "two-ave.fif", folder / "raw-cov.fif", gain, noise)


def test_a_terminal_is_told_what_is_explained_and_what_the_parameters_are(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["infer", recorded.evoked, "--model", recorded.model, "--cov", recorded.covariance, "--exact"]
    assert main([str(word) for word in words]) == 0
    here, elsewhere = capsys.readouterr().out.split("\n\n")
    assert here.startswith("sim 0 (25 averages): explained by the model")
    assert "noise alone has a residual as large as that of the best fit: p = " in here
    assert "With a probability of 80 %, this test would have detected a second source of " in here
    network, exact = here.split("exact posterior of this response (R-hat ")
    assert "do not rely on it" not in exact
    for name in ("A_e", "b_i", "C", "a_2", "C_2"):
        assert f"\n  {name:4} " in network
        assert f"\n  {name:4} " in exact
    assert elsewhere.startswith("sim 1 (25 averages): not explained by the model")
    assert elsewhere.rstrip().endswith("no exact posterior: the model does not explain the response")
    assert "outside the range in training" not in here


def test_chains_that_did_not_move_or_agree_or_are_too_short_are_no_posterior_to_rely_on(
    recorded: Recorded,
) -> None:
    model = load_model(recorded.model)
    lead_field, noise = recorded.lead_field, recorded.noise
    (found, _), _ = infer_recordings(model, recorded.evoked, lead_field, noise)
    for rhat, ess, resolved in ((None, 0.0, False), (1.5, 500.0, True), (1.01, 90.0, False)):
        exact = {"parameters": found["parameters"], "rhat": rhat, "ess": ess, "resolved": resolved}
        assert "not resolved: do not rely on it):" in as_text([found | {"exact": exact}], model, exact=True)


def test_what_the_workflow_writes_is_labelled(recorded: Recorded) -> None:
    model = load_model(recorded.model)
    estimates, responses = infer_recordings(model, recorded.evoked, recorded.lead_field, recorded.noise)
    assert [one["response"] for one in estimates] == ["sim 0", "sim 1"] == list(responses["response"].values)
    assert [one["n_averages"] for one in estimates] == [N_AVERAGES, N_AVERAGES]
    assert all(one["exact"] is None for one in estimates), "nobody asked"
    assert responses["measured"].dims == ("response", "channel", "time")
    assert estimates[0]["parameters"].keys() == {"A_e", "b_i", "C", "a_2", "C_2"}


def test_a_model_that_is_not_there_is_an_error(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["infer", recorded.evoked, "--model", tmp_path, "--cov", recorded.covariance]
    assert main([str(word) for word in words]) != 0
    assert "expected the folder of a trained model" in capsys.readouterr().err
