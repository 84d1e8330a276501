"""Scores of estimates. A correlation alone is not sufficient: it ignores scale and offset."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def scores(true: np.ndarray, estimated: np.ndarray, width: np.ndarray) -> dict[str, np.ndarray]:
    """Score each target.

    Parameters
    ----------
    true, estimated
        True and estimated values, shape (n, n_targets).
    width
        Width of each target's prior range, in its unit, shape (n_targets,).

    Returns
    -------
    dict
        ``pearson_r`` and ``spearman_r`` (NaN if the estimates do not vary, because correlations are then
        undefined), ``r2`` (1 minus the ratio of mean square error and variance of the true values) and
        ``nrmse`` (root mean square error divided by ``width``), each of shape (n_targets,).
    """
    mean_square = ((estimated - true) ** 2).mean(axis=0)
    return {
        "pearson_r": _correlation(true, estimated),
        "spearman_r": _correlation(rankdata(true, axis=0), rankdata(estimated, axis=0)),
        "r2": 1 - mean_square / true.var(axis=0),
        "nrmse": np.sqrt(mean_square) / width,
    }


def coverage(true: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Share of true values between ``low`` and ``high``, all (n, n_targets); NaN if an end is infinite."""
    is_finite = np.isfinite(high - low).all(axis=0)
    share: np.ndarray = np.where(is_finite, ((low <= true) & (true <= high)).mean(axis=0), np.nan)
    return share


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    varies = np.ptp(y, axis=0) > 0
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.where(varies, (x * y).sum(axis=0) / np.where(varies, scale, 1.0), np.nan)
