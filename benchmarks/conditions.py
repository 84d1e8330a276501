"""Recordings under other conditions than an estimator was trained for, and what it takes them for.

All are made on channels, as recordings are, and end as :class:`Recordings`: the EEG, and the lead field and
noise that the estimator is given with it, which need not be the right ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.linalg import toeplitz

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.eeg import CovarianceNoise, MontageHead, RecordingHead, SnrNoise, SourceConfig
from jrflow.inference.data.dataset import EvokedSet, read_evoked_set
from jrflow.inference.training.model import Description
from jrflow.model.protocol import EvokedProtocol
from jrflow.observe.channels import info_of
from jrflow.observe.covariance import factor
from jrflow.observe.evoked import on_model_grid
from jrflow.observe.head import lead_field as make_lead_field
from jrflow.observe.levels import read_levels
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.projection import baseline_correct

#: 15 mm from the configured place, and the other end of the head, mm (MNI).
NEARBY, FAR = (-42.0, -2.0, 52.0), (22.0, -92.0, 8.0)
#: Time constant of AR(1) noise, s: of the order of the alpha rhythm's.
AR_TIME = 0.02
#: Where noise of power 1/f begins, Hz, as behind a usual high-pass filter; samples after which it repeats.
_LOWEST, _N_PINK = 0.1, 200_000


@dataclass(frozen=True)
class Recordings:
    """What was measured, and what the estimator is told of it.

    Attributes
    ----------
    eeg
        Baseline-corrected, average reference, uV, float32, shape (n, n_channels, n_times).
    targets
        Behind it, shape (n, n_targets).
    lead_field, noise
        Assumed: dims (channel, region), uV/mV, and of the average of epochs.
    """

    eeg: np.ndarray
    targets: np.ndarray
    lead_field: xr.DataArray
    noise: EvokedNoise

    def take(self, index: np.ndarray) -> Recordings:
        return replace(self, eeg=self.eeg[index], targets=self.targets[index])


@dataclass(frozen=True)
class Simulations:
    """Targets (n, n_targets), and clean sources at the archive's rate, mV, (n, n_times)."""

    part: EvokedSet
    source: np.ndarray

    @classmethod
    def read(cls, path: Path, model: Description, n: int) -> Simulations:
        part = read_evoked_set(path, model.training.sfreq, model.training.tmin)
        part = part.take(np.arange(min(n, len(part.sim))))
        source = open_archive(path)["source"].sel(sim=part.sim).values[:, 0]
        return cls(part, source.astype(np.float32))


@dataclass(frozen=True)
class Bench:
    """A run of examples/benchmark.yaml, and where more simulations go."""

    run: Path
    scratch: Path
    model: Description
    n: int
    seed: int

    @cached_property
    def simulations(self) -> Simulations:
        """Those of the test campaign that the estimators are meant for."""
        return Simulations.read(self.run / "archives/test.zarr", self.model, self.n)

    @cached_property
    def _levels(self) -> tuple[xr.DataArray, dict[str, EvokedNoise], xr.Dataset]:
        return read_levels(self.run / "eeg/mlp-noise.nc")

    @property
    def lead_field(self) -> xr.DataArray:
        return self._levels[0]

    def white(self, snr_db: float, lead_field: xr.DataArray | None = None) -> EvokedNoise:
        """White noise, as large on every channel as at this level of the training."""
        size = float(self._levels[2].attrs["reference_rms_uV"])
        chosen = self.lead_field if lead_field is None else lead_field
        level = SnrNoise(kind="snr", snr_db=snr_db)
        return noise_level(level, chosen, self.model.simulation.timing, size)

    def simulate(self, name: str, half_width: float, **protocol: float) -> Simulations:
        """A campaign of its own: another prior, or another protocol."""
        settings = self.model.simulation.model_dump() | {"solver": "preset"}
        settings["protocol"] = EvokedProtocol(**(settings["protocol"] | protocol))
        config = Config.model_validate(
            {
                "simulation": settings,
                "priors": {"prior": {"kind": "relative-uniform", "half_width": half_width}},
                "campaigns": {name: {"design": "prior", "n": self.n, "prior": "prior"}},
                "execution": {"backend": "in-process"},
            }
        )
        run_campaign(config, name, self.scratch, progress=None)
        return Simulations.read(self.scratch / f"{name}.zarr", self.model, self.n)


def recorded(
    simulations: Simulations,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int,
    temporal: np.ndarray | None = None,
) -> Recordings:
    """Record simulations, and tell the estimator the truth; but for ``temporal``, (n_times, n_times), that of
    white noise by default: the covariance over time of noise of unit variance, which it takes for white.
    """
    gain, part, source = lead_field.values[:, 0], simulations.part, simulations.source
    if temporal is None:
        return Recordings(noise.observe(source, gain, part.sim, seed), part.targets, lead_field, noise)
    spatial, root = (factor(c).astype(np.float32) for c in (noise.covariance, temporal))
    rng = np.random.default_rng(seed)
    clean = baseline_correct(source, noise.times)
    eeg = np.empty((len(source), len(gain), len(noise.times)), np.float32)
    for k, response in enumerate(clean):
        drawn = rng.standard_normal((spatial.shape[1], root.shape[1]), np.float32)
        eeg[k] = np.outer(gain, response) + spatial @ drawn @ root.T
    return Recordings(eeg, part.targets, lead_field, noise)


def told(recordings: Recordings, factor: float) -> Recordings:
    """The same, but the noise is said to have ``factor`` times its standard deviation."""
    noise = recordings.noise
    return replace(recordings, noise=replace(noise, covariance=noise.covariance * factor**2))


def coloured(noise: EvokedNoise, autocorrelation: np.ndarray) -> np.ndarray:
    """Covariance over time of averaged epochs of coloured noise, (n_times, n_times), baseline-corrected.

    Parameters
    ----------
    noise
        Its epochs, which overlap.
    autocorrelation
        Of the raw noise from lag 0 on, 0 beyond its end, shape (n_lags,). Of white noise, [1], the result is
        ``noise.temporal_covariance()``.
    """
    n_times, lags = len(noise.times), np.arange(len(noise.times))
    epochs = np.arange(1 - noise.n_averages, noise.n_averages) if noise.period < n_times else np.zeros(1, int)
    apart = np.abs(lags[:, None] - epochs * noise.period)
    known = np.where(apart < len(autocorrelation), autocorrelation[apart % len(autocorrelation)], 0)
    raw = toeplitz(known @ (1 - np.abs(epochs) / noise.n_averages))
    return baseline_correct(baseline_correct(raw, noise.times).T, noise.times)


def autoregressive(sfreq: float) -> np.ndarray:
    """Autocorrelation of AR(1) noise, (n_lags,)."""
    return np.exp(-np.arange(round(20 * AR_TIME * sfreq)) / (AR_TIME * sfreq))


def pink(sfreq: float) -> np.ndarray:
    """Autocorrelation of noise whose power falls as 1/f, (n_lags,)."""
    f = np.fft.rfftfreq(_N_PINK, 1 / sfreq)
    power = np.where(f >= _LOWEST, 1 / f.clip(_LOWEST), 0)
    correlation = np.fft.irfft(power)[: _N_PINK // 2]
    return correlation / correlation[0]


def elsewhere(bench: Bench, position: tuple[float, float, float], snr_db: float) -> Recordings:
    """The source is at another place than the estimator assumes."""
    source = bench.model.source.model_copy(update={"position": position})
    true = make_lead_field(MontageHead(), SourceConfig.model_validate(source))
    found = recorded(bench.simulations, true, bench.white(snr_db), bench.seed)
    return replace(found, lead_field=bench.lead_field)


def montage(bench: Bench, name: str, snr_db: float) -> Recordings:
    """Another montage, with its own lead field."""
    own = make_lead_field(MontageHead(montage=name), bench.model.source)
    return recorded(bench.simulations, own, bench.white(snr_db, own), bench.seed)


def resampled(bench: Bench, step: int, snr_db: float) -> Recordings:
    """Every ``step``-th sample is recorded, in noise as large, and brought to the model's times."""
    noise, times = bench.white(snr_db), bench.model.simulation.timing.times
    slow = replace(noise, times=times[::step], period=noise.period // step)
    part = bench.simulations.part
    source = np.ascontiguousarray(bench.simulations.source[:, ::step])
    eeg = slow.observe(source, bench.lead_field.values[:, 0], part.sim, bench.seed)
    info = info_of(bench.lead_field, 1 / (slow.times[1] - slow.times[0]))
    found = [
        on_model_grid(mne.EvokedArray(one * 1e-6, info, slow.times[0]), bench.lead_field, times).values
        for one in eeg
    ]
    return Recordings(np.stack(found).astype(np.float32), part.targets, bench.lead_field, noise)


def measured(bench: Bench, recording: Path, covariance: Path, as_white: bool) -> Recordings:
    """A real cap in noise of its measured covariance, which the estimator knows or takes for white."""
    own = make_lead_field(RecordingHead(kind="recording", path=str(recording)), bench.model.source)
    level = CovarianceNoise(kind="covariance", path=str(covariance))
    noise = noise_level(level, own, bench.model.simulation.timing)
    found = recorded(bench.simulations, own, noise, bench.seed)
    if not as_white:
        return found
    n = len(noise.covariance)
    white = (np.eye(n) - 1 / n) * (np.trace(noise.covariance) / (n - 1))
    return replace(found, noise=replace(noise, covariance=white))


def beyond_the_prior(bench: Bench, simulations: Simulations, least: int, most: int) -> np.ndarray:
    """Positions of the simulations with so many parameters outside the training's prior, (n_found,)."""
    prior = bench.simulations.part.prior
    values = simulations.part.targets[:, : len(prior.names)]
    outside = ((values < prior.low) | (values > prior.high)).sum(axis=1)
    return np.flatnonzero((least <= outside) & (outside <= most))


Condition = Callable[[], Recordings]
