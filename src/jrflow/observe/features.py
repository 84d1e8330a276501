"""Numbers that describe an evoked response: amplitudes, latencies, areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from scipy.ndimage import uniform_filter1d

#: Length of the running mean before peaks and power are computed, s: one noisy sample is not a peak.
_SMOOTHING = 0.01

#: The tip of a peak is the part above this fraction of its height. A second deflection above this height is
#: a rival: a change of the response by 1 % could make it the largest deflection.
_TIP = 0.98

#: Ends of the early and of the late window, s after the onset.
_EARLY, _LATE = 0.15, 0.5


@dataclass(frozen=True)
class Feature:
    """Name and unit of a feature; ``{}`` in the unit stands for the unit of the data."""

    unit: str
    long_name: str


FEATURES: dict[str, Feature] = {
    "peak_amplitude": Feature("{}", "largest deflection from baseline after the onset, of either sign"),
    "peak_latency": Feature("s", "time of the largest deflection (centre of the upper 2 % of its height)"),
    "half_width": Feature("s", "time spent beyond half the peak amplitude, on its side"),
    "rebound_amplitude": Feature("{}", "largest deflection to the other side after the peak, 0 if none"),
    "peak_to_peak": Feature("{}", "largest minus smallest value after the onset"),
    "area_early": Feature("{} s", f"integral from 0 to {_EARLY:g} s"),
    "area_late": Feature("{} s", f"integral from {_EARLY:g} to {_LATE:g} s"),
    "rms": Feature("{}", "root mean square after the onset"),
    "centroid_latency": Feature("s", "mean time after the onset, weighted by power"),
    "temporal_spread": Feature("s", "standard deviation of time after the onset, weighted by power"),
}


def erp_features(
    evoked: np.ndarray,
    times: np.ndarray,
    *,
    units: str,
    sim: np.ndarray | None = None,
    rivals: Literal["undefined", "largest"] = "undefined",
) -> xr.Dataset:
    """Compute features of evoked time courses of one channel or source.

    Parameters
    ----------
    evoked
        Evoked responses, baseline-corrected, shape (n, n_times).
    times
        Times, s, evenly spaced, 0 at the stimulus onset, shape (n_times,).
    units
        Unit of ``evoked``: uV for a channel, mV for a source.
    sim
        Ids of the simulations, shape (n,); None for 0..n-1.
    rivals
        Treatment of a second, separate deflection that reaches 98 % of the largest deflection.
        ``undefined``: features that depend on the choice of the peak are NaN (``peak_latency`` and
        ``rebound_amplitude``; if the two deflections have opposite signs, also ``peak_amplitude`` and
        ``half_width``). ``largest``: the largest sample is the peak; these features are then discontinuous
        where the order of the two deflections changes.

    Returns
    -------
    xr.Dataset
        The variables of ``FEATURES`` over ``sim``, float64, with ``units`` and ``long_name``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the times do not reach the late window.

    Notes
    -----
    All features except the areas are computed after a running mean over 10 ms. If a response is zero
    everywhere, its latencies and widths are NaN. If a response is not finite, all of its features are NaN.

    With ``rivals="undefined"``, a small change of the response causes a small change of each feature: if the
    response changes by less than 1 % of its peak, the latency of the peak stays within the tip of one
    deflection, or it is undefined. ``centroid_latency`` is continuous, and defined for every nonzero
    response.
    """
    evoked, times = np.asarray(evoked, dtype=float), np.asarray(times, dtype=float)
    _require_shapes(evoked, times)
    after = times > 0
    window = max(1, round(_SMOOTHING / (times[1] - times[0])))
    smooth = uniform_filter1d(evoked, window, axis=1, mode="nearest")[:, after]
    peaks = _peaks(smooth, times[after], rivals == "undefined")
    values = peaks | _areas(evoked, times) | _moments(smooth, times[after])
    undefined = ~np.isfinite(evoked).all(axis=1)
    return xr.Dataset(
        {
            name: (
                "sim",
                np.where(undefined, np.nan, values[name]),
                {"units": feature.unit.format(units), "long_name": feature.long_name},
            )
            for name, feature in FEATURES.items()
        },
        coords={"sim": np.arange(len(evoked)) if sim is None else np.asarray(sim)},
    )


def _require_shapes(evoked: np.ndarray, times: np.ndarray) -> None:
    if evoked.ndim != 2 or evoked.shape[1:] != times.shape:
        raise ValueError(
            f"expected evoked of shape (n, n_times) and times (n_times,), received {evoked.shape} and "
            f"{times.shape}"
        )
    if times[-1] <= _EARLY:
        raise ValueError(
            f"the response ends at {times[-1]:g} s, before the late window starts at {_EARLY:g} s: record a "
            "longer epoch"
        )


def _peaks(response: np.ndarray, times: np.ndarray, drop_rivals: bool) -> dict[str, np.ndarray]:
    """Features of the largest deflection; with ``drop_rivals`` NaN if a second deflection is as large."""
    rows, peak = np.arange(len(response)), abs(response).argmax(axis=1)
    amplitude = response[rows, peak]
    upright = response * np.sign(amplitude)[:, np.newaxis]
    afterwards = np.arange(len(times)) >= peak[:, np.newaxis]
    rebound = np.where(afterwards, upright, 0.0).min(axis=1)
    beyond_half = (upright >= abs(amplitude)[:, np.newaxis] / 2).sum(axis=1) * (times[1] - times[0])
    latency, has_rival = _tip(abs(response), peak, times)
    flat = amplitude == 0
    no_peak = has_rival & drop_rivals & ~flat
    no_side = no_peak & (-upright.min(axis=1) >= _TIP * abs(amplitude))
    return {
        "peak_amplitude": np.where(no_side, np.nan, amplitude),
        "peak_latency": np.where(flat | no_peak, np.nan, latency),
        "half_width": np.where(flat | no_side, np.nan, beyond_half),
        "rebound_amplitude": np.where(no_peak, np.nan, rebound * np.sign(amplitude)),
        "peak_to_peak": np.ptp(response, axis=1),
    }


def _tip(size: np.ndarray, peak: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean time of the peak's tip, weighted by height above its foot; and whether there are other tips.

    The mean over the tip changes continuously with the response, even if the top is flat. The time of the
    largest sample does not.
    """
    rows = np.arange(len(size))
    foot = _TIP * size[rows, peak]
    high = size >= foot[:, np.newaxis]
    # Number of each run of neighbouring samples above the foot.
    run = np.cumsum(np.diff(high, axis=1, prepend=False) & high, axis=1, dtype=np.int32)
    own = high & (run == run[rows, peak][:, np.newaxis])
    with np.errstate(invalid="ignore"):  # responses that are zero everywhere, or not finite
        weight = np.where(own, size - foot[:, np.newaxis], 0.0)
        return (weight * times).sum(axis=1) / weight.sum(axis=1), run[:, -1] > 1


def _areas(evoked: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    step = times[1] - times[0]
    windows = {"area_early": (0.0, _EARLY), "area_late": (_EARLY, _LATE)}
    return {
        name: evoked[:, (times > start) & (times <= stop)].sum(axis=1) * step
        for name, (start, stop) in windows.items()
    }


def _moments(response: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    power = response**2
    total = power.sum(axis=1)
    with np.errstate(invalid="ignore"):  # a response that is zero everywhere has no latency
        # Do not use matrix products: their rounding depends on the number of simulations.
        centroid = (power * times).sum(axis=1) / total
        spread = np.sqrt(((power * times**2).sum(axis=1) / total - centroid**2).clip(min=0))
    return {
        "rms": np.sqrt(power.mean(axis=1)),
        "centroid_latency": centroid,
        "temporal_spread": spread,
    }
