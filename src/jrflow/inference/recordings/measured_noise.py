"""Noise of one recording, measured where a source at the assumed place cannot reach.

After spatial whitening, one direction carries the source and all others carry noise alone. These others have
the same covariance over time as the noise of the source estimate. They give its size and its
autocorrelation from the whole epoch, whatever the source does in the baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import toeplitz

from jrflow.inference.recordings.detection import largest_direction, largest_eigenvalue
from jrflow.observe.covariance import whitening
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.window import Window

#: Directions in time with less than this fraction of the largest variance are left out (filtered away).
_PASSED = 1e-3
#: The same of the baseline alone, which is short: it divides what a filter passes from what it stops less
#: sharply than a whole epoch.
_STOPPED = 1e-2
#: Most blocks into which an epoch is divided.
_MOST_BLOCKS = 200
#: Time constants of the exponential autocorrelations that describe coloured noise, s. A sum of these
#: approximates 1/f noise from 0.1 Hz on.
_RELAXATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0, 4.0)
#: Frequencies of the damped oscillations, Hz (theta, alpha, beta), and their time constant, s.
_RHYTHMS, _RHYTHM_DECAY = (5.0, 10.0, 20.0), 0.2
#: Lag after which noise has forgotten itself, s.
_FORGOTTEN = 40.0
#: Times that the strongest direction is left out and the covariance fitted to the others.
_N_CLEANED = 4
#: Iterations of the maximum likelihood fit, and the relative change at which it stops.
_N_ITERATIONS, _CONVERGED = 60, 2e-3


@dataclass(frozen=True)
class Clock:
    """Blocks of an epoch, and the covariances over time that noise may have.

    Attributes
    ----------
    blocks
        Over the whole epoch.
    basis
        Orthonormal combinations of block averages less their mean, (n_blocks, n_dims).
    components
        Covariance of these combinations for noise as assumed, then for noises of other autocorrelations,
        each filtered and averaged as assumed, (n_components, n_dims, n_dims).
    """

    blocks: Window
    basis: np.ndarray
    components: np.ndarray

    @classmethod
    def of(cls, noise: EvokedNoise, window: Window) -> Clock:
        """Blocks as long as the window's, or longer where an epoch has too many.

        The mean over the epoch is removed. As all data are baseline-corrected, that loses nothing, and it
        makes the covariances independent of the baseline.
        """
        n = len(noise.times)
        block = window.block * max(1, -(-n // (window.block * _MOST_BLOCKS)))
        start = window.start % block
        n_blocks = (n - start) // block
        centres = noise.times[start : start + n_blocks * block].reshape(n_blocks, block).mean(axis=1)
        blocks = Window(start, block, n_blocks, window.sfreq * window.block / block, centres)
        # Of epochs that do not overlap: its root applies the filter; overlap is part of the correlations.
        alone = noise.averaged(noise.n_averages).temporal_covariance()
        values, vectors = np.linalg.eigh(_less_mean(_less_mean(alone).T))
        root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        averages = _less_mean(blocks.average(root).T.T).T
        family = np.stack([averages @ _overlapping(r, noise) @ averages.T for r in _correlations(noise)])
        size, directions = np.linalg.eigh(family[0])
        basis = directions[:, size > _PASSED * size[-1]]
        return cls(blocks, basis, basis.T @ family @ basis)

    @property
    def n_dims(self) -> int:
        """Dimensions over time."""
        return self.basis.shape[1]

    @property
    def n_before(self) -> int:
        """Blocks all of whose samples lie at or before the onset."""
        half = 0.5 * (self.blocks.block - 1) / (self.blocks.block * self.blocks.sfreq)
        return int((self.blocks.times + half < 1e-9).sum())

    def baseline(self, projected: np.ndarray) -> np.ndarray:
        """Baseline blocks less their mean, (..., n_before), of projected time courses (..., n_dims)."""
        return projected @ self._first.T

    def before(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance (n_before, n_before) of :meth:`baseline`, from one over the basis."""
        over: np.ndarray = self._first @ covariance @ self._first.T
        return over

    def baseline_whitener(self, covariance: np.ndarray) -> np.ndarray:
        """Whitener of :meth:`baseline`, (n_before, rank), from a covariance over the basis.

        A filter leaves many combinations of baseline blocks almost without variance. These are left out:
        their variance depends on details of the filter, and a whitener would enlarge such details most.
        """
        return whitening(self.before(covariance), _STOPPED)

    @cached_property
    def _first(self) -> np.ndarray:
        return _less_mean(self.basis[: self.n_before].T).T

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Bring time courses (..., n_times) to (..., n_dims)."""
        return self.blocks.average(rows) @ self.basis


def _less_mean(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=-1, keepdims=True)


def _correlations(noise: EvokedNoise) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Autocorrelations as functions of the lag, s: white, relaxations, rhythms."""
    step = noise.times[1] - noise.times[0]
    slow = [(tau, 0.0) for tau in _RELAXATIONS] + [(_RHYTHM_DECAY, f) for f in _RHYTHMS]
    return [
        lambda lag: (np.abs(lag) < 0.5 * step).astype(float),
        *(
            lambda lag, tau=tau, f=f: np.exp(-np.abs(lag) / tau) * np.cos(2 * np.pi * f * lag)
            for tau, f in slow
        ),
    ]


def _overlapping(correlation: Callable[[np.ndarray], np.ndarray], noise: EvokedNoise) -> np.ndarray:
    """Covariance (n_times, n_times) of averages of epochs of raw noise, which may overlap."""
    n, step = len(noise.times), noise.times[1] - noise.times[0]
    lags = np.arange(n) * step
    total = correlation(lags)
    if noise.period < n:
        furthest = min(noise.n_averages - 1, round(_FORGOTTEN / (noise.period * step)) + 1)
        for m in range(1, furthest + 1):
            apart = m * noise.period * step
            total += (1 - m / noise.n_averages) * (correlation(lags - apart) + correlation(lags + apart))
    return toeplitz(total)


@dataclass(frozen=True)
class MeasuredNoise:
    """Noise over time as the directions across the source show it.

    Attributes
    ----------
    whitener
        From projected time courses to white ones of unit variance, (n_dims, n_dims).
    covariance
        Over the clock's basis, where the assumed noise has ``components[0]``, (n_dims, n_dims).
    power
        Power over that of the assumed noise.
    largest
        Of the directions across: the largest eigenvalue, in units of the noise.
    p_value
        Probability that noise alone has one as large (Tracy-Widom).
    direction
        Its direction over space, (rank - 1,).
    """

    whitener: np.ndarray
    covariance: np.ndarray
    power: float
    largest: float
    p_value: float
    direction: np.ndarray

    @classmethod
    def of(cls, across: np.ndarray, clock: Clock) -> MeasuredNoise:
        """Fit size and autocorrelation to projected time courses (rank - 1, n_dims) across the source.

        A second source may be among them. It has one direction in space, so the strongest is left out.
        """
        shape, weights = fit_covariance(across, clock.components)
        for _ in range(_N_CLEANED):
            # A strong second source distorts the first covariances, and these its direction.
            direction = largest_direction(across @ whitening(shape))
            others = np.linalg.svd(direction[None])[2][1:]
            shape, weights = fit_covariance(others @ across, clock.components, weights)
        white = across @ whitening(shape)
        largest, variance, p_value = largest_eigenvalue(white)
        shape = shape * variance
        return cls(
            whitening(shape), shape, float(np.trace(shape) / np.trace(clock.components[0])), largest, p_value,
            largest_direction(white),
        )  # fmt: skip


def fit_covariance(
    rows: np.ndarray, components: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood covariance of rows (n, n_dims): a sum of components with weights >= 0.

    Minorisation-maximisation (Zhou et al. 2019, J. Comput. Graph. Stat. 28:350) from the weights ``start``.

    Returns
    -------
    covariance, weights
        Shapes (n_dims, n_dims) and (n_components,).
    """
    sample = rows.T @ rows / len(rows)
    traces = np.trace(components, axis1=1, axis2=2)
    weights = np.trace(sample) / traces / len(components) if start is None else start
    total = np.tensordot(weights, components, 1)
    for _ in range(_N_ITERATIONS):
        inverse = np.linalg.inv(total)
        found = np.tensordot(components, inverse @ sample @ inverse, 2)
        factor = np.sqrt(found / np.tensordot(components, inverse, 2))
        weights = weights * factor
        total = np.tensordot(weights, components, 1)
        if np.abs(weights * traces * (1 - 1 / factor)).sum() < _CONVERGED * (weights * traces).sum():
            break
    return total, weights
