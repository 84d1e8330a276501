"""Reading the table of scores: levels, estimators, averages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jrflow.model.parameters import INFERRED, PRODUCTS
from jrflow.report.content import number

#: Below this limit of R2 there is nothing to recover, and a ratio to it says nothing.
SMALLEST_LIMIT = 0.02

#: Estimators that are there to be compared with.
BASELINES = ("paper", "extra-trees", "mean")


def mean_over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Average repeated trainings; every other column names the row."""
    keys = ["estimator", "preset", "noise", "parameter"]
    numbers = list(scores.select_dtypes(np.number).columns.difference(["seed"]))
    return scores.groupby(keys, sort=False, as_index=False)[numbers].mean()


def one_level(scores: pd.DataFrame, preset: str, noise: str) -> pd.DataFrame:
    """Rows of one preset and noise level."""
    chosen: pd.DataFrame = scores[(scores["preset"] == preset) & (scores["noise"] == noise)]
    return chosen


def noise_levels(scores: pd.DataFrame) -> list[str]:
    """Names of the noise levels, noisiest first."""
    snr = scores.groupby("noise")["snr_db"].median()
    return [str(name) for name in snr.sort_values(kind="stable").index]


def middle_noise(scores: pd.DataFrame) -> str:
    """The noise level in the middle: the one shown where there is room for one only."""
    levels = noise_levels(scores)
    return levels[len(levels) // 2]


def describe_level(rows: pd.DataFrame) -> str:
    """Name and signal-to-noise ratio of the one level that the rows are of."""
    return f"{rows['noise'].iloc[0]} ({number(rows['snr_db'].median(), 1)} dB)"


def parameters(scores: pd.DataFrame) -> list[str]:
    """Scored parameters in the model's order, products last."""
    found = set(scores["parameter"])
    known = [name for name in (*INFERRED, *PRODUCTS) if name in found]
    return known + sorted(found.difference(known))


def estimators(scores: pd.DataFrame) -> list[str]:
    """Estimators: the best one first, that of the largest R2 on average over the rows; baselines last."""
    mean = scores.groupby("estimator", sort=False)["r2"].mean().sort_values(ascending=False, kind="stable")
    found = [str(name) for name in mean.index]
    return [n for n in found if n not in BASELINES] + [n for n in BASELINES if n in found]


def best_estimator(scores: pd.DataFrame) -> str:
    """The best estimator, or the best baseline where there is nothing else."""
    return estimators(scores)[0]


def best_of_each_preset(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of each preset's best estimator: not all estimators need have been tried on all presets."""
    return pd.concat(
        rows[rows["estimator"] == best_estimator(rows)] for _, rows in scores.groupby("preset", sort=False)
    )
