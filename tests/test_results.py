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


def run_of(
    folder: Path, true: np.ndarray, estimates: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> Path:
    """A run of one noise level and parameter: predictions, scores, reference posteriors, limits."""
    n, names = len(true), {"noise": ["loud"], "parameter": ["A_e"]}
    few = len(estimates["refined"])
    dims = ("noise", "sim", "parameter")
    xr.Dataset(
        {
            "true": (dims[1:], true[:, None]),
            "predicted": (dims, estimates["predicted"][None, :, None]),
            "refined": (("noise", "first_sim", "parameter"), estimates["refined"][None, :, None]),
            "nearest": (("noise", "first_sim", "parameter"), estimates["nearest"][None, :, None]),
        },
        coords={"sim": np.arange(n), "first_sim": np.arange(few), **names},
        attrs={"campaign": "test"},
    ).to_netcdf(write(folder / "evaluation/mlp-predictions.nc"), engine="h5netcdf")
    cases = len(reference["mean"])
    xr.Dataset(
        {
            **{v: (("noise", "case", "parameter"), reference[v][None, :, None]) for v in ("mean", "mcse")},
            "resolved": (("noise", "case"), reference["resolved"][None]),
            "true": (("case", "parameter"), true[:cases, None]),
        },
        coords={"case": np.arange(cases), **names},
        attrs={"campaign": "test", "seed": 3},
    ).to_netcdf(write(folder / "limits/first-reference.nc"), engine="h5netcdf")
    of = {v: (("noise", "parameter"), [[value]]) for v, value in (("r2_limit", 0.9), ("r2_lost", 0.03))}
    xr.Dataset(of, coords=names).to_netcdf(folder / "limits/first.nc", engine="h5netcdf")
    given = {"noise": "loud", "parameter": "A_e", "r2": [0.7, 1, 1], "seed": 3}
    table = pd.DataFrame({"estimator": ["mlp", "mlp+exact", "nearest+exact"], **given})
    table.to_csv(folder / "evaluation/mlp-scores.csv", index=False)
    return folder / "evaluation/mlp-scores.csv"


def test_one_unbiased_formula_serves_every_estimator(tmp_path: Path, script: dict[str, Any]) -> None:
    """Errors of the reference's own means count neither for nor against a network or a sampler."""
    rng = np.random.default_rng(0)
    n, cases, few = 5000, 4000, 3000
    true = rng.normal(size=n)
    exact = true + rng.normal(size=n) * np.sqrt(0.1)  # means of the exact posteriors
    mcse = np.full(cases, 0.15)
    resolved = np.arange(cases) % 10 > 0
    mean = exact[:cases] + rng.normal(size=cases) * mcse
    mean[~resolved] = 100.0  # nobody is compared with these
    off = exact + rng.normal(size=n) * 0.4
    scores = run_of(
        tmp_path, true, {"predicted": exact, "refined": exact[:few], "nearest": off[:few]},
        {"mean": mean, "mcse": mcse, "resolved": resolved},
    )  # fmt: skip
    found = script["compared"](scores).set_index("estimator")
    assert found["r2"]["mlp"] == 0.7, "as it was"
    assert found["n_compared"].to_dict() == {"mlp": 3600, "mlp+exact": 2700, "nearest+exact": 2700}
    error = found["excess_se"]
    # The exact mean loses what its averages lose, whoever reports it, however poor the reference is.
    for estimator in ("mlp", "mlp+exact"):
        assert found["excess"][estimator] == pytest.approx(0.03, abs=3 * error[estimator])
    assert found["excess"]["nearest+exact"] == pytest.approx(0.03 + 0.16 / true.var(), abs=4 * error.max())
    assert error.max() < 0.01
    # Measured on the same cases, the exact mean is ahead of the reference by the reference's own error.
    assert found["r2_behind"]["mlp"] == pytest.approx(-(0.15**2), abs=4 * found["r2_behind_se"]["mlp"])
    assert found["r2_compared"]["mlp"] == pytest.approx(0.9, abs=4 * found["r2_compared_se"]["mlp"])


def test_scores_are_compared_with_posteriors_of_the_same_observations_only(
    tmp_path: Path, script: dict[str, Any]
) -> None:
    true = np.random.default_rng(0).normal(size=50)
    same = {"predicted": true, "refined": true[:10], "nearest": true[:10]}
    reference = {"mean": true[:20], "mcse": np.full(20, 0.1), "resolved": np.ones(20, bool)}
    scores = run_of(tmp_path, true, same, reference)
    path = tmp_path / "limits/first-reference.nc"
    stored = xr.load_dataset(path, engine="h5netcdf")

    def is_compared(**changes: Any) -> bool:
        stored.assign_attrs(changes).to_netcdf(path, engine="h5netcdf")
        return "excess" in script["compared"](scores)

    assert is_compared()
    assert not is_compared(seed=4), "other noise"
    assert not is_compared(campaign="other")
    stored.assign_coords(case=np.arange(20) + 1).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="first-reference"):
        script["compared"](scores)


def test_the_page_names_the_levels_whose_limit_is_uncertain_first(script: dict[str, Any]) -> None:
    certainty = script["page"].__globals__["certainty"]
    limits = pd.DataFrame(
        {"preset": "p", "noise": ["snr-0", "snr-20"], "unresolved": [0.2, 0.01], "criterion": "c"}
    )
    said = certainty(limits)
    assert "`snr-0` 20%" in said
    assert "snr-20" not in said
    assert "snr" not in certainty(limits.assign(unresolved=0.01))
    page = script["page"]().splitlines()
    assert any("ncertain" in line or "resolved at every level" in line for line in page[:6])


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
