"""EEG channels of a source in noise, computed one simulation at a time for speed.

The noise of a simulation is drawn, overlapped, baseline-corrected and re-referenced before that of the next
simulation. It stays in the second-level cache of the processor and is written to memory once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from jrflow.model.lanes import FASTMATH, SOURCE_DIGEST, compiled_entry, inlined, vectorise_fully
from jrflow.model.noise import SENSORS, normal_pair
from jrflow.model.philox import BITS32, LOW32, philox
from jrflow.observe.covariance import factor

#: Number of parallel generators in one stream of noise: two to four vector registers.
LANES = 32
#: Number of words in the state of a stream.
N_STATE = 4 * LANES

#: Differences between channels below this fraction of their variance are rounding errors.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Colouring:
    """Transform of white noise into the noise of an averaged response.

    Attributes
    ----------
    shape
        Number of channels and of times.
    sd
        Standard deviation of channels with equal and independent noise, before re-referencing.
    referenced
        Whether the average over channels is subtracted.
    root
        For channels with other noise: matrix F, shape (n_channels, rank), with F F' their covariance. None
        for channels with equal and independent noise.
    mixing
        Root of the correlation at lags of whole periods, one row per complete or partial period.
    period
        Number of samples from one onset to the next.
    n_baseline
        Number of samples in the baseline.
    """

    shape: tuple[int, int]
    sd: float
    referenced: bool
    root: np.ndarray | None
    mixing: np.ndarray
    period: int
    n_baseline: int

    @classmethod
    def of(
        cls, covariance: np.ndarray, correlation: np.ndarray, period: int, baseline: np.ndarray
    ) -> Colouring:
        """Construct from covariance over channels, correlation over periods, and mask of the baseline."""
        n, rest = len(covariance), (np.linalg.cholesky(correlation), period, int(baseline.sum()))
        # White noise, the usual case, needs no matrix product, which would take longer than the normals.
        for referenced in (False, True):
            alike = np.eye(n) - (1 / n if referenced else 0)
            variance = float(np.trace(covariance)) / max(n - referenced, 1)
            if np.allclose(covariance, variance * alike, rtol=0, atol=_ROUNDING * variance):
                return cls((n, len(baseline)), variance**0.5, referenced, None, *rest)
        return cls((n, len(baseline)), 1.0, False, factor(covariance), *rest)

    def observe(
        self, source: np.ndarray, gain: np.ndarray, states: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """EEG of one source in noise, baseline-corrected, shape (n, n_channels, n_times).

        Parameters
        ----------
        source
            Time courses of the source, shape (n, n_times), float32 or float64; the result has the same
            precision.
        gain
            Lead field of the source, shape (n_channels,).
        states
            States of the streams of noise, shape (n, N_STATE); they are changed and cannot be used again.
        out
            Array for the result, C-contiguous; None for a new array.
        """
        dtype, shape = source.dtype, (len(source), *self.shape)
        if (len(states), len(gain), source.shape[1]) != shape or dtype not in (np.float32, np.float64):
            raise ValueError(
                f"the noise is for {shape[1]} channels and {shape[2]} times; received {len(gain)} gains, "
                f"{len(states)} ids and sources {source.shape} in {dtype}: expected float32 or float64, "
                "and as many ids as sources"
            )
        out = np.empty(shape, dtype) if out is None else out
        if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be C-contiguous, {dtype} and of shape {shape}, received {out.dtype}, {out.shape}"
            )
        if self.root is None:
            self._alike(out, source, gain.astype(dtype), states)
            return out
        # Multiply [gain, root] with the source and the white rows below it, in one product.
        weights = np.column_stack([gain, self.root]).astype(dtype)
        rows = np.empty((1, weights.shape[1], shape[2]), dtype)
        silence, none = np.zeros((1, shape[2]), dtype), np.zeros(weights.shape[1] - 1, dtype)
        for k in range(len(source)):
            self._alike(rows[:, 1:], silence, none, states[k : k + 1])
            rows[0, 0] = source[k] - source[k, : self.n_baseline].mean()
            np.matmul(weights, rows[0], out=out[k])
        return out

    def _alike(self, out: np.ndarray, source: np.ndarray, gain: np.ndarray, states: np.ndarray) -> None:
        (_, n_channels, n_times), dtype = out.shape, out.dtype
        width = -(-n_times // (2 * LANES)) * 2 * LANES
        lengths = (n_channels, width), n_times, n_times, n_channels
        scratch = (np.empty(length, dtype) for length in lengths)
        _observe(
            out, source, gain, states, dtype.type(self.sd), self.referenced, self.mixing.astype(dtype),
            self.period, self.n_baseline, *scratch,
        )  # fmt: skip


def _compile_states(digest: str) -> Callable[..., np.ndarray]:
    @compiled_entry
    def noise_states(seed, sims):  # type: ignore[no-untyped-def]
        """First states of the streams of sensor noise keyed to (seed, simulation id), shape (n, N_STATE)."""
        _ = digest
        states = np.empty((len(sims), N_STATE), np.uint32)
        for k in range(len(sims)):
            for lane in range(LANES):
                key = sims[k] & LOW32, sims[k] >> BITS32, seed & LOW32, seed >> BITS32
                words = philox(np.uint64(lane), np.uint64(SENSORS), *key)
                for i in range(4):
                    states[k, i * LANES + lane] = np.uint32(words[i])
        return states

    return noise_states


noise_states = _compile_states(SOURCE_DIGEST)


@inlined
def _next_word(a, b, c, counter):  # type: ignore[no-untyped-def]
    """32 random bits and the next state of sfc32, the small fast chaotic generator of PractRand.

    A simulation takes 77,000 normals in order; at that, Philox alone would cost more than all the rest.
    """
    u = np.uint32
    word = u(u(a + b) + counter)
    rotated = u(u(c << u(21)) | u(c >> u(11)))
    return word, u(b ^ (b >> u(9))), u(c + u(c << u(3))), u(rotated + word), u(counter + u(1))


@inlined
def _fill(row, state):  # type: ignore[no-untyped-def]
    """Continue a stream of standard normals; the length of ``row`` is a multiple of 2 * LANES."""
    vectorise_fully()
    for block in range(len(row) // (2 * LANES)):
        start = block * 2 * LANES
        for i in range(LANES):
            a, b, c, d = state[i], state[LANES + i], state[2 * LANES + i], state[3 * LANES + i]
            word0, a, b, c, d = _next_word(a, b, c, d)
            word1, a, b, c, d = _next_word(a, b, c, d)
            state[i], state[LANES + i], state[2 * LANES + i], state[3 * LANES + i] = a, b, c, d
            row[start + i], row[start + LANES + i] = normal_pair(word0, word1)


@inlined
def _add(target, own, source, share):  # type: ignore[no-untyped-def]
    vectorise_fully()
    for t in range(len(target)):
        target[t] = own * target[t] + share * source[t]


@inlined
def _overlap(row, mixing, period):  # type: ignore[no-untyped-def]
    """Let samples that are whole periods apart share noise: chunk i becomes sum_j mixing[i, j] chunk j."""
    for i in range(len(mixing) - 1, 0, -1):
        chunk = row[i * period : (i + 1) * period]
        _add(chunk, mixing[i, i], row[: len(chunk)], mixing[i, 0])
        for j in range(1, i):
            _add(chunk, mixing[0, 0], row[j * period : j * period + len(chunk)], mixing[i, j])  # 1 * chunk


@njit(fastmath=FASTMATH | {"reassoc"}, nogil=True, forceinline=True)
def _sum(row, n):  # type: ignore[no-untyped-def]
    total = row[0]
    for t in range(1, n):
        total += row[t]
    return total


@inlined
def _noise(white, column, level, state, sd, referenced, mixing, n_baseline, period):  # type: ignore[no-untyped-def]
    """Draw one simulation: noise of channel c is sd * white[c] - column - level[c]."""
    vectorise_fully()
    n_channels, n_times = len(white), len(column)
    column[:] = 0
    for c in range(n_channels):
        _fill(white[c], state)
        _overlap(white[c, :n_times], mixing, period)
        level[c] = sd * _sum(white[c], n_baseline) / n_baseline
        if referenced:
            for t in range(n_times):
                column[t] += white[c, t]
    for t in range(n_times):
        column[t] *= sd / n_channels
    level -= _sum(column, n_baseline) / n_baseline


def _compile(digest: str) -> Callable[..., None]:
    """Compile the way to the channels; numba's cache knows it by its own code and by ``digest``."""

    @compiled_entry
    def observe_all(  # type: ignore[no-untyped-def]
        eeg, source, gain, states, sd, referenced, mixing, period, n_baseline, white, column, clean, level
    ):
        """Simulation by simulation, so that its noise stays in the cache until it is written once."""
        vectorise_fully()
        _ = digest
        for n in range(len(eeg)):
            _noise(white, column, level, states[n], sd, referenced, mixing, n_baseline, period)
            clean[:] = source[n]
            clean -= _sum(clean, n_baseline) / n_baseline
            for c in range(eeg.shape[1]):
                for t in range(eeg.shape[2]):
                    eeg[n, c, t] = gain[c] * clean[t] + (sd * white[c, t] - column[t] - level[c])

    return observe_all


_observe = _compile(SOURCE_DIGEST)
