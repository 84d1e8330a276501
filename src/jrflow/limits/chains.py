"""Whether Markov chains agree: by Gelman and Rubin's potential scale reduction, and in words."""

from __future__ import annotations

import numpy as np

#: Potential scale reduction above which chains do not agree well enough.
_DISAGREEMENT = 1.2


def potential_scale_reduction(x: np.ndarray) -> np.ndarray:
    """R-hat of halved chains (Gelman et al. 2013), (n_cases, d), of states (n_cases, n_chains, n_kept, d).

    1 if they agree; infinite if none of them moves, for then they say nothing.
    """
    n = x.shape[2] // 2
    halves = np.concatenate([x[:, :, :n], x[:, :, n : 2 * n]], axis=1)
    within = halves.var(axis=2, ddof=1).mean(axis=1)
    between = halves.mean(axis=2).var(axis=1, ddof=1)
    ratio = np.divide(between, within, out=np.full_like(within, np.inf), where=within > 0)
    rhat: np.ndarray = np.sqrt((n - 1) / n + ratio)
    return rhat


def chains_agree(rhat: float | None) -> tuple[str, bool]:
    """R-hat in words, and whether the chains agree; None, as JSON has it, where they did not move."""
    if rhat is None:
        return "its chains did not move", False
    return f"R-hat {rhat:.2f}", rhat <= _DISAGREEMENT
