"""Roots of covariances that may be singular, for instance after baseline correction or re-referencing."""

from __future__ import annotations

import numpy as np

#: Eigenvalues below this fraction of the largest eigenvalue are rounding errors.
_RANK_TOLERANCE = 1e-9


def factor(covariance: np.ndarray) -> np.ndarray:
    """Matrix F with F F' = ``covariance``, shape (n, rank)."""
    values, vectors = _range(covariance)
    return vectors * np.sqrt(values)


def whitening(covariance: np.ndarray, least: float = _RANK_TOLERANCE) -> np.ndarray:
    """Matrix W, shape (n, rank), such that x W is white for rows x with this covariance.

    Directions are left out if their variance is below the fraction ``least`` of the largest variance.
    """
    values, vectors = _range(covariance, least)
    return vectors / np.sqrt(values)


def inverse_root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric inverse square root on the range of ``covariance``, shape (n, n).

    Unlike other roots, it does not depend on the choice of eigenvectors for repeated eigenvalues.
    """
    values, vectors = _range(covariance)
    root: np.ndarray = (vectors / np.sqrt(values)) @ vectors.T
    return root


def _range(covariance: np.ndarray, least: float = _RANK_TOLERANCE) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(covariance)
    inside = values > least * values[-1]
    return values[inside], vectors[:, inside]
