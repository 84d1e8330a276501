"""What was recovered, what could have been, and what others recovered."""

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
)
from jrflow.report.style import ESTIMATOR_NAMES

_NO_SCORES = "Left out: no model was evaluated (evaluation/scores.csv is absent)."


def recovery_section(run: RunResults) -> Section:
    """Show recovered against true values at the middle noise level."""
    title = "Recovered against true parameters"
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
        "Recovered against true values of each parameter in the test campaign: model {model}, preset "
        "{preset}, noise {noise} ({snr} dB), n = {n}. Colour: simulations per cell (logarithmic); dashed: "
        "identity. Above each panel: R² as realised / limit for any method."
    ).format(
        model=model, preset=preset, noise=noise, snr=number(rows["snr_db"].iloc[0], 1),
        n=f"{predictions.sizes['sim']:,}",
    )  # fmt: skip
    return Plate(f"recovery-{model}", figure, caption)


def scores_section(run: RunResults) -> Section:
    """Show scores by noise level beside baselines, limits and what the paper reports."""
    title = "Scores, baselines and the limit"
    if run.scores is None:
        return Section("scores", title, [missing(_NO_SCORES)])
    scores = mean_over_seeds(run.scores)
    presets, noise = list(scores["preset"].unique()), middle_noise(scores)
    blocks: list[Block] = [_explain(run)]
    blocks.append(_recoverable(scores, presets, noise))
    for preset in presets:
        blocks.append(_by_noise(scores, preset))
    blocks.append(_coverage(scores, presets))
    for preset in presets:
        blocks += [_score_table(scores, preset, level) for level in noise_levels(scores)]
    return Section("scores", title, blocks)


def _explain(run: RunResults) -> Block:
    return text(
        "R² is 1 minus the mean squared error over the variance of the true values: 0 for a predictor that "
        "always answers the mean, 1 for a perfect one, negative for one worse than the mean. The limit is "
        "what any method could reach on this prior and this noise, as far as a Gaussian approximation of "
        "the posterior goes (Fisher information and prior, averaged over {n} draws from the prior{error}); "
        "a score may exceed it by that much. NRMSE is the root mean square error over the width of the "
        "parameter's range. A correlation alone is no score: a prediction that hardly moves can correlate "
        "perfectly.",
        n=run.config.limits.n_draws,
        error=_limit_error(run),
    )


def _limit_error(run: RunResults) -> str:
    """How uncertain the limits are, where they say so."""
    found = [limits for name in run.experiments if (limits := run.limits(name)) is not None]
    errors = [float(limits["r2_limit_se"].max()) for limits in found]
    return f", standard error at most {number(max(errors), 3)}" if errors else ""


def _recoverable(scores: pd.DataFrame, presets: Sequence[str], noise: str) -> Block:
    rows = best_of_each_preset(scores[scores["noise"] == noise])
    caption = Markup(
        "What can be recovered in each preset: R² of {name} (bars) and the limit for any method (black "
        "lines) at noise {noise}; n = {n} test simulations a preset. Products C·a are what the equations "
        "contain."
    ).format(
        name=_named(rows),
        noise=describe_level(rows),
        n=f"{int(rows['n'].max()):,}",
    )
    return Plate("recoverable", recoverable_figure(rows, parameters(scores), presets), caption)


def _named(rows: pd.DataFrame) -> str:
    """Estimators that rows are of, as they are called."""
    return " and ".join(ESTIMATOR_NAMES.get(name, name) for name in rows["estimator"].unique())


def _by_noise(scores: pd.DataFrame, preset: str) -> Block:
    rows = scores[scores["preset"] == preset]
    levels = "; ".join(describe_level(rows[rows["noise"] == noise]) for noise in noise_levels(rows))
    caption = Markup(
        "R² over the signal-to-noise ratio, preset {preset}, n = {n} test simulations; limit: what any "
        "method could reach. Noise levels: {levels}. Values below −0.15 are drawn there."
    ).format(preset=preset, n=f"{int(rows['n'].max()):,}", levels=levels)
    return Plate(f"scores-{preset}", scores_figure(rows, parameters(rows), estimators(rows)), caption)


def _coverage(scores: pd.DataFrame, presets: Sequence[str]) -> Block:
    rows = best_of_each_preset(scores)
    rows = rows[rows["coverage_90"].notna()]
    if rows.empty:
        return missing("No coverage: the model gives no intervals.")
    shown = [preset for preset in presets if preset in set(rows["preset"])]
    caption = Markup(
        "Share of the test campaign whose true value lies in the 90 % interval of {name}, by parameter and "
        "noise level (n = {n} a preset). Line: 90 %; grey: where exact intervals would lie in 95 % of test "
        "campaigns of this size."
    ).format(name=_named(rows), n=f"{int(rows['n'].max()):,}")
    return Plate("coverage", coverage_figure(rows, parameters(rows), shown), caption)


def _score_table(scores: pd.DataFrame, preset: str, noise: str) -> Table:
    rows = one_level(scores, preset, noise)
    names, best = estimators(rows), best_estimator(rows)
    labels = [ESTIMATOR_NAMES.get(name, name).removesuffix(" predictor") for name in names]
    table = rows.pivot(index="parameter", columns="estimator")
    body = [_score_row(table, parameter, names) for parameter in parameters(rows)]
    groups = [("", 1), ("R²", len(names) + 1), (labels[0], 4)]
    header = ["parameter", "limit", *labels, "of limit", "NRMSE", "Pearson r", "coverage"]
    caption = Markup(
        "Scores, preset {}, noise {}, n = {}. Of limit: R² of {} over the limit. "
        "Coverage: of its 90 % intervals."
    ).format(preset, describe_level(rows), f"{int(rows['n'].max()):,}", ESTIMATOR_NAMES.get(best, best))
    return Table(caption, header, body, groups)


def _score_row(table: pd.DataFrame, parameter: str, names: Sequence[str]) -> list[Any]:
    """Cells of one parameter; ``table`` has columns (score, estimator), the best estimator is the first."""

    def score(column: str, estimator: str) -> float:
        return float(table.loc[parameter, (column, estimator)])  # type: ignore[arg-type]

    best = names[0]
    limit = score("r2_limit", best)
    ratio = percent(score("r2", best) / limit) if limit > SMALLEST_LIMIT else "–"
    cells = [symbol(parameter), number(limit), *(number(score("r2", name)) for name in names), ratio]
    return [
        *cells, number(score("nrmse", best)), number(score("pearson_r", best)),
        f"{number(100 * score('coverage_90', best), 1)} %",
    ]  # fmt: skip
