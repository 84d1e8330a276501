"""Modes of many posteriors at once, by the Levenberg-Marquardt method.

Every iteration simulates the perturbed parameters of all cases as one batch, and several dampings of each
step as another. A step is taken only where it raises the density, so that parameters at which the
simulation fails are never entered. The prior is taken to be normal in the coordinates, which it is but for
the products: their true density has edges and kinks, at which such a search would get stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jrflow.limits.likelihood import Likelihood

#: Half step of the differences in coordinates, which are in units of the prior's spread.
_STEP = 1e-5
#: Dampings tried at once, relative to the last one that helped.
_DAMPINGS = np.array([0.1, 1.0, 10.0])
#: Where none of them helps, larger ones are next.
_GIVE_WAY = 100.0
#: Bounds of the damping; at the upper one nothing moves any more.
_LEAST, _LARGEST = 1e-6, 1e8
#: Expected gain in log posterior below which a mode has been reached.
_NEGLIGIBLE = 1e-2
#: Chains that are differentiated at a time.
_AT_ONCE = 256
#: As long as the misfit exceeds what noise may leave (so many standard deviations above its mean) by more,
#: noise is taken to be larger than it is: what is far from the data is guided by the prior, too, and not led
#: into the next local maximum.
_UNUSUAL, _EXCESS = 4.0, 2.0


@dataclass(frozen=True)
class Modes:
    """Local maxima of posterior densities.

    Attributes
    ----------
    x
        Coordinates, shape (n_cases, n_starts, n_coordinates).
    log_posterior
        But for a constant of each case, shape (n_cases, n_starts); -inf for a start that was impossible.
    covariance
        Laplace's: the inverse of Fisher information plus prior precision, shape (n_cases, n_starts,
        n_coordinates, n_coordinates).
    moving
        Starts that had not arrived when the iterations were used up, shape (n_cases, n_starts).
    """

    x: np.ndarray
    log_posterior: np.ndarray
    covariance: np.ndarray
    moving: np.ndarray

    def best(self) -> Modes:
        """The highest mode of each case: one start is left."""
        chosen = np.argmax(self.log_posterior, axis=1)[:, None]
        rows = np.arange(len(chosen))[:, None]
        return Modes(
            self.x[rows, chosen], self.log_posterior[rows, chosen], self.covariance[rows, chosen],
            self.moving[rows, chosen],
        )  # fmt: skip


class _Chains:
    """State of the search: one chain for each start of each case."""

    def __init__(self, likelihood: Likelihood, start: np.ndarray, held: np.ndarray) -> None:
        n_cases, n_starts, d = start.shape
        self._free = np.setdiff1d(np.arange(d), held)
        self._likelihood = likelihood
        self._mean = likelihood.coordinates.mean
        self._precision = likelihood.coordinates.precision
        self.case = np.repeat(np.arange(n_cases), n_starts)
        self.x = start.reshape(-1, d).copy()
        self.damping = np.full(len(self.x), 1e-2)
        self.information, self.score = np.zeros((len(self.x), d, d)), np.zeros((len(self.x), d))
        everywhere = np.arange(len(self.x))
        self.misfit = self._misfit(self.x, everywhere)
        self.moving = np.isfinite(self.misfit)
        self.differentiate(everywhere[self.moving])

    @property
    def log_posterior(self) -> np.ndarray:
        """But for a constant, shape (n_chains,)."""
        return -self.misfit - self._prior_misfit(self.x)

    def advance(self) -> None:
        """One step of every chain that still moves."""
        chains = np.flatnonzero(self.moving)
        inflation = self._inflation(self.misfit[chains])
        dampings = (self.damping[chains, None] * _DAMPINGS).clip(_LEAST, _LARGEST)
        steps, gain = self._steps(chains, dampings, inflation)
        points = self.x[chains, None] + steps
        misfit = self._misfit(points.reshape(-1, points.shape[-1]), np.repeat(chains, len(_DAMPINGS)))
        misfit = misfit.reshape(dampings.shape)
        reached = misfit / inflation[:, None] + self._prior_misfit(points)
        best, rows = np.argmin(reached, axis=1), np.arange(len(chains))
        better = reached[rows, best] < self.misfit[chains] / inflation + self._prior_misfit(self.x[chains])
        self.damping[chains] = np.where(better, dampings[rows, best], self.damping[chains] * _GIVE_WAY)
        moved = chains[better]
        self.x[moved] = points[rows, best][better]
        self.misfit[moved] = misfit[rows, best][better]
        arrived = (gain < _NEGLIGIBLE) & (inflation == 1)
        self.moving[chains] = ~arrived & (self.damping[chains] < _LARGEST)
        self.differentiate(moved)

    def differentiate(self, chains: np.ndarray) -> None:
        """Information and score where some chains are."""
        _, self.information[chains], self.score[chains] = fisher_information(
            self._likelihood, self.x[chains], self.case[chains]
        )

    def _inflation(self, misfit: np.ndarray) -> np.ndarray:
        rank = self._likelihood.rank
        usual = 0.5 * rank + _UNUSUAL * np.sqrt(0.5 * rank)
        return np.maximum(1.0, (misfit - usual) / _EXCESS)

    def _steps(
        self, chains: np.ndarray, dampings: np.ndarray, inflation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Steps (n_chains, n_dampings, d), and the gain in log posterior that the undamped one promises."""
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
        return -self._likelihood.log_likelihood(x, self.case[chains])


def find_modes(
    likelihood: Likelihood, start: np.ndarray, max_iterations: int = 25, held: Sequence[int] = ()
) -> Modes:
    """Climb from every start to a local maximum of the posterior density.

    Parameters
    ----------
    likelihood
        Of the observed responses.
    start
        Coordinates, shape (n_cases, n_starts, n_coordinates).
    max_iterations
        Steps at most; a chain that still moves then stays where it is.
    held
        Coordinates that keep the values that they have at the start.
    """
    chains = _Chains(likelihood, start, np.asarray(held, dtype=int))
    for _ in range(max_iterations):
        if not chains.moving.any():
            break
        chains.advance()
    n_cases, n_starts, d = start.shape
    covariance = np.linalg.inv(chains.information + likelihood.coordinates.precision)
    return Modes(
        chains.x.reshape(start.shape), chains.log_posterior.reshape(n_cases, n_starts),
        covariance.reshape(n_cases, n_starts, d, d), chains.moving.reshape(n_cases, n_starts),
    )  # fmt: skip


def fisher_information(
    likelihood: Likelihood, x: np.ndarray, cases: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood, Fisher information and score, by differences in float64.

    Parameters
    ----------
    likelihood
        Of the observed responses.
    x, cases
        Coordinates (n, n_coordinates), and to which case each belongs (n,).

    Returns
    -------
    log_likelihood, information, score
        Shapes (n,), (n, n_coordinates, n_coordinates) and (n, n_coordinates); the first but for a constant,
        and -inf where the simulation failed.
    """
    n, d = x.shape
    log_likelihood, information, score = np.empty(n), np.zeros((n, d, d)), np.zeros((n, d))
    shifts = _STEP * np.concatenate([np.zeros((1, d)), np.eye(d)])
    for first in range(0, n, _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        points = (x[rows, None] + shifts).reshape(-1, d)
        difference, ok = likelihood.differences(points, np.repeat(cases[rows], d + 1), precise=True)
        difference, ok = difference.reshape(-1, d + 1, difference.shape[1]), ok.reshape(-1, d + 1)
        difference[:, 1:] = (difference[:, 1:] - difference[:, :1]) / _STEP
        white = likelihood.whiten(difference.astype(np.float32)).astype(float)
        # A derivative that cannot be had is taken for none: the prior alone moves that coordinate.
        slope = white[:, 1:] * (ok[:, 1:] & ok[:, :1])[..., None]
        information[rows] = slope @ np.swapaxes(slope, 1, 2)
        score[rows] = -np.einsum("npr,nr->np", slope, white[:, 0])
        misfit = 0.5 * np.einsum("nr,nr->n", white[:, 0], white[:, 0])
        log_likelihood[rows] = np.where(ok[:, 0], -misfit, -np.inf)
    return log_likelihood, information, score
