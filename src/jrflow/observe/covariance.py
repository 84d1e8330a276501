"""Roots of covariances that may be singular, as a baseline correction or an average reference leave them."""

from __future__ import annotations

import numpy as np

#: Eigenvalues below this fraction of the largest are rounding.
_RANK_TOLERANCE = 1e-9


def factor(covariance: np.ndarray) -> np.ndarray:
    """F with F F' = ``covariance``, shape (n, rank)."""
    values, vectors = _range(covariance)
    return vectors * np.sqrt(values)


def whitening(covariance: np.ndarray, least: float = _RANK_TOLERANCE) -> np.ndarray:
    """W, shape (n, rank), such that x W is white for rows x of this covariance.

    Directions with less than the fraction ``least`` of the largest variance are left out.
    """
    values, vectors = _range(covariance, least)
    return vectors / np.sqrt(values)


def inverse_root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric inverse square root on the range of ``covariance``, shape (n, n).

    Unlike other roots it does not depend on how degenerate eigenvectors come out.
    """
    values, vectors = _range(covariance)
    root: np.ndarray = (vectors / np.sqrt(values)) @ vectors.T
    return root


def _range(covariance: np.ndarray, least: float = _RANK_TOLERANCE) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(covariance)
    inside = values > least * values[-1]
    return values[inside], vectors[:, inside]
