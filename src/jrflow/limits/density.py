"""The interface of posterior densities for samplers, searches for modes and refinement.

Nothing in these methods depends on what was observed or on the model: they use a :class:`LogDensity`. Evoked
responses are one (:mod:`jrflow.limits.evoked`).
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
        Up to a constant of the case, shape (n,); -inf where the data are impossible.
    information
        Expected curvature: positive semidefinite, shape (n, d, d).
    score
        Gradient of the log likelihood, shape (n, d).
    """

    log_likelihood: np.ndarray
    information: np.ndarray
    score: np.ndarray


class LogDensity(ABC):
    """Log posterior densities of several cases (data sets), in coordinates with a nearly normal prior.

    Points of different cases are evaluated together, because a batch of simulations is faster than single
    ones: ``cases`` names the case of each point.
    """

    @property
    @abstractmethod
    def n_cases(self) -> int:
        """Number of cases."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Degrees of freedom of the misfit: twice the negative log likelihood is chi-square with so many."""

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
        """Number of coordinates whose prior is exactly N(0, 1), the first ones; ridges follow these."""

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
        """Log likelihood of points (n, d) for their cases (n,), up to a constant of the case, shape (n,)."""

    @abstractmethod
    def curvature(self, x: np.ndarray, cases: np.ndarray) -> Curvature:
        """Log likelihood, Fisher information and score of points (n, d) for their cases (n,)."""

    def misfits(self, x: np.ndarray) -> np.ndarray:
        """Misfits of the same points (n, d) to every case, (n_cases, n); infinite where data are impossible.

        Their order is that of the negative log likelihoods of a case; constants and factors may differ.
        """
        return np.stack([-self.log_likelihood(x, np.full(len(x), case)) for case in range(self.n_cases)])
