"""Distributions of one parameter: uniform, normal and log-normal, each with finite ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

#: Gauss-Legendre nodes and weights for each part of an integral over log X.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
#: Number of parts of the integrals over log X; needed because a distribution may be narrow between wide ends.
_N_PARTS = 64
#: Range of log X for integrals if the lower end is 0; the probability below it is negligible.
_WIDEST = 50.0


class Distribution(ABC):
    """Distribution of one parameter X within ``low`` .. ``high``, in the parameter's unit."""

    low: float
    high: float

    @property
    @abstractmethod
    def _scipy(self) -> Any:
        """Frozen distribution of SciPy."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All settings of the distribution, as JSON; ``distribution_from`` reads them."""

    @abstractmethod
    def log_density_of_log(self, log_x: np.ndarray) -> np.ndarray:
        """Log density of log X at points within the support of X."""

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.low, self.high

    def ppf(self, unit: np.ndarray) -> np.ndarray:
        """Inverse distribution function at probabilities in [0, 1]."""
        # Rounding errors in the tails may exceed an end by one unit in the last place.
        return np.clip(self._scipy.ppf(unit), self.low, self.high)

    def cdf(self, values: np.ndarray) -> np.ndarray:
        """Distribution function."""
        return np.asarray(self._scipy.cdf(values))

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        return float(self._scipy.mean()), float(self._scipy.std())

    @cached_property
    def log_moments(self) -> tuple[float, float]:
        """Mean and variance of log X."""
        top = np.log(self.high)
        half = min(top - np.log(self.low), _WIDEST) / 2 if self.low > 0 else _WIDEST / 2
        edges = np.linspace(top - 2 * half, top, _N_PARTS + 1)
        width = np.diff(edges)[:, None] / 2
        log_x = (edges[:-1, None] + width + width * _NODES).ravel()
        share = np.exp(self.log_density_of_log(log_x)) * (width * _WEIGHTS).ravel()
        mean = float((share * log_x).sum() / share.sum())
        return mean, float((share * (log_x - mean) ** 2).sum() / share.sum())


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform within its ends."""

    low: float
    high: float

    @cached_property
    def _scipy(self) -> Any:
        return stats.uniform(self.low, self.high - self.low)

    def describe(self) -> dict[str, Any]:
        """See :class:`Distribution`."""
        return {"low": self.low, "high": self.high, "mean": None, "sd": None}

    def log_density_of_log(self, log_x: np.ndarray) -> np.ndarray:
        """See :class:`Distribution`."""
        density: np.ndarray = log_x - np.log(self.high - self.low)
        return density


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal, truncated at its ends; ``mean`` and ``sd`` are the values before truncation."""

    mean: float
    sd: float
    low: float
    high: float

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd

    @cached_property
    def _scipy(self) -> Any:
        return stats.truncnorm(*self._ends, loc=self.mean, scale=self.sd)

    def describe(self) -> dict[str, Any]:
        """See :class:`Distribution`."""
        return {"low": self.low, "high": self.high, "mean": self.mean, "sd": self.sd}

    def log_density_of_log(self, log_x: np.ndarray) -> np.ndarray:
        """See :class:`Distribution`."""
        low, high = self._ends
        scale = (stats.norm.cdf(high) - stats.norm.cdf(low)) * self.sd * np.sqrt(2 * np.pi)
        density: np.ndarray = log_x - 0.5 * ((np.exp(log_x) - self.mean) / self.sd) ** 2 - np.log(scale)
        return density


@dataclass(frozen=True)
class LogNormal(Distribution):
    """Log-normal, truncated at its ends.

    ``median`` and ``log_sd`` (standard deviation of the natural logarithm) are the values before truncation.
    """

    median: float
    log_sd: float
    low: float
    high: float

    @cached_property
    def _ends(self) -> np.ndarray:
        with np.errstate(divide="ignore"):  # the logarithm of a lower end of 0 is minus infinity
            ends: np.ndarray = np.log(np.array([self.low, self.high]) / self.median) / self.log_sd
        return ends

    @cached_property
    def _scipy(self) -> Any:
        """Distribution of the logarithm."""
        return stats.truncnorm(*self._ends, loc=np.log(self.median), scale=self.log_sd)

    def ppf(self, unit: np.ndarray) -> np.ndarray:
        """See :class:`Distribution`."""
        return np.clip(np.exp(self._scipy.ppf(unit)), self.low, self.high)

    def cdf(self, values: np.ndarray) -> np.ndarray:
        """See :class:`Distribution`."""
        return np.asarray(self._scipy.cdf(np.log(values)))

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation, from the known expectation of exp(k Z) for a truncated normal Z."""
        first, second = (
            self.median**k
            * np.exp((k * self.log_sd) ** 2 / 2)
            * np.diff(stats.norm.cdf(self._ends - k * self.log_sd))[0]
            / np.diff(stats.norm.cdf(self._ends))[0]
            for k in (1, 2)
        )
        return float(first), float(np.sqrt(second - first**2))

    def describe(self) -> dict[str, Any]:
        """See :class:`Distribution`."""
        return {
            "kind": "log-normal", "median": self.median, "log_sd": self.log_sd,
            "low": self.low, "high": self.high,
        }  # fmt: skip

    def log_density_of_log(self, log_x: np.ndarray) -> np.ndarray:
        """See :class:`Distribution`."""
        density: np.ndarray = self._scipy.logpdf(log_x)
        return density


def distribution_from(description: Mapping[str, Any]) -> Distribution:
    """Make a distribution from the result of its ``describe``."""
    low, high = description["low"], description["high"]
    if description.get("kind") == "log-normal":
        return LogNormal(description["median"], description["log_sd"], low, high)
    if description["mean"] is None:
        return Uniform(low, high)
    return Normal(description["mean"], description["sd"], low, high)
