"""Read the table of scores: noise levels, estimators, averages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from jrflow.model import MODEL
from jrflow.report.content import number

#: Smallest R2 limit for which ratios are shown. Below it, data contain no useful information.
SMALLEST_LIMIT = 0.02

#: Names of the baselines.
BASELINES = ("paper", "extra-trees", "mean")


def mean_over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Average over training runs with different seeds."""
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
    """Noise level in the middle, which is shown where there is room for only one level."""
    levels = noise_levels(scores)
    return levels[len(levels) // 2]


def describe_level(rows: pd.DataFrame) -> str:
    """Name and signal-to-noise ratio of the noise level of the rows."""
    return f"{rows['noise'].iloc[0]} ({number(rows['snr_db'].median(), 1)} dB)"


def parameters(scores: pd.DataFrame) -> list[str]:
    """Scored parameters in the model's order, products last."""
    return _ordered(scores["parameter"], (*MODEL.inferred, *MODEL.space.products))


def single_parameters(names: Iterable[str]) -> list[str]:
    """Parameters in the model's order, then other names in alphabetical order, without products."""
    return _ordered(set(names) - set(MODEL.space.products), MODEL.inferred)


def _ordered(names: Iterable[str], order: Iterable[str]) -> list[str]:
    """Distinct names, known ones in their order, then others in alphabetical order."""
    found = set(names)
    known = [name for name in order if name in found]
    return known + sorted(found.difference(known))


def full_tests(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows whose estimators were scored on the whole test campaign.

    Scores on fewer simulations (of ``+exact`` estimators, which take long) cannot be compared with other
    scores, because cases and sampling errors differ. They are shown with their number of simulations and are
    not ranked.
    """
    largest = scores.groupby(["preset", "noise"])["n"].transform("max")
    chosen: pd.DataFrame = scores[scores["n"] == largest]
    return chosen


def partly_tested(scores: pd.DataFrame) -> list[str]:
    """Estimators with scores on a part of the test campaign."""
    full = set(full_tests(scores)["estimator"])
    return [str(name) for name in scores["estimator"].unique() if name not in full]


def estimators(scores: pd.DataFrame) -> list[str]:
    """Names of estimators: networks, then baselines, then estimators tested on a part of the campaign.

    Networks and baselines are each ordered by mean R2; the last kind is not ranked.
    """
    mean = full_tests(scores).groupby("estimator", sort=False)["r2"].mean()
    found = [str(name) for name in mean.sort_values(ascending=False, kind="stable").index]
    trained = [n for n in found if n not in BASELINES]
    return trained + [n for n in BASELINES if n in found] + sorted(partly_tested(scores))


def best_estimator(scores: pd.DataFrame) -> str:
    """Best network on the whole test campaign, or best baseline if there is no network."""
    return estimators(scores)[0]


def best_of_each_preset(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the best estimator of each preset; presets may have different estimators."""
    return pd.concat(
        rows[rows["estimator"] == best_estimator(rows)] for _, rows in scores.groupby("preset", sort=False)
    )
