"""Markov chains of many posteriors at once, guided by Fisher information.

The simplified manifold Metropolis-adjusted Langevin algorithm (Girolami & Calderhead 2011, J. R. Stat. Soc.
B 73:123): from x the proposal is N(x + h/2 G^-1 g, h G^-1), with the gradient g of the log posterior and the
metric G = Fisher information plus prior precision, both at x, so that steps have the size and the direction
that the posterior has there, however narrow and bent its valleys. Accepted by Metropolis and Hastings, no
approximation is left, also none of the differences that derivatives are taken by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Sizes h of steps, drawn anew for each; the largest are the fastest where valleys are straight.
_SIZES = np.array([0.1, 0.4, 0.8, 1.4])


@dataclass(frozen=True)
class Local:
    """A log density near points.

    Attributes
    ----------
    log_density
        But for a constant of each chain, shape (n,); -inf where impossible.
    metric
        Symmetric and positive definite, shape (n, d, d).
    gradient
        Shape (n, d).
    """

    log_density: np.ndarray
    metric: np.ndarray
    gradient: np.ndarray

    @cached_property
    def drift(self) -> np.ndarray:
        """Newton step, shape (n, d)."""
        return np.linalg.solve(self.metric, self.gradient[..., None])[..., 0]


def langevin_step(
    local: Callable[[np.ndarray], Local], x: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move every chain once, or leave it where it is.

    Parameters
    ----------
    local
        Density, metric and gradient at one point of each chain, (n_chains, d).
    x
        Where chains are, shape (n_chains, d); possible points.
    rng
        Source of the proposals.

    Returns
    -------
    x, taken
        Where they are now, and which have moved, (n_chains,).
    """
    here = local(x)
    size = _SIZES[rng.integers(0, len(_SIZES), len(x))]
    proposed = _propose(x, here, size, rng)
    there = local(proposed)
    log_ratio = there.log_density - here.log_density
    log_ratio += _log_proposal(proposed, there, x, size) - _log_proposal(x, here, proposed, size)
    taken = np.log(rng.random(len(x))) < log_ratio
    return np.where(taken[:, None], proposed, x), taken


def _propose(x: np.ndarray, here: Local, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw from N(x + h/2 G^-1 g, h G^-1)."""
    # G = L L': L'^-1 of white noise has covariance G^-1.
    root = np.swapaxes(np.linalg.cholesky(here.metric), 1, 2)
    away = np.linalg.solve(root, rng.standard_normal(x.shape)[..., None])[..., 0]
    proposed: np.ndarray = x + 0.5 * size[:, None] * here.drift + np.sqrt(size)[:, None] * away
    return proposed


def _log_proposal(origin: np.ndarray, local: Local, to: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Log density of proposing ``to`` from ``origin``, but for what both ways share; shape (n,)."""
    residual = to - origin - 0.5 * size[:, None] * local.drift
    distance = np.einsum("np,npq,nq->n", residual, local.metric, residual) / size
    log_density: np.ndarray = 0.5 * np.linalg.slogdet(local.metric)[1] - 0.5 * distance
    return log_density
