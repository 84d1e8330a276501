"""Draws from the posterior of one case: from Markov chains, or weighted draws of importance sampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jrflow.limits.chains import Convergence, convergence


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws from one posterior, with means and their Monte Carlo errors.

    Attributes
    ----------
    x
        Coordinates, shape (n_chains, n_kept, d). For weighted draws, a "chain" is an independent group.
    log_weight
        Log weight of each draw, up to a constant, shape (n_chains, n_kept). None for draws of chains, which
        have equal weights.
    """

    x: np.ndarray
    log_weight: np.ndarray | None = None

    @cached_property
    def convergence(self) -> Convergence:
        """Convergence of the coordinates."""
        return self.convergence_of(self.x)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Posterior means, (n,), of values of each draw (n_chains, n_kept, n)."""
        if self._weight is None:
            mean: np.ndarray = values.mean(axis=(0, 1))
            return mean
        return np.einsum("ck,ckn->n", self._weight, self._possible(values))

    def mean_error(self, values: np.ndarray) -> np.ndarray:
        """Monte Carlo standard errors of :meth:`mean`, (n,).

        The error is 0 for quantities that are the same in every draw, such as exactly known quantities.
        """
        found = self.convergence_of(values)
        return np.where(found.sd > 0, found.mcse, 0.0)

    def convergence_of(self, values: np.ndarray) -> Convergence:
        """Convergence of values of each draw (n_chains, n_kept, n).

        For weighted draws, the Monte Carlo error is that of self-normalised importance sampling (Owen 2013,
        Monte Carlo theory, methods and examples, eq. 9.8). The effective sample size is the variance divided
        by the square of this error, and R-hat compares the groups.
        """
        if self._weight is None:
            return convergence(values)
        away = self._possible(values) - self.mean(values)
        variance = np.einsum("ck,ckn->n", self._weight, away**2)
        mcse = np.sqrt(np.einsum("ck,ckn->n", self._weight**2, away**2))
        of_group = np.einsum("ck,ckn->cn", self._weight, away) / self._weight.sum(axis=1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            rhat = np.sqrt(1 + of_group.var(axis=0, ddof=1) / variance)
            ess = variance / mcse**2
        return Convergence(rhat, ess, mcse, np.sqrt(variance))

    def equally_weighted(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of equal weight: ``n`` per chain, or all if there are fewer, shape (n_chains * n, d)."""
        n_chains, n_kept, d = self.x.shape
        n = min(n, n_kept)
        if self._weight is None:
            spaced = np.linspace(0, n_kept - 1, n).round().astype(int)
            return self.x[:, spaced].reshape(-1, d)
        # Systematic resampling: the number of copies of a draw is proportional to its weight, within one.
        place = (np.arange(n_chains * n) + rng.random()) / (n_chains * n)
        chosen = np.searchsorted(self._weight.ravel().cumsum(), place).clip(max=self._weight.size - 1)
        return self.x.reshape(-1, d)[rng.permutation(chosen)]

    def _possible(self, values: np.ndarray) -> np.ndarray:
        """Values (n_chains, n_kept, n), 0 for draws of no weight: outside the prior there are none."""
        assert self._weight is not None
        return np.where(self._weight[..., None] > 0, values, 0)

    @cached_property
    def _weight(self) -> np.ndarray | None:
        """Normalised weights."""
        if self.log_weight is None:
            return None
        weight: np.ndarray = np.exp(self.log_weight - self.log_weight.max())
        return weight / weight.sum()
