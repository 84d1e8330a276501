"""Sensor noise of an averaged evoked response, and the best estimate of the source in it.

Noise of the raw recording is Gaussian and white in time, with a covariance over channels. EEG is
linear, so averaging it, correcting its baseline and re-referencing it leaves a Gaussian whose
covariance is the product of one over channels and one over time; both are known exactly, and one
averaged response is one draw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.linalg import toeplitz

from jrflow.config.eeg import AdHocNoise, CovarianceNoise, NoiseConfig, SnrNoise
from jrflow.eeg.channels import read_fif, require_channels
from jrflow.eeg.projection import baseline_correct, baseline_of
from jrflow.eeg.sensors import N_STATE, Colouring, noise_states
from jrflow.model.timing import Timing

#: Standard deviation of an EEG channel in mne.make_ad_hoc_cov, uV.
_AD_HOC_SD = 0.2

#: Eigenvalues of a covariance below this fraction of the largest are rounding.
_RANK_TOLERANCE = 1e-10


@dataclass(frozen=True)
class EvokedNoise:
    """Gaussian noise of an average of epochs, average reference, baseline-corrected.

    Its covariance is ``covariance`` (over channels) times ``temporal_covariance()`` (over time).

    Attributes
    ----------
    covariance
        Of one sample of the average before baseline correction, uV^2, shape (n_channels, n_channels).
    n_averages
        Epochs averaged.
    times
        Times of the samples, s, shape (n_times,), 0 at the stimulus onset.
    period
        Samples from one onset to the next. Where it is shorter than an epoch, the end of one epoch is
        the beginning of the next and carries the same noise; from ``n_times`` on epochs are independent.
    """

    covariance: np.ndarray
    n_averages: int
    times: np.ndarray
    period: int

    @property
    def sd(self) -> float:
        """Root mean square over channels of the noise's standard deviation, uV."""
        return float(np.sqrt(np.trace(self.covariance) / len(self.covariance)))

    def snr_db(self, reference_rms: float) -> float:
        """Signal-to-noise ratio, dB: 20 log10(``reference_rms`` / ``sd``), both in uV.

        ``reference_rms`` is :func:`jrflow.eeg.projection.reference_rms` of the training campaign.
        """
        return float(20 * np.log10(reference_rms / self.sd))

    def averaged(self, n_averages: int) -> EvokedNoise:
        """Noise of the same raw recording averaged over another number of independent epochs."""
        if n_averages < 1:
            raise ValueError(f"n_averages must be at least 1, received {n_averages}")
        covariance = self.covariance * (self.n_averages / n_averages)
        return replace(self, covariance=covariance, n_averages=n_averages, period=len(self.times))

    def temporal_covariance(self) -> np.ndarray:
        """Covariance over time, shape (n_times, n_times), of unit variance before baseline correction.

        Sample i of the average and sample i + m * period share n_averages - m of their raw samples,
        so that they correlate by 1 - m / n_averages; all others are independent.
        """
        n_times = len(self.times)
        raw = np.kron(self._epoch_correlation(), np.eye(self.period))[:n_times, :n_times]
        return baseline_correct(baseline_correct(raw, self.times).T, self.times)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``n`` averages, uV, shape (n, n_channels, n_times)."""
        states = rng.integers(0, 2**32, (n, N_STATE), np.uint32)
        return self._colouring.observe(np.zeros((n, len(self.times))), np.zeros(len(self.covariance)), states)

    def observe(
        self, source: np.ndarray, gain: np.ndarray, sims: np.ndarray, seed: int, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Evoked responses in this noise, uV, shape (n, n_channels, n_times): one draw per simulation.

        Memory is what bounds it: give the same ``out`` (C-contiguous) for a few simulations at a time.

        Parameters
        ----------
        source, gain
            mV, shape (n, n_times), in the precision of the result; uV/mV, shape (n_channels,).
        sims, seed
            Simulation ids, shape (n,): the noise of one follows from its id and the seed alone.
        """
        states = noise_states(np.uint64(seed), np.asarray(sims, np.uint64))
        return self._colouring.observe(source, gain, states, out)

    @cached_property
    def _colouring(self) -> Colouring:
        baseline = baseline_of(self.times)
        return Colouring.of(self.covariance, self._epoch_correlation(), self.period, baseline)

    def _epoch_correlation(self) -> np.ndarray:
        """Correlation of the average with itself, whole periods later; one row per period begun."""
        lags = np.arange(-(-len(self.times) // self.period))
        return toeplitz((1 - lags / self.n_averages).clip(min=0))


def noise_level(
    config: NoiseConfig, lead_field: xr.DataArray, timing: Timing, reference_rms: float | None = None
) -> EvokedNoise:
    """Noise of the averaged response at one configured level.

    Epochs overlap as the protocol's do, except where a measured covariance comes with its own number
    of averages: those belong to another experiment and are taken to be independent.

    Parameters
    ----------
    config
        Ad hoc covariance, measured covariance file, or signal-to-noise ratio.
    lead_field
        Dims (channel, region); says which channels there are.
    timing
        The protocol on its time grid.
    reference_rms
        :func:`jrflow.eeg.projection.reference_rms` of the training campaign, uV; only a
        signal-to-noise ratio needs it.

    Raises
    ------
    ValueError
        If the channels of a covariance file do not match the lead field's, or a signal-to-noise ratio
        is asked for without a positive ``reference_rms``.
    FileNotFoundError
        If there is no such covariance file.
    """
    n_averages = timing.n_epochs
    white = _average_reference(np.eye(lead_field.sizes["channel"]))
    if isinstance(config, AdHocNoise):
        covariance = white * (config.factor * _AD_HOC_SD**2 / n_averages)
    elif isinstance(config, SnrNoise):
        covariance = white * (_variance_at(config.snr_db, reference_rms) / white[0, 0])
    else:
        covariance = measured_covariance(config.path, lead_field) / n_averages
    noise = EvokedNoise(covariance, n_averages, timing.times, min(timing.period, len(timing.times)))
    if isinstance(config, CovarianceNoise) and config.n_averages is not None:
        return noise.averaged(config.n_averages)
    return noise


def measured_covariance(path: str | Path, lead_field: xr.DataArray) -> np.ndarray:
    """Noise covariance of single raw samples from a file, for the channels of a lead field.

    Re-referenced to the average and, where the file says from how many samples it was estimated,
    shrunk towards white noise by the amount that this number calls for (oracle approximating
    shrinkage: Chen et al. 2010, IEEE Trans. Signal Process. 58:5016), so that channels made from
    others (interpolated, or removed by projections) do not pass for noise-free.

    Returns
    -------
    np.ndarray
        Shape (n_channels, n_channels), uV^2, in the order of the lead field's channels.

    Raises
    ------
    ValueError
        If the file holds no covariance, or lacks a channel of the lead field.
    FileNotFoundError
        If there is no such file.
    """
    stored = read_fif(mne.read_cov, path, "a noise covariance")
    usable = [name for name in stored.ch_names if name not in stored["bads"]]
    rows = [stored.ch_names.index(name) for name in require_channels(lead_field, usable, path)]
    full = np.diag(stored.data) if stored.data.ndim == 1 else stored.data
    return _shrunk(_average_reference(full[np.ix_(rows, rows)] * 1e12), stored["nfree"])


def spatial_filter(lead_field: xr.DataArray, noise: EvokedNoise) -> tuple[np.ndarray, float]:
    """Generalised least squares estimate of one source: its weights and its noise.

    For one source in Gaussian noise whose covariance separates into channels and time, the
    estimate ``weights @ evoked`` is a sufficient statistic: nothing about the source is lost.

    Parameters
    ----------
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    noise
        For the same channels.

    Returns
    -------
    weights
        w = S^+ g / (g' S^+ g), mV/uV, shape (n_channels,), where w @ g = 1.
    sd
        1 / sqrt(g' S^+ g), mV: the estimate's standard deviation before baseline correction. Over
        time its noise has covariance sd^2 ``noise.temporal_covariance()``.

    Raises
    ------
    ValueError
        If the lead field has more than one region.
    """
    if lead_field.sizes["region"] != 1:
        raise ValueError(
            f"expected a lead field of one region, received {lead_field.sizes['region']}: select one, "
            "lead_field.sel(region=[name])"
        )
    gain = lead_field.squeeze("region").values
    whitened = np.linalg.pinv(noise.covariance, rcond=_RANK_TOLERANCE, hermitian=True) @ gain
    information = float(gain @ whitened)
    return whitened / information, information**-0.5


def _variance_at(snr_db: float, reference_rms: float | None) -> float:
    if reference_rms is None or not reference_rms > 0:
        raise ValueError(
            f"a noise level of {snr_db:g} dB needs the size of the clean evoked response (reference_rms, uV, "
            f"above 0), received {reference_rms}; see jrflow.eeg.projection.reference_rms"
        )
    return (reference_rms * 10 ** (-snr_db / 20)) ** 2


def _average_reference(covariance: np.ndarray) -> np.ndarray:
    centred = covariance - covariance.mean(axis=0)
    return centred - centred.mean(axis=1, keepdims=True)


def _shrunk(covariance: np.ndarray, n_samples: int) -> np.ndarray:
    """Oracle approximating shrinkage within the average-referenced space (one dimension short)."""
    if n_samples < 1:  # not an estimate from samples
        return covariance
    rank = len(covariance) - 1
    square, trace = float((covariance**2).sum()), float(np.trace(covariance))
    spread = square - trace**2 / rank
    needed = (1 - 2 / rank) * square + trace**2
    weight = min(1.0, needed / ((n_samples + 1 - 2 / rank) * spread)) if spread > 0 else 1.0
    white = _average_reference(np.eye(len(covariance))) * (trace / rank)
    return (1 - weight) * covariance + weight * white
