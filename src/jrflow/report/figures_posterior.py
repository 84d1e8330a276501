"""Figure of an example posterior: marginals for one test simulation."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.model import MODEL
from jrflow.report import style

_COLUMNS = 5
#: Bins across the prior's range.
_BINS = 40


def posterior_figure(
    draws: xr.DataArray, true: xr.DataArray, low: xr.DataArray, high: xr.DataArray
) -> Figure:
    """Draw the marginals of one posterior, one panel for each parameter, one curve for each noise level.

    Parameters
    ----------
    draws
        Over (noise, draw, parameter), in the parameters' units.
    true, low, high
        Over (parameter): the true value, and the ends of the panel.
    """
    names = [str(name) for name in draws["parameter"].values]
    levels = [str(level) for level in draws["noise"].values]
    n_rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(style.WIDTH, 1.25 * n_rows + 0.4))
    axes = list(figure.subplots(n_rows, _COLUMNS, squeeze=False).flat)
    for spare in axes[len(names) :]:
        spare.remove()
    colours = style.level_colours(levels)
    for ax, name in zip(axes, names, strict=False):
        span = float(low.sel(parameter=name)), float(high.sel(parameter=name))
        for level in levels:
            values = draws.sel(noise=level, parameter=name).values
            _draw_marginal(ax, values, span, colours[level], level)
        ax.axvline(float(true.sel(parameter=name)), color=style.BLACK, linewidth=1, label="true value")
        ax.set_title(style.symbol_with_unit(name) if name in MODEL.space else style.symbol(name), pad=3)
        ax.set_xlim(*span)
        ax.set_ylim(bottom=0)
        ax.set_yticks([])
        ax.locator_params(axis="x", nbins=3)
    figure.supylabel("posterior density", fontsize=8)
    figure.supxlabel("parameter value", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6))
    return figure


def _draw_marginal(ax: Axes, values: np.ndarray, span: tuple[float, float], colour: str, label: str) -> None:
    """Histogram of draws, smoothed over three bins; draws outside the panel count in its outermost bins."""
    edges = np.linspace(*span, _BINS + 1)
    density, _ = np.histogram(values.clip(*span), edges, density=True)
    smooth = np.convolve(np.pad(density, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    ax.stairs(smooth, edges, color=colour, linewidth=1.1, label=label)
