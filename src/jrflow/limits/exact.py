"""Draws from the exact posterior of the parameters: the gold standard for every other method.

The model is deterministic and its noise Gaussian, so the likelihood is known. Chains sample the posterior by
two kinds of moves, both exact: independent proposals (:mod:`jrflow.limits.proposal`), which lead anywhere,
and Langevin steps (:mod:`jrflow.limits.langevin`), which explore what those do not know of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

import numpy as np

from jrflow.limits.chains import potential_scale_reduction
from jrflow.limits.gauss_newton import fisher_information
from jrflow.limits.langevin import Local, langevin_step
from jrflow.limits.likelihood import Likelihood
from jrflow.limits.proposal import Proposal
from jrflow.progress import Progress

#: Cases at a time.
_AT_ONCE = 64


@dataclass(frozen=True)
class Effort:
    """How much is spent on each case.

    Attributes
    ----------
    n_chains, n_burn_in, n_kept
        Chains; rounds that are thrown away; rounds after each of which the state is kept.
    n_proposals
        Independent proposals of a round; a Langevin step follows them.
    n_along, n_ridges
        Coordinates along which ridges are traced for the proposals, and ridges at most along each.
    """

    n_chains: int = 8
    n_burn_in: int = 5
    n_kept: int = 25
    n_proposals: int = 8
    n_along: int = 4
    n_ridges: int = 3


@dataclass(frozen=True)
class Posteriors:
    """Draws from the posterior of every case.

    Attributes
    ----------
    x
        Coordinates, shape (n_cases, n_chains, n_kept, d).
    jumps, steps
        Share of independent proposals, and of Langevin steps, that were accepted, each (n_cases,).
    """

    x: np.ndarray
    jumps: np.ndarray
    steps: np.ndarray

    def rhat(self) -> np.ndarray:
        """Potential scale reduction, (n_cases, d): 1 if the chains agree."""
        return potential_scale_reduction(self.x)


def exact_posteriors(
    likelihood: Likelihood, starts: np.ndarray, effort: Effort, seed: int, stream: TextIO | None = None
) -> Posteriors:
    """Sample the posterior of every observed response.

    Parameters
    ----------
    likelihood
        Of the observed responses.
    starts
        Coordinates from which modes are sought, shape (n_cases, n_starts, d); chains begin at the first of a
        case. What is reached from none of them may be missed.
    effort
        How much is spent.
    seed
        Of proposals.
    stream
        Where progress is shown; None for silence.
    """
    n_cases, parts = len(starts), []
    n_rounds = effort.n_burn_in + effort.n_kept
    with Progress("exact posterior", n_cases * n_rounds, stream) as progress:
        for first in range(0, n_cases, _AT_ONCE):
            cases = slice(first, first + _AT_ONCE)
            rng = np.random.default_rng([seed, 1, first])
            sampler = _Sampler(likelihood.take(cases), starts[cases], effort, rng)
            kept = []
            for round_ in range(n_rounds):
                sampler.advance()
                progress.advance(len(sampler.x))
                if round_ >= effort.n_burn_in:
                    kept.append(sampler.x.copy())
            parts.append((np.stack(kept, axis=2), sampler.jumps / n_rounds, sampler.steps / n_rounds))
    return Posteriors(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class _Sampler:
    """Chains of some cases.

    Attributes
    ----------
    x
        Where they are, shape (n_cases, n_chains, d).
    jumps, steps
        Sums over rounds of the shares that were accepted, each (n_cases,).
    """

    def __init__(
        self, likelihood: Likelihood, starts: np.ndarray, effort: Effort, rng: np.random.Generator
    ) -> None:
        self._likelihood, self._effort, self._rng = likelihood, effort, rng
        self._proposal = Proposal.of(likelihood, starts, effort.n_along, effort.n_ridges)
        n_cases = len(starts)
        self.x = np.repeat(starts[:, :1], effort.n_chains, axis=1)
        # Whatever is possible takes the place of the first start.
        self._log_weight = np.full((n_cases, effort.n_chains), -np.inf)
        self._cases = np.repeat(np.arange(n_cases), effort.n_chains)
        self.jumps, self.steps = np.zeros(n_cases), np.zeros(n_cases)

    def advance(self) -> None:
        """One round of all chains."""
        self._jump()
        shape = self.x.shape
        moved, taken = langevin_step(self._local, self.x.reshape(-1, shape[2]), self._rng)
        self.x = moved.reshape(shape)
        taken = taken.reshape(shape[:2])
        self.steps += taken.mean(axis=1)
        self._log_weight = self._weight(self.x)

    def _jump(self) -> None:
        """Independent proposals, one after the other (Metropolis and Hastings on their weights)."""
        n_cases, n_chains, d = self.x.shape
        n = self._effort.n_proposals
        proposed = self._proposal.draw(n_chains * n, self._rng)
        weight = self._weight(proposed).reshape(n_cases, n_chains, n)
        proposed = proposed.reshape(n_cases, n_chains, n, d)
        for k in range(n):
            with np.errstate(invalid="ignore"):
                log_ratio = weight[..., k] - self._log_weight
            taken = np.log(self._rng.random(log_ratio.shape)) < log_ratio
            self.x = np.where(taken[..., None], proposed[:, :, k], self.x)
            self._log_weight = np.where(taken, weight[..., k], self._log_weight)
            self.jumps += taken.mean(axis=1) / n

    def _weight(self, x: np.ndarray) -> np.ndarray:
        """Log of posterior over proposal density, shape (n_cases, n)."""
        flat = x.reshape(-1, x.shape[2])
        density = self._likelihood.coordinates.log_prior(flat)
        possible = np.flatnonzero(np.isfinite(density))
        cases = np.repeat(np.arange(len(x)), x.shape[1])
        density[possible] += self._likelihood.log_likelihood(flat[possible], cases[possible])
        return density.reshape(x.shape[:2]) - self._proposal.log_density(x)

    def _local(self, x: np.ndarray) -> Local:
        """Exact log posterior; its gradient and metric with a prior taken to be normal in the coordinates."""
        coordinates = self._likelihood.coordinates
        log_likelihood, information, score = fisher_information(self._likelihood, x, self._cases)
        return Local(
            log_likelihood + coordinates.log_prior(x), information + coordinates.precision,
            score + (coordinates.mean - x) @ coordinates.precision,
        )  # fmt: skip
