"""One-at-a-time analysis: evoked responses while a single parameter varies over its range."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jrflow.model import MODEL

#: Smallest squared relative deviation; smaller values are set to it, because zero has no logarithm.
_SMALLEST_SQUARED_RATIO = 1e-24

#: Relative deviations are undefined where the mean response is below this fraction of its peak: the mean then
#: consists of rounding errors of the simulated source (float32).
_SMALLEST_MEAN = 1e-5


def one_at_a_time(campaign: xr.Dataset, evoked: xr.DataArray) -> xr.Dataset:
    """Compute heat maps and effects of the parameters from a one-at-a-time campaign.

    Parameters
    ----------
    campaign
        Archive of a one-at-a-time campaign: ``status`` and one coordinate per parameter over
        ``sim``; ``attrs["varied_names"]`` and ``attrs["preset"]``.
    evoked
        Evoked response at one channel over (sim, time), uV, baseline-corrected.

    Returns
    -------
    xr.Dataset
        Failed simulations are NaN.

        - Over (parameter, step, time): ``evoked`` (uV); ``squared_error`` (uV^2) and
          ``log10_squared_relative_error``, both relative to the mean over the parameter's sweep (NaN where
          the mean is below 1e-5 of its peak).
        - Over (parameter, step): ``value``, the parameter's value.
        - Over (parameter, time): ``default_evoked`` (uV), interpolated linearly if the default is not a step
          of the sweep.
        - Over (parameter, end): ``effect``, the root mean square over time of the change from the default to
          an end of the range, divided by the root mean square of the default response; ``end_ratio``, the
          parameter's value at this end divided by its default.

    Raises
    ------
    ValueError
        If the simulations are not sweeps of single parameters with equal lengths.

    Notes
    -----
    Heat maps correspond to Tilwani & O'Reilly, arXiv 2406.05002, with one difference: the published code sets
    negative deviations to zero before it takes the logarithm.
    """
    names = list(campaign.attrs["varied_names"])
    defaults = MODEL.preset(campaign.attrs["preset"]).defaults
    evoked = evoked.where(campaign["status"] == 0)
    sweeps = [_sweep(campaign, evoked, name, names, defaults) for name in names]
    if len({sweep.sizes["step"] for sweep in sweeps}) > 1:
        counts = ", ".join(
            f"{name}: {sweep.sizes['step']}" for name, sweep in zip(names, sweeps, strict=True)
        )
        raise ValueError(f"every parameter must have equally many steps, but found {counts}")
    maps = xr.concat(sweeps, xr.Variable("parameter", names))
    return _label(maps, campaign.attrs["preset"])


def _sweep(
    campaign: xr.Dataset, evoked: xr.DataArray, name: str, names: list[str], defaults: Mapping[str, float]
) -> xr.Dataset:
    """Collect the simulations in which only ``name`` varies, in the order of its value."""
    others = [other for other in names if other != name]
    at_default = np.ones(campaign.sizes["sim"], dtype=bool)
    for other in others:
        at_default &= np.isclose(campaign[other].values, defaults[other], rtol=1e-9, atol=0)
    values, first = np.unique(campaign[name].values[at_default], return_index=True)
    if len(values) < 2:
        raise ValueError(
            f"a one-at-a-time campaign varies {name!r} with every other parameter at its default, but "
            f"{len(values)} such simulations were found; pass a campaign with design 'one-at-a-time'"
        )
    sims = np.flatnonzero(at_default)[first]
    responses = evoked.isel(sim=sims).rename(sim="step").drop_vars("step").transpose("step", "time")
    responses = responses.reset_coords(drop=True)
    return _maps(responses, values, defaults[name])


def _maps(evoked: xr.DataArray, values: np.ndarray, default: float) -> xr.Dataset:
    """Heat maps and effect of one sweep; ``evoked`` over (step, time)."""
    evoked = evoked.astype(np.float64)
    mean = evoked.mean("step")
    difference = evoked - mean
    ratio = (difference / mean.where(abs(mean) > _SMALLEST_MEAN * abs(mean).max())) ** 2
    at_default = evoked.assign_coords(step=values).interp(step=default).drop_vars("step")
    change = evoked.isel(step=[0, -1]).rename(step="end") - at_default
    effect = _rms(change) / _rms(at_default)
    return xr.Dataset(
        {
            "evoked": evoked,
            "squared_error": difference**2,
            "log10_squared_relative_error": np.log10(ratio.clip(min=_SMALLEST_SQUARED_RATIO)),
            "value": ("step", values),
            "default_evoked": at_default,
            "effect": effect,
            "end_ratio": ("end", values[[0, -1]] / default),
        },
        coords={"end": ["low", "high"]},
    )


def _rms(evoked: xr.DataArray) -> xr.DataArray:
    return (evoked**2).mean("time", skipna=False) ** 0.5


def _label(maps: xr.Dataset, preset_name: str) -> xr.Dataset:
    described = {
        "evoked": ("uV", "evoked response"),
        "squared_error": ("uV^2", "squared deviation from the mean over the sweep"),
        "log10_squared_relative_error": ("1", "log10 of the squared relative deviation from the mean"),
        "value": ("as the parameter", "value of the parameter"),
        "default_evoked": ("uV", "evoked response at the default"),
        "effect": ("1", "relative change of the evoked response at the end of the range"),
        "end_ratio": ("1", "end of the range over the default"),
    }
    for name, (units, long_name) in described.items():
        maps[name].attrs = {"units": units, "long_name": long_name}
        if "step" in maps[name].dims and "time" in maps[name].dims:
            maps[name].encoding = {"dtype": "float32", "zlib": True}
    maps["time"].attrs = {"units": "s", "long_name": "time from stimulus onset"}
    maps.attrs = {"preset": preset_name}
    return maps
