"""Reference posteriors: exact posteriors of test simulations, given the observations that are scored."""

from __future__ import annotations

from typing import TextIO

import numpy as np
import torch
import xarray as xr

from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.randomness import Stream, entropy, numpy_generator
from jrflow.inference.scoring.comparison import observed_at
from jrflow.inference.scoring.diagnostics import diagnose
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.fisher import laplace_variance
from jrflow.limits.starts import modes_of_the_nearest
from jrflow.model import MODEL
from jrflow.observe.observation import NoiseLevels

#: Number of simulations from the prior; the search for modes starts from the nearest of them.
_N_REFERENCE = 16384


def likelihood_of(
    part: EvokedSet, noise: NoiseLevels, level: int, observed: torch.Tensor, sd: torch.Tensor
) -> EvokedLikelihood:
    """Likelihood of a part's observations (n, n_inputs, n_blocks) at a level, projected onto the source."""
    observation = noise.observations[level]
    projected = (observation.direction @ observed.numpy())[:, None]
    return EvokedLikelihood.of(
        projected, observation.along_source(), part.prior, part.specification.simulation, sd.numpy()
    )


def reference_posteriors(
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
        Test campaign, noise levels and seed of the noise, as for the estimators; see
        :func:`jrflow.inference.scoring.comparison.observed_at`.
    n_cases
        Number of simulations; at most all of the test campaign.
    relative_step
        Relative step of the differences for Laplace's approximation; see
        :class:`jrflow.config.analysis.LimitsConfig`.
    effort
        Settings of the sampler; by default :class:`jrflow.limits.exact.Effort`.
    stream
        Stream for progress; None for no output.

    Returns
    -------
    xr.Dataset
        - ``draws`` (noise, case, draw, parameter): draws in the parameters' units;
        - ``mean``, ``variance`` (noise, case, parameter): moments; C and the contact probabilities are
          integrated out;
        - ``mcse``, ``variance_mcse``: Monte Carlo standard errors of mean and variance;
        - ``laplace_variance`` (noise, case, parameter): variance by Laplace's approximation;
        - ``true`` (case, parameter): true values;
        - ``ess``, ``rhat`` (noise, case): smallest effective sample size and largest R-hat over the
          coordinates;
        - ``resolved`` (noise, case): whether the Monte Carlo error of every mean is below 5 % of the
          posterior standard deviation;
        - ``jumps`` (noise, case): acceptance rate of independent proposals;
        - results of :func:`jrflow.inference.scoring.diagnostics.diagnose` at every level.
    """
    part, effort = test.take(np.arange(min(n_cases, len(test.sim)))), effort or Effort()
    levels = []
    for level, name in enumerate(noise.names):
        # Draw noise for the whole campaign, so that these cases have the same noise as in scoring.
        observed, sd = (
            array[: len(part.sim)] for array in observed_at(test, noise, level, Stream.TEST, seed)
        )
        likelihood = likelihood_of(part, noise, level, observed, sd)
        if stream is not None:
            print(f"noise level {name}:", file=stream)
        draw = entropy(seed, Stream.EXACT, level)
        starts = modes_of_the_nearest(likelihood, _N_REFERENCE, draw)
        found = TargetPosteriors.of(
            likelihood.coordinates,
            exact_posteriors(likelihood, starts, effort, draw, stream),
            numpy_generator(seed, Stream.EXACT, level),
        )
        levels.append(_described(part, likelihood, found, relative_step, entropy(seed, Stream.EXACT, level)))
        if stream is not None:
            print(summary(levels[-1]), file=stream)
    units = [MODEL.space.unit(name) for name in test.names]
    coordinates = {
        "noise": list(noise.names), "case": part.sim, "parameter": list(test.names),
        "unit": ("parameter", units),
    }  # fmt: skip
    together = xr.concat(levels, "noise").assign(true=(("case", "parameter"), part.targets))
    return together.assign_coords(coordinates).assign_attrs(
        preset=test.prior.preset, campaign=test.specification.campaign, seed=seed,
        method="sampled on the exact likelihood (jrflow.limits.exact)",
    )  # fmt: skip


def summary(level: xr.Dataset) -> str:
    """Convergence and calibration of the reference posteriors of one noise level, on one line."""
    n, p = level.sizes["case"], level["rank_p"].values
    return (
        f"  {int(level['resolved'].sum())} of {n} cases resolved (Monte Carlo error of every mean below 5 % "
        f"of the posterior sd); R-hat at most {float(level['rhat'].max()):.2f}; ranks of the true values: "
        f"smallest p {p.min():.2g} of {len(p)} parameters; expected coverage: "
        f"p {float(level['expected_coverage_p']):.2g}"
    )


def _described(
    part: EvokedSet, likelihood: EvokedLikelihood, found: TargetPosteriors, relative_step: float, seed: int
) -> xr.Dataset:
    """Dataset of one noise level: draws, moments, errors of the moments, and diagnostics."""
    parameters = part.targets[:, : len(part.prior.names)]
    by_laplace = laplace_variance(
        part.prior, parameters, likelihood.simulation, relative_step, likelihood.observation,
        float(likelihood.sd[0]),
    )  # fmt: skip
    dims = ("case", "parameter")
    diagnosis = diagnose(part.targets, found.draws, *part.prior.target_bounds, seed)
    return xr.Dataset(
        {
            "draws": (("case", "draw", "parameter"), found.draws.astype(np.float32)),
            "mean": (dims, found.mean),
            "variance": (dims, found.variance),
            "mcse": (dims, found.mcse),
            "variance_mcse": (dims, found.variance_mcse),
            "laplace_variance": (dims, by_laplace),
            "ess": ("case", found.ess),
            "rhat": ("case", found.rhat),
            "resolved": ("case", found.resolved),
            "jumps": ("case", found.jumps),
        }
    ).merge(diagnosis.rename(sim="case"))
