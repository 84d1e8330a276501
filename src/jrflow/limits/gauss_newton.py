"""Modes of many posteriors at once, by the Levenberg-Marquardt method.

Every iteration uses two batches of simulations: one for the derivatives of all cases, and one to try several
dampings of each step. A step is taken only if it raises the density, so the search never enters parameters
at which the simulation fails. The prior is approximated by a normal distribution in the coordinates. Only
for products is this an approximation: their true density has edges and kinks, where the search would get
stuck. Modes are used only for proposals and starts; the chains use the true prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jrflow.limits.density import LogDensity

#: Levenberg-Marquardt dampings that each iteration tries, relative to the last successful damping.
_DAMPING_FACTORS = np.array([0.1, 1.0, 10.0])
#: Damping of the first step, relative to the diagonal of the Hessian.
_FIRST_DAMPING = 1e-2
#: Factor on the damping if no candidate raised the density; larger than the largest factor above.
_DAMPING_AFTER_FAILURE = 100.0
#: Range of the damping. At the upper end a step is 1e-8 of a gradient step, and the search stops.
_LEAST_DAMPING, _LARGEST_DAMPING = 1e-6, 1e8
#: Expected gain in log posterior below which the search has converged: at most 0.14 posterior standard
#: deviations away from the mode.
_CONVERGED_GAIN = 1e-2
#: Tempering: if the misfit (half chi-square) exceeds its mean at the true parameters by more than
#: _TEMPERING_STARTS standard deviations, the log likelihood is divided by a number that reduces this excess
#: to _TEMPERED_EXCESS. Far from the data, the prior then guides the search, which would otherwise end at the
#: nearest local maximum.
_TEMPERING_STARTS, _TEMPERED_EXCESS = 4.0, 2.0


@dataclass(frozen=True)
class Modes:
    """Local maxima of posterior densities.

    Attributes
    ----------
    x
        Coordinates, shape (n_cases, n_starts, n_coordinates).
    log_posterior
        Log posterior up to a constant for each case, shape (n_cases, n_starts); -inf if the simulation at
        the start failed.
    covariance
        Laplace approximation: inverse of the sum of Fisher information and prior precision, shape (n_cases,
        n_starts, n_coordinates, n_coordinates).
    moving
        Whether the search had not converged after the last iteration, shape (n_cases, n_starts).
    """

    x: np.ndarray
    log_posterior: np.ndarray
    covariance: np.ndarray
    moving: np.ndarray

    def best(self) -> Modes:
        """The highest mode of each case, with n_starts = 1."""
        chosen = np.argmax(self.log_posterior, axis=1)[:, None]
        rows = np.arange(len(chosen))[:, None]
        return Modes(
            self.x[rows, chosen], self.log_posterior[rows, chosen], self.covariance[rows, chosen],
            self.moving[rows, chosen],
        )  # fmt: skip


class _Chains:
    """State of the search: one chain for each start of each case."""

    def __init__(self, target: LogDensity, start: np.ndarray, held: np.ndarray) -> None:
        n_cases, n_starts, d = start.shape
        self._free = np.setdiff1d(np.arange(d), held)
        self._target = target
        self._mean = target.mean
        self._precision = target.precision
        self.case = np.repeat(np.arange(n_cases), n_starts)
        self.x = start.reshape(-1, d).copy()
        self.damping = np.full(len(self.x), _FIRST_DAMPING)
        self.information, self.score = np.zeros((len(self.x), d, d)), np.zeros((len(self.x), d))
        everywhere = np.arange(len(self.x))
        self.misfit = self._misfit(self.x, everywhere)
        self.moving = np.isfinite(self.misfit)
        self.differentiate(everywhere[self.moving])

    @property
    def log_posterior(self) -> np.ndarray:
        """Log posterior up to a constant, shape (n_chains,)."""
        return -self.misfit - self._prior_misfit(self.x)

    def advance(self) -> None:
        """Make one step with every chain that has not converged."""
        chains = np.flatnonzero(self.moving)
        inflation = self._inflation(self.misfit[chains])
        dampings = (self.damping[chains, None] * _DAMPING_FACTORS).clip(_LEAST_DAMPING, _LARGEST_DAMPING)
        steps, gain = self._steps(chains, dampings, inflation)
        points = self.x[chains, None] + steps
        misfit = self._misfit(points.reshape(-1, points.shape[-1]), np.repeat(chains, len(_DAMPING_FACTORS)))
        misfit = misfit.reshape(dampings.shape)
        reached = misfit / inflation[:, None] + self._prior_misfit(points)
        best, rows = np.argmin(reached, axis=1), np.arange(len(chains))
        better = reached[rows, best] < self.misfit[chains] / inflation + self._prior_misfit(self.x[chains])
        self.damping[chains] = np.where(
            better, dampings[rows, best], self.damping[chains] * _DAMPING_AFTER_FAILURE
        )
        moved = chains[better]
        self.x[moved] = points[rows, best][better]
        self.misfit[moved] = misfit[rows, best][better]
        arrived = (gain < _CONVERGED_GAIN) & (inflation == 1)
        self.moving[chains] = ~arrived & (self.damping[chains] < _LARGEST_DAMPING)
        self.differentiate(moved)

    def differentiate(self, chains: np.ndarray) -> None:
        """Update information and score of some chains."""
        found = self._target.curvature(self.x[chains], self.case[chains])
        self.information[chains], self.score[chains] = found.information, found.score

    def _inflation(self, misfit: np.ndarray) -> np.ndarray:
        rank = self._target.rank
        usual = 0.5 * rank + _TEMPERING_STARTS * np.sqrt(0.5 * rank)
        return np.maximum(1.0, (misfit - usual) / _TEMPERED_EXCESS)

    def _steps(
        self, chains: np.ndarray, dampings: np.ndarray, inflation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Steps (n_chains, n_dampings, d), and expected gain in log posterior of the undamped step."""
        pull = (self._mean - self.x[chains]) @ self._precision
        gradient = (self.score[chains] / inflation[:, None] + pull)[:, self._free]
        hessian = self.information[chains] / inflation[:, None, None] + self._precision
        hessian = hessian[:, self._free[:, None], self._free]
        diagonal = np.einsum("npp->np", hessian)[:, None, :, None] * np.eye(hessian.shape[-1])
        damped = hessian[:, None] + dampings[..., None, None] * diagonal
        steps = np.zeros((*dampings.shape, self.x.shape[1]))
        steps[..., self._free] = np.linalg.solve(damped, gradient[:, None, :, None])[..., 0]
        newton = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        return steps, 0.5 * np.einsum("np,np->n", newton, gradient)

    def _prior_misfit(self, x: np.ndarray) -> np.ndarray:
        away = x - self._mean
        misfit: np.ndarray = 0.5 * np.einsum("...p,pq,...q->...", away, self._precision, away)
        return misfit

    def _misfit(self, x: np.ndarray, chains: np.ndarray) -> np.ndarray:
        return -self._target.log_likelihood(x, self.case[chains])


def find_modes(
    target: LogDensity, start: np.ndarray, max_iterations: int = 25, held: Sequence[int] = ()
) -> Modes:
    """Climb from every start to a local maximum of the posterior density.

    Parameters
    ----------
    target
        Posterior density of each case.
    start
        Coordinates, shape (n_cases, n_starts, n_coordinates).
    max_iterations
        Largest number of steps. A search that has not converged by then ends at its last point.
    held
        Positions of coordinates that keep their values of the start.
    """
    chains = _Chains(target, start, np.asarray(held, dtype=int))
    for _ in range(max_iterations):
        if not chains.moving.any():
            break
        chains.advance()
    n_cases, n_starts, d = start.shape
    covariance = np.linalg.inv(chains.information + target.precision)
    return Modes(
        chains.x.reshape(start.shape), chains.log_posterior.reshape(n_cases, n_starts),
        covariance.reshape(n_cases, n_starts, d, d), chains.moving.reshape(n_cases, n_starts),
    )  # fmt: skip
