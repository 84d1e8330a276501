"""The page of results says what the stored scores say, and refined scores are gains on the network's."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/results.py"), run_name="results")


def test_the_page_is_what_the_script_makes_of_the_scores(script: dict[str, Any]) -> None:
    """If not: python benchmarks/results.py, and read whether the text still holds."""
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


def test_refined_scores_are_gains_on_the_same_simulations(tmp_path: Path, script: dict[str, Any]) -> None:
    """What refinement halves, it halves for all, however lucky the few were."""
    rng = np.random.default_rng(0)
    true, n = rng.normal(size=(5000, 1)), 50
    # The first ones are easy.
    error = rng.normal(size=true.shape) * np.where(np.arange(len(true)) < n, 0.2, 0.5)[:, None]
    dims = ("noise", "sim", "parameter")
    xr.Dataset(
        {
            "true": (dims[1:], true),
            "predicted": (dims, (true + error)[None]),
            "refined": (("noise", "first_sim", "parameter"), (true + error / 2)[None, :n]),
        },
        coords={"sim": np.arange(5000), "first_sim": np.arange(n), "noise": ["loud"], "parameter": ["A_e"]},
    ).to_netcdf(tmp_path / "mlp-predictions.nc", engine="h5netcdf")
    table = pd.DataFrame(
        {"estimator": ["mlp", "mlp+exact"], "noise": "loud", "parameter": "A_e", "r2": [0.7, 1]}
    )
    table.to_csv(tmp_path / "mlp-scores.csv", index=False)
    found = script["by_gain"](tmp_path / "mlp-scores.csv").set_index("estimator")["r2"]
    assert found["mlp"] == 0.7, "as it was"
    gain = 0.75 * (error[:n] ** 2).mean() / true.var()
    assert found["mlp+exact"] == pytest.approx(1 - (error**2).mean() / true.var() + gain)
