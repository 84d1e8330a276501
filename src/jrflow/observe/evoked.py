"""Evoked responses in the format of MNE: write simulated responses, read measured responses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.interpolate import make_interp_spline

from jrflow.archive.vocabulary import OK, STATUS_MEANINGS
from jrflow.observe.channels import channel_names, info_of, listed, read_fif, require_channels
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.processing import SAME_RATE, Processing, rate_of
from jrflow.observe.projection import to_eeg

#: A time of the model counts as recorded if it is at most this fraction of a sample outside the recording.
_EDGE = 0.5
#: Smallest and largest plausible peak of an averaged response, uV.
_BELIEVABLE_PEAK = (1e-3, 1e4)


def to_evoked(
    ds: xr.Dataset,
    *,
    sim: int,
    lead_field: xr.DataArray,
    noise: EvokedNoise | None = None,
    seed: int = 0,
    allow_failed: bool = False,
) -> mne.EvokedArray:
    """One simulated response as an evoked response of MNE.

    Parameters
    ----------
    ds
        Simulations or an archive: ``source(sim, region, time)``, mV.
    sim
        Id of the simulation.
    lead_field
        Dims (channel, region), uV/mV.
    noise
        Noise that is added to the channels; None for no noise.
    seed
        Seed of the noise. Together with ``sim`` it determines the noise, so that simulations have different
        noise.
    allow_failed
        Whether to accept a simulation whose status is not 0, if its source is finite.

    Returns
    -------
    mne.EvokedArray
        Response in V, baseline-corrected, with the average reference as an applied projector. ``nave`` is
        the number of averages of the noise; without noise ``ds.attrs["n_epochs"]``, or 1 if this is absent.

    Raises
    ------
    ValueError
        If there is no such simulation, its status is not 0, its source is not finite, or times or channels
        of the noise do not match.
    """
    eeg = to_eeg(_one(ds, sim, allow_failed)["source"], lead_field)
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
    """Read all averaged responses of a file: only EEG channels that are not marked bad.

    Standard errors, which MNE stores together with averages, are left out.

    Raises
    ------
    ValueError
        If the file has no averaged response, or a response has no EEG channel.
    FileNotFoundError
        If there is no such file.
    """
    evokeds: list[mne.Evoked] = read_fif(mne.read_evokeds, path, "evoked responses")
    if not evokeds:
        raise ValueError(f"{path}: expected evoked responses (.fif), found {mne.what(path)}")
    averages = [evoked for evoked in evokeds if evoked.kind == "average"]
    if not averages:
        raise ValueError(
            f"{path}: expected averaged responses, found {len(evokeds)} of kind {evokeds[0].kind!r} only; "
            "give the file of averages (epochs.average())"
        )
    for evoked in averages:
        types = listed(sorted(set(evoked.get_channel_types())))
        if "eeg" not in evoked:
            raise ValueError(
                f"{path}: evoked response {evoked.comment!r} has no good EEG channel: its channels are of "
                f"type {types}; give a response with EEG potentials (in V)"
            )
        if len(mne.pick_types(evoked.info, eeg=True, exclude="bads")) == 0:
            raise ValueError(
                f"{path}: evoked response {evoked.comment!r} has no good EEG channel: all are marked bad "
                f"({listed(evoked.info['bads'])}); correct the list of bad channels in the file"
            )
    return [evoked.pick("eeg", exclude="bads") for evoked in averages]


def recorded_as(evoked: mne.Evoked, baseline: tuple[float | None, float | None] | None) -> Processing:
    """Filters and sampling frequency that a response declares.

    Parameters
    ----------
    evoked
        Measured response.
    baseline
        Baseline of the model. It replaces the baseline that the response declares, because a later
        correction cancels an earlier one. None if the model has no baseline correction; then the response's
        own baseline is used.
    """
    info = evoked.info
    sfreq = float(info["sfreq"])
    lowpass = None if info["lowpass"] >= (1 - SAME_RATE) * sfreq / 2 else float(info["lowpass"])
    declared = evoked.baseline if baseline is None else baseline
    return Processing(float(info["highpass"]) or None, lowpass, declared, sfreq)


def projector_of(evoked: mne.Evoked, channels: list[str]) -> np.ndarray:
    """Projection of the channels of a response, including the average reference.

    Parameters
    ----------
    evoked
        Measured response.
    channels
        Names of the channels to use, in order.

    Returns
    -------
    np.ndarray
        Orthogonal projector, shape (n_channels, n_channels). It removes the signal-space projections of the
        response and the average over channels. Apply it to data, lead field and noise.
    """
    removed = [np.ones(len(channels))]
    for projection in evoked.info["projs"]:
        names = projection["data"]["col_names"]
        rows = dict(zip(names, projection["data"]["data"].T, strict=True))
        if any(name in rows for name in channels):
            none = np.zeros(projection["data"]["nrow"])
            removed.extend(np.array([rows.get(name, none) for name in channels]).T)
    basis, sizes, _ = np.linalg.svd(
        np.array(removed).T / np.linalg.norm(removed, axis=1), full_matrices=False
    )
    basis = basis[:, sizes > 1e-6 * sizes[0]]
    projector: np.ndarray = np.eye(len(channels)) - basis @ basis.T
    return projector


def on_model_grid(
    evoked: mne.Evoked, lead_field: xr.DataArray, times: np.ndarray, processing: Processing | None = None
) -> xr.DataArray:
    """Convert a measured response to the channels and times of the model.

    Channels are put in the order of the lead field and re-referenced to their average; signal-space
    projections are applied. If the recording contains frequencies above the model's Nyquist frequency, it is
    low-pass filtered (zero phase, at 0.4 of the model's sampling frequency). A cubic spline then interpolates
    it at those times of the model that the recording covers. Finally the baseline is corrected.

    Parameters
    ----------
    evoked
        Measured response, V.
    lead_field
        Dims (channel, region).
    times
        Times of the model, s, shape (n_times,), evenly spaced.
    processing
        Processing of the recording, from :func:`recorded_as`. None for the processing that the response
        declares, with all samples up to 0 s as baseline.

    Returns
    -------
    xr.DataArray
        EEG with dims (channel, time), uV; times are the times of the model that were recorded.

    Raises
    ------
    ValueError
        If channels are missing or bad, values are not finite or do not have the size of EEG, or too few
        times of the model were recorded.
    """
    good = [name for name in evoked.ch_names if name not in evoked.info["bads"]]
    names = require_channels(lead_field, good, f"evoked response {evoked.comment!r}")
    common = _recorded_times(evoked, times)
    done = recorded_as(evoked, (None, 0.0)) if processing is None else processing
    data = 1e6 * evoked.data[[evoked.ch_names.index(name) for name in names]]
    _check_values(data, names, evoked.comment)
    limit = done.limited(rate_of(times))
    if limit is not None:
        # Do not use evoked.resample: it shifts times by up to half a new sample.
        data = mne.filter.filter_data(data, float(evoked.info["sfreq"]), None, limit, verbose="error")
    data = projector_of(evoked, names) @ data
    spline = make_interp_spline(evoked.times, data, k=min(3, data.shape[1] - 1), axis=-1)
    # Within a fraction of a sample outside the recording, use its first or last value; do not extrapolate.
    data = spline(common.clip(evoked.times[0], evoked.times[-1]))
    return xr.DataArray(
        done.correct(data, common),
        dims=("channel", "time"),
        coords={"channel": names, "time": ("time", common, {"units": "s"})},
        attrs={"units": "uV", "reference": "average", "n_averages": int(evoked.nave)},
        name="eeg",
    )


def projected(
    evoked: mne.Evoked, lead_field: xr.DataArray, noise: EvokedNoise
) -> tuple[xr.DataArray, EvokedNoise]:
    """Apply the projections of a response to lead field and noise, see :func:`projector_of`."""
    projector = projector_of(evoked, channel_names(lead_field))
    gain = lead_field.copy(data=projector @ lead_field.transpose("channel", "region").values)
    return gain, replace(noise, covariance=projector @ noise.covariance @ projector)


def source_estimate(eeg: xr.DataArray, weights: np.ndarray) -> xr.DataArray:
    """Time course of the source in EEG, mV.

    Parameters
    ----------
    eeg
        Dims (..., channel, time), uV, average reference.
    weights
        Weights from :func:`jrflow.observe.noise.spatial_filter`, mV/uV, shape (n_channels,).
    """
    estimate = xr.dot(eeg, xr.DataArray(weights, dims="channel"), dim="channel")
    return estimate.rename("source").assign_attrs(eeg.attrs | {"units": "mV"})


def _one(ds: xr.Dataset, sim: int, allow_failed: bool) -> xr.Dataset:
    """Select a simulation by its id; refuse it if it failed or is not finite."""
    known = ds["sim"].values
    if sim not in known:
        raise ValueError(
            f"no simulation with id {sim}: there are {len(known)}, from {known.min()} to {known.max()}"
        )
    one = ds.sel(sim=sim)
    if not np.isfinite(one["source"].values).all():
        raise ValueError(f"the source of simulation {sim} is not finite; choose one with status 0")
    if "status" in one and int(one["status"]) != OK and not allow_failed:
        status = int(one["status"])
        raise ValueError(
            f"simulation {sim} has status {status} ({STATUS_MEANINGS[status]}): its source is not a valid "
            "response; choose one with status 0 (ds.query(sim='status == 0')), or give "
            "allow_failed=True"
        )
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
    edge = _EDGE / evoked.info["sfreq"] + 1e-9
    common = times[(times >= evoked.times[0] - edge) & (times <= evoked.times[-1] + edge)]
    if len(common) < 2 or common[-1] <= 0 or common[0] > 0:
        raise ValueError(
            f"evoked response {evoked.comment!r} covers {evoked.times[0]:.3f}..{evoked.times[-1]:.3f} s, the "
            f"model {times[0]:.3f}..{times[-1]:.3f} s: expected both a baseline (time <= 0) and a response "
            "(time > 0) in common"
        )
    return common


def _check_values(data: np.ndarray, names: list[str], comment: str) -> None:
    """Refuse data that cannot be an averaged response; ``data`` in uV, shape (n_channels, n_times)."""
    finite = np.isfinite(data).all(axis=1)
    if not finite.all():
        wrong = [name for name, good in zip(names, finite, strict=True) if not good]
        raise ValueError(
            f"evoked response {comment!r}: expected finite values, received nan or infinite ones on channel "
            f"{listed(wrong)}; mark these channels bad or interpolate them, and make the noise covariance "
            "for the same channels"
        )
    flat = np.ptp(data, axis=1) == 0
    if flat.all():
        raise ValueError(
            f"evoked response {comment!r}: expected a response, received constant values on all "
            f"{len(names)} channels; check how the average was computed"
        )
    if flat.sum() > 1:  # one flat channel may be the reference electrode
        wrong = [name for name, none in zip(names, flat, strict=True) if none]
        raise ValueError(
            f"evoked response {comment!r}: expected signals, received constant values on channels "
            f"{listed(wrong)} (one, the reference electrode, may be constant); mark these channels bad"
        )
    peak = float(abs(data - data.mean(axis=1, keepdims=True)).max())
    if not _BELIEVABLE_PEAK[0] <= peak <= _BELIEVABLE_PEAK[1]:
        unit = "uV instead of V: multiply the data by 1e-6" if peak > 1 else "a larger unit than V"
        raise ValueError(
            f"evoked response {comment!r}: expected EEG in V, with a peak of about 1e-6 to 1e-4 V "
            f"({_BELIEVABLE_PEAK[0]:g} to {_BELIEVABLE_PEAK[1]:g} uV accepted), received a peak of "
            f"{peak:.3g} uV; the data may be in {unit}"
        )
