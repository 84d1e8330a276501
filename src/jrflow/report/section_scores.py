"""Accuracy of the estimates, compared with baselines and the theoretical limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from jrflow.report.content import Block, Plate, Section, Table, missing, number, percent, symbol, text
from jrflow.report.figures_recovery import recovery_figure
from jrflow.report.figures_scores import coverage_figure, recoverable_figure, scores_figure
from jrflow.report.inputs import RunResults
from jrflow.report.scores import (
    SMALLEST_LIMIT,
    best_estimator,
    best_of_each_preset,
    describe_level,
    estimators,
    mean_over_seeds,
    middle_noise,
    noise_levels,
    one_level,
    parameters,
    partly_tested,
)
from jrflow.report.section_limits import limit_blocks
from jrflow.report.style import estimator_name, estimator_styles

#: Largest number of estimators for which a table also has room for other scores of the best estimator.
_MANY = 5

_NO_SCORES = "Left out: no model was evaluated (evaluation/scores.csv is absent)."


def recovery_section(run: RunResults) -> Section:
    """Show estimated against true values at the middle noise level."""
    title = "Estimated against true parameters"
    if run.scores is None:
        return Section("recovery", title, [missing(_NO_SCORES)])
    scores = mean_over_seeds(run.scores)
    noise = middle_noise(scores)
    presets = list(scores["preset"].unique())
    return Section("recovery", title, [_recovery_block(run, one_level(scores, p, noise)) for p in presets])


def _recovery_block(run: RunResults, rows: pd.DataFrame) -> Block:
    """Estimates of the best network at one noise level of one preset."""
    preset, noise = rows[["preset", "noise"]].iloc[0]
    trained = {training.network for training in run.config.inference.trainings.values()}
    best = next((name for name in estimators(rows) if name in trained), "")
    model = run.training_of(preset, best)
    predictions = None if model is None else run.predictions(model)
    if model is None or predictions is None:
        return missing("No network left predictions for preset {p}.", p=preset)
    rows = rows[rows["estimator"] == best].set_index("parameter")
    figure = recovery_figure(predictions.sel(noise=noise), rows["r2"], rows["r2_limit"])
    caption = Markup(
        "Estimated against true values of each parameter in the test campaign: model {model}, preset "
        "{preset}, noise {noise} ({snr} dB), n = {n}. Colour: simulations per cell (logarithmic); dashed: "
        "identity. Above each panel: R² / limit for any method."
    ).format(
        model=model, preset=preset, noise=noise, snr=number(rows["snr_db"].iloc[0], 1),
        n=f"{predictions.sizes['sim']:,}",
    )  # fmt: skip
    return Plate(f"recovery-{model}", figure, caption)


def scores_section(run: RunResults) -> Section:
    """Show scores at every noise level, with baselines and limits."""
    title = "Scores, baselines and the limit"
    if run.scores is None:
        return Section("scores", title, [missing(_NO_SCORES)])
    scores = mean_over_seeds(run.scores)
    presets, noise = list(scores["preset"].unique()), middle_noise(scores)
    blocks: list[Block] = _explain(run)
    blocks.append(_recoverable(scores, presets, noise))
    for preset in presets:
        blocks.append(_by_noise(run, scores, preset))
    blocks.append(_coverage(scores, presets))
    for preset in presets:
        blocks += [_score_table(scores, preset, level, level != noise) for level in noise_levels(scores)]
    return Section("scores", title, blocks)


def _explain(run: RunResults) -> list[Block]:
    return [
        text(
            "R² is 1 minus the mean squared error over the variance of the true values: 0 for a predictor "
            "that always predicts the mean, 1 for a perfect one, negative for one worse than the mean. NRMSE "
            "is the root mean square error over the width of the parameter's range. A correlation alone is "
            "not sufficient: predictions that hardly vary can correlate perfectly."
        ),
        *limit_blocks(run),
    ]


def _recoverable(scores: pd.DataFrame, presets: Sequence[str], noise: str) -> Block:
    rows = best_of_each_preset(scores[scores["noise"] == noise])
    caption = Markup(
        "Accuracy in each preset: R² of {name} (bars) and the limit for any method (black "
        "lines) at noise {noise}; n = {n} test simulations per preset. The equations contain only the "
        "products C·a."
    ).format(
        name=_named(rows),
        noise=describe_level(rows),
        n=f"{int(rows['n'].max()):,}",
    )
    return Plate("recoverable", recoverable_figure(rows, parameters(scores), presets), caption)


def _named(rows: pd.DataFrame) -> str:
    """Display names of the estimators in the rows."""
    return " and ".join(estimator_name(name) for name in rows["estimator"].unique())


def _by_noise(run: RunResults, scores: pd.DataFrame, preset: str) -> Block:
    rows = scores[scores["preset"] == preset]
    levels = "; ".join(describe_level(rows[rows["noise"] == noise]) for noise in noise_levels(rows))
    partly = partly_tested(rows)
    caption = Markup(
        "R² over the signal-to-noise ratio, preset {preset}, n = {n} test simulations; limit: the largest "
        "R² that any method can reach, as explained above. Noise levels: {levels}. {below}{open}"
    ).format(
        preset=preset, n=f"{int(rows['n'].max()):,}", levels=levels,
        below="Values below −0.15 are drawn at −0.15. " if (rows["r2"] < -0.15).any() else "",
        open="Open markers: R² on fewer test simulations, not comparable with the others. " if partly else "",
    )  # fmt: skip
    styles = estimator_styles(scores["estimator"])
    figure = scores_figure(rows, parameters(rows), estimators(rows), styles, partly)
    return Plate(f"scores-{preset}", figure, caption)


def _coverage(scores: pd.DataFrame, presets: Sequence[str]) -> Block:
    rows = best_of_each_preset(scores)
    rows = rows[rows["coverage_90"].notna()]
    if rows.empty:
        return missing("No coverage: the model gives no intervals.")
    shown = [preset for preset in presets if preset in set(rows["preset"])]
    caption = Markup(
        "Share of test simulations whose true value lies in the 90 % interval of {name}, by parameter and "
        "noise level (n = {n} per preset). Line: 90 %; grey: range that contains the coverage of exact 90 % "
        "intervals in 95 % of test campaigns of this size."
    ).format(name=_named(rows), n=f"{int(rows['n'].max()):,}")
    return Plate("coverage", coverage_figure(rows, parameters(rows), shown), caption)


def _score_table(scores: pd.DataFrame, preset: str, noise: str, folded: bool) -> Table:
    rows = one_level(scores, preset, noise)
    names, best, partly = estimators(rows), best_estimator(rows), partly_tested(rows)
    counts = rows.groupby("estimator")["n"].max()
    labels = [
        f"{_short(name)} (n = {int(counts[name])})" if name in partly else _short(name) for name in names
    ]
    table = rows.pivot(index="parameter", columns="estimator")
    body = [_score_row(table, parameter, names) for parameter in parameters(rows)]
    body = [row if len(names) <= _MANY else row[: len(names) + 3] for row in body]
    # With many estimators there is no room for other scores of the best estimator.
    others = ["NRMSE", "Pearson r", "coverage"] if len(names) <= _MANY else []
    groups = [("", 1), ("R²", len(names) + 1), (estimator_name(best), 1 + len(others))]
    header = ["parameter", "limit", *labels, "of limit", *others]
    caption = Markup(
        "Scores, preset {}, noise {}, n = {}. {} has the largest mean R² here. Of limit: its R² divided by "
        "the limit. {}{}"
    ).format(
        preset, describe_level(rows), f"{int(rows['n'].max()):,}", estimator_name(best),
        "Coverage: that of its 90 % intervals." if others else "All other scores: evaluation/scores.csv.",
        " Do not compare R² on fewer test simulations with that in other columns." * bool(partly),
    )  # fmt: skip
    return Table(caption, header, body, groups, folded=folded)


def _short(name: str) -> str:
    return estimator_name(name).removesuffix(" predictor")


def _score_row(table: pd.DataFrame, parameter: str, names: Sequence[str]) -> list[Any]:
    """Cells of one parameter; ``table`` has columns (score, estimator), with the best estimator first."""

    def score(column: str, estimator: str) -> float:
        return float(table.loc[parameter, (column, estimator)])  # type: ignore[arg-type]

    best = names[0]
    limit, covered = score("r2_limit", best), score("coverage_90", best)
    ratio = percent(score("r2", best) / limit) if limit > SMALLEST_LIMIT else "–"
    cells = [symbol(parameter), number(limit), *(number(score("r2", name)) for name in names), ratio]
    return [
        *cells, number(score("nrmse", best)), number(score("pearson_r", best)),
        f"{number(100 * covered, 1)} %" if covered == covered else "–",
    ]  # fmt: skip
