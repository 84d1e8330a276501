"""Figures of calibration: ranks of the true values, and coverage at all credibilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import kstwobign

from jrflow.report import style

#: Points at which the band is drawn that exact ranks stay in.
_GRID = np.linspace(0, 1, 201)
#: Noise levels shown at most.
_PANELS = 3


def calibration_figure(found: xr.Dataset, parameters: Sequence[str]) -> Figure:
    """Draw how ranks depart from uniform, one curve for each target, and the coverage of regions.

    Parameters
    ----------
    found
        Of one density, over noise: ``rank`` (noise, diagnosed, parameter), ``expected_coverage`` (noise,
        credibility).
    parameters
        Targets, in this order.
    """
    levels = _shown([str(name) for name in found["noise"].values])
    figure = Figure(figsize=(style.WIDTH, 2.7))
    axes = figure.subplots(1, len(levels) + 1, width_ratios=[1] * len(levels) + [1.25])
    ranks = found["rank"].sel(noise=levels)
    colours = _colours(ranks, parameters)
    for ax, level in zip(axes, levels, strict=False):
        _draw_ranks(ax, ranks.sel(noise=level), parameters, colours)
        ax.set_title(level, loc="left")
        ax.sharey(axes[0])
        ax.tick_params(labelleft=ax is axes[0])
    axes[0].set_ylabel("share of ranks below,\nminus the diagonal")
    axes[(len(levels) - 1) // 2].set_xlabel("rank of the true value among draws")
    _draw_coverage(axes[-1], found, levels)
    handles, labels = axes[0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), columnspacing=0.8)
    return figure


def _colours(ranks: xr.DataArray, parameters: Sequence[str]) -> dict[str, str]:
    """Colours of the targets whose ranks leave the band somewhere, those that leave it furthest first.

    The others need not be told apart, nor can more than eight colours be.
    """
    furthest = {
        name: max(
            abs(_departure(ranks.sel(noise=level, parameter=name).values)).max() for level in ranks["noise"]
        )
        for name in parameters
    }
    reach = _reach(ranks.sizes["diagnosed"])
    outside = sorted((n for n in parameters if furthest[n] > reach), key=lambda name: -furthest[name])
    return dict(zip(outside, style.DISTINCT, strict=False))


def _reach(n: int) -> float:
    """Half width of Kolmogorov's 95 % band for n ranks."""
    return float(kstwobign.ppf(0.95) / np.sqrt(n))


def _departure(ranks: np.ndarray) -> np.ndarray:
    """Empirical distribution of ranks less the uniform one, on the grid."""
    below = np.searchsorted(np.sort(ranks), _GRID, side="right") / len(ranks)
    difference: np.ndarray = below - _GRID
    return difference


def _shown(levels: list[str]) -> list[str]:
    """As many noise levels as there is room for, the first and the last among them."""
    places = np.linspace(0, len(levels) - 1, min(len(levels), _PANELS))
    return [levels[round(place)] for place in places]


def _draw_ranks(ax: Axes, ranks: xr.DataArray, parameters: Sequence[str], colours: Mapping[str, str]) -> None:
    """Distribution of the ranks less that of a uniform variable, with the 95 % band of Kolmogorov."""
    reach = _reach(ranks.sizes["diagnosed"])
    ax.fill_between(_GRID, -reach, reach, color=style.GREY, alpha=0.3, linewidth=0)
    style.zero_line(ax)
    for name in sorted(parameters, key=lambda name: name in colours):  # grey ones below
        below = _departure(ranks.sel(parameter=name).values)
        label = style.symbol(name) if name in colours else "_nolegend_"
        ax.plot(_GRID, below, color=colours.get(name, style.GREY), linewidth=0.9, label=label)
    ax.set_xticks([0, 0.5, 1])


def _draw_coverage(ax: Axes, found: xr.Dataset, levels: Sequence[str]) -> None:
    ax.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.6, linestyle="--")
    for level, colour in style.level_colours(levels).items():
        curve = found["expected_coverage"].sel(noise=level)
        ax.plot(found["credibility"], curve, color=colour, label=str(level))
    ax.set_xlabel("credibility of a region")
    ax.set_ylabel("coverage")
    ax.set_xticks([0, 0.5, 1])
    ax.set_yticks([0, 0.5, 1])
    ax.set_box_aspect(1)
    ax.legend(loc="upper left", fontsize=8)
