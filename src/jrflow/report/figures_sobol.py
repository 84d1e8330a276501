"""Sobol indices."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.report import style

#: Range of the axis: indices lie in 0..1, estimates scatter around that, intervals may reach far beyond.
_RANGE = (-0.12, 1.2)
_COLUMNS = 2


def sobol_figure(indices: xr.Dataset) -> Figure:
    """Draw first-order and total indices with their intervals, one panel for each feature."""
    features = [str(name) for name in indices["feature"].values]
    names = [str(name) for name in indices["parameter"].values]
    n_rows = -(-len(features) // _COLUMNS)
    figure = Figure(figsize=(style.WIDTH, 1.15 * n_rows + 0.5))
    axes = list(figure.subplots(n_rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).flat)
    for spare in axes[len(features) :]:
        spare.remove()
    for ax, feature in zip(axes, features, strict=False):
        _draw_indices(ax, indices.sel(feature=feature))
        ax.set_title(feature.replace("_", " "), loc="left", pad=3)
        ax.set_xticks(range(len(names)), [style.symbol(name) for name in names])
    for ax in axes[max(0, len(features) - _COLUMNS) : len(features)]:
        ax.xaxis.set_tick_params(labelbottom=True)
    axes[0].set_ylim(*_RANGE)
    figure.supylabel("Sobol index", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def _draw_indices(ax: Axes, indices: xr.Dataset) -> None:
    x = np.arange(indices.sizes["parameter"])
    for kind, shift, colour, label in (
        ("S1", -0.2, style.SKY, "first-order"),
        ("ST", 0.2, style.BLUE, "total"),
    ):
        ax.bar(
            x + shift, indices[kind], 0.38, yerr=indices[f"{kind}_conf"], color=colour, label=label,
            error_kw={"linewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
    style.zero_line(ax)
