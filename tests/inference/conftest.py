"""A small experiment: two campaigns of short responses, eight channels, two noise levels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.eeg import SnrNoise
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.data.dataset import EvokedSet, read_evoked_set, split
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.observation import NoiseLevels
from jrflow.observe.projection import reference_rms

SNR_DB = {"snr-30": 30.0, "snr-10": 10.0}
TRAINING = TrainingConfig(batch_size=50, max_presentations=9000)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=16)
PROTOCOL = {"kind": "evoked", "n_trials": 4, "isi": 0.4, "tmin": -0.1, "tmax": 0.3, "transient": 0.1}
VARIED = ["A_e", "b_i", "C", "a_2"]


@dataclass(frozen=True)
class Experiment:
    folder: Path
    config: Config
    lead_field: xr.DataArray
    levels: dict[str, EvokedNoise]

    def store(self, campaign: str) -> Path:
        return self.folder / f"{campaign}.zarr"

    def read(self, campaign: str) -> EvokedSet:
        return read_evoked_set(self.store(campaign), TRAINING.sfreq, TRAINING.tmin)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    campaigns = {
        "train": {"design": "prior", "n": 1000, "prior": "half"},
        "test": {"design": "prior", "n": 300, "prior": "half"},
        "tiny": {"design": "prior", "n": 40, "prior": "half"},
        "other-preset": {"design": "prior", "n": 40, "prior": "half", "preset": "as-published"},
    }
    config = Config.model_validate(
        {
            "simulation": {"protocol": PROTOCOL},
            "priors": {"half": {"kind": "relative-uniform", "parameters": VARIED}},
            "campaigns": campaigns,
            "eeg": {"noise": {"any": {"kind": "snr", "snr_db": 20}}},
            "execution": {"backend": "in-process", "shard_size": 256, "chunk_size": 64},
        }
    )
    folder = tmp_path_factory.mktemp("archives")
    for name in campaigns:
        run_campaign(config, name, folder, progress=None)
    gain = np.random.default_rng(3).standard_normal((8, 1))
    lead_field = xr.DataArray(
        gain - gain.mean(axis=0), dims=("channel", "region"),
        coords={"channel": [f"E{i}" for i in range(8)], "region": ["column"]},
        attrs={"position_requested": [-40.0, 12.0, 47.0], "extent_mm": 10.0, "moment_nAm_per_mV": 13.0},
    )  # fmt: skip
    size = reference_rms(open_archive(folder / "train.zarr")["source"], lead_field)
    timing = config.simulation.timing
    levels = {
        name: noise_level(SnrNoise(kind="snr", snr_db=db), lead_field, timing, size)
        for name, db in SNR_DB.items()
    }
    return Experiment(folder, config, lead_field, levels)


@pytest.fixture(scope="session")
def parts(experiment: Experiment) -> Parts:
    return Parts(*split(experiment.read("train"), 0.1, seed=0), experiment.read("test"))


@pytest.fixture(scope="session")
def noise(experiment: Experiment, parts: Parts) -> NoiseLevels:
    return NoiseLevels.of("projected", experiment.lead_field, experiment.levels, parts.train.epoch)


@pytest.fixture(scope="session")
def comparison(parts: Parts, noise: NoiseLevels) -> Comparison:
    values = np.full((len(SNR_DB), len(parts.test.names)), 0.9)
    limits = xr.DataArray(
        values,
        coords={"noise": list(SNR_DB), "parameter": list(parts.test.names)},
        dims=("noise", "parameter"),
    )
    return Comparison(parts, noise, SNR_DB, limits, seed=0)
