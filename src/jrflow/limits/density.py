"""Interface of posterior densities for samplers, searches for modes and refinement.

These methods use only a :class:`LogDensity`: they do not depend on the kind of data or on the model.
:mod:`jrflow.limits.evoked` provides the density for evoked responses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Curvature:
    """Log likelihood, score and Fisher information at some points.

    Attributes
    ----------
    log_likelihood
        Log likelihood up to a constant for each case, shape (n,); -inf where the data are impossible.
    information
        Fisher information, positive semidefinite, shape (n, d, d).
    score
        Gradient of the log likelihood, shape (n, d).
    """

    log_likelihood: np.ndarray
    information: np.ndarray
    score: np.ndarray


class LogDensity(ABC):
    """Log posterior densities of several cases (data sets), in coordinates with a nearly normal prior.

    Points of different cases are evaluated together, because a batch of simulations is faster than single
    simulations. The argument ``cases`` gives the case of each point, as a position.
    """

    @property
    @abstractmethod
    def n_cases(self) -> int:
        """Number of cases."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Degrees of freedom of the misfit: of twice the negative log likelihood, which is chi-square."""

    @property
    @abstractmethod
    def mean(self) -> np.ndarray:
        """Mean of the normal approximation of the prior, (d,)."""

    @property
    @abstractmethod
    def precision(self) -> np.ndarray:
        """Inverse covariance of the normal approximation of the prior, (d, d)."""

    @property
    @abstractmethod
    def n_scored(self) -> int:
        """Number of coordinates with the prior N(0, 1). They come first; ridges are traced along them."""

    @abstractmethod
    def take(self, cases: np.ndarray | slice) -> Self:
        """Select cases by position or as a mask."""

    @abstractmethod
    def sample_prior(self, n: int, seed: int) -> np.ndarray:
        """Draw coordinates from the prior, (n, d)."""

    @abstractmethod
    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """Log prior density of points (n, d), shape (n,); -inf where the prior excludes a point."""

    @abstractmethod
    def log_likelihood(self, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
        """Log likelihood of points (n, d) for their cases (n,), up to a constant per case, shape (n,)."""

    @abstractmethod
    def curvature(self, x: np.ndarray, cases: np.ndarray) -> Curvature:
        """Log likelihood, Fisher information and score of points (n, d) for their cases (n,)."""

    def misfits(self, x: np.ndarray) -> np.ndarray:
        """Misfits of the same points (n, d) to every case, (n_cases, n); infinite where data are impossible.

        Within a case, misfits have the same order as negative log likelihoods. They may differ from these by
        a constant and a factor.
        """
        return np.stack([-self.log_likelihood(x, np.full(len(x), case)) for case in range(self.n_cases)])
