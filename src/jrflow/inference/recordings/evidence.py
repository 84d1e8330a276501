"""A measured response and its noise, as the tests of the verdict need them."""

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
    """How a fitted time course changes with the parameters.

    Attributes
    ----------
    slope
        Of the baseline-corrected source, mV per unit of each coordinate, (n_coordinates, n_times).
    pull
        Gradient of the log prior at the fit, (n_coordinates,).
    precision
        Of the prior, (n_coordinates, n_coordinates).
    """

    slope: np.ndarray
    pull: np.ndarray
    precision: np.ndarray


@dataclass(frozen=True)
class Recording:
    """A measured response, its lead field, and the noise assumed.

    Attributes
    ----------
    eeg, gain
        uV, (n_channels, n_times), baseline-corrected, average reference; uV/mV, (n_channels,).
    channels
        Names.
    noise
        Assumed, at the response's times.
    clock
        Of this noise. The same for all responses of one experiment.
    """

    eeg: np.ndarray
    gain: np.ndarray
    channels: Sequence[str]
    noise: EvokedNoise
    clock: Clock

    @cached_property
    def directions(self) -> Directions:
        """Along and across the source."""
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
        """Noise that the directions across the source show."""
        return MeasuredNoise.of(self.across, self.clock)

    @cached_property
    def p_flat(self) -> float:
        """Probability that noise alone is as far from a flat line, along the source or in any direction."""
        along, across = self.along @ self.measured.whitener, self.across @ self.measured.whitener
        of_source = excess(float(np.mean(along**2)), len(along), across.size)
        return smaller_of_two(of_source, largest_eigenvalue(np.vstack([along, across]))[2])


def unexplained(
    residual: np.ndarray, tangent: Tangent | None, recording: Recording
) -> tuple[np.ndarray, float]:
    """Whitened residual (n_dims,) after one more step of the fit, and the parameters that it takes away.

    The fit took the noise to be as assumed. The step takes it as measured; the prior limits it. In the linear
    case the residual has on average as many degrees of freedom as are not taken away.
    """
    if tangent is None:
        return residual, 0.0
    slope = recording.clock.project(recording.directions.gain * tangent.slope) @ recording.measured.whitener
    information = slope @ slope.T
    posterior = information + tangent.precision
    step = np.linalg.solve(posterior, slope @ residual + tangent.pull)
    return residual - step @ slope, float(np.trace(np.linalg.solve(posterior, information)))


def noise_share(recording: Recording) -> float:
    """Share of the power after the onset that noise as assumed would have."""
    noise, after = recording.noise, recording.noise.times > 0
    expected = np.trace(noise.covariance) * np.diag(noise.temporal_covariance())[after].sum()
    return float(expected / (recording.eeg[:, after] ** 2).sum())


def source_noise(recording: Recording, sd: float) -> float:
    """Power of the source's measured noise over that of sd ``sd``, mV; 1 if that is not less by chance."""
    power = recording.measured.power / (recording.directions.gain * sd) ** 2
    chance = 3 * np.sqrt(2 / recording.across.size)
    return float(power) if power > 1 + chance else 1.0


def baseline_power(recording: Recording) -> float | None:
    """Power of the baseline across the source over that assumed; None without a baseline."""
    before = recording.noise.times <= 0
    expected = np.diag(recording.noise.temporal_covariance())[before].sum()
    rows = recording.directions.across @ recording.eeg[:, before]
    return float((rows**2).sum() / len(rows) / expected) if before.sum() > 1 and expected > 0 else None
