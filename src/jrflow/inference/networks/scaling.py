"""Scaling of a network's input and output, fitted on training data only.

Neighbouring samples of an evoked response are almost equal, and the information about parameters is in their
small differences. An LSTM that receives the samples themselves learns slowly. Therefore the samples of each
step are converted to components for which both signal and noise are uncorrelated (generalised eigenvectors
of the covariances of signal and noise). Each component is then scaled for the noise level, as in a Wiener
filter: components far below the noise become nearly zero, and components far above it have unit variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

#: Variance that is added to the covariance of the noise, as a fraction of its mean variance. Without it, a
#: baseline correction over exactly the samples of one step would make the covariance singular.
_JITTER = 1e-6


@dataclass(frozen=True)
class InputScaling:
    """Linear map from the samples of each step to components.

    Attributes
    ----------
    index
        Positions of the samples of each step, shape (n_steps, samples_per_step).
    mean
        Mean of the clean samples, mV, shape (n_steps, samples_per_step).
    basis
        Matrix from samples (rows) to components (columns), shape (n_steps, samples_per_step,
        samples_per_step). Components of noise of unit standard deviation have variance 1.
    variance
        Variance of the clean components, mV^2, shape (n_steps, samples_per_step).
    """

    index: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    variance: np.ndarray

    @classmethod
    def fit(cls, source: np.ndarray, noise_covariance: np.ndarray, samples_per_step: int) -> InputScaling:
        """Fit to clean responses (n, n_blocks), mV, and a noise covariance (n_blocks, n_blocks)."""
        index = step_index(source.shape[1], samples_per_step)
        mean = source.mean(axis=0, dtype=float)
        signal = np.cov(source.astype(float), rowvar=False, bias=True).reshape(2 * (len(mean),))
        noise = noise_covariance + _JITTER * np.diag(noise_covariance).mean() * np.eye(len(mean))
        pairs = [eigh(signal[np.ix_(i, i)], noise[np.ix_(i, i)]) for i in index]
        variance = np.stack([values.clip(min=0) for values, _ in pairs])
        return cls(index, mean[index], np.stack([vectors for _, vectors in pairs]), variance)


def step_index(n_samples: int, samples_per_step: int) -> np.ndarray:
    """Positions of the samples of each step, shape (n_steps, samples_per_step).

    If ``n_samples`` is not a multiple of ``samples_per_step``, steps overlap evenly: no sample is lost.

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
