"""Recordings: measured against re-simulated responses, and the estimated parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.model import MODEL
from jrflow.report import style

_COLUMNS = 5

#: Variable of the responses, colour, line style, label.
_COURSES = (
    ("source_estimate", style.BLACK, "-", "measured"),
    ("source_resimulated", style.VERMILLION, "-", "re-simulated from the estimates"),
    ("source_best_fit", style.SKY, "--", "best fit"),
)


def courses_figure(responses: xr.Dataset, stim_duration: float) -> Figure:
    """Draw the source's time course as measured and as re-simulated, one panel for each response.

    Parameters
    ----------
    responses
        ``source_estimate``, ``source_resimulated`` and ``source_best_fit`` over (response, time), mV.
    stim_duration
        Length of the stimulus, s.
    """
    n = responses.sizes["response"]
    n_rows = -(-n // 2)
    figure = Figure(figsize=(style.WIDTH, 1.5 * n_rows + 0.5))
    axes = list(figure.subplots(n_rows, 2, squeeze=False, sharex=True).flat)
    for spare in axes[n:]:
        spare.remove()
    milliseconds = responses["time"].values * 1e3
    for i, ax in enumerate(axes[:n]):
        style.mark_stimulus(ax, stim_duration * 1e3)
        style.zero_line(ax)
        for variable, colour, line, label in _COURSES:
            ax.plot(milliseconds, responses[variable].isel(response=i), line, color=colour, label=label)
        ax.set_title(f"{i + 1}. {responses['response'].values[i]}", loc="left", parse_math=False)
        ax.set_xlim(milliseconds[0], milliseconds[-1])
        ax.set_ylabel("source (mV)")
    for ax in axes[max(0, n - 2) : n]:
        ax.xaxis.set_tick_params(labelbottom=True)
        ax.set_xlabel("time from stimulus onset (ms)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(_COURSES))
    return figure


def estimates_figure(
    estimates: Sequence[Mapping[str, Any]],
    bounds: Mapping[str, tuple[float, float]],
    defaults: Mapping[str, float],
) -> Figure:
    """Draw estimates with 90 % intervals, one panel for each parameter, the prior's range as its height.

    Parameters
    ----------
    estimates
        For each response ``parameters``: name to value, low and high; and ``exact``, the same of its own
        posterior, or None.
    bounds
        Range of the prior by name.
    defaults
        Value of each parameter in the preset.
    """
    n_rows = -(-len(bounds) // _COLUMNS)
    figure = Figure(figsize=(style.WIDTH, 1.35 * n_rows + 0.3))
    axes = list(figure.subplots(n_rows, _COLUMNS, squeeze=False, sharex=True).flat)
    for spare in axes[len(bounds) :]:
        spare.remove()
    for ax, (name, (low, high)) in zip(axes, bounds.items(), strict=False):
        _draw_responses(ax, estimates, name)
        ax.axhline(defaults[name], color=style.GREY, linewidth=0.8, linestyle="--")
        ax.set_ylim(low, high)
        ax.set_title(style.symbol_with_unit(name) if name in MODEL.space else style.symbol(name), pad=3)
    for ax in axes[max(0, len(bounds) - _COLUMNS) : len(bounds)]:
        ax.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("response", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _draw_responses(ax: Axes, estimates: Sequence[Mapping[str, Any]], name: str) -> None:
    """One parameter of all responses: the network's intervals, and beside them the exact ones there are."""
    x = np.arange(1, len(estimates) + 1)
    _draw_intervals(ax, x, [one["parameters"][name] for one in estimates], "network", "o", style.BLUE)
    exact = [
        (at + 0.25, one["exact"]["parameters"][name])
        for at, one in zip(x, estimates, strict=True)
        if one["exact"]
    ]
    if exact:
        at, intervals = zip(*exact, strict=True)
        _draw_intervals(ax, np.array(at), intervals, "exact posterior", "D", style.VERMILLION)
    ax.set_xticks(x)
    ax.set_xlim(0.4, len(estimates) + 0.6)


def _draw_intervals(
    ax: Axes, x: np.ndarray, intervals: Sequence[Mapping[str, float]], label: str, marker: str, colour: str
) -> None:
    value, low, high = (np.array([i[key] for i in intervals]) for key in ("value", "low", "high"))
    ax.errorbar(
        x, value, yerr=[value - low, high - value], fmt=marker, color=colour, markersize=3.5, capsize=2,
        clip_on=False, label=label,
    )  # fmt: skip
