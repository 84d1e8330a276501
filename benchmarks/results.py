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

from jrflow.inference.scoring.refinement import CONTROL, SUFFIX

#: When a reference posterior counts as unresolved.
CRITERION = "the Monte Carlo standard error of a mean exceeds 5 % of the posterior standard deviation"
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
    """Scores of one training; where reference posteriors of its observations exist, also compared with these.

    Every estimator, a network or a sampler that starts from one, is compared by the same formula. With its
    estimate m, the mean m_ref of the reference posterior of the same observation and the Monte Carlo standard
    error mcse of m_ref, the mean of (m - m_ref)^2 - mcse^2 is an unbiased estimate of the square distance
    from the exact posterior mean: m_ref errs independently of m. Columns, each over the ``n_compared``
    resolved reference posteriors, standard errors over cases with the ending ``_se``:

    - ``excess``: that distance over the prior variance, and what averages of samples lose. R² of the
      estimator is the limit less its excess.
    - ``r2_compared``: R² measured on these simulations.
    - ``r2_behind``: by how much R² of the means of the reference posteriors, measured on them, is larger.
    """
    table = pd.read_csv(path)
    model = path.name.removesuffix("-scores.csv")
    found = xr.load_dataset(path.with_name(f"{model}-predictions.nc"), engine="h5netcdf")
    reference = reference_of(path.parents[1], found)
    if reference is None or reference.attrs["seed"] != table["seed"].iloc[0]:
        return table
    variance = found["true"].var("sim")
    parts = []
    for estimator, rows in table.groupby("estimator", sort=False):
        estimates = estimates_of(found, str(estimator))
        with xr.set_options(arithmetic_join="exact"):  # the very simulations
            # Cases that were not refined are not compared.
            one = reference.sel(sim=estimates["sim"][: reference.sizes["sim"]])
            m = estimates.sel(sim=one["sim"])
            distance = (m - one["mean"]) ** 2 - one["mcse"] ** 2
            error, of_reference = ((x - one["true"]) ** 2 / variance for x in (m, one["mean"]))
        resolved = one["resolved"]
        values = {
            "excess": one["lost"] + distance / variance, "r2_compared": 1 - error,
            "r2_behind": error - of_reference,
        }  # fmt: skip
        for column, value in values.items():
            rows = with_mean(rows, column, value, resolved)
        parts.append(rows)
    return pd.concat(parts)


def estimates_of(found: xr.Dataset, estimator: str) -> xr.DataArray:
    """Estimates over (noise, sim, parameter) of one estimator in a file of predictions."""
    if not estimator.endswith(SUFFIX):
        return found["predicted"]
    return found["nearest" if estimator == CONTROL else "refined"].rename(first_sim="sim")


def with_mean(rows: pd.DataFrame, column: str, values: xr.DataArray, use: xr.DataArray) -> pd.DataFrame:
    """Rows with the mean of values over the simulations in use, its standard error and their number."""
    rows = rows.copy()
    for row in rows.itertuples():
        some = values.sel(noise=row.noise, parameter=row.parameter).values[use.sel(noise=row.noise).values]
        summary = some.mean(), some.std(ddof=1) / np.sqrt(len(some)), len(some)
        rows.loc[row.Index, [column, f"{column}_se", "n_compared"]] = summary
    return rows


def reference_of(run: Path, found: xr.Dataset) -> xr.Dataset | None:
    """Reference posteriors of the first test simulations, and what averages of samples lose of R²."""
    for path in sorted(run.glob("limits/*-reference.nc")):
        # Without the draws, which are most of it.
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            reference = stored[["mean", "mcse", "resolved", "true"]].load().rename(case="sim")
        if reference.attrs["campaign"] != found.attrs["campaign"]:
            continue
        true = found["true"].sel(sim=reference["sim"])
        if not np.allclose(reference["true"], true) or list(reference["noise"].values) != list(
            found["noise"].values
        ):
            raise ValueError(
                f"{path}: expected the simulations and noise levels of the scores, received others; run the "
                "rule that writes this file again"
            )
        model = path.name.removesuffix("-reference.nc")
        limits = xr.load_dataset(path.with_name(f"{model}.nc"), engine="h5netcdf")
        return reference.assign(lost=limits["r2_lost"], resolved=reference["resolved"].astype(bool))
    return None


def limit_files(run: Path) -> list[Path]:
    """Files of limits, without the posteriors that they come from."""
    return sorted(path for path in run.glob("limits/*.nc") if not path.stem.endswith("-reference"))


def limit_table(path: Path) -> pd.DataFrame:
    """R² limits of one experiment: from reference posteriors, standard errors, Laplace's approximation.

    ``unresolved`` is the share of reference posteriors whose means are not known to a twentieth of the
    posterior standard deviation.
    """
    limits = xr.load_dataset(path, engine="h5netcdf")
    names = ["r2_limit", "r2_limit_se", "r2_laplace"]
    table = limits[names].to_dataframe().reset_index().assign(preset=limits.attrs["preset"])
    reference = xr.load_dataset(path.with_name(f"{path.stem}-reference.nc"), engine="h5netcdf")
    unresolved = (1 - reference["resolved"].mean("case")).to_series().rename("unresolved")
    table = table.assign(n_exact=reference.sizes["case"], criterion=CRITERION)
    return table.merge(unresolved, left_on="noise", right_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs, whose scores are stored")
    for run in parser.parse_args().runs:
        store(run)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
