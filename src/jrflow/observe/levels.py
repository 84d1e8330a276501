"""Noise levels of one model, stored with its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from jrflow.config.eeg import NoiseConfig
from jrflow.model.timing import Timing
from jrflow.observe.noise import EvokedNoise, noise_level, spatial_filter
from jrflow.observe.processing import Processing
from jrflow.observe.projection import reference_rms


def noise_levels(
    levels: Mapping[str, NoiseConfig],
    lead_field: xr.DataArray,
    timing: Timing,
    campaign: xr.Dataset,
    processing: Processing | None = None,
) -> xr.Dataset:
    """Compute the configured noise levels for a model's training campaign.

    Parameters
    ----------
    levels
        Noise levels of the configuration, by name.
    lead_field
        Dims (channel, region), uV/mV.
    timing
        Times of the protocol.
    campaign
        Training campaign: ``source`` (mV) and ``status``. Signal-to-noise ratios refer to the median size of
        its evoked responses.
    processing
        Filters and baseline of the responses; None for no filter.

    Returns
    -------
    xr.Dataset
        Over ``noise``: ``covariance`` (noise, channel, channel_2) of one averaged sample in uV^2;
        ``n_averages``; ``period`` in samples; ``snr_db`` in dB; ``sd``, the noise of the source estimate in
        mV. Also ``lead_field`` (channel, region) and the attribute ``reference_rms_uV``. Later stages need
        nothing else.
    """
    done = Processing() if processing is None else processing
    usable = campaign["source"].where(campaign["status"] == 0)
    size = reference_rms(usable, lead_field, done, timing.period)
    resolved = {name: noise_level(config, lead_field, timing, size, done) for name, config in levels.items()}
    per_level = {
        "covariance": ("uV^2", [n.covariance for n in resolved.values()]),
        "n_averages": ("1", [n.n_averages for n in resolved.values()]),
        "period": ("samples", [n.period for n in resolved.values()]),
        "snr_db": ("dB", [n.snr_db(size) for n in resolved.values()]),
        "sd": ("mV", [spatial_filter(lead_field, n)[1] for n in resolved.values()]),
    }
    dims = {"covariance": ("noise", "channel", "channel_2")}
    return xr.Dataset(
        {
            name: (dims.get(name, ("noise",)), np.array(values), {"units": units})
            for name, (units, values) in per_level.items()
        },
        coords={"noise": list(resolved), "time": ("time", timing.times, {"units": "s"})},
        attrs={"reference_rms_uV": size, "processing": json.dumps(asdict(done))},
    ).assign(lead_field=lead_field)


def read_levels(path: Path) -> tuple[xr.DataArray, dict[str, EvokedNoise], xr.Dataset]:
    """Read a file of :func:`noise_levels`: lead field, noise levels by name, and the whole dataset."""
    with xr.open_dataset(path, engine="h5netcdf") as file:
        table = file.load()
    processing = Processing(**json.loads(table.attrs.get("processing", "{}")))
    if processing.baseline is not None:  # JSON has no tuples
        processing = processing.replace(baseline=tuple(processing.baseline))
    levels = {
        str(name): EvokedNoise(
            row["covariance"].values,
            int(row["n_averages"]),
            table["time"].values,
            int(row["period"]),
            processing,
        )
        for name in table["noise"].values
        for row in [table.sel(noise=name)]
    }
    return table["lead_field"], levels, table
