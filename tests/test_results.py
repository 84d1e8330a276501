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
        attrs={"campaign": "test"},
    ).to_netcdf(write(tmp_path / "evaluation/mlp-predictions.nc"), engine="h5netcdf")
    gold = xr.Dataset(
        {
            "mean": (("noise", "case", "parameter"), (true + error / 3)[None, : 2 * n]),
            "true": (("case", "parameter"), true[: 2 * n]),
        },
        coords={"case": np.arange(2 * n), **names},
        attrs={"campaign": "test", "seed": 3},
    )
    gold.to_netcdf(write(tmp_path / "limits/first-gold.nc"), engine="h5netcdf")
    of = {
        name: (("noise", "parameter"), [[value]]) for name, value in (("r2_limit", 0.93), ("r2_lost", 0.03))
    }
    xr.Dataset(of, coords=names).to_netcdf(tmp_path / "limits/first.nc", engine="h5netcdf")
    given = {"noise": "loud", "parameter": "A_e", "r2": [0.7, 1], "seed": 3}
    pd.DataFrame({"estimator": ["mlp", "mlp+exact"], **given}).to_csv(
        tmp_path / "evaluation/mlp-scores.csv", index=False
    )
    found = script["compared"](tmp_path / "evaluation/mlp-scores.csv").set_index("estimator")
    assert found["r2"]["mlp"] == 0.7, "as it was"
    of_first, of_cases = ((error[:k] ** 2).mean() / true.var() for k in (n, 2 * n))
    assert found["excess"]["mlp"] == pytest.approx(0.03 + 4 / 9 * of_cases)
    gained = 1 - (error**2).mean() / true.var() + 0.75 * of_first
    assert found["r2_gain"]["mlp+exact"] == pytest.approx(gained)
    assert found["excess"]["mlp+exact"] == pytest.approx(0.03 + (1 / 4 - 1 / 9) * of_first)
    assert found["excess_se"]["mlp+exact"] < found["r2_gain_se"]["mlp+exact"]

    def alone(**changes: Any) -> bool:
        """Whether scores are as they were."""
        changed = gold.assign_attrs(changes)
        changed.to_netcdf(tmp_path / "limits/first-gold.nc", engine="h5netcdf")
        return "excess" not in script["compared"](tmp_path / "evaluation/mlp-scores.csv")

    assert alone(seed=4), "other noise"
    assert alone(campaign="other")
    gold.assign_coords(case=np.arange(2 * n) + 1).to_netcdf(
        tmp_path / "limits/first-gold.nc", engine="h5netcdf"
    )
    with pytest.raises(ValueError, match="other simulations or noise levels"):
        script["compared"](tmp_path / "evaluation/mlp-scores.csv")


def test_some_models_of_a_run_take_the_place_of_what_is_stored_of_them(
    tmp_path: Path, script: dict[str, Any]
) -> None:
    """Of the same seed, refined estimates included; `stored_with` looks where the stored files are."""
    stored_with = script["stored_with"]
    stored_with.__globals__["STORED"] = tmp_path
    times = pd.DataFrame({"training": ["b", "c"], "seconds": [5, 6]})
    by_name = lambda table: table["training"]  # noqa: E731
    assert stored_with("times.csv", times, by_name) is times
    old = pd.DataFrame({"training": ["a", "b"], "seconds": [1, 2]})
    old.to_csv(tmp_path / "times.csv", index=False)
    found = stored_with("times.csv", times, by_name)
    assert dict(zip(found["training"], found["seconds"], strict=True)) == {"a": 1, "b": 5, "c": 6}
    scores = {"preset": "p", "estimator": ["mlp", "mlp+exact", "lstm", "mlp"], "seed": [0, 0, 0, 1]}
    pd.DataFrame(scores | {"r2": [1, 2, 3, 4]}).to_csv(tmp_path / "scores.csv", index=False)
    new = pd.DataFrame({"preset": ["p", "q"], "estimator": ["mlp", "lstm"], "seed": 0, "r2": [5, 6]})
    found = stored_with("scores.csv", new, script["training_of"])
    assert sorted(found["r2"]) == [3, 4, 5, 6]


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
