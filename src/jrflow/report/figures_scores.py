"""Scores by noise level, compared with baselines and the limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binom

from jrflow.report import style

#: Panels in a row of small multiples.
_COLUMNS = 5

#: Entries in a row of the legend.
_LEGEND_COLUMNS = 5

#: Lowest R2 that is drawn; R2 has no lower bound.
_LOWEST_R2 = -0.15

#: Nominal coverage of the intervals.
NOMINAL = 0.9


def scores_figure(
    scores: pd.DataFrame,
    parameters: Sequence[str],
    estimators: Sequence[str],
    styles: Mapping[str, style.EstimatorStyle] | None = None,
    partly: Collection[str] = (),
) -> Figure:
    """Draw R2 over the signal-to-noise ratio, one panel for each parameter of one preset.

    Parameters
    ----------
    scores
        Rows of one preset, averaged over seeds.
    parameters, estimators
        Panels and curves, in this order.
    styles
        Colour and marker of each estimator; by default chosen here.
    partly
        Estimators that were scored on a part of the test campaign: open markers without a line.
    """
    styles = styles or style.estimator_styles(estimators)
    n_legend_rows = -(-(len(estimators) + 1) // _LEGEND_COLUMNS)
    figure, axes = _small_multiples(len(parameters), height=1.45, above=0.2 * n_legend_rows)
    for ax, name in zip(axes, parameters, strict=True):
        rows = scores[scores["parameter"] == name]
        style.zero_line(ax)
        for estimator in estimators:
            one = rows[rows["estimator"] == estimator].sort_values("snr_db")
            _draw_estimator(ax, one, estimator, styles[estimator], estimator in partly)
        limit = rows.groupby("snr_db")["r2_limit"].first()
        ax.plot(
            limit.index, limit, color=style.BLACK, linestyle="--", marker="_", markersize=9, label="limit"
        )
        ax.set_title(style.symbol(name), pad=3)
        ax.set_ylim(_LOWEST_R2, 1.05)
        ax.set_yticks([0, 0.5, 1])
        ax.margins(x=0.1)
    figure.supxlabel("signal-to-noise ratio of the evoked response (dB)", fontsize=8)
    figure.supylabel("R² on the test campaign", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), _LEGEND_COLUMNS))
    return figure


def _draw_estimator(
    ax: Axes, rows: pd.DataFrame, estimator: str, look: style.EstimatorStyle, is_partly: bool
) -> None:
    ax.plot(
        rows["snr_db"], rows["r2"].clip(lower=_LOWEST_R2), color=look.colour, marker=look.marker,
        label=style.estimator_name(estimator), linestyle="none" if is_partly else "-",
        markerfacecolor="none" if is_partly else None,
    )  # fmt: skip


def recoverable_figure(scores: pd.DataFrame, parameters: Sequence[str], presets: Sequence[str]) -> Figure:
    """Draw one estimator's R2 as bars and the limits as ticks, preset beside preset.

    Parameters
    ----------
    scores
        Rows of one estimator at one noise level, averaged over seeds.
    parameters, presets
        Groups of bars and the bars within them, in this order.
    """
    figure = Figure(figsize=(style.WIDTH, 2.4))
    ax = figure.subplots()
    positions = np.arange(len(parameters))
    width = 0.8 / len(presets)
    for i, preset in enumerate(presets):
        rows = scores[scores["preset"] == preset].set_index("parameter").reindex(list(parameters))
        x = positions + (i - (len(presets) - 1) / 2) * width
        ax.bar(
            x,
            rows["r2"].clip(lower=_LOWEST_R2),
            0.9 * width,
            color=style.PRESET_COLOURS[preset],
            label=preset,
        )
        label = "limit" if i == 0 else "_nolegend_"
        ax.hlines(
            rows["r2_limit"],
            x - 0.48 * width,
            x + 0.48 * width,
            color=style.BLACK,
            linewidth=1.8,
            label=label,
        )
    ax.set_xticks(positions, [style.symbol(name) for name in parameters])
    ax.set_ylabel("R² on the test campaign")
    ax.set_ylim(min(0, scores["r2"].min()), 1.05)
    style.zero_line(ax)
    figure.legend(loc="outside upper center", ncols=len(presets) + 1)
    return figure


def coverage_figure(scores: pd.DataFrame, parameters: Sequence[str], presets: Sequence[str]) -> Figure:
    """Draw the share of true values inside the 90 % intervals, with what chance alone allows."""
    figure = Figure(figsize=(style.WIDTH, 2.2))
    panels = figure.subplots(1, len(presets), squeeze=False, sharey=True)[0]
    levels = list(scores.groupby("noise")["snr_db"].median().sort_values(kind="stable").index)
    colours = style.level_colours(levels)
    for ax, preset in zip(panels, presets, strict=True):
        rows = scores[scores["preset"] == preset]
        _draw_chance(ax, int(rows["n"].iloc[0]))
        for j, noise in enumerate(levels):
            level = rows[rows["noise"] == noise].set_index("parameter")
            coverage = level["coverage_90"].reindex(list(parameters))
            x = np.arange(len(parameters)) + 0.18 * (j - (len(levels) - 1) / 2)
            ax.plot(x, coverage, "o", color=colours[noise], markersize=3.5, label=noise)
        ax.set_xticks(range(len(parameters)), [style.symbol(name) for name in parameters], rotation=60)
        ax.set_title(preset, loc="left")
    panels[0].set_ylabel("coverage of 90 % intervals")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    return figure


def _draw_chance(ax: Axes, n: int) -> None:
    """Band in which the coverage of exact intervals lies in 95 % of test campaigns of this size."""
    low, high = binom.interval(0.95, n, NOMINAL)
    ax.axhspan(low / n, high / n, color=style.GREY, alpha=0.3, linewidth=0, label="chance")
    ax.axhline(NOMINAL, color=style.BLACK, linewidth=0.6)


def _small_multiples(n: int, height: float, above: float) -> tuple[Figure, list[Axes]]:
    """Rows of equal panels, the unused ones of the last row removed."""
    n_rows = -(-n // _COLUMNS)
    figure = Figure(figsize=(style.WIDTH, height * n_rows + 0.3 + above))
    grid = figure.subplots(n_rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[n:]:
        spare.remove()
    for lowest in axes[max(0, n - _COLUMNS) : n]:
        lowest.xaxis.set_tick_params(labelbottom=True)
    return figure, axes[:n]
