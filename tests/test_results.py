"""The page of results says what the stored scores say, and refined scores are comparisons."""

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


def test_refined_scores_are_compared_on_the_same_simulations(tmp_path: Path, script: dict[str, Any]) -> None:
    """What refinement halves, it halves for all, however lucky the few were; and what it adds, it adds."""
    rng = np.random.default_rng(0)
    true, n = rng.normal(size=(5000, 1)), 50
    # The first ones are easy.
    error = rng.normal(size=true.shape) * np.where(np.arange(len(true)) < n, 0.2, 0.5)[:, None]
    dims, names = ("noise", "sim", "parameter"), {"noise": ["loud"], "parameter": ["A_e"]}
    xr.Dataset(
        {
            "true": (dims[1:], true),
            "predicted": (dims, (true + error)[None]),
            "refined": (("noise", "first_sim", "parameter"), (true + error / 2)[None, :n]),
        },
        coords={"sim": np.arange(5000), "first_sim": np.arange(n), **names},
    ).to_netcdf(write(tmp_path / "evaluation/mlp-predictions.nc"), engine="h5netcdf")
    gold = xr.Dataset(
        {"mean": (("noise", "case", "parameter"), (true + error / 3)[None, :n])},
        coords={"case": np.arange(n), **names},
    )
    gold.to_netcdf(write(tmp_path / "limits/mlp-gold.nc"), engine="h5netcdf")
    of = {
        name: (("noise", "parameter"), [[value]]) for name, value in (("r2_limit", 0.93), ("r2_lost", 0.03))
    }
    xr.Dataset(of, coords=names).to_netcdf(tmp_path / "limits/mlp.nc", engine="h5netcdf")
    given = {"noise": "loud", "parameter": "A_e", "r2": [0.7, 1]}
    pd.DataFrame({"estimator": ["mlp", "mlp+exact"], **given}).to_csv(
        tmp_path / "evaluation/mlp-scores.csv", index=False
    )
    found = script["with_refined"](tmp_path / "evaluation/mlp-scores.csv").set_index("estimator")
    assert found["r2"]["mlp"] == 0.7, "as it was"
    of_first = (error[:n] ** 2).mean() / true.var()
    gained = 1 - (error**2).mean() / true.var() + 0.75 * of_first
    assert found["r2_gain"]["mlp+exact"] == pytest.approx(gained)
    assert found["r2"]["mlp+exact"] == pytest.approx(0.9 - (1 / 4 - 1 / 9) * of_first)
    assert found["r2_se"]["mlp+exact"] < found["r2_gain_se"]["mlp+exact"]
    moved = gold.assign_coords(case=np.arange(n) + 1)
    moved.to_netcdf(tmp_path / "limits/mlp-gold.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="sim"):
        script["with_refined"](tmp_path / "evaluation/mlp-scores.csv")


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
