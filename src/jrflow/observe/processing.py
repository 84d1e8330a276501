"""Processing of an averaged response before it is read by jrflow: filters and baseline correction.

A recording is filtered before it is cut into epochs. The model's response repeats with every stimulus, so a
circular filter of one period of the response gives exactly the same result. The filter is MNE's default for
the cut-off frequencies: a finite impulse response filter with zero phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import mne
import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from jrflow.config.eeg import ProcessingConfig

#: A low-pass filter above this fraction of the Nyquist frequency is the anti-alias filter of the amplifier.
_ALL = 0.95
#: Rates are equal if they differ by less than this fraction (binary rounding, clocks of amplifiers).
SAME_RATE = 1e-3
#: Upper edge of the passband of the filter before a recording is interpolated at the model's rate, in units
#: of this rate.
PASSBAND = 0.4
#: Tolerance of the ends of the baseline (binary rounding of decimal numbers), s.
_EDGE = 1e-6


@dataclass(frozen=True)
class Processing:
    """Filters and baseline correction of a response, and the rate at which it was recorded.

    Attributes
    ----------
    highpass, lowpass
        Cut-off frequencies, Hz; None if there is no filter of this kind.
    baseline
        First and last time of the baseline, s. An end that is None stands for the first or last sample. None
        instead of the pair: no baseline correction.
    sfreq
        Sampling frequency of the recording, Hz; None for that of the model.
    """

    highpass: float | None = None
    lowpass: float | None = None
    baseline: tuple[float | None, float | None] | None = (None, 0.0)
    sfreq: float | None = None

    @classmethod
    def of(cls, config: ProcessingConfig) -> Processing:
        """Processing of a configuration."""
        return cls(config.highpass, config.lowpass, config.baseline)

    def at(self, sfreq: float) -> Processing:
        """A copy without settings that have no effect on responses at the model's rate ``sfreq`` (Hz)."""
        own = sfreq if self.sfreq is None else self.sfreq
        highpass = self.highpass if self.highpass else None
        lowpass = self.lowpass if self.lowpass and self.lowpass < _ALL * own / 2 else None
        rate = None if abs(own / sfreq - 1) < SAME_RATE else own
        return Processing(highpass, lowpass, self.baseline, rate)

    def is_plain(self, times: np.ndarray) -> bool:
        """Whether the only processing is to subtract the mean of all samples up to 0 s."""
        return self.at(rate_of(times)) == Processing()

    def limited(self, sfreq: float) -> float | None:
        """Cut-off frequency (Hz) of the filter needed before sampling at ``sfreq`` (Hz), or None."""
        own = self.at(sfreq)
        if own.sfreq is None:
            return None
        highest = own.sfreq / 2 if own.lowpass is None else own.lowpass
        return PASSBAND * sfreq if highest > (1 + SAME_RATE) * sfreq / 2 else None

    def baseline_of(self, times: np.ndarray) -> np.ndarray | None:
        """Mask of the baseline samples, both ends included; None without baseline correction.

        Raises
        ------
        ValueError
            If there is no sample in the baseline.
        """
        if self.baseline is None:
            return None
        start, end = self.baseline
        low = -np.inf if start is None else start - _EDGE
        high = np.inf if end is None else end + _EDGE
        inside: np.ndarray = (np.asarray(times) >= low) & (np.asarray(times) <= high)
        if not inside.any():
            raise ValueError(
                f"expected samples in the baseline of {_time(start, 'the start')} to {_time(end, 'the end')}"
                f", received times of {np.min(times):g} to {np.max(times):g} s: give a response that covers "
                "the baseline, or another baseline (eeg.processing.baseline)"
            )
        return inside

    def correct(self, data: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Subtract each row's mean over the baseline; shape (..., n_times)."""
        baseline = self.baseline_of(times)
        return data if baseline is None else data - data[..., baseline].mean(axis=-1, keepdims=True)

    def apply(self, data: np.ndarray, times: np.ndarray, period: int) -> np.ndarray:
        """Filter periodic responses, and correct their baseline.

        Parameters
        ----------
        data
            Responses to a periodic stimulus, shape (..., n_times).
        times
            Times, s from the onset, shape (n_times,).
        period
            Number of samples from one onset to the next. If it is larger than ``n_times``, the gap is filled
            with a straight line from the end of a response to the start of the next.

        Returns
        -------
        np.ndarray
            Processed responses, shape (..., n_times), in the precision of ``data``.
        """
        return self.correct(self.filtered(data, times, period), times)

    def filtered(self, data: np.ndarray, times: np.ndarray, period: int) -> np.ndarray:
        """Filter periodic responses as in :meth:`apply`, without the baseline correction."""
        sfreq = rate_of(times)
        own, limit, n = self.at(sfreq), self.limited(sfreq), data.shape[-1]
        cuts = [(own.highpass, own.lowpass if own.lowpass and own.lowpass < _ALL * sfreq / 2 else None)]
        cuts += [(None, limit)] if limit is not None else []
        kernels = [fir(*cut, sfreq) for cut in cuts if cut != (None, None)]
        if not kernels:
            return data
        one = data[..., :period].astype(float)
        if n < period:
            share = np.arange(1, period - n + 1) / (period - n + 1)
            gap = data[..., -1:] * (1 - share) + data[..., :1] * share
            one = np.concatenate([one, gap], axis=-1)
        spectrum = rfft(one, axis=-1)
        for kernel in kernels:
            spectrum *= _circular(kernel, period)
        found: np.ndarray = irfft(spectrum, period, axis=-1)[..., np.arange(n) % period]
        return found.astype(data.dtype)

    def autocorrelation(self, times: np.ndarray) -> np.ndarray:
        """Autocorrelation of white noise after this processing, at the lags of ``times``; 0 at larger lags.

        It is relative to the variance of a sample of the recording. If a filter is needed before sampling at
        the model's rate, its first value is below 1.
        """
        sfreq = rate_of(times)
        own, limit = self.at(sfreq), self.limited(sfreq)
        recorded = own.sfreq if own.sfreq is not None else sfreq
        kernels = [fir(own.highpass, own.lowpass, recorded)] if own.highpass or own.lowpass else []
        width = max((len(kernel) / recorded * sfreq for kernel in kernels), default=0)
        n = next_fast_len(int(4 * len(times) + 4 * width) + 4096)
        f = np.arange(n // 2 + 1) * (sfreq / n)
        power, total = _power(kernels, f, recorded), recorded / 2 / (sfreq / n)
        if kernels:
            total *= float((kernels[0] ** 2).sum())
        if limit is not None:
            power *= _gain(fir(None, limit, recorded), f, recorded) ** 2
        if own.sfreq is not None:
            power *= _spline_gain(f / recorded) ** 2
        correlation = irfft(power, n)[: n // 2]
        # The variance is the remaining share of the power.
        return np.asarray(correlation / correlation[0] * (power.sum() / total))

    def passed(self, sfreq: float) -> float:
        """Share of the power of white noise at ``sfreq`` (Hz) that the filters pass."""
        own = self.at(sfreq)
        if not (own.highpass or own.lowpass):
            return 1.0
        return float((fir(own.highpass, own.lowpass, sfreq) ** 2).sum())

    def replace(self, **changes: object) -> Processing:
        """A copy with some attributes changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def __str__(self) -> str:
        parts = [
            "no high-pass filter" if not self.highpass else f"high-pass filter at {self.highpass:g} Hz",
            "no low-pass filter" if not self.lowpass else f"low-pass filter at {self.lowpass:g} Hz",
        ]
        if self.baseline is None:
            parts.append("no baseline correction")
        else:
            start, end = self.baseline
            parts.append(f"baseline from {_time(start, 'the start')} to {_time(end, 'the end')}")
        return ", ".join(parts)

    def as_yaml(self) -> str:
        """Lines of a configuration for this processing."""

        def said(value: float | None) -> str:
            return "null" if value is None else f"{value:.6g}"

        both = "null" if self.baseline is None else f"[{', '.join(map(said, self.baseline))}]"
        lines = ["eeg:", "  processing:", f"    highpass: {said(self.highpass)}"]
        return "\n".join([*lines, f"    lowpass: {said(self.lowpass)}", f"    baseline: {both}"])


def rate_of(times: np.ndarray) -> float:
    """Sampling frequency of evenly spaced times (s), Hz, without the rounding of their differences."""
    rate = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 1.0
    return round(rate) if abs(rate - round(rate)) < 1e-6 * rate and rate > 1 else rate


@lru_cache(maxsize=64)
def fir(highpass: float | None, lowpass: float | None, sfreq: float) -> np.ndarray:
    """MNE's default zero-phase filter for these cut-off frequencies (Hz); odd length, centred.

    Raises
    ------
    ValueError
        If the frequencies are impossible at this sampling frequency.
    """
    if (highpass or 0) >= (lowpass or sfreq / 2):
        raise ValueError(
            f"expected a high-pass frequency below the low-pass frequency and half the sampling frequency of "
            f"{sfreq:g} Hz, received {highpass:g} Hz"
        )
    found: np.ndarray = mne.filter.create_filter(
        None, sfreq, highpass, lowpass, phase="zero", fir_design="firwin", verbose="error"
    )
    return found


def _circular(kernel: np.ndarray, period: int) -> np.ndarray:
    """Frequency response of a centred kernel at the frequencies of a period, shape (period // 2 + 1,)."""
    folded = np.zeros(period)
    np.add.at(folded, (np.arange(len(kernel)) - len(kernel) // 2) % period, kernel)
    response: np.ndarray = rfft(folded).real
    return response


def _gain(kernel: np.ndarray, f: np.ndarray, sfreq: float) -> np.ndarray:
    """Magnitude of a kernel's frequency response at frequencies (Hz)."""
    n = next_fast_len(8 * len(kernel))
    gain: np.ndarray = np.interp(f, np.fft.rfftfreq(n, 1 / sfreq), np.abs(rfft(kernel, n)))
    return gain


def _power(kernels: list[np.ndarray], f: np.ndarray, sfreq: float) -> np.ndarray:
    """Spectrum of filtered white noise at frequencies (Hz); periodic in the sampling frequency."""
    folded = abs((f + sfreq / 2) % sfreq - sfreq / 2)
    power = np.ones(len(f))
    for kernel in kernels:
        power *= _gain(kernel, folded, sfreq) ** 2
    return power


def _spline_gain(x: np.ndarray) -> np.ndarray:
    """Frequency response of cubic spline interpolation, at frequencies relative to the sampling frequency."""
    gain: np.ndarray = np.sinc(x) ** 4 / ((2 + np.cos(2 * np.pi * x)) / 3)
    return gain


def _time(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} s"
