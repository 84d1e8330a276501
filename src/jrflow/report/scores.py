"""Reading the table of scores: levels, estimators, averages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jrflow.model import MODEL
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
    known = [name for name in (*MODEL.inferred, *MODEL.space.products) if name in found]
    return known + sorted(found.difference(known))


def full_tests(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows whose estimators were scored on the whole test campaign.

    A score on fewer simulations (of ``+exact``, whose estimates take long) is another quantity: with its own
    sampling error, of other cases. It is printed with its number of simulations and ranked with nobody.
    """
    largest = scores.groupby(["preset", "noise"])["n"].transform("max")
    chosen: pd.DataFrame = scores[scores["n"] == largest]
    return chosen


def partly_tested(scores: pd.DataFrame) -> list[str]:
    """Estimators with scores on a part of the test campaign."""
    full = set(full_tests(scores)["estimator"])
    return [str(name) for name in scores["estimator"].unique() if name not in full]


def estimators(scores: pd.DataFrame) -> list[str]:
    """Estimators: trained ones, baselines, and last those tested on a part of the campaign.

    The first two kinds are ordered by mean R2, each by itself; the last kind is not ranked.
    """
    mean = full_tests(scores).groupby("estimator", sort=False)["r2"].mean()
    found = [str(name) for name in mean.sort_values(ascending=False, kind="stable").index]
    trained = [n for n in found if n not in BASELINES]
    return trained + [n for n in BASELINES if n in found] + sorted(partly_tested(scores))


def best_estimator(scores: pd.DataFrame) -> str:
    """The best estimator on the whole test campaign, or the best baseline where there is nothing else."""
    return estimators(scores)[0]


def best_of_each_preset(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of each preset's best estimator: not all estimators need have been tried on all presets."""
    return pd.concat(
        rows[rows["estimator"] == best_estimator(rows)] for _, rows in scores.groupby("preset", sort=False)
    )
