"""One parameter at a time: effects, responses at the ends of the range, heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from jrflow.report import style
from jrflow.report.content import percent

#: A response has ended if it stays below this fraction of its peak.
_ENDED = 0.01
#: Start of the drawn part of the baseline, s.
_DRAWN_FROM = -0.05
#: Number of decades of the squared error on the colour scale; smaller values have the lowest colour.
_DECADES = 8
#: Range of the log10 of the squared relative error.
_RELATIVE_RANGE = (-10, 2)


def effects_figure(effects: Mapping[str, xr.DataArray]) -> Figure:
    """Draw the largest relative change of the evoked response for each parameter, on a log axis.

    Parameters
    ----------
    effects
        By preset: ``effect`` over (parameter, end).
    """
    names = [str(name) for name in next(iter(effects.values()))["parameter"].values]
    figure = Figure(figsize=(style.WIDTH, 0.24 * len(names) + 0.9))
    ax = figure.subplots()
    y = np.arange(len(names))
    for preset, effect in effects.items():
        largest = effect.max("end").reindex(parameter=names)
        ax.plot(
            largest,
            y,
            style.PRESET_MARKERS[preset],
            color=style.PRESET_COLOURS[preset],
            markersize=6,
            label=preset,
        )
    ax.set_yticks(y, [style.symbol(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.grid(axis="both", color="#dddddd", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.set_xlabel("relative change of the evoked response (RMS of the change / RMS at the default)")
    figure.legend(loc="outside upper right", ncols=len(effects))
    return figure


def ends_figure(maps: Mapping[str, xr.Dataset], parameters: Sequence[str], channel: str) -> Figure:
    """Draw the evoked response at the default and at both ends of some parameters, preset by preset."""
    figure = Figure(figsize=(style.WIDTH, 1.65 * len(maps) + 0.35))
    axes = figure.subplots(len(maps), len(parameters), squeeze=False, sharex=True, sharey="row")
    end = max(_response_end(dataset) for dataset in maps.values())
    for (preset, dataset), row in zip(maps.items(), axes, strict=True):
        for name, ax in zip(parameters, row, strict=True):
            sweep = dataset.sel(parameter=name, time=slice(_DRAWN_FROM, end))
            _draw_ends(ax, sweep, style.PRESET_COLOURS[preset])
            ax.set_title(f"{style.symbol(name)}: {percent(sweep['effect'].max().item())}")
        row[0].set_ylabel(f"{preset}\n{channel} (µV)")
    for ax in axes[-1]:
        ax.set_xlabel("time (ms)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def _draw_ends(ax: Axes, sweep: xr.Dataset, colour: str) -> None:
    milliseconds = sweep["time"].values * 1e3
    style.zero_line(ax)
    ax.plot(milliseconds, sweep["default_evoked"], color=style.BLACK, label="default")
    for step, dashes, label in ((0, "--", "lower end of the range"), (-1, "-.", "upper end of the range")):
        ax.plot(milliseconds, sweep["evoked"].isel(step=step), color=colour, linestyle=dashes, label=label)
    ax.set_xlim(milliseconds[0], milliseconds[-1])


def heat_map_figure(maps: xr.Dataset) -> Figure:
    """Draw response, squared error and squared relative error over time and parameter value."""
    names = [str(name) for name in maps["parameter"].values]
    maps = maps.sel(time=slice(_DRAWN_FROM, _response_end(maps)))
    largest = float(maps["squared_error"].max()) or 1.0
    columns = (
        (
            "evoked",
            "evoked response (µV)",
            Normalize(float(maps["evoked"].min()), float(maps["evoked"].max())),
        ),
        ("squared_error", "squared error (µV²)", LogNorm(largest * 10.0**-_DECADES, largest)),
        ("log10_squared_relative_error", "log₁₀ squared relative error", Normalize(*_RELATIVE_RANGE)),
    )
    figure = Figure(figsize=(style.WIDTH, 0.8 * len(names) + 0.7))
    axes = figure.subplots(len(names), len(columns), squeeze=False, sharex=True, sharey="row")
    for j, (variable, title, norm) in enumerate(columns):
        for ax, name in zip(axes[:, j], names, strict=True):
            image = _draw_map(ax, maps.sel(parameter=name), variable, norm)
        bar = figure.colorbar(image, ax=list(axes[:, j]), location="top", aspect=30, pad=0.01, fraction=0.02)
        bar.set_label(title)
        axes[-1, j].set_xlabel("time from onset (ms)")
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(style.symbol_with_unit(name))
    return figure


def _draw_map(ax: Axes, sweep: xr.Dataset, variable: str, norm: Normalize) -> AxesImage:
    data = sweep[variable].values
    if isinstance(norm, LogNorm):
        data = np.clip(data, norm.vmin, None)
    values, milliseconds = sweep["value"].values, sweep["time"].values * 1e3
    return ax.imshow(
        data, norm=norm, cmap=style.MAP, aspect="auto", origin="lower", interpolation="nearest",
        extent=(milliseconds[0], milliseconds[-1], values[0], values[-1]),
    )  # fmt: skip


def _response_end(maps: xr.Dataset) -> float:
    """Time from which nine in ten sweeps' responses stay below 1 % of their peak, s."""
    size = abs(maps["evoked"])
    alive = (size > _ENDED * size.max("time")).any("step").values
    last = [int(np.flatnonzero(row).max(initial=0)) for row in alive]
    return float(maps["time"].values[int(np.quantile(last, 0.9))])
