"""Size of the noise of a response, measured in the baseline, without counting the response as noise.

Late and oscillating responses are not flat before the onset. The source enters the channels along one
direction, so noise is measured in all others: nothing that the model explains is in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from jrflow.observe.covariance import inverse_root
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.window import Window

#: A noise this unlikely to be the one assumed, on either side, is measured instead of assumed.
_UNLIKELY = 0.01
#: Directions of a response below this fraction of the largest are rounding.
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class BaselineNoise:
    """Noise in the baseline, over the noise assumed.

    Attributes
    ----------
    power
        Ratio of the variances of block averages; 1 where the baseline says nothing of its noise.
    n_free
        Independent values behind it; 0 where the baseline says nothing.
    """

    power: float
    n_free: float

    @property
    def is_as_assumed(self) -> bool:
        """Whether chance explains the difference from the noise assumed."""
        if self.n_free == 0:
            return True
        x = self.power * self.n_free
        return bool(2 * min(chi2.sf(x, self.n_free), chi2.cdf(x, self.n_free)) >= _UNLIKELY)

    @property
    def inflation(self) -> float:
        """Factor by which the variance assumed is too small; at least 1, and 1 where chance explains more."""
        return 1.0 if self.is_as_assumed else max(1.0, self.power)

    @property
    def shown(self) -> float:
        """The power, or 1 where chance explains the difference."""
        return 1.0 if self.is_as_assumed else self.power

    @property
    def relative_error(self) -> float:
        """Standard error of a standard deviation measured so, relative to it."""
        return 0.0 if self.inflation == 1 else float(np.sqrt(1 / (2 * self.n_free)))


def baseline_noise(eeg: np.ndarray, gain: np.ndarray, noise: EvokedNoise, window: Window) -> BaselineNoise:
    """Measure noise in block averages of the baseline, across the source.

    Parameters
    ----------
    eeg
        Response at the noise's times, uV, average reference, shape (n_channels, n_times).
    gain
        Of the source, uV/mV, shape (n_channels,).
    noise
        As assumed.
    window
        Blocks of the response.
    """
    n_before = int((noise.times <= 0).sum())
    before = window.first(n_before)
    # The average of a whole baseline, corrected by its mean, is 0.
    if before.n_blocks == 0 or (before.n_blocks == 1 and before.block == n_before):
        return BaselineNoise(1.0, 0)
    whitener = inverse_root(noise.covariance)
    across = _across(whitener @ eeg, whitener @ gain)
    expected = before.covariance(noise.temporal_covariance())
    total = float(np.trace(expected))
    if across.shape[1] == 0 or not total > 0:
        return BaselineNoise(1.0, 0)
    found = before.average(across.T @ whitener @ eeg)
    n_free = across.shape[1] * total**2 / float((expected**2).sum())
    return BaselineNoise(float((found**2).sum() / (across.shape[1] * total)), n_free)


def _across(white: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Orthonormal basis (columns) of a response's own directions, without that of the source."""
    vectors, sizes, _ = np.linalg.svd(white, full_matrices=False)
    own = vectors[:, sizes > _RANK_TOLERANCE * max(float(sizes[0]), np.finfo(float).tiny)]
    inside = own.T @ direction
    if not np.linalg.norm(inside) > 0:
        return own
    # The first column of a complete basis that begins with the source's direction is left out.
    complete, _ = np.linalg.qr(np.column_stack([inside, np.eye(len(inside))]))
    basis: np.ndarray = own @ complete[:, 1 : len(inside)]
    return basis
