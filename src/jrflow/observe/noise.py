"""Sensor noise of an averaged evoked response, and the best estimate of a source in this noise.

Noise of the raw recording is Gaussian and white in time, with a covariance over channels. Filtering,
averaging, baseline correction and re-referencing are linear. The noise of the averaged response is therefore
Gaussian too, and its covariance is the product of a covariance over channels and a covariance over time.
Both are known exactly. Each averaged response contains one draw of this noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.linalg import toeplitz

from jrflow.config.eeg import AdHocNoise, CovarianceNoise, NoiseConfig, SnrNoise
from jrflow.model.timing import Timing
from jrflow.observe.channels import listed, read_fif, require_channels
from jrflow.observe.covariance import factor
from jrflow.observe.processing import Processing, rate_of
from jrflow.observe.projection import baseline_correct, baseline_of
from jrflow.observe.sensors import N_STATE, Colouring, noise_states

#: Standard deviation of an EEG channel in mne.make_ad_hoc_cov, uV.
_AD_HOC_SD = 0.2

#: Eigenvalues of a covariance below this fraction of the largest eigenvalue are rounding errors.
_RANK_TOLERANCE = 1e-10
#: The same for a covariance from a file, which may have been stored in single precision.
_STORED_TOLERANCE = 1e-6

#: Frequencies are left out if filters pass less than this fraction of their power: the rest depends on
#: details of the filter and on the ends of epochs.
_STOPPED = 0.01

#: Smallest and largest plausible standard deviation of an EEG channel's raw noise, uV.
_BELIEVABLE_SD = (1e-4, 1e4)


@dataclass(frozen=True)
class EvokedNoise:
    """Gaussian noise of an average of epochs, average reference, filtered and baseline-corrected.

    Its covariance is ``covariance`` (over channels) times ``temporal_covariance()`` (over time).

    Attributes
    ----------
    covariance
        Covariance over channels of one sample of the average before baseline correction, uV^2, shape
        (n_channels, n_channels).
    n_averages
        Number of averaged epochs.
    times
        Times of the samples, s, shape (n_times,), 0 at the stimulus onset.
    period
        Number of samples from one onset to the next. If it is smaller than ``n_times``, epochs overlap, and
        overlapping parts contain the same noise. Otherwise epochs are independent.
    processing
        Filters, baseline and sampling frequency of the recording. ``covariance`` refers to samples of the
        recording.
    """

    covariance: np.ndarray
    n_averages: int
    times: np.ndarray
    period: int
    processing: Processing = field(default_factory=Processing)

    @property
    def rank(self) -> int:
        """Number of independent directions over channels that contain noise."""
        return factor(self.covariance).shape[1]

    @property
    def sd(self) -> float:
        """Root mean square over channels of the noise's standard deviation, uV."""
        return float(np.sqrt(np.trace(self.covariance) / len(self.covariance)))

    def snr_db(self, reference_rms: float) -> float:
        """Signal-to-noise ratio, dB: 20 log10(``reference_rms`` / ``sd``), both in uV.

        ``reference_rms`` is :func:`jrflow.observe.projection.reference_rms` of the training campaign.
        """
        return float(20 * np.log10(reference_rms / self.sd))

    def averaged(self, n_averages: int) -> EvokedNoise:
        """Noise of the same raw recording averaged over another number of independent epochs."""
        if n_averages < 1:
            raise ValueError(f"n_averages must be at least 1, received {n_averages}")
        covariance = self.covariance * (self.n_averages / n_averages)
        return replace(self, covariance=covariance, n_averages=n_averages, period=len(self.times))

    def processed(self, processing: Processing) -> EvokedNoise:
        """The same noise, declared to have these filters, baseline and sampling frequency."""
        return replace(self, processing=processing)

    def temporal_covariance(self) -> np.ndarray:
        """Covariance over time, shape (n_times, n_times), relative to ``covariance``.

        The variance before baseline correction is 1 if the recording has the model's sampling frequency. Raw
        samples are independent unless they were filtered. Sample i of the average and sample i + m * period
        share n_averages - m of their raw samples, so their correlation is 1 - m / n_averages. Frequencies
        that filters stop are left out: the covariance is singular there.
        """
        return self._temporal.copy()

    @cached_property
    def _temporal(self) -> np.ndarray:
        n_times = len(self.times)
        if self.processing.is_plain(self.times):
            raw = np.kron(self._epoch_correlation(), np.eye(self.period))[:n_times, :n_times]
            return baseline_correct(baseline_correct(raw, self.times).T, self.times)
        return self._corrected(_passed(toeplitz(self._filtered_correlation())))

    def whole_temporal_covariance(self) -> np.ndarray:
        """As ``temporal_covariance``, including the small remaining power of frequencies that filters stop.

        A network must be trained with this noise. Without noise at these frequencies, the network would rely
        on the small remaining part of the response.
        """
        if self.processing.is_plain(self.times):
            return self.temporal_covariance()
        return self._corrected(toeplitz(self._filtered_correlation()))

    def _corrected(self, raw: np.ndarray) -> np.ndarray:
        return self.processing.correct(self.processing.correct(raw, self.times).T, self.times)

    def _filtered_correlation(self) -> np.ndarray:
        """Autocorrelation of the average of filtered epochs, at lags of 0 to n_times - 1 samples."""
        lags, correlation = np.arange(len(self.times)), self.processing.autocorrelation(self.times)
        n = self.n_averages if self.period < len(lags) else 1
        n_reaching = min(n - 1, (len(correlation) + len(lags)) // self.period)
        epochs = np.arange(-n_reaching, n_reaching + 1)
        apart = np.abs(lags[:, None] - epochs * self.period)
        known = np.where(apart < len(correlation), correlation[apart % len(correlation)], 0)
        found: np.ndarray = known @ (1 - np.abs(epochs) / n)
        return found

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``n`` averages, uV, shape (n, n_channels, n_times)."""
        if not self.processing.is_plain(self.times):
            return np.stack([self._draw(rng) for _ in range(n)])
        states = rng.integers(0, 2**32, (n, N_STATE), np.uint32)
        return self._colouring.observe(np.zeros((n, len(self.times))), np.zeros(len(self.covariance)), states)

    def observe(
        self, source: np.ndarray, gain: np.ndarray, sims: np.ndarray, seed: int, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Evoked responses in this noise, uV, shape (n, n_channels, n_times): one draw per simulation.

        To save memory, process a few simulations at a time, with the same ``out``.

        Parameters
        ----------
        source
            Source, mV, shape (n, n_times), in the precision of the result. If ``processing`` has a filter,
            the source must be filtered (:meth:`jrflow.observe.processing.Processing.apply`).
        gain
            Lead field of the source, uV/mV, shape (n_channels,).
        sims
            Simulation ids, shape (n,).
        seed
            Seed of the noise. The noise of a simulation depends only on the seed and the id.
        out
            Array for the result, C-contiguous; None for a new array.
        """
        if not self.processing.is_plain(self.times):
            rngs = [np.random.default_rng([seed, int(sim)]) for sim in sims]
            noise = np.stack([self._draw(rng) for rng in rngs]).astype(source.dtype)
            clean = self.processing.correct(source, self.times)
            return np.add(noise, gain.astype(source.dtype)[:, None] * clean[:, None], out=out)
        states = noise_states(np.uint64(seed), np.asarray(sims, np.uint64))
        return self._colouring.observe(source, gain, states, out)

    @cached_property
    def _roots(self) -> tuple[np.ndarray, np.ndarray]:
        return factor(self.covariance), factor(self._temporal)

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        spatial, temporal = self._roots
        drawn: np.ndarray = spatial @ rng.standard_normal((spatial.shape[1], temporal.shape[1])) @ temporal.T
        return drawn

    @cached_property
    def _colouring(self) -> Colouring:
        baseline = baseline_of(self.times)
        return Colouring.of(self.covariance, self._epoch_correlation(), self.period, baseline)

    def _epoch_correlation(self) -> np.ndarray:
        """Autocorrelation of the average at lags of whole periods; one row per complete or partial period."""
        lags = np.arange(-(-len(self.times) // self.period))
        return toeplitz((1 - lags / self.n_averages).clip(min=0))


def noise_level(
    config: NoiseConfig,
    lead_field: xr.DataArray,
    timing: Timing,
    reference_rms: float | None = None,
    processing: Processing | None = None,
) -> EvokedNoise:
    """Noise of the averaged response at one configured level.

    Epochs overlap as in the protocol. If a measured covariance has its own number of averages, it belongs to
    another experiment, and its epochs are assumed to be independent.

    Parameters
    ----------
    config
        Ad hoc covariance, measured covariance file, or signal-to-noise ratio.
    lead_field
        Lead field, dims (channel, region); defines the channels.
    timing
        Times of the protocol.
    reference_rms
        :func:`jrflow.observe.projection.reference_rms` of the training campaign, uV; needed only for a
        signal-to-noise ratio.
    processing
        Filters and baseline of the recording; None for no filter. A covariance from a file and a
        signal-to-noise ratio refer to the filtered recording, ad hoc noise to the raw recording.

    Raises
    ------
    ValueError
        If the channels of a covariance file do not match those of the lead field, its values cannot be a
        covariance of EEG, or a signal-to-noise ratio is configured without a positive ``reference_rms``.
    FileNotFoundError
        If there is no such covariance file.
    """
    n_averages = timing.n_epochs
    processing = Processing() if processing is None else processing
    white = _average_reference(np.eye(lead_field.sizes["channel"]))
    if isinstance(config, AdHocNoise):
        passed = processing.passed(rate_of(timing.times))
        covariance = white * (passed * config.factor * _AD_HOC_SD**2 / n_averages)
    elif isinstance(config, SnrNoise):
        covariance = white * (_variance_at(config.snr_db, reference_rms) / white[0, 0])
    else:
        covariance = measured_covariance(config.path, lead_field) / n_averages
    period = min(timing.period, len(timing.times))
    noise = EvokedNoise(covariance, n_averages, timing.times, period, processing)
    if isinstance(config, CovarianceNoise) and config.n_averages is not None:
        return noise.averaged(config.n_averages)
    return noise


def measured_covariance(path: str | Path, lead_field: xr.DataArray) -> np.ndarray:
    """Noise covariance of single raw samples from a file, for the channels of a lead field.

    The covariance is re-referenced to the average. If the file states the number of samples, the covariance
    is shrunk towards white noise by the amount for this number (oracle approximating shrinkage: Chen et al.
    2010, IEEE Trans. Signal Process. 58:5016). Dimensions without noise (interpolated channels, projections,
    removed components) remain without noise and are not used for inference.

    Returns
    -------
    np.ndarray
        Shape (n_channels, n_channels), uV^2, in the order of the lead field's channels.

    Raises
    ------
    ValueError
        If the file has no covariance, lacks a channel of the lead field, or its values are not finite, not
        positive or do not have the size of EEG in V.
    FileNotFoundError
        If there is no such file.
    """
    stored = read_fif(mne.read_cov, path, "a noise covariance")
    usable = [name for name in stored.ch_names if name not in stored["bads"]]
    rows = [stored.ch_names.index(name) for name in require_channels(lead_field, usable, path)]
    full = np.diag(stored.data) if stored.data.ndim == 1 else stored.data
    found = full[np.ix_(rows, rows)] * 1e12
    _check_covariance(found, [stored.ch_names[row] for row in rows], path)
    return _shrunk(_average_reference(found), stored["nfree"])


def spatial_filter(lead_field: xr.DataArray, noise: EvokedNoise) -> tuple[np.ndarray, float]:
    """Generalised least squares estimate of one source: weights and noise of the estimate.

    The noise is Gaussian, and its covariance is a product of channels and time. For one source in this
    noise, the estimate ``weights @ evoked`` is a sufficient statistic: no information about the source is
    lost.

    Parameters
    ----------
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    noise
        Noise of the same channels, with covariance S.

    Returns
    -------
    weights
        w = S^+ g / (g' S^+ g) for the lead field g, mV/uV, shape (n_channels,); w @ g = 1.
    sd
        1 / sqrt(g' S^+ g), mV: standard deviation of the estimate before baseline correction. The covariance
        of its noise over time is sd^2 ``noise.temporal_covariance()``.

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
            f"above 0), received {reference_rms}; see jrflow.observe.projection.reference_rms"
        )
    return (reference_rms * 10 ** (-snr_db / 20)) ** 2


def _average_reference(covariance: np.ndarray) -> np.ndarray:
    centred = covariance - covariance.mean(axis=0)
    return centred - centred.mean(axis=1, keepdims=True)


def _check_covariance(covariance: np.ndarray, names: list[str], path: str | Path) -> None:
    """Refuse a matrix that cannot be a covariance of EEG channels; ``covariance`` in uV^2."""
    finite = np.isfinite(covariance).all(axis=0)
    if not finite.all():
        wrong = [name for name, good in zip(names, finite, strict=True) if not good]
        raise ValueError(
            f"{path}: expected finite covariances, received nan or infinite ones in {listed(wrong)}; compute "
            "the covariance again without these channels or the samples that are not finite"
        )
    variance = np.diag(covariance)
    if not (variance > 0).any():
        raise ValueError(
            f"{path}: expected a noise variance above 0, received 0 or less on all {len(names)} channels: "
            "compute the covariance from a recording (mne.compute_covariance or mne.compute_raw_covariance)"
        )
    if (variance < 0).any() or np.linalg.eigvalsh(covariance)[0] < -1e-3 * variance.max():
        raise ValueError(f"{path}: expected a covariance (no negative eigenvalue), received another matrix")
    sd = float(np.sqrt(np.median(variance[variance > 0])))
    if not _BELIEVABLE_SD[0] <= sd <= _BELIEVABLE_SD[1]:
        unit = "uV^2 (multiply it by 1e-12)" if sd > 1 else "mV^2 or a larger unit"
        raise ValueError(
            f"{path}: expected the covariance of EEG in V^2, with standard deviations of about 1e-6 to 1e-4 "
            f"V ({_BELIEVABLE_SD[0]:g} to {_BELIEVABLE_SD[1]:g} uV accepted), received {sd:.3g} uV: is it in "
            f"{unit}?"
        )


def _passed(covariance: np.ndarray) -> np.ndarray:
    """Remove the frequencies that filters stop from a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _STOPPED * values[-1]
    passed: np.ndarray = (vectors[:, kept] * values[kept]) @ vectors[:, kept].T
    return passed


def _shrunk(covariance: np.ndarray, n_samples: int) -> np.ndarray:
    """Oracle approximating shrinkage within the dimensions that contain noise."""
    if n_samples < 1:  # not an estimate from samples
        return covariance
    values, vectors = np.linalg.eigh(covariance)
    kept = vectors[:, values > _STORED_TOLERANCE * values[-1]]
    rank = min(kept.shape[1], len(covariance) - 1)
    square, trace = float((covariance**2).sum()), float(np.trace(covariance))
    spread = square - trace**2 / rank
    needed = (1 - 2 / rank) * square + trace**2
    weight = min(1.0, needed / ((n_samples + 1 - 2 / rank) * spread)) if spread > 0 else 1.0
    return (1 - weight) * covariance + weight * (kept @ kept.T) * (trace / rank)
