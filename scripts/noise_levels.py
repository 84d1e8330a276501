"""Resolve the configured noise levels against a model's training campaign."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from jrflow.archive import open_archive
from jrflow.config import load_config
from jrflow.eeg.levels import noise_levels
from jrflow.eeg.processing import Processing


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--lead-field", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    lead_field = xr.load_dataarray(arguments.lead_field, engine="h5netcdf")
    train = open_archive(arguments.train.with_suffix(".zarr"))
    processing = Processing.of(config.eeg.processing)
    levels = noise_levels(config.eeg.noise, lead_field, config.simulation.timing, train, processing)
    levels.to_netcdf(arguments.out, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
