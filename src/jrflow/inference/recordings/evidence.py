"""A measured response and its noise, in the form that the tests of the verdict need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jrflow.inference.recordings.detection import excess, largest_eigenvalue, smaller_of_two
from jrflow.inference.recordings.directions import Directions
from jrflow.inference.recordings.measured_noise import Clock, MeasuredNoise
from jrflow.observe.noise import EvokedNoise


@dataclass(frozen=True)
class Tangent:
    """Derivatives of a fitted time course with respect to the parameters.

    Attributes
    ----------
    slope
        Derivatives of the baseline-corrected source, mV per unit of each coordinate, (n_coordinates,
        n_times).
    pull
        Gradient of the log prior at the fit, (n_coordinates,).
    precision
        Precision of the prior, (n_coordinates, n_coordinates).
    """

    slope: np.ndarray
    pull: np.ndarray
    precision: np.ndarray


@dataclass(frozen=True)
class Recording:
    """A measured response, its lead field, and the assumed noise.

    Attributes
    ----------
    eeg
        Response, uV, baseline-corrected, average reference, (n_channels, n_times).
    gain
        Lead field, uV/mV, (n_channels,).
    channels
        Names of the channels.
    noise
        Assumed noise at the times of the response.
    clock
        Blocks and covariances over time for this noise; the same for all responses of one experiment.
    """

    eeg: np.ndarray
    gain: np.ndarray
    channels: Sequence[str]
    noise: EvokedNoise
    clock: Clock

    @cached_property
    def directions(self) -> Directions:
        """Directions along and across the source."""
        return Directions.of(self.eeg, self.gain, self.noise.covariance)

    @cached_property
    def across(self) -> np.ndarray:
        """Projected time courses across the source, (rank - 1, n_dims)."""
        return self.clock.project(self.directions.across @ self.eeg)

    @cached_property
    def along(self) -> np.ndarray:
        """Projected time course of the source, in units of its assumed noise, (n_dims,)."""
        return self.clock.project(self.directions.along @ self.eeg)

    @cached_property
    def measured(self) -> MeasuredNoise:
        """Noise measured in the directions across the source."""
        return MeasuredNoise.of(self.across, self.clock)

    @cached_property
    def p_flat(self) -> float:
        """Probability that noise alone deviates as much from zero, along the source or in any direction."""
        along, across = self.along @ self.measured.whitener, self.across @ self.measured.whitener
        of_source = excess(float(np.mean(along**2)), len(along), across.size)
        return smaller_of_two(of_source, largest_eigenvalue(np.vstack([along, across]))[2])


def unexplained(
    residual: np.ndarray, tangent: Tangent | None, recording: Recording
) -> tuple[np.ndarray, float]:
    """Whitened residual (n_dims,) after one more step of the fit, and effective number of fitted parameters.

    The fit used the assumed noise. The additional step uses the measured noise; the prior limits the step. In
    the linear case, the expected sum of squares of the residual is ``n_dims`` minus the number of fitted
    parameters.
    """
    if tangent is None:
        return residual, 0.0
    slope = recording.clock.project(recording.directions.gain * tangent.slope) @ recording.measured.whitener
    information = slope @ slope.T
    posterior = information + tangent.precision
    step = np.linalg.solve(posterior, slope @ residual + tangent.pull)
    return residual - step @ slope, float(np.trace(np.linalg.solve(posterior, information)))


def noise_share(recording: Recording) -> float:
    """Expected share of the assumed noise in the power after the onset."""
    noise, after = recording.noise, recording.noise.times > 0
    expected = np.trace(noise.covariance) * np.diag(noise.temporal_covariance())[after].sum()
    return float(expected / (recording.eeg[:, after] ** 2).sum())


def source_noise(recording: Recording, sd: float) -> float:
    """Power of the source's measured noise relative to ``sd`` (mV); 1 unless it is significantly larger."""
    power = recording.measured.power / (recording.directions.gain * sd) ** 2
    chance = 3 * np.sqrt(2 / recording.across.size)
    return float(power) if power > 1 + chance else 1.0


def baseline_power(recording: Recording) -> float | None:
    """Power of the baseline across the source, relative to the assumed power; None without a baseline."""
    before = recording.noise.times <= 0
    expected = np.diag(recording.noise.temporal_covariance())[before].sum()
    rows = recording.directions.across @ recording.eeg[:, before]
    return float((rows**2).sum() / len(rows) / expected) if before.sum() > 1 and expected > 0 else None
