"""Score a model and the baselines on its test campaign."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import xarray as xr

from jrflow.eeg.levels import read_levels
from jrflow.inference.campaign import evaluate_model
from jrflow.inference.model import load_model


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--test", type=Path, required=True, help="manifest of the test campaign")
    parser.add_argument("--limits", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    lead_field, levels, table = read_levels(arguments.noise)
    scores, predictions = evaluate_model(
        load_model(arguments.model),
        arguments.train.with_suffix(".zarr"),
        arguments.test.with_suffix(".zarr"),
        lead_field,
        levels,
        dict(zip(levels, table["snr_db"].values.tolist(), strict=True)),
        xr.load_dataset(arguments.limits, engine="h5netcdf"),
        n_jobs=arguments.threads,
    )
    scores.to_csv(arguments.scores, index=False)
    predictions.to_netcdf(arguments.predictions, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
