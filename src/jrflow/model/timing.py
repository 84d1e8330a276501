"""A protocol on a time grid: which steps carry a stimulus, which samples belong to which epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jrflow.model.arguments import number
from jrflow.model.protocol import EvokedProtocol, RestProtocol

#: A duration may miss a whole number of steps by this fraction of a step (binary rounding of decimals).
_TOLERANCE = 1e-6
#: Steps are numbered by 32-bit integers.
_MOST_STEPS = 2**31


@dataclass(frozen=True)
class Timing:
    """Whole-number description of a run; a recording at rest is one epoch without a stimulus.

    Attributes
    ----------
    dt, sfreq
        Integration step (s) and sampling frequency (Hz) of what is recorded.
    n_steps
        Integration steps up to the last sample that is needed.
    stride
        Steps per recorded sample.
    first_sample, period, n_epochs, n_times
        Epoch ``k`` holds the samples ``first_sample + k * period + [0, n_times)``.
    n_baseline
        Samples with time <= 0: the baseline (0 at rest).
    times
        Time of each sample of an epoch, s, shape (n_times,); 0 at the stimulus onset.
    """

    dt: float
    sfreq: float
    n_steps: int
    stride: int
    first_sample: int
    period: int
    n_epochs: int
    n_times: int
    n_baseline: int
    times: np.ndarray

    @classmethod
    def of(cls, protocol: EvokedProtocol | RestProtocol, dt: float, sfreq: float) -> Timing:
        """Put a protocol on the grid of step ``dt`` (s), recorded at ``sfreq`` (Hz).

        Raises
        ------
        ValueError
            If step or frequency is not a finite number above 0, a duration is no whole number of steps or
            samples, there are too many steps, or no epoch is complete.
        """
        dt = number("dt", dt, "a finite integration step above 0, in s", above=0)
        sfreq = number("sfreq", sfreq, "a finite sampling frequency above 0, in Hz", above=0)
        stride = _whole(1 / sfreq, dt, "the sampling interval 1/sfreq", "dt")
        first = _whole(protocol.transient, 1 / sfreq, "transient", "the sampling interval")
        if isinstance(protocol, RestProtocol):
            n_times = _whole(protocol.duration, 1 / sfreq, "duration", "the sampling interval")
            return cls._build(dt, sfreq, stride, first, n_times, 1, n_times, 0, 0)

        start = _whole(protocol.tmin, 1 / sfreq, "tmin", "the sampling interval")
        n_times = _whole(protocol.tmax, 1 / sfreq, "tmax", "the sampling interval") - start + 1
        period = _whole(protocol.isi, 1 / sfreq, "isi", "the sampling interval")
        if period < 1:
            raise ValueError(
                f"isi ({protocol.isi:g} s) must be at least the sampling interval 1/sfreq ({1 / sfreq:g} s); "
                "give a higher sfreq"
            )
        last_sample = first - start + protocol.n_trials * period - 1
        n_epochs = min(protocol.n_trials, (last_sample - first - n_times + 1) // period + 1)
        if n_epochs < 1:
            raise ValueError(
                f"no epoch is complete: {protocol.n_trials} trials every {protocol.isi} s are shorter than "
                f"one epoch of {protocol.tmin}..{protocol.tmax} s; give more trials or a shorter epoch"
            )
        return cls._build(dt, sfreq, stride, first, period, n_epochs, n_times, start, 1 - start)

    @classmethod
    def _build(
        cls, dt: float, sfreq: float, stride: int, first: int, period: int, n_epochs: int, n_times: int,
        start: int, n_baseline: int,
    ) -> Timing:  # fmt: skip
        last = first + (n_epochs - 1) * period + n_times - 1
        if last * stride >= _MOST_STEPS:
            raise ValueError(
                f"dt = {dt:g} s and sfreq = {sfreq:g} Hz: the run takes {last * stride:.3g} steps, expected "
                f"at most {_MOST_STEPS - 1}: take a longer step, a shorter protocol, or seconds instead of ms"
            )
        times = np.arange(start, start + n_times) / sfreq
        return cls(dt, sfreq, last * stride + 1, stride, first, period, n_epochs, n_times, n_baseline, times)

    def stimulus(self, protocol: EvokedProtocol | RestProtocol, n_moments: int = 1) -> np.ndarray:
        """Input rate u of the pulse train over every step, 1/s, as a polynomial; on for onset <= t < end.

        Parameters
        ----------
        protocol
            The protocol that was put on this grid.
        n_moments
            Where a pulse ends within a step, the polynomial has the pulse's first ``n_moments`` moments
            over that step: one for its mean alone, up to four for a cubic.

        Returns
        -------
        Coefficients of the powers of s/dt within the step, shape (n_steps, 4).
        """
        rate = np.zeros((self.n_steps, 4))
        if isinstance(protocol, EvokedProtocol):
            part, whole = np.modf(snapped(protocol.stim_duration / self.dt))
            whole = int(whole)
            for onset in range(self._first_onset, self.n_steps, self.period * self.stride):
                rate[onset : onset + whole, 0] = protocol.stim_rate
                if part:
                    last = onset + whole
                    rate[last : last + 1, :n_moments] += protocol.stim_rate * _partly_on(part, n_moments)
        return rate

    def steps_after_onset(self) -> np.ndarray:
        """Number of each step after the last stimulus onset, -1 before the first; shape (n_steps,)."""
        step = np.arange(self.n_steps) - self._first_onset
        return np.where(step < 0, -1, step % (self.period * self.stride))

    @property
    def _first_onset(self) -> int:
        """Step of the first stimulus onset."""
        return (self.first_sample + self.n_baseline - 1) * self.stride


def snapped(steps: np.ndarray | float, tolerance: float = _TOLERANCE) -> np.ndarray:
    """Numbers of steps, whole where they differ from a whole number by binary rounding of decimals alone."""
    nearest = np.round(steps)
    return np.where(np.abs(steps - nearest) <= tolerance, nearest, steps)


def _partly_on(fraction: float, n_moments: int) -> np.ndarray:
    """Polynomial on [0, 1] with the moments of a step function that is 1 up to ``fraction``, then 0."""
    k = np.arange(n_moments)
    hilbert = 1 / (1 + k[:, None] + k)
    return np.linalg.solve(hilbert, fraction ** (k + 1) / (k + 1))


def _whole(value: float, unit: float, name: str, unit_name: str) -> int:
    """Express a duration in whole units; the error says by how much it misses."""
    count = value / unit
    if not np.isfinite(count) or abs(count - round(count)) > _TOLERANCE:
        raise ValueError(
            f"{name} ({value:g} s) must be a whole multiple of {unit_name} ({unit:g} s), but it is "
            f"{count:g} times that; change one of them"
        )
    return round(count)
