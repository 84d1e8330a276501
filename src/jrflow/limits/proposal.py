"""Independent proposals for posteriors that may have several ridges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from jrflow.limits.density import LogDensity
from jrflow.limits.gauss_newton import Modes, find_modes
from jrflow.limits.ridge import Ridge, trace_ridges

#: Modes whose log posterior is lower than the best one's by more are ignored: 6e-6 of its density.
_NEGLIGIBLE = 12.0


@dataclass(frozen=True)
class Proposal:
    """A mixture of ridges, of every case.

    Attributes
    ----------
    ridges
        One or more, each of all cases.
    log_share
        Of each ridge in its case, shape (n_ridges, n_cases); -inf if this ridge does not belong to the case.
    """

    ridges: tuple[Ridge, ...]
    log_share: np.ndarray

    @classmethod
    def of(cls, target: LogDensity, starts: np.ndarray, n_along: int, n_ridges: int) -> Proposal:
        """Search modes from all starts (n_cases, n_starts, d), and trace ridges through them.

        Along ``n_along`` coordinates, and along each at most ``n_ridges`` of a case.
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
        """Draw, shape (n_cases, n, d)."""
        drawn = np.stack([ridge.draw(n, rng) for ridge in self.ridges])
        share = np.exp(self.log_share).cumsum(axis=0)
        which = (rng.random((self.log_share.shape[1], n)) > share[:-1, :, None]).sum(axis=0)
        chosen: np.ndarray = np.take_along_axis(drawn, which[None, ..., None], axis=0)[0]
        return chosen

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log density of points (n_cases, n, d), normalised, shape (n_cases, n)."""
        each = np.stack([ridge.log_density(x) for ridge in self.ridges])
        density: np.ndarray = logsumexp(each + self.log_share[..., None], axis=0)
        return density


def _longest(modes: Modes, n_scored: int) -> np.ndarray:
    """Coordinates in order of decreasing posterior variance, averaged over cases.

    A posterior that is wide in two coordinates needs a ridge along each. Products are no candidates: their
    prior is not normal.
    """
    variance = np.diagonal(modes.covariance[:, 0], axis1=1, axis2=2).mean(axis=0)
    candidates = variance[:n_scored] if n_scored else variance
    return np.argsort(-candidates)


def _ridges(target: LogDensity, modes: Modes, along: int, n_ridges: int) -> tuple[list[Ridge], np.ndarray]:
    """Ridges through modes, and the log evidence of each, (n_ridges, n_cases)."""
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
    """Modes of relevant weight that are not on a ridge, shape (n_cases, n_starts)."""
    height = modes.log_posterior
    weighty = height > height.max(axis=1, keepdims=True) - _NEGLIGIBLE
    answer: np.ndarray = weighty & ~ridge.knows(modes)
    return answer
