"""docs/results.md from the scores of the reference benchmark, which are stored beside it.

    python benchmarks/results.py results/benchmark results/learning-curve   # store runs, then write the page
    python benchmarks/results.py                                            # the page from what is stored

The runs are those of examples/benchmark.yaml and examples/learning-curve.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from results_page import STORED, page

from jrflow.inference.refinement import SUFFIX

PAGE = Path(__file__).parents[1] / "docs/results.md"


def store(run: Path) -> None:
    """Take over a run's learning curve, or its scores and limits and the seconds of its trainings."""
    STORED.mkdir(parents=True, exist_ok=True)
    curve = run / "evaluation/learning_curve.csv"
    if curve.exists():
        pd.read_csv(curve).round(5).to_csv(STORED / "learning_curve.csv", index=False)
        return
    files = [*run.glob("evaluation/*-scores.csv"), *run.glob("evaluation/*-baselines.csv")]
    scores = pd.concat([with_refined(path) for path in sorted(files)])
    scores.round(5).to_csv(STORED / "scores.csv", index=False)
    limits = [xr.load_dataset(path, engine="h5netcdf") for path in limit_files(run)]
    pd.concat([limit_table(each) for each in limits]).round(4).to_csv(STORED / "limits.csv", index=False)
    seconds = {
        path.stem: pd.read_csv(path, sep="\t")["s"].iloc[-1]
        for path in sorted((run / "benchmarks/train").glob("*.tsv"))
    }
    times = pd.DataFrame({"training": seconds.keys(), "seconds": seconds.values()})
    times.round(1).to_csv(STORED / "times.csv", index=False)


def with_refined(path: Path) -> pd.DataFrame:
    """Scores of one training; of refined estimates, R² by comparison on the same few simulations.

    These may be easy or hard, but for all alike. ``r2`` is the limit of what they see, averages of samples,
    less what refined estimates err more than the means of the exact posteriors of these; ``r2_gain`` is the
    network's R² on all simulations and what refinement gains on the few. Both come with standard errors of
    the difference.
    """
    table = pd.read_csv(path)
    refined = table["estimator"].str.endswith(SUFFIX)
    if not refined.any():
        return table
    model = path.name.removesuffix("-scores.csv")
    found = xr.load_dataset(path.with_name(f"{model}-predictions.nc"), engine="h5netcdf")
    gold = xr.load_dataset(path.parents[1] / f"limits/{model}-gold.nc", engine="h5netcdf")
    limits = xr.load_dataset(path.parents[1] / f"limits/{model}.nc", engine="h5netcdf")
    all_, first = found["true"], found.sel(sim=found["first_sim"].values)
    variance = all_.var("sim")

    def error(estimates: xr.DataArray) -> xr.DataArray:
        return (estimates - first["true"]) ** 2 / variance

    of_all = 1 - ((found["predicted"] - all_) ** 2).mean("sim") / variance
    with xr.set_options(arithmetic_join="exact"):  # the very simulations
        after = error(found["refined"].rename(first_sim="sim"))
        compared = {
            "r2": (limits["r2_limit"] - limits["r2_lost"], error(gold["mean"].rename(case="sim")) - after),
            "r2_gain": (of_all, error(first["predicted"]) - after),
        }
    for column, (start, difference) in compared.items():
        for row in table[refined].itertuples():
            at = {"noise": row.noise, "parameter": row.parameter}
            gain = difference.sel(at).values
            table.loc[row.Index, column] = float(start.sel(at)) + gain.mean()
            table.loc[row.Index, f"{column}_se"] = gain.std(ddof=1) / np.sqrt(len(gain))
    return table


def limit_files(run: Path) -> list[Path]:
    """Files of limits, without the posteriors that they come from."""
    return sorted(path for path in run.glob("limits/*.nc") if not path.stem.endswith("-gold"))


def limit_table(limits: xr.Dataset) -> pd.DataFrame:
    """R² limits of one experiment: exact, their standard errors, and by Laplace's approximation."""
    names = ["r2_limit", "r2_limit_se", "r2_laplace"]
    return limits[names].to_dataframe().reset_index().assign(preset=limits.attrs["preset"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs, whose scores are stored")
    for run in parser.parse_args().runs:
        store(run)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
