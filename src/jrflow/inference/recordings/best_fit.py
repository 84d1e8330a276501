"""The best fit to a measured response: whether any parameters within a model's range explain it.

An estimate is the mean of a posterior. Where the posterior is curved, the estimate fits worse than any draw
from it. Where noise is low, the network's own error exceeds the noise. So the best fit is sought by the
Levenberg-Marquardt method. It starts from the nearest of many simulations all over the prior, which do not
depend on the network, from the network's estimate, and from the likeliest draws from its intervals; where
more is left than noise leaves, from many more simulations. The search takes the prior for normal. A search
within the prior's bounds follows where the first one ends outside or still leaves more than noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from jrflow.design import Prior
from jrflow.inference.recordings.evidence import Tangent
from jrflow.inference.training.model import TrainedModel
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.starts import nearest_simulations
from jrflow.observe.observation import Observation

#: Draws from the 90 % intervals, and the number of them, the likeliest, from which the search starts.
_N_DRAWN, _N_STARTS = 2000, 4
#: Draws from the prior, and their seed: the nearest of them start the search, whatever the network.
_N_REFERENCE, _REFERENCE_SEED = 8192, 0
#: Number of the nearest from which the search starts once more; number of the best that all samples refine.
_N_NEAREST, _N_REFINED = 64, 6
#: Steps of the search.
_N_ITERATIONS = 40
#: Search within bounds: relative step of its differences, and largest number of steps.
_STEP, _N_STEPS = 1e-4, 50
#: Standard deviations by which chi-square exceeds its mean where a search within bounds follows.
_UNUSUAL = 4.0
#: Step of the differences for the tangent, in coordinates.
_TANGENT_STEP = 1e-5


@dataclass(frozen=True)
class Fits:
    """Simulated sources to compare with a measured one, mV, processed as this one, each (n_times,).

    Attributes
    ----------
    estimated
        Of the estimate.
    best
        Of the best fit.
    coordinates
        Of the best fit, (n_coordinates,).
    likelihood
        That the best fit maximises.
    """

    estimated: np.ndarray
    best: np.ndarray
    coordinates: np.ndarray
    likelihood: EvokedLikelihood

    @property
    def tangent(self) -> Tangent:
        """How the best fit changes with the parameters."""
        (found,) = tangents(self.likelihood, self.coordinates[None])
        return found


def fit_recording(
    model: TrainedModel,
    intervals: tuple[np.ndarray, np.ndarray, np.ndarray],
    measured: np.ndarray,
    observation: Observation,
    in_blocks: Observation,
    seed: int = 0,
) -> Fits:
    """Simulate a model's estimate for one response, and find the best fit.

    Parameters
    ----------
    model
        Its prior bounds the search.
    intervals
        Estimate and ends of its 90 % intervals, in the targets' units, each (n_targets,).
    measured
        Source estimate, mV, every recorded sample, shape (n_times,).
    observation
        Of this estimate, every sample, with its noise.
    in_blocks
        Of the averages over blocks that the network observes, or of those that were recorded.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        If the estimate cannot be simulated.
    """
    d = model.description
    searched_prior = Prior.of(d.prior, d.preset)
    likelihood = EvokedLikelihood.of(measured[None, None], observation, searched_prior, d.simulation)
    averaged = in_blocks.epoch.averaged(measured)
    coarse = EvokedLikelihood.of(averaged[None, None], in_blocks, searched_prior, d.simulation)
    coordinates = likelihood.coordinates
    prior, n = coordinates.prior, len(coordinates.prior.names)
    value, low, high = (end[:n] for end in intervals)
    draws = np.random.default_rng(seed).uniform(low, high, (_N_DRAWN, n))
    x = coordinates.of_parameters(prior.within(np.vstack([value, draws])))
    density = likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))
    if not np.isfinite(density[0]):
        raise ValueError(
            "the estimate cannot be simulated (its response is not finite or out of range): "
            + ", ".join(f"{name} = {v:g}" for name, v in zip(prior.names, value, strict=True))
        )
    likeliest = x[[0, *(1 + np.argsort(density[1:])[::-1][:_N_STARTS])]]
    starts = _coarse(coarse, likeliest)
    modes = find_modes(likelihood, starts[None], _N_ITERATIONS)
    best = best_possible(likelihood, np.concatenate([starts, modes.x[0]]))
    (estimated, fitted), _ = likelihood.clean(np.stack([x[0], best]))
    return Fits(estimated[0], fitted[0], best, likelihood)


def tangents(likelihood: EvokedLikelihood, x: np.ndarray) -> list[Tangent]:
    """How responses change with the coordinates, one for each row of ``x`` (n, n_coordinates)."""
    n, d = x.shape
    shifts = _TANGENT_STEP * np.concatenate([np.zeros((1, d)), np.eye(d)])
    clean, ok = likelihood.clean((x[:, None] + shifts).reshape(-1, d))
    source, ok = clean.reshape(n, d + 1, -1), ok.reshape(n, d + 1)
    # If a perturbed simulation fails, that derivative is zero.
    slope = (source[:, 1:] - source[:, :1]) / _TANGENT_STEP * (ok[:, 1:] & ok[:, :1])[..., None]
    slope = np.where(np.isfinite(slope), slope, 0.0)
    mean, precision = likelihood.coordinates.mean, likelihood.coordinates.precision
    return [Tangent(one, (mean - at) @ precision, precision) for one, at in zip(slope, x, strict=True)]


def best_possible(likelihood: EvokedLikelihood, found: np.ndarray) -> np.ndarray:
    """The likeliest of some possible coordinates, or a likelier one that a search within bounds finds.

    Parameters
    ----------
    likelihood
        Of a single case.
    found
        Coordinates, shape (n, n_coordinates), some of them possible.

    Returns
    -------
    np.ndarray
        Shape (n_coordinates,).
    """

    def density(x: np.ndarray) -> np.ndarray:
        return likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))

    def likeliest(x: np.ndarray) -> np.ndarray:
        best: np.ndarray = x[np.argmax(density(x))]
        return best

    best, coordinates = likeliest(found), likelihood.coordinates
    is_possible = np.isfinite(coordinates.log_prior(best[None])[0])
    if is_possible and density(best[None])[0] > _usual(likelihood):
        return best
    possible = found[np.isfinite(coordinates.log_prior(found))]
    return likeliest(np.vstack([possible, _within_bounds(likelihood, best)]))


def _within_bounds(likelihood: EvokedLikelihood, x: np.ndarray) -> np.ndarray:
    """Coordinates of the best fit that a search within the prior's ranges finds from the nearest to ``x``."""
    coordinates = likelihood.coordinates
    prior = coordinates.prior

    def left(parameters: np.ndarray) -> np.ndarray:
        difference, ok = likelihood.differences(
            coordinates.of_parameters(parameters[None]), np.zeros(1, dtype=int)
        )
        # Where a simulation fails there is nothing to compare: as far away as no response at all.
        left = difference if ok[0] else likelihood.observed / likelihood.sd[0]
        return likelihood.observation.whiten(left)[0]

    found = least_squares(
        left,
        coordinates.nearest_possible(x[None])[0],
        bounds=(prior.low, prior.high),
        x_scale=prior.sd,
        diff_step=_STEP,
        max_nfev=_N_STEPS,
    )
    return coordinates.of_parameters(prior.within(found.x[None]))[0]


def _usual(likelihood: EvokedLikelihood) -> float:
    """Log likelihood that a right model seldom falls below."""
    return -0.5 * float(likelihood.rank + _UNUSUAL * np.sqrt(2 * likelihood.rank))


def _coarse(likelihood: EvokedLikelihood, known: np.ndarray) -> np.ndarray:
    """Where the search with all samples starts: the best that one with block averages finds.

    Parameters
    ----------
    likelihood
        Of block averages, of a single case.
    known
        Coordinates from which the search starts, too, shape (n, n_coordinates).

    Returns
    -------
    np.ndarray
        Shape (n_starts, n_coordinates): the best, and ``known``.
    """

    def density(x: np.ndarray) -> np.ndarray:
        return likelihood.log_likelihood(x, np.zeros(len(x), dtype=int))

    def searched(starts: np.ndarray) -> np.ndarray:
        x = np.concatenate([starts, find_modes(likelihood, starts[None], _N_ITERATIONS).x[0]])
        best: np.ndarray = x[np.argsort(-density(x))[:_N_REFINED]]
        return best

    nearest = nearest_simulations(likelihood, _N_REFERENCE, _REFERENCE_SEED)[0]
    found = searched(np.unique(np.concatenate([nearest, known]), axis=0))
    if density(found[:1])[0] < _usual(likelihood):
        coordinates = likelihood.coordinates
        draws = coordinates.of_parameters(coordinates.prior.sample(_N_REFERENCE, _REFERENCE_SEED + 1))
        more = draws[np.argsort(-density(draws))[:_N_NEAREST]]
        found = searched(np.concatenate([found, more]))
    return np.concatenate([found, known])
