"""Convergence of Markov chains: rank-normalised R-hat, effective sample size and Monte Carlo error, by ArviZ.

Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Bayesian Analysis 16:667.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: R-hat above which chains do not agree. Vehtari et al. recommend 1.01 for chains of fixed length. Chains
#: here are extended until the Monte Carlo error is small (MOST_ERROR). Eight chains with an effective sample
#: size of 400 can have an R-hat of up to 1.03 by chance.
_DISAGREEMENT = 1.05

#: Largest Monte Carlo standard error of a resolved posterior mean, in posterior standard deviations. It
#: corresponds to an effective sample size of 400, and adds 1/400 of the posterior variance to the mean
#: square distance between an estimator and the posterior mean.
MOST_ERROR = 0.05


@dataclass(frozen=True)
class Convergence:
    """Quality of the draws of some quantities.

    Attributes
    ----------
    rhat
        Rank-normalised potential scale reduction; 1 if the chains agree, infinite if no chain moves.
    ess
        Effective sample size for the mean; 0 if no chain moves.
    mcse
        Monte Carlo standard error of the mean, in the quantity's unit; infinite if no chain moves.
    sd
        Standard deviation over all draws, in the quantity's unit.
    """

    rhat: np.ndarray
    ess: np.ndarray
    mcse: np.ndarray
    sd: np.ndarray

    @property
    def is_resolved(self) -> bool:
        """Whether every mean has a Monte Carlo error of at most ``MOST_ERROR`` standard deviations."""
        return bool((self.mcse <= MOST_ERROR * self.sd).all())


def convergence(draws: np.ndarray) -> Convergence:
    """Compare and pool chains of one case.

    Parameters
    ----------
    draws
        Draws of the quantities, shape (n_chains, n_kept, n_quantities).

    Returns
    -------
    Convergence
        Attributes of shape (n_quantities,). A quantity that is constant in every chain counts as not sampled.
    """
    from arviz_stats.base.array import array_stats  # imported here because the import takes a second

    sd = draws.std(axis=(0, 1), ddof=1)
    moves = (np.ptp(draws, axis=1) > 0).any(axis=0)
    # ArviZ reports perfect convergence for constant and equal chains, so replace them.
    x = np.where(moves, draws, np.random.default_rng(0).standard_normal(draws.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        rhat, ess = (
            np.asarray(array_stats.rhat(x, chain_axis=0, draw_axis=1)),
            np.asarray(array_stats.ess(x, chain_axis=0, draw_axis=1, method="mean")),
        )
    return Convergence(
        np.where(moves, rhat, np.inf),
        np.where(moves, ess, 0.0),
        np.where(moves, sd / np.sqrt(ess), np.inf),
        sd,
    )


def reliability(rhat: float | None, ess: float, resolved: bool) -> tuple[str, bool]:
    """R-hat and effective sample size in words, and whether means and intervals are reliable.

    ``rhat`` is None (null in JSON) if the chains did not move.
    """
    if rhat is None:
        return "its chains did not move", False
    return f"R-hat {rhat:.2f}, effective sample size {ess:.0f}", resolved and rhat <= _DISAGREEMENT
