"""Sobol indices of many outputs at once, with standard errors between independent scrambles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Sums over the base points of one replicate, or of all replicates: numerators of the two indices, numerator
#: of S1 per unit of the centre, squares and values of A and B, values of all rows, number of base points.
_Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Estimates(NamedTuple):
    """Sobol indices and their standard errors.

    Attributes
    ----------
    first, total
        First-order and total indices, shape (parameter, output); NaN if an output is constant or never
        defined.
    first_se, total_se
        Standard errors of these indices, same shape; NaN with fewer than two usable replicates.
    n_replicates
        Number of replicates with at least one complete group, shape (output,).
    """

    first: np.ndarray
    total: np.ndarray
    first_se: np.ndarray
    total_se: np.ndarray
    n_replicates: np.ndarray


def estimate(outputs: np.ndarray, replicate: np.ndarray, n_replicates: int) -> Estimates:
    """Estimate first-order and total Sobol indices.

    Parameters
    ----------
    outputs
        Outputs, shape (group, D + 2, output): rows A, AB_1 .. AB_D, B of each base point. If a value is not
        finite, its group is left out for this output.
    replicate
        Scramble of each group, 0 .. n_replicates - 1, shape (group,).
    n_replicates
        Number of independent scrambles.

    Notes
    -----
    Estimators of Saltelli et al. 2010 (doi:10.1016/j.cpc.2009.09.018), Table 2 (b) and (f), over all groups;
    outputs are centred at their mean as in SALib. Standard errors are those of a jackknife over replicates.
    Replicates are independent, but base points of one scramble are not: a bootstrap over base points would
    be wrong.
    """
    sums = _sums_by_replicate(outputs, replicate, n_replicates)
    n_rows = outputs.shape[1]
    total = tuple(part.sum(axis=0) for part in sums)
    whole = _ratios(total, n_rows)
    left_out = _ratios(tuple(all_ - part for all_, part in zip(total, sums, strict=True)), n_rows)
    used = sums[-1] > 0  # (replicate, output)
    n_used = used.sum(axis=0)
    first_se, total_se = (_jackknife(each, used) for each in left_out)
    return Estimates(*whole, first_se, total_se, n_used)


def _sums_by_replicate(
    outputs: np.ndarray, replicate: np.ndarray, n_replicates: int
) -> tuple[np.ndarray, ...]:
    whole = np.isfinite(outputs).all(axis=1, keepdims=True)
    count = np.maximum(whole.sum(axis=(0, 1)), 1)
    kept = np.where(whole, outputs, 0.0)
    # Centre first, to avoid cancellation. The small shift after leaving out a replicate is exact below.
    centred = np.where(whole, kept - kept.sum(axis=(0, 1)) / (count * outputs.shape[1]), 0.0)
    first, last = centred[:, :1], centred[:, -1:]
    change = centred[:, 1:-1] - first
    terms = (
        last * change,
        change**2 / 2,
        change,
        (first**2 + last**2)[:, 0],
        (first + last)[:, 0],
        centred.sum(axis=1),
        whole[:, 0].astype(float),
    )
    return tuple(_by_replicate(term, replicate, n_replicates) for term in terms)


def _by_replicate(term: np.ndarray, replicate: np.ndarray, n_replicates: int) -> np.ndarray:
    return np.stack([term[replicate == r].sum(axis=0) for r in range(n_replicates)])


def _ratios(sums: tuple[np.ndarray, ...], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices, shape (..., parameter, output), from sums over base points."""
    crossed, squares, changes, power, ends, everything, n = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = everything / (n_rows * n)
        variance = power / (2 * n) - (ends / (2 * n)) ** 2
        # The variance of a constant output consists of rounding errors only.
        variance = np.where(variance > np.finfo(float).eps * power / (2 * n), variance, np.nan)
        scale = (n * variance)[..., np.newaxis, :]
        return (crossed - centre[..., np.newaxis, :] * changes) / scale, squares / scale


def _jackknife(left_out: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Standard errors from leave-one-out estimates, shape (replicate, parameter, output)."""
    kept = np.where(used[:, np.newaxis], left_out, 0.0)
    n = used.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(used[:, np.newaxis], left_out - kept.sum(axis=0) / n, 0.0)
        return np.where(n > 1, np.sqrt((n - 1) / n * (spread**2).sum(axis=0)), np.nan)
