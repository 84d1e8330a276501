"""What the scripts that score estimators have in common: the files that a trial is read from."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import xarray as xr

from jrflow.config.inference import TrainingConfig
from jrflow.eeg.levels import read_levels
from jrflow.inference.campaign import read_trial
from jrflow.inference.trial import Trial


def trial_parser(description: str | None) -> argparse.ArgumentParser:
    """Parser of a trial's files; scripts add their own arguments."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the campaigns")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--test", type=Path, required=True, help="manifest of the test campaign")
    parser.add_argument("--limits", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scores", type=Path, required=True)
    return parser


def trial_of(arguments: argparse.Namespace, training: TrainingConfig, seed: int) -> Trial:
    """Read the trial that the arguments name; sets the number of PyTorch's threads."""
    torch.set_num_threads(arguments.threads)
    lead_field, levels, table = read_levels(arguments.noise)
    snr_db = dict(zip(levels, table["snr_db"].values.tolist(), strict=True))
    limits = xr.load_dataset(arguments.limits, engine="h5netcdf")
    train, test = arguments.train.with_suffix(".zarr"), arguments.test.with_suffix(".zarr")
    return read_trial(train, test, lead_field, levels, snr_db, limits, training, seed)
