"""Refinement of estimates: sample the exact posterior, starting from a network's estimates.

As a control without a network, the sampler can start from the nearest simulations instead. Refinement helps
at low noise, where posteriors are narrower than the errors of a network. It uses the observations of the
network: the projected response, averaged over blocks of samples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TextIO

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.inference.data.randomness import Stream, entropy, numpy_generator
from jrflow.inference.networks.network import Network
from jrflow.inference.scoring.agreement import misfit
from jrflow.inference.scoring.comparison import Comparison, Estimates
from jrflow.inference.scoring.reference import likelihood_of
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import nearest_simulations

#: Suffix of the names of refined estimators.
SUFFIX = "+exact"
#: Starts of a refinement: a network's estimates or, as a control, the nearest simulations.
Starts = Literal["network", "nearest"]
REFINED_FROM: tuple[Starts, ...] = ("network", "nearest")
#: Name of the control.
CONTROL = f"nearest{SUFFIX}"
#: Number of starts per case, and of validation simulations whose errors are used. A network's starts are its
#: estimate, and its estimate minus errors that are drawn from these.
_N_STARTS, _N_ERRORS = 8, 1000
#: Number of simulations from the prior among which the nearest are searched.
_N_REFERENCE = 16384
#: The sampled posterior is rejected if chi-square exceeds its expected value by this many standard
#: deviations.
_POOR = 5.0
#: Settings of the sampler, with fewer ridges than for reference posteriors, because starts are close.
_EFFORT = Effort(n_along=2, n_ridges=2)


@dataclass(frozen=True)
class Refined:
    """Refined estimates at one noise level, and the convergence of their chains.

    Attributes
    ----------
    estimates
        Posterior means and 90 % intervals. If no posterior fits, the estimates before refinement.
    mcse
        Monte Carlo standard errors of the means, (n_cases, n_targets); 0 for estimates that are not sampled.
    ess, rhat, resolved
        See :class:`jrflow.inference.scoring.targets.TargetPosteriors`, each (n_cases,).
    found
        Whether the sampled posterior fits the observation, (n_cases,).
    """

    estimates: Estimates
    mcse: np.ndarray
    ess: np.ndarray
    rhat: np.ndarray
    resolved: np.ndarray
    found: np.ndarray


def refine(
    network: Network | None,
    estimator: str,
    comparison: Comparison,
    n_cases: int,
    stream: TextIO | None = None,
    *,
    starts: Starts = "network",
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Sample and score posteriors, starting from estimates of a network or from the nearest simulations.

    Parameters
    ----------
    network
        Network whose estimates are the starts; not used for ``starts="nearest"``.
    estimator
        Name of the network. The scored estimator is named ``<estimator>+exact``, the control
        ``nearest+exact``.
    comparison
        Observations and noise levels.
    n_cases
        Number of simulations, the first of the test campaign.
    stream
        Stream for progress; None for no output.
    starts
        "network": start from the network's estimates. "nearest": start from the same number of nearest
        simulations, out of 16,384, with the same settings; the difference shows the benefit of the network.

    Returns
    -------
    table
        Scores, one row for each noise level and target.
    refined
        Over (noise, first_sim, parameter): ``refined``, ``refined_low`` and ``refined_high``, posterior means
        and ends of 90 % intervals; ``refined_mcse``, Monte Carlo standard errors of the means. Over (noise,
        first_sim): ``refined_ess``, ``refined_rhat``, ``refined_resolved`` and ``refined_found``. For the
        control, names start with ``nearest`` instead of ``refined``.
    """
    name = CONTROL if starts == "nearest" else estimator + SUFFIX
    first, rows, levels = comparison.first(n_cases), [], []
    for level, noise in enumerate(comparison.noise.names):
        if stream is not None:
            print(f"refining {name}, noise level {noise}:", file=stream)
        levels.append(refined_estimates(network, comparison, n_cases, level, stream, starts=starts))
        rows.append(first.score(name, level, levels[-1].estimates))
    return pd.concat(rows, ignore_index=True), _labelled(
        levels, "nearest" if starts == "nearest" else "refined", first.parts.test.sim
    )


def refined_estimates(
    network: Network | None,
    comparison: Comparison,
    n_cases: int,
    level: int,
    stream: TextIO | None = None,
    *,
    starts: Starts = "network",
) -> Refined:
    """Means and 90 % intervals of sampled posteriors at one noise level; see :func:`refine`.

    Searches for modes begin at the starts. Ridges through the modes and Langevin steps then explore the
    posterior (:mod:`jrflow.limits.exact`). If the residuals of the draws are larger than noise, the sampler
    has not found the posterior. The network's own estimate and interval are then returned or, without a
    network, those of the prior.

    Raises
    ------
    ValueError
        If ``starts`` is "network" and ``network`` is None.
    """
    if starts == "network" and network is None:
        raise ValueError(
            'expected a network for starts="network", received None; starts="nearest" needs none'
        )
    # Draw noise for the whole campaign, so that these cases have the same noise as in scoring.
    observed, sd = (array[:n_cases] for array in comparison.test(level))
    likelihood = likelihood_of(comparison.first(n_cases).parts.test, comparison.noise, level, observed, sd)
    rng = numpy_generator(comparison.seed, Stream.REFINEMENT, level)
    draw = entropy(comparison.seed, Stream.REFINEMENT, level)
    if starts == "nearest" or network is None:
        before = _of_prior(comparison, len(observed), draw)
        x = nearest_simulations(likelihood, _N_REFERENCE, draw)[:, :_N_STARTS]
    else:
        own = network.predict(observed, sd)
        shown = (part[:_N_ERRORS] for part in comparison.validation(level))
        errors = network.predict(*shown) - comparison.parts.validation.targets[:_N_ERRORS]
        before = Estimates.calibrated(own, errors)
        x = _around(likelihood, own, errors, rng)
    found = TargetPosteriors.of(
        likelihood.coordinates, exact_posteriors(likelihood, x, _EFFORT, draw, stream), rng
    )
    return _accepted(likelihood, found, before)


def _around(
    likelihood: EvokedLikelihood, own: np.ndarray, errors: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Starts (n_cases, _N_STARTS, d): estimates (n_cases, n_targets), and estimates minus drawn errors."""
    prior = likelihood.coordinates.prior
    centre, n = own[:, None, : len(prior.names)], len(own)
    drawn = errors[rng.integers(len(errors), size=(n, _N_STARTS - 1)), : len(prior.names)]
    starts = prior.within(np.concatenate([centre, centre - drawn], axis=1))
    return likelihood.coordinates.of_parameters(starts.reshape(-1, starts.shape[2])).reshape(n, _N_STARTS, -1)


def _of_prior(comparison: Comparison, n: int, seed: int) -> Estimates:
    """Prior means and 90 % intervals for n cases."""
    prior = comparison.parts.train.prior
    draws = prior.targets(prior.sample(_N_ERRORS, seed))
    return Estimates.of_draws(np.broadcast_to(draws, (n, *draws.shape)))


def _accepted(likelihood: EvokedLikelihood, found: TargetPosteriors, before: Estimates) -> Refined:
    """Sampled posteriors for cases where they fit; estimates before refinement for other cases."""
    refined = replace(Estimates.of_draws(found.draws), value=found.mean)
    chi2 = np.median(misfit(likelihood, found.draws[..., : len(likelihood.coordinates.prior.names)]), axis=1)
    fits = chi2 < 1 + _POOR * np.sqrt(2 / likelihood.rank)
    parts = (
        np.where(fits[:, None], getattr(refined, f.name), getattr(before, f.name)) for f in fields(Estimates)
    )
    return Refined(
        Estimates(*parts), np.where(fits[:, None], found.mcse, 0), np.where(fits, found.ess, 0),
        found.rhat, found.resolved & fits, fits,
    )  # fmt: skip


def _labelled(levels: list[Refined], prefix: str, sim: np.ndarray) -> xr.Dataset:
    dims = ("noise", "first_sim", "parameter")
    columns: dict[str, Any] = {
        prefix: (dims, np.stack([r.estimates.value for r in levels])),
        f"{prefix}_low": (dims, np.stack([r.estimates.low for r in levels])),
        f"{prefix}_high": (dims, np.stack([r.estimates.high for r in levels])),
        f"{prefix}_mcse": (dims, np.stack([r.mcse for r in levels])),
    }
    for name in ("ess", "rhat", "resolved", "found"):
        columns[f"{prefix}_{name}"] = (dims[:2], np.stack([getattr(r, name) for r in levels]))
    return xr.Dataset(columns, coords={"first_sim": sim})
