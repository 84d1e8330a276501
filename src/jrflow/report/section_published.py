"""Results of the paper's repository, compared with this run."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from jrflow.config.eeg import AdHocNoise
from jrflow.report.content import Section, Table, number, symbol, text
from jrflow.report.inputs import RunResults
from jrflow.report.published import COLUMNS, PUBLISHED
from jrflow.report.scores import estimators, mean_over_seeds, noise_levels, one_level
from jrflow.report.style import estimator_name

_CONTACTS = ("a_1", "a_2", "a_3", "a_4")


def published_section(run: RunResults) -> Section:
    """Compare the paper's published correlations with those of this run."""
    rows = [[r.estimator, r.where, "1,000", r.noise, *r.correlations, r.contacts, r.mse] for r in PUBLISHED]
    if run.scores is not None:
        rows += _own_rows(run, mean_over_seeds(run.scores))
    contacts = Markup("{} to {}").format(symbol("a_1"), symbol("a_4"))
    header = [
        "estimator",
        "from",
        "simulations",
        "noise",
        *(symbol(name) for name in COLUMNS),
        contacts,
        "MSE",
    ]
    caption = Markup(
        "Pearson correlation between estimated and true parameters. First rows: values in the public "
        "repository of Tilwani &amp; O'Reilly (arXiv 2406.05002), on the authors' own test parts; MSE of "
        "parameters scaled to 0–1. Other rows: this run. Prior, noise and number of training simulations "
        "differ: compare the pattern over parameters, not single values."
    )
    note = text(
        "The repository's poster also shows correlations of ±1.00 for {contacts}; the predictions behind "
        "them span 10<sup>−6</sup> of the range.",
        contacts=contacts,
    )
    table = Table(caption, header, rows, left=(0, 1, 3))
    return Section("published", "The paper's published figures", [table, note])


def _own_rows(run: RunResults, scores: pd.DataFrame) -> list[list[Any]]:
    noise = _like_the_paper(run, scores)
    rows = []
    for preset in scores["preset"].unique():
        level = one_level(scores, preset, noise)
        for estimator in estimators(level):
            r = level[level["estimator"] == estimator].set_index("parameter")["pearson_r"]
            if r.notna().any():  # correlations of the mean predictor are undefined
                rows.append(_own_row(run, preset, noise, estimator, r))
    return rows


def _own_row(run: RunResults, preset: str, noise: str, estimator: str, r: pd.Series) -> list[Any]:
    model = run.training_of(preset)
    size = (
        "–" if model is None else f"{run.config.campaigns[run.config.inference.trainings[model].train].n:,}"
    )
    correlations = [number(value) for value in r.reindex(COLUMNS)]
    contacts = " ".join(number(value) for value in r.reindex(_CONTACTS))
    label = estimator_name(estimator)
    return [label, f"this run, {preset}", size, noise, *correlations, contacts, ""]


def _like_the_paper(run: RunResults, scores: pd.DataFrame) -> str:
    """Noise level with the same kind of noise as in the paper, or the level with the least noise."""
    levels = noise_levels(scores)
    alike = [name for name in levels if isinstance(run.config.eeg.noise.get(name), AdHocNoise)]
    return (alike or levels)[-1]
