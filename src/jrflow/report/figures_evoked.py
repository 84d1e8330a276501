"""Evoked responses over the prior and over the scalp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mne
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.observe.channels import info_of
from jrflow.report import style

#: Quantiles of the bands over the prior: 5..95 % and 25..75 %.
_BANDS = ((0.05, 0.95, 0.25), (0.25, 0.75, 0.45))


@dataclass(frozen=True)
class EvokedView:
    """Evoked responses of one preset.

    Attributes
    ----------
    over_prior
        Over (sim, time), uV: one channel, simulations of the test campaign.
    over_scalp
        Over (channel, time), uV: one response at every channel.
    scalp_title
        Which response that is.
    """

    over_prior: xr.DataArray
    over_scalp: xr.DataArray
    scalp_title: str


def evoked_figure(
    views: Mapping[str, EvokedView], lead_field: xr.DataArray, channel: str, stim_duration: float
) -> Figure:
    """Draw, for each preset, the responses over the prior, the butterfly and the topography."""
    figure = Figure(figsize=(style.WIDTH, 2.3 * len(views) + 0.2))
    axes = figure.subplots(len(views), 3, squeeze=False, width_ratios=[1, 1, 0.75])
    for (preset, view), row in zip(views.items(), axes, strict=True):
        _draw_prior(row[0], view.over_prior, style.PRESET_COLOURS[preset], stim_duration)
        row[0].set_title(f"{preset}: over the prior, {channel}", loc="left")
        _draw_butterfly(row[1], view, channel, stim_duration)
        row[1].set_title(f"{view.scalp_title}, all channels", loc="left")
        _draw_topography(figure, row[2], view, lead_field)
    axes[0, 0].legend(loc="best", handlelength=1.2)
    return figure


def _draw_prior(ax: Axes, evoked: xr.DataArray, colour: str, stim_duration: float) -> None:
    milliseconds = evoked["time"].values * 1e3
    style.mark_stimulus(ax, stim_duration * 1e3)
    style.zero_line(ax)
    for low, high, alpha in _BANDS:
        lower, upper = np.quantile(evoked.values, [low, high], axis=0)
        label = f"{low:.0%}..{high:.0%}".replace("..", "–")
        ax.fill_between(milliseconds, lower, upper, color=colour, alpha=alpha, linewidth=0, label=label)
    ax.plot(milliseconds, np.median(evoked.values, axis=0), color=colour, label="median")
    _time_axis(ax, milliseconds)


def _draw_butterfly(ax: Axes, view: EvokedView, channel: str, stim_duration: float) -> None:
    milliseconds = view.over_scalp["time"].values * 1e3
    style.mark_stimulus(ax, stim_duration * 1e3)
    ax.plot(milliseconds, view.over_scalp.values.T, color=style.GREY, linewidth=0.5, alpha=0.7)
    ax.plot(milliseconds, view.over_scalp.sel(channel=channel), color=style.BLACK)
    ax.axvline(milliseconds[_peak(view)], color=style.PURPLE, linewidth=0.8, linestyle="--")
    _time_axis(ax, milliseconds)


def _draw_topography(figure: Figure, ax: Axes, view: EvokedView, lead_field: xr.DataArray) -> None:
    peak = _peak(view)
    values = view.over_scalp.isel(time=peak).values
    image, _ = mne.viz.plot_topomap(
        values, info_of(lead_field), axes=ax, show=False, cmap=style.SIGNED_MAP, sensors="k."
    )
    for sensors in ax.lines:
        sensors.set_markersize(1.5)
    ax.set_title(f"{view.over_scalp['time'].values[peak] * 1e3:.0f} ms")
    bar = figure.colorbar(image, ax=ax, shrink=0.7, pad=0.02)
    bar.set_label("EEG (µV)")


def _peak(view: EvokedView) -> int:
    """Sample at which the response is strongest over the scalp."""
    return int((view.over_scalp**2).sum("channel").argmax("time"))


def _time_axis(ax: Axes, milliseconds: np.ndarray) -> None:
    ax.set_xlim(milliseconds[0], milliseconds[-1])
    ax.set_xlabel("time from stimulus onset (ms)")
    ax.set_ylabel("EEG (µV)")
