"""Size of the noise in the baseline of a response, measured without counting the response as noise.

Late and oscillating responses are not flat before the onset. The source contributes to the channels along
one direction only. Noise is therefore measured in all other directions, which do not contain the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from jrflow.observe.covariance import inverse_root
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.window import Window

#: Significance level of the two-sided test whether noise is as assumed. If not, measured noise is used.
_UNLIKELY = 0.01
#: Directions of a response below this fraction of the largest direction are rounding errors.
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class BaselineNoise:
    """Noise in the baseline, relative to the assumed noise.

    Attributes
    ----------
    power
        Ratio of measured and assumed variance of block averages; 1 if the baseline cannot be used.
    n_free
        Number of independent values behind this ratio; 0 if the baseline cannot be used.
    """

    power: float
    n_free: float

    @property
    def is_as_assumed(self) -> bool:
        """Whether chance explains the difference from the assumed noise."""
        if self.n_free == 0:
            return True
        x = self.power * self.n_free
        return bool(2 * min(chi2.sf(x, self.n_free), chi2.cdf(x, self.n_free)) >= _UNLIKELY)

    @property
    def inflation(self) -> float:
        """Factor by which the assumed variance is too small; 1 if it is not, or if chance explains it."""
        return 1.0 if self.is_as_assumed else max(1.0, self.power)

    @property
    def shown(self) -> float:
        """The power, or 1 if chance explains the difference."""
        return 1.0 if self.is_as_assumed else self.power

    @property
    def relative_error(self) -> float:
        """Relative standard error of the measured standard deviation."""
        return 0.0 if self.inflation == 1 else float(np.sqrt(1 / (2 * self.n_free)))


def baseline_noise(eeg: np.ndarray, gain: np.ndarray, noise: EvokedNoise, window: Window) -> BaselineNoise:
    """Measure noise in block averages of the baseline, in directions that do not contain the source.

    Parameters
    ----------
    eeg
        Response at the times of ``noise``, uV, average reference, shape (n_channels, n_times).
    gain
        Lead field of the source, uV/mV, shape (n_channels,).
    noise
        Assumed noise.
    window
        Blocks of the response.
    """
    n_before = int((noise.times <= 0).sum())
    before = window.first(n_before)
    # A block that covers the whole baseline has the average 0 after baseline correction.
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
    """Orthonormal basis (columns) of the directions in a response, without the direction of the source."""
    vectors, sizes, _ = np.linalg.svd(white, full_matrices=False)
    own = vectors[:, sizes > _RANK_TOLERANCE * max(float(sizes[0]), np.finfo(float).tiny)]
    inside = own.T @ direction
    if not np.linalg.norm(inside) > 0:
        return own
    # Complete the source's direction to a basis, and leave out the first column, which is this direction.
    complete, _ = np.linalg.qr(np.column_stack([inside, np.eye(len(inside))]))
    basis: np.ndarray = own @ complete[:, 1 : len(inside)]
    return basis
