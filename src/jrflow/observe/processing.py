"""What was done to an averaged response before it reached jrflow: filters and baseline correction.

A recording is filtered before it is cut into epochs. The model's response repeats with every stimulus, so
filtering the continuous recording is filtering one period of the response, exactly. The filter is MNE's
default one for the cut-off frequencies: a finite impulse response of zero phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import mne
import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from jrflow.config.eeg import ProcessingConfig

#: A low-pass filter from this fraction of the Nyquist frequency on is the anti-alias filter of the sampling.
_ALL = 0.95
#: Two rates are the same if they differ by less than this fraction (binary rounding, clocks of amplifiers).
SAME_RATE = 1e-3
#: Upper edge of the passband before a recording is read at the model's rate, in units of that rate.
PASSBAND = 0.4
#: A time belongs to the baseline if it misses its end by this (binary rounding of decimals), s.
_EDGE = 1e-6


@dataclass(frozen=True)
class Processing:
    """Filters and baseline correction of a response, and the rate at which it was recorded.

    Attributes
    ----------
    highpass, lowpass
        Cut-off frequencies, Hz; None without such a filter.
    baseline
        First and last time of the baseline, s; None for either: the first or last sample. None: no
        baseline correction.
    sfreq
        Sampling frequency of the recording, Hz; None: that of the model.
    """

    highpass: float | None = None
    lowpass: float | None = None
    baseline: tuple[float | None, float | None] | None = (None, 0.0)
    sfreq: float | None = None

    @classmethod
    def of(cls, config: ProcessingConfig) -> Processing:
        """As configured."""
        return cls(config.highpass, config.lowpass, config.baseline)

    def at(self, sfreq: float) -> Processing:
        """The same, without what has no effect on responses at a model's rate ``sfreq`` (Hz)."""
        own = sfreq if self.sfreq is None else self.sfreq
        highpass = self.highpass if self.highpass else None
        lowpass = self.lowpass if self.lowpass and self.lowpass < _ALL * own / 2 else None
        rate = None if abs(own / sfreq - 1) < SAME_RATE else own
        return Processing(highpass, lowpass, self.baseline, rate)

    def is_plain(self, times: np.ndarray) -> bool:
        """Whether there is nothing but the correction by the mean of all samples up to 0 s."""
        return self.at(rate_of(times)) == Processing()

    def limited(self, sfreq: float) -> float | None:
        """Cut-off frequency (Hz) of the filter needed before a model's rate ``sfreq``; None: none."""
        own = self.at(sfreq)
        if own.sfreq is None:
            return None
        highest = own.sfreq / 2 if own.lowpass is None else own.lowpass
        return PASSBAND * sfreq if highest > (1 + SAME_RATE) * sfreq / 2 else None

    def baseline_of(self, times: np.ndarray) -> np.ndarray | None:
        """Which samples are the baseline, both ends included; None without a correction.

        Raises
        ------
        ValueError
            If no sample is.
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
                f", the times are {np.min(times):g} to {np.max(times):g} s: give a response that covers its "
                "baseline, or another baseline (eeg.processing.baseline)"
            )
        return inside

    def correct(self, data: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Subtract each row's mean over the baseline; shape (..., n_times)."""
        baseline = self.baseline_of(times)
        return data if baseline is None else data - data[..., baseline].mean(axis=-1, keepdims=True)

    def apply(self, data: np.ndarray, times: np.ndarray, period: int) -> np.ndarray:
        """Filter responses that repeat, and correct their baseline.

        Parameters
        ----------
        data
            Responses to a stimulus that repeats, shape (..., n_times).
        times
            s from the onset, shape (n_times,).
        period
            Samples from one onset to the next. Where it is longer than the response, a straight line
            leads from its end to its next beginning.

        Returns
        -------
        np.ndarray
            Shape (..., n_times), in the precision of ``data``.
        """
        return self.correct(self.filtered(data, times, period), times)

    def filtered(self, data: np.ndarray, times: np.ndarray, period: int) -> np.ndarray:
        """Filter responses that repeat; as :meth:`apply`, without the baseline correction."""
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
        """Autocorrelation of white noise, recorded so, at the lags of ``times``; 0 from its end on.

        It refers to the variance of a sample of the recording: after a filter that the model's rate makes
        necessary, it begins below 1.
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
        # What is left of the power is the variance.
        return np.asarray(correlation / correlation[0] * (power.sum() / total))

    def passed(self, sfreq: float) -> float:
        """Share of the power of white noise at ``sfreq`` (Hz) that the filters pass."""
        own = self.at(sfreq)
        if not (own.highpass or own.lowpass):
            return 1.0
        return float((fir(own.highpass, own.lowpass, sfreq) ** 2).sum())

    def replace(self, **changes: object) -> Processing:
        """The same with some attributes changed."""
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
        """Lines of a configuration that ask for it."""

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
    """MNE's default filter of zero phase for these cut-off frequencies; odd length, centred.

    Raises
    ------
    ValueError
        If the frequencies are not possible at this rate.
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
    """Response of a centred kernel at the frequencies of a period, shape (period // 2 + 1,)."""
    folded = np.zeros(period)
    np.add.at(folded, (np.arange(len(kernel)) - len(kernel) // 2) % period, kernel)
    response: np.ndarray = rfft(folded).real
    return response


def _gain(kernel: np.ndarray, f: np.ndarray, sfreq: float) -> np.ndarray:
    """Size of a kernel's response at frequencies (Hz)."""
    n = next_fast_len(8 * len(kernel))
    gain: np.ndarray = np.interp(f, np.fft.rfftfreq(n, 1 / sfreq), np.abs(rfft(kernel, n)))
    return gain


def _power(kernels: list[np.ndarray], f: np.ndarray, sfreq: float) -> np.ndarray:
    """Spectrum of filtered white noise at frequencies (Hz); sampled noise repeats it beyond half the rate."""
    folded = abs((f + sfreq / 2) % sfreq - sfreq / 2)
    power = np.ones(len(f))
    for kernel in kernels:
        power *= _gain(kernel, folded, sfreq) ** 2
    return power


def _spline_gain(x: np.ndarray) -> np.ndarray:
    """Response of interpolation by a cubic spline at frequencies in units of the sampling frequency."""
    gain: np.ndarray = np.sinc(x) ** 4 / ((2 + np.cos(2 * np.pi * x)) / 3)
    return gain


def _time(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} s"
