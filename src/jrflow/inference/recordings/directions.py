"""Directions over channels: along the assumed source, and across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jrflow.observe.covariance import whitening

#: A direction was removed from the data if its power is below this fraction of the median over directions.
_REMOVED = 1e-6
#: A direction with less than this fraction of the largest power is a rounding error.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Directions:
    """The space of the data, whitened and divided into the source's direction and the others.

    Attributes
    ----------
    along
        Weights whose product with the data is the source in units of its assumed noise, (n_channels,).
    across
        Weights of the other directions, (rank - 1, n_channels). Their products with the data contain no
        source, and assumed noise of standard deviation 1.
    pattern
        EEG of one unit of each of these directions, uV, (n_channels, rank - 1).
    gain
        Product of ``along`` with the EEG of a source of 1 mV.
    visible
        Share of the lead field's squared whitened length that lies in the space of the data.
    """

    along: np.ndarray
    across: np.ndarray
    pattern: np.ndarray
    gain: float
    visible: float

    @property
    def rank(self) -> int:
        """Number of independent directions of the data over channels."""
        return len(self.across) + 1

    @classmethod
    def of(cls, eeg: np.ndarray, gain: np.ndarray, covariance: np.ndarray) -> Directions:
        """Find the space that the data span, which projections and removed components reduce.

        Parameters
        ----------
        eeg
            Response, uV, shape (n_channels, n_times).
        gain
            Lead field, uV/mV, shape (n_channels,).
        covariance
            Noise covariance, uV^2, shape (n_channels, n_channels).
        """
        basis = _space(eeg, covariance)
        weights = (basis @ whitening(basis.T @ covariance @ basis)).T
        topography = weights @ gain
        size, whole = np.linalg.norm(topography), np.linalg.norm(whitening(covariance).T @ gain)
        # All rows of the orthogonal matrix after the first are orthogonal to the source.
        others = np.linalg.svd(topography[None] / size)[2][1:] if size > 0 else np.eye(len(weights))[1:]
        across = others @ weights
        along = topography @ weights / size if size > 0 else np.zeros(len(gain))
        return cls(along, across, np.linalg.pinv(across), float(size), float((size / whole) ** 2))


def _space(eeg: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Orthonormal basis (n_channels, rank) of the directions in which the data have noise."""
    white = whitening(covariance)
    values, vectors = np.linalg.eigh(np.cov(white.T @ eeg))
    carried = values > _ROUNDING * values[-1]
    kept = carried & (values > _REMOVED * np.median(values[carried]))
    basis: np.ndarray = np.linalg.qr(covariance @ white @ vectors[:, kept])[0]
    return basis
