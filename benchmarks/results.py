"""docs/results.md from the scores of the reference benchmark, which are stored beside it.

    python benchmarks/results.py results/benchmark results/learning-curve   # store runs, then write the page
    python benchmarks/results.py                                            # the page from what is stored

The runs are those of examples/benchmark.yaml and examples/learning-curve.yaml. A run of some of the models,
on the same campaigns, takes the place of what is stored of these; the others are held against its limits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from results_page import STORED, page

from jrflow.inference.refinement import SUFFIX
from jrflow.limits.chains import chains_agree

PAGE = Path(__file__).parents[1] / "docs/results.md"


def store(run: Path) -> None:
    """Take over a run's learning curve, or its limits, scores and the seconds of its trainings."""
    STORED.mkdir(parents=True, exist_ok=True)
    curve = run / "evaluation/learning_curve.csv"
    if curve.exists():
        pd.read_csv(curve).round(5).to_csv(STORED / "learning_curve.csv", index=False)
        return
    found = pd.concat([limit_table(path) for path in limit_files(run)])
    limits = stored_with("limits.csv", found, lambda table: table["preset"])
    limits.round(4).to_csv(STORED / "limits.csv", index=False)
    new = [compared(path) for path in sorted(run.glob("evaluation/*-scores.csv"))]
    new += [pd.read_csv(path) for path in sorted(run.glob("evaluation/*-baselines.csv"))]
    scores = stored_with("scores.csv", pd.concat(new), training_of)
    keys = ["preset", "noise", "parameter"]
    scores["r2_limit"] = limits.set_index(keys)["r2_limit"].loc[scores[keys].itertuples(index=False)].values
    scores.round(5).to_csv(STORED / "scores.csv", index=False)
    seconds = {
        path.stem: pd.read_csv(path, sep="\t")["s"].iloc[-1]
        for path in sorted((run / "benchmarks/train").glob("*.tsv"))
    }
    times = pd.DataFrame({"training": seconds.keys(), "seconds": seconds.values()})
    times = stored_with("times.csv", times, lambda table: table["training"])
    times.round(1).to_csv(STORED / "times.csv", index=False)


def training_of(scores: pd.DataFrame) -> pd.Series:
    """Preset, network and seed of each row; refined estimates are of the network that they began with."""
    network = scores["estimator"].str.removesuffix(SUFFIX)
    return scores["preset"] + " " + network + " " + scores["seed"].astype(str)


def stored_with(name: str, new: pd.DataFrame, of: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """What is stored, new rows in the place of all those of the same."""
    path = STORED / name
    if not path.exists():
        return new
    old = pd.read_csv(path)
    both = pd.concat([old[~of(old).isin(of(new))], new], ignore_index=True)
    return both.iloc[of(both).argsort(kind="stable")]


def compared(path: Path) -> pd.DataFrame:
    """Scores of one training; where there are exact posteriors of its observations, also beside these.

    ``excess`` is what R² lacks of its limit: what estimators lose that see averages of samples, and what
    estimates err more than the exact posteriors' means. Of a network that is its mean square distance from
    them, to which these, being sampled, add an error of their own. Refined estimates are sampled, too, and
    few: of them it is the difference of square errors. ``r2_gain`` is the network's R² on all simulations
    and what refinement gains on the few. All come with standard errors over the cases.
    """
    table = pd.read_csv(path)
    model = path.name.removesuffix("-scores.csv")
    found = xr.load_dataset(path.with_name(f"{model}-predictions.nc"), engine="h5netcdf")
    exact = exact_of(path.parents[1], found)
    if exact is None or exact[0].attrs["seed"] != table["seed"].iloc[0]:
        return table
    (posterior, lost), all_ = exact, found["true"]
    variance = all_.var("sim")

    def error(estimates: xr.DataArray) -> xr.DataArray:
        return (estimates - all_.sel(sim=estimates["sim"])) ** 2 / variance

    is_refined = table["estimator"].str.endswith(SUFFIX)
    with xr.set_options(arithmetic_join="exact"):  # the very simulations
        first = found["predicted"].sel(sim=posterior["sim"])
        table = with_mean(table, ~is_refined, "excess", lost + (first - posterior) ** 2 / variance)
        if not is_refined.any():
            return table
        refined = found["refined"].rename(first_sim="sim")
        few, own = posterior.sel(sim=refined["sim"]), found["predicted"].sel(sim=refined["sim"])
        table = with_mean(table, is_refined, "excess", lost + error(refined) - error(few))
        of_all = 1 - error(found["predicted"]).mean("sim")
        return with_mean(table, is_refined, "r2_gain", of_all + error(own) - error(refined))


def with_mean(table: pd.DataFrame, rows: pd.Series, column: str, values: xr.DataArray) -> pd.DataFrame:
    """Scores with the mean over simulations of some values in some rows, and its standard error."""
    table, n = table.copy(), values.sizes["sim"]
    for row in table[rows].itertuples():
        some = values.sel(noise=row.noise, parameter=row.parameter).values
        table.loc[row.Index, [column, f"{column}_se"]] = some.mean(), some.std(ddof=1) / np.sqrt(n)
    return table


def exact_of(run: Path, found: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Means of exact posteriors of the first test simulations, and what averages of samples lose of R²."""
    for path in sorted(run.glob("limits/*-gold.nc")):
        # Without the draws, which are most of it.
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            gold = stored[["mean", "true"]].load().rename(case="sim")
        if gold.attrs["campaign"] != found.attrs["campaign"]:
            continue
        true = found["true"].sel(sim=gold["sim"])
        if not np.allclose(gold["true"], true) or list(gold["noise"].values) != list(found["noise"].values):
            raise ValueError(f"{path}: other simulations or noise levels than the scores': make it anew")
        model = path.name.removesuffix("-gold.nc")
        limits = xr.load_dataset(path.with_name(f"{model}.nc"), engine="h5netcdf")
        return gold["mean"].assign_attrs(seed=gold.attrs["seed"]), limits["r2_lost"]
    return None


def limit_files(run: Path) -> list[Path]:
    """Files of limits, without the posteriors that they come from."""
    return sorted(path for path in run.glob("limits/*.nc") if not path.stem.endswith("-gold"))


def limit_table(path: Path) -> pd.DataFrame:
    """R² limits of one experiment: exact, their standard errors, by Laplace's approximation, and their cases.

    ``unmixed`` is the share of exact posteriors whose chains do not agree.
    """
    limits = xr.load_dataset(path, engine="h5netcdf")
    names = ["r2_limit", "r2_limit_se", "r2_laplace"]
    table = limits[names].to_dataframe().reset_index().assign(preset=limits.attrs["preset"])
    gold = xr.load_dataset(path.with_name(f"{path.stem}-gold.nc"), engine="h5netcdf")
    agree = xr.apply_ufunc(lambda rhat: chains_agree(rhat)[1], gold["rhat"], vectorize=True)
    unmixed = (1 - agree.mean("case")).to_series().rename("unmixed")
    return table.assign(n_exact=gold.sizes["case"]).merge(unmixed, left_on="noise", right_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs, whose scores are stored")
    for run in parser.parse_args().runs:
        store(run)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
