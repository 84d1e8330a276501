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
    scores = pd.concat([by_gain(path) for path in sorted(files)])
    scores.round(5).to_csv(STORED / "scores.csv", index=False)
    limits = [xr.load_dataset(path, engine="h5netcdf") for path in limit_files(run)]
    pd.concat([limit_table(each) for each in limits]).round(4).to_csv(STORED / "limits.csv", index=False)
    seconds = {
        path.stem: pd.read_csv(path, sep="\t")["s"].iloc[-1]
        for path in sorted((run / "benchmarks/train").glob("*.tsv"))
    }
    times = pd.DataFrame({"training": seconds.keys(), "seconds": seconds.values()})
    times.round(1).to_csv(STORED / "times.csv", index=False)


def by_gain(path: Path) -> pd.DataFrame:
    """Scores of one training; R² of refined estimates by what they gain on the network's own, and its error.

    The network's R² on all simulations is known well; on the few that are refined both have errors in common.
    """
    table = pd.read_csv(path)
    refined = table["estimator"].str.endswith(SUFFIX)
    if not refined.any():
        return table
    found = xr.load_dataset(
        path.with_name(path.name.replace("scores.csv", "predictions.nc")), engine="h5netcdf"
    )
    all_, first = found["true"], found.sel(sim=found["first_sim"].values)
    before = (first["predicted"] - first["true"]) ** 2
    after = (found["refined"].rename(first_sim="sim") - first["true"]) ** 2
    variance = all_.var("sim")
    gain = (before - after) / variance
    r2 = 1 - ((found["predicted"] - all_) ** 2).mean("sim") / variance + gain.mean("sim")
    error = gain.std("sim", ddof=1) / np.sqrt(gain.sizes["sim"])
    rows = [{"noise": row.noise, "parameter": row.parameter} for row in table[refined].itertuples()]
    table.loc[refined, "r2"] = [float(r2.sel(row)) for row in rows]
    table.loc[refined, "r2_se"] = [float(error.sel(row)) for row in rows]
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
