"""What a run left on disk is read in the order in which the report shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jrflow.config import Config
from jrflow.report.inputs import RunResults

STORED = ["loud", "quiet", "soft"]
CONFIG = Config.model_validate(
    {
        "priors": {"half": {"kind": "relative-uniform"}},
        "campaigns": {"train": {"design": "prior", "n": 64, "prior": "half"}},
    }
)
SNR_DB = {"loud": 0.0, "quiet": 40.0, "soft": 20.0}


@pytest.fixture
def run(tmp_path: Path) -> RunResults:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    pd.DataFrame({"noise": STORED, "snr_db": [SNR_DB[name] for name in STORED]}).to_csv(
        folder / "scores.csv", index=False
    )
    pd.DataFrame({"noise": STORED * 2, "r2": range(6)}).to_csv(folder / "learning_curve.csv", index=False)
    predicted = xr.Dataset({"predicted": ("noise", np.arange(3.0))}, {"noise": STORED})
    predicted.to_netcdf(folder / "model-predictions.nc", engine="h5netcdf")
    return RunResults(tmp_path, CONFIG)


def test_noise_levels_are_in_the_order_of_their_signal_to_noise_ratios(run: RunResults) -> None:
    """In every figure and table, so that a level has one colour and one place."""
    predictions, curve = run.predictions("model"), run.learning_curve
    assert predictions is not None
    assert curve is not None
    assert (
        predictions["noise"].values.tolist() == curve["noise"].unique().tolist() == ["loud", "soft", "quiet"]
    )
    assert predictions["predicted"].values.tolist() == [0, 2, 1]
    assert curve["r2"].tolist() == [0, 3, 2, 5, 1, 4]


def test_what_is_absent_is_none(tmp_path: Path) -> None:
    run = RunResults(tmp_path, CONFIG)
    assert run.predictions("model") is None
    assert run.learning_curve is None
