"""Estimated against true parameters, and the benefit of more simulations or more epochs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from jrflow.report import style
from jrflow.report.content import number

_COLUMNS = 5
#: Largest number of characters in the tick labels below a panel.
_LETTERS = 7


def recovery_figure(predictions: xr.Dataset, r2: pd.Series, limits: pd.Series) -> Figure:
    """Draw the density of recovered against true values, one panel for each parameter.

    Parameters
    ----------
    predictions
        ``true`` and ``predicted`` over (sim, parameter) at one noise level.
    r2, limits
        Realised and attainable R2 by parameter.
    """
    names = [str(name) for name in predictions["parameter"].values]
    n_rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(style.WIDTH, 1.55 * n_rows + 0.2))
    axes = list(figure.subplots(n_rows, _COLUMNS, squeeze=False).flat)
    for spare in axes[len(names) :]:
        spare.remove()
    for ax, name in zip(axes, names, strict=False):
        one = predictions.sel(parameter=name)
        density = _draw_density(ax, one["true"].values, one["predicted"].values)
        ax.set_title(
            f"{style.symbol_with_unit(name)}\nR² {number(float(r2[name]))} / {number(float(limits[name]))}",
            pad=3,
            fontsize=8,
        )
    bar = figure.colorbar(density, ax=axes[: len(names)], shrink=0.6, aspect=30, pad=0.01)
    bar.set_label("simulations per cell")
    figure.supxlabel("true", fontsize=8)
    figure.supylabel("recovered", fontsize=8)
    return figure


def _draw_density(ax: Axes, true: np.ndarray, predicted: np.ndarray) -> PolyCollection:
    low, high = true.min(), true.max()
    cells = ax.hexbin(
        true, predicted, gridsize=32, extent=(low, high, low, high), mincnt=1, cmap=style.MAP,
        norm=LogNorm(1, max(10, len(true) / 50)), linewidths=0.1, rasterized=True,
    )  # fmt: skip
    ax.plot([low, high], [low, high], color=style.VERMILLION, linewidth=0.9, linestyle="--")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_box_aspect(1)
    ax.locator_params(nbins=3)
    inside = [tick for tick in ax.get_xticks() if low <= tick <= high]
    if sum(len(f"{tick:g}") for tick in inside) > _LETTERS:  # neighbouring labels would touch
        ax.set_xticks([inside[0], inside[-1]])
    return cells


def learning_curve_figure(curve: pd.DataFrame, parameters: Sequence[str], noise: str) -> Figure:
    """Draw R2 over the number of simulations, and set more simulations against more epochs.

    Parameters
    ----------
    curve
        Columns n_simulations, n_presentations, epochs, noise, parameter, r2.
    parameters
        Which to average over, and to show one by one.
    noise
        Level at which they are shown one by one.
    """
    curve = curve[curve["parameter"].isin(parameters)]
    figure = Figure(figsize=(style.WIDTH, 2.5))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    usual = curve["n_presentations"].min()
    for level, colour in style.level_colours(curve["noise"].unique()).items():
        _draw_curve(left, curve[curve["noise"] == level], usual, colour, str(level))
    sizes = sorted(curve["n_simulations"].unique())
    left.set_xscale("log")
    left.set_xticks(sizes, [f"{size:,}" for size in sizes])
    left.minorticks_off()
    left.set_xlabel("training simulations")
    left.set_ylabel("mean R² over parameters")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    style.panel_letter(left, "a")
    _draw_gains(right, curve[curve["noise"] == noise], usual, parameters)
    style.panel_letter(right, "b")
    return figure


def _draw_curve(ax: Axes, rows: pd.DataFrame, usual: float, colour: str, label: str) -> None:
    mean = rows.groupby(["n_presentations", "n_simulations"])["r2"].mean().reset_index()
    same = mean[mean["n_presentations"] == usual]
    longer = mean[mean["n_presentations"] > usual]
    ax.plot(same["n_simulations"], same["r2"], "o-", color=colour, label=label)
    ax.plot(longer["n_simulations"], longer["r2"], "o", color=colour, markerfacecolor="white", markersize=6)


def _draw_gains(ax: Axes, rows: pd.DataFrame, usual: float, parameters: Sequence[str]) -> None:
    """Change of R2 from the smallest training set: by more epochs, and by more simulations."""
    smallest, largest = rows["n_simulations"].min(), rows["n_simulations"].max()
    same = rows[rows["n_presentations"] == usual]
    start = same[same["n_simulations"] == smallest].set_index("parameter")["r2"].reindex(parameters)
    longer = rows[(rows["n_simulations"] == smallest) & (rows["n_presentations"] > usual)]
    more_epochs = longer.set_index("parameter")["r2"].reindex(parameters)
    more_simulations = same[same["n_simulations"] == largest].set_index("parameter")["r2"].reindex(parameters)
    times = longer["n_presentations"].max() / usual
    x = np.arange(len(parameters))
    ax.bar(
        x - 0.2,
        more_simulations - start,
        0.38,
        color=style.BLUE,
        label=f"{largest / smallest:.3g} x simulations",
    )
    ax.bar(x + 0.2, more_epochs - start, 0.38, color=style.ORANGE, label=f"{times:.3g} x epochs")
    style.zero_line(ax)
    ax.set_xticks(x, [style.symbol(name) for name in parameters])
    ax.set_ylabel(f"change of R² from {smallest:,}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
