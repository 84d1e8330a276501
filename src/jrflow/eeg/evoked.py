"""Evoked responses in MNE's form: simulated ones out, measured ones in."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.interpolate import make_interp_spline

from jrflow.eeg.channels import info_of, read_fif, require_channels
from jrflow.eeg.noise import EvokedNoise
from jrflow.eeg.projection import baseline_correct, to_eeg

#: A model's time counts as recorded if it lies within this fraction of a sample of the recording.
_EDGE = 0.5

#: Upper edge of the anti-alias filter's passband, in units of the model's sampling frequency.
_PASSBAND = 0.4


def to_evoked(
    ds: xr.Dataset,
    *,
    sim: int,
    lead_field: xr.DataArray,
    noise: EvokedNoise | None = None,
    seed: int = 0,
) -> mne.EvokedArray:
    """One simulation as MNE would have averaged it from a recording.

    Parameters
    ----------
    ds
        A simulation or an archive: ``source(sim, region, time)``, mV.
    sim
        Id of the simulation.
    lead_field
        Dims (channel, region), uV/mV.
    noise
        Added to the channels; ``None`` leaves them clean.
    seed
        The noise is keyed to (seed, sim), so that simulations do not share theirs.

    Returns
    -------
    mne.EvokedArray
        V, baseline-corrected, average reference as an applied projector. ``nave`` is the noise's
        number of averages; without noise ``ds.attrs["n_epochs"]``, or 1 where that is not recorded.

    Raises
    ------
    ValueError
        If there is no such simulation, it is not finite, or the noise is for other times or channels.
    """
    eeg = to_eeg(_one(ds, sim)["source"], lead_field)
    times, data = eeg["time"].values, eeg.values.astype(float)
    if noise is not None:
        _require_fit(noise, data.shape, times)
        data = data + noise.sample(1, np.random.default_rng([seed, sim]))[0]
    sfreq = (len(times) - 1) / (times[-1] - times[0])
    nave = noise.n_averages if noise is not None else int(ds.attrs.get("n_epochs", 1))
    evoked = mne.EvokedArray(
        data * 1e-6, info_of(lead_field, sfreq), tmin=times[0], comment=f"sim {sim}", nave=nave,
        baseline=(None, 0), verbose="error",
    )  # fmt: skip
    return evoked.set_eeg_reference(projection=True, verbose="error").apply_proj(verbose="error")


def read_evokeds(path: str | Path) -> list[mne.Evoked]:
    """Read all evoked responses of a file, EEG channels only, bad ones left out.

    Raises
    ------
    ValueError
        If the file holds no evoked response, or one without EEG.
    FileNotFoundError
        If there is no such file.
    """
    evokeds: list[mne.Evoked] = read_fif(mne.read_evokeds, path, "evoked responses")
    if not evokeds:
        raise ValueError(f"{path}: expected evoked responses (.fif), found {mne.what(path)}")
    for evoked in evokeds:
        if len(mne.pick_types(evoked.info, eeg=True, exclude="bads")) == 0:
            raise ValueError(f"{path}: evoked response {evoked.comment!r} has no good EEG channel")
    return [evoked.pick("eeg", exclude="bads") for evoked in evokeds]


def on_model_grid(evoked: mne.Evoked, lead_field: xr.DataArray, times: np.ndarray) -> xr.DataArray:
    """Bring a measured response to the channels and times of the model.

    Channels are taken in the lead field's order and re-referenced to their average. A recording
    that holds frequencies above the model's Nyquist frequency is low-pass filtered (zero phase, at
    0.4 of the model's sampling frequency); then a cubic spline reads it at those of the model's
    times that it covers; last comes the baseline correction.

    Parameters
    ----------
    evoked
        Measured response, V.
    lead_field
        Dims (channel, region).
    times
        The model's times, s, shape (n_times,), evenly spaced.

    Returns
    -------
    xr.DataArray
        Dims (channel, time), uV; the times are those of the model's that were recorded.

    Raises
    ------
    ValueError
        If channels are missing or bad, or too few of the model's times were recorded.
    """
    good = [name for name in evoked.ch_names if name not in evoked.info["bads"]]
    names = require_channels(lead_field, good, f"evoked response {evoked.comment!r}")
    common = _recorded_times(evoked, times)
    sfreq = 1 / (times[1] - times[0])
    if evoked.info["lowpass"] > sfreq / 2:
        # Not evoked.resample: it shifts by up to half a new sample.
        evoked = evoked.copy().filter(None, _PASSBAND * sfreq, verbose="error")
    data = 1e6 * evoked.data[[evoked.ch_names.index(name) for name in names]]
    data = data - data.mean(axis=0)
    spline = make_interp_spline(evoked.times, data, k=3, axis=-1)
    # A last fraction of a sample is held, not extrapolated.
    data = spline(common.clip(evoked.times[0], evoked.times[-1]))
    return xr.DataArray(
        baseline_correct(data, common),
        dims=("channel", "time"),
        coords={"channel": names, "time": ("time", common, {"units": "s"})},
        attrs={"units": "uV", "reference": "average", "n_averages": int(evoked.nave)},
        name="eeg",
    )


def source_estimate(eeg: xr.DataArray, weights: np.ndarray) -> xr.DataArray:
    """Time course of the source in EEG, mV.

    Parameters
    ----------
    eeg
        Dims (..., channel, time), uV, average reference.
    weights
        From :func:`jrflow.eeg.noise.spatial_filter`, mV/uV, shape (n_channels,).
    """
    estimate = xr.dot(eeg, xr.DataArray(weights, dims="channel"), dim="channel")
    return estimate.rename("source").assign_attrs(eeg.attrs | {"units": "mV"})


def _one(ds: xr.Dataset, sim: int) -> xr.Dataset:
    """Look up a simulation by its id, and refuse one that is not finite."""
    known = ds["sim"].values
    if sim not in known:
        raise ValueError(
            f"no simulation with id {sim}: there are {len(known)}, from {known.min()} to {known.max()}"
        )
    one = ds.sel(sim=sim)
    if not np.isfinite(one["source"].values).all():
        raise ValueError(f"the source of simulation {sim} is not finite; choose one with status 0")
    return one


def _require_fit(noise: EvokedNoise, shape: tuple[int, ...], times: np.ndarray) -> None:
    received = (len(noise.covariance), len(noise.times))
    if received != shape or not np.allclose(noise.times, times, atol=1e-9):
        raise ValueError(
            f"the noise is for {received[0]} channels and {received[1]} times, the evoked response has "
            f"{shape[0]} channels and {shape[1]} times ({times[0]:g}..{times[-1]:g} s): make the noise for "
            "this lead field and protocol"
        )


def _recorded_times(evoked: mne.Evoked, times: np.ndarray) -> np.ndarray:
    edge = _EDGE / evoked.info["sfreq"]
    common = times[(times >= evoked.times[0] - edge) & (times <= evoked.times[-1] + edge)]
    if len(common) < 2 or common[-1] <= 0 or common[0] > 0:
        raise ValueError(
            f"evoked response {evoked.comment!r} covers {evoked.times[0]:.3f}..{evoked.times[-1]:.3f} s, the "
            f"model {times[0]:.3f}..{times[-1]:.3f} s: expected both a baseline (time <= 0) and a response "
            "(time > 0) in common"
        )
    return common
