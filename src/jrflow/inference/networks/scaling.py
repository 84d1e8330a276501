"""Scaling of a network's input and output, fitted on training data only.

Neighbouring samples of an evoked response are almost the same, and what tells parameters apart is in
their small differences: an LSTM given the samples themselves learns slowly. So the samples of one step
are turned into components along which signal and noise are both uncorrelated (the generalised
eigenvectors of the signal's covariance against the noise's), and each is divided by what it should
measure at the noise at hand, as a Wiener filter does: components below the noise vanish, those above
come out with unit variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

#: Added to the noise's covariance as a fraction of its variance: a baseline correction over exactly the
#: samples of one step would leave it singular.
_JITTER = 1e-6


@dataclass(frozen=True)
class InputScaling:
    """How the samples of each step become components.

    Attributes
    ----------
    index
        Samples of each step, shape (n_steps, samples_per_step).
    mean
        Mean of the clean samples, mV, shape (n_steps, samples_per_step).
    basis
        Maps samples (rows) to components (columns), of unit noise at unit standard deviation, shape
        (n_steps, samples_per_step, samples_per_step).
    variance
        Variance of the clean components, mV^2, shape (n_steps, samples_per_step).
    """

    index: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    variance: np.ndarray

    @classmethod
    def fit(cls, source: np.ndarray, noise_covariance: np.ndarray, samples_per_step: int) -> InputScaling:
        """Fit to clean responses (n, n_blocks), mV, and noise of covariance (n_blocks, n_blocks)."""
        index = step_index(source.shape[1], samples_per_step)
        mean = source.mean(axis=0, dtype=float)
        signal = np.cov(source.astype(float), rowvar=False, bias=True).reshape(2 * (len(mean),))
        noise = noise_covariance + _JITTER * np.diag(noise_covariance).mean() * np.eye(len(mean))
        pairs = [eigh(signal[np.ix_(i, i)], noise[np.ix_(i, i)]) for i in index]
        variance = np.stack([values.clip(min=0) for values, _ in pairs])
        return cls(index, mean[index], np.stack([vectors for _, vectors in pairs]), variance)


def step_index(n_samples: int, samples_per_step: int) -> np.ndarray:
    """Samples of each step, shape (n_steps, samples_per_step), as few steps as hold them all.

    Where ``n_samples`` is no multiple, steps overlap evenly, so that no sample is lost.

    Raises
    ------
    ValueError
        If a step is longer than the response.
    """
    if samples_per_step > n_samples:
        raise ValueError(
            f"samples_per_step is {samples_per_step}, but the network observes only {n_samples} samples; "
            f"choose fewer, or a higher training.sfreq"
        )
    n_steps = -(-n_samples // samples_per_step)
    starts = np.round(np.linspace(0, n_samples - samples_per_step, n_steps)).astype(np.int64)
    return starts[:, None] + np.arange(samples_per_step)
