"""The exact posterior of test simulations, given the very observations that estimators are scored on."""

from __future__ import annotations

from typing import TextIO

import numpy as np
import torch
import xarray as xr

from jrflow.config.simulation import SimulationConfig
from jrflow.eeg.covariance import whitening
from jrflow.inference.dataset import EvokedSet, target_bounds
from jrflow.inference.diagnostics import diagnose
from jrflow.inference.observation import NoiseLevels
from jrflow.inference.randomness import Stream, entropy, numpy_generator
from jrflow.inference.trial import observed_at
from jrflow.limits.coordinates import Coordinates
from jrflow.limits.exact import Effort, Posteriors, exact_posteriors
from jrflow.limits.fisher import laplace_variance
from jrflow.limits.likelihood import Likelihood
from jrflow.limits.starts import nearest_simulations
from jrflow.model.parameters import PARAMETERS

#: Simulations from the prior among which starts of the search for modes are chosen.
_N_REFERENCE = 16384


def likelihood_of(
    part: EvokedSet, noise: NoiseLevels, level: int, observed: torch.Tensor, sd: torch.Tensor
) -> Likelihood:
    """Likelihood of observations (n, n_inputs, n_blocks) of a part at a level, projected onto the source."""
    shape = noise.shapes[level]
    simulation = SimulationConfig.model_validate(part.specification["simulation"])
    return Likelihood.of(
        shape.direction @ observed.numpy(), sd.numpy(), whitening(shape.factor @ shape.factor.T), part.prior,
        simulation, part.window.average,
    )  # fmt: skip


def gold_standard(
    test: EvokedSet,
    noise: NoiseLevels,
    n_cases: int,
    relative_step: float,
    seed: int,
    *,
    effort: Effort | None = None,
    stream: TextIO | None = None,
) -> xr.Dataset:
    """Sample the exact posterior of the first test simulations at every noise level.

    Parameters
    ----------
    test, noise, seed
        What estimators observe; see :func:`jrflow.inference.trial.observed_at`.
    n_cases
        Simulations, at most all.
    relative_step
        Of the differences by which Laplace's approximation is found; see jrflow.config.analysis.LimitsConfig.
    effort
        How much is spent on each; by default as :class:`jrflow.limits.exact.Effort` says.
    stream
        Where progress is shown; None for silence.

    Returns
    -------
    xr.Dataset
        ``draws`` (noise, case, draw, parameter), in the parameters' units; ``mean`` and ``variance`` (noise,
        case, parameter), in which C and the contact probabilities are integrated out; ``laplace_variance``
        alike, of the same data; ``true`` (case, parameter); ``rhat`` (noise, case), the largest of all
        coordinates, and ``jumps``, the share of independent proposals that were accepted. Also what
        :func:`jrflow.inference.diagnostics.diagnose` finds, at every level: that the sampling is right.
    """
    part, effort = test.take(np.arange(min(n_cases, len(test.sim)))), effort or Effort()
    levels = []
    for level, name in enumerate(noise.names):
        # The whole campaign is observed, so that the first cases see the noise that they see with all others.
        observed, sd = (
            array[: len(part.sim)] for array in observed_at(test, noise, level, Stream.TEST, seed)
        )
        likelihood = likelihood_of(part, noise, level, observed, sd)
        if stream is not None:
            print(f"noise level {name}:", file=stream)
        # Where the column oscillates the response tells so much that no simulation comes near. The true
        # parameters are possible anyway; where their mode is found without, one more start changes nothing.
        truth = likelihood.coordinates.of_parameters(part.targets[:, : len(part.prior.names)])
        draw = entropy(seed, Stream.EXACT, level)
        nearest = nearest_simulations(likelihood, _N_REFERENCE, draw)
        starts = np.concatenate([nearest, truth[:, None]], axis=1)
        found = exact_posteriors(likelihood, starts, effort, draw, stream)
        levels.append(_described(part, likelihood, found, relative_step, seed, level))
    units = [PARAMETERS[name].unit if name in PARAMETERS else "1" for name in test.names]
    coordinates = {
        "noise": list(noise.names), "case": part.sim, "parameter": list(test.names),
        "unit": ("parameter", units),
    }  # fmt: skip
    together = xr.concat(levels, "noise").assign(true=(("case", "parameter"), part.targets))
    return together.assign_coords(coordinates).assign_attrs(
        preset=test.prior.preset, campaign=test.specification["campaign"], seed=seed,
        method="Markov chains on the exact likelihood (jrflow.limits.exact)",
    )  # fmt: skip


def of_targets(
    coordinates: Coordinates, found: Posteriors, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of the targets, (n_cases, n_draws, n_targets), and their means and variances.

    C and the contact probabilities are drawn for the former, and integrated out for the latter.
    """
    n_cases, x = len(found.x), found.x.reshape(-1, coordinates.n)
    draws = coordinates.prior.targets(coordinates.complete(x, rng))
    draws = draws.reshape(n_cases, -1, draws.shape[-1])
    first, second = (moment.reshape(draws.shape).mean(axis=1) for moment in coordinates.moments(x))
    return draws, first, second - first**2


def _described(
    part: EvokedSet, likelihood: Likelihood, found: Posteriors, relative_step: float, seed: int, level: int
) -> xr.Dataset:
    """One level: draws, moments and diagnoses."""
    rng = numpy_generator(seed, Stream.EXACT, level)
    draws, mean, variance = of_targets(likelihood.coordinates, found, rng)
    parameters = part.targets[:, : len(part.prior.names)]
    by_laplace = laplace_variance(
        part.prior, parameters, likelihood.simulation, relative_step,
        lambda response: likelihood.whiten(likelihood.seen(response)) / likelihood.sd[0],
    )  # fmt: skip
    dims = ("case", "parameter")
    diagnosis = diagnose(part.targets, draws, *target_bounds(part.prior), entropy(seed, Stream.EXACT, level))
    return xr.Dataset(
        {
            "draws": (("case", "draw", "parameter"), draws.astype(np.float32)),
            "mean": (dims, mean),
            "variance": (dims, variance),
            "laplace_variance": (dims, by_laplace),
            "rhat": ("case", found.rhat().max(axis=1)),
            "jumps": ("case", found.jumps),
        }
    ).merge(diagnosis.rename(sim="case"))
