"""Starting points of the sampler: modes that are found from the nearest simulations in the prior."""

from __future__ import annotations

import numpy as np

from jrflow.limits.density import LogDensity
from jrflow.limits.gauss_newton import find_modes

#: Quartiles of the prior, at which each coordinate that is a normal score is divided.
_QUARTILES = np.array([-0.6745, 0.0, 0.6745])
#: A mode does not fit if its misfit (half chi-square) exceeds the mean by this many standard deviations.
_POOR_FIT = 5.0
#: Population search if no mode fits: number of generations, of points per generation, and of survivors.
_N_GENERATIONS, _N_POINTS, _N_SURVIVORS = 5, 4096, 64
#: Spread of a new generation around the survivors, in standard deviations of the survivors.
_MUTATION = 0.35
#: Number of survivors, the nearest ones, from which the final searches for modes start.
_N_FROM_SURVIVORS = 32
#: Distances of the restarts from the highest mode, in standard deviations of its Laplace approximation. At
#: low noise, the density of oscillating responses has many local maxima, and the first search may end at any
#: of them.
_RESTART_SPREADS = np.repeat([2.0, 6.0], 8)
#: Values at which one coordinate is held while the others are searched again: the median and 12 % quantiles
#: of the prior. A second mode may have so little prior mass around it that no search starts near it.
_HELD_VALUES = np.array([-1.2, 0.0, 1.2])
#: Largest number of steps while a coordinate is held: what follows is a start, not a result.
_N_HELD_STEPS = 15


def modes_of_the_nearest(target: LogDensity, n_reference: int, seed: int) -> np.ndarray:
    """Coordinates of posterior modes, found without knowledge of the true parameters.

    Searches start at the nearest simulations (:func:`nearest_simulations`). If no mode fits a case, a
    population search finds closer starts first: the response of an oscillating column is so informative that
    no simulation from the prior may be near. At the end, searches start again from the highest mode of each
    case: around it, and from the best points at which one coordinate has a given value
    (:func:`_elsewhere_along`).

    Parameters
    ----------
    target
        Posterior density of each case.
    n_reference
        Number of draws from the prior, which all cases share.
    seed
        Seed of the draws.

    Returns
    -------
    np.ndarray
        Shape (n_cases, n_starts, n_coordinates), the highest mode first.

    Raises
    ------
    ValueError
        If no draw could be simulated.
    """
    reference, distance = _reference(target, n_reference, seed)
    modes = find_modes(target, _stratified(target, reference, distance))
    x, height = modes.x, modes.log_posterior
    rng = np.random.default_rng([seed, 1])
    least = -0.5 * target.rank - _POOR_FIT * np.sqrt(0.5 * target.rank)
    for case in np.flatnonzero(height.max(axis=1) < least):
        one = target.take(slice(case, case + 1))
        found = find_modes(one, _population(one, reference, distance[case], rng)[None])
        both = np.concatenate([x[case], found.x[0]]), np.concatenate([height[case], found.log_posterior[0]])
        order = np.argsort(-both[1], kind="stable")[: x.shape[1]]
        x[case], height[case] = both[0][order], both[1][order]
    best = x[np.arange(len(x)), height.argmax(axis=1)]
    restarts = np.concatenate([_around(target, best, rng), _elsewhere_along(target, best)], axis=1)
    again = find_modes(target, restarts)
    x = np.concatenate([x, again.x], axis=1)
    height = np.concatenate([height, again.log_posterior], axis=1)
    order = np.argsort(-height, axis=1, kind="stable")
    return np.take_along_axis(x, order[..., None], axis=1)


def nearest_simulations(target: LogDensity, n_reference: int, seed: int) -> np.ndarray:
    """Coordinates of draws from the prior with a large likelihood.

    Posteriors may have several modes, and the nearest simulations may all lead to the same mode. Therefore
    each coordinate that is a normal score is divided into quarters of the prior, and the nearest simulation
    of each quarter is taken.

    Parameters
    ----------
    target
        Posterior density of each case.
    n_reference
        Number of draws from the prior, which all cases share.
    seed
        Seed of the draws.

    Returns
    -------
    np.ndarray
        Shape (n_cases, n_starts, n_coordinates), the best first.

    Raises
    ------
    ValueError
        If no draw could be simulated.
    """
    return _stratified(target, *_reference(target, n_reference, seed))


def _reference(target: LogDensity, n_reference: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws from the prior, as coordinates, and their distances from every case."""
    reference = target.sample_prior(n_reference, seed)
    distance = target.misfits(reference)
    if not np.isfinite(distance[0]).any():
        raise ValueError(f"none of {n_reference} draws from the prior could be simulated: narrow the prior")
    return reference, distance


def _stratified(target: LogDensity, reference: np.ndarray, distance: np.ndarray) -> np.ndarray:
    quarter = np.searchsorted(_QUARTILES, reference[:, : target.n_scored])
    chosen = [
        np.where(quarter[:, j] == q, distance, np.inf).argmin(axis=1)
        for j in range(quarter.shape[1])
        for q in range(len(_QUARTILES) + 1)
    ]
    starts = np.stack([distance.argmin(axis=1), *chosen], axis=1)
    order = np.argsort(np.take_along_axis(distance, starts, axis=1), axis=1, kind="stable")
    return reference[np.take_along_axis(starts, order, axis=1)]


def _population(
    target: LogDensity, reference: np.ndarray, distance: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Coordinates near a single case, (n, d), by repeated mutation and selection of the nearest.

    Each generation is drawn around the survivors of all earlier generations, with their covariance.
    """
    order = np.argsort(distance)[:_N_SURVIVORS]
    x, distance = reference[order], distance[order]
    for _ in range(_N_GENERATIONS):
        values, axes = np.linalg.eigh(np.cov(x.T, ddof=0).reshape(x.shape[1], -1))
        away = rng.standard_normal((_N_POINTS, x.shape[1])) * np.sqrt(values.clip(min=0))
        new = x[rng.integers(0, len(x), _N_POINTS)] + _MUTATION * away @ axes.T
        both = np.concatenate([x, new]), np.concatenate([distance, target.misfits(new)[0]])
        order = np.argsort(both[1], kind="stable")[:_N_SURVIVORS]
        x, distance = both[0][order], both[1][order]
    return x[:_N_FROM_SURVIVORS]


def _around(target: LogDensity, best: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws around the highest mode (n_cases, d) of each case, (n_cases, n_restarts, d)."""
    at = find_modes(target, best[:, None], max_iterations=0)
    values, axes = np.linalg.eigh(at.covariance[:, 0])
    away = rng.standard_normal((len(best), len(_RESTART_SPREADS), best.shape[1])) * _RESTART_SPREADS[:, None]
    away *= np.sqrt(values.clip(min=0))[:, None]
    around: np.ndarray = at.x + np.einsum("nrk,nik->nri", away, axes)
    return around


def _elsewhere_along(target: LogDensity, best: np.ndarray) -> np.ndarray:
    """The best points at which one coordinate has a given value, (n_cases, n_coordinates * n_values, d).

    These are points of the profile likelihood of each coordinate that is a normal score. A mode with another
    value of a coordinate is found even if few simulations from the prior are near.
    """
    found = []
    for coordinate in range(target.n_scored):
        start = np.repeat(best[:, None], len(_HELD_VALUES), axis=1)
        start[..., coordinate] = _HELD_VALUES
        found.append(find_modes(target, start, _N_HELD_STEPS, held=[coordinate]).x)
    return np.concatenate(found, axis=1) if found else best[:, None][:, :0]
