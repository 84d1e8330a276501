"""Draws from the exact posterior: the reference for every other method.

The model is deterministic and its noise is Gaussian, so the likelihood is known. Chains sample the posterior
with two kinds of moves: independent proposals (:mod:`jrflow.limits.proposal`), which reach all known parts of
the posterior, and Langevin steps (:mod:`jrflow.limits.langevin`), which explore parts that the proposals do
not cover. Both use the Metropolis-Hastings rule with the same target, a
:class:`jrflow.limits.density.LogDensity`.

If the means have large Monte Carlo errors after the first rounds, importance sampling from a mixture that is
fitted to the chains (:mod:`jrflow.limits.importance`) replaces the chains, provided that its weights are
reliable. Otherwise the chains are extended up to a limit. A case whose errors are still large then counts as
unresolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

import numpy as np

from jrflow.limits.density import LogDensity
from jrflow.limits.draws import Draws
from jrflow.limits.importance import Posterior, importance_sample
from jrflow.limits.langevin import Local, langevin_step
from jrflow.limits.proposal import Proposal
from jrflow.progress import Progress

#: Number of cases in a batch.
_AT_ONCE = 64
#: Number of states that each round keeps: after half of the proposals, and after the Langevin step.
_KEPT_PER_ROUND = 2


@dataclass(frozen=True)
class Effort:
    """Settings of the sampler, for each case.

    Attributes
    ----------
    n_chains
        Number of chains.
    n_burn_in
        Number of rounds at the start that are discarded.
    n_rounds
        Number of rounds before convergence is checked for the first time; each round keeps two states. The
        number of rounds is doubled until the case is resolved (see
        :class:`jrflow.limits.chains.Convergence`).
    n_most
        Largest number of rounds.
    n_proposals
        Number of independent proposals in a round; a Langevin step follows them.
    n_along
        Number of coordinates along which ridges are traced for the proposals.
    n_ridges
        Largest number of ridges along each of these coordinates.
    importance
        Whether to try importance sampling if the chains do not resolve the case.
    """

    n_chains: int = 8
    n_burn_in: int = 5
    n_rounds: int = 40
    n_most: int = 320
    n_proposals: int = 8
    n_along: int = 4
    n_ridges: int = 3
    importance: bool = True


@dataclass(frozen=True)
class Posteriors:
    """Draws from the posterior of every case.

    Attributes
    ----------
    draws
        Draws of the coordinates for each case; their number differs between cases.
    jumps
        Acceptance rate of independent proposals, shape (n_cases,).
    steps
        Acceptance rate of Langevin steps, shape (n_cases,).
    """

    draws: tuple[Draws, ...]
    jumps: np.ndarray
    steps: np.ndarray

    def rhat(self) -> np.ndarray:
        """Rank-normalised potential scale reduction, (n_cases, d): 1 if the chains agree."""
        return np.stack([draws.convergence.rhat for draws in self.draws])

    def ess(self) -> np.ndarray:
        """Effective sample size for the mean of each coordinate, (n_cases, d)."""
        return np.stack([draws.convergence.ess for draws in self.draws])

    def resolved(self) -> np.ndarray:
        """Whether all coordinates of a case have means with small Monte Carlo errors, (n_cases,)."""
        return np.array([draws.convergence.is_resolved for draws in self.draws])


def exact_posteriors(
    target: LogDensity, starts: np.ndarray, effort: Effort, seed: int, stream: TextIO | None = None
) -> Posteriors:
    """Sample the posterior of every observed response.

    Parameters
    ----------
    target
        Posterior density of each case.
    starts
        Coordinates where searches for modes start, shape (n_cases, n_starts, d). If no start leads to a part
        of a posterior, the sampler may miss this part.
    effort
        Settings of the sampler.
    seed
        Seed of the random numbers.
    stream
        Stream for progress; None for no output.
    """
    n_cases = len(starts)
    found: list[tuple[Draws, float, float]] = []
    with Progress("exact posterior", n_cases, stream) as progress:
        for first in range(0, n_cases, _AT_ONCE):
            cases = slice(first, first + _AT_ONCE)
            rng = np.random.default_rng([seed, 1, first])
            found += _sampled(target.take(cases), starts[cases], effort, rng, progress)
    draws, jumps, steps = zip(*found, strict=True)
    return Posteriors(draws, np.array(jumps), np.array(steps))


def _sampled(
    target: LogDensity,
    starts: np.ndarray,
    effort: Effort,
    rng: np.random.Generator,
    progress: Progress,
) -> list[tuple[Draws, float, float]]:
    """Draws and acceptance rates of each case; chains run until they are resolved."""
    sampler = _Sampler(target, starts, effort, rng)
    for _ in range(effort.n_burn_in):
        sampler.advance()
    kept: list[list[np.ndarray]] = [[] for _ in starts]
    found: dict[int, tuple[Draws, float, float]] = {}
    n_rounds, remaining = 0, np.arange(len(starts))
    while len(remaining):
        for _ in range(min(max(n_rounds, effort.n_rounds), effort.n_most - n_rounds)):
            states = sampler.advance()
            n_rounds += 1
            for case, state in zip(remaining, states, strict=True):
                kept[case].append(state)
        draws = [Draws(np.concatenate(kept[case], axis=1)) for case in remaining]
        if effort.importance and (n_rounds == effort.n_rounds or n_rounds >= effort.n_most):
            draws = [
                one if one.convergence.is_resolved else sampler.importance(k, one.x) or one
                for k, one in enumerate(draws)
            ]
        is_done = [n_rounds >= effort.n_most or one.convergence.is_resolved for one in draws]
        total = effort.n_burn_in + n_rounds
        for k in np.flatnonzero(is_done):
            found[int(remaining[k])] = draws[k], sampler.jumps[k] / total, sampler.steps[k] / total
        progress.advance(int(np.sum(is_done)))
        remaining = remaining[~np.array(is_done)]
        sampler.keep(~np.array(is_done))
    return [found[case] for case in range(len(starts))]


class _Sampler:
    """Chains of some cases.

    Attributes
    ----------
    x
        Current points, shape (n_cases, n_chains, d).
    jumps, steps
        Sums over rounds of the shares that were accepted, each (n_cases,).
    """

    def __init__(
        self, target: LogDensity, starts: np.ndarray, effort: Effort, rng: np.random.Generator
    ) -> None:
        self._target, self._effort, self._rng = target, effort, rng
        self._proposal = Proposal.of(target, starts, effort.n_along, effort.n_ridges)
        n_cases, _, d = starts.shape
        self.x = np.repeat(starts[:, :1], effort.n_chains, axis=1)
        # Initial log density -inf: the first proposal with a finite density is accepted.
        self._log_weight = np.full((n_cases, effort.n_chains), -np.inf)
        n = n_cases * effort.n_chains
        self._here = Local(np.full(n, -np.inf), np.tile(np.eye(d), (n, 1, 1)), np.zeros((n, d)))
        self._is_stale = np.ones(n, dtype=bool)
        self.jumps, self.steps = np.zeros(n_cases), np.zeros(n_cases)

    def keep(self, chosen: np.ndarray) -> None:
        """Continue with some of the cases only, given as a mask (n_cases,)."""
        chains = np.repeat(chosen, self._effort.n_chains)
        self._target, self._proposal = self._target.take(chosen), self._proposal.take(chosen)
        self.x, self._log_weight = self.x[chosen], self._log_weight[chosen]
        self._here = self._here.take(chains)
        self._is_stale = self._is_stale[chains]
        self.jumps, self.steps = self.jumps[chosen], self.steps[chosen]

    def advance(self) -> np.ndarray:
        """Run one round of all chains and return the states to keep, (n_cases, n_chains, n_kept, d)."""
        halfway = self._jump()
        n_cases, n_chains, d = self.x.shape
        x, everywhere = self.x.reshape(-1, d), np.arange(n_cases * n_chains)
        stale = np.flatnonzero(self._is_stale)
        self._here = self._here.replaced(stale, self._local(x[stale], stale))
        moved, self._here, accepted = langevin_step(
            lambda points: self._local(points, everywhere), x, self._here, self._rng
        )
        self._is_stale[:] = False
        self.x = moved.reshape(self.x.shape)
        self.steps += accepted.reshape(n_cases, n_chains).mean(axis=1)
        log_density = self._here.log_density.reshape(n_cases, n_chains)
        self._log_weight = log_density - self._proposal.log_density(self.x)
        return np.stack([halfway, self.x], axis=2)

    def importance(self, case: int, chains: np.ndarray) -> Draws | None:
        """Weighted draws that resolve a case, or None; ``chains`` are its draws, (n_chains, n_kept, d)."""
        alone = np.arange(len(self.x)) == case
        target, ridges = self._target.take(alone), self._proposal.take(alone)

        def log_density(x: np.ndarray) -> np.ndarray:
            return _log_posterior(target, x, np.zeros(len(x), dtype=int))

        posterior = Posterior(
            log_density, lambda n: ridges.draw(n, self._rng)[0], lambda x: ridges.log_density(x[None])[0]
        )
        return importance_sample(posterior, chains, self._rng)

    def _jump(self) -> np.ndarray:
        """Try independent proposals in turn (Metropolis-Hastings); return the state after half of them."""
        n_cases, n_chains, d = self.x.shape
        n = self._effort.n_proposals
        proposed = self._proposal.draw(n_chains * n, self._rng)
        weight = self._log_weights(proposed).reshape(n_cases, n_chains, n)
        proposed = proposed.reshape(n_cases, n_chains, n, d)
        halfway = self.x
        for k in range(n):
            with np.errstate(invalid="ignore"):
                log_ratio = weight[..., k] - self._log_weight
            accepted = np.log(self._rng.random(log_ratio.shape)) < log_ratio
            self.x = np.where(accepted[..., None], proposed[:, :, k], self.x)
            self._log_weight = np.where(accepted, weight[..., k], self._log_weight)
            self._is_stale |= accepted.ravel()
            self.jumps += accepted.mean(axis=1) / n
            if k < n // _KEPT_PER_ROUND:
                halfway = self.x
        return halfway

    def _log_weights(self, x: np.ndarray) -> np.ndarray:
        """Log of posterior density over proposal density at points (n_cases, n, d), shape (n_cases, n)."""
        cases = np.repeat(np.arange(len(x)), x.shape[1])
        density = _log_posterior(self._target, x.reshape(-1, x.shape[2]), cases)
        return density.reshape(x.shape[:2]) - self._proposal.log_density(x)

    def _local(self, x: np.ndarray, chains: np.ndarray) -> Local:
        """Log posterior, gradient and metric; the last two approximate the prior by a normal distribution."""
        target = self._target
        density = target.log_prior(x)
        score = (target.mean - x) @ target.precision
        metric = np.tile(target.precision, (len(x), 1, 1))
        # Points outside the prior are not simulated: their density is zero whatever the response.
        possible = np.flatnonzero(np.isfinite(density))
        if len(possible):
            found = target.curvature(x[possible], chains[possible] // self._effort.n_chains)
            density[possible] += found.log_likelihood
            metric[possible] += found.information
            score[possible] += found.score
        return Local(density, metric, score)


def _log_posterior(target: LogDensity, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """Log posterior density, (n,), of points (n, d) for their cases (n,)."""
    density = target.log_prior(x)
    # Points outside the prior are not simulated: their density is zero whatever the response.
    possible = np.flatnonzero(np.isfinite(density))
    density[possible] += target.log_likelihood(x[possible], cases[possible])
    return density
