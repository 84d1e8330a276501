"""The part of an evoked response that an estimator observes, and its sampling frequency."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

#: Relative tolerance of a rate that must be a whole fraction of another rate (binary rounding of decimals).
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Window:
    """Averages over consecutive blocks of samples after a given time.

    Attributes
    ----------
    start, block, n_blocks
        First sample, samples per block, and number of blocks. Block ``j`` is the average over the samples
        from ``start + j * block`` to ``start + (j + 1) * block - 1``.
    sfreq
        Blocks per second, Hz.
    times
        Centre of each block, s from the onset, shape (n_blocks,).
    """

    start: int
    block: int
    n_blocks: int
    sfreq: float
    times: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray, sfreq: float, tmin: float) -> Window:
        """Divide the samples after ``tmin`` (s) into blocks at ``sfreq`` (Hz); drop an incomplete last block.

        Raises
        ------
        ValueError
            If ``sfreq`` is not a whole fraction of the rate of ``times``, or no block is complete.
        """
        rate = (len(times) - 1) / (times[-1] - times[0])
        block = round(rate / sfreq)
        if block < 1 or abs(rate / sfreq - block) > _TOLERANCE * block:
            raise ValueError(
                f"training.sfreq must be a whole fraction of the {rate:g} Hz at which the responses are "
                f"recorded, received {sfreq:g} Hz"
            )
        start = int(np.searchsorted(times, tmin + _TOLERANCE / rate, side="right"))
        n_blocks = (len(times) - start) // block
        if n_blocks < 1:
            raise ValueError(
                f"the network would observe no sample: responses end at {times[-1]:g} s, training.tmin is "
                f"{tmin:g} s and "
                f"a block lasts {block / rate:g} s; choose an earlier tmin"
            )
        covered = times[start : start + n_blocks * block].reshape(n_blocks, block)
        return cls(start, block, n_blocks, sfreq, covered.mean(axis=1))

    def first(self, n_samples: int) -> Window:
        """Blocks of the same length, from the first sample on, as many as ``n_samples`` contain."""
        n_blocks = n_samples // self.block
        moved = (np.arange(n_blocks) * self.block - self.start) / (self.block * self.sfreq)
        return replace(self, start=0, n_blocks=n_blocks, times=self.times[0] + moved)

    def average(self, data: np.ndarray) -> np.ndarray:
        """Average over each block; shape (..., n_times) becomes (..., n_blocks)."""
        covered = data[..., self.start : self.start + self.n_blocks * self.block]
        return covered.reshape(*data.shape[:-1], self.n_blocks, self.block).mean(axis=-1)

    def covariance(self, full: np.ndarray) -> np.ndarray:
        """Covariance (n_blocks, n_blocks) of averages of samples with covariance (n_times, n_times)."""
        return self.average(self.average(full).T)
