"""Noise of one recording, measured in directions that a source at the assumed position does not reach.

After spatial whitening, one direction contains the source, and all other directions contain only noise. The
noise in these directions has the same covariance over time as the noise of the source estimate. They
therefore give its size and autocorrelation from the whole epoch, even if the response extends into the
baseline.
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

#: Directions in time with less than this fraction of the largest variance are left out: filters stop them.
_PASSED = 1e-3
#: The same fraction for the baseline alone. It is larger because the baseline is short: it separates
#: frequencies that a filter passes and stops less sharply than a whole epoch.
_STOPPED = 1e-2
#: Largest number of blocks into which an epoch is divided.
_MOST_BLOCKS = 200
#: Time constants of the exponential autocorrelations that describe coloured noise, s. Their sum approximates
#: 1/f noise above 0.1 Hz.
_RELAXATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0, 4.0)
#: Frequencies of the damped oscillations, Hz (theta, alpha, beta), and their time constant, s.
_RHYTHMS, _RHYTHM_DECAY = (5.0, 10.0, 20.0), 0.2
#: Lag after which the autocorrelation of noise is negligible, s.
_FORGOTTEN = 40.0
#: Number of iterations in which the strongest direction is left out and the covariance is fitted again.
_N_CLEANED = 4
#: Iterations of the maximum likelihood fit, and the relative change at which it stops.
_N_ITERATIONS, _CONVERGED = 60, 2e-3


@dataclass(frozen=True)
class Clock:
    """Blocks of an epoch, and the covariances over time that noise may have.

    Attributes
    ----------
    blocks
        Blocks over the whole epoch.
    basis
        Orthonormal combinations of block averages minus their mean, (n_blocks, n_dims).
    components
        Covariances of these combinations, (n_components, n_dims, n_dims): first for the assumed noise, then
        for noise with other autocorrelations, but the same filters and averages.
    """

    blocks: Window
    basis: np.ndarray
    components: np.ndarray

    @classmethod
    def of(cls, noise: EvokedNoise, window: Window) -> Clock:
        """Divide the epoch into blocks as long as those of ``window``, or longer if there were too many.

        The mean over the epoch is removed. No information is lost, because all data are baseline-corrected,
        and the covariances become independent of the baseline.
        """
        n = len(noise.times)
        block = window.block * max(1, -(-n // (window.block * _MOST_BLOCKS)))
        start = window.start % block
        n_blocks = (n - start) // block
        centres = noise.times[start : start + n_blocks * block].reshape(n_blocks, block).mean(axis=1)
        blocks = Window(start, block, n_blocks, window.sfreq * window.block / block, centres)
        # Use epochs that do not overlap: the root of their covariance applies the filter. Overlap is part of
        # the correlations below.
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
        """Number of dimensions over time."""
        return self.basis.shape[1]

    @property
    def n_before(self) -> int:
        """Number of blocks whose samples are all at or before the onset."""
        half = 0.5 * (self.blocks.block - 1) / (self.blocks.block * self.blocks.sfreq)
        return int((self.blocks.times + half < 1e-9).sum())

    def baseline(self, projected: np.ndarray) -> np.ndarray:
        """Baseline blocks minus their mean, (..., n_before), of projected time courses (..., n_dims)."""
        return projected @ self._first.T

    def before(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance (n_before, n_before) of :meth:`baseline`, from a covariance over the basis."""
        over: np.ndarray = self._first @ covariance @ self._first.T
        return over

    def baseline_whitener(self, covariance: np.ndarray) -> np.ndarray:
        """Whitener of :meth:`baseline`, (n_before, rank), from a covariance over the basis.

        After a filter, many combinations of baseline blocks have almost no variance. They are left out,
        because their variance depends on details of the filter, which a whitener would amplify.
        """
        return whitening(self.before(covariance), _STOPPED)

    @cached_property
    def _first(self) -> np.ndarray:
        return _less_mean(self.basis[: self.n_before].T).T

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Project time courses (..., n_times) onto the basis: (..., n_dims)."""
        return self.blocks.average(rows) @ self.basis


def _less_mean(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=-1, keepdims=True)


def _correlations(noise: EvokedNoise) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Autocorrelations as functions of the lag (s): white noise, exponentials, damped oscillations."""
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
    """Noise over time, measured in the directions across the source.

    Attributes
    ----------
    whitener
        Matrix that whitens projected time courses to unit variance, (n_dims, n_dims).
    covariance
        Covariance over the clock's basis, (n_dims, n_dims); that of the assumed noise is ``components[0]``.
    power
        Power relative to that of the assumed noise.
    largest
        Largest eigenvalue over the directions across the source, in units of the noise.
    p_value
        Probability that the largest eigenvalue of noise alone is at least as large (Tracy-Widom).
    direction
        Direction of the largest eigenvalue over space, (rank - 1,).
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

        They may contain a second source, which has one direction in space. Therefore the strongest direction
        is left out.
        """
        shape, weights = fit_covariance(across, clock.components)
        for _ in range(_N_CLEANED):
            # Iterate: a strong second source distorts the covariance, which distorts the direction found.
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

    Minorisation-maximisation (Zhou et al. 2019, J. Comput. Graph. Stat. 28:350), starting from the weights
    ``start``.

    Returns
    -------
    covariance
        Fitted covariance, shape (n_dims, n_dims).
    weights
        Weights of the components, shape (n_components,).
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
