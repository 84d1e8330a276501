"""Tests for anything that is not noise, and the smallest effect that they detect."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import f, gamma, ncx2, norm

#: Probability with which a component is found that is called detectable.
POWER = 0.8
#: The Tracy-Widom distribution (beta = 1) as a shifted gamma distribution: shape, scale and shift (Chiani
#: 2014, J. Multivar. Anal. 129:69); its mean.
_TW_SHAPE, _TW_SCALE, _TW_SHIFT, _TW_MEAN = 46.446, 0.186054, 9.84801, -1.2065
#: Largest energy sought, in units of the noise.
_MOST = 1e12


def root_distribution(n: int, p: int) -> tuple[float, float]:
    """Mean and scale of the largest eigenvalue of n x p white noise (Johnstone 2001; Ma 2012)."""
    a, b = np.sqrt(n - 0.5), np.sqrt(p - 0.5)
    scale = (a + b) * (1 / a + 1 / b) ** (1 / 3)
    return float((a + b) ** 2 + _TW_MEAN * scale), float(scale)


def largest_eigenvalue(rows: np.ndarray) -> tuple[float, float, float]:
    """Test rows of white noise, all of one unknown variance, for a component in a single direction.

    Parameters
    ----------
    rows
        Shape (n, p).

    Returns
    -------
    largest, variance, p_value
        The largest eigenvalue over the variance; the variance, estimated from the other eigenvalues; the
        probability that noise alone has one as large.
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
    """Direction (n,) in which white rows (n, p) have the most power."""
    direction: np.ndarray = np.linalg.eigh(rows @ rows.T)[1][:, -1]
    return direction


def excess(power: float, dims: float, dims_noise: float) -> float:
    """Probability that noise alone has a mean square ``power`` times its variance in ``dims`` dimensions.

    The variance is estimated from ``dims_noise`` dimensions; neither number need be whole.
    """
    return float(f.sf(power, dims, dims_noise))


def smaller_of_two(a: float, b: float) -> float:
    """One p-value of two independent tests: that their smaller one is as small (Sidak)."""
    return float(-np.expm1(2 * np.log1p(-min(a, b, 1 - 1e-16))))


def one_of_two(level: float) -> float:
    """Level of each of two independent tests that reject together at ``level``."""
    return float(1 - np.sqrt(1 - level))


def detectable_component(n: int, p: int, level: float) -> float:
    """Energy of a component in a single direction of n x p noise that the largest eigenvalue shows.

    In units of the noise's variance. A signal of energy E gives an eigenvalue of about (E + n)(E + p) / E
    (Benaych-Georges and Nadakuditi 2012).
    """
    mean, scale = root_distribution(n, p)
    limit = mean + (gamma.isf(level, _TW_SHAPE, scale=_TW_SCALE) - _TW_SHIFT - _TW_MEAN) * scale

    def margin(energy: float) -> float:
        root = (energy + n) * (energy + p) / energy
        spread = 2 * np.sqrt(root * max(0.0, 1 - n * p / energy**2))
        return float(root - norm.ppf(POWER) * spread - limit)

    return float(brentq(margin, np.sqrt(n * p), _MOST))


def detectable_excess(dims: float, dims_noise: float, level: float) -> float:
    """Energy of a component in ``dims`` dimensions that :func:`excess` shows, over the noise's variance."""
    limit = dims * f.isf(level, dims, dims_noise)
    return float(brentq(lambda energy: ncx2.sf(limit, dims, energy) - POWER, 1e-9, 1e3 * limit))


def dominant(values: np.ndarray, dims: float, level: float) -> np.ndarray:
    """Positions of variances (n,) that exceed the median by more than chance, each of ``dims`` dimensions.

    The median is taken to be as uncertain as the mean of half of the values, for few of them are independent.
    """
    median = (1 - 2 / (9 * dims)) ** 3
    allowed = f.isf(level / len(values), dims, dims * len(values) / 2) / median
    found: np.ndarray = np.flatnonzero(values > allowed * np.median(values))
    return found
