"""What may be wrong with the files and options of jrflow infer: an error names it, nothing is inferred."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
import pytest
import torch
import xarray as xr

import jrflow
from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.cli import main
from jrflow.config import Config
from jrflow.config.eeg import SnrNoise
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import MLPConfig
from jrflow.inference.from_archives import train_model
from jrflow.observe.evoked import to_evoked
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.projection import reference_rms

PROTOCOL = {"kind": "evoked", "n_trials": 4, "isi": 0.4, "tmin": -0.1, "tmax": 0.3, "transient": 0.1}


@dataclass(frozen=True)
class Files:
    """A trained model, and what a good recording for it is made of."""

    model: Path
    lead_field: xr.DataArray
    noise: EvokedNoise
    evoked: mne.Evoked
    covariance: mne.Covariance


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("infer")
    config = Config.model_validate(
        {
            "simulation": {"protocol": PROTOCOL},
            "priors": {"half": {"kind": "relative-uniform", "parameters": ["A_e", "b_i", "C"]}},
            "campaigns": {"train": {"design": "prior", "n": 500, "prior": "half"}},
            "execution": {"backend": "in-process", "shard_size": 256, "chunk_size": 64},
        }
    )
    run_campaign(config, "train", folder, progress=None)
    gain = jrflow.lead_field("biosemi16")
    archive = open_archive(folder / "train.zarr")
    size = reference_rms(archive["source"], gain)
    noise = noise_level(SnrNoise(kind="snr", snr_db=10), gain, config.simulation.timing, size)
    training = TrainingConfig(batch_size=50, max_presentations=900, noise_margin=3.0)
    train_model(
        folder / "train.zarr", gain, {"ten": noise}, training, MLPConfig(hidden=16), 0, folder / "model",
        progress=None,
    )  # fmt: skip
    evoked = to_evoked(archive, sim=3, lead_field=gain, noise=noise)
    n = len(gain)
    sd = np.sqrt(np.trace(noise.covariance) / (n - 1) * noise.n_averages) * 1e-6
    covariance = mne.Covariance(np.full(n, sd**2), evoked.ch_names, [], [], nfree=10_000)
    return Files(folder / "model", gain, noise, evoked, covariance)


def infer(
    files: Files, evokeds: list[mne.Evoked], covariance: mne.Covariance, folder: Path, *more: str
) -> int:
    mne.write_evokeds(folder / "it-ave.fif", evokeds, verbose="error")
    covariance.save(folder / "it-cov.fif", verbose="error")
    words = ["infer", folder / "it-ave.fif", "--model", files.model, "--cov", folder / "it-cov.fif"]
    return main([*map(str, words), *more])


def test_a_good_recording_has_an_answer_in_json(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(files, [files.evoked], files.covariance, tmp_path, "--json") == 0

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    (found,) = json.loads(capsys.readouterr().out, parse_constant=refused)["responses"]
    assert found["parameters"].keys() == {"A_e", "b_i", "C"}
    assert found["noise_in_range"]
    assert found["noise_inflation"] == 1


def nan_channel(evoked: mne.Evoked) -> None:
    evoked.data[4] = np.nan


def nan_sample(evoked: mne.Evoked) -> None:
    evoked.data[4, 30] = np.inf


def flat_channels(evoked: mne.Evoked) -> None:
    evoked.data[4] = evoked.data[6] = 1e-6


def zeros(evoked: mne.Evoked) -> None:
    evoked.data[:] = 0


def microvolts(evoked: mne.Evoked) -> None:
    evoked.data *= 1e6


def teravolts(evoked: mne.Evoked) -> None:
    evoked.data *= 1e-9


def all_bad(evoked: mne.Evoked) -> None:
    evoked.info["bads"] = evoked.ch_names


def no_eeg(evoked: mne.Evoked) -> None:
    for channel in evoked.info["chs"]:
        channel["kind"] = mne.io.constants.FIFF.FIFFV_ECOG_CH


def late(evoked: mne.Evoked) -> None:
    evoked.crop(0.05)


def short(evoked: mne.Evoked) -> None:
    evoked.crop(None, 0.2)


def lowpassed(evoked: mne.Evoked) -> None:
    with evoked.info._unlock():
        evoked.info["lowpass"] = 8.0


def standard_error(evoked: mne.Evoked) -> None:
    evoked.kind = "standard_error"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (nan_channel, ["sim 3", "{4}", "finite"]),
        (nan_sample, ["sim 3", "{4}", "finite"]),
        (flat_channels, ["sim 3", "{4}, {6}", "bad"]),
        (zeros, ["sim 3", "constant"]),
        (microvolts, ["sim 3", "uV instead of V"]),
        (teravolts, ["sim 3", "expected EEG in V"]),
        (all_bad, ["EEG", "bad"]),
        (no_eeg, ["EEG", "ecog"]),
        (late, ["sim 3", "baseline"]),
        (short, ["sim 3", "0.200 s"]),
        (lowpassed, ["sim 3", "lowpass: 8", "no low-pass filter", "low-pass filter at 8 Hz"]),
        (standard_error, ["standard_error"]),
    ],
)
def test_a_response_that_cannot_be_used_is_an_error(
    files: Files,
    change: Callable[[mne.Evoked], None],
    named: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evoked = files.evoked.copy()
    change(evoked)
    assert infer(files, [evoked], files.covariance, tmp_path) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for words in named:
        assert words.format(*evoked.ch_names, *"0123456789") in said.err
    assert "Traceback" not in said.err


def test_one_response_that_cannot_be_used_leaves_the_others(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, error = files.evoked.copy(), files.evoked.copy()
    nan_channel(bad)
    bad.comment, error.kind = "broken", "standard_error"
    assert infer(files, [bad, files.evoked, error], files.covariance, tmp_path, "--json") == 2
    said = capsys.readouterr()
    content = json.loads(said.out)
    assert [one["response"] for one in content["responses"]] == ["sim 3"]
    assert [one["response"] for one in content["failures"]] == ["broken"]
    assert "broken" in said.err
    assert files.evoked.ch_names[4] in said.err


def covariance(files: Files, data: np.ndarray) -> mne.Covariance:
    return mne.Covariance(data, files.evoked.ch_names, [], [], nfree=100)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (np.zeros(16), "above 0"),
        (np.full(16, np.nan), "finite"),
        (np.diag(np.full(16, np.inf)), "finite"),
        (np.full(16, 25.0), "V^2"),
        (np.full(16, 1e-30), "V^2"),
        (-np.full(16, 1e-12), "above 0"),
        (1e-12 * (np.eye(16) - 2 * np.eye(16)[::-1]), "eigenvalue"),
    ],
    ids=["zeros", "nan", "infinite", "uV^2", "tiny", "negative", "not-a-covariance"],
)
def test_a_covariance_that_cannot_be_one_is_an_error(
    files: Files, data: np.ndarray, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(files, [files.evoked], covariance(files, data), tmp_path) == 2
    said = capsys.readouterr().err
    assert "it-cov.fif" in said
    assert named in said


@pytest.mark.parametrize("content", ["text", "truncated", "empty", "covariance"])
def test_a_file_without_evoked_responses_is_an_error(
    files: Files, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, whole = tmp_path / "it-ave.fif", tmp_path / "whole-ave.fif"
    files.evoked.save(whole, verbose="error")
    files.covariance.save(tmp_path / "it-cov.fif", verbose="error")
    data = whole.read_bytes()
    written = {
        "text": b"not a recording", "truncated": data[: len(data) // 2], "empty": b"",
        "covariance": (tmp_path / "it-cov.fif").read_bytes(),
    }  # fmt: skip
    path.write_bytes(written[content])
    words = ["infer", path, "--model", files.model, "--cov", tmp_path / "it-cov.fif"]
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert "it-ave.fif: expected evoked responses" in said
    assert "Traceback" not in said
    assert "struct" not in said


@pytest.mark.parametrize(
    "position", [("nan", "0", "0"), ("inf", "0", "0"), ("0", "1000", "0"), ("0", "0", "left")]
)
def test_a_position_that_cannot_be_one_is_an_error(
    files: Files, position: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        infer(files, [files.evoked], files.covariance, tmp_path, "--position", *position)
    assert ended.value.code == 2
    assert "--position" in capsys.readouterr().err


def test_copies_of_settings_are_validated(files: Files) -> None:
    from jrflow.inference.training.model import load_model

    d = load_model(files.model).description
    for section, changes in (
        (d.source, {"position": (np.nan, 0, 0)}),
        (d.source, {"extent": -1.0}),
        (d.training, {"batch_size": 0}),
        (d.simulation, {"dt": 0.0}),
        (d.processing, {"baseline": None}),
        (d.training, {"batchsize": 7}),
    ):
        with pytest.raises(ValueError, match=next(iter(changes))):
            section.model_copy(update=changes)
    assert d.source.model_copy(update={"extent": 5.0}).extent == 5
