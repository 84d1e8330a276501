"""Observation model: how sources become the data of networks, samplers and limits.

The data of one response are a matrix (input, sample). An input is a source, a source estimate or a whitened
channel. A sample is one time, or the average over a block of times::

    data = mixing @ epoch.clean(sources) + sd * noise,    covariance of the noise = spatial x temporal

==============  ===================================================================================
kind            inputs
==============  ===================================================================================
``source``      the source of each region
``projected``   the generalised least squares estimate of one source; if there is only one source, the
                estimate contains all information of the channels
``channels``    EEG channels, whitened
==============  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr

from jrflow.observe.covariance import factor, inverse_root, whitening
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise, spatial_filter
from jrflow.observe.processing import Processing, rate_of

#: Kinds for recordings with electrodes (``inference.training.spatial``).
ElectrodeKind = Literal["projected", "channels"]
Kind = Literal["source", "projected", "channels"]
#: Variance that is added to block averages of filtered noise, as a fraction of their mean variance. Filters
#: leave some combinations of blocks almost without noise. This floor limits the trust in these combinations.
_FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Observation:
    """The linear map from sources to data, and the noise of the data.

    Attributes
    ----------
    kind
        Kind of the inputs; see the table above.
    epoch
        Steps from simulated times to samples.
    mixing
        Contribution of each source to each input, shape (n_inputs, n_regions); unit vectors on average
        (root mean square), and so a unit vector for a single source.
    spatial
        Covariance of the noise over inputs, relative to ``sd**2``, shape (n_inputs, n_inputs).
    temporal
        Covariance of the noise over samples, relative to the variance of one recorded sample before baseline
        correction, shape (n_samples, n_samples).
    sd
        Standard deviation of the noise of one recorded sample of an input before baseline correction, mV.
    weights
        Matrix that converts channels (uV) to inputs (mV), shape (n_inputs, n_channels); None if there are no
        channels.
    """

    kind: Kind
    epoch: Epoch
    mixing: np.ndarray
    spatial: np.ndarray
    temporal: np.ndarray
    sd: float
    weights: np.ndarray | None = None

    @classmethod
    def of_sources(cls, epoch: Epoch, noise: EvokedNoise, sd: float, n_regions: int = 1) -> Observation:
        """The source of each region, in independent noise of the same size.

        Parameters
        ----------
        epoch
            Steps from simulated times to samples.
        noise
            Noise with the covariance over time; its covariance over channels is not used.
        sd
            Standard deviation of the noise of one sample, mV.
        n_regions
            Number of sources.
        """
        temporal = temporal_covariance(noise, epoch)
        return cls("source", epoch, np.eye(n_regions), np.eye(n_regions), temporal, sd)

    @classmethod
    def of_electrodes(
        cls, kind: ElectrodeKind, lead_field: xr.DataArray, noise: EvokedNoise, epoch: Epoch
    ) -> Observation:
        """The response at electrodes, either projected onto the source or as channels.

        Parameters
        ----------
        kind
            Kind of the inputs; see the table above.
        lead_field
            Dims (channel, region), uV/mV; with a single region for the kind ``projected``.
        noise
            Noise of the recording, with its channels, times and processing.
        epoch
            Steps from simulated times to samples.

        Raises
        ------
        ValueError
            If the noise has other channels than the lead field or other times than the epoch, or the lead
            field has more than one region and the kind is ``projected``.
        """
        _check(noise, lead_field, epoch)
        temporal = temporal_covariance(noise, epoch)
        if kind == "projected":
            weights, sd = spatial_filter(lead_field, noise)
            return cls(kind, epoch, np.eye(1), np.eye(1), temporal, sd, weights[None])
        whitener = inverse_root(noise.covariance)
        mixing = whitener @ lead_field.transpose("channel", "region").values
        spatial = whitener @ noise.covariance @ whitener
        # Inputs are in mV of a source of mean strength; of one source, in mV of this source.
        sd = np.sqrt(mixing.shape[1]) / float(np.linalg.norm(mixing))
        return cls(kind, epoch, sd * mixing, spatial, temporal, sd, sd * whitener)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self.mixing)

    @property
    def rank(self) -> int:
        """Degrees of freedom of the noise, and so of chi-square at the true parameters."""
        return int(np.prod([whitener.shape[1] for whitener in self._whiteners]))

    @property
    def direction(self) -> np.ndarray:
        """Unit vector of the contributions of a single source to the inputs, shape (n_inputs,)."""
        (column,) = self.mixing.T
        return column

    @cached_property
    def temporal_factor(self) -> np.ndarray:
        """Matrix F with F F' = ``temporal``, shape (n_samples, rank over time)."""
        return factor(self.temporal)

    def clean(self, sources: np.ndarray) -> np.ndarray:
        """Data without noise.

        Parameters
        ----------
        sources
            Sources at the times of the simulation, mV, shape (..., n_regions, n_times).

        Returns
        -------
        np.ndarray
            Data, mV, shape (..., n_inputs, n_samples).
        """
        observed = self.epoch.clean(sources)
        return observed if self._is_one_source else self.mixing.astype(observed.dtype) @ observed

    def draw(
        self, clean: np.ndarray, rng: np.random.Generator, sd: float | np.ndarray | None = None
    ) -> np.ndarray:
        """Add noise to data (n, n_inputs, n_samples); ``sd`` (mV, scalar or (n,)) replaces the own ``sd``."""
        size = np.broadcast_to(np.asarray(self.sd if sd is None else sd, float), len(clean))
        roots = factor(self.spatial), self.temporal_factor
        white = rng.standard_normal((len(clean), roots[0].shape[1], roots[1].shape[1]))
        drawn: np.ndarray = clean + size[:, None, None] * (roots[0] @ white @ roots[1].T)
        return drawn

    def of_channels(self, eeg: np.ndarray) -> np.ndarray:
        """Data (n_inputs, n_samples), mV, of a measured response.

        Parameters
        ----------
        eeg
            Response at the recorded times, uV, shape (n_channels, n_times): processed as ``epoch`` describes,
            average reference, channels in the order of the lead field.

        Raises
        ------
        ValueError
            If this is an observation of sources, not of channels.
        """
        if self.weights is None:
            raise ValueError(
                "expected an observation of EEG channels, received one of sources: use its data as they are"
            )
        return self.epoch.averaged(self.weights @ eeg)

    def whiten(self, data: np.ndarray) -> np.ndarray:
        """Whiten data (..., n_inputs, n_samples) for noise of unit ``sd``: shape (..., rank).

        The result has the precision of ``data``.
        """
        over_inputs, over_time = (whitener.astype(data.dtype) for whitener in self._whiteners)
        if self.n_inputs == 1:
            return data[..., 0, :] @ over_time
        white = over_inputs.T @ data @ over_time
        return white.reshape(*white.shape[:-2], -1)

    def along_source(self) -> Observation:
        """Observation of the single source in these data; no information about the source is lost.

        Its data are ``direction @ data``.
        """
        if self._is_one_source:
            return self
        weights = None if self.weights is None else self.direction[None] @ self.weights
        return replace(self, kind="projected", mixing=np.eye(1), spatial=np.eye(1), weights=weights)

    def alike(self, other: Observation) -> bool:
        """Whether two observations differ only in the size of the noise."""
        pairs = zip(self._described(), other._described(), strict=True)
        return all(a.shape == b.shape and np.allclose(a, b, atol=1e-6) for a, b in pairs)

    def _described(self) -> tuple[np.ndarray, ...]:
        return self.mixing, self.spatial, self.temporal

    @property
    def _is_one_source(self) -> bool:
        return self.mixing.shape == (1, 1) and self.mixing[0, 0] == 1

    @cached_property
    def _whiteners(self) -> tuple[np.ndarray, np.ndarray]:
        return whitening(self.spatial), whitening(self.temporal)


def temporal_covariance(noise: EvokedNoise, epoch: Epoch) -> np.ndarray:
    """Covariance of noise over the samples of an epoch, relative to the variance of one recorded sample.

    For single samples, frequencies that filters stop are left out. For block averages, the small remaining
    power of these frequencies is included, because data that are drawn with this covariance must contain it.
    A floor is added to the variance, so that no combination of blocks is trusted too much.
    """
    if epoch.window is None:
        return epoch.covariance(noise.temporal_covariance())
    blocks = epoch.covariance(noise.whole_temporal_covariance())
    if noise.processing.is_plain(noise.times):
        return blocks
    return blocks + _FLOOR * np.diag(blocks).mean() * np.eye(len(blocks))


@dataclass(frozen=True)
class NoiseLevels:
    """Observations of one response at several noise levels.

    Attributes
    ----------
    names
        Names of the levels.
    observations
        Observation at each level.
    """

    names: tuple[str, ...]
    observations: tuple[Observation, ...]

    @classmethod
    def of(
        cls, kind: ElectrodeKind, lead_field: xr.DataArray, levels: Mapping[str, EvokedNoise], epoch: Epoch
    ) -> NoiseLevels:
        """Make the observation of a response at electrodes for each noise level.

        Raises
        ------
        ValueError
            If there is no level, or a level has other channels than the lead field or other times than the
            epoch.
        """
        if not levels:
            raise ValueError("at least one noise level is needed (eeg.noise), received none")
        made = []
        for name, noise in levels.items():
            try:
                made.append(Observation.of_electrodes(kind, lead_field, noise, epoch))
            except ValueError as error:
                raise ValueError(f"noise level {name!r}: {error}") from error
        return cls(tuple(levels), tuple(made))

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation of the noise of one sample at each level, mV, shape (n_levels,)."""
        return np.array([observation.sd for observation in self.observations])

    @cached_property
    def distinct(self) -> tuple[Observation, ...]:
        """Observations that differ in more than the size of the noise, in the order of the levels."""
        found: list[Observation] = []
        for observation in self.observations:
            if not any(known.alike(observation) for known in found):
                found.append(observation)
        return tuple(found)

    def take(self, levels: slice) -> NoiseLevels:
        """Some of the levels, by position."""
        return NoiseLevels(self.names[levels], self.observations[levels])

    def sd_range(self, margin: float) -> tuple[float, float]:
        """Smallest and largest noise level in training, mV; ``margin`` is a factor that widens the range."""
        return float(self.sd.min() / margin), float(self.sd.max() * margin)


def processing_of(levels: Mapping[str, EvokedNoise]) -> Processing:
    """Filters and baseline of the responses, which all noise levels share.

    Raises
    ------
    ValueError
        If noise levels differ in their processing.
    """
    found = list({noise.processing: None for noise in levels.values()})
    if len(found) > 1:
        raise ValueError(
            f"expected noise levels with the same processing, received {found[0]} and {found[1]}: recreate "
            "the noise levels from one configuration"
        )
    return found[0] if found else Processing()


def _check(noise: EvokedNoise, lead_field: xr.DataArray, epoch: Epoch) -> None:
    n_channels, times = lead_field.sizes["channel"], epoch.recorded_times
    if noise.covariance.shape != (n_channels, n_channels):
        raise ValueError(
            f"expected a covariance of the lead field's {n_channels} channels, received one of shape "
            f"{noise.covariance.shape}; recreate the noise levels from this lead field"
        )
    if len(noise.times) != len(times) or not np.allclose(noise.times, times, atol=1e-6):
        raise ValueError(
            f"expected noise at the times of the responses ({len(times)} from {times[0]:g} to {times[-1]:g} "
            f"s), received {len(noise.times)} times from {noise.times[0]:g} to {noise.times[-1]:g} s; "
            "recreate the noise levels from the training campaign"
        )
    sfreq = rate_of(times)
    if noise.processing.at(sfreq) != epoch.processing.at(sfreq):
        raise ValueError(
            f"expected noise that was processed as the responses ({epoch.processing}), received "
            f"{noise.processing}; recreate the noise levels from the configuration of the training"
        )
