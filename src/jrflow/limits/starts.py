"""Where to look for a posterior's modes: at simulations near to what was observed, all over the prior."""

from __future__ import annotations

import numpy as np

from jrflow.limits.likelihood import Likelihood

#: Simulations that are compared at a time.
_AT_ONCE = 4096
#: Each coordinate that has a normal score is divided at the prior's quartiles.
_QUARTILES = np.array([-0.6745, 0.0, 0.6745])


def nearest_simulations(likelihood: Likelihood, n_reference: int, seed: int) -> np.ndarray:
    """Coordinates of draws from the prior with a large likelihood.

    Posteriors may have several modes, and the nearest simulations may all lead to one of them; so the nearest
    one is taken of each quarter of the prior along each coordinate.

    Parameters
    ----------
    likelihood
        Of the observed responses.
    n_reference
        Draws from the prior, the same for all cases.
    seed
        Of the draws.

    Returns
    -------
    np.ndarray
        Shape (n_cases, n_starts, n_coordinates), the best first.

    Raises
    ------
    ValueError
        If no draw could be simulated.
    """
    coordinates = likelihood.coordinates
    reference = coordinates.of_parameters(coordinates.prior.sample(n_reference, seed))
    distance = _distances(likelihood, reference)
    if not np.isfinite(distance[0]).any():
        raise ValueError(f"of {n_reference} draws from the prior none could be simulated: narrow the prior")
    quarter = np.searchsorted(_QUARTILES, reference[:, : len(coordinates.scored)])
    chosen = [
        np.where(quarter[:, j] == q, distance, np.inf).argmin(axis=1)
        for j in range(quarter.shape[1])
        for q in range(len(_QUARTILES) + 1)
    ]
    starts = np.stack([distance.argmin(axis=1), *chosen], axis=1)
    order = np.argsort(np.take_along_axis(distance, starts, axis=1), axis=1, kind="stable")
    return reference[np.take_along_axis(starts, order, axis=1)]


def _distances(likelihood: Likelihood, reference: np.ndarray) -> np.ndarray:
    """Squared distances (n_cases, n_reference) of simulations, but for a constant; inf if they failed."""
    observed = likelihood.whiten(likelihood.observed.astype(np.float32))
    distance = np.empty((len(observed), len(reference)), np.float32)
    for first in range(0, len(reference), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        source, ok = likelihood.sources(reference[part])
        white = likelihood.whiten(np.where(ok[:, None], source, 0).astype(np.float32))
        # The size of the observation is common to all, and the noise but a factor: neither changes the order.
        squares = np.einsum("nr,nr->n", white, white) - 2 * observed @ white.T
        distance[:, part] = np.where(ok, squares, np.inf)
    return distance
