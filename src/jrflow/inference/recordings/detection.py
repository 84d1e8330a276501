"""Tests for signals in noise, and the smallest signals that these tests detect."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import f, gamma, ncx2, norm

#: Power of the tests (probability of detection) for a component that is called detectable.
POWER = 0.8
#: Tracy-Widom distribution (beta = 1) as a shifted gamma distribution: shape, scale and shift (Chiani 2014,
#: J. Multivar. Anal. 129:69), and its mean.
_TW_SHAPE, _TW_SCALE, _TW_SHIFT, _TW_MEAN = 46.446, 0.186054, 9.84801, -1.2065
#: Upper end of the search for detectable energies, in units of the noise.
_MOST = 1e12


def root_distribution(n: int, p: int) -> tuple[float, float]:
    """Mean and scale of the largest eigenvalue of (n, p) white noise (Johnstone 2001; Ma 2012)."""
    a, b = np.sqrt(n - 0.5), np.sqrt(p - 0.5)
    scale = (a + b) * (1 / a + 1 / b) ** (1 / 3)
    return float((a + b) ** 2 + _TW_MEAN * scale), float(scale)


def largest_eigenvalue(rows: np.ndarray) -> tuple[float, float, float]:
    """Test white noise of unknown variance for a component in a single direction.

    Parameters
    ----------
    rows
        Data, shape (n, p).

    Returns
    -------
    largest
        Largest eigenvalue, in units of the variance.
    variance
        Variance of the noise, estimated from the other eigenvalues.
    p_value
        Probability that the largest eigenvalue of noise alone is at least as large.
    """
    n, p = rows.shape
    values = np.linalg.eigvalsh(rows @ rows.T if n < p else rows.T @ rows)
    mean, scale = root_distribution(n, p)
    variance = values[:-1].sum() / (n * p - mean)
    largest = values[-1] / variance
    score = _TW_MEAN + (largest - mean) / scale
    p_value = gamma.sf(score + _TW_SHIFT, _TW_SHAPE, scale=_TW_SCALE)
    return float(largest), float(variance), float(p_value)


def largest_direction(rows: np.ndarray) -> np.ndarray:
    """Direction (n,) in which whitened rows (n, p) have the most power."""
    direction: np.ndarray = np.linalg.eigh(rows @ rows.T)[1][:, -1]
    return direction


def excess(power: float, dims: float, dims_noise: float) -> float:
    """Probability that the mean square of noise in ``dims`` dimensions is ``power`` times its variance.

    The variance is estimated from ``dims_noise`` dimensions. Both numbers may be fractions.
    """
    return float(f.sf(power, dims, dims_noise))


def smaller_of_two(a: float, b: float) -> float:
    """Combined p-value of two independent tests: of the smaller p-value (Sidak correction)."""
    return float(-np.expm1(2 * np.log1p(-min(a, b, 1 - 1e-16))))


def one_of_two(level: float) -> float:
    """Level of each of two independent tests whose combination has the level ``level``."""
    return float(1 - np.sqrt(1 - level))


def detectable_component(n: int, p: int, level: float) -> float:
    """Smallest energy of a component in one direction of (n, p) noise that the largest eigenvalue detects.

    The energy is in units of the noise's variance. A signal of energy E gives an eigenvalue of about
    (E + n)(E + p) / E (Benaych-Georges and Nadakuditi 2012).
    """
    mean, scale = root_distribution(n, p)
    limit = mean + (gamma.isf(level, _TW_SHAPE, scale=_TW_SCALE) - _TW_SHIFT - _TW_MEAN) * scale

    def margin(energy: float) -> float:
        root = (energy + n) * (energy + p) / energy
        spread = 2 * np.sqrt(root * max(0.0, 1 - n * p / energy**2))
        return float(root - norm.ppf(POWER) * spread - limit)

    return float(brentq(margin, np.sqrt(n * p), _MOST))


def detectable_excess(dims: float, dims_noise: float, level: float) -> float:
    """Smallest energy in ``dims`` dimensions that :func:`excess` detects, in units of noise variance."""
    limit = dims * f.isf(level, dims, dims_noise)
    return float(brentq(lambda energy: ncx2.sf(limit, dims, energy) - POWER, 1e-9, 1e3 * limit))


def dominant(values: np.ndarray, dims: float, level: float) -> np.ndarray:
    """Positions of variances (n,), each of ``dims`` dimensions, that exceed the median by more than chance.

    The median is assumed to be as uncertain as the mean of half of the values, because few are independent.
    """
    median = (1 - 2 / (9 * dims)) ** 3
    allowed = f.isf(level / len(values), dims, dims * len(values) / 2) / median
    found: np.ndarray = np.flatnonzero(values > allowed * np.median(values))
    return found
