"""Independent proposals for posteriors that may have several ridges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from jrflow.limits.density import LogDensity
from jrflow.limits.gauss_newton import Modes, find_modes
from jrflow.limits.ridge import Ridge, trace_ridges

#: Modes are ignored if their log posterior is below that of the best mode by more than this number: their
#: density is below 6e-6 of the best.
_NEGLIGIBLE = 12.0


@dataclass(frozen=True)
class Proposal:
    """Proposal density of every case: a mixture of ridges.

    Attributes
    ----------
    ridges
        Ridges of the mixture; each object holds one ridge for every case.
    log_share
        Log weight of each ridge in the mixture of a case, shape (n_ridges, n_cases); -inf if the case does
        not have this ridge.
    """

    ridges: tuple[Ridge, ...]
    log_share: np.ndarray

    @classmethod
    def of(cls, target: LogDensity, starts: np.ndarray, n_along: int, n_ridges: int) -> Proposal:
        """Search modes from all starts (n_cases, n_starts, d), and trace ridges through the modes.

        Ridges are traced along ``n_along`` coordinates; each case has at most ``n_ridges`` along each.
        """
        modes = find_modes(target, starts)
        longest = _longest(modes.best(), target.n_scored)[:n_along]
        found = [_ridges(target, modes, coordinate, n_ridges) for coordinate in longest]
        log_total = np.concatenate([total for _, total in found])
        return cls(
            tuple(ridge for ridges, _ in found for ridge in ridges), log_total - logsumexp(log_total, axis=0)
        )

    def take(self, cases: np.ndarray) -> Proposal:
        """Select cases by a mask."""
        return Proposal(tuple(ridge.take(cases) for ridge in self.ridges), self.log_share[:, cases])

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n points for each case, shape (n_cases, n, d)."""
        drawn = np.stack([ridge.draw(n, rng) for ridge in self.ridges])
        share = np.exp(self.log_share).cumsum(axis=0)
        which = (rng.random((self.log_share.shape[1], n)) > share[:-1, :, None]).sum(axis=0)
        chosen: np.ndarray = np.take_along_axis(drawn, which[None, ..., None], axis=0)[0]
        return chosen

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Normalised log density of points (n_cases, n, d), shape (n_cases, n)."""
        each = np.stack([ridge.log_density(x) for ridge in self.ridges])
        density: np.ndarray = logsumexp(each + self.log_share[..., None], axis=0)
        return density


def _longest(modes: Modes, n_scored: int) -> np.ndarray:
    """Coordinates in order of decreasing posterior variance, averaged over cases.

    A posterior that is wide in two coordinates needs a ridge along each of them. Products are left out,
    because their prior is not normal.
    """
    variance = np.diagonal(modes.covariance[:, 0], axis1=1, axis2=2).mean(axis=0)
    candidates = variance[:n_scored] if n_scored else variance
    return np.argsort(-candidates)


def _ridges(target: LogDensity, modes: Modes, along: int, n_ridges: int) -> tuple[list[Ridge], np.ndarray]:
    """Ridges through modes, and log evidence of each ridge, (n_ridges, n_cases)."""
    n_cases = len(modes.x)
    ridges = [trace_ridges(target, modes.best().x[:, 0], along)]
    totals = [ridges[0].total]
    elsewhere = _elsewhere(modes, ridges[0])
    while len(ridges) < n_ridges and (cases := np.flatnonzero(elsewhere.any(axis=1))).size:
        best = np.where(elsewhere, modes.log_posterior, -np.inf)[cases].argmax(axis=1)
        found = trace_ridges(target.take(cases), modes.x[cases, best], along)
        ridges.append(found.scattered(cases, n_cases))
        totals.append(np.full(n_cases, -np.inf))
        totals[-1][cases] = found.total
        elsewhere &= _elsewhere(modes, ridges[-1])
        elsewhere[cases, best] = False
    return ridges, np.stack(totals)


def _elsewhere(modes: Modes, ridge: Ridge) -> np.ndarray:
    """Whether a mode has relevant weight and is not on the ridge, shape (n_cases, n_starts)."""
    height = modes.log_posterior
    weighty = height > height.max(axis=1, keepdims=True) - _NEGLIGIBLE
    answer: np.ndarray = weighty & ~ridge.knows(modes)
    return answer
