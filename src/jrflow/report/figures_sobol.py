"""Sobol indices."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.report import style

#: Range of the axis: at least the first, so that figures can be compared, at most the second; intervals may
#: reach far beyond, and are then marked.
_RANGE, _WIDEST = (-0.12, 1.2), (-0.5, 1.75)
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
    limits = axis_range(indices)
    for ax, feature in zip(axes, features, strict=False):
        _draw_indices(ax, indices.sel(feature=feature), limits)
        ax.set_title(feature.replace("_", " "), loc="left", pad=3)
        ax.set_xticks(range(len(names)), [style.symbol(name) for name in names])
    for ax in axes[max(0, len(features) - _COLUMNS) : len(features)]:
        ax.xaxis.set_tick_params(labelbottom=True)
    axes[0].set_ylim(*limits)
    figure.supylabel("Sobol index", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def axis_range(indices: xr.Dataset) -> tuple[float, float]:
    """Range of the axis: it includes all intervals, up to the largest permitted range."""
    low, high = _ends(indices)
    return max(_WIDEST[0], min(_RANGE[0], low.min())), min(_WIDEST[1], max(_RANGE[1], high.max()))


def n_cut(indices: xr.Dataset) -> int:
    """Number of intervals that reach beyond the axis."""
    (low, high), (start, stop) = _ends(indices), axis_range(indices)
    return int(((low < start) | (high > stop)).sum())


def _ends(indices: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of all intervals that are defined."""
    values = np.stack([indices[kind].values for kind in ("S1", "ST")])
    widths = np.stack([indices[f"{kind}_conf"].values for kind in ("S1", "ST")])
    known = np.isfinite(values) & np.isfinite(widths)
    low, high = (values - widths)[known], (values + widths)[known]
    return (low, high) if len(low) else (np.zeros(1), np.zeros(1))


def _draw_indices(ax: Axes, indices: xr.Dataset, limits: tuple[float, float]) -> None:
    """Bars with intervals; a triangle at the edge of the axis marks an interval that extends beyond it."""
    x = np.arange(indices.sizes["parameter"])
    for kind, shift, colour, label in (
        ("S1", -0.2, style.SKY, "first-order"),
        ("ST", 0.2, style.BLUE, "total"),
    ):
        values, widths = indices[kind].values, indices[f"{kind}_conf"].values
        ax.bar(
            x + shift, values, 0.38, yerr=widths, color=colour, label=label,
            error_kw={"linewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
        for edge, marker, beyond in (
            (limits[0], "v", values - widths < limits[0]),
            (limits[1], "^", values + widths > limits[1]),
        ):
            ax.plot((x + shift)[beyond], np.full(beyond.sum(), edge), marker, color=style.BLACK, markersize=3)
    style.zero_line(ax)
